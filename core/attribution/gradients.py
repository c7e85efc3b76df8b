"""Integrated gradients of words, sound and pictures (Sundararajan et al. 2017), with Captum's mathematics.

The path from the empty input to the clip is cut into parts with few steps each, and the part that misses most
of the answer's known change is halved, as far as the number of steps allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from core.attribution.asking import Asking
from core.media.clip import SAMPLE_RATE
from core.model import DeepMSI

NUM_STEPS = {"word": 96, "window": 18, "frame": 24, "patch": 24}
"""No more points of the path are looked at than so many. The answer jumps along that of words, whose points
cost little."""

FIRST_STEPS, PART_STEPS = 12, 3
"""So many are looked at first, three (Gauss-Legendre) to each part of the path; while that is too coarse, the
part whose integral misses most of the answer's known change is halved."""

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
        smooth: noisy versions of the input, each in `FIRST_STEPS` steps; 0 for the input as it is.
        seed: of the noise.

    Raises:
        ExplanationCancelledError: if it is not wanted any more.
        ValueError: if there are fewer steps than `PART_STEPS`.
    """
    num_steps = NUM_STEPS[element] if num_steps is None else num_steps
    if num_steps < PART_STEPS:
        raise ValueError(f"num_steps should be at least {PART_STEPS}, not {num_steps}")
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

    (found,), empty = _integrate(asking, path, answer, (inputs,), (blanks,))
    of_tokens = _array(found[0].sum(-1))
    values = np.zeros(len(subject.words))
    np.add.at(values, word_of_token[word_of_token >= 0], of_tokens[word_of_token >= 0])
    return values, empty


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

    found, empty = _integrate(asking, path, answer, inputs, blanks)
    values = np.zeros(len(subject.window_starts))
    for number, part in enumerate(found):
        at_step = _array(part[0].reshape(-1, part.shape[-1]).sum(0))
        sample = number * part_samples + step * np.arange(len(at_step))
        # what lies behind the end is silence, but its first step still hears the last samples
        window = np.minimum(sample * len(values) // waveform.shape[1], len(values) - 1)
        np.add.at(values, window, at_step)
    return values, empty


def _of_patches(asking: Asking, path: Path) -> tuple[np.ndarray, float]:
    subject = asking.subject
    rows, columns = subject.patch_grid
    # the others' shares are zero: nothing of them reaches the answer while the choice is held
    has_part = torch.from_numpy(subject.has_part).to(subject.device)
    nothing = torch.zeros(len(subject.frame_times), rows, columns, dtype=torch.bool)
    inputs, blanks = subject.frames[has_part], subject.with_patches(nothing)[has_part]

    def answer(model: DeepMSI, frames: Tensor) -> Tensor:
        return subject.differentiable(model, len(frames), frames=frames)

    (found,), empty = _integrate(asking, path, answer, (inputs[None],), (blanks[None],))
    of_pixels = found[0].sum(1)
    height, width = of_pixels.shape[1] // rows, of_pixels.shape[2] // columns
    cells = of_pixels.unflatten(2, (columns, width)).unflatten(1, (rows, height))
    values = np.zeros((len(subject.frame_times), rows, columns))
    values[subject.has_part] = _array(cells.sum((2, 4)))
    return values, empty


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """A part of the path, from one share of the way to another, and what its integral misses."""

    low: float
    high: float
    found: tuple[Tensor, ...]
    error: float


def _integrate(
    asking: Asking, path: Path, answer: Answer, inputs: tuple[Tensor, ...], blanks: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, ...], float]:
    """Integrated gradients of `(1, …)` inputs, and the value at the blanks."""
    from captum.attr import IntegratedGradients

    def value(*given: Tensor) -> Tensor:
        return asking.value(len(given[0]), lambda model: answer(model, *given))

    def at(*shares: float) -> tuple[Tensor, ...]:
        return tuple(
            torch.cat([blank + share * (x - blank) for share in shares])
            for x, blank in zip(inputs, blanks, strict=True)
        )

    @torch.no_grad()
    def note_values(*shares: float) -> None:
        for few in _chunks(shares, path.pass_steps):
            known.update(zip(few, value(*at(*few)).tolist(), strict=True))

    explainer = IntegratedGradients(value)
    known: dict[float, float] = {}
    if path.smooth:
        note_values(0.0)
        return _smooth(asking, path, explainer, inputs, blanks), known[0.0]

    def integrals(edges: list[tuple[float, float]]) -> list[_Part]:
        found = []
        for few in _chunks(edges, max(1, path.pass_steps // PART_STEPS)):
            together = explainer.attribute(
                at(*(high for _, high in few)),
                baselines=at(*(low for low, _ in few)),
                n_steps=PART_STEPS,
                internal_batch_size=path.pass_steps,
                method="gausslegendre",
            )
            for row, (low, high) in enumerate(few):
                own = tuple(one[row : row + 1].detach() for one in together)
                total = sum(float(one.double().sum()) for one in own)
                found.append(_Part(low=low, high=high, found=own, error=known[high] - known[low] - total))
        return found

    asking.num_expected = path.num_steps + path.num_steps // PART_STEPS + 1
    edges = np.linspace(0, 1, max(1, min(path.num_steps, FIRST_STEPS) // PART_STEPS) + 1).tolist()
    note_values(*edges)
    parts = integrals(list(pairwise(edges)))
    num_taken = PART_STEPS * len(parts)
    tolerance = max(GAP_SHARE * abs(known[1.0] - known[0.0]), GAP)
    # errors of opposite sign would hide one another in the gap, but not in the shares
    while sum(abs(one.error) for one in parts) > tolerance and num_taken + 2 * PART_STEPS <= path.num_steps:
        worst = max(parts, key=lambda one: abs(one.error))
        middle = (worst.low + worst.high) / 2
        note_values(middle)
        parts.remove(worst)
        parts += integrals([(worst.low, middle), (middle, worst.high)])
        num_taken += 2 * PART_STEPS
    sums = tuple(sum(ones) for ones in zip(*(one.found for one in parts), strict=True))
    return sums, known[0.0]


def _smooth(asking: Asking, path: Path, explainer, inputs, blanks) -> tuple[Tensor, ...]:
    """The mean over noisy inputs; steps of a fixed number, for the noise is larger than what they miss."""
    from captum.attr import NoiseTunnel

    steps = min(path.num_steps, FIRST_STEPS)
    asking.num_expected = steps * path.smooth + 1
    with torch.random.fork_rng():
        torch.manual_seed(path.seed)
        found = NoiseTunnel(explainer).attribute(
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
