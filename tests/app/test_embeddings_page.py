"""The Embeddings page and its picture, on hand-made evaluations; no model is needed."""

import json
import time
from collections import Counter

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import evaluations, launch
from app.components.legend import MARK
from app.embeddings_state import COLOURS, EmbeddingsView
from app.views.embeddings import picture, twin
from app.views.embeddings.choices import thinning_words
from app.views.embeddings.epochs import epochs_figure, epochs_table, epochs_words
from app.views.embeddings.picture import (
    MAX_GROUPS,
    OTHERS,
    RIGHT_COLORS,
    UNKNOWN,
    groups_by,
    rows_chosen,
    rows_in_group,
    space_figure,
    tie_note,
    tint_of,
)
from app.views.embeddings.quality import measured_words, pair_table, quality_table
from app.views.embeddings.symbols import symbols_of
from app.views.embeddings.twin import picture_words, points_table
from app.views.markup import color_of
from core.evaluation import spaces
from core.evaluation.spaces import TOGETHER, PairQuality, SpaceQuality, picture_of, points_of
from core.labels import EMOTION_COLORS, MODALITIES
from core.space import SPACES, Space
from tests.app.conftest import menu, tables_of, write_clip
from tests.made_evaluations import made_clips, made_evaluation

TRUTH = ["joy", "fear", "anger"] * 6
TOLD = ["joy", "joy", "anger"] * 6


@pytest.fixture
def evaluation(tmp_path):
    return made_evaluation(TRUTH, TOLD, tmp_path)


@pytest.fixture
def page(tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(evaluations, "SHIPPED_EVALUATIONS", shipped)
    evaluations._given.clear()
    evaluations.thumbnails.clear()
    write_clip(shipped / "c1.mp4", num_frames=10)
    made_evaluation(TRUTH, TOLD, shipped).write(shipped / "first-test")
    # links lead to pages of the whole app
    return AppTest.from_file(launch.MAIN, default_timeout=60).switch_page("screens/embeddings.py")


def html_of(test) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def link_of(test) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in test.query_params.items()}


def test_a_first_visit_shows_the_fused_space(page):
    page.run()
    assert not page.exception and not page.error
    assert "<b>first</b> on clips, split test: right on 67" in html_of(page)
    assert "Draw around points" in page.caption[0].value
    table = tables_of(page)[0]
    assert table.index[0] == "silhouette" and "by chance 0.29" in table.loc["retrieval@5", "how to read it"]
    assert link_of(page) == {}


@pytest.mark.parametrize("space", ["video", TOGETHER])
def test_a_link_restores_the_view(page, space):
    link = {"space": space, "method": "tsne", "dims": "3", "colour": "speaker", "open": "c1.mp4"}
    for name, value in link.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    assert "Drag to turn" in page.caption[0].value and ("squares sounds (18)" in page.caption[0].value) == (
        space == TOGETHER
    )
    assert "<strong>joy</strong>" in html_of(page)
    # three pairs of modalities
    assert len(tables_of(page)[-1]) == 3
    assert link_of(page) == link
    page.button(key="close-point").click().run()
    assert "open" not in link_of(page)


def test_what_was_chosen_is_listed_and_stays_with_another_picture(page):
    page.run()
    of = evaluations.opened(next(iter(evaluations.evaluations().values())))
    page.session_state["embeddings-chosen"] = (of.folder, of.stamp), np.array([0, 1, 4])
    page.run()
    assert "3 chosen clips <span>2 of them wrong</span>" in html_of(page)
    page.query_params["method"] = "tsne"
    page.run()
    assert "3 chosen clips" in html_of(page)


def test_without_a_history_the_epochs_say_so(page):
    page.query_params["part"] = "epochs"
    page.run()
    assert not page.exception
    assert "kept no space over its training" in page.info[0].value


def test_a_space_that_no_clip_has_says_so(page, tmp_path):
    without = made_evaluation(TRUTH, TOLD, tmp_path, checkpoint="second")
    without.embeddings["video"][:] = np.nan
    without.write(tmp_path / "shipped" / "a-blind")
    page.query_params["space"] = "video"
    page.run()
    assert not page.exception
    assert "No clip has picture" in page.info[0].value


def test_links_say_the_view_and_nothing_else():
    view = EmbeddingsView(evaluation="e", part="epochs", space="audio", method="tsne", num_dims=3, clip="k")
    assert EmbeddingsView.from_link(view.to_link()) == view
    assert EmbeddingsView().to_link() == {} and EmbeddingsView.from_link({}) == EmbeddingsView()
    odd = {"part": "?", "space": "?", "method": "?", "dims": "4", "colour": "?"}
    assert EmbeddingsView.from_link(odd) == EmbeddingsView()


def test_groups_and_their_colours(evaluation, tmp_path):
    groups, colors = groups_by(evaluation, "label")
    assert groups.tolist() == TRUTH and colors["fear"] == color_of("fear")
    groups, colors = groups_by(evaluation, "right")
    assert groups[:3].tolist() == ["right", "wrong", "right"] and len(set(colors.values())) == 2
    groups, colors = groups_by(evaluation, "speaker")
    assert len(set(groups)) == len(colors) == 9
    many = made_evaluation(["joy"] * 60, ["joy"] * 60, tmp_path)
    groups, colors = groups_by(many, "speaker")
    # of thirty speakers of two clips each, one group less than there are colours, and the rest
    assert len(colors) == MAX_GROUPS and (groups == OTHERS).sum() == 60 - 2 * (MAX_GROUPS - 1)
    nobody = made_evaluation(TRUTH, TOLD, tmp_path, clips=made_clips(TRUTH, tmp_path, speaker=None))
    assert set(groups_by(nobody, "speaker")[0]) == {UNKNOWN}


def test_a_link_to_a_clip_that_is_not_here_says_so(page):
    page.query_params["open"] = "gone.mp4"
    page.run()
    assert not page.exception
    assert "opens the clip gone.mp4, which is not here" in page.warning[0].value.replace("\\", "")


def test_the_picture_pales_and_rings_but_hides_nothing(evaluation):
    points = points_of(evaluation, "fused")
    places = np.arange(36, dtype=float).reshape(18, 2)
    figure = space_figure(
        evaluation, points, places, colour="label", chosen=np.array([1, 3]), opened="c4.mp4"
    )
    clips, ring = figure.data
    assert len(clips.x) == 18 and clips.selectedpoints == (1, 3)
    assert 0 < clips.unselected.marker.opacity < 0.3
    assert (ring.x, ring.y) == ((8.0,), (9.0,)) and ring.name == "opened clip"
    assert clips.customdata[3][:4].tolist() == [3, "c3.mp4", "joy", "joy"]
    plain = space_figure(evaluation, points, places, colour="label")
    assert [trace.selectedpoints for trace in plain.data] == [None]


def test_every_colouring_is_a_button_of_one_figure(evaluation):
    points = points_of(evaluation, TOGETHER)
    places = np.zeros((len(points.rows), 2))
    figure = space_figure(evaluation, points, places, colour="label")
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == list(COLOURS)
    of = {button.label: button.args for button in menu.buttons}
    # a list for each modality, of a value for each of its points
    change, traces = of["right"]
    assert list(traces) == [0, 1, 2] and change[MARK] == "right"
    assert (
        change["marker.color"] == [[RIGHT_COLORS["wrong" if i % 3 == 1 else "right"] for i in range(18)]] * 3
    )
    assert [set(trace.marker.symbol) for trace in figure.data] == [{"circle"}, {"square"}, {"diamond"}]
    assert "marker.symbol" not in change
    (alone,) = space_figure(
        evaluation, points_of(evaluation, "fused"), np.zeros((18, 2)), colour="label"
    ).data
    assert len(set(alone.marker.symbol)) == 3
    confidence = evaluation.probabilities().max(axis=1)
    assert of["confidence"][0]["marker.color"][1] == pytest.approx(confidence, abs=0.001)
    # what it begins with is what its own button would make of it
    assert [list(trace.marker.color) for trace in figure.data] == of["label"][0]["marker.color"]
    assert {trace[MARK] for trace in figure.data} == {"label"}


def test_another_colour_leaves_the_chart_as_it_is_unless_its_points_are_many(page, monkeypatch):
    def spec():
        return page.get("plotly_chart")[0].proto.spec

    page.run()
    by_label = spec()
    menu(page.segmented_control, "embeddings-colour").set_value("right").run()
    assert link_of(page) == {"colour": "right"} and spec() == by_label
    # what shows something else is drawn with the colour at once
    menu(page.segmented_control, "embeddings-method").set_value("tsne").run()
    assert json.loads(spec())["data"][0][MARK] == "right"
    monkeypatch.setattr(picture, "MANY_POINTS", 10)
    st.cache_resource.clear()
    page.run()
    of_many = spec()
    menu(page.segmented_control, "embeddings-colour").set_value("label").run()
    assert spec() != of_many


def test_the_legend_names_groups_and_finds_their_clips(evaluation):
    points = points_of(evaluation, "fused")
    tint = tint_of(evaluation, points, "label", is_flat=True)
    assert [name for name, _, _ in tint.legend] == ["joy", "fear", "anger"]
    for name, color, symbol in tint.legend:
        rows = rows_in_group(evaluation, points, "label", name)
        assert rows.tolist() == [row for row, label in enumerate(TRUTH) if label == name]
        assert set(tint.colors[rows]) == {color} and set(tint.symbols[rows]) == {symbol}
    assert tint_of(evaluation, points, "confidence", is_flat=True).legend == ()
    together = points_of(evaluation, TOGETHER)
    assert rows_in_group(evaluation, together, "right", "wrong").tolist() == [1, 4, 7, 10, 13, 16]


def test_what_data_say_is_drawn_letter_by_letter(tmp_path):
    clips = made_clips(
        ["joy"] * 3, tmp_path, speaker="<a href='http://x.org'>s</a>", transcript="I <b>see</b> &"
    )
    evaluation = made_evaluation(["joy"] * 3, ["joy"] * 3, tmp_path, clips=clips)
    points = points_of(evaluation, "fused")
    (trace,) = space_figure(evaluation, points, np.zeros((3, 2)), colour="speaker").data
    # of tags Plotly makes links and line breaks
    assert trace.customdata[0][4] == "I &lt;b&gt;see&lt;/b&gt; &amp;"
    assert trace.customdata[0][5] == ", speaker &lt;a href='http://x.org'&gt;s&lt;/a&gt;"
    assert "<a" not in trace.to_plotly_json()["hovertemplate"]


def test_the_opened_clip_s_modalities_are_tied(evaluation):
    evaluation.embeddings["audio"][5] = np.nan
    points = points_of(evaluation, TOGETHER)
    places = np.random.default_rng(0).normal(size=(len(points.rows), 3))
    figure = space_figure(evaluation, points, places, colour="confidence", opened="c2.mp4")
    assert figure.data[-1].mode == "lines+markers" and len(figure.data[-1].x) == 4  # and back to the first
    two = space_figure(evaluation, points, places, colour="confidence", opened="c5.mp4")
    assert len(two.data[-1].x) == 2
    assert [set(trace.marker.symbol) for trace in figure.data[:-1]] == [{"circle"}, {"square"}, {"diamond"}]
    assert figure.data[0].marker.cmax == 1.0
    assert (
        tie_note(points.modalities) == "Circles are pictures (18), squares sounds (17), diamonds words (18)."
    )
    assert tie_note(["fused"] * 3) == ""


@pytest.mark.parametrize("num_dims", [2, 3])
def test_groups_differ_in_shape_too(evaluation, num_dims):
    points = points_of(evaluation, "fused")
    for colour, num_groups in (("label", 3), ("right", 2)):
        tint = tint_of(evaluation, points, colour, is_flat=num_dims == 2)
        assert len(tint.legend) == num_groups == len(set(tint.symbols)) == len(set(tint.colors))
    # whatever else is in the picture
    flat = symbols_of(["joy", "fear"], is_flat=True)
    assert flat == {name: symbols_of(EMOTION_COLORS, is_flat=True)[name] for name in ("joy", "fear")}
    assert len(set(symbols_of(map(str, range(MAX_GROUPS)), is_flat=True).values())) == MAX_GROUPS
    assert len(set(symbols_of(["fear", "a", "neutral", "b"], is_flat=True).values())) == 4
    # in three dimensions "x" is an emoji, and an empty box where no font has it
    solid = symbols_of(["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"], is_flat=False)
    assert len(set(solid.values())) == 7 and "x" not in solid.values()
    assert all(flat[name] == solid[name] for name in flat)


def test_twenty_thousand_clips_are_drawn_in_seconds(large, monkeypatch):
    begin = time.process_time()
    points = points_of(large, "fused")
    labels = large.predictions["label"].to_numpy(object).astype(str)
    picture = picture_of(points, labels, "pca")
    figure = space_figure(large, picture.points, picture.places, colour="label", chosen=np.arange(50))
    sent = figure.to_json()
    table = points_table(large, picture.points, picture.places)
    assert time.process_time() - begin < 8
    # what each step of a lasso sends to the browser
    assert len(sent) < 3_000_000
    assert len(table) == 20_000 == sum(len(trace.x) for trace in figure.data)
    assert {trace.type for trace in figure.data} == {"scattergl"}  # by the graphics card
    # four in seven, two in seven and one in seven are kept
    assert sorted(Counter(figure.data[0].marker.color).values()) == [2_857, 5_714, 11_429]
    # each colouring of so many would be megabytes
    assert not figure.layout.updatemenus
    told = thinning_words(picture, "pca", opened=None)
    assert told.startswith("Drawn are 20,000 of 21,000 clips, because a browser turns slow with more")
    lost = int(np.setdiff1d(points.rows, picture.points.rows)[0])
    assert "The opened clip is not among them." in thinning_words(picture, "pca", opened=lost)
    assert "on 3,000 of the 20,000 points" in measured_words(
        SpaceQuality(num_points=21_000, silhouette=0, retrieval=0, chance=0, trustworthiness=0), picture
    )


def test_the_page_draws_twenty_thousand_clips(page, large, tmp_path):
    large.write(tmp_path / "shipped" / "first-test")
    page.query_params["colour"] = "speaker"
    page.session_state["points-table"] = True
    page.run()
    assert not page.exception and not page.error
    assert page.info[0].value.startswith("Drawn are 20,000 of 21,000 clips")
    assert "Scatter of 20,000 points" in picture_alt(page)
    assert len(page.dataframe[0].value) == 20_000


@pytest.mark.parametrize(
    ("labels", "changes"),
    [(["joy"], {}), (["joy", "anger"] * 4, {}), (TRUTH, {"speaker": None, "transcript": None})],
    ids=["one clip", "all correct, one class missing", "no speakers, no words"],
)
def test_every_picture_of_every_evaluation(page, tmp_path, labels, changes):
    clips = made_clips(labels, tmp_path / "shipped", **changes)
    made_evaluation(labels, labels, tmp_path / "shipped", clips=clips).write(
        tmp_path / "shipped" / "first-test"
    )
    for view in (
        {"colour": "speaker"},
        {"colour": "right", "dims": "3"},
        {"space": TOGETHER, "method": "tsne"},
        {"colour": "confidence", "open": "c0.mp4"},
    ):
        page.query_params = view
        page.run()
        assert not page.exception and not page.error and not page.warning
        num_points = len(labels) * (3 if view.get("space") == TOGETHER else 1)
        assert f"Scatter of {num_points} point" in picture_alt(page)
        # no figure of a space is told where there is nothing to compare with
        (quality,) = (table for table in tables_of(page) if "silhouette" in table.index)
        assert (quality.loc["silhouette", "value"] == "–") == (len(set(labels)) < 2)


def test_a_thinned_picture_says_so_on_the_page(page, monkeypatch):
    monkeypatch.setattr(spaces, "MAX_TSNE_POINTS", {2: 12, 3: 12})
    page.query_params["method"] = "tsne"
    page.run()
    assert not page.exception
    assert page.info[0].value.startswith(
        "Drawn are 12 of 18 clips, because t-SNE of more would take minutes: a random draw (seed 0)"
    )
    assert "12 points" in picture_alt(page)
    page.query_params["method"] = "pca"
    page.run()
    assert not page.info and "18 points" in picture_alt(page)


def picture_alt(test) -> str:
    return test.get("plotly_chart")[0].proto.alt


def test_many_clips_are_not_listed_one_by_one(page, monkeypatch):
    monkeypatch.setattr(twin, "MAX_LISTED", 10)
    page.session_state["points-table"] = True
    page.run()
    assert page.multiselect(key="choose-single").disabled
    page.selectbox(key="choose-label").select("fear").run()
    assert len(page.multiselect(key="choose-single").options) == 6


def test_rows_of_a_selection():
    points = [{"customdata": [4, "c4"]}, {"customdata": [1, "c1"]}, {"customdata": [4, "c4"]}, {"x": 1}]
    assert rows_chosen({"points": points}).tolist() == [1, 4]
    assert rows_chosen(None).tolist() == rows_chosen({}).tolist() == []


def test_figures_that_cannot_be_told_are_dashes():
    quality = SpaceQuality(
        num_points=1, silhouette=np.nan, retrieval=0.5, chance=0.25, trustworthiness=np.nan
    )
    table = quality_table(quality, -1.234)
    assert table["value"].tolist() == ["–", "0.50", "−1.23", "–"]
    pair = PairQuality(
        pair=("video", "text"), num_clips=1200, alignment=1.5, gap=0.1, retrieval=0.4, chance=0.2
    )
    assert pair_table([pair]).loc["picture and words"].tolist() == ["1,200", "1.50", "0.10", "0.40", "0.20"]


def test_the_space_over_epochs_moves_clips_in_one_frame():
    moments = np.zeros((3, 4, 2), np.float16)
    moments[-1] = [[1, 0], [1, 0.1], [0, 1], [0.1, 1]]
    moments[0] = moments[1] = [[1, 1]] * 4
    space = Space(
        keys=tuple("abcd"),
        labels=("joy", "joy", "fear", "fear"),
        epochs=np.array([-1, 0, 1]),
        embeddings={name: moments if name != "text" else moments * np.nan for name in SPACES},
    )
    figure = epochs_figure(space, "fused")
    assert [frame.name for frame in figure.frames] == ["start", "1", "2"]
    first, last = figure.frames[0].data, figure.frames[-1].data
    # in the order of the other legends
    assert [trace.name for trace in last] == ["fear", "joy"]
    # all in one place at first, parted along the first direction in the end
    assert len({round(float(x), 6) for trace in first for x in trace.x}) == 1
    assert max(last[0].x) < min(last[1].x) or min(last[0].x) > max(last[1].x)
    reach = figure.layout.xaxis.range[1]
    assert all(abs(x) <= reach for frame in figure.frames for trace in frame.data for x in trace.x)
    assert epochs_figure(space, "text") is None
    assert set(SPACES) == {*MODALITIES, "fused"}


def test_the_picture_has_a_table_twin(evaluation):
    points = points_of(evaluation, TOGETHER)
    places = np.arange(3.0 * len(points.rows)).reshape(-1, 3)
    table = points_table(evaluation, points, places)
    assert len(table) == 54 and list(table["of"].unique()) == ["picture", "sound", "words"]
    assert table.loc[1, ["clip", "label", "model says", "x", "y", "z"]].tolist() == [
        *("c1.mp4", "fear", "joy"),
        *(3.0, 4.0, 5.0),
    ]
    flat = points_table(evaluation, points_of(evaluation, "fused"), places[:18, :2])
    assert "z" not in flat and "of" not in flat
    words = picture_words(evaluation, points, "all")
    assert "choose clips" in words
    assert "choose clips" not in picture_words(evaluation, points, "all", is_flat=False)
    assert "54 points" in words and "joy 18" in words and "fear 18" in words


def test_clips_are_chosen_without_the_mouse(page):
    page.run()
    # it is drawn once it is opened: a list of all clips takes a browser long
    assert not page.multiselect and not page.dataframe
    page.session_state["points-table"] = True
    page.run()
    assert page.button(key="choose-none").disabled
    page.selectbox(key="choose-label").select("fear").run()
    page.selectbox(key="choose-prediction").select("joy").run()
    assert page.button(key="choose-all").label == "Choose these 6 clips"
    page.button(key="choose-all").click().run()
    assert not page.exception
    assert "6 chosen clips <span>6 of them wrong</span>" in html_of(page)
    # fear is every third clip, from the second on
    assert page.multiselect(key="choose-single").value == [1, 4, 7, 10, 13, 16]
    page.multiselect(key="choose-single").set_value([4]).run()
    assert link_of(page)["open"] == "c4.mp4" and "chosen clips" not in html_of(page)
    page.button(key="choose-none").click().run()
    assert "open" not in link_of(page)
    page.selectbox(key="choose-prediction").select("fear").run()
    assert page.button(key="choose-all").disabled


def test_the_epochs_are_a_table_too():
    moments = np.zeros((2, 12, 3), np.float16)
    # at first every clip has one of the other label beside it, in the end none has
    moments[0] = [[np.cos(angle), np.sin(angle), 0] for angle in np.arange(12) / 2]
    moments[1] = [[1, 0.01 * k, 0] if k % 2 else [0, 1, 0.01 * k] for k in range(12)]
    space = Space(
        keys=tuple("abcdefghijkl"),
        labels=("joy", "fear") * 6,
        epochs=np.array([-1, 0]),
        embeddings={name: moments if name != "text" else moments * np.nan for name in SPACES},
    )
    table = epochs_table(space, "fused")
    assert table.index.tolist() == ["start", "1"]
    assert table["retrieval@5"].iat[1] == 1.0 and table["silhouette"].iat[1] > 0.95
    # of eleven others, five have the same label
    assert table["by chance"].tolist() == pytest.approx([5 / 11] * 2, abs=0.001)
    assert table["silhouette"].iat[0] < 0.2 and table["retrieval@5"].iat[0] < 0.7
    assert f"from {table['retrieval@5'].iat[0]:.2f} to 1.00" in epochs_words(table)
    assert epochs_table(space, "text").empty
