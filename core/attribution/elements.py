"""What each word, window of sound, frame and patch gave to the answer, by known methods.

The model is only asked and differentiated here; what an element's absence means is settled in
`core.attribution.subject`. Shapley sampling and SmoothGrad are computed by Captum, integrated gradients by
`core.attribution.gradients`: Captum's but for the error of integration.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.attribution.asking import Asking, Progress
from core.attribution.gradients import NUM_STEPS, integrated_gradients
from core.attribution.removal import Remembered
from core.attribution.results import Attribution, Target
from core.attribution.subject import Cancelled, Subject
from core.attribution.variants import Variant
from core.labels import MODALITIES
from core.model import DeepMSI


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to attribute.

    Attributes:
        elements: that it can be applied to.
        alone: of these, those which are explained with the clip's other modalities absent: what they say by
            themselves.
        version: part of the key under which results are stored; it changes when results do.
        sentence: what it does, for whoever reads the result.
    """

    elements: tuple[str, ...]
    version: int
    sentence: str
    alone: tuple[str, ...] = ()


METHODS = {
    "integrated-gradients": Method(
        elements=("word", "window", "frame", "patch"),
        version=3,
        sentence=(
            "Follows the answer's slope from an empty input (masked words, silence, a blurred face) to the "
            "clip; all shares together make up the difference."
        ),
    ),
    "gradients-and-stretches": Method(
        elements=("window",),
        version=1,
        sentence=(
            "Follows the answer's slope from silence to the clip, and leans towards the stretches of sound "
            "that say most by themselves; all shares together make up the difference."
        ),
    ),
    "occlusion": Method(
        elements=("word", "window", "frame", "patch"),
        version=2,
        sentence="Takes away one piece at a time and says by how much the answer falls.",
    ),
    "shapley-sampling": Method(
        elements=("word", "frame"),
        alone=("word",),
        version=2,
        sentence=(
            "Lets the pieces join in random orders and averages what each one's joining changes; all shares "
            "together make up what they give. Words are read by themselves, without picture and sound."
        ),
    ),
}

MODALITY_OF = {"word": "text", "window": "audio", "frame": "video", "patch": "video"}

FEW_BATCH = 32
"""Sequences of frames, or sentences by themselves, asked about at once; little is left to compute of each."""

NUM_SAMPLES = {"word": 24, "frame": 16}
"""Orders of Shapley sampling. On the dev clips the most important word was of the right sentence in 0.93 with
16 of them, in 0.95 with 24 and with 32."""

STRETCH_WINDOWS = 3
"""Windows of sound that are heard by themselves."""

STRETCH_SHARE = 0.5
"""Of what integrated gradients give and take altogether, so much is moved between the windows."""

PATCH_BLOCK = 2
"""Occlusion blurs squares of so many patches a side: a quarter of the questions."""


def absent_others(method: str, element: str) -> frozenset[str]:
    """The modalities that a method takes away while it explains such elements; none if it is not known."""
    is_alone = method in METHODS and element in METHODS[method].alone
    return frozenset(MODALITIES) - {MODALITY_OF[element]} if is_alone else frozenset()


def attribute(
    subject: Subject,
    element: str,
    method: str,
    target: Target,
    *,
    num_steps: int | None = None,
    num_samples: int | None = None,
    smooth: int = 0,
    seed: int = 0,
    cancelled: Cancelled | None = None,
    progress: Progress | None = None,
) -> Attribution:
    """What the elements of one kind gave to the target's value.

    *Integrated gradients* (Sundararajan et al. 2017) holds what the compression keeps. Of words it follows
    their embeddings from those of the mask token; of sound, the encoder's own input from that of silence; of
    frames and patches, the pixels from a blurred picture. Frames are the sums of their patches.

    *Gradients and stretches* moves shares that integrated gradients give to windows of sound. Every
    `STRETCH_WINDOWS` neighbours are heard by themselves, with the rest silent and the other modalities
    absent. A window gains or loses by how much more or less than the average the stretches say that it is
    part of. What is moved is `STRETCH_SHARE` of the absolute shares in all, and the sum stays what it was.

    *Occlusion* lets the compression decide anew for words and windows. Frames that were kept are left out of
    the sequence one by one. Of patches, those of kept frames are blurred, in squares of `PATCH_BLOCK`, whose
    fall their patches share evenly; what is kept is held.

    *Shapley sampling* (Castro et al. 2009) is over the kept frames, which are or are not in the sequence, or
    over the words, read with the other modalities absent; every other order is the reverse of the one before,
    which lowers the variance (Mitchell et al. 2022).

    Args:
        subject: the clip.
        element: "word", "window", "frame" or "patch".
        method: a key of `METHODS`.
        target: what is explained.
        num_steps: most points of the path that integrated gradients look at; when None,
            `core.attribution.gradients.NUM_STEPS`.
        num_samples: orders of Shapley sampling; a set of words or kept frames that several orders meet is
            asked about once. When None, `NUM_SAMPLES`.
        smooth: average integrated gradients over so many noisy versions of the input (SmoothGrad, Smilkov et
            al. 2017), each in `SMOOTH_STEPS` steps; 0 for the input as it is. The noise shows in the gap.
        seed: of orders and noise.
        cancelled: asked before every batch.
        progress: told how far it is.

    Raises:
        ExplanationCancelledError: if `cancelled` says so.
        ValueError: if the method is not for such elements, the clip has none, the target is no label, or
            there are fewer steps than `FEWEST_STEPS`.
    """
    if method not in METHODS or element not in METHODS[method].elements:
        raise ValueError(f"{method!r} is no method for elements of the kind {element!r}")
    if not subject.present[MODALITY_OF[element]]:
        raise ValueError(f"the clip has no {MODALITY_OF[element]}, so no {element} can be explained")
    asking = Asking(subject, target, cancelled, progress or (lambda share: None))
    start = time.perf_counter()
    if method == "shapley-sampling":
        values, empty = _shapley(asking, element, num_samples or NUM_SAMPLES[element], seed)
    elif method == "occlusion":
        occlude = _occluded_patches if element == "patch" else _left_out
        values, empty = occlude(asking, element)
    elif method == "gradients-and-stretches":
        lean = _lean_of_stretches(asking, NUM_STEPS[element] if num_steps is None else num_steps)
        values, empty = integrated_gradients(asking, element, num_steps=num_steps, smooth=smooth, seed=seed)
        values = values + STRETCH_SHARE * np.abs(values).sum() * lean
    else:
        values, empty = integrated_gradients(asking, element, num_steps=num_steps, smooth=smooth, seed=seed)
    value = _value(asking, absent_others(method, element))
    asking.done()
    starts, ends = _times(subject, element)
    result = Attribution(
        element="patch" if values.ndim == 3 else element,
        method=method,
        target=target,
        values=values,
        start_seconds=starts,
        end_seconds=ends,
        words=tuple(word.text for word in subject.words) if element == "word" else (),
        value=value,
        baseline_value=empty,
        gap=float("nan") if method == "occlusion" else value - empty - float(values.sum()),
        num_passes=asking.num_passes,
        seconds=time.perf_counter() - start,
    )
    return frames_of(result) if element == "frame" and result.element == "patch" else result


def frames_of(patches: Attribution) -> Attribution:
    """The frames' shares, each the sum of its patches': both of one computation."""
    return replace(patches, element="frame", values=patches.values.sum((1, 2)))


def _left_out(asking: Asking, element: str) -> tuple[np.ndarray, float]:
    """The fall of the value when one element is absent, for each."""
    subject, field = asking.subject, f"{element}s"
    num = {"word": len(subject.words), "window": len(subject.window_starts)}.get(
        element, len(subject.frame_times)
    )
    # without a frame that was not kept nothing is different
    tried = _kept_frames(subject) if element == "frame" else np.arange(num)
    asking.num_expected = len(tried) + 1
    one_absent = [Variant(**{field: row}) for row in ~np.eye(num, dtype=bool)[tried]]
    batch_size = FEW_BATCH if element == "frame" else 1
    answers = asking.variants([*one_absent, Variant(**{field: np.zeros(num, bool)})], batch_size)
    values = np.zeros(num)
    values[tried] = asking.target.of(subject.probabilities, subject.labels) - answers[:-1]
    return values, float(answers[-1])


def _lean_of_stretches(asking: Asking, num_others: int) -> np.ndarray:
    """What stretches of sound say by themselves: `(window,)`, in all zero, and one in absolute values.

    Zeros where they all say the same. `num_others` questions are to come.
    """
    num = len(asking.subject.window_starts)
    first = np.arange(1 - STRETCH_WINDOWS, num)[:, None]
    is_heard = (np.arange(num) >= first) & (np.arange(num) < first + STRETCH_WINDOWS)
    others = frozenset(MODALITIES) - {"audio"}
    asking.num_expected = len(is_heard) + num_others
    said = asking.variants([Variant(windows=row, without=others) for row in is_heard], FEW_BATCH)
    lean = is_heard.T @ said
    lean -= lean.mean()
    total = np.abs(lean).sum()
    return lean / total if total > 0 else np.zeros(num)


def _kept_frames(subject: Subject) -> np.ndarray:
    """`(kept,)` candidates that the compression keeps."""
    choice = subject.choice.frames
    return choice.kept[0][choice.kept_mask[0]].cpu().numpy()


def _occluded_patches(asking: Asking, element: str) -> tuple[np.ndarray, float]:
    """Blurs squares of one kept frame at a time. What is kept being held, no other frame's vector changes."""
    subject, video = asking.subject, asking.subject.output.video
    choice = subject.choice
    rows, columns = subject.patch_grid
    block_of = (np.arange(rows) // PATCH_BLOCK)[:, None] * -(-columns // PATCH_BLOCK) + (
        np.arange(columns) // PATCH_BLOCK
    )
    blocks = np.arange(block_of.max() + 1)[:, None, None] == block_of
    stays = torch.from_numpy(~blocks)
    kept = _kept_frames(subject).tolist()
    asking.num_expected = len(kept) * len(blocks) + 1
    values = np.zeros((len(subject.frame_times), rows, columns))
    value = asking.target.of(subject.probabilities, subject.labels)
    with torch.no_grad():
        for place, candidate in enumerate(kept):
            pictures = subject.with_patches(stays[:, None], slice(candidate, candidate + 1))[:, 0]

            def answer(model: DeepMSI, place=place, candidate=candidate, pictures=pictures) -> Tensor:
                own = subject.frames[candidate : candidate + 1]
                before, *after = model.video.embed(torch.cat([own, pictures])).split([1, len(pictures)])
                share = choice.frames.source_map[0, place, candidate]
                seen = video.selection.tokens[0, place].view_as(before) + share * (after[0] - before)
                guide = subject.output.guide + model.video.base_guide
                index = torch.full((len(seen),), place, device=seen.device)
                patches = tuple(step.rows(index) for step in choice.patches)
                vectors = video.frame_vectors.repeat(len(seen), 1, 1)
                vectors[:, place] = model.video.stages(seen, guide.expand(len(seen), -1), patches)[0]
                return subject.differentiable(model, len(seen), frame_vectors=vectors)

            fall = value - _array(asking.value(len(blocks), answer))
            values[candidate] = (fall[:, None, None] * blocks / blocks.sum((1, 2), keepdims=True)).sum(0)
    nothing = Variant(patches=np.zeros(values.shape, bool))
    return values, float(asking.variants([nothing])[0])


def _value(asking: Asking, absent: frozenset[str]) -> float:
    """Of the clip, with some modalities absent."""
    subject = asking.subject
    if not absent:
        return float(asking.target.of(subject.probabilities, subject.labels))
    return float(asking.variants([Variant(without=absent)])[0])


def _shapley(asking: Asking, element: str, num_samples: int, seed: int) -> tuple[np.ndarray, float]:
    from captum.attr import ShapleyValueSampling

    subject, absent = asking.subject, absent_others("shapley-sampling", element)
    num = len(subject.frame_times) if element == "frame" else len(subject.words)
    players = _kept_frames(subject) if element == "frame" else np.arange(num)

    def ask(rows: np.ndarray) -> np.ndarray:
        stays = np.zeros((len(rows), num), bool)
        stays[:, players] = rows
        versions = [Variant(**{f"{element}s": row}, without=absent) for row in stays]
        return asking.variants(versions, FEW_BATCH)

    # many orders meet the same set, and a batch of sentences of one length holds no padding
    values_of, sets = Remembered(ask), _sets_met(len(players), num_samples, seed)
    asking.num_expected = len(sets) + 1
    values_of(sets)

    def value(stays: Tensor) -> Tensor:
        return torch.from_numpy(values_of(stays.numpy() > 0.5))

    sampling = ShapleyValueSampling(value)
    sampling.permutation_generator = lambda players, orders: _antithetic(players, orders, seed)
    found = sampling.attribute(
        torch.ones(1, len(players)), n_samples=num_samples, perturbations_per_eval=FEW_BATCH
    )
    values = np.zeros(num)
    values[players] = _array(found[0])
    return values, float(value(torch.zeros(1, len(players))))


def _sets_met(num_players: int, num_orders: int, seed: int) -> np.ndarray:
    """`(set, player)` bool: who has joined at any moment of any order, each set once, small ones first."""
    numbers = np.arange(num_players + 1)[:, None]
    met = [np.argsort(order) < numbers for order in _antithetic(num_players, num_orders, seed)]
    sets = np.unique(np.concatenate(met), axis=0)
    return sets[np.argsort(sets.sum(1), kind="stable")]


def _antithetic(num_players: int, num_orders: int, seed: int) -> Iterator[list[int]]:
    rng = np.random.default_rng(seed)
    order: list[int] = []
    for number in range(num_orders):
        order = order[::-1] if number % 2 else rng.permutation(num_players).tolist()
        yield order


def _times(subject: Subject, element: str) -> tuple[np.ndarray, np.ndarray]:
    if element == "word":
        times = np.array([(word.start_seconds, word.end_seconds) for word in subject.words])
        return times[:, 0], times[:, 1]
    if element == "window":
        return subject.window_starts, subject.window_ends
    return subject.frame_times, subject.frame_times


def _array(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
