"""The clips the app offers: those that ship, the one a person uploads, and those of their own data."""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.labels import MODALITIES
from core.media import MediaError, Transcript, Word, open_clip
from core.media.speech_models import SHIPPED_SPEECH, Speech
from sample_data import DEMO
from sample_data.corpus.schema import read_sidecar

MAX_UPLOAD_MEGABYTES = 100

OWN_CLIP = "own"
"""Key of the uploaded clip, where a shipped clip has its file's stem."""

OF_DATA = "data:"
"""What the keys of clips of a person's own data begin with (`app.own_answers`)."""

OF_EVALUATION = "evaluation:"
"""What the keys of an evaluation's clips begin with, where the clip is neither on the shelf nor own data."""

FIRST_LABEL = "sadness"
"""What the first shipped clip shows, if any shows it. `full` reads face, voice and words of that one, d00003,
alike: the first page that people see is a plain case."""

WITHOUT_WORDS = "without words"
"""Title of a clip in which nothing is said."""

ALL_AGREE, MIXED = "all agree", "mixed signals"
MISSING, COVERED = "something missing", "something in the way"
KINDS = (ALL_AGREE, "two of three", "only face", "only voice", "only words", MIXED, MISSING, COVERED)
"""What a clip may be called by what it was made to be; several may hold, or none."""

_ONLY = {"video": "only face", "audio": "only voice", "text": "only words"}


@dataclass(frozen=True, kw_only=True)
class ClipChoice:
    """A clip one can look at.

    Attributes:
        key: names the clip in links; `OWN_CLIP` for an upload, for one of own data `OF_DATA` with more,
            for one of an evaluation `OF_EVALUATION`.
        title: what people read; for an own clip its file name, as given and therefore not to be trusted.
        path: where the media lie; never shown.
        label: the true emotion, None where unknown.
        transcript: the words as given, "" where none are said, None where they are to be recognised.
        kinds: those of `KINDS` that the clip was made to be.
        missing: the modality that it was made without, "" for none; where it is the words, the voice hums.
        distractors: kinds of `sample_data.corpus.distractors` that were put in.
        speaker: who speaks, "" where unknown.
        intensity: of the emotion, 0 … 1; 0 where unknown.
        start_seconds / end_seconds: of the span that is meant; None for the begin and the end of the file.
        speech: how to listen where the words are to be recognised.
        region: "left" or "right", the half of the picture that shows the speaker; None for all of it.
    """

    key: str
    title: str
    path: Path
    label: str | None = None
    transcript: str | None = None
    kinds: tuple[str, ...] = ()
    missing: str = ""
    distractors: tuple[str, ...] = ()
    speaker: str = ""
    intensity: float = 0.0
    start_seconds: float | None = None
    end_seconds: float | None = None
    region: str | None = None
    speech: Speech = SHIPPED_SPEECH

    @property
    def is_hummed(self) -> bool:
        """Whether the voice hums, so that there is nothing to hear but its sound."""
        return self.missing == "text"

    @property
    def is_own(self) -> bool:
        """Whether it is a person's own: nothing is known of its making, and what is made of it is theirs."""
        return self.is_upload or self.key.startswith((OF_DATA, OF_EVALUATION))

    @property
    def is_upload(self) -> bool:
        """Whether a person uploaded it; such a clip cannot be reached by a link."""
        return self.key == OWN_CLIP

    @property
    def untold(self) -> ClipChoice:
        """The same clip with nothing that tells its label or how it was made."""
        title = WITHOUT_WORDS if self.is_hummed else self.title
        return replace(self, title=title, label=None, kinds=(), missing="", distractors=())


def shipped_clips(folder: Path = DEMO) -> tuple[ClipChoice, ...]:
    """The clips of `folder/manifest.csv`; empty when there is no manifest.

    They come in rounds of one clip of each label, within a label in the manifest's order. Rows whose file is
    missing or lies outside `folder` are left out. Clips with the same label and words have the speaker in
    their title, counted from one in the order of the speakers' names; where the manifest has no transcripts,
    the title is their file's name.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return ()
    root = folder.resolve()
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [(row, (root / row["path"]).resolve()) for row in csv.DictReader(file)]
    rows = [(row, path) for row, path in rows if path.is_relative_to(root) and path.is_file()]
    alike = Counter((row.get("label"), row.get("transcript")) for row, _ in rows)
    speakers = sorted({row["speaker"] for row, _ in rows if row.get("speaker")})
    rounds = defaultdict(list)
    num_seen = Counter()
    for row, path in rows:
        label, words = row.get("label") or None, row.get("transcript")
        missing = row.get("missing") or ""
        title = words or (
            path.stem if words is None else "hums, no words" if missing == "text" else WITHOUT_WORDS
        )
        if words and alike[row.get("label"), words] > 1:
            who = f"speaker {speakers.index(row['speaker']) + 1}" if row.get("speaker") else path.stem
            title = f"{who}: {title}"
        choice = ClipChoice(
            key=path.stem,
            title=title,
            path=path,
            label=label,
            transcript=words,
            kinds=_kinds(row),
            missing=missing,
            distractors=tuple((row.get("distractors") or "").split()),
        )
        rounds[num_seen[label]].append(choice)
        num_seen[label] += 1
    return tuple(
        choice
        for one in rounds.values()
        for choice in sorted(one, key=lambda choice: choice.label != FIRST_LABEL)
    )


def stand_ins(choice: ClipChoice, clips: Sequence[ClipChoice]) -> tuple[ClipChoice, ...]:
    """Clips whose parts can stand in for those of `choice`: one of each label, so that none means absence.

    They are other speakers', with words and with nothing missing, mixed or in the way, where the clips are
    known to be; of each label the most intense one.
    """
    best: dict[str, ClipChoice] = {}
    for other in clips:
        is_same = other.key == choice.key or (other.speaker != "" and other.speaker == choice.speaker)
        if is_same or not other.label or not other.transcript or other.missing or other.distractors:
            continue
        if MIXED not in other.kinds and (
            other.label not in best or _clearness(other) > _clearness(best[other.label])
        ):
            best[other.label] = other
    return tuple(best.values())


def _clearness(choice: ClipChoice) -> tuple[bool, float]:
    return ALL_AGREE in choice.kinds, choice.intensity


def _kinds(row: dict[str, str]) -> tuple[str, ...]:
    """What a row of a made corpus's manifest says of its clip."""
    shown = [row.get(f"{modality}_emotion") for modality in MODALITIES]
    shown = [emotion for emotion in shown if emotion]
    carriers = (row.get("informative") or "").split()
    found = set()
    if row.get("conflict") == "True":
        found.add(MIXED)
    elif len(shown) > 1 and set(shown) == {row.get("label")}:
        found.add(ALL_AGREE)
    elif len(carriers) == 2:
        found.add("two of three")
    elif len(carriers) == 1:
        found.add(_ONLY[carriers[0]])
    if row.get("missing"):
        found.add(MISSING)
    if row.get("distractors"):
        found.add(COVERED)
    return tuple(kind for kind in KINDS if kind in found)


def transcript_of(choice: ClipChoice) -> Transcript | None:
    """The words of a clip, with their times where a made clip's sidecar tells them; None where unknown."""
    if choice.transcript is None:
        return None
    sidecar = choice.path.with_suffix(".json")
    words = ()
    if choice.transcript and not choice.is_own and sidecar.is_file():
        try:
            sound = read_sidecar(sidecar).sound
        except ValueError:  # times of words are worth less than the clip
            sound = None
        words = tuple(
            Word(text=word.text, start_seconds=word.start_seconds, end_seconds=word.end_seconds)
            for word in (sound.words if sound else ())
        )
    return Transcript(text=choice.transcript, words=words)


def save_upload(name: str, content: bytes, folder: Path) -> ClipChoice:
    """Writes an uploaded file into `folder` and offers it as a clip; whatever else lies there is removed.

    A file that is refused leaves `folder` as it was.

    Raises:
        MediaError: if the file is too large, cannot be written, or the guarded reader does not take it.
    """
    base = "".join(char for char in re.split(r"[/\\]", name)[-1] if char.isprintable())
    title = re.sub(r"\s+", " ", base).strip()[:120] or "clip"
    if len(content) > MAX_UPLOAD_MEGABYTES * 1_000_000:
        raise MediaError(
            f"{title} has {len(content) / 1e6:.0f} MB, more than the {MAX_UPLOAD_MEGABYTES} MB allowed; "
            "cut it shorter."
        )
    # the reader's sentences name the file as it is called on disk, so it keeps what is harmless of its name
    stem, suffix = os.path.splitext(title)
    safe = re.sub(r"[^\w()+ -]", "_", stem)[:50].strip() or "clip"
    home = None
    try:
        home = Path(tempfile.mkdtemp(prefix="clip-", dir=folder))
        path = home / f"{safe}{re.sub(r'[^.A-Za-z0-9]', '', suffix)[:8]}"
        path.write_bytes(content)
        open_clip(path, apart=True)
    except BaseException as error:
        if home is not None:
            shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, OSError):
            raise MediaError(
                f"{title} could not be stored ({error.strerror}); make room on the disk."
            ) from error
        raise
    for other in folder.iterdir():
        if other != home:
            shutil.rmtree(other, ignore_errors=True)
    return ClipChoice(key=OWN_CLIP, title=title, path=path)
