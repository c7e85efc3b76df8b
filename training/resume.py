"""Whether a run is finished, was interrupted, or has not begun; and what must not change in between."""

from __future__ import annotations

from accelerate import Accelerator

from core.checkpoint import load_checkpoint, read_metrics, require_replaceable
from training.config import TrainConfig
from training.data import TrainingData
from training.datasets.utterance import DataError
from training.pretrained import pretrained_hash
from training.state import RunState, read_state


def look(config: TrainConfig, resume: bool) -> tuple[bool, RunState | None]:
    """Whether the run is finished already, and the state in which it was left.

    Raises:
        DataError, CheckpointError: if something lies there that must not be lost, or is of another run.
    """
    require_replaceable(config.out)
    state = read_state(config.run_folder)
    if state is not None and not resume:
        raise DataError(
            f"{config.run_folder} holds the state of an unfinished run; go on with --resume, or remove it."
        )
    if state is not None or not resume or not config.out.exists():
        return False, state
    made = read_metrics(config.out).get("train_config", {})
    # what is done with finished weights is done once
    wanted = config.decisive() | {name: getattr(config, name) for name in ("tune_offsets", "half_weights")}
    differing = [name for name, value in wanted.items() if name not in made or made[name] != value]
    if differing:
        raise DataError(
            f"{config.out} was trained with other settings than are asked for now ({', '.join(differing)}); "
            "choose another folder, or remove it."
        )
    return True, None


def require_same_data(config: TrainConfig, data: TrainingData) -> None:
    """Raises DataError where a finished run learned from other clips than there are now."""
    if load_checkpoint(config.out).info.data_sha256 != data.sha256:
        raise DataError(
            f"{config.out} was trained on other clips than {', '.join(data.names)} holds now; choose another "
            "folder, or remove it."
        )


def identity(config: TrainConfig, data: TrainingData, accelerator: Accelerator) -> dict:
    """What must be the same for a run to go on."""
    return config.decisive() | {
        "data_sha256": data.sha256,
        "pretrained_sha256": pretrained_hash(config.pretrained_video),
        "num_processes": accelerator.num_processes,
    }
