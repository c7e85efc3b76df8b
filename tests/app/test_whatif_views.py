import re
from dataclasses import replace

import numpy as np
import pytest
from made_attributions import FEAR
from streamlit.testing.v1 import AppTest

from app.desk import Reply
from app.edits import Edit
from app.views import whatif
from core.attribution.results import Target
from tests.app.conftest import hand_made_prediction

KINDS = ("mute audio", "replace video", "replace audio", "word", "blur", "sound noise", "shift")
WORDS = ("Do", "not", "move.")
DONORS = {"one": "joy: a first clip", "two": "anger: a second clip"}

BLUR, QUIET = Edit(kind="blur"), Edit(kind="mute audio")
SHIFT = Edit(kind="shift", seconds=-0.2)

# as it is: neutral 5, surprise 10, fear 50, sadness 5, joy 15, disgust 5, anger 10
MOVED = np.array([0.05, 0.40, 0.20, 0.05, 0.15, 0.05, 0.10])
RAISED = np.array([0.05, 0.10, 0.5204, 0.05, 0.1296, 0.05, 0.10])


def run_edit_picker(kinds, words, donors):
    import streamlit as st

    from app.views.whatif import edit_picker, said

    kinds, words, donors = st.session_state.get("offer", (kinds, words, donors))
    edits = edit_picker(kinds, words, donors, wanted=st.session_state.get("said"))
    st.session_state["edits"], st.session_state["said"] = edits, said(edits)


@pytest.fixture
def picker() -> AppTest:
    return AppTest.from_function(run_edit_picker, args=(KINDS, WORDS, DONORS)).run()


def of_link(text: str | None) -> AppTest:
    """As when a link is followed."""
    test = AppTest.from_function(run_edit_picker, args=(KINDS, WORDS, DONORS))
    test.session_state["said"] = text
    return test.run()


def field(test: AppTest, name: str):
    """The field of a name, of which there is one."""
    everything = [*test.multiselect, *test.selectbox, *test.text_input]
    [found] = [one for one in everything if one.key.startswith(f"edit-{name}-")]
    return found


def choose(test: AppTest, *kinds: str) -> tuple[Edit, ...]:
    field(test, "kinds").set_value(list(kinds)).run()
    return edits_of(test)


def edits_of(test: AppTest) -> tuple[Edit, ...]:
    assert not test.exception
    return test.session_state["edits"]


def offer(test: AppTest, kinds=KINDS, words=WORDS, donors=DONORS) -> tuple[Edit, ...]:
    """As when another clip is shown."""
    test.session_state["offer"] = (kinds, words, donors)
    return edits_of(test.run())


def test_nothing_is_tried_that_nobody_chose(picker):
    assert edits_of(picker) == ()
    assert field(picker, "kinds").options == [
        "without the sound",
        "another clip’s picture",
        "another clip’s sound",
        "one word changed",
        "picture blurred",
        "sound noisy",
        "sound shifted against the picture",
    ]
    assert not picker.selectbox and not picker.text_input


def test_changes_come_in_the_order_in_which_they_were_chosen(picker):
    assert choose(picker, "blur", "mute audio") == (BLUR, QUIET)
    assert not picker.selectbox and not picker.text_input


def test_another_clip_is_chosen_once_for_all_that_is_taken_from_it(picker):
    first = {"donor": "one", "donor_title": "joy: a first clip"}
    assert choose(picker, "replace video", "replace audio") == (
        Edit(kind="replace video", **first),
        Edit(kind="replace audio", **first),
    )
    assert field(picker, "donor").options == list(DONORS.values())
    field(picker, "donor").set_value("two").run()
    second = {"donor": "two", "donor_title": "anger: a second clip"}
    assert edits_of(picker) == (Edit(kind="replace video", **second), Edit(kind="replace audio", **second))


def test_a_word_is_left_out_until_another_is_given(picker):
    assert choose(picker, "word") == (Edit(kind="word", word=0, old="Do", new=""),)
    assert field(picker, "place").options == list(WORDS)
    field(picker, "place").set_value(2)
    field(picker, "word").set_value("  stay   here ").run()
    assert edits_of(picker) == (Edit(kind="word", word=2, old="move.", new="stay here"),)


def test_sound_comes_earlier_or_later(picker):
    assert choose(picker, "shift") == (Edit(kind="shift", seconds=0.5),)
    seconds = field(picker, "seconds")
    assert seconds.options[0] == "1 s earlier" and seconds.options[-1] == "1 s later"
    seconds.set_value(-0.2).run()
    assert edits_of(picker) == (SHIFT,)


def test_noise_can_be_drawn_again(picker):
    assert choose(picker, "sound noise", "blur") == (Edit(kind="sound noise", seed=0), BLUR)
    assert field(picker, "seed").options == ["1", "2", "3", "4", "5"]
    field(picker, "seed").set_value(3).run()
    assert edits_of(picker) == (Edit(kind="sound noise", seed=3), BLUR)


EDITS = (
    Edit(kind="replace video", donor="two", donor_title="anger: a second clip"),
    Edit(kind="word", word=2, old="move.", new="go & stay"),
    Edit(kind="sound noise", seed=4),
    SHIFT,
)


@pytest.mark.parametrize("edits", [EDITS, EDITS[::-1], EDITS[:1], (QUIET, BLUR), ()])
def test_what_is_tried_is_said_in_a_link_and_chosen_again(edits):
    text = whatif.said(edits)
    assert (text is None) == (not edits)
    test = of_link(text)
    assert edits_of(test) == edits and not test.warning
    if edits:
        # and is changed from there
        assert choose(test, "blur") == (BLUR,)


def test_a_slow_browser_draws_what_a_link_tries_however_often_the_page_was_drawn():
    test = of_link(whatif.said(EDITS))
    # what is only put into a field once is gone from the page that is drawn next
    test.run()
    begun = {one.label: one.proto for one in [*test.multiselect, *test.selectbox, *test.text_input]}
    names = dict(zip(KINDS, field(test, "kinds").proto.options, strict=True))
    chosen = [begun["Changes to try"].options[i] for i in begun["Changes to try"].default]
    assert chosen == [names[edit.kind] for edit in EDITS]
    in_menus = {label: begun[label].options[begun[label].default] for label in ("Taken from", "Word", "Draw")}
    assert in_menus == {"Taken from": "anger: a second clip", "Word": "move.", "Draw": "5"}
    assert begun["becomes"].default == "go & stay" and edits_of(test) == EDITS


def test_a_link_without_a_draw_is_of_the_first_one(picker):
    assert choose(picker, "sound noise") == (Edit(kind="sound noise"),)
    first = whatif.said(edits_of(picker))
    field(picker, "seed").set_value(3).run()
    assert whatif.said(edits_of(picker)) != first
    # the browser's back button
    picker.session_state["said"] = first
    assert edits_of(picker.run()) == (Edit(kind="sound noise"),)


def test_a_link_says_nothing_of_what_is_chosen_later():
    test = of_link(whatif.said(EDITS))
    # the browser's back button, or all taken away by hand
    for clear in (lambda: test.session_state.__setitem__("said", None), lambda: choose(test)):
        clear()
        assert edits_of(test.run()) == ()
        assert choose(test, "word", "shift", "sound noise") == (
            Edit(kind="word", word=0, old="Do", new=""),
            Edit(kind="shift", seconds=0.5),
            Edit(kind="sound noise"),
        )
        field(test, "place").set_value(1)
        field(test, "word").set_value("never").run()


def test_a_change_that_a_link_names_twice_is_one():
    assert edits_of(of_link("kinds=blur,blur")) == (BLUR,)


def test_of_a_link_only_what_the_clip_offers_is_chosen():
    text = "kinds=blur,zzz,word,shift&donor=nobody&seconds=7&place=9&draw=x&new=hm"
    test = of_link(text)
    assert edits_of(test) == (
        BLUR,
        Edit(kind="word", word=0, old="Do", new=""),
        Edit(kind="shift", seconds=0.5),
    )


def test_a_kind_that_the_next_clip_does_not_offer_is_forgotten(picker):
    assert choose(picker, "mute audio", "blur") == (QUIET, BLUR)
    assert offer(picker, kinds=("word", "blur")) == (BLUR,)
    # and does not come back with the clip that offers it
    assert offer(picker) == (BLUR,)
    assert offer(picker, kinds=("word",)) == ()


def test_a_donor_that_the_next_clip_does_not_have_is_forgotten(picker):
    choose(picker, "replace video")
    field(picker, "donor").set_value("two").run()
    [edit] = offer(picker, donors={"three": "fear: a third clip", "one": DONORS["one"]})
    assert edit == Edit(kind="replace video", donor="three", donor_title="fear: a third clip")
    # and the browser, which keeps what was chosen there, is told
    told = field(picker, "donor").proto
    assert told.set_value and told.raw_value == "fear: a third clip"


def test_a_word_of_another_clip_is_forgotten_with_what_it_becomes(picker):
    choose(picker, "word")
    field(picker, "place").set_value(1)
    field(picker, "word").set_value("never").run()
    assert [(edit.old, edit.new) for edit in edits_of(picker)] == [("not", "never")]
    # the same words again are no other clip's
    assert [(edit.old, edit.new) for edit in offer(picker, words=list(WORDS))] == [("not", "never")]
    before = {field(picker, name).proto.id for name in ("place", "word")}
    assert offer(picker, words=("Go", "on")) == (Edit(kind="word", word=0, old="Go"),)
    # the browser, which keeps what was chosen in a field, draws others
    assert before.isdisjoint(field(picker, name).proto.id for name in ("place", "word"))
    field(picker, "word").set_value("Stay").run()
    assert edits_of(picker) == (Edit(kind="word", word=0, old="Go", new="Stay"),)


def test_each_of_equal_words_can_be_chosen(picker):
    choose(picker, "word")
    offer(picker, words=("no", "oh", "no"))
    places = field(picker, "place")
    assert places.options == ["no (1)", "oh", "no (2)"]
    places.set_value(2).run()
    assert [(edit.word, edit.old) for edit in edits_of(picker)] == [(2, "no")]
    field(picker, "place").set_value(0).run()
    assert [(edit.word, edit.old) for edit in edits_of(picker)] == [(0, "no")]


def test_each_of_equally_named_clips_can_be_chosen(picker):
    choose(picker, "replace audio")
    offer(picker, donors={"a": "Hello.", "b": "Hello."})
    field(picker, "donor").set_value("b").run()
    assert [edit.donor for edit in edits_of(picker)] == ["b"]
    field(picker, "donor").set_value("a").run()
    assert edits_of(picker) == (Edit(kind="replace audio", donor="a", donor_title="Hello. (1)"),)


def test_a_donor_that_the_next_clip_has_too_stays(picker):
    choose(picker, "replace audio")
    field(picker, "donor").set_value("two").run()
    [edit] = offer(picker, donors={"three": "fear: a third clip", "two": DONORS["two"]})
    assert edit.donor == "two"


def run_edits(prediction, target, found):
    from app.views.whatif import edits_view

    edits_view(prediction, target, found)


def show_edits(found: dict[Edit, Reply], target: Target = FEAR, **changes) -> AppTest:
    prediction = hand_made_prediction(**changes)
    test = AppTest.from_function(run_edits, args=(prediction, target, found))
    test.session_state["edits-table"] = True
    test.run()
    assert not test.exception
    return test


def rows_of(test: AppTest) -> dict[str, str]:
    """The HTML of each row after its name, by its name."""
    html = test.get("html")[0].proto.body
    rows = re.findall(r'<li class="[^"]*"><span class="name">(.*?)</span>(<span class="t.*?)</li>', html)
    return dict(rows)


def values_of(row: str) -> list[str]:
    """What stands right of a bar: the value and the change."""
    values = re.findall(r'<span class="value">(.*?)</span>', row)
    return [value.replace("\N{NARROW NO-BREAK SPACE}", " ") for value in values]


def test_before_and_after_stand_side_by_side():
    rows = rows_of(show_edits({BLUR: Reply(value=MOVED), SHIFT: Reply(value=RAISED)}))
    # the new answer is told with the name, only where there is one
    new = '<span class="says">→ surprise</span>'
    assert list(rows) == ["as it is", f"picture blurred{new}", "sound 0.2 s earlier"]
    own, blurred, shifted = rows.values()
    assert values_of(own) == ["50.0 %", ""]
    assert values_of(blurred) == ["20.0 %", "−30.0"] and "left:0.00%;width:20.00%" in blurred
    assert values_of(shifted) == ["52.0 %", "+2.0"]
    assert all('<b style="left:50.00%"></b>' in row for row in rows.values())


def test_of_a_lead_the_bars_begin_at_nothing():
    # fear is 35 points ahead of joy, and 5 with the change; of the scale from 0 to 35 that is a seventh
    rows = rows_of(show_edits({SHIFT: Reply(value=MOVED)}, Target(label="fear", instead_of="joy")))
    own, shifted = rows.values()
    assert values_of(own) == ["+35.0", ""] and "left:0.00%;width:100.00%" in own
    assert values_of(shifted) == ["+5.0", "−30.0"] and "left:0.00%;width:14.29%" in shifted


def test_what_is_awaited_or_failed_has_no_bar_and_no_row_in_the_table():
    replies = {BLUR: Reply(share=0.3), QUIET: Reply(error="It failed."), SHIFT: Reply(value=MOVED)}
    test = show_edits(replies)
    rows = rows_of(test)
    assert values_of(rows["picture blurred"]) == ["…", ""]
    assert values_of(rows["without the sound"]) == ["–", "failed"]
    for name in ("picture blurred", "without the sound"):
        assert "width:0.00%" in rows[name] and '<b style="left:50.00%"></b>' in rows[name]
    [table] = test.dataframe
    assert list(table.value.columns) == ["as it is (%)", "sound 0.2 s earlier (%, change)"]


def test_while_nothing_is_known_there_is_no_table():
    test = show_edits({BLUR: Reply()})
    assert list(rows_of(test)) == ["as it is", "picture blurred"] and not test.dataframe


def test_words_of_others_are_escaped():
    edit = Edit(kind="word", word=1, old="<i>not</i>", new="<b>never</b>")
    html = show_edits({edit: Reply(value=RAISED)}).get("html")[0].proto.body
    assert "“&lt;b&gt;never&lt;/b&gt;” for “&lt;i&gt;not&lt;/i&gt;”" in html and "<i>" not in html


def test_all_emotions_as_a_table():
    prediction = hand_made_prediction()
    table = whatif.edits_table(prediction, {BLUR: MOVED, SHIFT: RAISED})
    assert tuple(table.index) == prediction.labels
    assert table["as it is (%)"].tolist() == ["5.0", "10.0", "50.0", "5.0", "15.0", "5.0", "10.0"]
    assert table["picture blurred (%, change)"].tolist() == [
        "5.0 (0.0)",
        "40.0 (+30.0)",
        "20.0 (−30.0)",
        "5.0 (0.0)",
        "15.0 (0.0)",
        "5.0 (0.0)",
        "10.0 (0.0)",
    ]
    shifted = table["sound 0.2 s earlier (%, change)"]
    assert (shifted["fear"], shifted["joy"]) == ("52.0 (+2.0)", "13.0 (−2.0)")


def run_agreement(reports, labels, target):
    from app.views.baselines import agreement

    agreement(reports, labels, target)


def say_agreement(shapley: dict[str, tuple[float, float, float]], target: Target = FEAR) -> AppTest:
    """Of reports in which video, audio and text gave so much to fear."""
    prediction, reports = hand_made_prediction(), {}
    for baseline, given in shapley.items():
        values = np.zeros((3, 7))
        values[:, prediction.labels.index("fear")] = given
        reports[baseline] = replace(prediction.modalities, shapley=values)
    test = AppTest.from_function(run_agreement, args=(reports, prediction.labels, target)).run()
    assert not test.exception
    return test


def test_baselines_that_agree_are_told_quietly():
    test = say_agreement({"absent-token": (0.30, 0.10, -0.04), "donor": (0.25, 0.12, -0.02)})
    assert not test.warning
    said = test.caption[0].value.replace("\\", "")
    assert said.startswith("Whatever stands for an absent modality, video ranks first for fear")


@pytest.mark.parametrize(
    ("donor", "said"),
    [
        ((-0.10, 0.40, 0.02), "video speaks against fear with donor clips (-10 points)"),
        ((0.10, 0.40, -0.04), "video ranks first for fear with the learned absent vector"),
    ],
)
def test_baselines_that_disagree_are_a_warning(donor, said):
    test = say_agreement({"absent-token": (0.30, 0.10, -0.04), "donor": donor})
    assert not test.caption
    assert said in test.warning[0].value.replace("\\", "")


def test_one_baseline_agrees_with_nobody():
    test = say_agreement({"absent-token": (0.30, 0.10, -0.04)})
    assert not test.caption and not test.warning


def run_baseline_picker(chosen):
    import streamlit as st

    from app.views.baselines import baseline_picker

    baseline_picker(chosen, on_pick=lambda name: st.session_state.update(picked=name))


def test_people_choose_what_stands_for_an_absent_modality():
    test = AppTest.from_function(run_baseline_picker, args=("donor",)).run()
    assert not test.exception and "picked" not in test.session_state
    picker = test.selectbox(key="baseline-picker")
    assert picker.value == "donor"
    assert picker.options == [
        "what the model learned for “not there”",
        "other clips, one at a time",
        "the mean of other clips",
    ]
    picker.set_value("mean").run()
    assert not test.exception and test.session_state["picked"] == "mean"
