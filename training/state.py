"""The state of an unfinished run: enough to go on as if it had never been interrupted.

One safetensors file, replaced in one step, so that a kill at any moment leaves the last whole state; what is
not a tensor travels in its header as JSON. Nothing is pickled.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from core.media.limits import MIB
from core.tensors import open_tensors
from core.writing import ON_RESUME, replacing, written
from training.datasets.manifest import DataError

FILE = "state.safetensors"
_FORMAT = 1
_HEADER = "run"
_MAX_TOLD = 200

MAX_HEADER_BYTES = 16 * MIB
"""Of a state. Weights, average, best weights and moments of the preset paper, all of it trained, are 5,322
tensors, whose names and shapes take 0.6 MiB; each epoch of the history adds about 1 KiB."""


class RunStopped(Exception):  # noqa: N818, it is no error
    """A run that was asked to stop and kept its state; the sentence says how to go on."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunState:
    """A moment of a run.

    Attributes:
        tensors: weights, the optimizer's moments, random generators, …, by name.
        values: everything else, as plain JSON types.
    """

    tensors: dict[str, Tensor]
    values: dict

    def part(self, name: str) -> RunState:
        """The tensors that `with_prefix(name, …)` named, and the values under that name."""
        start = f"{name}."
        return RunState(
            tensors={
                key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)
            },
            values=self.values.get(name, {}),
        )


def with_prefix(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names by which `RunState.part` finds these tensors."""
    return {f"{name}.{key}": value for key, value in tensors.items()}


def write_state(folder: Path, state: RunState) -> None:
    """Replace the state in `folder`, which is made where it does not exist.

    Raises:
        DataError: if it cannot be written; the state that was there still is.
    """
    # tensors that share memory, such as tied weights, are each written whole
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in state.tensors.items()}
    header = {_HEADER: json.dumps({"format": _FORMAT, **state.values})}
    with written(folder, DataError, ON_RESUME):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / FILE) as part:
            save_file(tensors, part, header)


def read_state(folder: Path) -> RunState | None:
    """The state in `folder`; None where there is none.

    Raises:
        DataError: if it is damaged, or of another version.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        with open_tensors(path, "pt", max_header_bytes=MAX_HEADER_BYTES) as file:
            values = dict(json.loads((file.metadata() or {})[_HEADER]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} holds no state of a run ({error}); remove {folder} and start anew."
        ) from error
    if values.pop("format", None) != _FORMAT:
        raise DataError(f"{path} is of another version of the project; remove {folder} and start anew.")
    return RunState(tensors=tensors, values=values)


@contextmanager
def restoring(folder: Path) -> Iterator[None]:
    """Take over the state in `folder` in the block; one that lacks something is told in a sentence.

    Raises:
        DataError: in place of what taking over a damaged state raises.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:_MAX_TOLD]
        raise DataError(
            f"{folder / FILE} does not hold the whole state of this run ({reason}); remove {folder} and "
            "start anew."
        ) from error


def require_same_run(state: RunState, identity: dict, folder: Path) -> None:
    """Check that a state belongs to the run that is to go on.

    Raises:
        DataError: naming what differs, or that the state is damaged.
    """
    with restoring(folder):
        before = dict(state.values["identity"])
    differing = [
        f"{name} was {before.get(name)!r} and is {identity.get(name)!r}"
        for name in sorted(before.keys() | identity.keys())
        if before.get(name) != identity.get(name)
    ]
    if differing:
        raise DataError(
            f"{folder} holds the state of another run ({'; '.join(differing)}); give the same settings, or "
            "remove it to start anew."
        )


def remove_state(folder: Path) -> None:
    """Forget the state of a run that is finished."""
    (folder / FILE).unlink(missing_ok=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers of each parameter, by `<number of the parameter>.<what>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, remembered in state.items()
        for name, value in remembered.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], rates: list[float]
) -> None:
    """The inverse of `optimizer_tensors`, for an optimizer of the same parameters.

    Args:
        optimizer: changed.
        tensors: of `optimizer_tensors`.
        rates: each group's learning rate at that moment.
    """
    state = optimizer.state_dict()
    remembered: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        remembered.setdefault(int(index), {})[name] = value
    for group, rate in zip(state["param_groups"], rates, strict=True):
        group["lr"] = rate
    optimizer.load_state_dict({"state": remembered, "param_groups": state["param_groups"]})


def random_state() -> dict[str, Tensor]:
    """Of torch's generators in this process."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_random(state: Mapping[str, Tensor]) -> None:
    """The inverse of `random_state`; a device that is not here is passed over."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


class StopRequest:
    """While entered, SIGTERM and the first Ctrl-C only set `is_made`; a second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self.is_made = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        # handlers belong to the main thread
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self.is_made:
            raise KeyboardInterrupt
        self.is_made = True
