"""Whether clips were held out from what a checkpoint learned from: parted as they were then, or else told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.checkpoint import Checkpoint
from training.config import TrainConfig
from training.data import split_by, split_hashes
from training.datasets import DataError, Utterance
from training.datasets.leakage import leakage
from training.protocol import PAPER_10FOLD_FLATTERS
from training.sources import Sources

PARTED_OTHERWISE = (
    "The checkpoint learned from data of this name that were parted otherwise: it may have learned from some "
    "of these clips, and then the figures flatter it."
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
    elif protocol is None and _is_anew(recipe.get("protocol")) and set(sources.names) & set(learned):
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
        return (*told, PARTED_OTHERWISE)
    return (*told, *shared_with_train(sources.utterances, split))


def shared_with_train(utterances: Sequence[Utterance], split: str) -> tuple[str, ...]:
    """What a split has in common with the one that is learned from, in sentences."""
    return tuple(
        f"Of the {shared.num_values:,} {shared.kind} of this split {shared.num_shared_values:,} "
        f"occur in what was learned from, too ({100 * shared.share:.1f} % of its clips)."
        for shared in leakage(utterances)
        if (shared.earlier, shared.later) == ("train", split)
        and shared.kind != "wordings"
        and shared.num_shared_values
    )


def _is_parted_otherwise(checkpoint: Checkpoint, sources: Sources, protocol: str) -> bool:
    """Whether data of a name that was learned from are parted in another way than they were then."""
    if started_on_other_parts(sources.names, protocol, _before(checkpoint)):
        return True
    recipe = checkpoint.metrics.get("train_config", {})
    if _is_anew(recipe.get("protocol")) and set(sources.names) & set(recipe.get("source_names", ())):
        return checkpoint.metrics.get("split_sha256") != split_hashes(sources)
    return _is_anew(protocol)


def started_on_other_parts(
    names: Sequence[str], protocol: str | None, before: Mapping[str, str | None]
) -> bool:
    """Whether a run's first weights learned from data of these names that were parted in another way.

    Which clips those parts held is not kept, so only a data set's own splits are known to be the same again.

    Args:
        names: of data sets.
        protocol: that parts them now; None for their own splits.
        before: see `training.resume.learned_before`.
    """
    return any(_is_anew(protocol) or _is_anew(before[name]) for name in names if name in before)


def _before(checkpoint: Checkpoint) -> dict[str, str | None]:
    """See `training.resume.learned_before`."""
    return checkpoint.metrics.get("learned_before", {})


def _is_anew(protocol: str | None) -> bool:
    """Whether a protocol does not leave the data's own splits."""
    return protocol not in (None, "official")
