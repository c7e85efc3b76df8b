"""State and links, clips and uploads, pictures and sound, playback, launch."""

import base64
import io
import tomllib

import av
import numpy as np
import pytest
from PIL import Image

from app import launch
from app.clips import MAX_UPLOAD_MEGABYTES, OWN_CLIP, save_upload, shipped_clips
from app.display import display_clip, loudness, picture_uri
from app.playback import is_playable, playable_copy
from app.resources import Shelf
from app.state import MAX_WORDS_CHARACTERS, ViewState
from core.media import MediaError, open_clip
from tests.app.conftest import write_clip


def test_a_link_restores_the_view():
    view = ViewState(clip="one", frame=3, step=0, emotion="fear", words="a & b=c?", checkpoint="mini")
    assert ViewState.from_link(view.to_link()) == view


def test_defaults_stay_out_of_the_link():
    assert ViewState(clip="one").to_link() == {"clip": "one"}
    assert ViewState(clip="one", words="").to_link() == {"clip": "one", "words": ""}


def test_an_own_clip_is_never_in_a_link():
    assert ViewState(clip=OWN_CLIP, frame=2).to_link() == {}
    assert ViewState.from_link({"clip": OWN_CLIP}).clip is None


@pytest.mark.parametrize("frame", ["-1", "1e3", "x", "", "９", "123456789"])
def test_senseless_numbers_in_a_link_are_left_out(frame):
    assert ViewState.from_link({"frame": frame}).frame is None


def test_endless_words_in_a_link_are_cut():
    assert len(ViewState.from_link({"words": "a" * 10_000}).words) == MAX_WORDS_CHARACTERS


def test_shipped_clips_come_from_the_manifest(clip_folder):
    first, second = shipped_clips(clip_folder)
    assert (first.key, first.label, first.transcript, first.conflict) == (
        "one",
        "fear",
        "Do not move.",
        False,
    )
    assert (second.key, second.conflict, second.is_own) == ("two", True, False)


def test_missing_files_and_files_outside_the_folder_are_left_out(tmp_path):
    inside = tmp_path / "clips"
    inside.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (inside / "manifest.csv").write_text("path,label\n../secret.mp4,joy\ngone.mp4,fear\n", encoding="utf-8")
    assert shipped_clips(inside) == ()


def test_without_a_manifest_there_are_no_clips(tmp_path):
    assert shipped_clips(tmp_path) == ()


def test_an_upload_replaces_the_one_before(tmp_path):
    content = write_clip(tmp_path / "source.mp4", num_frames=5).read_bytes()
    home = tmp_path / "private"
    home.mkdir()
    first = save_upload("first.mp4", content, home)
    second = save_upload(r"..\..\<b>se/cond</b>.mp4", content, home)
    assert not first.path.exists() and second.path.read_bytes() == content
    assert second.path.is_relative_to(home) and second.is_own
    assert "<" not in second.path.name


@pytest.mark.parametrize("content", [b"", b"no media at all", b"\x00" * 5000])
def test_a_refused_upload_leaves_the_one_before(tmp_path, content):
    good = write_clip(tmp_path / "source.mp4", num_frames=5).read_bytes()
    home = tmp_path / "private"
    home.mkdir()
    first = save_upload("first.mp4", good, home)
    with pytest.raises(MediaError, match="bad.mp4"):
        save_upload("bad.mp4", content, home)
    assert first.path.exists() and list(home.iterdir()) == [first.path.parent]


def test_too_large_an_upload_is_refused_unwritten(tmp_path):
    with pytest.raises(MediaError, match="cut it shorter"):
        save_upload("big.mp4", bytes(MAX_UPLOAD_MEGABYTES * 1_000_000 + 1), tmp_path)
    assert not list(tmp_path.iterdir())


def test_loudness_places_a_burst_in_time():
    waveform = np.zeros(16_000, dtype=np.float32)
    waveform[8_000:8_800] = -0.5
    peaks = loudness(waveform, duration_seconds=2.0, num_columns=20)
    assert np.flatnonzero(peaks).tolist() == [5]
    assert peaks.max() == 1.0


def test_near_silence_is_not_blown_up():
    assert loudness(np.full(1600, 1e-5), duration_seconds=0.1, num_columns=4).max() < 0.02


def test_pictures_keep_their_proportions():
    uri = picture_uri(np.zeros((40, 80, 3), dtype=np.uint8), side=20)
    image = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
    assert image.size == (40, 20)


def test_a_clip_without_picture_and_sound_is_displayed_empty():
    shown = display_clip(None, None, None, 1.0)
    assert shown.pictures == shown.thumbnails == () and shown.peaks is None


def test_h264_plays_as_it_is(tmp_path):
    clip = open_clip(write_clip(tmp_path / "a.mp4"))
    assert is_playable(clip)
    assert playable_copy(clip, tmp_path, print) == clip.path


def test_what_browsers_cannot_play_is_copied_on_the_same_clock(tmp_path):
    clip = open_clip(write_clip(tmp_path / "a.mpg", num_frames=50, codec="mpeg1video"))
    assert not is_playable(clip)
    said = []
    copy = open_clip(playable_copy(clip, tmp_path, said.append))
    assert is_playable(copy) and len(said) == 1
    assert copy.info.num_frames == clip.info.num_frames
    assert copy.start_seconds == pytest.approx(clip.start_seconds, abs=0.1)
    assert copy.end_seconds == pytest.approx(clip.end_seconds, abs=0.1)
    with av.open(str(clip.path)) as before, av.open(str(copy.path)) as after:
        times = [frame.time for frame in before.decode(video=0)]
        assert [frame.time for frame in after.decode(video=0)] == pytest.approx(times, abs=1e-3)


def test_a_shelf_makes_once_and_forgets_the_oldest():
    shelf, made = Shelf(2), []
    for key in ("a", "b", "a", "c", "a", "b"):
        shelf.get((key,), lambda key=key: made.append(key) or key)
    assert made == ["a", "b", "c", "b"]
    assert ("c",) not in shelf


def test_a_shelf_lets_a_failed_value_be_tried_again():
    shelf = Shelf(2)
    with pytest.raises(ZeroDivisionError):
        shelf.get(("a",), lambda: 1 / 0)
    assert shelf.get(("a",), lambda: 5) == 5


def test_launch_arguments():
    arguments = launch.streamlit_arguments(port=9000, open_browser=False)
    assert arguments[:2] == ["run", str(launch.MAIN)] and launch.MAIN.is_file()
    assert arguments[arguments.index("--server.port") + 1] == "9000"
    assert "--server.address" not in arguments


def test_launch_environment_names_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.delenv(launch.CHECKPOINT_VARIABLE, raising=False)
    assert launch.CHECKPOINT_VARIABLE not in launch.environment()
    assert launch.environment(tmp_path)[launch.CHECKPOINT_VARIABLE] == str(tmp_path)


def test_settings_keep_to_this_machine_and_send_nothing():
    settings = tomllib.loads((launch.MAIN.parent / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "localhost"
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"
