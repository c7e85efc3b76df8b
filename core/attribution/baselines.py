"""What stands for an absent modality, and whether the explanation hangs on it.

"What did the text give?" asks what the model would say without it, and there is more than one way to be
without:

- *absent-token*: the vector that the model learned for "not there". The model was trained on it, and what it
  says then is what it says of clips that lack the modality.
- *donor*: the modality of another clip. Of several donors the model's answers are averaged, not their
  features, so that the model only ever sees real sights, sounds and words, though they do not belong together
  (the interventional expectation of Lundberg & Lee 2017, over the reference clips).
- *mean*: the mean feature of reference clips, which says nothing in particular, but which no clip has.

With all three, a coalition is the clip with its other modalities replaced. The text and audio that stand in
take part in the guide, so they change which frames and patches are kept, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from core.attribution.modalities import listed, report
from core.attribution.results import Target
from core.attribution.subject import Cancelled, check
from core.labels import MODALITIES
from core.model import DeepMSI, ModelInput, ModelOutput
from core.predict import Predictor
from core.prediction import SUBSETS, ModalityReport
from core.prepared import PreparedClip, stack_frames

BASELINES = {
    "absent-token": "the learned absent vector",
    "mean": "mean features",
    "donor": "donor clips",
}
"""What may stand for an absent modality, by name, as sentences call it."""

NEAR = 0.02
"""Modalities whose Shapley values lie this close rank the same: the app shows whole percentage points."""

OPPOSED = 0.05
"""From here on a modality speaks for or against a label; below, it is as good as silent."""


def explain_modalities(
    predictor: Predictor,
    prepared: PreparedClip,
    *,
    baseline: str = "absent-token",
    reference: Sequence[PreparedClip] = (),
    cancelled: Cancelled | None = None,
) -> ModalityReport:
    """What each modality gave to the answer, under a stated meaning of "absent".

    A coalition's probabilities are those of the clip with every other modality of it replaced. What the clip
    itself lacks is never replaced: it stays absent, and gets zero.

    - "absent-token": by the learned vector; the report that comes with a prediction.
    - "donor": by those of a reference clip, all from the same one; the probabilities are the mean over the
      reference clips. Where the donor's video stands in, the model keeps of its frames what the guide asks
      for, made of the text and audio of this very coalition.
    - "mean": by the mean feature of the reference clips: of audio and text what the frozen encoders return,
      of video what the temporal network returns for each reference clip as it is, its own text and audio
      guiding. Where the clip's own video takes part, mean text and audio guide in place of absent ones.

    The full coalition is the clip as it is, under all three. The verdict's rule was made for the learned
    vector and is measured with it; the other baselines' verdicts follow the same rule, with "alone" meaning
    beside the stand-ins, and are not for show.

    Args:
        predictor: whose model is asked.
        prepared: of `predictor.prepare`.
        baseline: one of `BASELINES`.
        reference: clips that hold all modalities the clip does, best of other speakers and of several
            emotions; not read with "absent-token". Every donor costs about as much as two predictions.
        cancelled: asked before every reference clip.

    Raises:
        ExplanationCancelledError: if `cancelled` says so.
        MediaError: if the clip holds no modality.
        ValueError: if the baseline is not known, or there is no reference clip, or one lacks a modality.
    """
    if baseline not in BASELINES:
        raise ValueError(f"{baseline!r} is none of the baselines {', '.join(BASELINES)}")
    check(cancelled)
    if baseline == "absent-token":
        return predictor.predict(prepared).modalities
    there = tuple(m for m in MODALITIES if prepared.present[m])
    _check_reference(baseline, reference, there)

    with predictor.model() as model, torch.inference_mode():
        own = _parts(predictor, model, prepared, there)
    stand_ins = (_donors if baseline == "donor" else _mean)(predictor, reference, there, cancelled)
    answers = []
    for stand_in in stand_ins:
        with predictor.model() as model, torch.inference_mode():
            answers.append(_coalitions(predictor, model, own, stand_in))
    labels = predictor.config.labels.labels
    return report(np.mean(answers, axis=0), labels, prepared.present)


@dataclass(frozen=True, kw_only=True)
class BaselineAgreement:
    """Whether an explanation hangs on what stands for an absent modality.

    Attributes:
        target: what is explained.
        first: for each baseline, the modality with the largest Shapley value of the target.
        largest_difference: of one modality's Shapley value between two baselines.
        differs: that modality.
        between: those two baselines, the one with the lower value first.
        agree: whether they lead to the same reading; the rule is that of `compare_baselines`.
        sentence: the same in words; a warning where they do not agree.
    """

    target: Target
    first: dict[str, str]
    largest_difference: float
    differs: str
    between: tuple[str, str]
    agree: bool
    sentence: str


def compare_baselines(
    reports: Mapping[str, ModalityReport], labels: tuple[str, ...], target: Target
) -> BaselineAgreement:
    """Whether the baselines tell the same of a clip.

    They disagree, and the sentence is a warning, where one of these holds, the first being told:

    - *opposed*: a modality speaks for the target under one baseline and against it under another, by at least
      `OPPOSED` each;
    - *other first*: no modality is first under all of them, where a modality within `NEAR` of the largest
      Shapley value counts as first too.

    Values that merely differ are no disagreement, since each baseline explains the difference to another
    answer: the largest difference is told, for the reader to judge.

    Args:
        reports: of one clip, by baseline (`explain_modalities`).
        labels: class names.
        target: a label, or one and not another.

    Raises:
        ValueError: if there are fewer than two reports, or the target's labels are not known.
    """
    if len(reports) < 2:
        raise ValueError(f"comparing baselines needs at least two reports, not {len(reports)}")
    names = list(reports)
    alone = [SUBSETS.index((modality,)) for modality in MODALITIES]
    present = ~np.isnan(reports[names[0]].probabilities[alone]).any(axis=1)
    there = [m for m, is_there in zip(MODALITIES, present, strict=True) if is_there]
    # (baseline, modality)
    values = np.stack([target.of(reports[name].shapley, labels)[present] for name in names])

    first = {name: there[int(row.argmax())] for name, row in zip(names, values, strict=True)}
    spread = np.ptp(values, axis=0)
    widest = int(spread.argmax())
    is_first = values >= values.max(axis=1, keepdims=True) - NEAR
    is_opposed = (values.min(axis=0) <= -OPPOSED) & (values.max(axis=0) >= OPPOSED)

    opposed = int(np.argmax(np.where(is_opposed, spread, -1)))
    shared = int(np.argmax(np.where(is_first.all(axis=0), values.mean(axis=0), -np.inf)))
    agree = not is_opposed.any() and bool(is_first.all(axis=0).any())

    def at(modality: int, baseline: int) -> str:
        return f"{BASELINES[names[baseline]]} ({100 * values[baseline, modality]:+.0f} points)"

    low, high = values.argmin(axis=0), values.argmax(axis=0)
    # "for joy, not fear, with …"
    named = f"{target}," if target.instead_of is not None else f"{target}"
    difference = f"{there[widest]} differs most, from {at(widest, low[widest])} to {at(widest, high[widest])}"
    if agree:
        sentence = (
            f"Whatever stands for an absent modality, {there[shared]} ranks first for {target}; {difference}."
        )
    elif is_opposed.any():
        sentence = (
            f"{there[opposed]} speaks against {named} with {at(opposed, low[opposed])}, but for it with "
            f"{at(opposed, high[opposed])}."
        )
    else:
        under = {m: listed([BASELINES[name] for name in names if first[name] == m]) for m in first.values()}
        (one, its), *others = under.items()
        rest = "".join(f", but {other} with {theirs}" for other, theirs in others)
        sentence = f"{one} ranks first for {named} with {its}{rest}; {difference}."
    warning = "Warning: this explanation hangs on what stands for an absent modality: "
    return BaselineAgreement(
        target=target,
        first=first,
        largest_difference=float(spread[widest]),
        differs=there[widest],
        between=(names[low[widest]], names[high[widest]]),
        agree=agree,
        sentence=sentence if agree else warning + sentence,
    )


def _check_reference(baseline: str, reference: Sequence[PreparedClip], there: tuple[str, ...]) -> None:
    if not reference:
        raise ValueError(f"the baseline {baseline!r} needs at least one reference clip")
    for clip in reference:
        lacking = [modality for modality in there if not clip.present[modality]]
        if lacking:
            raise ValueError(
                f"the reference clip {clip.clip.path.name} has no {listed(lacking)}, which the explained "
                "clip has; choose one that does"
            )


def _parts(
    predictor: Predictor, model: DeepMSI, clip: PreparedClip, there: tuple[str, ...]
) -> dict[str, Tensor]:
    """For each modality, what the model reads: embedded frames `(frame, …)`, or features `(…)`."""
    parts = {m: predictor.features(clip, m) for m in there if m != "video"}
    if "video" in there:
        frames, _ = stack_frames([clip.crops])
        parts["video"] = model.video.embed(frames[0].to(predictor.device))
    return parts


def _donors(
    predictor: Predictor,
    reference: Sequence[PreparedClip],
    there: tuple[str, ...],
    cancelled: Cancelled | None,
) -> Iterator[dict[str, Tensor]]:
    """The parts of each reference clip, one after the other: embedded frames are large."""
    for clip in reference:
        check(cancelled)
        with predictor.model() as model, torch.inference_mode():
            donor = _parts(predictor, model, clip, there)
        yield donor


def _mean(
    predictor: Predictor,
    reference: Sequence[PreparedClip],
    there: tuple[str, ...],
    cancelled: Cancelled | None,
) -> Iterator[dict[str, Tensor]]:
    """The mean feature of each modality, as the one stand-in."""
    rows = []
    for clip in reference:
        check(cancelled)
        with predictor.model() as model, torch.inference_mode():
            everything = tuple(m for m in MODALITIES if clip.present[m])
            parts = _parts(predictor, model, clip, everything)
            if "video" in there:
                parts["video"] = _output(predictor, model, [parts]).features["video"][0]
            rows.append(parts)
    yield {m: torch.stack([parts[m] for parts in rows]).mean(0) for m in there}


def _coalitions(
    predictor: Predictor, model: DeepMSI, own: dict[str, Tensor], stand_in: dict[str, Tensor]
) -> np.ndarray:
    """Probabilities `(subset, class)` of the clip's own parts in a subset, the stand-in's elsewhere."""
    answers = np.full((len(SUBSETS), len(predictor.config.labels)), np.nan)
    known = [row for row, subset in enumerate(SUBSETS) if own.keys() >= set(subset)]
    # frames and a video feature do not go together into one batch
    for with_video in (True, False):
        rows = [row for row in known if ("video" in SUBSETS[row]) == with_video]
        if not rows:
            continue
        mixed = [{m: (own if m in SUBSETS[row] else stand_in)[m] for m in own} for row in rows]
        logits = _output(predictor, model, mixed).logits
        temperature = predictor.checkpoint.info.temperature
        answers[rows] = (logits / temperature).softmax(-1).double().cpu().numpy()
    return answers


def _output(predictor: Predictor, model: DeepMSI, rows: Sequence[dict[str, Tensor]]) -> ModelOutput:
    """The model's output for clips put together from parts, all of the same modalities."""
    batch: dict[str, Tensor] = {}
    for modality in ("audio", "text"):
        if modality in rows[0]:
            batch[f"{modality}_features"] = torch.stack([row[modality] for row in rows])
    if "video" in rows[0]:
        videos = [row["video"] for row in rows]
        if videos[0].ndim == 1:
            batch["video_features"] = torch.stack(videos)
        else:
            lengths = torch.tensor([len(video) for video in videos], device=predictor.device)
            most = torch.arange(int(lengths.max()), device=predictor.device)
            batch["frame_tokens"] = pad_sequence(videos, batch_first=True)
            batch["frame_mask"] = most < lengths.unsqueeze(1)
    present = torch.tensor([[m in rows[0] for m in MODALITIES]] * len(rows), device=predictor.device)
    return model(ModelInput(present=present, **batch))
