import json
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.components import patches, timeline
from app.display import ClipDisplay, display_clip
from app.views.timeline import TimelineData
from core.attribution.results import Target
from core.media.clip import SAMPLE_RATE, Transcript, Word
from core.prediction import FrameSelection
from tests.app.made_attributions import an_attribution

WORDS = (("Do", 0.1, 0.3), ("not", 0.4, 0.6), ("move.", 0.7, 1.1))


@pytest.fixture
def display():
    words = tuple(Word(text=text, start_seconds=start, end_seconds=end) for text, start, end in WORDS)
    return ClipDisplay(
        pictures=tuple(f"data:large{index}" for index in range(6)),
        thumbnails=tuple(f"data:{index}" for index in range(6)),
        peaks=np.array([0.0, 1.0]),
        transcript=Transcript(text="Do not move.", words=words),
    )


@pytest.fixture
def all_three():
    return {name: an_attribution(name) for name in ("frame", "window", "word")}


def sent(data: TimelineData) -> dict:
    return timeline.payload(data.strip, data.shares, selected=None, player_key="player")


def test_all_tracks_are_in_percentage_points_on_one_scale(make_prediction, display, all_three):
    shares = sent(TimelineData.of(make_prediction(), display, all_three))["shares"]
    assert shares["frames"] == [0, 5, 12, 0, -3, 0]
    assert shares["windows"] == [[0, 0.3, 1], [0.3, 0.6, -6], [0.6, 0.9, 0], [0.9, 1.2, 3]]
    assert shares["words"] == [2, 20, -10]
    # the largest of all three is the word's
    assert shares["scale"] == pytest.approx(20) and shares["of"] == "fear" and shares["awaited"] == []


def test_shares_that_come_later_leave_the_drawing_as_it_is(make_prediction, display, all_three):
    before = TimelineData.of(make_prediction(), display, dict.fromkeys(all_three))
    after = TimelineData.of(make_prediction(), display, all_three | {"window": None})
    assert sent(before)["shares"]["awaited"] == ["frames", "windows", "words"]
    assert sent(after)["shares"]["awaited"] == ["windows"] and sent(after)["shares"]["windows"] == []
    assert sent(before)["id"] == sent(after)["id"]
    assert "Attribution" not in before.caption and "by method of frames" in after.caption.lower()


def test_what_nobody_asked_for_is_not_awaited(make_prediction, display):
    data = TimelineData.of(make_prediction(), display, {})
    assert data.shares == timeline.NO_SHARES and "Attribution" not in data.caption


def test_what_the_clip_lacks_has_no_track_but_a_sentence(make_prediction, display, all_three):
    lacking = make_prediction(
        present={"video": False, "audio": False, "text": True}, frames=None, patch_steps=()
    )
    bare = replace(display, thumbnails=(), pictures=(), peaks=None)
    data = TimelineData.of(lacking, bare, dict.fromkeys(all_three))
    assert data.shares.awaited == ("words",)
    assert "This clip has no picture; the answer rests on text." in data.caption
    assert "There is no sound to show." in data.caption and "from the inside" not in data.caption
    wordless = TimelineData.of(make_prediction(transcript=""), display, dict.fromkeys(all_three))
    assert "No words were read." in wordless.caption and "words" not in wordless.shares.awaited


def test_captions_name_what_is_explained(make_prediction, display, all_three):
    caption = TimelineData.of(make_prediction(), display, all_three).caption
    assert "what each part gave to the probability of fear, in percentage points" in caption
    lead = Target(label="fear", instead_of="joy")
    of_lead = {name: replace(one, target=lead) for name, one in all_three.items()}
    caption = TimelineData.of(make_prediction(), display, of_lead).caption
    assert (
        "gave to the lead of fear over joy, in percentage points" in caption and "probability" not in caption
    )


def test_points_that_are_all_zero_are_said_not_drawn(make_prediction, display, all_three):
    nothing = all_three | {"frame": an_attribution("frame", values=np.zeros(6))}
    data = TimelineData.of(make_prediction(), display, nothing)
    assert data.shares.frames == () and data.shares.windows
    assert "Nothing came from the frames: all their points are zero." in data.caption


def test_words_keep_their_times_while_they_are_the_clips_own(make_prediction, display):
    own = TimelineData.of(make_prediction(), display, {}).strip
    assert [(word.text, word.start_seconds, word.end_seconds) for word in own.words] == list(WORDS)
    assert own.has_word_times
    edited = TimelineData.of(make_prediction(transcript="Go now"), display, {}, is_original=False).strip
    # two words share the 1.2 s
    assert [(word.text, word.start_seconds, word.end_seconds) for word in edited.words] == [
        ("Go", 0.0, 0.6),
        ("now", 0.6, 1.2),
    ]
    assert not edited.has_word_times


def test_attributions_of_other_elements_are_refused(make_prediction, display, all_three):
    other = all_three | {"word": an_attribution("word", target=Target(label="joy"))}
    with pytest.raises(ValueError, match="2 targets"):
        TimelineData.of(make_prediction(), display, other)
    with pytest.raises(ValueError, match="3 shares of 2 words"):
        sent(TimelineData.of(make_prediction(transcript="Go now"), display, all_three))
    with pytest.raises(ValueError, match="5 shares of 6 frames"):
        sent(
            TimelineData.of(make_prediction(), display, {"frame": an_attribution("frame", values=np.ones(5))})
        )


def test_the_table_tells_every_element(make_prediction, display, all_three):
    table = TimelineData.of(make_prediction(), display, all_three).table()
    assert list(table.columns) == ["what", "element", "from (s)", "to (s)", "to fear (points)"]
    frames = table[table["what"] == "frame"]
    assert frames["element"].tolist() == [
        "merged into 0.30 s", "kept", "kept", "merged into 0.90 s", "kept", "left out",
    ]  # fmt: skip
    assert frames["to fear (points)"].tolist() == [0, 5, 12, 0, -3, 0]
    assert table[table["what"] == "sound"].iloc[1].tolist() == ["sound", "", 0.3, 0.6, -6]
    assert table[table["what"] == "word"].iloc[2].tolist() == ["word", "move.", 0.7, 1.1, -10]
    plain = TimelineData.of(make_prediction(transcript="Go"), display, {}, is_original=False).table()
    assert list(plain.columns) == ["what", "element", "from (s)", "to (s)"]
    assert plain.iloc[-1, 2:].isna().all()


def test_what_is_sent_of_four_seconds_stays_small(make_prediction):
    rng = np.random.default_rng(0)
    # noise, coarse as faces are not, is about the worst that JPEG meets
    crops = rng.integers(0, 256, (32, 64, 64, 3), dtype=np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    times = np.linspace(0.05, 3.95, 32)
    kept = np.arange(16)
    frames = FrameSelection(
        times_seconds=times,
        kept=kept,
        relevance=rng.random(32),
        source_map=np.eye(16, 32),
        absorbed_by=np.concatenate([kept, kept]),
    )
    words = "one two three four five six seven eight nine ten"
    edges = np.linspace(0, 4, 17)
    given = {
        "frame": an_attribution("frame", values=rng.normal(size=32), start_seconds=times, end_seconds=times),
        "window": an_attribution(
            "window", values=rng.normal(size=16), start_seconds=edges[:-1], end_seconds=edges[1:]
        ),
        "word": an_attribution("word", values=rng.normal(size=10)),
    }
    prediction = make_prediction(frames=frames, end_seconds=4.0, transcript=words)
    waveform = rng.uniform(-1, 1, 4 * SAMPLE_RATE)
    shown = display_clip(crops, waveform, Transcript(text=words), 4.0)
    assert len(json.dumps(sent(TimelineData.of(prediction, shown, given)), allow_nan=False)) < 400_000


def run_frame(prediction, index, step, attribution, is_awaited):
    import streamlit as st

    from app.views.frame import frame_view

    frame_view(
        prediction,
        ("data:",) * 6,
        frame=index,
        step=step,
        on_frame=print,
        on_step=print,
        on_overlays=lambda chosen: st.session_state.update(overlays=chosen),
        overlays=st.session_state.get("overlays"),
        attribution=attribution,
        is_awaited=is_awaited,
    )


@pytest.fixture
def shown(monkeypatch):
    """What the patches in the browser were sent last."""
    last = {}
    monkeypatch.setattr(patches, "_mount", lambda *, data, **options: last.update(data))
    return last


def show_frame(prediction, index=2, step=2, attribution=None, is_awaited=False) -> AppTest:
    test = AppTest.from_function(run_frame, args=(prediction, index, step, attribution, is_awaited)).run()
    assert not test.exception
    return test


def test_the_frames_caption_names_method_and_what_is_explained(make_prediction, shown):
    lead = Target(label="fear", instead_of="joy")
    given = an_attribution("patch", method="integrated-gradients", target=lead)
    said = [caption.value for caption in show_frame(make_prediction(), attribution=given).caption]
    assert any(
        "by integrated gradients: blue (+) raised the lead of fear over joy, orange" in one.replace("\\", "")
        for one in said
    )


def test_the_frames_overlays_are_switched(make_prediction, shown):
    test = show_frame(make_prediction(), attribution=an_attribution("patch"))
    assert [toggle.label for toggle in test.toggle] == [
        "What was kept",
        "Lines to the keepers",
        "Attribution",
    ]
    assert shown["showsFate"] and not shown["showsTies"]
    np.testing.assert_allclose(shown["points"], [[1.0, -0.4], [0.0, 2.0]])
    assert shown["scale"] == pytest.approx(2.0)
    # counts would be read as signs of what was given
    assert "Veiled" in test.caption[-1].value and "+3" not in test.caption[-1].value
    # 1.0 − 0.4 + 2.0
    assert any("gave +2.6 points together" in caption.value for caption in test.caption)
    for toggle in test.toggle:
        toggle.set_value(not toggle.value)
    test.run()
    assert not shown["showsFate"] and shown["showsTies"] and shown["points"] is None
    assert not any("Attribution" in caption.value for caption in test.caption)
    assert test.caption[-1].value.endswith("2 × 2 patches.")
    assert test.session_state["overlays"] == ("lines",)
    assert [toggle.value for toggle in test.run().toggle] == [False, True, False]


def test_the_scale_of_patches_is_that_of_all_frames(make_prediction, shown):
    show_frame(make_prediction(), index=1, attribution=an_attribution("patch"))
    assert shown["points"] == [[0, 0], [0, 0]] and shown["scale"] == pytest.approx(2.0)


def test_an_awaited_overlay_says_so_and_one_that_nobody_asked_for_is_not_offered(make_prediction, shown):
    awaited = show_frame(make_prediction(), is_awaited=True).toggle[-1]
    assert awaited.label == "Attribution: being computed …" and awaited.disabled
    assert shown["points"] is None
    assert len(show_frame(make_prediction()).toggle) == 2
    # before any step there is nothing that was kept
    assert len(show_frame(make_prediction(), step=0).toggle) == 0
