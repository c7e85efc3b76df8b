"""What two splits of a data set share: speakers, dialogues, episodes, recordings, texts and time spans.

A test set that shares episodes, speakers or whole sentences with what was learned from does not say how a
model does on people and words it has never met; how much it shares belongs beside the score.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from training.datasets.utterance import Utterance

_ORDER = {"train": 0, "dev": 1, "test": 2}


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What of one kind a later split has in common with an earlier one.

    Attributes:
        kind: "speakers", "dialogues", "episodes", "recordings", "texts" (verbatim, but for case and spaces),
            "wordings" (texts without punctuation), "spans" (the same seconds of the same recording) or
            "pictures".
        earlier / later: names of the splits.
        num_values / num_shared_values: different ones in the later split, and those of them that the earlier
            one has too.
        num_rows / num_shared_rows: utterances (or pictures) of the later split of which it is known, and
            those with a shared value.
        examples: up to five shared values, the most frequent first.
    """

    kind: str
    earlier: str
    later: str
    num_values: int
    num_shared_values: int
    num_rows: int
    num_shared_rows: int
    examples: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Shared rows among the rows of the later split of which it is known, in [0, 1]."""
        return self.num_shared_rows / self.num_rows


def leakage(utterances: Sequence[Utterance]) -> tuple[Shared, ...]:
    """What each pair of splits shares, of every kind that is known in both, also where nothing is shared.

    Utterances without a split are left out.
    """
    found = []
    for kind, value_of in _KINDS.items():
        rows: dict[str, list[Hashable]] = {}
        for utterance in utterances:
            value = value_of(utterance)
            if utterance.split is not None and value is not None:
                rows.setdefault(utterance.split, []).append(value)
        found += shared_values(kind, rows)
    return tuple(found)


def shared_values(kind: str, rows: Mapping[str, Sequence[Hashable]]) -> list[Shared]:
    """As `leakage`, of one kind whose value in every row of every split is given."""
    found = []
    for earlier, later in combinations(sorted(rows, key=lambda split: (_ORDER.get(split, 3), split)), 2):
        known, counts = set(rows[earlier]), Counter(rows[later])
        common = {value: count for value, count in counts.items() if value in known}
        examples = [value for value, _ in Counter(common).most_common(5)]
        found.append(
            Shared(
                kind=kind,
                earlier=earlier,
                later=later,
                num_values=len(counts),
                num_shared_values=len(common),
                num_rows=sum(counts.values()),
                num_shared_rows=sum(common.values()),
                examples=tuple(map(_readable, examples)),
            )
        )
    return found


def normalised(text: str) -> str:
    """A text without differences of case, spacing and Unicode composition."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def wording(text: str) -> str:
    """The letters and digits of a text, in words."""
    return " ".join(re.findall(r"\w+", normalised(text)))


def _text(utterance: Utterance) -> str | None:
    return normalised(utterance.transcript or "") or None


def _wording(utterance: Utterance) -> str | None:
    return wording(utterance.transcript or "") or None


def _episode(utterance: Utterance) -> str | None:
    episode = utterance.extra.get("episode")
    if not episode:
        return None
    season = utterance.extra.get("season")
    return f"season {season}, episode {episode}" if season else f"episode {episode}"


def _recording(utterance: Utterance) -> str | None:
    """The file that an utterance is a span of."""
    is_span = utterance.start_seconds is not None or utterance.end_seconds is not None
    return str(utterance.path) if is_span else None


def _span(utterance: Utterance) -> tuple[str, float, float] | None:
    """The same seconds of an episode that files were cut from."""
    source = _recording(utterance) or _episode(utterance)
    start, end = utterance.annotated_start_seconds, utterance.annotated_end_seconds
    if source is None or start is None or end is None:
        return None
    return source, round(start, 3), round(end, 3)


def _readable(value: Hashable) -> str:
    if isinstance(value, tuple):
        source, start, end = value
        return f"{source}: {start:.3f} to {end:.3f} s"
    return value.hex()[:12] if isinstance(value, bytes) else str(value)


_KINDS: dict[str, Callable[[Utterance], Hashable | None]] = {
    "speakers": lambda utterance: utterance.speaker,
    "dialogues": lambda utterance: utterance.dialogue,
    "episodes": _episode,
    "recordings": _recording,
    "spans": _span,
    "texts": _text,
    "wordings": _wording,
}
