import json

import numpy as np
import pytest

from app.components import patches, timeline
from core.media import Word


@pytest.fixture
def strip(make_prediction):
    return timeline.Strip(
        title="Strip",
        start_seconds=0.0,
        end_seconds=1.2,
        frames=make_prediction().frames,
        thumbnails=tuple(f"data:{index}" for index in range(6)),
        peaks=np.array([0.0, 1.0, 0.25]),
        words=(Word(text=" move", start_seconds=0.2, end_seconds=0.6),),
    )


def test_timeline_ties_every_frame_to_its_keeper(strip):
    sent = timeline.payload(strip, selected=2, player_key="player")
    assert [frame["kept"] for frame in sent["frames"]] == [False, True, True, False, True, False]
    assert [frame["absorbedBy"] for frame in sent["frames"]] == [1, 1, 2, 4, 4, -1]
    assert [frame["time"] for frame in sent["frames"]] == [0.1, 0.3, 0.5, 0.7, 0.9, 1.1]
    # relevances 0.05, 0.2, 0.4, 0.1, 0.2, 0.05 from the lowest to the highest
    assert [frame["relevance"] for frame in sent["frames"]] == [0, 0.429, 1, 0.143, 0.429, 0]
    assert sent["words"] == [{"text": "move", "start": 0.2, "end": 0.6}]
    assert sent["peaks"] == [0.0, 1.0, 0.25]
    json.dumps(sent)


def test_timeline_without_picture_or_sound_is_empty_not_broken(strip):
    silent = timeline.Strip(
        title="Strip", start_seconds=0.0, end_seconds=1.2, frames=None, thumbnails=(), peaks=None, words=()
    )
    sent = timeline.payload(silent, selected=None, player_key="player")
    assert sent["frames"] == sent["peaks"] == sent["words"] == []


def test_what_is_known_of_a_made_clip_lies_at_its_times(strip):
    curve = timeline.MadeBand(values=(0.0, 0.5, 1.0), start_seconds=0.0, step_seconds=0.04, says="rises")
    window = timeline.MadeBand(values=(1.0, 1.0), start_seconds=0.2, step_seconds=0.7, says="voice")
    told = timeline.Strip(**(vars(strip) | {"expression": curve, "voice": window, "still": "data:x"}))
    sent = timeline.payload(told, selected=None, player_key="player")
    assert sent["expression"] == {"points": [[0.0, 0.0], [0.04, 0.5], [0.08, 1.0]], "says": "rises"}
    assert sent["voice"] == {"points": [[0.2, 1.0], [0.9, 1.0]], "says": "voice"}
    assert sent["still"] == "data:x"
    untold = timeline.payload(strip, selected=None, player_key="player")
    assert untold["expression"] is untold["voice"] is None and untold["still"] == ""
    # the strip is drawn anew when the truth is folded away
    assert untold["id"] != sent["id"]


def test_timeline_refuses_a_thumbnail_too_few(strip, make_prediction):
    short = timeline.Strip(**(vars(strip) | {"thumbnails": strip.thumbnails[:-1]}))
    with pytest.raises(ValueError):
        timeline.payload(short, selected=None, player_key="player")


def test_patches_send_no_nan():
    view = patches.PatchPicture(
        picture="data:",
        grid=(1, 3),
        kept=np.array([True, False, False]),
        absorbed_by=np.array([0, 0, -1]),
        relevance=np.array([0.75, 0.25, np.nan]),
    )
    sent = patches.payload(view)
    assert sent["relevance"] == [0.75, 0.25, None]
    assert sent["absorbedBy"] == [0, 0, -1]
    assert sent["isBefore"] is False
    json.dumps(sent, allow_nan=False)


def test_timeline_is_drawn_anew_when_anything_but_the_choice_changes(strip):
    def told(selected=2, **changes):
        changed = timeline.Strip(**(vars(strip) | changes))
        return timeline.payload(changed, selected=selected, player_key="player")["id"]

    assert told() == told(selected=4)
    others = [told(words=()), told(peaks=None), told(end_seconds=1.3), told(thumbnails=("data:x",) * 6)]
    assert len({told(), *others}) == 5
