"""Tags and notes on clips, kept in SQLite: several sessions and processes may write at once.

Each call opens the file for itself. Writing takes SQLite's write lock at once, and a note that somebody else
changed meanwhile is not overwritten but refused, so that nobody's words are lost.

Data sets in two folders may have one name, so notes are kept by place, too. Notes of earlier versions tell
the name alone: they are shown for each data set of that name until they are changed there, which leaves them
as they are for the others.
"""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from app.folders import VARIABLE, data_folder, make_closed
from core.evaluation.artifact import SHIPPED, Evaluation
from core.sentences import SentenceError

MAX_NOTE_CHARACTERS = 10_000
MAX_TAG_CHARACTERS = 60
COLUMNS = ("data", "key", "tags", "note", "changed")
"""Of the CSV; tags are joined by "; "."""

_WAIT_SECONDS = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
  data TEXT NOT NULL, key TEXT NOT NULL, tags TEXT NOT NULL, note TEXT NOT NULL, changed TEXT NOT NULL,
  version INTEGER NOT NULL, PRIMARY KEY (data, key)
);
CREATE TABLE IF NOT EXISTS placed (
  data TEXT NOT NULL, place TEXT NOT NULL, key TEXT NOT NULL, tags TEXT NOT NULL, note TEXT NOT NULL,
  changed TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (data, place, key)
);
"""
_BY_NAME = "SELECT data, '' AS place, key, tags, note, changed, version FROM notes"
_PLACED = "SELECT data, place, key, tags, note, changed, version FROM placed"
_ALL = f"{_BY_NAME} UNION ALL {_PLACED}"


class NotesError(SentenceError):
    """What could not be read or written, told in one sentence."""


class NoteChangedError(NotesError):
    """Somebody else wrote about a clip since it was read.

    Attributes:
        other: what is kept now.
    """

    def __init__(self, other: Note) -> None:
        super().__init__(
            f"The note on {other.key} was changed by somebody else meanwhile, so yours is not kept yet: look "
            "at both, then keep them again."
        )
        self.other = other


@dataclass(frozen=True, kw_only=True)
class Note:
    """What people wrote about a clip.

    Attributes:
        data: name of the data set; keys are unique in it.
        place: where it lies (`place_of`), which parts data sets of one name; "" where that is not known.
        key: of the clip.
        tags: short words, each once, in the order they were given.
        note: free text.
        changed: date and time (ISO 8601, UTC); "" where nothing was written yet.
        version: counts the changes; 0 where nothing was written yet.
    """

    data: str
    place: str = ""
    key: str
    tags: tuple[str, ...] = ()
    note: str = ""
    changed: str = ""
    version: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is neither a tag nor a word."""
        return not self.tags and not self.note


class Notes:
    """The notes in one file, which is made with the first note.

    Args:
        path: of the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, data: str, key: str, place: str = "") -> Note:
        """The note on a clip; an empty one where there is none. Raises NotesError."""
        rows = self._read("WHERE data = ? AND key = ? AND place IN ('', ?)", (data, key, place))
        return _chosen(rows, place).get(key, Note(data=data, place=place, key=key))

    def all(self, data: str | None = None, place: str = "") -> tuple[Note, ...]:
        """All notes that are not empty, of one data set or of every one, by key. Raises NotesError."""
        if data is None:
            rows = self._read("ORDER BY data, place, key", ())
        else:
            found = self._read("WHERE data = ? AND place IN ('', ?)", (data, place))
            rows = sorted(_chosen(found, place).values(), key=lambda note: note.key)
        return tuple(note for note in rows if not note.is_empty)

    def elsewhere(self, data: str, place: str) -> dict[str, tuple[Note, ...]]:
        """Notes on other data sets of the same name that tell more than those here, by place.

        Raises:
            NotesError: the file cannot be read.
        """
        here = {note.key: note for note in self.all(data, place)}
        found: dict[str, tuple[Note, ...]] = {}
        for note in self._read("WHERE data = ? AND place NOT IN ('', ?) ORDER BY place, key", (data, place)):
            mine = here.get(note.key, Note(data=data, key=note.key))
            if not set(note.tags) <= set(mine.tags) or with_paragraphs(mine.note, note.note) != mine.note:
                found[note.place] = (*found.get(note.place, ()), note)
        return found

    def save(self, before: Note, *, tags: Iterable[str], note: str) -> Note:
        """Write tags and text on a clip.

        Args:
            before: what the writer saw, from `get` or `save`.
            tags: blanks around them, empty ones and repetitions are dropped.
            note: blanks around it are dropped.

        Returns:
            What is kept now.

        Raises:
            NoteChangedError: if somebody changed the note since `before` was read.
            NotesError: if a text is too long, or the file cannot be written.
        """
        tags, note = tidy_tags(tags), note.strip()
        if problem := _too_long(tags, note):
            raise NotesError(f"{problem}; shorten it.")
        with self._writing() as connection:
            now = _one(connection, before.data, before.place, before.key)
            if now.version != before.version:
                raise NoteChangedError(now)
            return _put(connection, now, tags, note)

    def to_csv(self, data: str | None = None, place: str = "") -> str:
        """All notes as CSV with the columns `COLUMNS`, which tell no place. Raises NotesError."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        for note in self.all(data, place):
            writer.writerow([note.data, note.key, "; ".join(note.tags), note.note, note.changed])
        return text.getvalue()

    def add(self, notes: Iterable[Note]) -> int:
        """Merge notes into those that are there: all or none are written, and nothing is overwritten.

        Tags are added to the clip's own; paragraphs that the clip's note does not hold yet are put below it.

        Returns:
            How many clips' notes have changed.

        Raises:
            NotesError: if a merged note is too long, or the file cannot be written.
        """
        num_changed = 0
        with self._writing() as connection:
            for new in notes:
                now = _one(connection, new.data, new.place, new.key)
                tags = tidy_tags([*now.tags, *new.tags])
                note = with_paragraphs(now.note, new.note)
                if problem := _too_long(tags, note):
                    raise NotesError(f"{new.key}: {problem} after merging; nothing was imported.")
                if (tags, note) != (now.tags, now.note):
                    _put(connection, now, tags, note)
                    num_changed += 1
        return num_changed

    def _read(self, which: str, values: tuple) -> list[Note]:
        if not self.path.is_file():
            return []
        try:
            with self._connected() as connection:
                return _rows(connection, _ALL, which, values)
        except NotesError:
            # of a folder that is full or can only be read; what is still in the log would be missing
            log = self.path.with_name(f"{self.path.name}-wal")
            if log.exists() and log.stat().st_size:
                raise
            return self._read_unwritten(which, values)

    def _read_unwritten(self, which: str, values: tuple) -> list[Note]:
        with self._told():
            connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
            with closing(connection):
                there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
                return _rows(connection, _ALL if "placed" in there else _BY_NAME, which, values)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._connected() as connection:
            # at once, or two that both read first would wait for one another
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with self._told():
            make_closed(self.path.parent)
            # the folder may be one that a person named, open to others
            if not self.path.exists():
                self.path.touch(mode=0o600)
            with closing(
                sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None)
            ) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
                yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise NotesError(
                f"Notes cannot be kept in {self.path} ({reason}); make room there or name another folder in "
                f"{VARIABLE}."
            ) from error


def default_notes() -> Notes:
    """The notes of this user (`app.folders.data_folder`)."""
    return Notes(data_folder() / "notes.sqlite")


def place_of(evaluation: Evaluation) -> str:
    """Where the data of an evaluation lie: their folder, or what else parts them from their namesakes."""
    if evaluation.media_folder is not None:
        return str(evaluation.media_folder.resolve())
    paths = evaluation.predictions["path"]
    if all(isinstance(path, str) and path.startswith(f"{SHIPPED}/") for path in paths):
        return SHIPPED
    return f"sha256:{evaluation.info.data_sha256[:16]}"


def read_csv(text: str) -> tuple[tuple[Note, ...], tuple[str, ...]]:
    """The notes of a CSV as `Notes.to_csv` writes it, and one sentence per fault in it.

    The columns `data` and `key` are needed; of `tags` and `note` at least one; others are not read. Where
    there is a fault, the notes are those of the rows without one: import none of them.
    """
    try:
        rows = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        return (), (f"This is no CSV: {error}.",)
    if not rows:
        return (), ("The file is empty.",)
    names = [name.strip() for name in rows[0]]
    faults = [f"There is no column {name}." for name in ("data", "key") if name not in names]
    if not {"tags", "note"} & set(names):
        faults.append("There is neither a column tags nor a column note.")
    faults += [f"There are two columns {name}." for name in COLUMNS if names.count(name) > 1]
    if faults:
        return (), tuple(faults)
    notes, seen = [], {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(names):
            faults.append(f"Row {number} has {len(row)} cells, the first row {len(names)}.")
            continue
        cells = dict(zip(names, row, strict=True))
        data, key = cells["data"].strip(), cells["key"].strip()
        tags, note = tidy_tags(cells.get("tags", "").split(";")), cells.get("note", "").strip()
        if missing := [name for name, value in (("data set", data), ("key", key)) if not value]:
            faults.append(f"Row {number} names no {' and no '.join(missing)}.")
        elif (data, key) in seen:
            faults.append(f"Row {number} tells of {key} again, after row {seen[data, key]}.")
        elif problem := _too_long(tags, note):
            faults.append(f"Row {number}: {problem}.")
        else:
            seen[data, key] = number
            notes.append(Note(data=data, key=key, tags=tags, note=note))
    return tuple(notes), tuple(faults)


def tidy_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags with single blanks, each once; a semicolon parts tags in the CSV, so it parts them here too."""
    parts = (" ".join(part.split()) for tag in tags for part in tag.split(";"))
    return tuple(dict.fromkeys(filter(None, parts)))


def with_paragraphs(text: str, more: str) -> str:
    """A note with the paragraphs of another below it that it does not hold yet, each compared as a whole."""
    there = _paragraphs(text)
    return "\n\n".join(filter(None, [text, *(part for part in _paragraphs(more) if part not in there)]))


def _paragraphs(text: str) -> list[str]:
    return re.split(r"\n\s*\n", text.strip())


def _too_long(tags: tuple[str, ...], note: str) -> str:
    """Which text is too long, "" where none is."""
    if len(note) > MAX_NOTE_CHARACTERS:
        return f"the note has {len(note):,} characters, more than {MAX_NOTE_CHARACTERS:,}"
    if long := next((tag for tag in tags if len(tag) > MAX_TAG_CHARACTERS), ""):
        return f"the tag “{long[:20]}…” has {len(long)} characters, more than {MAX_TAG_CHARACTERS}"
    return ""


def _note(row: tuple) -> Note:
    data, place, key, tags, note, changed, version = row
    words = {"tags": tidy_tags([tags]), "note": note}
    return Note(data=data, place=place, key=key, **words, changed=changed, version=int(version))


def _rows(connection: sqlite3.Connection, table: str, which: str, values: tuple) -> list[Note]:
    return [_note(row) for row in connection.execute(f"SELECT * FROM ({table}) {which}", values)]


def _chosen(rows: Iterable[Note], place: str) -> dict[str, Note]:
    """By key: a place's own notes, and those that tell the name alone where it has none."""
    ordered = sorted(rows, key=lambda note: note.place != "")
    return {note.key: replace(note, place=place) for note in ordered}


def _one(connection: sqlite3.Connection, data: str, place: str, key: str) -> Note:
    which, values = "WHERE data = ? AND key = ? AND place IN ('', ?)", (data, key, place)
    found = _chosen(_rows(connection, _ALL, which, values), place)
    return found.get(key, Note(data=data, place=place, key=key))


def _put(connection: sqlite3.Connection, now: Note, tags: tuple[str, ...], note: str) -> Note:
    changed, version = datetime.now(UTC).isoformat(timespec="seconds"), now.version + 1
    row = (now.data, now.place, now.key, "; ".join(tags), note, changed, version)
    if now.place:
        connection.execute("INSERT OR REPLACE INTO placed VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    else:
        connection.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?, ?, ?)", (row[0], *row[2:]))
    return _note(row)
