"""The clips the app offers: those that ship, and the one a person uploads into their own session."""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from core.media import MediaError, Transcript, Word, open_clip
from sample_data import DEMO
from sample_data.corpus.schema import read_sidecar

MAX_UPLOAD_MEGABYTES = 100
MEDIA_SUFFIXES = (
    ".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".flv",
    ".wav", ".mp3", ".flac", ".ogg", ".m4a", ".ts",
)  # fmt: skip
"""What the upload dialog offers; the guarded reader decides what is really read."""

OWN_CLIP = "own"
"""Key of the uploaded clip, where a shipped clip has its file's stem."""

FIRST_LABEL = "joy"
"""What the first shipped clip shows, if any shows it."""


@dataclass(frozen=True, kw_only=True)
class ClipChoice:
    """A clip one can look at.

    Attributes:
        key: names the clip in links; `OWN_CLIP` for an upload.
        title: what people read; for an upload its file name, as given and therefore not to be trusted.
        path: where the media lie; never shown.
        label: the true emotion, None where unknown.
        transcript: the words as given, "" where none are said, None where they are to be recognised.
        is_mixed: the clip was made so that its modalities carry different emotions.
    """

    key: str
    title: str
    path: Path
    label: str | None = None
    transcript: str | None = None
    is_mixed: bool = False

    @property
    def is_own(self) -> bool:
        """Whether a person uploaded it; such a clip cannot be reached by a link."""
        return self.key == OWN_CLIP


def shipped_clips(folder: Path = DEMO) -> tuple[ClipChoice, ...]:
    """The clips of `folder/manifest.csv`; empty when there is no manifest.

    They come in rounds of one clip of each label, within a label in the manifest's order. Rows whose file is
    missing or lies outside `folder` are left out. Clips with the same label and words have the speaker in
    their title, and where the manifest has no transcripts, their file's name.
    """
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        return ()
    root = folder.resolve()
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = [(row, (root / row["path"]).resolve()) for row in csv.DictReader(file)]
    rows = [(row, path) for row, path in rows if path.is_relative_to(root) and path.is_file()]
    alike = Counter((row.get("label"), row.get("transcript")) for row, _ in rows)
    rounds = defaultdict(list)
    num_seen = Counter()
    for row, path in rows:
        label, words = row.get("label") or None, row.get("transcript")
        title = words or (path.stem if words is None else "without words")
        if words and alike[row.get("label"), words] > 1:
            title = f"{row.get('speaker') or path.stem}: {title}"
        choice = ClipChoice(
            key=path.stem,
            title=title,
            path=path,
            label=label,
            transcript=words,
            is_mixed=row.get("conflict") == "True",
        )
        rounds[num_seen[label]].append(choice)
        num_seen[label] += 1
    return tuple(
        choice
        for one in rounds.values()
        for choice in sorted(one, key=lambda choice: choice.label != FIRST_LABEL)
    )


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
    home = Path(tempfile.mkdtemp(prefix="clip-", dir=folder))
    path = home / f"{safe}{re.sub(r'[^.A-Za-z0-9]', '', suffix)[:8]}"
    try:
        path.write_bytes(content)
        open_clip(path)
    except BaseException as error:
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, OSError):
            raise MediaError(
                f"{title} could not be stored ({error.strerror}); make room on the disk."
            ) from error
        raise
    for other in folder.iterdir():
        if other != home:
            shutil.rmtree(other)
    return ClipChoice(key=OWN_CLIP, title=title, path=path)
