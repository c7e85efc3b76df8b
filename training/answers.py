"""Asking a model about every clip of a data set, with each subset of the modalities.

In several processes each asks about its share of the clips, and `gather_answers` brings the answers together
before anything is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.labels import MODALITIES
from core.model import DeepMSI, ModelInput, ModelOutput
from core.prediction import SUBSETS
from training.features import ClipFeatures, FeatureSet
from training.sampler import collate

Progress = Callable[[int, int], None]
"""Called with the number of clips done and of all."""


Watch = Callable[[np.ndarray, tuple[str, ...], ModelOutput], None]
"""Called with positions of the clips, the subset, and the model's output: one row per clip."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a model says of one clip, as plain arrays that can travel between processes.

    Attributes:
        logits: `(subset, class)` in the order of `SUBSETS`, as the network gives them. A subset shows those
            of its modalities that the clip has; NaN where it has none of them, or was not asked.
        embeddings: with everything shown: of each modality that the clip has, and "fused"; `(dim,)`.
        kept_frame_seconds: with everything shown; None where the clip has no video.
        face: as in `training.features.ClipFeatures`; None where the picture was not shown.
    """

    key: str
    logits: np.ndarray
    embeddings: dict[str, np.ndarray]
    kept_frame_seconds: tuple[float, ...] | None
    face: str | None = None


@torch.inference_mode()
def ask(
    model: DeepMSI,
    features: FeatureSet,
    *,
    subsets: Sequence[tuple[str, ...]] = SUBSETS,
    batch_size: int = 8,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> list[Answer]:
    """The model's answers about every clip.

    What a subset does not change (frames before any guide, sound and words before fusion) is computed once
    for all subsets, and subsets that come to the same for all clips of a batch are asked once.

    Args:
        model: put into evaluation mode.
        features: made for this model (`training.features.prepare`).
        subsets: of the modalities, members of `SUBSETS`.
        batch_size: clips at once; the answers do not depend on it, except in 8 bits.
        progress: told how many clips are done.
        watch: sees the answer to each batch and subset.
    """
    model.eval()
    device = next(model.parameters()).device
    answers: list[Answer] = []
    for start in range(0, len(features), batch_size):
        clips = [features[i] for i in range(start, min(start + batch_size, len(features)))]
        inputs = _encoded(model, collate(clips, model.config).inputs.to(device))
        logits = np.full((len(clips), len(SUBSETS), len(model.config.labels)), np.nan)
        outputs: dict[bytes, ModelOutput] = {}
        for subset in subsets:
            shown = inputs.present & torch.tensor([m in subset for m in MODALITIES], device=device)
            known = (shown.any(dim=1) | (len(subset) == 0)).cpu().numpy()
            if not known.any():
                continue
            same = shown.cpu().numpy().tobytes()
            output = outputs[same] = outputs.get(same) or model(replace(inputs, present=shown))
            logits[known, SUBSETS.index(subset)] = output.logits.double().cpu().numpy()[known]
            if watch is not None:
                watch(np.arange(start, start + len(clips)), subset, output)
        everything = outputs.get(inputs.present.cpu().numpy().tobytes())
        for i, clip in enumerate(clips):
            answers.append(_answer(clip, logits[i], everything, i))
        if progress is not None:
            progress(len(answers), len(features))
    return answers


def join_answers(parts: Iterable[Sequence[Answer]], keys: Sequence[str]) -> list[Answer]:
    """The answers of several processes as one list in the order of `keys`, each clip once.

    Processes that need equally many clips repeat some, so the first answer about a clip counts.

    Raises:
        ValueError: if there is no answer about a clip.
    """
    by_key: dict[str, Answer] = {}
    for part in parts:
        for answer in part:
            by_key.setdefault(answer.key, answer)
    missing = [key for key in keys if key not in by_key]
    if missing:
        raise ValueError(f"there is no answer about {len(missing)} clips, {missing[0]} among them")
    return [by_key[key] for key in keys]


def gather_answers(answers: Sequence[Answer], keys: Sequence[str]) -> list[Answer]:
    """`join_answers` over all processes of the run; every process must call it, and gets all answers."""
    from accelerate.utils import gather_object

    # of one process it is the list itself
    return join_answers([gather_object(list(answers))], keys)


def _encoded(model: DeepMSI, inputs: ModelInput) -> ModelInput:
    """The batch with all done that does not depend on what else is shown."""
    inputs = replace(
        inputs,
        audio_features=model.audio_features(inputs),
        text_features=model.text_features(inputs),
        **dict.fromkeys(("waveforms", "num_samples", "token_ids", "token_mask")),
    )
    if inputs.frames is None:
        return inputs
    embedded = model.video.embed(inputs.frames[inputs.frame_mask])
    tokens = embedded.new_zeros(*inputs.frame_mask.shape, *embedded.shape[1:])
    tokens[inputs.frame_mask] = embedded
    return replace(inputs, frames=None, frame_tokens=tokens)


def _answer(clip: ClipFeatures, logits: np.ndarray, output: ModelOutput | None, row: int) -> Answer:
    """One clip's answer; `output` is the one with everything shown, None where that was not asked."""
    embeddings, kept, face = {}, None, None
    if output is not None and (shown := output.present[row]).any():
        embeddings = {
            m: _array(output.projections[m][row]) for m, has in zip(MODALITIES, shown, strict=True) if has
        }
        embeddings["fused"] = _array(output.fused[row])
        if shown[0]:
            selection = output.video.selection
            position = int((output.video_rows == row).nonzero())
            frames = selection.kept[position][selection.kept_mask[position]].sort().values
            kept = tuple(float(clip.times_seconds[frame]) for frame in frames.tolist())
            face = clip.face
    return Answer(
        key=clip.utterance.key, logits=logits, embeddings=embeddings, kept_frame_seconds=kept, face=face
    )


def _array(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
