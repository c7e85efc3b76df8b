import re
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app.clips import ClipChoice, shipped_clips
from app.components import gallery, pending
from app.components.browser_side import asset
from app.state import cut_words
from app.views import frame, modalities, shapley
from app.views.header import quality
from app.views.headline import learned_from, probability_table
from app.views.markup import percent, plain, points, track
from app.views.source import clip_shelf, marks_of
from core.attribution.results import Target
from tests.app.conftest import menu
from tests.app.made_attributions import FEAR


def html_of(test: AppTest) -> str:
    assert not test.exception
    return "\n".join(element.proto.body for element in test.get("html"))


def run_headline(prediction, label, options):
    from app.views.headline import headline, probability_bars

    headline(prediction, label, **options)
    probability_bars(prediction, label)


def show_headline(prediction, label, **options) -> str:
    return html_of(AppTest.from_function(run_headline, args=(prediction, label, options)).run())


def run_modalities(prediction, target):
    import streamlit as st

    from app.views import modalities, shapley

    modalities.verdict(prediction)
    charts = modalities.subset_chart, shapley.shapley_chart, shapley.interaction_chart
    st.html("".join(chart(prediction, target) for chart in charts))


def show_modalities(prediction, label, instead_of=None) -> str:
    target = Target(label=label, instead_of=instead_of)
    return html_of(AppTest.from_function(run_modalities, args=(prediction, target)).run())


@pytest.mark.parametrize(
    ("probability", "decimals", "said"),
    [
        (0, 0, "0 %"),
        (0.001, 0, "<1 %"),
        (0.5, 0, "50 %"),
        (0.999, 0, ">99 %"),
        (1, 0, "100 %"),
        (0, 1, "0.0 %"),
        (0.0004, 1, "<0.1 %"),
        (0.001, 1, "0.1 %"),
        (0.1234, 1, "12.3 %"),
        (0.999, 1, "99.9 %"),
        (0.9996, 1, ">99.9 %"),
    ],
)
def test_percent_never_rounds_to_certainty(probability, decimals, said):
    assert percent(probability, decimals=decimals).replace("\N{NARROW NO-BREAK SPACE}", " ") == said


def test_points_carry_their_sign():
    assert points(12.44) == "+12.4 points"
    assert points(-1) == "−1.0 point"
    assert points(0.01) == "±0.0 points"


def test_plain_text_holds_no_markdown():
    assert plain("a *b* [c](d)\n# e") == r"a \*b\* \[c\]\(d\) \# e"


def test_plain_text_keeps_number_and_unit_on_one_line():
    assert plain(f"by chance  {percent(0.52)}") == "by chance 52\N{NARROW NO-BREAK SPACE}\\%"


def test_track_is_ordered_and_clamped():
    drawn = track(1.2, 0.25, "red")
    assert "left:25.00%;width:75.00%" in drawn


def test_headline_says_wrong_in_words_and_with_what_probability(make_prediction):
    html = show_headline(make_prediction(), "joy")
    assert "✗ Wrong." in html and "labelled joy, which got 15" in html
    assert "◆ label" in html


def test_headline_says_right(make_prediction):
    html = show_headline(make_prediction(), "fear")
    assert "✓ Right." in html and "Wrong" not in html


def test_headline_calls_an_unsure_answer_a_guess_also_where_it_is_right(make_prediction):
    right = show_headline(make_prediction(is_uncertain=True), "fear")
    assert "Only a guess" in right and "✓ This guess is right." in right and "✓ Right" not in right
    wrong = show_headline(make_prediction(is_uncertain=True), "joy")
    assert "✗ This guess is wrong." in wrong and "labelled joy, which got 15" in wrong
    # of other clips more may be right: 0.51 of those of the shipped test split
    assert "On the clips by which this limit was set, at least half" in right


def test_headline_with_other_words_says_what_the_original_gave(make_prediction):
    before = make_prediction()
    probabilities = np.roll(before.probabilities, 1)  # 50 % fear becomes 50 % sadness
    html = show_headline(make_prediction(probabilities=probabilities), None, is_edited=True, original=before)
    assert "<strong>sadness</strong>" in html
    line = re.search("With the original words: (.*?)</p>", html)[1]
    assert re.sub("<[^>]*>", "", line) == "Fear 50\N{NARROW NO-BREAK SPACE}%"
    assert "original words" not in show_headline(before, None)


def test_quality_of_a_checkpoint_in_words():
    scores = {"num_clips": 126, "accuracy": 75 / 126, "weighted_f1": 0.6, "macro_f1": 0.5704}
    told = quality({"test": {"subsets": {"audio": {}, "video+audio+text": scores}}})
    assert (
        told.replace("\N{NARROW NO-BREAK SPACE}", " ") == "right on 60 % of 126 unseen clips (macro-F1 0.57)"
    )
    many = {
        "subsets": {"video+audio+text": scores | {"num_clips": 6439}},
        "sources": {"fer2013": {}, "meld": {}, "ravdess": {}},
    }
    assert "of 6,439 unseen clips of 3 data sets (macro-F1 0.57)" in quality({"test": many})


@pytest.mark.parametrize(
    "metrics",
    [
        {},
        {"dev": {"subsets": {"video+audio+text": {"num_clips": 1, "accuracy": 1.0, "macro_f1": 1.0}}}},
        {"test": {"subsets": {"video+audio+text": {"num_clips": 0, "accuracy": None, "macro_f1": None}}}},
        {"test": "broken"},
    ],
)
def test_quality_of_a_checkpoint_that_met_no_unseen_clips_is_not_told(metrics):
    assert quality(metrics) is None


def test_headline_with_other_words_passes_no_judgement(make_prediction):
    html = show_headline(make_prediction(), "joy", is_edited=True)
    assert "labelled joy, but with its own words" in html and "Wrong" not in html and "Right" not in html


def test_headline_with_a_hidden_label_says_no_more_than_that(make_prediction):
    html = show_headline(make_prediction(), None, is_label_hidden=True)
    assert "The label is hidden." in html and "No label is known" not in html and "◆" not in html
    edited = show_headline(make_prediction(), None, is_label_hidden=True, is_edited=True)
    assert "The label is hidden." in edited and "labelled" not in edited


def test_headline_without_label_claims_nothing(make_prediction):
    html = show_headline(make_prediction(), None)
    assert "No label is known" in html and "Right" not in html and "◆" not in html


def test_headline_with_a_label_the_model_does_not_know(make_prediction):
    assert "an emotion this model does not know" in show_headline(make_prediction(), "boredom")


def test_uncertain_answers_say_so_and_name_the_second(make_prediction):
    html = show_headline(make_prediction(is_uncertain=True), None)
    assert "uncertain" in html and "next comes joy" in html and "do not rely" in html


def test_html_of_others_is_escaped(make_prediction):
    html = show_headline(make_prediction(notes=("<img src=x onerror=alert(1)>.mp4 has no sound.",)), "<b>")
    assert "<img src=x" not in html and "&lt;img src=x" in html
    assert "labelled &lt;b&gt;," in html


def test_probability_table_has_every_class_and_its_role(make_prediction):
    table = probability_table(make_prediction(), "joy")
    assert list(table.index) == list(make_prediction().labels)
    assert table.loc["fear"].tolist() == ["50.0", "answer"]
    assert table.loc["joy"].tolist() == ["15.0", "label"]


def test_modality_table_follows_the_subsets(make_prediction):
    table = modalities.modality_table(make_prediction(), FEAR)
    assert table.loc["nothing", "fear (%)"] == "14.3"
    assert table.loc["video"].tolist() == ["10.0", "joy"]
    assert table.loc["video + audio + text"].tolist() == ["50.0", "fear"]


def test_shapley_steps_lead_from_nothing_to_all(make_prediction):
    prediction = make_prediction()
    table = shapley.shapley_table(prediction, FEAR)
    assert list(table.index) == ["nothing", "video", "audio", "text", "all"]
    assert table.iloc[:, 0].tolist() == ["", "+30.0", "+10.0", "-4.3", ""]
    assert table.iloc[:, 1].tolist() == ["14.3", "", "", "", "50.0"]
    html = show_modalities(prediction, "fear")
    # nothing 1/7 ≈ 14.3 %, video to 44.3 %, audio to 54.3 %, text back to 50 %
    assert "left:14.30%;width:30.00%" in html
    assert "left:44.30%;width:10.00%" in html
    assert "left:50.00%;width:4.30%" in html
    assert (
        "video raises fear by 30.0 points, audio raises it by 10.0 points and text lowers it by 4.3" in html
    )


@pytest.mark.parametrize(
    ("base", "exact", "shown"),
    [
        # by themselves 10.0 + 3.3 + 3.3 + 3.3 is 19.9, but all is 20.0: the largest remainder goes up
        (0.1, (0.03334, 0.03332, 0.03334), (10.0, 3.4, 3.3, 3.3)),
        # by themselves 10.0 + 3.4 + 3.4 − 0.6 is 16.2, but all is 16.1
        (0.1, (0.03356, 0.03355, -0.00601), (10.0, 3.4, 3.3, -0.6)),
        # a base that is itself rounded up: 10.1 + 5.0 + 2.0 is 17.1, but all is 17.0, and what is 0 stays 0
        (0.10051, (0.0499, 0.02, 0.0), (10.1, 4.9, 2.0, 0.0)),
    ],
)
def test_contributions_add_up_as_they_are_shown(make_prediction, base, exact, shown):
    whole = make_prediction()
    probabilities = whole.modalities.probabilities.copy()
    probabilities[0, 2], probabilities[7, 2] = base, base + sum(exact)
    values = np.zeros((3, 7))
    values[:, 2] = exact
    report = replace(whole.modalities, probabilities=probabilities, shapley=values)
    level, steps = shapley.contributions(make_prediction(modalities=report), FEAR)
    assert (level, *steps.values()) == pytest.approx(shown, abs=1e-9)
    assert f"{level + sum(steps.values()):.1f}" == f"{100 * (base + sum(exact)):.1f}"


def test_absent_modalities_are_said_not_drawn(make_prediction):
    whole = make_prediction()
    probabilities = whole.modalities.probabilities.copy()
    probabilities[[1, 4, 5, 7]] = np.nan
    probabilities[6] = whole.probabilities
    values = np.zeros((3, 7))
    values[1:] = (probabilities[6] - probabilities[0]) / 2
    report = replace(
        whole.modalities,
        probabilities=probabilities,
        shapley=values,
        verdict="agree",
        sentence="Both say fear.",
    )
    prediction = make_prediction(
        modalities=report,
        present={"video": False, "audio": True, "text": True},
        frames=None,
        patch_steps=(),
        crop_boxes=None,
        frame_size=None,
    )
    html = show_modalities(prediction, "fear")
    assert html.count("no video was read") == 2  # once in each chart
    assert html.count('role="img"') == 3  # audio, text, and both
    table = modalities.modality_table(prediction, FEAR)
    assert list(table.index) == ["nothing", "audio", "text", "audio + text"]
    assert list(shapley.shapley_table(prediction, FEAR).index) == ["nothing", "audio", "text", "all"]
    assert frame.default_frame(prediction) is None


def test_verdict_word_and_sentence(make_prediction):
    html = show_modalities(make_prediction(), "fear")
    assert "→← conflict" in html and "Video says joy." in html


def test_every_verdict_is_explained_and_has_its_own_sign(make_prediction):
    html = show_modalities(make_prediction(), "fear")
    for word in ("agree", "redundant", "complementary", "conflict", "unclear", "single modality"):
        assert re.search(rf"<li[^>]*><b>[^<]* {word}</b>: ", html), word
    assert re.findall(r'<li class="current"><b>([^<]*)</b>', html) == ["→← conflict"]
    signs = [sign for sign, *_ in modalities.VERDICTS.values()]
    assert len(set(signs)) == len(signs)


def test_the_definitions_are_in_the_order_in_which_verdicts_are_told(make_prediction):
    # an uncertain answer that each modality supports is unclear: that word must come before "agree"
    words = re.findall(
        r"<li[^>]*><b>\S+ (single modality|[a-z]+)</b>: ", show_modalities(make_prediction(), "fear")
    )
    assert words == ["single modality", "conflict", "unclear", "agree", "redundant", "complementary"]


def test_default_frame_is_the_most_relevant_kept_one(make_prediction):
    assert frame.default_frame(make_prediction()) == 2


def test_step_names_count_what_is_left(make_prediction):
    assert frame.step_names(make_prediction()) == ["All 4", "1: 3", "2: 2"]


def test_patches_after_each_step(make_prediction):
    prediction = make_prediction()
    before = frame.patch_picture(prediction, "data:", frame=2, step=0)
    assert before.kept.all() and before.absorbed_by.tolist() == [0, 1, 2, 3]
    first = frame.patch_picture(prediction, "data:", frame=2, step=1)
    assert first.kept.tolist() == [True, True, True, False] and first.absorbed_by.tolist() == [0, 1, 2, 0]
    second = frame.patch_picture(prediction, "data:", frame=2, step=2)
    assert second.kept.tolist() == [True, True, False, False] and second.absorbed_by.tolist() == [0, 1, 1, 0]


def test_a_dropped_frame_has_no_patches(make_prediction):
    assert frame.patch_picture(make_prediction(), "data:", frame=3, step=1) is None


def test_interactions_are_told_for_what_they_are(make_prediction):
    """Below zero is also where modalities say different things, so that they do not "tell the same"."""
    report = replace(
        make_prediction().modalities, pair_interactions=np.repeat([[0.064], [-0.107], [0.0]], 7, axis=1)
    )
    html = show_modalities(make_prediction(modalities=report), "fear")
    meanings = re.findall(r'class="meaning">([^<]*)<', html)
    assert meanings == [
        "more than one by one",
        "less than one by one",
        "they add up",
        "no more than pairs explain",
    ]
    assert "less, because they tell the same or pull apart" in html


def run_frame_view(prediction, index, step):
    import streamlit as st

    from app.views.frame import frame_view

    frame_view(
        prediction,
        tuple("data:image/jpeg;base64," for _ in range(6)),
        frame=index,
        step=step,
        on_frame=lambda other: st.session_state.update(went=other),
        on_step=lambda other: st.session_state.update(stepped=other),
        on_overlays=print,
    )


def test_frame_view_leads_from_a_merged_frame_to_its_keeper(make_prediction):
    test = AppTest.from_function(run_frame_view, args=(make_prediction(), 3, 2)).run()
    assert not test.exception
    assert "merged into the one at **0.90 s**" in test.caption[0].value
    test.button[0].click().run()
    assert test.session_state["went"] == 4


def test_frame_view_of_a_frame_without_trace_offers_no_keeper(make_prediction):
    test = AppTest.from_function(run_frame_view, args=(make_prediction(), 5, 2)).run()
    assert not test.exception and not test.button
    assert "was dropped" in test.caption[0].value and "low relevance" in test.caption[0].value


def test_before_any_step_nothing_is_said_of_patches_that_went(make_prediction):
    def told(step):
        test = AppTest.from_function(run_frame_view, args=(make_prediction(), 2, step)).run()
        return test.caption[-1].value

    assert "2 × 2 patches" in told(0) and "2 × 2 patches" in told(2)
    assert "Clear: the 2 kept" in told(2) and "Veiled: the 2" in told(2)
    assert not any(word in told(0) for word in ("kept", "eiled", "merged", "trace"))


def test_frame_view_walks_the_steps(make_prediction):
    test = AppTest.from_function(run_frame_view, args=(make_prediction(), 2, 2)).run()
    assert "ranks 1 of 6" in test.caption[0].value
    test.segmented_control[0].set_value(1).run()
    assert not test.exception and test.session_state["stepped"] == 1


def test_frame_view_of_a_model_that_drops_no_patches(make_prediction):
    test = AppTest.from_function(run_frame_view, args=(make_prediction(patch_steps=()), 2, 0)).run()
    assert not test.exception and "does not drop patches" in test.caption[0].value


def run_transcript(original, edited):
    import streamlit as st

    from app.views.transcript import transcript_box

    clip = st.session_state.get("clip", "one")
    transcript_box(original, edited, clip=clip, on_words=lambda words: st.session_state.update(said=words))


def test_edited_words_are_reported_and_blank_space_is_tidied():
    from core.media import Transcript

    original = Transcript(text=" hello there", source="speech-to-text")
    test = AppTest.from_function(run_transcript, args=(original, None)).run()
    assert test.text_area[0].value == "hello there"
    assert "recognised" in test.caption[0].value
    test.text_area[0].set_value("hello   you")
    test.button[0].click().run()
    assert test.session_state["said"] == "hello you"


def test_going_back_to_the_same_words_is_no_edit():
    from core.media import Transcript

    test = AppTest.from_function(run_transcript, args=(Transcript(text="hello"), "changed")).run()
    assert test.text_area[0].value == "changed"
    test.text_area[0].set_value("hello ")
    test.button[0].click().run()
    assert test.session_state["said"] is None


def test_a_clip_without_words_offers_an_empty_box():
    test = AppTest.from_function(run_transcript, args=(None, None)).run()
    assert test.text_area[0].value == "" and "none given" in test.caption[0].value


def test_long_words_are_shown_whole_and_untouched_are_no_edit():
    from core.media import Transcript

    original = Transcript(text=" one  two" * 200)
    test = AppTest.from_function(run_transcript, args=(original, None)).run()
    assert test.text_area[0].value == " ".join(["one two"] * 200)
    test.button[0].click().run()
    assert test.session_state["said"] is None


def test_unsent_words_stay_until_the_clip_changes():
    from core.media import Transcript

    # a form keeps them in the browser's box, which is another one only for other words
    test = AppTest.from_function(run_transcript, args=(Transcript(text="hello"), None)).run()
    box = test.text_area[0].proto
    assert box.default == "hello"
    again = test.run().text_area[0].proto
    assert again.id == box.id and not again.set_value
    # what was put there once a slow browser may never have drawn
    assert again.default == "hello"
    test.session_state["clip"] = "two"
    assert test.run().text_area[0].proto.id != box.id


class Shown:
    """What a browser component was sent last."""

    def __init__(self, monkeypatch, module):
        monkeypatch.setattr(module, "_mount", lambda *, data, **options: setattr(self, "data", data))


@pytest.mark.parametrize(
    ("label", "keys", "selected"),
    [(None, ["one", "two"], "one"), ("joy", ["one"], "one"), ("fear", ["two"], None)],
)
def test_the_shelf_marks_no_clip_that_is_not_on_it(clip_folder, monkeypatch, label, keys, selected):
    shown = Shown(monkeypatch, gallery)
    clips = [clip for clip in shipped_clips(clip_folder) if label in (None, clip.label)]
    clip_shelf(tuple(clips), {}, selected="one", on_pick=print)
    assert shown.data["selected"] == selected
    assert [item["key"] for item in shown.data["items"]] == keys


def test_marks_say_what_they_mean(clip_folder, monkeypatch):
    shown = Shown(monkeypatch, gallery)
    clip_shelf(shipped_clips(clip_folder), {}, selected="one", on_pick=print)
    plain_one, mixed = shown.data["items"]
    assert plain_one["marks"] == () and plain_one["name"] == "joy" and plain_one["color"]
    ((sign, meaning),) = mixed["marks"]
    assert sign == "mixed" and "face, voice and words" in meaning


def test_a_hidden_truth_leaves_neither_labels_nor_marks_nor_hums_on_the_shelf(tmp_path, monkeypatch):
    shown = Shown(monkeypatch, gallery)
    path = tmp_path / "a.mp4"
    clips = (
        ClipChoice(key="a", title="Hello", path=path, label="joy", kinds=("mixed signals",)),
        ClipChoice(key="b", title="hums, no words", path=path, label="fear", missing="text", transcript=""),
        ClipChoice(key="c", title="Hi", path=path, label="fear", distractors=("dark",)),
    )
    clip_shelf(clips, {"a": "data:x"}, selected="b", is_truth_hidden=True, on_pick=print)
    items = shown.data["items"]
    assert [item["title"] for item in items] == ["Hello", "without words", "Hi"]
    assert {(item["name"], item["color"], item["marks"]) for item in items} == {("label hidden", "", ())}
    assert items[0]["picture"] == "data:x" and shown.data["selected"] == "b"


def test_marks_tell_what_is_missing_and_what_is_in_the_way(tmp_path):
    def marks(**values):
        return dict(marks_of(ClipChoice(key="a", title="a", path=tmp_path / "a.mp4", **values)))

    assert marks() == {}
    assert "hums" in marks(missing="text")["no-words"]
    assert set(marks(missing="video")) == {"no-picture"} and set(marks(missing="audio")) == {"no-sound"}
    both = marks(distractors=("occlude_mouth", "dark", "hiss"))
    assert both["covered"].endswith("mug over the mouth, dark picture") and both["noisy"].endswith("hiss")


def test_every_mark_is_drawn_by_the_browser_side():
    signs = set(re.findall(r'^  "([a-z-]+)":', asset("gallery", "gallery.js"), re.MULTILINE))
    assert signs == {"mixed", "no-picture", "no-sound", "no-words", "covered", "noisy"}


def run_filters(clips, selected):
    import streamlit as st

    from app.views.source import clip_filters

    picked = st.session_state.setdefault("picked", selected)
    left = clip_filters(clips, selected=picked, on_pick=lambda key: st.session_state.update(picked=key))
    st.session_state["left"] = [clip.key for clip in left]


@pytest.fixture
def filtered(tmp_path):
    rows = [
        ("a", "joy", ("all agree",)),
        ("b", "fear", ("mixed signals",)),
        ("c", "fear", ("only face", "something missing")),
        ("d", "joy", ("mixed signals", "something in the way")),
    ]
    clips = tuple(
        ClipChoice(key=key, title=key, path=tmp_path / key, label=label, kinds=kinds)
        for key, label, kinds in rows
    )
    return AppTest.from_function(run_filters, args=(clips, "a")).run()


def state_of(test) -> tuple[str, list[str]]:
    assert not test.exception
    return test.session_state["picked"], test.session_state["left"]


def test_kinds_are_counted_and_take_their_first_clip(filtered):
    kind = menu(filtered.selectbox, "kind-filter")
    assert kind.options == [
        "Kind: all (4)",
        "Kind: all agree (1)",
        "Kind: only face (1)",
        "Kind: mixed signals (2)",
        "Kind: something missing (1)",
        "Kind: something in the way (1)",
    ]
    kind.set_value("mixed signals").run()
    assert state_of(filtered) == ("b", ["b", "d"])


def test_a_label_keeps_the_kind_where_it_has_one_and_drops_it_where_not(filtered):
    menu(filtered.selectbox, "kind-filter").set_value("mixed signals").run()
    menu(filtered.pills, "label-filter").set_value("joy").run()
    assert state_of(filtered) == ("d", ["d"])
    assert menu(filtered.selectbox, "kind-filter").options[0] == "Kind: all (2)"
    menu(filtered.selectbox, "kind-filter").set_value("something in the way").run()
    menu(filtered.pills, "label-filter").set_value("fear").run()
    assert state_of(filtered) == ("b", ["b", "c"])
    assert menu(filtered.selectbox, "kind-filter").value == "all"


def test_what_a_browser_says_of_the_menu_before_picks_nothing(filtered):
    kind = menu(filtered.selectbox, "kind-filter").set_value("mixed signals")
    kind.run()
    assert state_of(filtered) == ("b", ["b", "d"])
    # counted among all clips, while those of "fear" alone are offered now
    menu(filtered.pills, "label-filter").set_value("fear").run()
    stale = menu(filtered.selectbox, "kind-filter")
    stale.options.append("Kind: something in the way (0)")
    stale.set_value("something in the way").run()
    assert state_of(filtered) == ("b", ["b"])
    assert menu(filtered.selectbox, "kind-filter").value == "mixed signals"


def test_another_clip_takes_the_filters_away(filtered):
    menu(filtered.selectbox, "kind-filter").set_value("mixed signals").run()
    menu(filtered.pills, "label-filter").set_value("joy").run()
    before = [menu(filtered.pills, "label-filter").key, menu(filtered.selectbox, "kind-filter").key]
    filtered.session_state["picked"] = "c"
    filtered.run()
    assert state_of(filtered) == ("c", ["a", "b", "c", "d"])
    # what a browser still tells of the menus of before is nobody's choice
    after = [menu(filtered.pills, "label-filter").key, menu(filtered.selectbox, "kind-filter").key]
    assert not set(before) & set(after)


@pytest.mark.parametrize(
    ("text", "most", "cut"),
    [
        (" one  two ", 20, "one two"),
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two"),
        ("one two three", 7, "one two"),
        ("abcdefgh", 5, "abcde"),
    ],
)
def test_words_are_cut_between_words(text, most, cut):
    assert cut_words(text, most) == cut


def test_too_many_words_are_cut_and_that_is_said():
    test = AppTest.from_function(run_transcript, args=(None, None)).run()
    test.text_area[0].set_value("one two " * 100)  # 799 characters without the last blank
    test.button[0].click().run()
    said = test.session_state["said"]
    # 75 times eight characters are 600, of which the last is a blank
    assert said == " ".join(["one two"] * 75) and len(said) == 599
    again = AppTest.from_function(run_transcript, args=(None, said))
    for name in ("words-put", "words-cut"):
        if name in test.session_state:
            again.session_state[name] = test.session_state[name]
    again.run()
    assert "had 799 characters. Only its first 599" in again.warning[0].value
    assert again.text_area[0].value == said


def test_the_browser_is_told_what_was_read(monkeypatch):
    shown = Shown(monkeypatch, pending)
    AppTest.from_function(run_transcript, args=(None, "edited words")).run()
    assert shown.data == {"read": "edited words", "box": "words-1", "limit": 600}


def test_what_a_checkpoint_learned_from_is_read_from_its_metrics():
    recipe = {"sources": "Sources: 879 made clips (rendered faces …)"}
    warning = "For your own recording its percentages are a guess."
    told = learned_from({"num_clips": {"train": 1627}, "train_config": recipe})
    assert told == f"This checkpoint learned from 1,627 clips. {recipe['sources']} {warning}"
    tuned = learned_from({"train_config": {"start": "everyday"}})
    assert tuned.startswith(
        "It began as an earlier checkpoint, everyday, whose data and licences count, too."
    )
    # nothing is claimed that is not known
    assert learned_from({"num_clips": {"train": 9}, "train_config": {"sources": ""}}) == (
        f"This checkpoint learned from 9 clips. {warning}"
    )
    assert learned_from({}) == learned_from({"num_clips": 9, "train_config": None}) == warning


def run_bars(prediction, warning):
    from app.views.headline import probability_bars

    probability_bars(prediction, None, warning=warning)


def test_sources_of_a_checkpoint_are_escaped(make_prediction):
    warning = learned_from({"train_config": {"sources": "<img src=x>"}})
    html = html_of(AppTest.from_function(run_bars, args=(make_prediction(), warning)).run())
    assert "&lt;img src=x&gt; For your own" in html and "<img" not in html


def test_an_answer_from_no_face_and_no_words_is_called_uncertain(make_prediction):
    html = show_headline(make_prediction(is_uncertain=True, is_blind=True), None)
    assert "? uncertain" in html and "No face was found and no words were read" in html
    # its percentage may be high: that is not why it is uncertain
    assert "would rather not decide" not in html
    assert "? uncertain" not in show_headline(make_prediction(), None)


def test_the_verdict_of_an_uncertain_answer_is_unclear(make_prediction):
    report = replace(make_prediction().modalities, verdict="complementary", sentence="Audio says fear.")
    sure = show_modalities(make_prediction(modalities=report), "fear")
    assert "+ complementary" in sure and "Audio says fear." in sure
    unsure = show_modalities(make_prediction(modalities=report, is_uncertain=True), "fear")
    assert re.findall(r'<li class="current"><b>([^<]*)</b>', unsure) == ["? unclear"]
    assert "The answer itself is uncertain, fear (50" in unsure


def test_the_definitions_say_that_neutral_contradicts_nobody(make_prediction):
    html = show_modalities(make_prediction(), "fear")
    assert "Neutral names no emotion, so it never counts as a contradiction" in html
    assert "another one an emotion that is neither" in html
