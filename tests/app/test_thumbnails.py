"""Small pictures of an evaluation's clips."""

import pytest

import sample_data
from app.display import jpeg_uri
from app.thumbnails import Thumbnails
from tests.app.conftest import write_clip
from tests.made_evaluations import made_evaluation


@pytest.mark.parametrize("is_shipped", [True, False])
def test_only_beside_a_clip_that_ships_a_picture_is_its_poster(tmp_path, monkeypatch, is_shipped):
    write_clip(tmp_path / "c0.mp4", num_frames=10)
    (tmp_path / "c0.jpg").write_bytes(b"somebody's holidays")
    monkeypatch.setattr(sample_data, "CLIPS", tmp_path if is_shipped else tmp_path / "shipped")
    made = Thumbnails(max_pictures=2).make(made_evaluation(["joy"], ["joy"], tmp_path), 0)
    assert made.startswith("data:image/") and (made == jpeg_uri(b"somebody's holidays")) == is_shipped
