"""Protocols by name: which utterances are learned from, chosen by and tested on.

Each is a pure function from utterances to folds, the same for the same utterances and seed, in any order of
the utterances. All but `paper-10fold` keep what a fold is chosen by apart from what it is tested on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.datasets.utterance import DataError, Utterance

DEV_SHARE = 0.1
"""Of the dialogues of each session, where a protocol takes its dev part from the training sessions."""

PAPER_10FOLD_FLATTERS = (
    "paper-10fold flatters: speakers and dialogues lie on both sides of each fold, and the best epoch is "
    "chosen on the very clips that are reported; do not compare its numbers with those of other protocols."
)
"""Why the published protocol is not to be trusted; printed wherever it is used."""

GROUPS = ("speaker", "dialogue")


@dataclass(frozen=True, kw_only=True)
class Fold:
    """Keys of the utterances of one run, each part in order.

    Attributes:
        name: unique in its protocol, fit for a folder.
        train: learned from.
        dev: the best epoch is chosen by these; in `paper-10fold` alone they are the test part too.
        test: reported.
    """

    name: str
    train: tuple[str, ...]
    dev: tuple[str, ...]
    test: tuple[str, ...]


def make_folds(
    utterances: Sequence[Utterance],
    protocol: str,
    *,
    seed: int = 0,
    num_folds: int = 5,
    group: str = "speaker",
) -> tuple[Fold, ...]:
    """The folds of a protocol.

    - `official`: the data set's own train, dev and test.
    - `session5`: session 5 is the test, dev is a tenth of the dialogues of sessions 1 to 4.
    - `loso`: each session in turn is the test, dev is a tenth of the dialogues of the others.
    - `paper-10fold`: ten random folds over all utterances; dev is the test (see `PAPER_10FOLD_FLATTERS`).
    - `grouped-kfold`: `num_folds` folds, no speaker (or dialogue) in two parts; dev is the next fold's test.

    Args:
        utterances: with unique keys.
        protocol: one of `PROTOCOLS`.
        seed: decides what is drawn at random.
        num_folds: of `grouped-kfold`, at least three.
        group: of `grouped-kfold`: "speaker" or "dialogue".

    Raises:
        ValueError: an unknown protocol or group, or too few folds.
        DataError: the data cannot serve the protocol, in a sentence that says why.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"protocol should be one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    if group not in GROUPS:
        raise ValueError(f"group should be one of {', '.join(GROUPS)}, not {group!r}")
    if num_folds < 3:
        raise ValueError(f"num_folds should be at least 3 (train, dev and test), not {num_folds}")
    in_order = sorted(utterances, key=lambda utterance: utterance.key)
    return PROTOCOLS[protocol](in_order, seed, num_folds, group)


def with_splits(utterances: Sequence[Utterance], fold: Fold) -> tuple[Utterance, ...]:
    """The utterances of a fold, `split` set to their part in it; in `paper-10fold` those of dev occur twice.

    An utterance that is in dev and in test is given once as "dev" and once as "test".
    """
    parts = {name: set(getattr(fold, name)) for name in ("train", "dev", "test")}
    return tuple(
        replace(utterance, split=name)
        for name, keys in parts.items()
        for utterance in utterances
        if utterance.key in keys
    )


def _official(utterances: list[Utterance], seed: int, num_folds: int, group: str) -> tuple[Fold, ...]:
    keys = {
        split: tuple(utterance.key for utterance in utterances if utterance.split == split)
        for split in ("train", "dev", "test")
    }
    missing = [split for split, members in keys.items() if not members]
    if missing:
        raise DataError(
            "The protocol official needs the data set's own split, and no utterance is of "
            f"{' or '.join(missing)}; choose another protocol."
        )
    return (Fold(name="official", **keys),)


def _session5(utterances: list[Utterance], seed: int, num_folds: int, group: str) -> tuple[Fold, ...]:
    sessions = _sessions(utterances, "session5")
    if "5" not in sessions or len(sessions) < 2:
        raise DataError(
            f"The protocol session5 needs session 5 and others, and the data have {', '.join(sessions)}; "
            "choose loso."
        )
    return (_session_fold(utterances, "session5", "5", seed),)


def _loso(utterances: list[Utterance], seed: int, num_folds: int, group: str) -> tuple[Fold, ...]:
    sessions = _sessions(utterances, "loso")
    if len(sessions) < 2:
        raise DataError("The protocol loso needs two sessions or more, and the data have one; use another.")
    return tuple(_session_fold(utterances, f"session{name}", name, seed) for name in sessions)


def _sessions(utterances: list[Utterance], protocol: str) -> list[str]:
    for utterance in utterances:
        if not (utterance.extra.get("session") and utterance.dialogue):
            raise DataError(
                f"The protocol {protocol} needs the session and the dialogue of every utterance, as IEMOCAP "
                f"has them, and {utterance.key} lacks one; choose another protocol."
            )
    return sorted({utterance.extra["session"] for utterance in utterances})


def _session_fold(utterances: list[Utterance], name: str, session: str, seed: int) -> Fold:
    """One session as the test; of each other session, a tenth of its dialogues (one at least) as dev."""
    generator = np.random.default_rng(seed)
    dev_dialogues: set[str] = set()
    others = [utterance for utterance in utterances if utterance.extra["session"] != session]
    for other in sorted({utterance.extra["session"] for utterance in others}):
        dialogues = sorted({u.dialogue for u in others if u.extra["session"] == other})
        if len(dialogues) < 2:
            raise DataError(
                f"Session {other} has one dialogue only, so that no dev part can be taken from it; "
                "choose another protocol."
            )
        chosen = generator.permutation(len(dialogues))[: max(1, round(DEV_SHARE * len(dialogues)))]
        dev_dialogues |= {dialogues[i] for i in chosen}
    return Fold(
        name=name,
        train=tuple(u.key for u in others if u.dialogue not in dev_dialogues),
        dev=tuple(u.key for u in others if u.dialogue in dev_dialogues),
        test=tuple(u.key for u in utterances if u.extra["session"] == session),
    )


def _paper_10fold(utterances: list[Utterance], seed: int, num_folds: int, group: str) -> tuple[Fold, ...]:
    from sklearn.model_selection import KFold

    if len(utterances) < 10:
        raise DataError(
            f"The protocol paper-10fold needs ten utterances, and the data have {len(utterances)}."
        )
    keys = np.array([utterance.key for utterance in utterances])
    folds = []
    for number, (train, held_out) in enumerate(
        KFold(10, shuffle=True, random_state=seed).split(keys), start=1
    ):
        test = tuple(keys[held_out].tolist())
        folds.append(Fold(name=f"fold{number:02d}", train=tuple(keys[train].tolist()), dev=test, test=test))
    return tuple(folds)


def _grouped_kfold(utterances: list[Utterance], seed: int, num_folds: int, group: str) -> tuple[Fold, ...]:
    from sklearn.model_selection import StratifiedGroupKFold

    names = [getattr(utterance, group) for utterance in utterances]
    for utterance, name in zip(utterances, names, strict=True):
        if name is None:
            raise DataError(
                f"The protocol grouped-kfold by {group} needs the {group} of every utterance, and "
                f"{utterance.key} has none; choose another group or protocol."
            )
    if len(set(names)) < num_folds:
        raise DataError(
            f"The protocol grouped-kfold needs at least {num_folds} different {group}s, and the data have "
            f"{len(set(names))}; take fewer folds or another group."
        )
    labels = [utterance.label for utterance in utterances]
    if max(map(labels.count, set(labels))) < num_folds:
        raise DataError(
            f"The protocol grouped-kfold needs a label of at least {num_folds} utterances to even out the "
            "labels; take fewer folds."
        )
    # evens out the labels as far as the groups allow
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    parts = [
        tuple(utterances[i].key for i in held_out) for _, held_out in splitter.split(labels, labels, names)
    ]
    folds = []
    for number, test in enumerate(parts):
        after = (number + 1) % num_folds
        rest = [part for i, part in enumerate(parts) if i not in (number, after)]
        folds.append(
            Fold(
                name=f"fold{number + 1:02d}",
                train=tuple(sorted(key for part in rest for key in part)),
                dev=parts[after],
                test=test,
            )
        )
    return tuple(folds)


PROTOCOLS: dict[str, Callable[[list[Utterance], int, int, str], tuple[Fold, ...]]] = {
    "official": _official,
    "session5": _session5,
    "loso": _loso,
    "paper-10fold": _paper_10fold,
    "grouped-kfold": _grouped_kfold,
}
"""By name, what `make_folds` calls."""
