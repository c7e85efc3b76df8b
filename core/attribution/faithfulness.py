"""Whether an attribution can be believed: put to the test on the model, and judged in words.

The tests ask what the model answers when elements are absent (`core.attribution.removal`, with absence as
`core.attribution.subject` understands it), when the clip is hardly changed, and when the model has forgotten
what it learned (`core.attribution.randomisation`). None of them takes a method's word for it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from core.attribution.elements import absent_others
from core.attribution.randomisation import Explain, Randomised, randomised
from core.attribution.removal import Curves, Infidelity, Remembered, Values, curves, infidelity
from core.attribution.results import Attribution, Target
from core.attribution.subject import Cancelled, Subject, check
from core.attribution.variants import Variant
from core.encoders.video import VideoChoice

MIN_ELEMENTS = 4
"""Of three elements one order in six is right by chance; of four one in 24, which is less than 5 %."""

MIN_SPAN = 0.05
"""Where nothing that is removed moves the value by this much, there is hardly anything to explain: five
points are about one standard error of a probability that was calibrated on a hundred clips."""

MAX_GAP = 0.1
"""Share of the difference that a method may leave unexplained: more, and the numbers do not add up to what
they are said to be shares of."""

MIN_DIFFERENCE = 0.1
"""Gaps are told as shares of no less than this, so that a gap below one point of probability is none."""

NUM_SETS = 32
"""Random sets of elements that infidelity removes. Of more elements than sets, as of patches, hardly any deal
of the values stands out, however good they are: there infidelity is told, but not judged."""

MAX_CHANCE = 0.05
"""The customary level; the intervals of the curves stand on the same."""

SENSITIVE, UNSTABLE = 0.5, 1.0
"""Change of an attribution over its length, when the clip is changed by less than anybody notices. Of two
equally long ones, those that have nothing in common (90 degrees) are 1.41 apart, 60 degrees give 1, and 29
degrees, a cosine of 0.87, give 0.5."""

MAX_RANDOMISED = 0.5
"""Rank correlation with the attribution of a network of random weights. What is half the same without
anything learned tells of the clip and of the method, not of what the model has learned."""

PIXEL_NOISE = 0.02
"""Five of 255 steps of brightness, evenly distributed: not seen on a face."""

SOUND_NOISE = 0.01
"""Of the sound's own level, so 40 dB below it: less than the hiss of a good recording in a quiet room."""

VERDICTS = ("supported", "weak", "do not rely on this")
"""From the best to the worst."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Faithfulness:
    """What the tests found about one attribution.

    Attributes:
        element, method, target: of the attribution.
        num_elements: that were tested: all, but of patches those of kept frames.
        curves: deletion and insertion.
        infidelity: see there.
        relative_gap: the attribution's gap over the difference it should explain, or over ten points of
            probability where that is less; NaN where the method does not distribute the difference.
        sensitivity: largest relative change of the attribution when the clip is hardly changed
            (`captum.metrics.sensitivity_max`); NaN where it was not measured.
        randomised: from the top of the network downwards; empty where it was not measured.
        verdict: one of `VERDICTS`.
        reasons: sentences, what counts most first.
        num_passes: versions of the clip that the model was asked about; without those of `explain`.
        seconds: wall time.
    """

    element: str
    method: str
    target: Target
    num_elements: int
    curves: Curves
    infidelity: Infidelity
    relative_gap: float
    sensitivity: float
    randomised: tuple[Randomised, ...]
    verdict: str
    reasons: tuple[str, ...]
    num_passes: int
    seconds: float


def faithfulness(
    subject: Subject,
    attribution: Attribution,
    *,
    explain: Explain | None = None,
    num_random: int = 6,
    num_perturbations: int = NUM_SETS,
    num_changed: int = 3,
    seed: int = 0,
    cancelled: Cancelled | None = None,
) -> Faithfulness:
    """Put an attribution to the test.

    Args:
        subject: that it explains.
        attribution: of any method.
        explain: makes the attribution of a subject by the same method, perhaps in fewer steps: asked
            `num_changed` times for hardly changed clips, once for every group of layers, and once for this
            subject, so that like is held against like. None leaves these two tests out.
        num_random: random orders of removal, at least 2.
        num_perturbations: random sets of elements that infidelity removes.
        num_changed: hardly changed clips. Words have none: other words are another sentence.
        seed: of everything random.
        cancelled: asked between batches.

    Raises:
        ExplanationCancelledError: if `cancelled` says so.
    """
    start = time.perf_counter()
    tested = removable_elements(subject, attribution)
    absent = absent_others(attribution.method, attribution.element)
    asked = values_of(subject, attribution.element, attribution.target, tested, cancelled, absent=absent)
    values = Remembered(asked)
    scores = attribution.values[tested].astype(np.float64)
    rng = np.random.default_rng(seed)
    found = curves(values, scores, num_random=num_random, rng=rng)
    size = infidelity(values, scores, num_perturbations=num_perturbations, rng=rng)
    changed, random = np.nan, ()
    if explain is not None:
        own = explain(subject)
        if attribution.element != "word":
            changed = sensitivity(subject, own, explain, num_changed, rng, cancelled)
        random = randomised(subject, own, explain, seed=seed, cancelled=cancelled)
    difference = attribution.value - attribution.baseline_value
    gap = abs(attribution.gap) / max(abs(difference), MIN_DIFFERENCE)
    verdict, reasons = judge(
        attribution.element,
        len(scores),
        found,
        size,
        relative_gap=gap,
        sensitivity=changed,
        randomised=random,
    )
    return Faithfulness(
        element=attribution.element,
        method=attribution.method,
        target=attribution.target,
        num_elements=len(scores),
        curves=found,
        infidelity=size,
        relative_gap=float(gap),
        sensitivity=changed,
        randomised=random,
        verdict=verdict,
        reasons=reasons,
        num_passes=len(values.known),
        seconds=time.perf_counter() - start,
    )


def removable_elements(subject: Subject, attribution: Attribution) -> np.ndarray:
    """Which elements are removed: bool, shaped like the attribution's values.

    All of them; but of patches only those of kept frames. Most of the others are not seen at all, and random
    orders that waste their steps on them would flatter every method.
    """
    tested = np.ones(attribution.values.shape, bool)
    if attribution.element in ("frame", "patch"):
        tested[:] = False
        tested[subject.choice.frames.kept[0].cpu().numpy()] = True
    return tested


def values_of(
    subject: Subject,
    element: str,
    target: Target,
    tested: np.ndarray,
    cancelled: Cancelled | None = None,
    *,
    absent: frozenset[str] = frozenset(),
) -> Values:
    """The value of a clip as a function of which of the tested elements stay.

    While words and windows of sound are removed the model decides anew what it keeps. While patches are, the
    choice of frames is held: else another frame, whose patches nobody removes, would take a blurred one's
    place. Frames are left out of the sequence of those that are kept. Where the method explains the elements
    with other modalities absent, these are absent here too.
    """
    held = VideoChoice(frames=subject.choice.frames) if element == "patch" else None

    def variant(stays: np.ndarray) -> Variant:
        whole = np.ones(tested.shape, bool)
        whole[tested] = stays
        if element != "patch":
            return Variant(**{f"{element}s": whole}, without=absent)
        if not stays.any():
            return Variant(without=frozenset({"video"}))
        return Variant(patches=whole, choice=held)

    def values(stays: np.ndarray) -> np.ndarray:
        answers = subject.ask([variant(row) for row in stays], cancelled=cancelled)
        return target.of(answers, subject.labels)

    return values


def sensitivity(
    subject: Subject,
    attribution: Attribution,
    explain: Explain,
    num_changed: int,
    rng: np.random.Generator,
    cancelled: Cancelled | None = None,
) -> float:
    """The largest change of an attribution of sound or video under noise that nobody notices.

    Args:
        subject: that it explains.
        attribution: of windows, frames or patches.
        explain: see `faithfulness`.
        num_changed: noisy versions of the clip.
        rng: draws the noise.
        cancelled: asked before every version.

    Returns:
        max over the versions of ‖attribution of the version − attribution‖ / ‖attribution‖.
    """
    import captum.metrics

    is_sound = attribution.modality == "audio"
    own = subject.waveform if is_sound else subject.frames[None]
    radius = SOUND_NOISE * 3**0.5 * float(own.square().mean().sqrt()) if is_sound else PIXEL_NOISE
    whole = torch.from_numpy(np.ascontiguousarray(attribution.values, np.float64))

    def noisy(inputs: torch.Tensor) -> torch.Tensor:
        noise = torch.from_numpy(rng.uniform(-radius, radius, inputs.shape).astype(np.float32))
        changed = inputs + noise.to(inputs.device)
        return changed.clamp(-1, 1) if is_sound else changed.clamp(0, 1)

    # in tuples both ways: Captum takes the rows of a lone tensor for tensors, and its norms are then wrong
    def explained(inputs: tuple[torch.Tensor] | torch.Tensor) -> tuple[torch.Tensor]:
        version = (inputs[0] if isinstance(inputs, tuple) else inputs)[0]
        if torch.equal(version, own[0]):
            return (whole[None],)
        check(cancelled)
        part = {"waveform": version.cpu().numpy()} if is_sound else {"frames": version}
        values = explain(subject.changed(**part)).values
        return (torch.from_numpy(np.asarray(values, np.float64))[None],)

    found = captum.metrics.sensitivity_max(
        explained, own, noisy, n_perturb_samples=num_changed, max_examples_per_batch=1
    )
    return float(found)


def judge(
    element: str,
    num_elements: int,
    found: Curves,
    size: Infidelity,
    *,
    relative_gap: float = np.nan,
    sensitivity: float = np.nan,
    randomised: tuple[Randomised, ...] = (),
) -> tuple[str, tuple[str, ...]]:
    """The verdict, and the reasons for it in sentences.

    *Do not rely on this*, if any of these holds:

    - elements removed or added in the order of attribution change the value no sooner than in an order that
      was drawn at random (with 95 %; where one of a few alone matters, the right order does not pass);
    - hardly noticeable noise changes the attribution by `UNSTABLE` or more;
    - a network of random weights gives nearly the same attribution: the rank correlation, all layers drawn
      anew, reaches `MAX_RANDOMISED`, and is more than chance gives for so many elements (one in twenty).

    *Weak*, if any of these does:

    - there are fewer than `MIN_ELEMENTS` elements, so that no order can be tested (then the first rule
      above, about orders, is not asked);
    - removing elements moves the value by less than `MIN_SPAN`;
    - only removing, or only adding, in the order of attribution is better than random orders;
    - dealt out at random, its values foretell as well what removing several elements changes (in more than
      one of twenty deals: `MAX_CHANCE`; of no more than `NUM_SETS` elements);
    - the gap is more than `MAX_GAP` of what should be explained;
    - hardly noticeable noise changes the attribution by `SENSITIVE` or more.

    *Supported* otherwise: it passed what was measured, which is no proof.

    Args:
        element: see `Attribution`.
        num_elements: that were tested.
        found: their curves.
        size: their infidelity.
        relative_gap: as in `Faithfulness`; NaN is not judged.
        sensitivity: the same.
        randomised: the same; empty is not judged.
    """
    many = f"{element}s" if element != "patch" else "patches"
    grave, slight = [], []
    better = found.is_deletion_better, found.is_insertion_better
    if num_elements < MIN_ELEMENTS:
        slight.append(f"There are only {num_elements} {many}, too few to test their order.")
    elif not any(better):
        grave.append(f"Its order of the {many} moves the answer no sooner than a random order may.")
    elif not all(better):
        doing, other = ("removed", "added") if better[0] else ("added", "removed")
        slight.append(
            f"Its order of the {many} beats random orders when they are {doing}, not when they are {other}."
        )
    if sensitivity >= UNSTABLE:
        grave.append(f"Noise that nobody notices turns it into another one (change {sensitivity:.2f}).")
    elif sensitivity >= SENSITIVE:
        slight.append(f"Noise that nobody notices changes it a good deal (change {sensitivity:.2f}).")
    if randomised and randomised[-1].is_alike(MAX_RANDOMISED):
        grave.append(
            "A network of random weights gives nearly the same "
            f"(rank correlation {randomised[-1].correlation:.2f}), so it does not tell what was learned."
        )
    if found.span < MIN_SPAN:
        slight.append(f"There is little to explain: the {many} move the value by {found.span:.2f} at most.")
    if num_elements <= NUM_SETS and size.chance > MAX_CHANCE:
        slight.append(f"Dealt out to the {many} at random, its shares would foretell the changes as well.")
    if relative_gap > MAX_GAP:
        slight.append(f"It leaves {relative_gap:.0%} of the difference unexplained.")
    if grave or slight:
        return VERDICTS[2 if grave else 1], (*grave, *slight)
    reasons = [f"Its order of the {many} moves the answer sooner than random orders do, removed and added."]
    if sensitivity < SENSITIVE:
        reasons.append("It stays nearly the same under noise that nobody notices.")
    if randomised:
        reasons.append("A network of random weights gives another one.")
    return VERDICTS[0], tuple(reasons)
