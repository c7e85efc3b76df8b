"""Whether a run is finished, was interrupted, or has not begun; and what must not change in between."""

from __future__ import annotations

from accelerate import Accelerator

from core.checkpoint import load_checkpoint
from core.checkpoint_files import checkpoint_hash, read_metrics, require_replaceable
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
    if config.start is not None and config.start.resolve() == config.out.resolve():
        raise DataError(
            f"{config.out} is what the run is to begin with, and would be lost; choose another out."
        )
    require_replaceable(config.out)
    state = read_state(config.run_folder)
    if state is not None and not resume:
        raise DataError(
            f"{config.run_folder} holds the state of an unfinished run; go on with --resume, or remove it."
        )
    if state is not None or not resume or not config.out.exists():
        return False, state
    metrics = read_metrics(config.out)
    made, began = metrics.get("train_config", {}), metrics.get("began_with", {})
    # what is done with finished weights is done once
    wanted = config.decisive() | {name: getattr(config, name) for name in ("tune_offsets", "half_weights")}
    differing = [name for name, value in wanted.items() if name not in made or made[name] != value]
    differing += [name for name, value in began_with(config).items() if began.get(name, value) != value]
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


def began_with(config: TrainConfig) -> dict[str, str | None]:
    """SHA-256 of the weights that a run begins with, by setting; None for those that it does without.

    Raises:
        DataError: where the start has no weights.
    """
    try:
        start = None if config.start is None else checkpoint_hash(config.start)
    except OSError as error:
        raise DataError(f"{config.start} is no checkpoint that a run could begin with ({error}).") from error
    return {"start": start, "pretrained_video": pretrained_hash(config.pretrained_video)}


def learned_before(config: TrainConfig) -> dict[str, str | None]:
    """By name, data sets that a run's first weights have learned from: the protocol that parted each."""
    if config.start is None:
        return {}
    metrics = read_metrics(config.start)
    recipe = metrics.get("train_config", {})
    own = dict.fromkeys(recipe.get("source_names", ()), recipe.get("protocol"))
    before = metrics.get("learned_before", {})
    # of two protocols the one that parted the data anew: their own splits do not tell what it learned from
    return own | {name: then for name, then in before.items() if own.get(name) in (None, "official")}


def identity(config: TrainConfig, data: TrainingData, accelerator: Accelerator) -> dict:
    """What must be the same for a run to go on."""
    return config.decisive() | {
        "data_sha256": data.sha256,
        "began_with": began_with(config),
        "num_processes": accelerator.num_processes,
    }
