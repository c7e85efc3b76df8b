"""State and links, clips and uploads, pictures and sound, playback, launch."""

import base64
import errno
import io
import os
import socket
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import av
import numpy as np
import pytest
from made_truth import a_sidecar
from PIL import Image

import core.cores
from app import evaluations, folders, launch
from app.clips import MAX_UPLOAD_MEGABYTES, OWN_CLIP, save_upload, shipped_clips, transcript_of
from app.display import display_clip, loudness, picture_uri
from app.playback import Playable, is_playable, playable_copy
from app.shelf import Shelf
from app.state import MAX_WORDS_CHARACTERS, ViewState
from core.media import MediaError, Transcript, decode, open_clip
from core.media.speech_models import Speech
from sample_data.corpus.schema import Sound, Timed
from tests.app.conftest import write_clip
from tests.core.media.attacks import can_watch, leads_to, listening, watched
from tests.core.media.made_media import grey_pictures, tone, write_media
from tests.full_disk import files_of_at_most


def test_a_link_restores_the_view():
    view = ViewState(clip="one", frame=3, step=0, emotion="fear", words="a & b=c?", checkpoint="mini")
    assert ViewState.from_link(view.to_link()) == view


def test_a_link_restores_what_is_laid_over_tried_and_judged():
    edits = "kinds=word%2Cblur&place=2&new=not+%26+never"
    view = ViewState(clip="one", baseline="donor", judged="word", overlays=("kept", "points"), edits=edits)
    assert view.to_link() == {
        "clip": "one",
        "absent": "donor",
        "judged": "word",
        "over": "kept,points",
        "what-if": edits,
    }
    assert ViewState.from_link(view.to_link()) == view
    bare = ViewState(overlays=())
    assert bare.to_link() == {"over": "nothing"} and ViewState.from_link(bare.to_link()) == bare


@pytest.mark.parametrize(
    ("speech", "link"),
    [
        (Speech(), {"speech": "shipped"}),
        (Speech(model="some/model", language="de"), {"speech": "some/model", "language": "de"}),
    ],
)
def test_a_link_restores_how_the_sound_is_listened_to(speech, link):
    view = ViewState(clip=OWN_CLIP, speech=speech)
    assert view.to_link() == {"clip": "own"} | link and ViewState.from_link(view.to_link()) == view


def test_senseless_speech_in_a_link_is_left_out():
    for link in ({"speech": " "}, {"speech": "x" * 301}, {"speech": "a\x00b"}, {"language": "de"}):
        assert ViewState.from_link(link).speech is None
    assert ViewState.from_link({"speech": "a/b", "language": "xx"}).speech == Speech(model="a/b")


def test_a_link_keeps_the_truth_hidden():
    view = ViewState(clip="one", is_truth_hidden=True)
    assert view.to_link() == {"clip": "one", "made": "hidden"}
    assert ViewState.from_link(view.to_link()) == view
    assert not ViewState.from_link({"made": "shown"}).is_truth_hidden


def test_defaults_stay_out_of_the_link():
    assert ViewState(clip="one").to_link() == {"clip": "one"}
    assert ViewState(clip="one", words="").to_link() == {"clip": "one", "words": ""}


def test_a_link_names_an_own_clip_but_nothing_of_it():
    view = ViewState(clip=OWN_CLIP, frame=2, words="private", checkpoint="mini")
    assert view.to_link() == {"clip": "own", "checkpoint": "mini"}
    assert ViewState.from_link({"clip": "own"}).clip == OWN_CLIP


def test_frames_in_a_link_are_counted_from_one():
    assert ViewState(frame=29).to_link() == {"frame": "30"}
    assert ViewState.from_link({"frame": "30"}).frame == 29


@pytest.mark.parametrize("frame", ["0", "-1", "1e3", "x", "", "９", "123456789"])
def test_senseless_numbers_in_a_link_are_left_out(frame):
    assert ViewState.from_link({"frame": frame}).frame is None


def test_endless_words_in_a_link_are_cut():
    assert len(ViewState.from_link({"words": "a" * 10_000}).words) == MAX_WORDS_CHARACTERS


def test_words_in_a_link_are_tidied_and_cut_between_words():
    assert ViewState.from_link({"words": " one  two\n"}).words == "one two"
    # 75 times eight characters are 600, of which the last is a blank
    assert ViewState.from_link({"words": "one  two " * 100}).words == " ".join(["one two"] * 75)
    assert ViewState.from_link({"words": "  "}).words == ""


def test_words_too_long_for_a_link_are_left_out_of_it():
    words = "a" * (MAX_WORDS_CHARACTERS + 1)
    assert ViewState(clip="one", words=words).to_link() == {"clip": "one"}
    assert ViewState(clip="one", words=words[1:]).to_link()["words"] == words[1:]


def test_shipped_clips_come_from_the_manifest(clip_folder):
    first, second = shipped_clips(clip_folder)
    assert (first.key, first.label, first.transcript, first.kinds) == ("one", "joy", "Do not move.", ())
    assert (second.key, second.kinds, second.is_own) == ("two", ("mixed signals",), False)


@pytest.fixture
def shelf_of(tmp_path):
    def make(*rows: str):
        lines = ["path,label,transcript,speaker", *rows]
        (tmp_path / "manifest.csv").write_text("\n".join(lines), encoding="utf-8")
        for row in rows:
            (tmp_path / row.split(",")[0]).write_bytes(b"x")
        return shipped_clips(tmp_path)

    return make


def test_emotions_take_turns_and_sadness_begins(shelf_of):
    labels = ["fear", "fear", "anger", "sadness", "sadness", "fear"]
    clips = shelf_of(*(f"{index}.mp4,{label},,s" for index, label in enumerate(labels)))
    assert [clip.label for clip in clips] == ["sadness", "fear", "anger", "sadness", "fear", "fear"]
    assert [clip.key for clip in clips] == ["3", "0", "2", "4", "1", "5"]


def test_clips_alike_in_label_and_words_name_their_speakers(shelf_of):
    clips = shelf_of("a.mp4,joy,Hello,te1", "b.mp4,joy,Hello,te2", "c.mp4,fear,Hello,te1")
    assert sorted(clip.title for clip in clips) == ["Hello", "speaker 1: Hello", "speaker 2: Hello"]


COLUMNS = "path,label,informative,conflict,missing,video_emotion,audio_emotion,text_emotion,distractors"


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ("fear,video audio text,False,,fear,fear,fear,", ["all agree"]),
        ("neutral,,False,,neutral,neutral,neutral,", ["all agree"]),
        ("fear,video audio,False,text,fear,fear,,", ["all agree", "something missing"]),
        ("fear,video audio,False,,fear,fear,neutral,dark", ["two of three", "something in the way"]),
        ("joy,video,False,text,joy,neutral,,", ["only face", "something missing"]),
        ("joy,audio,False,,neutral,joy,neutral,", ["only voice"]),
        ("joy,text,False,,neutral,neutral,joy,", ["only words"]),
        # conflicts are not counted among the clips of two carriers
        ("fear,audio text,True,,joy,fear,fear,hiss", ["mixed signals", "something in the way"]),
    ],
)
def test_kinds_of_made_clips(tmp_path, row, kinds):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "manifest.csv").write_text(f"{COLUMNS}\na.mp4,{row}\n", encoding="utf-8")
    assert list(shipped_clips(tmp_path)[0].kinds) == kinds


def test_a_clip_made_without_words_hums(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "manifest.csv").write_text("path,label,transcript,missing\na.mp4,joy,,text\n")
    (clip,) = shipped_clips(tmp_path)
    assert clip.title == "hums, no words" and clip.is_hummed


def test_a_clip_without_words_says_so_and_is_not_listened_to(shelf_of):
    (clip,) = shelf_of("a.mp4,joy,,te1")
    assert clip.title == "without words" and transcript_of(clip) == Transcript(text="")


def test_words_of_a_made_clip_have_the_times_of_its_sidecar(shelf_of, tmp_path):
    (clip,) = shelf_of("d00001.mp4,fear,Who is there?,te1")
    assert transcript_of(clip) == Transcript(text="Who is there?")
    words = (("Who", 0.2, 0.4), ("is", 0.4, 0.5), ("there", 0.5, 0.9))
    timed = tuple(Timed(text=text, start_seconds=start, end_seconds=end) for text, start, end in words)
    sound = Sound(
        prosody={}, emotional_start_seconds=None, emotional_end_seconds=None, phones=(), words=timed
    )
    replace(a_sidecar([0.0] * 4), sound=sound).write(tmp_path / "d00001.json")
    given = transcript_of(clip)
    assert [(word.text, word.start_seconds, word.end_seconds) for word in given.words] == list(words)
    (tmp_path / "d00001.json").write_text("{")
    assert transcript_of(clip) == Transcript(text="Who is there?")


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


@pytest.mark.parametrize(
    "name",
    [
        *("../../up.mp4", "/etc/passwd", "..", ".", "", "\0.mp4", "-rf.mp4", "CON.mp4", "%s%n.mp4"),
        *("a\"b'c.mp4", "two\nlines.mp4", "🙂.mp4", "x" * 251 + ".mp4", "🙂" * 300, "clip." + "m" * 300),
    ],
)
def test_an_upload_of_any_name_lies_in_a_folder_of_its_own(tmp_path, name):
    content = write_clip(tmp_path / "source.mp4", num_frames=5).read_bytes()
    home = tmp_path / "private"
    home.mkdir()
    clip = save_upload(name, content, home)
    assert clip.path.resolve().parent.parent == home and clip.path.read_bytes() == content
    assert clip.path.parent.stat().st_mode & 0o077 == 0
    assert clip.title.isprintable() and 0 < len(clip.title) <= 120 and not {"/", "\\"} & set(clip.title)


@pytest.mark.skipif(not can_watch, reason="opened files are watched on Linux only")
@pytest.mark.parametrize("kind", ["ffconcat", "hls to a file", "hls to an address"])
def test_an_uploaded_list_leads_nowhere(tmp_path, kind):
    secret = write_clip(tmp_path / "secret.mp4", num_frames=5)
    with listening() as (port, called), watched(secret) as opened:
        for name in ("list.mp4", "list.m3u8"):
            with pytest.raises(MediaError, match=f"^{name} holds no video or sound"):
                save_upload(name, leads_to(kind, secret, port), tmp_path)
    assert not opened and not called


@pytest.mark.parametrize("content", [b"", b"no media at all", b"\x00" * 5000])
def test_a_refused_upload_leaves_the_one_before(tmp_path, content):
    good = write_clip(tmp_path / "source.mp4", num_frames=5).read_bytes()
    home = tmp_path / "private"
    home.mkdir()
    first = save_upload("first.mp4", good, home)
    with pytest.raises(MediaError, match="bad.mp4"):
        save_upload("bad.mp4", content, home)
    assert first.path.exists() and list(home.iterdir()) == [first.path.parent]


def test_an_upload_that_cannot_be_stored_leaves_nothing(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(MediaError, match="No space left"):
        save_upload("mine.mp4", b"content", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_upload_without_a_folder_for_it_is_refused_in_a_sentence(tmp_path, monkeypatch):
    def full(**options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    with pytest.raises(MediaError, match="mine.mp4 could not be stored .No space left"):
        save_upload("mine.mp4", b"content", tmp_path)


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
    assert playable_copy(clip, tmp_path, print) == Playable(path=clip.path, mime="video/mp4")


@pytest.mark.parametrize(
    ("name", "options", "mime"),
    [
        ("a.webm", {"video_codec": "libvpx", "audio_codec": "libopus", "sample_rate": 48_000}, "video/webm"),
        ("a.m4a", {"pictures": None}, "audio/mp4"),
        ("a.mp3", {"pictures": None, "audio_codec": "libmp3lame"}, "audio/mpeg"),
        ("a.wav", {"pictures": None, "audio_codec": "pcm_s16le"}, "audio/wav"),
    ],
)
def test_a_file_is_played_as_what_it_is(tmp_path, name, options, mime):
    sound = tone(0.5, options.get("sample_rate", 16_000))
    values = {"pictures": grey_pictures(5), "sound": sound} | options
    clip = open_clip(write_media(tmp_path / name, **values))
    assert playable_copy(clip, tmp_path, print) == Playable(path=clip.path, mime=mime)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ten-bit.mp4", {"pixel_format": "yuv420p10le"}),
        ("fine-colour.mp4", {"pixel_format": "yuv422p"}),
        ("web.mp4", {"video_codec": "libvpx-vp9", "container": "webm"}),
        ("web.mkv", {"video_codec": "libvpx"}),
    ],
)
def test_what_only_some_browsers_play_is_copied(tmp_path, name, options):
    clip = open_clip(write_media(tmp_path / name, pictures=grey_pictures(5), **options))
    copy = playable_copy(clip, tmp_path, lambda stage: None)
    assert copy.path != clip.path and copy.mime == "video/mp4"
    assert open_clip(copy.path).info.pixel_format == "yuv420p"


def test_a_copy_for_which_there_is_no_room_is_refused_in_a_sentence(tmp_path):
    clip = open_clip(write_clip(tmp_path / "a.mpg", num_frames=10, codec="mpeg1video"))
    with files_of_at_most(0), pytest.raises(MediaError, match=f"^{tmp_path} cannot be written .*; make room"):
        playable_copy(clip, tmp_path, lambda stage: None)
    assert list(tmp_path.iterdir()) == [clip.path]


def test_sound_that_changes_its_channels_is_copied_whole(tmp_path):
    values = {"audio_codec": "ac3", "sample_rate": 48_000, "container": "mpegts"}
    halves = [
        write_media(tmp_path / "stereo", sound=np.tile(tone(1.0, 48_000), (2, 1)), layout="stereo", **values),
        write_media(tmp_path / "mono", sound=tone(1.0, 48_000), sound_starts_seconds=1.0, **values),
    ]
    film = tmp_path / "both.ts"
    film.write_bytes(b"".join(half.read_bytes() for half in halves))
    clip = open_clip(film)
    copy = open_clip(playable_copy(clip, tmp_path, lambda stage: None).path)
    assert copy.end_seconds == pytest.approx(clip.end_seconds, abs=0.1)
    loud = np.abs(decode(copy).waveform) > 0.05
    assert loud[: len(loud) // 3].any() and loud[-len(loud) // 3 :].any()


def test_what_browsers_cannot_play_is_copied_on_the_same_clock(tmp_path):
    clip = open_clip(write_clip(tmp_path / "a.mpg", num_frames=50, codec="mpeg1video"))
    assert not is_playable(clip)
    said = []
    copy = open_clip(playable_copy(clip, tmp_path, said.append).path)
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
    shelf.clear()
    assert ("a",) not in shelf and ("b",) not in shelf


def test_a_shelf_lets_a_failed_value_be_tried_again():
    shelf = Shelf(2)
    with pytest.raises(ZeroDivisionError):
        shelf.get(("a",), lambda: 1 / 0)
    assert shelf.get(("a",), lambda: 5) == 5


def test_who_asks_for_what_is_being_made_waits_for_it():
    shelf, made = Shelf(2), []

    def slow() -> int:
        made.append(1)
        time.sleep(0.2)
        return len(made)

    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda _: shelf.get(("a",), slow), range(4)))
    assert got == [1] * 4


def test_launch_arguments():
    arguments = launch.streamlit_arguments(port=9000, open_browser=False)
    assert arguments[:2] == ["run", str(launch.MAIN)] and launch.MAIN.is_file()
    assert arguments[arguments.index("--server.port") + 1] == "9000"
    assert "--server.address" not in arguments and "--server.allowedHosts" not in arguments


def test_who_serves_it_to_others_may_name_the_hosts_or_allow_all(monkeypatch):
    monkeypatch.delenv(launch.HOSTS_VARIABLE, raising=False)
    arguments = launch.streamlit_arguments(port=9000, address="0.0.0.0")
    assert arguments[-4:] == ["--server.address", "0.0.0.0", "--server.allowedHosts", "*"]
    # what a flag says would come before the variable
    monkeypatch.setenv(launch.HOSTS_VARIABLE, "emotions.example.org")
    assert "--server.allowedHosts" not in launch.streamlit_arguments(port=9000, address="0.0.0.0")


def test_a_port_in_use_is_passed_over(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        taken.listen()
        monkeypatch.setattr(launch, "FIRST_PORT", taken.getsockname()[1])
        port = launch.free_port()
    assert port != launch.FIRST_PORT
    with socket.socket() as server:
        server.bind(("localhost", port))


def test_launch_environment_names_the_checkpoint(tmp_path, monkeypatch):
    monkeypatch.delenv(launch.CHECKPOINT_VARIABLE, raising=False)
    assert launch.CHECKPOINT_VARIABLE not in launch.environment()
    assert launch.environment(tmp_path)[launch.CHECKPOINT_VARIABLE] == str(tmp_path)


def test_the_app_computes_on_the_cores_that_there_are(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(core.cores, "CONTROL_GROUP", tmp_path)
    assert launch.environment()["OMP_NUM_THREADS"] == "8"
    for limit, cores in (("max 100000", "8"), ("250000 100000", "2"), ("50000 100000", "1"), ("", "8")):
        (tmp_path / "cpu.max").write_text(limit)
        assert launch.environment()["OMP_NUM_THREADS"] == cores
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert launch.environment()["OMP_NUM_THREADS"] == "3"


def test_settings_keep_to_this_machine_and_send_nothing():
    settings = tomllib.loads((launch.MAIN.parent / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "localhost"
    # Streamlit's welcome brings its own advertisement into the page
    assert settings["logger"]["hideWelcomeMessage"] is True
    assert settings["server"]["maxUploadSize"] == MAX_UPLOAD_MEGABYTES
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"


def test_evaluations_whose_clips_ship_come_first(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluations, "SHIPPED_EVALUATIONS", tmp_path)
    monkeypatch.setenv(folders.VARIABLE, str(tmp_path / "home"))
    for name in ("everyday-faces", "full-test", "full-probe", "another-test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "evaluation.json").write_text("{}")
    evaluations._given.clear()
    assert list(evaluations.evaluations()) == ["full-probe", "full-test", "another-test", "everyday-faces"]
