"""Damaged input of every kind: a sample of what `python -m tests.fuzzing` tries by the thousand."""

import pytest

from tests.fuzzing.subjects import SUBJECTS, Case, case
from tests.fuzzing.trial import READ, REFUSED, try_all

NUM = {
    **{"media": 240, "manifest": 200, "fer2013": 100, "meld": 100, "answers": 30},
    **{"checkpoint": 25, "evaluation": 150, "notes": 200},
}


@pytest.fixture(scope="module", params=list(SUBJECTS))
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def examples(kind, tmp_path_factory):
    return SUBJECTS[kind].examples(tmp_path_factory.mktemp("valid"))


def test_what_is_valid_is_read(kind, examples):
    found = try_all(Case(kind=kind, name=f"v{i}", files=files) for i, files in enumerate(examples))
    assert not found.faults and found.counts == {READ: len(examples)}


def test_what_is_damaged_is_read_or_refused_in_a_sentence(kind, examples):
    found = try_all(case(kind, examples, 0, number) for number in range(NUM[kind]))
    assert not found.faults, [(fault.case.name, fault.what[:300]) for fault in found.faults]
    assert found.counts[READ] + found.counts[REFUSED] == NUM[kind]
    # damage that always or never hurts would try nothing; a table of notes tells its faults itself
    assert found.counts[READ] and (found.counts[REFUSED] or not SUBJECTS[kind].refusals)


def test_a_number_gives_the_same_input_again(kind, examples):
    assert case(kind, examples, 3, 17) == case(kind, examples, 3, 17) != case(kind, examples, 4, 17)


def test_what_ends_the_process_raises_or_hangs_is_a_fault(tmp_path):
    ends = Case(kind="no such kind", name="ends", files={})
    raises = Case(kind="notes", name="raises", files={})
    faults = [(fault.case.name, fault.what.partition(":")[0]) for fault in try_all([ends, raises]).faults]
    assert faults == [("ends", "crashes"), ("raises", "raises")]
    (valid,) = SUBJECTS["notes"].examples(tmp_path)
    good = Case(kind="notes", name="good", files=valid)
    # the first may take as long as importing takes
    found = try_all([good, good], max_seconds=0)
    assert found.counts == {READ: 1} and found.faults[0].what.startswith("hangs")
