import os
from itertools import product

import pytest
from made_trees import touch

from training.datasets import DataError, read_dataset
from training.datasets.cremad import SENTENCES, read_cremad

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"
NUM_ACTORS = 12


@pytest.fixture
def folder(tmp_path):
    """As the repository: the even actors are women; every sentence once, angrily."""
    root = tmp_path / "CREMA-D"
    lines = ['"ActorID","Age","Sex","Race","Ethnicity"']
    for actor in range(1001, 1001 + NUM_ACTORS):
        sex = "Male" if actor % 2 else "Female"
        lines.append(f'{actor},30,"{sex}","Asian","Not Hispanic"')
        for sentence in SENTENCES:
            level = "HI" if sentence == "IEO" else "XX"
            for parent, suffix in (("VideoFlash", "flv"), ("AudioWAV", "wav")):
                touch(root / parent / f"{actor}_{sentence}_ANG_{level}.{suffix}")
    touch(root / "VideoDemographics.csv", "\n".join(lines).encode())
    return root


def test_the_name_tells_everything_and_the_film_comes_first(folder):
    dataset = read_dataset(folder)
    utterance = next(u for u in dataset.utterances if u.key == "1002_IEO_ANG_HI")
    assert utterance.path == folder / "VideoFlash" / "1002_IEO_ANG_HI.flv"
    assert (utterance.label, utterance.speaker, utterance.transcript) == (
        "anger",
        "1002",
        "It's eleven o'clock.",
    )
    assert utterance.extra == {
        "sentence": "IEO", "level": "high", "age": "30", "sex": "female", "race": "asian",
        "ethnicity": "not hispanic",
    }  # fmt: skip
    assert len(dataset.utterances) == 12 * NUM_ACTORS and not dataset.skipped and dataset.scheme == "meld-7"


def test_splits_hold_other_actors_and_as_many_women_as_men(folder):
    dataset = read_cremad(folder)
    actors = {s: {u.speaker for u in dataset.utterances if u.split == s} for s in ("train", "dev", "test")}
    assert {s: len(members) for s, members in actors.items()} == {"train": 8, "dev": 2, "test": 2}
    assert len(set.union(*actors.values())) == NUM_ACTORS
    for members in actors.values():
        assert sum(int(actor) % 2 for actor in members) == len(members) / 2


def test_the_text_independent_split_shares_neither_actors_nor_sentences(folder):
    dataset = read_dataset(folder, split="text-independent")
    for field in ("speaker", "transcript"):
        values = [
            {getattr(u, field) for u in dataset.utterances if u.split == s} for s in ("train", "dev", "test")
        ]
        for one, other in product(values, values):
            assert one is other or not one & other
        assert all(values)
    # 8 actors × 8 sentences, 2 × 2 and 2 × 2
    assert len(dataset.utterances) == 64 + 4 + 4
    assert len(dataset.skipped) == 144 - 72


def test_one_old_name_and_clips_without_demographics(tmp_path):
    touch(tmp_path / "AudioWAV" / "1040_ITH_SAD_X.wav")
    dataset = read_dataset(tmp_path)
    assert dataset.utterances[0].extra == {"sentence": "ITH", "level": "unspecified"}
    assert dataset.utterances[0].label == "sadness" and "not balanced" in dataset.notes[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ActorID,Sex\n1001,Mâle\n".encode("latin-1"), "VideoDemographics.csv is not a table in UTF-8"),
        (b'ActorID,Sex\n1001,"' + b"x" * 140_000, "VideoDemographics.csv is not a table in UTF-8"),
        (b"Actor,Sex\n1001,Male\n", "lacks the column ActorID"),
    ],
)
def test_demographics_that_cannot_be_read_are_told(folder, content, message):
    (folder / "VideoDemographics.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_cremad(folder)


def test_demographics_may_have_rows_of_any_length(folder):
    (folder / "VideoDemographics.csv").write_text("ActorID,Sex,Race\n1001,Male,Asian,more\n1002,Female\n")
    told = {u.speaker: u.extra for u in read_cremad(folder).utterances}
    assert (told["1001"]["sex"], told["1001"]["race"], told["1002"]["sex"]) == ("male", "asian", "female")


def test_pointers_to_files_that_were_never_fetched(folder):
    films = sorted((folder / "VideoFlash").iterdir())
    films[0].write_bytes(LFS)
    dataset = read_cremad(folder)
    # its sound is there
    assert dataset.utterances[0].path.suffix == ".wav" and not dataset.skipped
    assert dataset.notes[0].startswith("Of 1 clips one of two files") and "git lfs pull" in dataset.notes[0]
    (folder / "AudioWAV" / f"{films[0].stem}.wav").write_bytes(LFS)
    dataset = read_cremad(folder)
    assert [clip.key for clip in dataset.skipped] == [films[0].stem] and "git lfs pull" in dataset.skipped[
        0
    ].reason
    for path in folder.rglob("*_*.*"):
        path.write_bytes(LFS)
    with pytest.raises(DataError, match="git lfs pull"):
        read_cremad(folder)


def test_clips_of_other_names_are_left_out_and_told(folder):
    for name in ("1001_DFA_ANG_XX copy.flv", "1001_DFA_CAL_XX.flv"):
        touch(folder / "VideoFlash" / name)
    dataset = read_cremad(folder)
    assert len(dataset.utterances) == 12 * NUM_ACTORS
    assert {clip.key: clip.reason.partition(" is not")[2] for clip in dataset.skipped} == {
        f"VideoFlash/{name}": " named as CREMA-D names its clips, so its emotion is not known."
        for name in ("1001_DFA_ANG_XX copy.flv", "1001_DFA_CAL_XX.flv")
    }


def test_other_folders_and_options_are_refused(tmp_path):
    with pytest.raises(DataError, match="1001_DFA_ANG_XX.flv"):
        read_cremad(tmp_path)
    with pytest.raises(ValueError, match="split should be"):
        read_cremad(tmp_path, split="random")


def test_gigantic_demographics_are_refused_unread(folder):
    # a hole, which takes no room on the disk
    os.truncate(folder / "VideoDemographics.csv", 2**40)
    message = r"VideoDemographics\.csv has 1,099,511,627,776 bytes, more than the allowed 1,048,576; copy it"
    with pytest.raises(DataError, match=message):
        read_cremad(folder)
