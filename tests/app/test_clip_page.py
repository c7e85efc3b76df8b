"""The Clip page in Streamlit's own test runner, on a small model with random weights."""

import errno
import json
import re
import shutil
from dataclasses import replace

import pytest
import streamlit as st
import torch
from made_truth import a_sidecar
from streamlit.testing.v1 import AppTest

from app import checkpoints, launch, resources
from app.clips import shipped_clips
from app.shelf import Shelf
from core.checkpoint import save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.labels import MELD_7
from core.media import MediaError, Transcript
from core.media.speech_models import Speech
from core.model import build_model
from tests.app.conftest import go_back, menu, tables_of
from tests.core.media.made_media import grey_pictures, tone, write_media


@pytest.fixture
def page(clip_page):
    return clip_page


def html_of(test) -> str:
    return "\n".join(element.proto.body for element in test.get("html"))


def link_of(test) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in test.query_params.items()}


def test_first_visit_shows_the_first_clip(page, predictions):
    page.run()
    assert not page.exception and not page.error
    assert predictions == ["Do not move."]
    assert "The model says" in html_of(page) and "labelled joy" in html_of(page)
    assert "small" in html_of(page)
    assert page.text_area[0].value == "Do not move."
    assert link_of(page) == {"clip": "one"}


def test_reruns_do_not_ask_the_model_again(page, predictions):
    page.run().run()
    other = next(name for name in MELD_7.labels if name != page.selectbox(key="class-picker").value)
    page.selectbox(key="class-picker").set_value(other).run()
    page.segmented_control(key="step-picker").set_value(0).run()
    assert len(predictions) == 1
    assert link_of(page) == {"clip": "one", "class": other, "step": "0"}


def test_a_link_restores_the_view(page, predictions):
    link = {"clip": "two", "class": "sadness", "step": "0", "words": "I hate this"}
    for name, value in link.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    # the clip's own words are asked about as well, to compare with
    assert predictions == ["I hate this", "A lovely <b>day</b>."]
    assert page.text_area[0].value == "I hate this"
    assert page.selectbox(key="class-picker").value == "sadness"
    assert page.segmented_control(key="step-picker").value == 0
    assert link_of(page) == link


def changes(page):
    [field] = [field for field in page.multiselect if field.label == "Changes to try"]
    return field


def test_a_link_restores_what_is_tried_judged_and_laid_over(page):
    link = {"clip": "one", "what-if": "kinds=blur%2Cmute+audio", "judged": "window", "over": "lines"}
    page.query_params.update(link)
    page.run()
    assert not page.exception
    assert changes(page).value == ["blur", "mute audio"]
    assert page.segmented_control(key="trust-element").value == "window"
    assert [page.toggle(key=f"overlay {name}").value for name in ("kept", "lines")] == [False, True]
    assert link_of(page) == link
    changes(page).set_value(["blur"]).run()
    page.toggle(key="overlay lines").set_value(False).run()
    assert link_of(page) == link | {"what-if": "kinds=blur", "over": "nothing"}
    # another page, and back
    turn(page, "screens/learn.py")
    turn(page, "screens/clip.py")
    assert changes(page).value == ["blur"]
    assert link_of(page) == link | {"what-if": "kinds=blur", "over": "nothing"}
    go_back(page, {"clip": "one"})
    assert changes(page).value == [] and link_of(page) == {"clip": "one"}


def test_a_link_to_what_is_not_there_says_so(page):
    for name, value in {"clip": "gone", "frame": "99", "step": "99", "class": "<b>"}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception and not page.error
    assert "names a clip that is not here" in page.warning[0].value and "The model says" not in html_of(page)


def test_senseless_parts_of_a_link_fall_back(page):
    senseless = {"frame": "99", "step": "99", "class": "<b>", "absent": "x", "judged": "x", "what-if": "x=y"}
    for name, value in {"clip": "one", **senseless}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception and not page.error
    answer = re.search("<strong>(.*?)</strong>", html_of(page))[1]
    assert page.selectbox(key="class-picker").value == answer
    assert link_of(page) == {"clip": "one"}
    shown = [caption.value for caption in page.caption], page.segmented_control(key="step-picker").value
    page.query_params = {"clip": "one"}
    page.run()
    assert shown == (
        [caption.value for caption in page.caption],
        page.segmented_control(key="step-picker").value,
    )


def test_a_link_without_a_clip_keeps_the_rest(page, predictions):
    page.query_params.update({"words": "I hate this", "class": "sadness"})
    page.run()
    assert predictions == ["I hate this", "Do not move."]
    assert link_of(page) == {"clip": "one", "words": "I hate this", "class": "sadness"}


def test_a_link_to_another_checkpoint_says_which_one_answers(page):
    page.query_params["checkpoint"] = "[gone](x)"
    page.run()
    assert not page.exception and "The model says" in html_of(page)
    assert "small answers" in page.warning[0].value and "](" not in page.warning[0].value
    assert link_of(page) == {"clip": "one"}


def test_a_click_is_not_undone_by_an_address_that_lags_behind(page):
    page.run()
    steps = page.segmented_control(key="step-picker").value
    page.selectbox(key="class-picker").set_value("sadness").run()
    page.query_params = {"clip": "one"}
    page.segmented_control(key="step-picker").set_value(0).run()
    assert link_of(page) == {"clip": "one", "class": "sadness", "step": "0"}
    # a page that waits asks by itself, which its link outlives too
    page.query_params = {"clip": "one"}
    page.run()
    assert link_of(page) == {"clip": "one", "class": "sadness", "step": "0"}
    go_back(page, {"clip": "one"})
    assert link_of(page) == {"clip": "one"}
    assert menu(page.segmented_control, "step-picker").value == steps > 0


def test_the_back_button_is_not_lost_to_what_was_changed_before(page):
    page.run()
    page.selectbox(key="class-picker").set_value("sadness").run()
    # an explanation arrived, and the run that draws it is stopped by the button
    page.session_state["clip-changed-here"] = True
    go_back(page, {"clip": "one"})
    assert link_of(page) == {"clip": "one"} and menu(page.selectbox, "class-picker").value != "sadness"


def run_linked():
    import streamlit as st

    from app import linked, state

    linked.enter("Clip")
    state.adopt_link()
    st.number_input(
        "step", key="step", on_change=lambda: state.update(step=st.session_state["step"]), value=0
    )
    st.button("open", on_click=linked.keep_shown)
    state.publish_link()


def test_opening_a_box_is_not_undone_by_the_bare_address_of_before():
    test = AppTest.from_function(run_linked).run()
    test.number_input[0].set_value(3).run()
    assert link_of(test) == {"step": "3"}
    test.query_params = {}
    test.button[0].click().run()
    assert link_of(test) == {"step": "3"}


def test_the_address_of_just_before_is_known_after_many_others():
    test = AppTest.from_function(run_linked).run()
    for step in (*range(1, 22), 2, 3):
        test.number_input[0].set_value(step).run()
    test.query_params = {"step": "2"}
    test.run()
    assert link_of(test) == {"step": "3"}


def turn(test, page: str) -> None:
    """Turns to another page by the navigation, which empties the address."""
    test.switch_page(page)
    test.query_params = {}
    test.run()


def test_the_view_is_there_again_after_a_look_at_another_page(page):
    link = {"clip": "two", "checkpoint": "small", "words": "I hate this", "frame": "2", "made": "hidden"}
    page.query_params = dict(link)
    page.run()
    assert link_of(page) == link
    turn(page, "screens/learn.py")
    assert not page.exception and link_of(page) != link
    turn(page, "screens/clip.py")
    assert not page.exception and link_of(page) == link
    assert page.text_area[0].value == "I hate this"
    # while the page stays, an address without parameters is a first visit's
    page.query_params = {}
    page.run()
    assert link_of(page) == {"clip": "one"} and page.text_area[0].value == "Do not move."


def test_a_change_that_was_broken_off_does_not_outlive_the_page(page):
    page.run()
    page.session_state["clip-changed-here"] = True
    turn(page, "screens/learn.py")
    page.switch_page("screens/clip.py")
    page.query_params = {"clip": "two"}
    page.run()
    assert link_of(page) == {"clip": "two"}


def test_an_unreadable_sample_clip_leaves_the_others(page, clip_folder, tmp_path, monkeypatch):
    folder = tmp_path / "clips"
    shutil.copytree(clip_folder, folder)
    (folder / "one.mp4").write_bytes(b"no media")
    monkeypatch.setattr(resources, "shipped_clips", lambda: shipped_clips(folder))
    page.run()
    assert not page.exception
    assert "one.mp4 holds no video" in page.error[0].value.replace("\\", "")
    assert list(resources.posters()) == ["two"]
    page.query_params = {"clip": "two"}
    page.run()
    assert not page.error and "labelled fear" in html_of(page)


def test_the_poster_beside_a_clip_is_taken_before_a_frame_of_it(page, clip_folder, tmp_path, monkeypatch):
    folder = tmp_path / "clips"
    shutil.copytree(clip_folder, folder)
    (folder / "one.jpg").write_bytes(b"poster")
    monkeypatch.setattr(resources, "shipped_clips", lambda: shipped_clips(folder))
    page.run()
    posters = resources.posters()
    assert posters["one"] == "data:image/jpeg;base64,cG9zdGVy"
    assert len(posters["two"]) > 100


def test_editing_the_words_predicts_again_and_back(page, predictions):
    page.run()
    original = re.search("<strong>(.*?)</strong>", html_of(page))[1]
    assert "With the original words" not in html_of(page)
    page.text_area[0].set_value("What a day")
    next(button for button in page.button if button.label == "Predict again").click().run()
    assert (
        f"<b>{original.capitalize()}</b>" in re.search("With the original words: .*?</p>", html_of(page))[0]
    )
    assert predictions == ["Do not move.", "What a day"]
    assert link_of(page)["words"] == "What a day"
    assert "right or wrong cannot be told" in html_of(page)
    next(button for button in page.button if button.label == "Original words").click().run()
    assert page.text_area[0].value == "Do not move."
    assert "words" not in link_of(page) and len(predictions) == 2


def test_no_words_at_all_is_a_state(page, predictions):
    page.run()
    page.text_area[0].set_value("")
    next(button for button in page.button if button.label == "Predict again").click().run()
    assert not page.exception
    assert predictions[-1] == "" and "no text was read" in html_of(page)


def upload(page, name: str, content: bytes):
    page.run()
    menu(page.segmented_control, "source-picker").set_value("Your own file").run()
    page.file_uploader[0].set_value((name, content, "video/mp4")).run()
    return page


def test_an_own_file_is_predicted_and_stays_out_of_the_link(page, predictions, clip_folder, monkeypatch):
    heard = Transcript(text="heard <i>words</i>", source="speech-to-text")
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: heard)
    upload(page, "my <i>clip.mp4", (clip_folder / "two.mp4").read_bytes())
    assert not page.exception and not page.error
    assert predictions == ["Do not move.", "heard <i>words</i>"]
    assert page.text_area[0].value == "heard <i>words</i>"
    assert "my &lt;i&gt;clip.mp4" in html_of(page) and "<i>clip" not in html_of(page)
    assert "No label is known" in html_of(page)
    assert link_of(page) == {"clip": "own"}
    assert str(clip_folder) not in html_of(page)


def test_own_files_are_answered_by_the_checkpoint_for_real_clips(
    page, checkpoint, clip_folder, monkeypatch, tmp_path
):
    everyday = shutil.copytree(checkpoint, tmp_path / "everyday")
    monkeypatch.delenv(launch.CHECKPOINT_VARIABLE)
    shipped = {"full": checkpoint, "everyday": everyday}
    monkeypatch.setattr(checkpoints, "shipped_checkpoints", lambda: shipped)
    page.run()
    picker = page.selectbox(key="checkpoint-picker")
    assert picker.value == "full"
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    assert menu(page.selectbox, "checkpoint-picker").value == "everyday"
    menu(page.segmented_control, "source-picker").set_value("Sample clips").run()
    assert menu(page.selectbox, "checkpoint-picker").value == "full"
    # who chose one keeps it
    menu(page.selectbox, "checkpoint-picker").set_value("everyday").run()
    assert link_of(page)["checkpoint"] == "everyday" and not page.exception


def test_an_own_clip_is_listened_to_again_with_the_model_that_is_named(page, clip_folder, monkeypatch):
    calls = []

    def listen(waveform, *, speech, start_seconds):
        calls.append(speech)
        return Transcript(
            text=f"heard {len(calls)}",
            source="speech-to-text",
            recogniser=speech.model_name,
            language=speech.language or "en",
        )

    def press(label: str) -> None:
        next(button for button in page.button if button.label == label).click().run()

    def told() -> str:
        return next(caption.value for caption in page.caption if caption.value.startswith("Words: "))

    monkeypatch.setattr("core.predict.speech_to_text", listen)
    page.run()
    assert not any(button.label == "Listen again" for button in page.button), "its words are given"
    assert told() == "Words: given with the clip."
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    assert "recognised from the sound by Whisper tiny\\.en (English)" in told()
    page.text_area[0].set_value("typed words")
    press("Predict again")
    assert told() == "Words: typed by you."
    menu(page.text_input, "speech-model").set_value(" some/model ")
    menu(page.selectbox, "speech-language").set_value("de")
    press("Listen again")
    assert not page.exception
    assert calls == [Speech(), Speech(model="some/model", language="de")]
    assert page.text_area[0].value == "heard 2" and "some\\/model (German)" in told()
    assert link_of(page)["speech"] == "some/model" and link_of(page)["language"] == "de"
    # a language that the shipped model does not know costs the words alone, and is told
    menu(page.text_input, "speech-model").set_value("")
    press("Listen again")
    assert not page.error and len(calls) == 2 and page.text_area[0].value == ""
    assert "knows English only, not German" in html_of(page)


def test_a_speech_model_out_of_a_link_is_fetched_by_those_alone_who_agree(page, clip_folder, monkeypatch):
    heard = []

    def listen(waveform, *, speech, start_seconds):
        heard.append(speech.model)
        return Transcript(text="heard", source="speech-to-text", recogniser=speech.model_name, language="en")

    monkeypatch.setattr("core.predict.speech_to_text", listen)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    page.query_params = {"clip": "own", "speech": "nobody/has-this"}
    page.run()
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    assert not page.exception and heard == [""]
    assert "nobody/has-this, which is not on this machine" in page.warning[0].value.replace("\\", "")
    assert link_of(page)["speech"] == "nobody/has-this"
    button(page, "Fetch it, then listen again").click().run()
    assert not page.exception and heard == ["", "nobody/has-this"] and not page.warning


@pytest.mark.parametrize("content", [b"", b"this is no video"])
def test_a_bad_upload_gives_one_sentence(page, content):
    upload(page, "[x](http:y)*.mp4", content)
    assert not page.exception
    assert len(page.error) == 1
    assert "](" not in page.error[0].value and ".mp4" in page.error[0].value.replace("\\", "")
    assert "The model says" not in html_of(page)


def test_an_upload_for_which_there_is_no_folder_gives_one_sentence(page, clip_folder, monkeypatch):
    def full(prefix):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp")

    monkeypatch.setattr(resources, "PrivateFolder", full)
    # sessions of tests are one session, which may have its folder already
    monkeypatch.setattr(resources, "_private_folder", resources._private_folder.__wrapped__)
    upload(page, "mine.mp4", (clip_folder / "one.mp4").read_bytes())
    assert not page.exception and "The model says" not in html_of(page)
    assert len(page.error) == 1
    told = page.error[0].value.replace("\\", "")
    assert told.startswith("/tmp cannot be written (No space left on device); make room there")


def test_no_other_clip_answers_for_an_own_file(page):
    page.run()
    menu(page.segmented_control, "source-picker").set_value("Your own file").run()
    assert not page.exception and "The model says" not in html_of(page)
    assert not page.info and not page.warning and not page.error
    menu(page.segmented_control, "source-picker").set_value("Sample clips").run()
    assert "labelled joy" in html_of(page) and link_of(page) == {"clip": "one"}


def test_a_reload_with_an_own_file_asks_for_it_again(page, clip_folder, monkeypatch):
    page.query_params["clip"] = "own"
    page.run()
    assert not page.exception and "The model says" not in html_of(page)
    assert "not kept over a reload; give or record it again" in page.info[0].value
    assert link_of(page) == {"clip": "own"}
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text="words"))
    page.file_uploader[0].set_value(("mine.mp4", (clip_folder / "two.mp4").read_bytes(), "video/mp4")).run()
    assert not page.info and "mine.mp4" in html_of(page)


def test_edited_words_are_in_the_address_before_the_model_is_asked(page, monkeypatch):
    page.run()
    links = []
    explain = resources.explain

    def asked(*arguments):
        links.append(st.query_params.to_dict())
        return explain(*arguments)

    monkeypatch.setattr(resources, "explain", asked)
    page.text_area[0].set_value("What a day")
    button(page, "Predict again").click().run()
    assert links == [{"clip": "one", "words": "What a day"}]


def test_a_label_chosen_takes_its_first_clip_and_another_clip_takes_the_label_away(page):
    page.run()
    menu(page.pills, "label-filter").set_value("fear").run()
    assert "labelled fear" in html_of(page) and link_of(page) == {"clip": "two"}
    assert menu(page.pills, "label-filter").value == "fear"
    go_back(page, {"clip": "one"})
    assert "labelled joy" in html_of(page) and menu(page.pills, "label-filter").value == "all"


def button(page, label: str):
    return next(button for button in page.button if button.label.replace("\\", "") == label)


def test_one_can_go_back_to_an_own_file(page, predictions, clip_folder, monkeypatch):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text="words"))
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    page.query_params = {"clip": "two"}
    page.run()
    assert "labelled fear" in html_of(page)
    menu(page.segmented_control, "source-picker").set_value("Your own file").run()
    assert "No label is known" in html_of(page) and link_of(page) == {"clip": "own"}
    assert predictions == ["Do not move.", "words", "A lovely <b>day</b>."]


def test_after_a_refusal_the_file_before_is_shown_only_when_asked_for(page, clip_folder, monkeypatch):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text="words"))
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    page.file_uploader[0].set_value(("bad.mp4", b"no media", "video/mp4")).run()
    assert len(page.error) == 1 and "The model says" not in html_of(page)
    button(page, "Show mine.mp4 again").click().run()
    assert not page.error and "mine.mp4" in html_of(page)
    page.file_uploader[0].set_value(("bad.mp4", b"no media", "video/mp4")).run()
    for source in ("Sample clips", "Your own file"):
        menu(page.segmented_control, "source-picker").set_value(source).run()
    assert not page.error


def test_the_field_is_empty_and_a_chip_names_what_is_shown(page, clip_folder, monkeypatch):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text="words"))
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    assert page.file_uploader[0].value is None and "Shown file: " in html_of(page)
    page.file_uploader[0].set_value(("bad.mp4", b"no media", "video/mp4")).run()
    assert page.file_uploader[0].value is None and "Shown file" not in html_of(page)
    button(page, "Show mine.mp4 again").click().run()
    assert page.file_uploader[0].value is None and "Shown file" in html_of(page)
    path = page.session_state["own-clip"].path
    forgotten = []
    clear = Shelf.clear
    monkeypatch.setattr(Shelf, "clear", lambda shelf: forgotten.append(len(shelf._values)) or clear(shelf))
    page.button(key="own-remove").click().run()
    assert not page.exception and not path.exists()
    assert all(forgotten[:2]) and len(forgotten) == 3, "what was made of the file, and the answer"
    assert "Shown file" not in html_of(page) and "The model says" not in html_of(page)


def test_an_own_file_is_warned_of_before_its_bars(page, clip_folder, monkeypatch):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text=""))
    page.run()
    assert "percentages are a guess" not in html_of(page)
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    html = html_of(page)
    assert html.index("percentages are a guess") < html.index("Probability of each emotion")
    # the fixture's checkpoint calls no answer uncertain by its probability
    assert "No face was found and no words were read" in html and "? uncertain" in html
    assert "would rather not decide" not in html
    assert re.findall(r'<li class="current"><b>([^<]*)</b>', html) == ["? unclear"]
    assert "The answer itself is uncertain" in html
    assert "none given, none recognised" in " ".join(caption.value for caption in page.caption)
    page.text_area[0].set_value("What a day")
    button(page, "Predict again").click().run()
    assert "? uncertain" not in html_of(page)


@pytest.fixture
def made_page(page, clip_folder, tmp_path, monkeypatch):
    """The page with a first clip that was made, and hums."""
    folder = tmp_path / "made"
    folder.mkdir()
    columns = "path,label,transcript,missing,conflict,distractors"
    rows = [columns, "one.mp4,fear,,text,False,", "two.mp4,joy,Hi.,,True,dark"]
    (folder / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    for name in ("one.mp4", "two.mp4"):
        shutil.copy(clip_folder / name, folder / name)
    a_sidecar([0.0, 1.0, 1.0, 0.0], missing="text").write(folder / "one.json")
    monkeypatch.setattr(resources, "shipped_clips", lambda: shipped_clips(folder))
    page.query_params["clip"] = "one"
    # what is told in tables is told, too
    for key in ("probability-table", "modality-tables", "effects-table"):
        page.session_state[key] = True
    return page


@pytest.fixture
def sent(monkeypatch):
    """What the browser's parts were sent last: the strip and the shelf."""
    last = {}
    for part in ("timeline", "gallery"):
        monkeypatch.setattr(
            f"app.components.{part}._mount", lambda *, data, part=part, **rest: last.update({part: data})
        )
    return last


def told_on(test) -> str:
    """Everything that the page says, but for what the browser's parts draw."""
    bodies = [element.proto.body for element in test.get("html")]
    html = [body for body in bodies if not body.startswith("<style>")]
    captions = [caption.value for caption in test.caption]
    return "\n".join([*html, *captions, *(table.to_string() for table in tables_of(test))])


def test_how_a_clip_was_made_is_told(made_page, sent):
    made_page.run()
    told = told_on(made_page)
    assert "How this clip was made" in told and "made as " in told and "labelled fear" in told
    assert sent["timeline"]["expression"] and sent["timeline"]["still"].startswith("data:image/jpeg")
    assert "how far the expression has unfolded" in told
    assert [item["name"] for item in sent["gallery"]["items"]] == ["fear", "joy"]
    assert made_page.pills and menu(made_page.selectbox, "kind-filter").options
    assert len(tables_of(made_page)) > 2


def test_a_hidden_truth_is_told_nowhere(made_page, predictions, sent):
    made_page.run()
    before = told_on(made_page)
    assert "◆" in before and "hums" in before
    menu(made_page.toggle, "truth-toggle").set_value(True).run()
    assert not made_page.exception
    told = told_on(made_page)
    assert "The label is hidden." in told and "There are no words to read." in told
    for word in ("labelled", "◆", "How this clip was made", "made as ", "hum", "unfolded", "No label"):
        assert word not in told
    assert re.search(r"\blabel$", before, re.MULTILINE) or "answer and label" in before
    assert not re.search(r"\blabel$", told, re.MULTILINE) and "answer and label" not in told
    assert not made_page.pills and not any(box.key.startswith("kind-filter") for box in made_page.selectbox)
    strip, shelf = sent["timeline"], sent["gallery"]["items"]
    assert strip["expression"] is strip["voice"] is None and strip["still"] == ""
    assert {(item["name"], item["color"], item["marks"]) for item in shelf} == {("label hidden", "", ())}
    assert not any("hum" in item["title"] for item in shelf)
    # the model's answer stays, and is not asked for again
    assert "The model says" in told and len(predictions) == 1
    assert link_of(made_page) == {"clip": "one", "made": "hidden"}
    menu(made_page.toggle, "truth-toggle").set_value(False).run()
    assert told_on(made_page) == before and link_of(made_page) == {"clip": "one"}


def test_a_link_hides_the_truth_from_the_first_moment(made_page, sent):
    made_page.query_params["made"] = "hidden"
    made_page.run()
    assert "The label is hidden." in html_of(made_page) and "labelled" not in html_of(made_page)
    assert menu(made_page.toggle, "truth-toggle").value


def test_clips_without_a_sidecar_have_nothing_to_tell(made_page):
    made_page.query_params["clip"] = "two"
    made_page.run()
    assert not made_page.exception
    assert "How this clip was made" not in html_of(made_page)


def test_a_hummed_clip_says_so(made_page):
    made_page.run()
    assert "The speaker only hums; there are no words to read." in html_of(made_page)
    assert "No transcript was given" not in html_of(made_page)
    assert "Words: none; the speaker only hums." in [caption.value for caption in made_page.caption]


@pytest.mark.parametrize("reads", [("audio",), ("video", "audio"), ("audio", "text")])
def test_a_checkpoint_that_reads_less_claims_nothing_of_the_rest(
    page, clip_folder, tmp_path, monkeypatch, reads
):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text=""))
    torch.manual_seed(0)
    model = build_model(replace(PRESETS["tiny"], modalities=reads), weights="random")
    save_checkpoint(tmp_path / "less", model, info=CheckpointInfo(), card="random weights")
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(tmp_path / "less"))
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    assert not page.exception and not page.error
    told = told_on(page)
    if "video" in reads:
        assert "No face was found and no words were read" in told
        assert "The model reads no picture" not in told
    else:
        assert "The model reads no picture; the answer rests on audio." in told
        assert "No face was found" not in told and "has no picture" not in told
        assert "? uncertain" not in told
    assert "in this clip" not in told


def test_a_file_whose_reading_breaks_off_is_not_read_again(page, clip_folder, monkeypatch):
    asked = []

    def fail(*arguments):
        asked.append(arguments)
        raise RuntimeError("broken off")

    monkeypatch.setattr("app.clips.save_upload", fail)
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    page.run()
    assert len(asked) == 1 and not page.exception


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("sound.wav", {"sound": tone(1.0, 16_000), "audio_codec": "pcm_s16le"}),
        ("silent.mp4", {"pictures": grey_pictures(10)}),
    ],
)
def test_a_file_with_one_modality_is_explained(page, tmp_path, monkeypatch, name, values):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text=""))
    upload(page, name, write_media(tmp_path / name, **values).read_bytes())
    assert not page.exception and not page.error
    assert "single modality" in html_of(page)
    told = " ".join(caption.value for caption in page.caption)
    assert ("has no picture; the answer rests on audio" in told) == (name == "sound.wav")
    assert "moved by" not in told


def test_what_cannot_be_played_is_predicted_all_the_same(page, clip_folder, monkeypatch):
    def fail(clip, folder, say):
        raise MediaError("no copy")

    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text="words"))
    monkeypatch.setattr(resources, "playable_copy", fail)
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    assert not page.exception and not page.error
    assert "No copy could be made" in page.info[0].value and "No label is known" in html_of(page)


def test_an_own_file_that_went_with_its_folder_is_asked_for_again(page, clip_folder, monkeypatch):
    monkeypatch.setattr("core.predict.speech_to_text", lambda waveform, **options: Transcript(text="words"))
    upload(page, "mine.mp4", (clip_folder / "two.mp4").read_bytes())
    page.session_state["own-clip"].path.unlink()
    page.run()
    assert not page.exception and not page.error
    assert "give or record it again" in page.warning[0].value


def test_without_a_checkpoint_the_page_says_what_to_do(page, monkeypatch):
    monkeypatch.delenv(launch.CHECKPOINT_VARIABLE)
    page.run()
    assert not page.exception
    assert "deepmsi train" in page.warning[0].value


def test_a_broken_checkpoint_gives_a_sentence_without_a_path(page, checkpoint, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    (broken / "model.safetensors").write_bytes(b"nothing")
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(broken))
    page.run()
    assert not page.exception and len(page.error) == 1
    assert str(tmp_path) not in page.error[0].value.replace("\\", "")


def test_without_clips_one_can_still_bring_a_file(page, monkeypatch):
    monkeypatch.setattr(resources, "shipped_clips", lambda: ())
    page.run()
    assert not page.exception
    assert "No sample clips" in page.info[0].value


def test_choosing_among_checkpoints(page, checkpoint, tmp_path, monkeypatch):
    shutil.copytree(checkpoint, tmp_path / "other")
    monkeypatch.setattr(checkpoints, "shipped_checkpoints", lambda: {"other": tmp_path / "other"})
    page.run()
    assert page.selectbox(key="checkpoint-picker").value == "small"
    page.selectbox(key="checkpoint-picker").set_value("other").run()
    assert not page.exception and link_of(page)["checkpoint"] == "other"


def test_the_header_says_how_good_the_checkpoint_is(page, checkpoint, tmp_path, monkeypatch):
    page.run()
    assert "unseen clips" not in html_of(page), "nothing was measured"
    folder = tmp_path / "measured"
    shutil.copytree(checkpoint, folder)
    scores = {"num_clips": 8, "accuracy": 0.75, "weighted_f1": 0.7, "macro_f1": 0.625}
    metrics = {"test": {"subsets": {"video+audio+text": scores}}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(folder))
    page.run()
    assert not page.exception
    assert "of 8 unseen clips (macro-F1 0.62)" in html_of(page)


def test_metrics_that_cannot_be_read_are_told_once_where_the_checkpoint_is_opened(
    page, checkpoint, tmp_path, monkeypatch
):
    folder = tmp_path / "broken"
    shutil.copytree(checkpoint, folder)
    (folder / "metrics.json").write_text("no json")
    monkeypatch.setenv(launch.CHECKPOINT_VARIABLE, str(folder))
    page.run()
    assert not page.exception
    assert len(page.error) == 1 and "no readable JSON" in page.error[0].value
