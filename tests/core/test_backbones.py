import hashlib
import json
import re
import shutil
import socket
import time

import pytest
import torch
from safetensors.torch import save_file

from core.config import PRESETS
from core.encoders import backbones
from core.encoders.backbones import BackboneError, random_layout, resolve

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
WHISPER = "openai/whisper-tiny.en"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and a hub cache of one's own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return cache


def make_folder(folder, value=1.0):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    save_file({"weight": torch.full((3,), value)}, folder / "model.safetensors")
    return folder


def put_in_cache(cache, name, value=2.0):
    """The layout in which the hub client keeps a snapshot."""
    root = cache / f"models--{name.replace('/', '--')}"
    commit = "a" * 40
    make_folder(root / "snapshots" / commit, value)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    return root / "snapshots" / commit


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_comes_first(offline, tmp_path, monkeypatch):
    folder = make_folder(tmp_path / MINILM)
    put_in_cache(offline, MINILM)
    monkeypatch.chdir(tmp_path)
    found = resolve(MINILM)
    assert found.source == "folder" and found.weights.resolve() == folder / "model.safetensors"
    assert found.sha256 == sha256(folder / "model.safetensors")


@pytest.mark.parametrize("name", [MINILM, WHISPER])
def test_what_ships_comes_before_the_cache(offline, name):
    put_in_cache(offline, name)
    found = resolve(name)
    assert found.source == "package"
    assert found.weights.is_file() and (found.folder / "config.json").is_file()
    assert found.sha256 == sha256(found.weights)


def test_then_the_cache(offline):
    snapshot = put_in_cache(offline, "someone/something")
    found = resolve("someone/something")
    assert found.source == "cache" and found.folder.resolve() == snapshot.resolve()
    assert found.sha256 == sha256(snapshot / "model.safetensors")


def test_then_the_hub(offline, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    folder = make_folder(tmp_path / "downloaded")
    asked = []

    def snapshot_download(name, *, allow_patterns, local_files_only):
        asked.append((name, local_files_only))
        if local_files_only:
            raise FileNotFoundError
        assert not any(pattern.endswith((".bin", ".pt", ".pkl", "*")) for pattern in allow_patterns)
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert resolve("someone/something").source == "hub"
    assert asked == [("someone/something", True), ("someone/something", False)]


def test_a_carrier_that_is_not_installed_falls_through(offline, monkeypatch):
    monkeypatch.setattr(backbones, "BACKBONES", offline / "nowhere")
    put_in_cache(offline, WHISPER)
    assert resolve(WHISPER).source == "cache"


def test_other_weights_than_expected_are_refused_in_one_sentence(offline, tmp_path, monkeypatch):
    shipped = resolve(WHISPER).folder
    shutil.copytree(shipped, tmp_path / "ships" / "whisper-tiny.en")
    weights = tmp_path / "ships" / "whisper-tiny.en" / "encoder.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    monkeypatch.setattr(backbones, "BACKBONES", tmp_path / "ships")
    with pytest.raises(BackboneError) as error:
        resolve(WHISPER)
    message = str(error.value)
    assert WHISPER in message and str(weights) in message and "SHA-256" in message
    assert "install" in message and "\n" not in message
    assert len(re.findall(r"\.(?:\s|$)", message)) == 1


def test_offline_the_remedies_are_named_without_asking_or_waiting(offline, monkeypatch):
    def waits(seconds):
        raise AssertionError(f"it waits {seconds} s")

    monkeypatch.setattr(time, "sleep", waits)
    with pytest.raises(BackboneError) as error:
        resolve("bert-large-uncased")
    message = str(error.value)
    assert "bert-large-uncased" in message and "\n" not in message
    for remedy in ("folder", "network", "mini"):
        assert remedy in message


def test_a_cached_snapshot_without_safetensors_is_not_taken(offline):
    snapshot = put_in_cache(offline, "someone/something")
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="someone/something"):
        resolve("someone/something")


def test_a_folder_without_one_weight_file_is_told(tmp_path):
    folder = make_folder(tmp_path / "mine")
    save_file({"weight": torch.zeros(2)}, folder / "second.safetensors")
    with pytest.raises(BackboneError, match="exactly one .safetensors file .* but holds 2"):
        resolve(str(folder))
    for file in folder.glob("*.safetensors"):
        file.unlink()
    with pytest.raises(BackboneError, match="but holds 0"):
        resolve(str(folder))


def test_every_preset_can_be_built_with_random_weights():
    for config in PRESETS.values():
        for part in (config.text, config.audio):
            assert random_layout(part.backbone).model_type
    with pytest.raises(BackboneError, match="no-such-net"):
        random_layout("no-such-net")


def test_layouts_are_those_of_the_shipped_configurations():
    """A randomly initialised mini has the sizes of the pretrained one."""
    from transformers import AutoConfig

    for name in (MINILM, WHISPER):
        layout = random_layout(name)
        shipped = AutoConfig.from_pretrained(resolve(name).folder, local_files_only=True)
        assert layout.model_type == shipped.model_type
        built = AutoConfig.for_model(layout.model_type, **layout.values)
        for key in (
            ("num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
            if layout.model_type == "bert"
            else ("encoder_layers", "encoder_attention_heads", "encoder_ffn_dim", "num_mel_bins")
        ):
            assert getattr(built, key) == getattr(shipped, key), key
