import pytest

from core import shipped
from core.checkpoint_files import CheckpointError, checkpoint_hash
from core.evaluation import read_evaluation
from sample_data import CLIPS, SAMPLE_DATA

EVALUATIONS = SAMPLE_DATA / "evaluations"


@pytest.mark.parametrize("folder", shipped.shipped_checkpoints().values(), ids=lambda folder: folder.name)
def test_the_cards_that_ship_tell_what_was_learned_from_and_for_whom_it_is(folder):
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "- Sources: the made clips of this project (CC0)" in card
    # the video encoders learned from it
    if "it reads no pictures" not in card:
        assert "FER2013" in card and "for research, not for commercial use" in card


@pytest.mark.parametrize("folder", shipped.shipped_checkpoints().values(), ids=lambda folder: folder.name)
def test_a_checkpoint_ships_whole_small_and_with_its_own_evaluations(folder):
    files = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert {"card.md", "history.parquet", "space.safetensors", "model.safetensors"} <= files.keys()
    # everyday holds a text encoder that was trained
    assert sum(files.values()) < (100e6 if folder.name == "everyday" else 60e6)
    for data, num_clips in (("test", 400), ("probe", 560)):
        evaluation = read_evaluation(EVALUATIONS / f"{folder.name}-{data}")
        assert evaluation.info.num_clips == num_clips
        # one of an earlier checkpoint of this name would be told as this one's
        assert evaluation.info.checkpoint_sha256 == checkpoint_hash(folder)


@pytest.mark.parametrize(
    ("data", "num_clips"), [("fer2013", 3589), ("ravdess", 240), ("meld", 2610)], ids=lambda one: str(one)
)
def test_the_checkpoint_for_real_clips_ships_with_an_evaluation_per_data_set(data, num_clips):
    info = read_evaluation(EVALUATIONS / f"everyday-{data}").info
    assert (info.num_clips, info.split) == (num_clips, "test")
    assert info.checkpoint_sha256 == checkpoint_hash(shipped.shipped_checkpoints()["everyday"])


def test_the_card_for_real_clips_names_every_source_and_its_licence():
    card = (shipped.shipped_checkpoints()["everyday"] / "card.md").read_text(encoding="utf-8")
    (sources,) = (line for line in card.splitlines() if line.startswith("- Sources:"))
    for source, licence in (
        ("made clips", "CC0"),
        ("FER2013", "research use only"),
        ("RAVDESS", "CC BY-NC-SA 4.0"),
        ("MELD", "GPL-3"),
        ("Whisper tiny.en", "MIT"),
        ("all-MiniLM-L6-v2", "Apache-2.0"),
    ):
        assert licence in sources.partition(source)[2].partition(";")[0]
    assert sources.endswith("Because of them: for research, not for commercial use.")


def test_the_checkpoint_that_answers_when_none_is_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "CHECKPOINTS", tmp_path)
    with pytest.raises(CheckpointError, match="No checkpoint ships"):
        shipped.default_checkpoint()
    for name in ("everyday", "another"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    assert list(shipped.shipped_checkpoints()) == ["everyday", "another"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "config.json").write_text("{}")
    assert list(shipped.shipped_checkpoints()) == ["full", "everyday", "another"]
    assert shipped.default_checkpoint().name == "full"
    assert shipped.default_checkpoint(own=True).name == "everyday"
    made, own = CLIPS / "demo" / "a.mp4", tmp_path / "b.mp4"
    assert [shipped.checkpoint_for(*clips).name for clips in ((made,), (own,), (made, own))] == [
        "full",
        "everyday",
        "everyday",
    ]
