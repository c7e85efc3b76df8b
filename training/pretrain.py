"""The video encoder's own pretraining, on single pictures of faces.

A small Swin Transformer V2 learns too slowly from one label per clip. Single pictures give it dense truth:
the emotion shown at that moment, and how far each facial action unit is drawn, which ties the features to the
face's geometry instead of its identity. The heads are linear and thrown away; `video.safetensors` stays.

Unusual here: everything is preloaded as uint8 and augmented in batches by one resampling, so that the network
is the only cost, and early phases run at a lower resolution, where a step costs a quarter. On a CPU several
processes of one thread each leave fewer cores idle than one process of several threads:
`torchrun --nproc-per-node 2 -m app.cli pretrain … --threads 1`.

Where clips tell when their face shows what, frame selection and the temporal network are taught afterwards
(`training.expressions`), which takes minutes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from core.config import PRESETS
from core.model import DeepMSI, build_model
from core.writing import ON_RESUME, replacing, require_writable, written
from training import processes
from training.datasets.stills import TARGETS
from training.datasets.utterance import DataError
from training.expressions import score_selection, shows_something, teach_selection, teach_temporal
from training.picture_loop import BestEncoder, PictureLoop
from training.pictures import PictureSources, read_picture_sources
from training.pretrain_config import PretrainConfig
from training.pretrained import load_pretrained, save_part
from training.state import RunState, read_state, remove_state

_ABOUT = "pretrain.json"


class PretrainNet(nn.Module):
    """The video encoder's per-frame path with linear heads: an emotion head per source, one for the targets.

    Sources label differently (acted, posed, rendered), so each has its own emotion head over shared features.
    """

    def __init__(self, video: nn.Module, feature_width: int, num_labels: int, num_sources: int) -> None:
        super().__init__()
        self.video = video
        self.norm = nn.LayerNorm(feature_width)
        self.emotions = nn.ModuleList(nn.Linear(feature_width, num_labels) for _ in range(num_sources))
        self.targets = nn.Linear(feature_width, len(TARGETS))

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `(source, picture, class)` and targets in [0, 1] `(picture, target)`."""
        vectors = self.norm(self.video.frame_vectors(frames))
        return torch.stack([head(vectors) for head in self.emotions]), self.targets(vectors).sigmoid()


def pretrain(config: PretrainConfig, *, resume: bool = False) -> Path:
    """Train the preset's video encoder on single pictures.

    Writes `video.safetensors` (the best encoder by the mean of the dev sources' macro-F1), `pretrain.json`
    (config and scores) and `history.jsonl` (one line per evaluation) into `config.out`, which is returned;
    from clips that tell what their face shows, also `temporal.safetensors`. Deterministic by `config.seed` on
    one machine and number of processes. Each process draws pictures of its own; the main one alone evaluates
    and saves.

    Args:
        config: of the run.
        resume: go on from the state that an interrupted run of this configuration left; keep what it made
            where it is finished; else start.

    Raises:
        DataError: where nothing to learn from, or nothing to choose the best by, is found, or there is the
            state of an unfinished run that is not to be resumed, or of another one.
        DataError: where `config.out` cannot be written; told before the work, if it shows then.
        RunStopped: when the process was asked to end; the state was kept.
    """
    accelerator = processes.join(num_threads=config.num_threads, precision=config.precision)
    # one process looks, for the others may be on machines that do not see its files
    state = processes.from_main(accelerator, lambda: _unfinished(config, resume))
    torch.manual_seed(config.seed)
    model = build_model(PRESETS[config.preset], weights="pretrained")
    if config.start is not None:
        load_pretrained(model, config.start)
    with accelerator.main_process_first():
        sources = read_picture_sources(
            model,
            config.cache_dir,
            data=config.data,
            stills=config.stills,
            dev_stills=config.dev_stills,
            num_workers=config.num_threads,
            progress=accelerator.is_main_process,
        )
    net = PretrainNet(
        model.video, model.config.video.feature_width, len(model.config.labels), len(sources.train)
    )
    identity = _identity(config, sources, model, accelerator.num_processes)
    if state is None and processes.from_main(accelerator, lambda: resume and _is_finished(config, identity)):
        return config.out
    with written(config.out, DataError):
        config.out.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process and state is None:
        # what an earlier run left would pass for this one's
        for name in (_ABOUT, "history.jsonl", "temporal.safetensors", "video.safetensors"):
            (config.out / name).unlink(missing_ok=True)
    best = PictureLoop(config, sources, net, accelerator, identity).fit(state)
    if accelerator.is_main_process:
        model.to(accelerator.device).eval()
        with processes.all_threads(config.num_threads):
            _finish(config, sources, model, best, identity)
        remove_state(config.run_folder)
    accelerator.wait_for_everyone()
    return config.out


def _unfinished(config: PretrainConfig, resume: bool) -> RunState | None:
    """The state in which a run was left; None where there is none. Looks whether one can be written, too."""
    with written(config.out, DataError):
        # what is inside a folder is replaced there
        require_writable(config.out / _ABOUT if config.out.is_dir() else config.out)
    state = read_state(config.run_folder)
    if state is not None and not resume:
        raise DataError(
            f"{config.run_folder} holds the state of an unfinished run; go on with --resume, or remove it."
        )
    return state


def _is_finished(config: PretrainConfig, identity: dict) -> bool:
    """Whether the run was made already. Raises DataError where another one was."""
    about = config.out / _ABOUT
    if not about.is_file():
        return False
    made = json.loads(about.read_text(encoding="utf-8")).get("identity", {})
    differing = [name for name, value in identity.items() if name not in made or made[name] != value]
    if differing:
        raise DataError(
            f"{config.out} was made with other settings than are asked for now ({', '.join(differing)}); "
            "choose another folder, or remove it."
        )
    return True


def _identity(config: PretrainConfig, sources: PictureSources, model: DeepMSI, num_processes: int) -> dict:
    """All that decides what comes out, as plain JSON types."""
    start = hashlib.sha256()
    for name in ("video", "temporal") if config.start is not None else ():
        path = config.start / f"{name}.safetensors"
        start.update(path.read_bytes() if path.is_file() else b"")
    about_model = {
        "video": dataclasses.asdict(model.config.video),
        "temporal": dataclasses.asdict(model.config.temporal),
        "labels": model.config.labels.labels,
    }
    return config.decisive() | {
        **json.loads(json.dumps(about_model)),
        "start_sha256": start.hexdigest(),
        "pictures": [still.digest() for part in (sources.train, sources.dev) for still in part],
        "num_processes": num_processes,
    }


def _finish(
    config: PretrainConfig,
    sources: PictureSources,
    model: DeepMSI,
    best: BestEncoder | None,
    identity: dict,
) -> None:
    """Teach what only whole clips tell, and write everything."""
    about = {
        "pretrain": config.recipe(),
        "identity": identity,
        "video": dataclasses.asdict(model.config.video),
        "labels": list(model.config.labels.labels),
        "num_pictures": {still.name: len(still) for still in sources.train},
    }
    if best is not None:
        model.video.load_state_dict(best.state)
        about["best"] = best.row
    # clips, where there are some, come first
    train, dev = sources.train[0], sources.dev[0]
    if not config.phases and not (train.expressions and dev.expressions):
        raise DataError(
            "Without a phase only clips teach something, and of the train or the dev split none has a "
            "sidecar with dense truth; name a made corpus, or a phase."
        )
    if any(map(shows_something, train.expressions)):
        before = score_selection(model.video, dev)
        teach_selection(model.video, train, seed=config.seed)
        after = score_selection(model.video, dev)
        if before is not None:
            about["selection"] = {
                "before": dataclasses.asdict(before),
                "after": dataclasses.asdict(after),
            }
            print(
                f"frames kept that show the expression: {before.kept:.0%} → {after.kept:.0%} "
                f"(of all {after.candidates:.0%}, at best {after.best:.0%})",
                flush=True,
            )
    expressions = teach_temporal(
        model.video,
        model.temporal,
        train,
        dev,
        num_labels=len(model.config.labels),
        label_smoothing=config.label_smoothing,
        seed=config.seed,
    )
    if expressions is not None:
        about["expressions"] = dataclasses.asdict(expressions)
        print(
            f"clips' faces: accuracy {expressions.accuracy:.3f}, macro-F1 {expressions.macro_f1:.3f}",
            flush=True,
        )
        save_part(config.out / "temporal.safetensors", model.temporal)
    save_part(config.out / "video.safetensors", model.video)
    with written(config.out, DataError, ON_RESUME), replacing(config.out / _ABOUT) as unfinished:
        unfinished.write_text(json.dumps(about, indent=2), encoding="utf-8")
