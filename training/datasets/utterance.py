"""What every adapter gives: utterances, what it left out and why, and errors of one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from core.sentences import SentenceError

if TYPE_CHECKING:
    from training.datasets.stills import Stills

SPLITS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}
"""Names of splits as people write them, and ours."""


class DataError(SentenceError):
    """A data set that cannot be used, told in one sentence: which file, why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A labelled span of a media file, or labelled words of which no media are at hand.

    Attributes:
        key: unique in its data set: the path as the manifest writes it, and the span where there is one.
        path: of the media file; None where the words are all there is (such an utterance has a transcript).
        label: "" where it is not known, which only readers give that were told not to need it.
        start_seconds / end_seconds: None where the whole file is meant.
        region: "left" or "right", the half of the picture that shows the speaker; None for all of it.
        transcript: None where it is not known; "" where nothing is said.
        dialogue: unique in its data set, over all splits.
        split: "train", "dev", "test", or another name the manifest uses; None where it has no splits.
        extra: what else is known of it, as text; `episode` (with `season`) and `session` are read by
            `training.datasets.leakage` and `training.protocol`.
        annotated_start_seconds / annotated_end_seconds: where the utterance lies in the recording that its
            file was cut from; None where that is not known or the file is not a cut.
    """

    key: str
    path: Path | None
    label: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    region: str | None = None
    transcript: str | None = None
    speaker: str | None = None
    dialogue: str | None = None
    split: str | None = None
    extra: dict[str, str] = field(default_factory=dict)
    annotated_start_seconds: float | None = None
    annotated_end_seconds: float | None = None

    @property
    def annotated_seconds(self) -> float | None:
        """Length as the annotation tells it; None where it tells none."""
        if self.end_seconds is not None:
            return self.end_seconds - (self.start_seconds or 0.0)
        if self.annotated_start_seconds is None or self.annotated_end_seconds is None:
            return None
        return self.annotated_end_seconds - self.annotated_start_seconds


@dataclass(frozen=True, kw_only=True)
class SkippedClip:
    """A clip that an adapter does not give out, and why.

    Attributes:
        key: of the utterance, or the file's name where no utterance belongs to it.
        reason: one sentence.
        path: of the file, where there is one.
        split / label: where they are known.
        has_words: the utterance is still among the others, by its words alone.
    """

    key: str
    reason: str
    path: Path | None = None
    split: str | None = None
    label: str | None = None
    has_words: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set as an adapter read it.

    Attributes:
        name: of the kind: "meld", "iemocap", "ravdess", "cremad", "fer2013", "authors", "manifest"
            or, where labels are not needed, "clips".
        scheme: name of the label scheme (`core.labels.SCHEMES`); None where a manifest's labels fit none.
        utterances: in a fixed order; empty where the data are stills.
        stills: by split, where the data are single pictures of faces.
        skipped: what was left out.
        notes: sentences on the folder as a whole.
    """

    name: str
    scheme: str | None
    utterances: tuple[Utterance, ...] = ()
    stills: Mapping[str, Stills] = field(default_factory=dict)
    skipped: tuple[SkippedClip, ...] = ()
    notes: tuple[str, ...] = ()
