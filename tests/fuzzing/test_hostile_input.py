"""Damaged input of every kind: a sample of what `python -m tests.fuzzing` tries by the thousand."""

import pytest

from tests.fuzzing.subjects import SUBJECTS, Case, case
from tests.fuzzing.trial import READ, REFUSED, try_all

NUM = {"media": 240, "manifest": 200, "checkpoint": 25, "evaluation": 150, "notes": 200}


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
