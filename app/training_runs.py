"""Training runs that are started from the app.

Each is `deepmsi train` on the training clips that ship, and then `deepmsi evaluate` on the test clips.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from app.folders import data_folder
from app.runs import Run, RunError
from core.evaluation.artifact import INFO
from core.labels import MODALITIES
from sample_data import BACKBONES, CLIPS

TRAINING, EVALUATING = "training", "evaluating"

_EPOCH = re.compile(r"^epoch (\d+)/(\d+) ", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True, kw_only=True)
class RunChoice:
    """What a run is to be.

    Attributes:
        name: of the checkpoint, and of its folder.
        modalities: that the model reads.
        num_epochs: of training.
        seed: of everything that is drawn.
    """

    states: ClassVar[tuple[str, ...]] = (TRAINING, EVALUATING)

    name: str
    modalities: tuple[str, ...] = ("audio", "text")
    num_epochs: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise RunError(
                f"A run cannot be named “{self.name}”: use up to 40 letters, digits, dots, dashes and "
                "underscores, a letter or digit first."
            )

    def checkpoint(self, folder: Path) -> Path:
        """Folder of the checkpoint that it makes, inside the folder of all runs."""
        return folder / self.name

    def evaluation(self, folder: Path) -> Path:
        """Folder of the evaluation that it makes, likewise."""
        return folder / f"{self.name}-test"

    def commands(self, folder: Path) -> list[list[str]]:
        """Arguments of `deepmsi` for training and evaluation, into folders inside `folder`."""
        checkpoint = self.checkpoint(folder)
        settings = {
            "num_train_frames": "[4,8,12,16]",
            "weight_average": "0.97",
            "half_weights": "true",
        }
        train = ["train", "--preset", "mini", "--data", str(CLIPS / "train"), "--out", str(checkpoint)]
        train += ["--epochs", str(self.num_epochs), "--batch-size", "24", "--seed", str(self.seed)]
        if "video" in self.modalities:
            train += ["--pretrained-video", str(BACKBONES / "video-mini")]
            if len(self.modalities) > 1:
                settings["num_blind_epochs"] = str(self.num_epochs // 2)
        if self.modalities != MODALITIES:
            settings["modalities"] = "[" + ",".join(f'"{name}"' for name in self.modalities) + "]"
        for name, value in settings.items():
            train += ["--set", f"{name}={value}"]
        cache = ["--cache-dir", str(folder / ".features")]
        evaluate = ["evaluate", str(checkpoint), "--data", str(CLIPS / "test"), "--split", "test"]
        evaluate += ["--out", str(self.evaluation(folder))]
        return [[*train, *cache, "--resume"], [*evaluate, *cache]]

    def begin(self, folder: Path) -> None:
        """See `app.runs.Work`: the names of its folders tell all."""


def trained_checkpoints() -> tuple[Path, ...]:
    """Folders of the checkpoints that runs made, also those of earlier apps."""
    return _made("model.safetensors")


def trained_evaluations() -> tuple[Path, ...]:
    """Folders of the evaluations that runs made, likewise."""
    return _made(INFO)


def _made(file: str) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in (data_folder() / "runs").glob(f"*/{file}")))


def num_epochs_done(run: Run) -> int:
    """Epochs that training has finished."""
    found = _EPOCH.findall(run.text())
    return int(found[-1][0]) if found else 0
