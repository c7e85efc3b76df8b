"""Documents that hypothesis thinks of: any JSON value at any place, any table, any text.

What it finds it makes as small as can be. In CI the same few are tried every time; many others are by

    pytest tests/fuzzing/test_any_document.py --hypothesis-profile=many
"""

import copy
import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tests.fuzzing.documents import places
from tests.fuzzing.subjects import SUBJECTS, write_files

SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
CELL = st.text(max_size=12) | st.floats().map(str) | st.integers().map(str)


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """The first valid example of a kind."""
    made = {}

    def of(kind):
        if kind not in made:
            made[kind] = SUBJECTS[kind].examples(tmp_path_factory.mktemp(kind))
        return made[kind]

    return of


def read(kind, files):
    """Reads such a folder as the product would; it may refuse it in a sentence."""
    subject = SUBJECTS[kind]
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files)
        try:
            wrong = subject.read(Path(folder))
        except Exception as error:
            if type(error).__name__ not in subject.refusals:
                raise
            event("refused")
            sentence = str(error)
            assert sentence.endswith(".") and "\n" not in sentence, sentence
        else:
            event("read")
            assert not wrong


def altered(data, draw):
    """A JSON document with one or two of its places holding something else, or gone."""
    document = copy.deepcopy(json.loads(data))
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(document))
        if not found:
            break
        holder, key = found[draw(st.integers(0, len(found) - 1))]
        if draw(st.booleans()):
            holder[key] = draw(SOME_JSON)
        else:
            del holder[key]
    return json.dumps(document).encode()


def table(draw, columns):
    """A CSV with some of the columns it may have, others besides, and any cells."""
    header = draw(st.lists(st.sampled_from(columns) | st.text(max_size=8), max_size=8))
    rows = draw(st.lists(st.lists(CELL, max_size=9), max_size=5))
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode("utf-8", "replace")


@pytest.mark.parametrize(
    ("kind", "document"), [("checkpoint", "config.json"), ("evaluation", "evaluation.json")]
)
def test_any_value_at_any_place_is_read_or_refused_in_a_sentence(valid, kind, document):
    files = valid(kind)[0]
    [name] = [name for name in files if name == document]

    @given(st.data())
    def tried(data):
        read(kind, files | {name: altered(files[name], data.draw)})

    tried()


def test_any_document_in_place_of_another_is_refused_in_a_sentence(valid):
    @given(st.sampled_from(["checkpoint", "evaluation"]), SOME_JSON.map(json.dumps) | st.text())
    def tried(kind, text):
        name = {"checkpoint": "config.json", "evaluation": "evaluation.json"}[kind]
        read(kind, valid(kind)[0] | {name: text.encode("utf-8", "replace")})

    tried()


def test_any_manifest_is_read_or_refused_in_a_sentence(valid):
    clip = {name: data for name, data in valid("manifest")[0].items() if name == "a.wav"}
    columns = ["path", "label", "transcript", "start_seconds", "end_seconds", "speaker", "split", "dialogue"]
    line = st.dictionaries(st.sampled_from(columns) | st.text(max_size=6), SOME_JSON, max_size=7)

    @given(st.data())
    def tried(data):
        if data.draw(st.booleans()):
            files = {"manifest.csv": table(data.draw, columns)}
        else:
            lines = data.draw(st.lists(line.map(json.dumps) | st.text(max_size=30), max_size=4))
            files = {"manifest.jsonl": "\n".join(lines).encode("utf-8", "replace")}
        read("manifest", clip | files)

    tried()


def test_any_table_of_notes_is_read_with_its_faults_told():
    @given(st.data())
    def tried(data):
        text = table(data.draw, ["data", "key", "tags", "note"]) if data.draw(st.booleans()) else None
        read("notes", {"notes.csv": data.draw(st.binary(max_size=200)) if text is None else text})

    tried()
