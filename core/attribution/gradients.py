"""Integrated gradients of words, sound and pictures (Sundararajan et al. 2017).

The path from the empty input to the clip is cut into parts, and the part that misses most of the answer's
known change is halved, as far as the number of steps allows. Neighbours share an end, halves what was looked
at before, and whoever asks for a slope is told the answer too: no pass is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.attribution.asking import Asking
from core.media.clip import SAMPLE_RATE
from core.model import DeepMSI

NUM_STEPS = {"word": 96, "window": 17, "frame": 21, "patch": 21}
"""No more points of the path are looked at than so many. The answer jumps along that of words, whose points
cost little."""

FIRST_PARTS = 4
"""The path is cut into so many at first. Of each the ends and the middle are looked at (Simpson's rule), and
while that is too coarse, the part whose integral misses most of the answer's known change is halved."""

FEWEST_STEPS = 3
"""Of a single part."""

SMOOTH_STEPS = 12
"""Gauss-Legendre steps for each noisy version of the input."""

GAP_SHARE, GAP = 0.01, 0.002
"""It is fine enough when the parts miss no more than this share of the whole change, or so many points."""

NOISE = 0.5
"""SmoothGrad's noise in deviations of the input; of a picture that is about a tenth of its range, as Smilkov
et al. (2017) advise."""

PASS_STEPS = {"word": 12}
"""Steps in one pass. A sentence is so short that twelve cost little more than three; of sound and pictures
more than one at a time is no faster on a CPU, and it would be known later that nobody waits."""


Answer = Callable[..., Tensor]
"""From the model and tensors `(n, …)` to probabilities `(n, class)`."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """How integrated gradients walk.

    Attributes:
        num_steps: most points that are looked at.
        pass_steps: of these in one pass.
        smooth: noisy versions of the input (SmoothGrad); 0 for the input as it is.
        seed: of the noise.
    """

    num_steps: int
    pass_steps: int = 1
    smooth: int = 0
    seed: int = 0


def integrated_gradients(
    asking: Asking, element: str, *, num_steps: int | None = None, smooth: int = 0, seed: int = 0
) -> tuple[np.ndarray, float]:
    """Shares of the elements, of frames for every patch, and the value of the empty input.

    Args:
        asking: for the value.
        element: "word", "window", "frame" or "patch".
        num_steps: most points of the path; `NUM_STEPS` when None.
        smooth: noisy versions of the input, each in `SMOOTH_STEPS` steps; 0 for the input as it is.
        seed: of the noise.

    Raises:
        ExplanationCancelledError: if it is not wanted any more.
        ValueError: if there are fewer steps than `FEWEST_STEPS`.
    """
    num_steps = NUM_STEPS[element] if num_steps is None else num_steps
    if num_steps < FEWEST_STEPS:
        raise ValueError(f"num_steps should be at least {FEWEST_STEPS}, not {num_steps}")
    path = Path(num_steps=num_steps, pass_steps=PASS_STEPS.get(element, 1), smooth=smooth, seed=seed)
    return {"word": _of_words, "window": _of_sound}.get(element, _of_patches)(asking, path)


def _of_words(asking: Asking, path: Path) -> tuple[np.ndarray, float]:
    subject = asking.subject
    with subject.model() as model, torch.no_grad():
        ids, mask = (part.to(subject.device) for part in model.text.tokenize([subject.text]))
        word_of_token = np.array(model.text.word_of_token(subject.text))
        is_word = torch.from_numpy(word_of_token >= 0).to(subject.device)
        # of words alone, not of positions: those stay along the path
        inputs = model.text.embed(ids)
        blanks = model.text.embed(torch.where(is_word, model.text.blank_token, ids))

    def answer(model: DeepMSI, embeddings: Tensor) -> Tensor:
        features = model.text.from_embeddings(embeddings, mask.expand(len(embeddings), -1))
        return subject.differentiable(model, len(embeddings), text_features=features)

    def of_words(found: Tensor) -> np.ndarray:
        values, of_tokens = np.zeros(len(subject.words)), _array(found.sum(-1))
        np.add.at(values, word_of_token[word_of_token >= 0], of_tokens[word_of_token >= 0])
        return values

    return _integrate(asking, path, answer, of_words, (inputs,), (blanks,))


def _of_sound(asking: Asking, path: Path) -> tuple[np.ndarray, float]:
    subject = asking.subject
    waveform = subject.waveform
    length = torch.tensor([waveform.shape[1]], device=subject.device)
    with subject.model() as model, torch.no_grad():
        inputs = model.audio.inputs(waveform, length)
        blanks = tuple(model.audio.backbone.silence(part) for part in inputs)
        step = model.audio.backbone.samples_per_input
        part_samples = model.audio.config.max_seconds * SAMPLE_RATE

    def answer(model: DeepMSI, *parts: Tensor) -> Tensor:
        features = model.audio.from_inputs(parts, length.expand(len(parts[0])))
        return subject.differentiable(model, len(parts[0]), audio_features=features)

    def of_windows(*found: Tensor) -> np.ndarray:
        values = np.zeros(len(subject.window_starts))
        for number, part in enumerate(found):
            at_step = _array(part.reshape(-1, part.shape[-1]).sum(0))
            sample = number * part_samples + step * np.arange(len(at_step))
            # what lies behind the end is silence, but its first step still hears the last samples
            window = np.minimum(sample * len(values) // waveform.shape[1], len(values) - 1)
            np.add.at(values, window, at_step)
        return values

    return _integrate(asking, path, answer, of_windows, inputs, blanks)


def _of_patches(asking: Asking, path: Path) -> tuple[np.ndarray, float]:
    subject = asking.subject
    rows, columns = subject.patch_grid
    # the others' shares are zero: nothing of them reaches the answer while the choice is held
    has_part = torch.from_numpy(subject.has_part).to(subject.device)
    nothing = torch.zeros(len(subject.frame_times), rows, columns, dtype=torch.bool)
    inputs, blanks = subject.frames[has_part], subject.with_patches(nothing)[has_part]

    def answer(model: DeepMSI, frames: Tensor) -> Tensor:
        return subject.differentiable(model, len(frames), frames=frames)

    def of_patches(found: Tensor) -> np.ndarray:
        of_pixels = found.sum(1)
        height, width = of_pixels.shape[1] // rows, of_pixels.shape[2] // columns
        cells = of_pixels.unflatten(2, (columns, width)).unflatten(1, (rows, height))
        values = np.zeros((len(subject.frame_times), rows, columns))
        values[subject.has_part] = _array(cells.sum((2, 4)))
        return values

    return _integrate(asking, path, answer, of_patches, (inputs[None],), (blanks[None],))


@dataclass(frozen=True, eq=False)
class _Part:
    """A part of the path by three points, as shares of the way; what it gives, and misses of the change."""

    low: float
    middle: float
    high: float
    found: np.ndarray
    error: float


def _integrate(
    asking: Asking,
    path: Path,
    answer: Answer,
    shares_of: Callable[..., np.ndarray],
    inputs: tuple[Tensor, ...],
    blanks: tuple[Tensor, ...],
) -> tuple[np.ndarray, float]:
    """Integrated gradients of `(1, …)` inputs, and the value at the blanks.

    `shares_of` adds up what the numbers of an input `(…)` gave to what its elements gave.
    """

    def value(*given: Tensor) -> Tensor:
        return asking.value(len(given[0]), lambda model: answer(model, *given))

    if path.smooth:
        with torch.no_grad():
            empty = float(value(*blanks))
        return shares_of(*(part[0] for part in _smooth(asking, path, value, inputs, blanks))), empty

    known: dict[float, tuple[float, np.ndarray]] = {}

    @torch.enable_grad()
    def look(model: DeepMSI, shares: Sequence[float]) -> dict[float, tuple[float, np.ndarray]]:
        """The value, and by how much each element lifts it on the whole way at this slope."""
        given = tuple(
            torch.cat([blank + share * (x - blank) for share in shares]).requires_grad_()
            for x, blank in zip(inputs, blanks, strict=True)
        )
        found = asking.target.of(answer(model, *given), asking.subject.labels)
        slopes = torch.autograd.grad(found.sum(), given)
        looked = {}
        for row, share in enumerate(shares):
            parts = zip(slopes, inputs, blanks, strict=True)
            lifts = shares_of(*(slope[row] * (x - blank)[0] for slope, x, blank in parts))
            looked[share] = float(found[row].detach()), lifts
        return looked

    def look_at(shares: Sequence[float]) -> None:
        for looked in asking.passes(look, _chunks(shares, path.pass_steps)):
            known.update(looked)

    def part(low: float, middle: float, high: float) -> _Part:
        (before, first), (_, second), (after, third) = known[low], known[middle], known[high]
        found = (high - low) / 6 * (first + 4 * second + third)
        return _Part(low, middle, high, found, error=abs(after - before - float(found.sum())))

    asking.num_expected = asking.num_passes + path.num_steps
    num_parts = min(FIRST_PARTS, (path.num_steps - 1) // 2)
    points = np.linspace(0, 1, 2 * num_parts + 1).tolist()
    with asking.two_at_a_time():
        look_at(points)
        parts = [part(*points[i : i + 3]) for i in range(0, 2 * num_parts, 2)]
        tolerance = max(GAP_SHARE * abs(known[1.0][0] - known[0.0][0]), GAP)
        # errors of opposite sign would hide one another in the gap, but not in the shares
        while sum(one.error for one in parts) > tolerance and len(known) + 2 <= path.num_steps:
            num_halved = min(max(1, path.pass_steps // 2), (path.num_steps - len(known)) // 2)
            parts.sort(key=lambda one: one.error)
            worst, parts = parts[-num_halved:], parts[:-num_halved]
            halves = [
                (low, (low + high) / 2, high)
                for one in worst
                for low, high in ((one.low, one.middle), (one.middle, one.high))
            ]
            look_at([middle for _, middle, _ in halves])
            parts += [part(*half) for half in halves]
    return sum(one.found for one in parts), known[0.0][0]


def _smooth(asking: Asking, path: Path, value, inputs, blanks) -> tuple[Tensor, ...]:
    """The mean over noisy inputs; steps of a fixed number, for the noise is larger than what they miss."""
    from captum.attr import IntegratedGradients, NoiseTunnel

    steps = min(path.num_steps, SMOOTH_STEPS)
    asking.num_expected = asking.num_passes + steps * path.smooth
    with torch.random.fork_rng():
        torch.manual_seed(path.seed)
        found = NoiseTunnel(IntegratedGradients(value)).attribute(
            inputs,
            baselines=blanks,
            n_steps=steps,
            internal_batch_size=path.pass_steps,
            nt_type="smoothgrad",
            nt_samples=path.smooth,
            nt_samples_batch_size=1,
            stdevs=tuple(NOISE * float(x.std()) for x in inputs),
        )
    return tuple(part.detach() for part in found)


def _chunks(items, size: int) -> list:
    return [items[i : i + size] for i in range(0, len(items), size)]


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
