"""The Compare page in Streamlit's own test runner, on hand-made evaluations; no model is needed."""

from dataclasses import replace
from functools import partial
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app import checkpoints, compare_state, evaluations, launch, resources, summaries
from app.clips import ClipChoice
from app.compare_state import CompareView
from app.views.comparison.figures import conclusions, figures_table, p_value, sign_of
from app.views.comparison.flips import on_page
from app.views.comparison.forest import forest_table
from app.views.comparison.settings import (
    CURVE,
    curve_lines,
    curves_table,
    curves_words,
    kept_row,
    settings_table,
)
from app.views.markup import plain
from core.evaluation import Estimate, compare
from core.evaluation.compare_sentences import signed
from tests.app.conftest import EVIL, go_back, tables_of, write_clip
from tests.made_evaluations import made_clips, made_evaluation

SCRIPT = launch.MAIN.parent / "screens" / "compare.py"
TRUTH = ["joy", "joy", "fear", "fear", "anger", "anger"] * 5
A = ["joy", "fear", "fear", "joy", "anger", "joy"] * 5  # half right
B = ["joy", "joy", "joy", "joy", "anger", "anger"] * 5  # joy and anger right, no fear
RECIPE = {
    "model": {"preset": "tiny", "video": {"size": 96}},
    "training": {"seed": 3, "epochs": None, "data": ["a-b/c.csv"]},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(evaluations, "SHIPPED_EVALUATIONS", shipped)
    evaluations._given.clear()
    evaluations.thumbnails.clear()
    write_clip(shipped / "c1.mp4", num_frames=10)
    return shipped


@pytest.fixture
def page(folder):
    made_evaluation(TRUTH, A, folder).write(folder / "a-test")
    made_evaluation(TRUTH, B, folder, checkpoint="second", recipe=RECIPE).write(folder / "b-test")
    return AppTest.from_file(SCRIPT, default_timeout=60)


@pytest.fixture
def comparison(tmp_path):
    first = made_evaluation(TRUTH, A, tmp_path)
    return compare(first, made_evaluation(TRUTH, B, tmp_path, checkpoint="second", recipe=RECIPE))


def html_of(test) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def link_of(test) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in test.query_params.items()}


def test_those_of_the_same_clips_are_compared_at_first(page, folder):
    made_evaluation(TRUTH[:6], A[:6], folder, data_sha256="e" * 64).write(folder / "c-other")
    page.run()
    assert not page.exception and not page.error
    assert page.multiselect(key="compare-picker").value == ["a-test", "b-test"]
    said = html_of(page)
    assert "<b>clips</b>, split test: 30 clips" in said
    # accuracy 15 of 30 against 20 of 30
    assert "<b>0.50</b>" in said and "<b>0.67</b>" in said and "only a-test 5, only b-test 10" in said
    assert link_of(page) == {}


def test_what_flatters_one_of_them_is_told_below_the_figures(page, folder):
    page.run()
    assert not page.caption or not any("leaks" in caption.value for caption in page.caption)
    made_evaluation(TRUTH, A, folder, caveats=("It *leaks*.",)).write(folder / "a-test")
    made_evaluation(TRUTH, B, folder, caveats=("It *leaks*.", "In 8 bits.")).write(folder / "b-test")
    page.run()
    assert not page.exception
    (told,) = [caption.value for caption in page.caption if "leaks" in caption.value]
    assert told == plain("It *leaks*. b-test: In 8 bits.")


def test_unlike_data_are_refused_in_a_sentence(page, folder):
    made_evaluation(TRUTH[:6], A[:6], folder, data_sha256="e" * 64, checkpoint="third").write(folder / "c")
    page.run()
    page.multiselect(key="compare-picker").set_value(["b-test", "c", "a-test"]).run()
    assert [error.value.replace("\\", "") for error in page.error] == [
        "second and third cannot be compared: one was evaluated on the data clips (30 clips, dddddddddddd…), "
        "the other on clips (6 clips, eeeeeeeeeeee…); evaluate both on the same clips."
    ]
    # the first that was chosen is what the other is held against
    assert "only b-test 10, only a-test 5" in html_of(page)
    assert link_of(page) == {"evaluations": "b-test,c,a-test"}


def test_one_alone_says_what_is_missing(folder):
    made_evaluation(TRUTH, A, folder).write(folder / "a-test")
    page = AppTest.from_file(SCRIPT, default_timeout=60).run()
    assert not page.exception
    assert "fewer than two evaluations of the same clips" in page.info[0].value
    page.text_input(key="evaluation-folder").set_value(str(folder / "nothing")).run()
    assert "is no evaluation and holds none" in page.error[0].value.replace("\\", "")


def test_a_named_folder_joins_in(folder, tmp_path):
    made_evaluation(TRUTH, A, folder).write(folder / "a-test")
    made_evaluation(TRUTH, B, tmp_path, checkpoint="second").write(tmp_path / "own")
    page = AppTest.from_file(SCRIPT, default_timeout=60).run()
    page.text_input(key="evaluation-folder").set_value(str(tmp_path / "own")).run()
    assert not page.exception and not page.error
    assert page.multiselect(key="compare-picker").value == ["a-test", "own"]
    assert link_of(page) == {"evaluations": "a-test,own"}


def test_one_chosen_alone_names_those_of_the_same_clips(page, folder):
    made_evaluation(TRUTH[:6], A[:6], folder, data_sha256="e" * 64, checkpoint="third").write(folder / "c")
    page.run()
    page.multiselect(key="compare-picker").set_value(["a-test"]).run()
    assert not page.exception
    assert page.info[0].value.replace("\\", "") == (
        "Only a-test is chosen: choose another one above to hold against it. "
        "Others of the same clips: b-test."
    )
    page.multiselect(key="compare-picker").set_value(["c"]).run()
    assert "c is the only evaluation of its clips" in page.info[0].value


def test_a_choice_that_was_taken_away_stays_away(page):
    page.run()
    page.multiselect(key="compare-picker").set_value([]).run()
    assert not page.exception and not page.error
    assert page.multiselect(key="compare-picker").value == []
    assert page.info[0].value.startswith("No evaluation is chosen")
    page.run()
    assert page.multiselect(key="compare-picker").value == [] and link_of(page) == {"evaluations": ""}


def test_a_folder_beyond_six_is_told_and_not_dropped_silently(folder, tmp_path):
    for number in range(6):
        made_evaluation(TRUTH, A, folder, checkpoint=f"n{number}").write(folder / f"n{number}-test")
    made_evaluation(TRUTH, B, tmp_path, checkpoint="seventh").write(tmp_path / "seventh")
    page = AppTest.from_file(SCRIPT, default_timeout=120).run()
    page.text_input(key="evaluation-folder").set_value(str(tmp_path / "seventh")).run()
    assert not page.exception and not page.error
    names = [f"n{number}-test" for number in range(6)]
    assert page.multiselect(key="compare-picker").value == names
    assert page.warning[0].value.startswith("seventh was found and can be chosen, but 6 evaluations")
    page.multiselect(key="compare-picker").set_value([*names[1:], "seventh"]).run()
    assert not page.warning and not page.exception


def test_a_comma_in_a_folder_s_name_outlives_the_link(page, folder):
    made_evaluation(TRUTH, B, folder, checkpoint="third").write(folder / "c, 50%2C")
    page.run()
    page.multiselect(key="compare-picker").set_value(["c, 50%2C", "a-test"]).run()
    link = link_of(page)
    assert not page.exception and not page.warning
    again = AppTest.from_file(SCRIPT, default_timeout=60)
    again.query_params.update(link)
    again.run()
    assert again.multiselect(key="compare-picker").value == ["c, 50%2C", "a-test"] and not again.warning
    assert compare_state.names_in("plain,other") == ("plain", "other")


def test_a_damaged_evaluation_is_told_and_left_out(page, folder):
    (folder / "b-test" / "predictions.parquet").write_bytes(b"nothing")
    page.run()
    assert not page.exception
    assert "b-test" in page.error[0].value.replace("\\", "")
    assert page.multiselect(key="compare-picker").value == ["a-test"]


def test_folders_of_one_name_are_told_apart(page, tmp_path):
    names = []
    for place in ("x/runs", "y/runs", "z"):
        folder = tmp_path / place / "a-test"
        folder.parent.mkdir(parents=True)
        made_evaluation(TRUTH, B, tmp_path, checkpoint=place[0]).write(folder)
        evaluations.give(folder)
        names = list(evaluations.evaluations())
    assert names == ["a-test", "b-test", "runs/a-test", "y/runs/a-test", "z/a-test"]
    evaluations.give(tmp_path / "y" / "runs" / "a-test")
    assert list(evaluations.evaluations()) == names


def test_each_part_and_its_link(page):
    page.run()
    assert "F1 of each emotion: b-test against a-test" in html_of(page)
    picker = page.get("button_group")[0]
    assert picker.label == "Look at"
    picker.set_value(compare_state.SETTINGS).run()
    assert link_of(page) == {"part": "settings"}
    settings = tables_of(page)[-1]
    assert settings.loc["model.video.size"].tolist() == ["64", "96"]
    assert settings.loc["training.data"].tolist() == ["–", '["a-b/c.csv"]']
    page.get("button_group")[0].set_value(compare_state.CURVES).run()
    assert not page.exception
    assert "No history is at hand for a-test, b-test" in page.caption[-1].value.replace("\\", "")


def test_the_other_is_asked_for_where_it_is_looked_at(page, folder):
    made_evaluation(TRUTH, A, folder, checkpoint="third").write(folder / "c-test")
    page.run()
    assert [one.label for one in page.get("button_group")] == ["Look at", plain("Against a-test")]
    page.get("button_group")[0].set_value(compare_state.CURVES).run()
    assert [one.label for one in page.get("button_group")] == ["Look at"]


def test_what_is_empty_is_told_as_none():
    table = settings_table("a", "b", {"training.sources": ("", "FER2013")})
    assert table.loc["training.sources"].tolist() == ["none", "FER2013"]


def test_names_are_shown_letter_by_letter(folder):
    name = EVIL.replace("/", "|")
    for number, told in enumerate((A, B, A)):
        made_evaluation(TRUTH, told, folder, checkpoint=f"n{number}").write(folder / f"{number} {name}")
    page = AppTest.from_file(SCRIPT, default_timeout=60)
    page.query_params["part"] = "flips"
    page.run()
    assert not page.exception
    against, became = page.get("button_group")[1:]
    assert plain(f"0 {name}") in against.label and list(became.options)[0].startswith(plain(f"1 {name}"))
    assert list(against.options) == [plain(f"{number} {name}") for number in (1, 2)]


def test_several_are_told_with_p_values_after_holm(page, folder):
    # only a 5, only b 10: p = 0.302; the one that is the same as a has p = 1
    page.run()
    assert "p = 0.302" in html_of(page) and "others" not in html_of(page)
    made_evaluation(TRUTH, A, folder, checkpoint="third").write(folder / "c-test")
    page.run()
    assert "p = 0.604" in html_of(page) and "p = 0.302" not in html_of(page)
    assert "after Holm over the 2 others" in html_of(page)


def test_one_clip_alone_has_no_interval(folder):
    for name, told in {"a-test": A, "b-test": B}.items():
        made_evaluation(TRUTH[1:2], told[1:2], folder, checkpoint=name).write(folder / name)
    page = AppTest.from_file(SCRIPT, default_timeout=60).run()
    assert not page.exception
    said = html_of(page)
    assert "with no interval, since there is one clip" in said and "resamples of 1" not in said
    assert "without an interval, since there is one clip" in said


KINDS = {
    "one clip": (["joy"], ["fear"], ["joy"], {}),
    "all correct, one class missing": (["joy", "anger"] * 3, ["joy", "anger"] * 3, ["joy", "anger"] * 3, {}),
    "no speakers": (TRUTH, A, B, {"speaker": None}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_every_pair(folder, kind):
    truth, a, b, changes = KINDS[kind]
    for name, told in {"a-test": a, "b-test": b}.items():
        clips = made_clips(truth, folder, **changes)
        made_evaluation(truth, told, folder, clips=clips, checkpoint=name).write(folder / name)
    page = AppTest.from_file(SCRIPT, default_timeout=60)
    for part in compare_state.PARTS:
        for twin in ("figures-table", "forest-table", "curves-table"):
            page.session_state[twin] = True
        page.query_params = {"part": part}
        page.run()
        assert not page.exception and not page.error and not page.warning
        assert f"split test: {len(truth)} clips" in html_of(page)
    go_back(page, {"part": "flips"})
    right = sum(one != label == other for label, one, other in zip(truth, a, b, strict=True))
    wrong = sum(one == label != other for label, one, other in zip(truth, a, b, strict=True))
    became = page.get("button_group")[1]
    assert list(became.options) == [f"b\\-test: {right}", f"a\\-test: {wrong}"]
    assert ("No clip did." in [caption.value for caption in page.caption]) == (right == 0)


def test_twenty_thousand_clips_are_compared(folder, large, monkeypatch):
    # a thousand resamples of such a set are tested by themselves
    monkeypatch.setattr(evaluations, "compare", partial(compare, num_bootstrap=10))
    large.write(folder / "a-test")
    # the other is right on all
    labels = large.predictions["label"]
    rows = np.where(labels.to_numpy(object)[:, None] == np.array(large.labels), 0.8, 0.1)
    told = {"prediction": labels, "probabilities": list(rows), "probabilities:video+audio+text": list(rows)}
    right = replace(large, predictions=large.predictions.assign(**told))
    replace(right, info=replace(right.info, checkpoint="second")).write(folder / "b-test")
    page = AppTest.from_file(SCRIPT, default_timeout=120)
    page.query_params["part"] = "flips"
    page.run()
    assert not page.exception and not page.error
    assert "only a-test 0, only b-test 18,000" in html_of(page)
    assert list(page.get("button_group")[1].options) == ["b\\-test: 18,000", "a\\-test: 0"]


def test_a_flipped_clip_leads_to_both_explanations(page, folder, monkeypatch):
    choice = ClipChoice(key="first-clip", title="", path=folder / "c1.mp4", label="joy")
    monkeypatch.setattr(resources, "shipped_clips", lambda: (choice,))
    resources.clips.clear()
    installed = {name: folder / name for name in ("first", "second")}
    monkeypatch.setattr(checkpoints, "checkpoints", lambda: installed)
    monkeypatch.setattr(summaries, "known_summary", lambda found, sha256: found and object())
    # links lead to pages of the whole app
    page = AppTest.from_file(launch.MAIN, default_timeout=60).switch_page("screens/compare.py")
    page.query_params.update({"part": "flips", "open": "c1.mp4"})
    page.run()
    assert not page.exception
    links = {one.proto.label: parse_qs(one.proto.query_string) for one in page.get("page_link")}
    assert {label.replace("\\", ""): link for label, link in links.items()} == {
        f"Explained by {name}-test": {"clip": ["first-clip"], "checkpoint": [checkpoint]}
        for name, checkpoint in {"a": "first", "b": "second"}.items()
    }
    resources.clips.clear()


def test_a_flipped_clip_opens_with_both_answers(page):
    page.query_params["part"] = "flips"
    page.query_params["open"] = "c1.mp4"
    for twin in ("left-table", "right-table"):
        page.session_state[twin] = True
    page.run()
    assert not page.exception
    said = html_of(page)
    # probability of fear with all modalities, which is told last
    told = [table["fear"].iloc[-1] for table in tables_of(page)]
    assert told == ["80.0", "10.0"]
    # c1 is joy: the first says fear with 0.8, the other joy with 0.8
    assert '<div class="who">a-test</div>' in said and '<div class="who">b-test</div>' in said
    assert "<strong>fear</strong>" in said and "<strong>joy</strong>" in said
    assert "✗ labelled" in said and "✓ labelled" in said
    page.button(key="close-flip").click().run()
    assert link_of(page) == {"part": "flips"}
    page.get("button_group")[1].set_value(compare_state.WRONG).run()
    assert link_of(page) == {"part": "flips", "became": "wrong"}


def test_a_link_that_names_what_is_not_here(page):
    page.query_params["evaluations"] = "a-test,gone"
    page.query_params["other"] = "gone"
    page.query_params["open"] = "gone.mp4"
    page.run()
    assert not page.exception
    assert "names gone, which is not here" in page.warning[0].value.replace("\\", "")
    page.query_params = {"open": "gone.mp4", "part": "flips"}
    page.run()
    assert "opens the clip gone.mp4, which is not here" in page.warning[0].value.replace("\\", "")


def test_links_say_the_view_and_nothing_else():
    view = CompareView(evaluations=("a", "b"), other="b", part="flips", became="wrong", clip="k", page=3)
    assert CompareView.from_link(view.to_link()) == replace(view, evaluation="a")
    assert CompareView().to_link() == {} and CompareView.from_link({}) == CompareView()
    odd = {"evaluations": ",a,,a,b", "part": "?", "became": "?", "page": "-2"}
    assert CompareView.from_link(odd) == CompareView(evaluation="a", evaluations=("a", "b"))
    # a page that names no evaluation takes nothing away
    compared = CompareView(evaluation="b", evaluations=("b", "a"))
    assert compared.changed(evaluation=None).evaluations == ("b", "a")
    many = ",".join("abcdefgh")
    assert CompareView.from_link({"evaluations": many}).evaluations == tuple("abcdef")


def test_what_is_better_is_said_by_the_interval():
    clear, open_ = Estimate(value=0.1, low=0.02, high=0.2), Estimate(value=0.1, low=-0.02, high=0.2)
    assert sign_of("macro_f1", clear) == "▲" and sign_of("brier", clear) == "▼"
    below = Estimate(value=-0.1, low=-0.2, high=-0.02)
    assert sign_of("macro_f1", below) == "▼" and sign_of("ece", below) == "▲"
    assert sign_of("macro_f1", open_) == "≈" and sign_of("macro_f1", Estimate(value=0.1)) == "≈"
    assert sign_of("macro_f1", Estimate(value=None)) == ""
    assert p_value(0.0004) == "< 0.001" and p_value(0.25) == "= 0.250"


def test_conclusions_name_emotions_beyond_chance(comparison):
    # of ten clips of fear only the first is right on five: p = 2 / 2^5, after Holm not below 0.05
    (said,) = conclusions({"b": comparison})
    assert said.startswith("b") and "beyond chance" not in said
    classes = dict(comparison.classes)
    classes["fear"] = replace(classes["fear"], adjusted_p_value=0.01)
    classes["joy"] = replace(classes["joy"], adjusted_p_value=0.04)
    (said,) = conclusions({"b": replace(comparison, classes=classes)})
    assert said.endswith(
        "It recognises joy more often, and fear less often, beyond chance where clips are independent."
    )


def test_tables_have_the_numbers(comparison):
    table = figures_table("a", {"b": comparison})
    assert table.loc["Accuracy", "a"] == "0.500" and table.loc["Accuracy", "b"] == "0.667"
    assert table.loc["Accuracy", "b − a"].startswith("+0.17 [")
    rows = forest_table("a", "b", comparison)
    assert rows.loc["fear", "clips"] == 10 and rows.loc["fear", "difference"] == "−0.50"
    assert (rows.loc["fear", "only a right"], rows.loc["fear", "only b right"]) == (5, 0)
    assert rows.loc["fear", "F1 of b"] == "0.00"
    settings = settings_table("a", "b", comparison.config)
    assert settings.loc["training.epochs"].tolist() == ["–", "none"]


def test_an_end_beside_zero_tells_its_side():
    assert signed(Estimate(value=0.05, low=0.0041, high=0.1)) == "+0.05 [+0.004, +0.10]"
    assert signed(Estimate(value=-0.01, low=-0.02, high=0.0)) == "−0.01 [−0.02, 0.00]"


def test_curves_mark_the_epoch_that_was_kept():
    one = pd.DataFrame({"epoch": [0, 1, 2], CURVE: [0.2, 0.6, 0.5]})
    two = pd.DataFrame({"epoch": [0, 1], CURVE: [0.1, 0.3]})
    histories = {"one": one, "two": two}
    # not the highest one: epochs are chosen by more than this curve
    kept = {"one": kept_row(one, {"best_epoch": 2}), "two": kept_row(two, {})}
    first, second = curve_lines(histories, kept)
    assert first.xs == (1, 2, 3) and first.ys == (0.2, 0.6, 0.5) and first.star == 2
    assert second.star is None
    said = curves_words(histories, kept)
    assert "one reaches 0.60 in 3 epochs, and 0.50 in epoch 3, which was kept; two reaches 0.30" in said
    assert first.dash != second.dash and first.color != second.color and first.symbol != second.symbol
    table = curves_table({"one": one, "two": two})
    assert table.loc[2].tolist() == [0.6, 0.3] and table.loc[3].isna().tolist() == [False, True]


def test_pages_of_flips():
    flips = list(range(50))
    assert on_page(flips, 1) == flips[:24] and on_page(flips, 9) == flips[48:]
    assert on_page([], 1) == []
