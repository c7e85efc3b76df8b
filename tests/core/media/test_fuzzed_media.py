"""Damaged media files: a sample of what `python -m tests.fuzzing` tries by the thousand."""

import pytest

from tests.fuzzing.mutations import Case, case, made_files
from tests.fuzzing.trial import READ, REFUSED, try_all

NUM_FILES = 240


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return made_files(tmp_path_factory.mktemp("valid"))


def test_valid_files_are_read(files):
    outcomes, faults, _ = try_all(Case(name=f"v.{kind}", data=data) for kind, data in files.items())
    assert not faults and outcomes == {READ: len(files)}


def test_damaged_files_are_read_or_refused_in_a_sentence(files):
    outcomes, faults, sentences = try_all(case(files, 0, number) for number in range(NUM_FILES))
    assert not faults, [(fault.case.name, fault.what) for fault in faults]
    assert outcomes[READ] + outcomes[REFUSED] == NUM_FILES and len(sentences) == outcomes[REFUSED]
    # damage that always or never hurts would try nothing
    assert min(outcomes.values()) > NUM_FILES / 10


def test_a_number_gives_the_same_file_again(files):
    assert case(files, 3, 17) == case(files, 3, 17) != case(files, 4, 17)
    assert len({case(files, 0, number).data for number in range(100)}) > 95
