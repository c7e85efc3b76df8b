"""What a model is worth on a data set: brief scores while training, and the evaluation that is kept.

`training.answers` asks the model. `evaluate` scores its answers as a training run needs them;
`evaluate_checkpoint` makes of them what `core.evaluation` describes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from core.checkpoint import Checkpoint, current_versions
from core.evaluation.artifact import ALL, NON_EMPTY, Evaluation, EvaluationInfo, Skipped, subset_name
from core.evaluation.build import EvaluatedClip, build_evaluation
from core.evaluation.calibration import calibrated
from core.evaluation.failures import COUNTS
from core.evaluation.metrics import NUM_BOOTSTRAP, choose_groups, figures, score
from core.labels import MODALITIES, LabelScheme, none_of
from core.model import DeepMSI
from core.prediction import SUBSETS
from training.answers import Answer, Progress, Watch, ask, gather_answers
from training.config import TrainConfig
from training.data import split_by, split_hashes
from training.datasets import DataError, Utterance
from training.datasets.leakage import leakage
from training.features import FeatureSet
from training.protocol import PAPER_10FOLD_FLATTERS
from training.sources import SOURCE, Sources


@dataclass(frozen=True, kw_only=True)
class BriefScores:
    """Of the clips that a subset of the modalities could be asked about; None where there is none.

    Attributes:
        macro_f1: mean over the classes that have a clip.
    """

    num_clips: int
    accuracy: float | None
    weighted_f1: float | None
    macro_f1: float | None


def figure(score: float | None) -> str:
    """A score as tables and logs tell it."""
    return "–" if score is None else f"{score:.3f}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """The answers about a list of utterances, as a training run scores them.

    Attributes:
        labels: class names in the order of the columns.
        utterances: one per row.
        logits: per subset `(clip, class)`, NaN as in `Answer`.
        temperature: they are divided by.
    """

    labels: tuple[str, ...]
    utterances: tuple[Utterance, ...]
    logits: dict[tuple[str, ...], np.ndarray]
    temperature: float

    @classmethod
    def of(
        cls,
        answers: Sequence[Answer],
        utterances: Sequence[Utterance],
        scheme: LabelScheme,
        *,
        temperature: float = 1.0,
    ) -> Answers:
        """A table of single answers, of the same utterances in the same order."""
        logits = np.stack([answer.logits for answer in answers])
        by_subset = {subset: logits[:, SUBSETS.index(subset)] for subset in NON_EMPTY}
        return cls(
            labels=scheme.labels, utterances=tuple(utterances), logits=by_subset, temperature=temperature
        )

    @property
    def truth(self) -> np.ndarray:
        """`(clip,)` class indices."""
        return np.array([self.labels.index(u.label) for u in self.utterances], dtype=np.int64)

    def probabilities(self, subset: tuple[str, ...] = ALL) -> np.ndarray:
        """`(clip, class)`, calibrated."""
        return calibrated(self.logits[subset], self.temperature)

    def scores(self, subset: tuple[str, ...] = ALL, rows: np.ndarray | None = None) -> BriefScores:
        """Of one subset of the modalities; over some of the clips where `rows` (a mask) is given."""
        usable = ~np.isnan(self.logits[subset]).any(axis=1) & (True if rows is None else rows)
        if not usable.any():
            return BriefScores(num_clips=0, accuracy=None, weighted_f1=None, macro_f1=None)
        values = figures(self.truth[usable], self.probabilities(subset)[usable])
        return BriefScores(
            num_clips=int(usable.sum()),
            **{name: float(values[name][0]) for name in ("accuracy", "weighted_f1", "macro_f1")},
        )

    def by_source(self) -> dict[str, BriefScores]:
        """Of each data set's clips, with all that they have; of a single data set, under the name ""."""
        names = np.array([u.extra.get(SOURCE, "") for u in self.utterances])
        return {name: self.scores(rows=names == name) for name in sorted(set(names.tolist()))}

    def weights(self) -> np.ndarray:
        """`(clip,)` with which every data set counts alike, whatever its size."""
        names = np.array([u.extra.get(SOURCE, "") for u in self.utterances])
        _, numbers, sizes = np.unique(names, return_inverse=True, return_counts=True)
        return 1.0 / (len(sizes) * sizes[numbers])

    def macro_f1(self) -> float:
        """What an epoch is chosen by: of several data sets the mean, so that a large one does not decide."""
        scores = [one.macro_f1 for one in self.by_source().values() if one.macro_f1 is not None]
        return float(np.mean(scores))

    def to_dict(self) -> dict:
        """Scores as plain JSON types: per subset, class (95 % intervals), data set and scenario."""
        scenarios = np.array([u.extra.get("scenario", "") for u in self.utterances])
        resampled, groups = choose_groups(
            {name: [getattr(u, name) or "" for u in self.utterances] for name in ("speaker", "dialogue")},
            len(self.utterances),
        )
        usable = ~np.isnan(self.logits[ALL]).any(axis=1)
        classes = score(self.truth[usable], self.probabilities()[usable], self.labels, groups[usable]).classes
        return {
            "num_clips": len(self.utterances),
            "subsets": {subset_name(subset): vars(self.scores(subset)) for subset in self.logits},
            "f1_per_class": {label: of.f1.value for label, of in classes.items()},
            "f1_interval_per_class": {label: [of.f1.low, of.f1.high] for label, of in classes.items()},
            "resampled": resampled,
            "num_clips_per_class": {label: of.support for label, of in classes.items()},
            "sources": {name: vars(of) for name, of in self.by_source().items() if name},
            "scenarios": {
                name: {
                    subset_name(subset): vars(self.scores(subset, scenarios == name))
                    for subset in self.logits
                }
                for name in sorted(set(scenarios.tolist()) - {""})
            },
        }


def evaluate(
    model: DeepMSI,
    features: FeatureSet,
    *,
    subsets: Sequence[tuple[str, ...]] = NON_EMPTY,
    temperature: float = 1.0,
    batch_size: int = 8,
    watch: Watch | None = None,
) -> Answers:
    """The answers about every clip for a training run to score: no files, only the subsets it looks at.

    Args:
        model: put into evaluation mode.
        features: made for this model.
        subsets: non-empty ones.
        temperature: of the checkpoint.
        batch_size: clips at once; the result does not depend on it, except in 8 bits.
        watch: sees every forward pass.
    """
    answers = ask(model, features, subsets=subsets, batch_size=batch_size, watch=watch)
    table = Answers.of(answers, features.utterances, model.config.labels, temperature=temperature)
    return replace(table, logits={subset: table.logits[subset] for subset in subsets})


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


def part_as_trained(
    checkpoint: Checkpoint, sources: Sources, protocol: str | None, fold: str
) -> tuple[Sources, str, str]:
    """Part data by the protocol asked for, else by the one that parted them when the checkpoint was trained.

    Args:
        checkpoint: its recipe tells the data and protocol of its training.
        sources: as read, with the data's own splits.
        protocol: None for the checkpoint's own, where these are its data, and else for the data's own splits.
        fold: of the protocol.

    Returns:
        The data with their splits, the protocol that parted them, and its fold.

    Raises:
        DataError: if the data cannot serve the protocol.
    """
    recipe = checkpoint.metrics.get("train_config", {})
    learned = tuple(recipe.get("source_names", ()))
    is_own = protocol is None and bool(recipe.get("protocol")) and sources.names == learned
    if is_own:
        protocol, fold = recipe["protocol"], recipe["fold"]
    elif protocol is None and _is_parted_anew(recipe) and set(sources.names) & set(learned):
        raise DataError(
            f"{checkpoint.name} learned from {' and '.join(learned)}, parted together by "
            f"{recipe['protocol']}: which clips of {' and '.join(sources.names)} alone it never met, their "
            "own splits do not tell. Evaluate it on other data, or name a protocol and mind that clips may "
            "have been learned."
        )
    if protocol is None:
        return sources, "official", ""
    grouped = {name: recipe[name] for name in ("num_folds", "fold_group") if name in recipe}
    config = TrainConfig(
        data=(Path(),),
        out=Path(),
        cache_dir=Path(),
        protocol=protocol,
        fold=fold,
        **(grouped if protocol == "grouped-kfold" else {}),
    )
    parted = split_by(config, sources)
    if is_own and (known := checkpoint.metrics.get("split_sha256")) and known != split_hashes(parted):
        raise DataError(
            f"{' and '.join(sources.names)} holds other clips than when {checkpoint.name} was trained on it, "
            f"so {protocol} parts it otherwise and would test on what was learned; evaluate it on the same "
            "clips."
        )
    return parted, protocol, fold


def caveats_of(checkpoint: Checkpoint, sources: Sources, split: str, protocol: str) -> tuple[str, ...]:
    """Sentences that belong beside every figure: what protocol and split give away of the test.

    Args:
        checkpoint: its recipe tells what it learned from.
        sources: the data, with all their splits.
        split: that is evaluated.
        protocol: that parted the data.
    """
    told = [f"{PAPER_10FOLD_FLATTERS[:1].upper()}{PAPER_10FOLD_FLATTERS[1:]}"] * (protocol == "paper-10fold")
    learned = {*checkpoint.metrics.get("train_config", {}).get("source_names", ()), *_before(checkpoint)}
    if not set(sources.names) & learned:
        return tuple(told)
    if split in ("train", "all"):
        return (*told, "The checkpoint has learned from some of these clips, so the figures flatter it.")
    if _is_parted_otherwise(checkpoint, sources, protocol):
        # what is "train" here is not what was learned from
        sentence = (
            "The checkpoint learned from data of this name that were parted otherwise: it may have learned "
            "from some of these clips, and then the figures flatter it."
        )
        return (*told, sentence)
    for shared in leakage(sources.utterances):
        is_told = (shared.earlier, shared.later) == ("train", split) and shared.kind != "wordings"
        if is_told and shared.num_shared_values:
            told.append(
                f"Of the {shared.num_values:,} {shared.kind} of this split {shared.num_shared_values:,} "
                f"occur in what was learned from, too ({100 * shared.share:.1f} % of its clips)."
            )
    return tuple(told)


def _is_parted_otherwise(checkpoint: Checkpoint, sources: Sources, protocol: str) -> bool:
    """Whether data of a name that was learned from are parted in another way than they were then."""
    before = _before(checkpoint)
    # which clips these parts held is not kept
    if any(_is_parted_anew({"protocol": before[name]}) for name in sources.names if name in before):
        return True
    recipe = checkpoint.metrics.get("train_config", {})
    if _is_parted_anew(recipe) and set(sources.names) & set(recipe.get("source_names", ())):
        return checkpoint.metrics.get("split_sha256") != split_hashes(sources)
    return protocol != "official"


def _before(checkpoint: Checkpoint) -> dict[str, str | None]:
    """See `training.resume.learned_before`."""
    return checkpoint.metrics.get("learned_before", {})


def _is_parted_anew(recipe: dict) -> bool:
    """Whether the training's protocol did not leave the data's own splits."""
    return recipe.get("protocol") not in (None, "official")


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
