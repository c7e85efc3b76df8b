"""The evaluation of a checkpoint: `training.answers` asks it, `core.evaluation` describes what is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core.checkpoint import Checkpoint
from core.checkpoint_files import current_versions
from core.evaluation.artifact import Evaluation, EvaluationInfo, Skipped
from core.evaluation.build import EvaluatedClip, build_evaluation
from core.evaluation.calibration import calibrated
from core.evaluation.failures import COUNTS
from core.evaluation.metrics import NUM_BOOTSTRAP
from core.labels import MODALITIES, none_of
from core.model import DeepMSI
from training.answers import Answer, Progress, ask, gather_answers
from training.datasets import DataError, Utterance
from training.features import FeatureSet


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    features: FeatureSet,
    *,
    data: Path,
    split: str,
    protocol: str = "official",
    fold: str = "",
    caveats: tuple[str, ...] = (),
    batch_size: int = 8,
    num_bootstrap: int = NUM_BOOTSTRAP,
    progress: Progress | None = None,
    rank: int = 0,
    num_processes: int = 1,
) -> Evaluation:
    """Ask a checkpoint about every clip and evaluate the answers.

    Of several processes each asks about its share of the clips; all must call this, and get the same.

    Args:
        checkpoint: see `core.checkpoint.load_checkpoint`.
        features: of the clips, made for its model; what was skipped is told in the evaluation.
        data: the data set as it was opened; paths are told from its folder.
        split: of the data that `features` holds.
        protocol: by which the data were parted.
        fold: of the protocol.
        caveats: to be told with every figure; see `caveats_of`.
        batch_size: clips at once; the evaluation does not depend on it, except in 8 bits (`core.int8`), where
            inputs are rounded together.
        num_bootstrap: resamples for the intervals.
        progress: told how many clips are done.
        rank: of this process, from zero.
        num_processes: of the run.

    Raises:
        DataError: if no clip could be asked about.
    """
    share = features.select(range(rank, len(features), num_processes))
    answers = ask(checkpoint.model, share, batch_size=batch_size, progress=progress)
    if num_processes > 1:
        answers = gather_answers(answers, [utterance.key for utterance in features.utterances])
    return assemble(
        checkpoint,
        features,
        answers,
        data=data,
        split=split,
        protocol=protocol,
        fold=fold,
        caveats=caveats,
        num_bootstrap=num_bootstrap,
    )


def assemble(
    checkpoint: Checkpoint,
    features: FeatureSet,
    answers: Sequence[Answer],
    *,
    data: Path,
    split: str,
    protocol: str = "official",
    fold: str = "",
    caveats: tuple[str, ...] = (),
    num_bootstrap: int = NUM_BOOTSTRAP,
) -> Evaluation:
    """The evaluation of answers that are there already; see `evaluate_checkpoint`."""
    info, scheme = checkpoint.info, checkpoint.config.labels
    usable = [i for i, answer in enumerate(answers) if "fused" in answer.embeddings]
    skipped = [Skipped(key=s.utterance.key, reason=s.reason) for s in features.skipped] + [
        Skipped(key=answer.key, reason=f"The clip holds {none_of(checkpoint.config.modalities)}.")
        for answer in answers
        if "fused" not in answer.embeddings
    ]
    if not usable:
        reason = f" (the first: {skipped[0].reason})" if skipped else ""
        raise DataError(f"{data}: no clip of the split {split} can be evaluated{reason}; check the data.")
    kept, told = features.select(usable), [answers[i] for i in usable]
    folder = data if data.is_dir() else data.parent
    return build_evaluation(
        EvaluationInfo(
            checkpoint=checkpoint.name,
            checkpoint_sha256=checkpoint.sha256,
            data=folder.resolve().name,
            data_sha256=kept.data_sha256,
            split=split,
            protocol=protocol,
            fold=fold,
            label_scheme=scheme.name,
            labels=scheme.labels,
            seed=info.seed,
            temperature=info.temperature,
            uncertainty_threshold=info.uncertainty_threshold,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=current_versions(),
            recipe=_recipe(checkpoint),
            skipped=tuple(skipped),
            num_bootstrap=num_bootstrap,
            caveats=caveats,
        ),
        [_evaluated(utterance, answer) for utterance, answer in zip(kept.utterances, told, strict=True)],
        calibrated(np.stack([answer.logits for answer in told]), info.temperature),
        _stack_embeddings(checkpoint.model, told),
        media_folder=folder,
    )


def _recipe(checkpoint: Checkpoint) -> dict:
    recipe = {"model": checkpoint.config.to_dict(), "training": checkpoint.metrics.get("train_config", {})}
    if counts := checkpoint.metrics.get(COUNTS):
        recipe[COUNTS] = counts
    # in JSON's own types, so that it is the same before and after it was written
    return json.loads(json.dumps(recipe))


def _evaluated(utterance: Utterance, answer: Answer) -> EvaluatedClip:
    return EvaluatedClip(
        kept_frame_seconds=answer.kept_frame_seconds,
        face=answer.face,
        **{
            name: getattr(utterance, name)
            for name in (
                *("key", "path", "label", "start_seconds", "end_seconds", "region"),
                *("speaker", "dialogue", "transcript", "extra"),
            )
        },
    )


def _stack_embeddings(model: DeepMSI, answers: Sequence[Answer]) -> dict[str, np.ndarray]:
    heads = model.config.heads
    widths = dict.fromkeys(MODALITIES, heads.projection_width) | {"fused": heads.classifier_hidden[-1]}
    return {
        name: np.stack(
            [answer.embeddings.get(name, np.full(width, np.nan, np.float32)) for answer in answers]
        )
        for name, width in widths.items()
    }
