"""The figures of `core.evaluation.failures` and its neighbours in words: each sentence is made here alone."""

from __future__ import annotations

from core.attribution.modalities import listed
from core.evaluation.failures import MissedClass, Share
from core.evaluation.label_errors import LabelErrors
from core.evaluation.slices import SIGNIFICANT, Slices
from core.labels import MODALITIES, MODALITY_NOUNS

FEW = 10
"""Missed clips below which the answer says that they are examples and no pattern."""

RARE = 0.5
"""A class is called rare where it has less than this part of an even share."""

HARDLY = 0.05
"""Differences of mean confidence below this are no difference in words."""

NUM_NAMED = 3
"""Classes that "where they go" names before it only counts."""

MADE_COLUMNS = (
    "Of made clips, informative: what carries the emotion; scenario: the same, and how, such as sarcasm; "
    "cell: the same, with all contradictions as one; video_emotion, audio_emotion and text_emotion: what "
    "picture, sound and words show."
)
"""What the columns of made clips mean, by which they are sliced (`sample_data.corpus.schema.ClipPlan`)."""


def answer(missed: MissedClass) -> tuple[str, ...]:
    """Why clips of the class are missed, one sentence per reason looked at, most basic first."""
    label, of = missed.label, missed.missed
    if not of.total:
        return (
            f"No clip here is labelled {label}, so whether {label} is missed cannot be told.",
            *_told(missed),
        )
    if not of.count:
        noun = "The one clip" if of.total == 1 else f"All {of.total} clips"
        verb = "is" if of.total == 1 else "are"
        return (f"{noun} labelled {label} {verb} recognised; none is missed.", *_told(missed), _prior(missed))
    lines = [
        f"Of {_clips(of.total)} labelled {label} the model misses {of.count} ({_percent(of)}).",
        _prior(missed),
        _goes_to(missed),
        _confidence(missed),
        _near(missed),
        _alone(missed),
        _conflict(missed),
    ]
    if of.count < FEW:
        what = "is missed: take this as an example" if of.count == 1 else "are missed: take this as examples"
        lines.append(f"Only {of.count} {what}, not as a pattern.")
    return tuple(lines)


def of_slices(found: Slices) -> str:
    """How many slices were looked at and how many stand out."""
    what = f" of the clips labelled {found.label}" if found.label else ""
    if not found.num_looked_at:
        return (
            f"No slice{what} could be looked at: it takes at least {found.min_clips} clips inside and as "
            "many outside."
        )
    standing = sum(part.adjusted_p_value <= SIGNIFICANT for part in found.slices)
    looked = "1 slice" if found.num_looked_at == 1 else f"{found.num_looked_at} slices"
    was = "was" if found.num_looked_at == 1 else "were"
    small = f" {found.num_too_small} smaller ones were left out." if found.num_too_small > 1 else ""
    small = " 1 smaller one was left out." if found.num_too_small == 1 else small
    result = (
        "None errs more often than the rest by more than chance explains, after the correction for looking "
        "at all of them."
        if not standing
        else f"{standing} {'errs' if standing == 1 else 'err'} more often than the rest, after the "
        "correction for looking at all of them."
    )
    return f"{looked}{what} with at least {found.min_clips} clips {was} looked at.{small} {result}"


def how_to_read_slices(found: Slices) -> str:
    """What the figures beside a list of slices mean, and what to make of them."""
    of_made_clips = f" {MADE_COLUMNS}" if any(part.column == "informative" for part in found.slices) else ""
    return (
        "p: chance of at least so many errors inside if errors fell anywhere (Fisher, one-sided). Adjusted: "
        f"for all {found.num_looked_at} that were looked at (Benjamini and Hochberg); a star marks those up "
        f"to {SIGNIFICANT:g}. Clips of one speaker err alike, so even these are places to look. That the "
        f"model errs more where it is less confident is as it should be.{of_made_clips}"
    )


def of_label_errors(errors: LabelErrors, num_clips: int, num_wrong: int, split: str) -> str:
    """What was found, and why none of it is a finding yet."""
    count = len(errors.suspects)
    if not count:
        found = "No label is contradicted with the confidence that the model usually has in a class."
    else:
        found = (
            f"{count} of {num_clips} labels {'is' if count == 1 else 'are'} contradicted with at least the "
            "confidence that the model usually has in the other class."
        )
    caveat = (
        f" These are places to look, not errors found: the model itself is wrong on {num_wrong} of "
        f"{num_clips} clips, and a model that errs systematically is sure of its errors too."
    )
    learned = " It has learned from these very clips, labels included, so that it finds too few." * (
        split == "train"
    )
    return found + caveat * bool(count) + learned


def _told(missed: MissedClass) -> tuple[str, ...]:
    """That the class is predicted where it is not the label."""
    false = missed.precision.total - missed.precision.count
    if not false:
        return ()
    return (f"It is predicted for {_clips(false)} labelled otherwise.",)


def _prior(missed: MissedClass) -> str:
    known = missed.trained or missed.evaluated
    share, even = known.value or 0.0, 1 / missed.num_classes
    where = "the clips it learned from" if missed.trained else "the clips evaluated here"
    kind = "rare" if share < RARE * even else "common" if share > 1.5 * even else "neither rare nor common"
    text = (
        f"{missed.label.capitalize()} is {kind} among {where}: {known.count:,} of {known.total:,} "
        f"({_percent(known)}; an even share would be {100 * even:.0f} %)."
    )
    if missed.trained is None:
        text += " How often training showed it is not known here."
    if missed.remedies:
        text += f" Training made up for unequal shares by {listed(missed.remedies)}."
    elif missed.remedies is not None:
        text += " Training did nothing about unequal shares."
    return text


def _goes_to(missed: MissedClass) -> str:
    named = missed.goes_to[:NUM_NAMED]
    rest = sum(count for _, count in missed.goes_to[NUM_NAMED:])
    if missed.missed.count == 1:
        return f"The model takes it for {named[0][0]}."
    (first, count), *others = named
    parts = [f"{count} of them for {first}", *(f"{count} for {label}" for label, count in others)]
    return f"The model takes {listed([*parts, *([f'{rest} for others'] * bool(rest))])}."


def _confidence(missed: MissedClass) -> str:
    wrong, right = missed.confidence_missed, missed.confidence_right
    said = f"On the missed clips the model gives its wrong answer {100 * wrong:.0f} % on average"
    if right is None:
        return f"{said}; there is no recognised one to compare with."
    how = (
        "so it hardly hesitates where it errs"
        if right - wrong < HARDLY
        else "so it is less sure where it errs"
    )
    return f"{said}, on the recognised ones its right answer {100 * right:.0f} %: {how}."


def _near(missed: MissedClass) -> str:
    return (
        f"The missed clips get {100 * missed.probability_missed:.0f} % for {missed.label} on average; for "
        f"{missed.second.count} of {missed.second.total} it is the second choice."
    )


def _alone(missed: MissedClass) -> str:
    singles = [(m, missed.right_alone[m]) for m in MODALITIES if missed.right_alone[m].total]
    hits = [f"{MODALITY_NOUNS[m]} on {of.count} of {of.total}" for m, of in singles if of.count]
    total = missed.single_right.total
    if not hits:
        which = "the missed clip" if total == 1 else f"any of the {total} missed clips"
        return f"No modality alone gets {which} right."
    none = total - missed.single_right.count
    last = f"; on {none} of {total} none does" if none else ""
    return f"Alone, a modality would have been right where all together are wrong: {listed(hits)}{last}."


def _conflict(missed: MissedClass) -> str:
    inside, outside = missed.conflict_missed, missed.conflict_right
    clips = "clip" if inside.total == 1 else "clips"
    text = f"Modalities contradict one another in {inside.count} of {inside.total} missed {clips}"
    if outside.total:
        text += f", and in {outside.count} of {outside.total} recognised ones"
    return f"{text}."


def _percent(of: Share) -> str:
    return f"{100 * (of.value or 0):.0f} %"


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"
