"""The Learn page in Streamlit's own test runner, on a small model with random weights."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import checkpoints, launch, learn_state, resources
from app.clips import ClipChoice, shipped_clips
from app.learn_state import STEPS, LearnView, Vote, lesson, score
from app.shortcuts import shortcuts_of
from app.views.embeddings.epochs import MARKED
from app.views.learn.limits import confidence_words
from app.views.learn.parts import relevance_words
from app.views.learn.span import span_words, spans
from core.config import PRESETS, TemporalConfig
from core.prediction import FrameSelection
from core.space import SPACES, Space
from tests.app.test_clip_page import html_of, link_of

SCRIPT = launch.MAIN.parent / "screens" / "learn.py"


@pytest.fixture
def page(clip_page):
    return AppTest.from_file(SCRIPT, default_timeout=120)


def at(page, step: int, **link: str):
    page.query_params.update({"step": str(step), "clip": "one", **link})
    return page.run()


def test_a_first_visit_tells_nothing_of_the_clip_but_asks(page):
    page.run()
    assert not page.exception and not page.error and not page.warning
    assert "Step 1 of 7" in html_of(page) and "Guess first" in html_of(page)
    assert "labelled" not in html_of(page) and "The label" not in html_of(page)
    assert page.button(key="learn-reveal").disabled and page.button(key="learn-back").disabled
    assert link_of(page) == {"clip": page.session_state["learn-view"].clip}


def test_guess_reveal_and_score(page):
    page.run()
    first = link_of(page)["clip"]
    labels = {"one": "joy", "two": "fear"}
    page.pills(key="learn-guess").set_value(labels[first]).run()
    page.button(key="learn-reveal").click().run()
    assert not page.exception
    html = html_of(page)
    assert "The label" in html and labels[first] in html and "Probability of each emotion" in html
    assert "class <b>1 of 1</b> right, model" in html and "1 more clip to guess" in html
    page.button(key="learn-next-clip").click().run()
    second = link_of(page)["clip"]
    assert second != first and "The label" not in html_of(page)
    page.pills(key="learn-guess").set_value("disgust").run()
    page.button(key="learn-reveal").click().run()
    assert "Every clip was guessed" in html_of(page)
    assert "class <b>1 of 2</b> right, model" in html_of(page) and "✗ wrong" in html_of(page)
    assert set(learn_votes(page)) == {"one", "two"}
    page.button(key="learn-next-clip").click().run()
    assert link_of(page)["clip"] == first and "The label" in html_of(page), "it was revealed before"


def learn_votes(page) -> dict[str, Vote]:
    return page.session_state[learn_state._VOTES]


def test_a_guess_outlives_a_look_at_another_step(page):
    page.run()
    page.pills(key="learn-guess").set_value("anger").run()
    page.button(key="learn-next").click().run()
    assert link_of(page)["step"] == "2"
    page.button(key="learn-back").click().run()
    assert page.pills(key="learn-guess").value == "anger" and "step" not in link_of(page)


@pytest.mark.parametrize("step", range(1, len(STEPS) + 1))
def test_each_step_is_drawn(page, step):
    at(page, step)
    assert not page.exception and not page.error and not page.warning
    assert f"Step {step} of 7" in html_of(page) and f"<h2>{STEPS[step - 1]}</h2>" in html_of(page)
    assert "Do not move." in html_of(page)
    assert page.button(key="learn-next").disabled == (step == 7)
    assert link_of(page) == {"clip": "one"} | ({"step": str(step)} if step > 1 else {})


def test_next_leads_through_all_steps(page):
    at(page, 1)
    for step in range(2, len(STEPS) + 1):
        page.button(key="learn-next").click().run()
        assert not page.exception and link_of(page) == {"clip": "one", "step": str(step)}


def test_the_keys_of_the_walk_are_those_that_the_list_names(page):
    at(page, 2)
    keys = {name: page.button(key=f"learn-{name}").proto.shortcut for name in ("next", "back", "present")}
    assert keys == {"next": "n", "back": "b", "present": "p"}
    walk = dict(shortcuts_of("Learn"))["The walk"]
    assert sorted(key for one in walk for key in one.keys) == sorted(keys.values())
    page.button(key="learn-present").click().run()
    assert page.button(key="learn-leave").proto.shortcut == "p"


def test_words_are_escaped(page):
    at(page, 2, clip="two")
    # a drawing that the sanitiser leaves: it takes SVG out
    assert "<svg" not in html_of(page) and html_of(page).count("<i style=") == 60
    assert "A lovely &lt;b&gt;day&lt;/b&gt;." in html_of(page) and "<b>day" not in html_of(page)


def test_a_link_restores_step_clip_and_what_is_looked_into(page):
    at(page, 4, clip="two", patches="0")
    kept = page.select_slider(key="learn-frame").options
    assert not page.exception and len(kept) == PRESETS["tiny"].video.num_kept_frames
    assert page.segmented_control(key="step-picker").value == 0
    assert link_of(page) == {"step": "4", "clip": "two", "patches": "0"}
    last = int(page.session_state["learn-frame"])
    page.segmented_control(key="step-picker").set_value(1).run()
    # the small model has one step, and all of them are what a first visit shows
    assert link_of(page) == {"step": "4", "clip": "two"}
    assert page.session_state["learn-frame"] == last
    page.toggle(key="overlay lines").set_value(True).run()
    assert link_of(page) == {"step": "4", "clip": "two", "over": "kept,lines,points"}
    page.query_params = {"step": "4", "clip": "two", "frame": str(last + 1)}
    page.run()
    assert page.session_state["learn-frame"] == last and link_of(page)["frame"] == str(last + 1)


def test_senseless_parts_of_a_link_fall_back(page):
    page.query_params.update({"step": "99", "clip": "one", "frame": "77", "patches": "<b>"})
    page.run()
    assert not page.exception and "Step 1 of 7" in html_of(page)
    page.query_params = {"step": "4", "clip": "one", "frame": "77", "patches": "99"}
    page.run()
    assert not page.exception and "Step 4 of 7" in html_of(page)
    page.query_params = {"clip": "[gone](x)"}
    page.run()
    assert not page.exception and "names a clip that is not here" in page.warning[0].value


def test_without_a_checkpoint_there_is_one_sentence(page, monkeypatch):
    monkeypatch.delenv(launch.CHECKPOINT_VARIABLE)
    page.run()
    assert not page.exception and len(page.warning) == 1 and "deepmsi train" in page.warning[0].value


def test_without_clips_there_is_one_sentence(page, monkeypatch):
    monkeypatch.setattr(resources, "shipped_clips", lambda: ())
    page.run()
    assert not page.exception and "No sample clips" in page.info[0].value


def test_an_unreadable_clip_gives_a_sentence_and_the_way_on(page, clip_folder, tmp_path, monkeypatch):
    folder = tmp_path / "clips"
    shutil.copytree(clip_folder, folder)
    (folder / "one.mp4").write_bytes(b"no media")
    monkeypatch.setattr(resources, "shipped_clips", lambda: shipped_clips(folder))
    at(page, 1)
    assert not page.exception and len(page.error) == 1 and str(tmp_path) not in page.error[0].value
    page.button(key="learn-next-clip").click().run()
    assert not page.error and link_of(page) == {"clip": "two"}


def test_another_checkpoint_answers(page, checkpoint, tmp_path, monkeypatch):  # noqa: F811
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    monkeypatch.setattr(checkpoints, "checkpoints", lambda: {"small": checkpoint, "other": other})
    at(page, 2)
    picker = page.selectbox(key="checkpoint-picker")
    assert picker.options == ["small", "other"] and picker.value == "small"
    picker.select("other").run()
    assert not page.exception and link_of(page) == {"clip": "one", "step": "2", "checkpoint": "other"}
    page.query_params["checkpoint"] = "gone"
    page.run()
    assert "names the checkpoint gone, which is not here; small answers" in page.warning[0].value


def test_the_presenter_layout_has_the_walk_alone(page, checkpoint, monkeypatch):  # noqa: F811
    monkeypatch.setattr(checkpoints, "checkpoints", lambda: {"small": checkpoint, "other": checkpoint})
    at(page, 2)
    page.button(key="learn-present").click().run()
    assert not page.exception and link_of(page) == {"clip": "one", "step": "2", "present": "1"}
    assert not page.selectbox and "Step 2 of 7" in html_of(page)
    page.button(key="learn-next").click().run()
    assert link_of(page)["present"] == "1" and not page.selectbox
    page.button(key="learn-leave").click().run()
    assert page.selectbox and link_of(page) == {"clip": "one", "step": "3"}


def test_a_broken_checkpoint_gives_a_sentence_without_a_path(page, checkpoint, tmp_path, monkeypatch):  # noqa: F811
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(broken))
    page.run()
    assert not page.exception and len(page.error) == 1
    assert str(tmp_path) not in page.error[0].value.replace("\\", "")


def test_the_space_is_shown_where_it_was_kept(page, checkpoint, tmp_path, monkeypatch):  # noqa: F811
    folder = tmp_path / "spaced"
    shutil.copytree(checkpoint, folder)
    at(page, 6)
    assert "kept no space over its training" in page.info[0].value
    random = np.random.default_rng(0)
    width = PRESETS["tiny"].heads.classifier_hidden[-1]
    space = Space(
        keys=("a", "b", "c"),
        labels=("joy", "fear", "joy"),
        epochs=np.array([-1, 0]),
        embeddings={
            name: random.normal(size=(2, 3, width if name == "fused" else 4)).astype(np.float16)
            for name in SPACES
        },
    )
    (folder / "space.safetensors").write_bytes(space.to_bytes())
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(folder))
    page.run()
    assert not page.exception and not page.info
    assert any("3 dev clips" in caption.value for caption in page.caption)
    # the clip of the walk is marked, and stays while the others move
    figure = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert [trace["name"] for trace in figure["data"]] == ["fear", "joy", MARKED]
    assert all(frame["traces"] == [0, 1] for frame in figure["frames"])
    assert len(base64.b64decode(figure["data"][2]["x"]["bdata"])) == 8


def test_the_last_step_tells_the_law_and_the_glossary(page):
    at(page, 7)
    html = html_of(page)
    for part in ("2024/1689", "Article 5(1)(f)", "Annex III", "Article 50", "What a person feels", "Shapley"):
        assert part in html


def test_the_receptive_field_by_hand():
    # kernel 3: a block of two convolutions looks 2 · 2 · dilation further back, from one frame on
    assert spans(TemporalConfig(channels=(8, 8, 8), kernel_size=3)) == (5, 13, 29)
    assert spans(TemporalConfig(channels=(8,), kernel_size=2)) == (3,)
    assert spans(TemporalConfig(channels=(8, 8), kernel_size=1)) == (1, 1)


def test_the_receptive_field_is_that_of_the_network():
    import torch

    from core.temporal import TemporalNetwork

    torch.manual_seed(0)
    config = TemporalConfig(channels=(8, 8), kernel_size=3, dropout=0.0)
    network = TemporalNetwork(4, config).eval()
    frames = torch.randn(1, 30, 4, requires_grad=True)
    network(frames, torch.ones(1, 30, dtype=torch.bool)).sum().backward()
    reached = frames.grad.abs().sum(2)[0] > 0
    assert reached[30 - spans(config)[-1] :].any() and not reached[: 30 - spans(config)[-1]].any()
    assert bool(reached[30 - spans(config)[-1]])


def test_the_span_is_told_with_the_clip_s_frames(make_prediction):
    prediction = make_prediction()
    told = span_words(TemporalConfig(channels=(8, 8, 8)), prediction)
    assert "1 + 2 × (3 − 1) × (1 + 2 + 4) = 29 frames" in told
    assert "3 kept frames" in told and "spans all of them, from 0.30 s to 0.90 s" in told
    short = span_words(TemporalConfig(channels=(8,), kernel_size=2, summary="attention"), prediction)
    assert "spans all of them" in short and "all states" in short
    single = span_words(TemporalConfig(channels=(8,), kernel_size=1), prediction)
    assert "the last 1 of them, from 0.90 s to 0.90 s" in single


def test_relevance_is_told_with_the_clip_s_numbers(make_prediction):
    told = relevance_words(make_prediction())
    # sound and words change but 2 % of the frames that the shipped checkpoint keeps
    assert (
        "what changes in the face, moved by the sound and the words as far as" in told
        and "0.50 s is the most relevant" in told
    )
    assert re.search(r"40\.0.% *, where an even share would be 16\.7", told)
    assert re.search(r"3 kept frames hold 80.%", told)
    alone = make_prediction(present={"video": True, "audio": False, "text": False})
    assert "neither sound nor words" in relevance_words(alone)
    assert isinstance(alone.frames, FrameSelection)


def test_confidence_is_held_against_the_threshold(make_prediction):
    prediction = make_prediction()
    assert "is below this checkpoint’s threshold of 60" in confidence_words(prediction, 0.6)
    assert "is not below this checkpoint’s threshold of 50" in confidence_words(prediction, 0.5)
    assert "has no threshold" in confidence_words(prediction, 0.0)


def test_score_and_order():
    cast = (
        Vote(label="joy", guess="joy", answer="fear", checkpoint="a"),
        Vote(label="fear", guess="joy", answer="fear", checkpoint="a"),
        Vote(label="fear", guess="fear", answer="fear", checkpoint="b"),
    )
    # the class is the same whoever answers
    assert score(cast, "a") == (2, 1, 2) and score(cast, "b") == (2, 1, 1) and score((), "a") == (0, 0, 0)
    clips = [
        ClipChoice(key=key, title="", path=launch.MAIN, label=label, missing=missing)
        for key, label, missing in (
            ("a", "joy", "text"),
            ("b", None, ""),
            ("c", "fear", ""),
            ("d", "joy", ""),
        )
    ]
    ordered = [clip.key for clip in lesson(clips)]
    assert set(ordered) == {"a", "c", "d"} and ordered[-1] == "a"
    assert ordered == [clip.key for clip in lesson(clips[::-1])]


def test_a_link_round_trips():
    view = LearnView(step=3, clip="one", frame=4, patches=0, checkpoint="own", is_presented=True)
    assert LearnView.from_link(view.to_link()) == view and LearnView().to_link() == {}
