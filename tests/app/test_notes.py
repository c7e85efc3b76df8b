"""Notes on clips: kept, merged, refused, and written by several processes at once."""

import multiprocessing
import sqlite3
import sys
from pathlib import Path
from types import ModuleType

import pytest

from app.folders import data_folder, make_closed
from app.notes import (
    MAX_NOTE_CHARACTERS,
    VARIABLE,
    Note,
    NoteChangedError,
    Notes,
    NotesError,
    default_notes,
    read_csv,
)
from tests.full_disk import files_of_at_most


@pytest.fixture
def notes(tmp_path):
    return Notes(tmp_path / "inside" / "notes.sqlite")


def write(notes, key, *, tags=(), note="", data="clips"):
    return notes.save(notes.get(data, key), tags=tags, note=note)


def test_a_note_is_kept(notes):
    assert notes.get("clips", "a.mp4") == Note(data="clips", key="a.mp4")
    assert not notes.path.exists() and notes.all() == ()
    kept = write(notes, "a.mp4", tags=[" hidden  face ", "hidden face", "", "x; y"], note=" why? ")
    assert (kept.tags, kept.note, kept.version) == (("hidden face", "x", "y"), "why?", 1)
    assert Notes(notes.path).get("clips", "a.mp4") == kept
    assert notes.get("others", "a.mp4").is_empty


def test_data_of_one_name_in_two_folders_have_notes_of_their_own(notes):
    for place, words in {"/a/clips": "one", "/b/clips": "two"}.items():
        notes.save(notes.get("clips", "x.mp4", place), tags=(), note=words)
    assert [note.note for note in notes.all("clips", "/a/clips")] == ["one"]
    assert notes.get("clips", "x.mp4", "/b/clips").note == "two" and notes.get("clips", "x.mp4").is_empty
    assert notes.all("clips", "/c/clips") == ()
    found = notes.elsewhere("clips", "/a/clips")
    assert {place: [note.note for note in those] for place, those in found.items()} == {"/b/clips": ["two"]}
    # a CSV tells no place of this machine
    assert "/b" not in notes.to_csv("clips", "/b/clips") and "two" in notes.to_csv("clips", "/b/clips")
    assert [(note.place, note.note) for note in notes.all()] == [("/a/clips", "one"), ("/b/clips", "two")]


EARLIER = """
CREATE TABLE notes (
  data TEXT NOT NULL, key TEXT NOT NULL, tags TEXT NOT NULL, note TEXT NOT NULL, changed TEXT NOT NULL,
  version INTEGER NOT NULL, PRIMARY KEY (data, key)
);
INSERT INTO notes VALUES ('clips', 'x.mp4', 'odd; loud', 'as before', '2026-01-01T00:00:00+00:00', 3);
INSERT INTO notes VALUES ('others', 'y.mp4', '', 'elsewhere', '2026-01-01T00:00:00+00:00', 1);
"""


@pytest.fixture
def earlier(notes):
    """Notes as a version wrote them that knew names alone."""
    notes.path.parent.mkdir()
    with sqlite3.connect(notes.path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(EARLIER)
    connection.close()
    return notes


def test_notes_of_earlier_versions_are_there_for_each_data_set_of_their_name(earlier):
    for place in ("", "/a/clips", "/b/clips"):
        (kept,) = earlier.all("clips", place)
        assert (kept.tags, kept.note, kept.version) == (("odd", "loud"), "as before", 3)
    seen = earlier.get("clips", "x.mp4", "/a/clips")
    earlier.save(seen, tags=(), note="now mine")
    # who saw it before is told, as ever
    with pytest.raises(NoteChangedError):
        earlier.save(seen, tags=(), note="lost?")
    assert [note.note for note in earlier.all("clips", "/a/clips")] == ["now mine"]
    assert [note.note for note in earlier.all("clips", "/b/clips")] == ["as before"]
    # taken away in one place, it stays in the other
    earlier.save(earlier.get("clips", "x.mp4", "/a/clips"), tags=(), note="")
    assert earlier.all("clips", "/a/clips") == () and len(earlier.all("clips", "/b/clips")) == 1
    # the version that wrote them reads them still
    with sqlite3.connect(earlier.path) as connection:
        assert connection.execute("SELECT key, note, version FROM notes ORDER BY key").fetchall() == [
            ("x.mp4", "as before", 3),
            ("y.mp4", "elsewhere", 1),
        ]


def test_notes_of_earlier_versions_can_be_read_on_a_full_disk(earlier):
    with files_of_at_most(0):
        assert [note.note for note in earlier.all("clips", "/a/clips")] == ["as before"]


def test_emptied_notes_are_not_listed(notes):
    write(notes, "b.mp4", note="two")
    write(notes, "a.mp4", note="one")
    write(notes, "c.mp4", note="three", data="others")
    write(notes, "b.mp4")
    assert [note.key for note in notes.all()] == ["a.mp4", "c.mp4"]
    assert [note.key for note in notes.all("clips")] == ["a.mp4"]


def test_a_note_that_somebody_changed_is_not_overwritten(notes):
    seen = notes.get("clips", "a.mp4")
    write(notes, "a.mp4", note="the other's")
    with pytest.raises(NoteChangedError, match="was changed by somebody else meanwhile") as caught:
        notes.save(seen, tags=(), note="mine")
    assert caught.value.other.note == "the other's"
    assert notes.get("clips", "a.mp4").note == "the other's"


def test_what_is_too_long_is_refused(notes):
    with pytest.raises(NotesError, match="the note has 10,001 characters, more than 10,000; shorten it"):
        write(notes, "a.mp4", note="x" * (MAX_NOTE_CHARACTERS + 1))
    with pytest.raises(NotesError, match="the tag “tttttttttttttttttttt…” has 61 characters"):
        write(notes, "a.mp4", tags=["t" * 61])
    assert notes.all() == ()


def test_a_csv_brings_everything_back(notes, tmp_path):
    write(notes, "a.mp4", tags=["one", "two, three"], note='says "no"\nand leaves')
    write(notes, "ä.mp4", note="=1+1")
    text = notes.to_csv()
    assert text.splitlines()[0] == "data,key,tags,note,changed"
    read, faults = read_csv(text)
    assert faults == ()
    other = Notes(tmp_path / "other.sqlite")
    assert other.add(read) == 2
    assert [(n.key, n.tags, n.note) for n in other.all()] == [(n.key, n.tags, n.note) for n in notes.all()]
    # once more changes nothing
    assert other.add(read) == 0


def test_an_import_overwrites_nothing(notes):
    write(notes, "a.mp4", tags=["mine"], note="my words")
    new = [Note(data="clips", key="a.mp4", tags=("mine", "theirs"), note="their words")]
    assert notes.add(new) == 1
    merged = notes.get("clips", "a.mp4")
    assert (merged.tags, merged.note) == (("mine", "theirs"), "my words\n\ntheir words")


def test_words_that_occur_inside_of_others_are_no_repetition(notes):
    write(notes, "a.mp4", note="not angry at all\n\nfirst")
    for text, after in {
        "angry": "not angry at all\n\nfirst\n\nangry",
        "first\n\nsecond": "not angry at all\n\nfirst\n\nangry\n\nsecond",
        "": "not angry at all\n\nfirst\n\nangry\n\nsecond",
    }.items():
        notes.add([Note(data="clips", key="a.mp4", note=text)])
        assert notes.get("clips", "a.mp4").note == after


def test_an_import_that_fails_leaves_nothing(notes):
    write(notes, "b.mp4", note="x" * MAX_NOTE_CHARACTERS)
    new = [Note(data="clips", key="a.mp4", note="new"), Note(data="clips", key="b.mp4", note="more")]
    with pytest.raises(NotesError, match="b.mp4: the note has 10,006 characters.*nothing was imported"):
        notes.add(new)
    assert notes.get("clips", "a.mp4").is_empty


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ["The file is empty."]),
        ("key,note\na,b\n", ["There is no column data."]),
        ("data,key\na,b\n", ["There is neither a column tags nor a column note."]),
        ("data,key,note,note\n", ["There are two columns note."]),
        ('data,key,note\n"a', ["This is no CSV: unexpected end of data."]),
        (
            "data,key,note\nd,a\n,a,x\nd,,x\nd,a,x\nd,a,y\n",
            [
                "Row 2 has 2 cells, the first row 3.",
                "Row 3 names no data set.",
                "Row 4 names no key.",
                "Row 6 tells of a again, after row 5.",
            ],
        ),
        (
            f"data,key,note\nd,a,{'x' * 10_001}\n",
            ["Row 2: the note has 10,001 characters, more than 10,000."],
        ),
    ],
)
def test_one_sentence_per_fault(text, faults):
    assert list(read_csv(text)[1]) == faults


def test_a_spreadsheet_s_mark_and_blank_lines_are_no_fault():
    notes, faults = read_csv("\ufeffdata,key,tags,remark\r\nd,a,x; y,\r\n\r\n")
    assert faults == () and notes == (Note(data="d", key="a", tags=("x", "y")),)


def add_tags(path: str, name: str) -> None:
    """What one process does: thirty clips of its own, and thirty times the same one."""
    notes = Notes(Path(path))
    for i in range(30):
        write(notes, f"{name}-{i}", note=name)
        notes.add([Note(data="clips", key="shared", tags=(f"{name}{i}",))])


def test_several_processes_lose_nothing(notes, monkeypatch):
    # a page that was tested before stands as the main script still, which processes would run again
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add_tags, args=(str(notes.path), name)) for name in ("p", "q", "r")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert set(notes.get("clips", "shared").tags) == {f"{name}{i}" for name in "pqr" for i in range(30)}
    assert len(notes.all()) == 91
    with sqlite3.connect(notes.path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_file_that_is_none_is_told_in_a_sentence(tmp_path):
    (tmp_path / "notes.sqlite").write_bytes(
        b"no database at all, but a long enough text to be looked at" * 20
    )
    with pytest.raises(NotesError, match="^Notes cannot be kept in .*notes.sqlite .*DEEPMSI_DATA_DIR"):
        Notes(tmp_path / "notes.sqlite").all()


def test_where_notes_lie(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_notes().path == tmp_path / "deepmsi" / "notes.sqlite"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    assert default_notes().path == tmp_path / "mine" / "notes.sqlite"


@pytest.mark.parametrize("is_named", [False, True])
@pytest.mark.parametrize("who", ["notes", "runs"])
def test_what_people_make_is_closed_to_others_whoever_makes_it_first(monkeypatch, tmp_path, who, is_named):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    if is_named:
        monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))
    folder = tmp_path / "mine" if is_named else tmp_path / "share" / "deepmsi"
    made = folder if who == "notes" else folder / "runs"
    make_closed(made)
    assert {place.stat().st_mode & 0o777 for place in (folder, made)} == {0o700}
    made.chmod(0o755)
    folder.chmod(0o755)
    make_closed(made)
    # a folder that a person named may hold more than ours
    assert folder.stat().st_mode & 0o777 == (0o755 if is_named else 0o700)
    assert made == folder or made.stat().st_mode & 0o777 == 0o700
    write(default_notes(), "a.mp4", note="mine alone")
    assert default_notes().path.stat().st_mode & 0o777 == 0o600


def test_the_data_folder_is_told_as_it_is(monkeypatch, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    for name in ("link", str(tmp_path / "link")):
        monkeypatch.setenv(VARIABLE, name)
        assert data_folder() == (tmp_path / "real").resolve()


def test_on_a_full_disk_notes_can_still_be_read(notes):
    kept = write(notes, "a.mp4", tags=("odd",), note="What was said?")
    with files_of_at_most(0):
        assert notes.all() == (kept,)
        with pytest.raises(NotesError, match=f"^Notes cannot be kept in {notes.path} .*make room there"):
            notes.save(kept, tags=("odd", "new"), note="Lost?")
    assert notes.get("clips", "a.mp4") == kept
