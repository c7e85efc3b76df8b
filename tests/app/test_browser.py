"""The app as it ships, in a real Chromium: what only a browser can show."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from app.clips import shipped_clips
from app.launch import CHECKPOINT_VARIABLE
from app.views.markup import percent
from tests.app.browsing import ROOT, served, tab_of, the_app, wait_for_rest
from tests.app.conftest import write_clip
from tests.core.media.made_media import tone, write_media

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

FRAME_SECONDS = 0.04
SLOW_MS = 120_000
WORDS = "textarea:visible"
"""The box of words: that of the clip before stays hidden beside it until the page is drawn whole."""
expect.set_options(timeout=SLOW_MS)


@pytest.fixture(scope="module")
def private(tmp_path_factory) -> Path:
    """Where the app puts the folders of its sessions."""
    return tmp_path_factory.mktemp("private")


@pytest.fixture(scope="module")
def address(private):
    """The app, started by its own command."""
    environment = {name: value for name, value in os.environ.items() if name != CHECKPOINT_VARIABLE}
    environment["TMPDIR"] = str(private)
    environment["DEEPMSI_CACHE_DIR"] = str(private / "cache")
    with served(the_app, environment) as url:
        yield url


@pytest.fixture
def page(browser, address):
    with tab_of(browser, address) as tab:
        tab.set_default_timeout(SLOW_MS)
        yield tab


def said_by_command_line(path: Path, *options: str) -> dict:
    command = [sys.executable, "-m", "app.cli", "predict", str(path), "--json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)[0]


def wait_for_answer(page) -> str:
    """The emotion in the headline, once the page is at rest."""
    page.wait_for_selector(".emotion strong")
    wait_for_rest(page)
    return page.locator(".emotion strong").inner_text().lower()


def wait_for_explanations(page) -> None:
    """Waits until nothing is awaited any more that would have the page drawn anew."""
    expect(page.get_by_text("being computed")).to_have_count(0)
    wait_for_rest(page)


def put_words(page, words: str) -> None:
    """Types words over those in the box. Filling selects and then types, which a redraw may come between."""
    box = page.locator(WORDS)
    for _ in range(8):
        box.fill(words)
        # a redraw that was under way may still put back what was there
        for _ in range(5):
            page.wait_for_timeout(200)
            if box.input_value() != words:
                break
        else:
            return
    assert box.input_value() == words


def alerts(page) -> list[str]:
    return page.locator("[data-testid=stAlert]").all_inner_texts()


def current_time(page) -> float:
    return page.evaluate("document.querySelector('.st-key-player video').currentTime")


def shown_bars(page) -> dict[str, str]:
    rows = page.locator(".bars .bar")
    return {
        rows.nth(index).locator(".name").inner_text(): rows.nth(index).locator(".value").inner_text()
        for index in range(rows.count())
    }


def test_page_and_command_line_say_the_same(page, address):
    clip = shipped_clips()[-1]
    page.goto(address)
    wait_for_answer(page)
    item = page.locator(f".gallery .item[data-key='{clip.key}']")
    item.scroll_into_view_if_needed()
    item.hover()
    item.click()
    page.wait_for_function("key => location.search.includes(key)", arg=clip.key)
    answer = wait_for_answer(page)

    told = said_by_command_line(clip.path, "--transcript", clip.transcript)
    assert answer == told["prediction"]
    assert shown_bars(page) == {name: percent(value) for name, value in told["probabilities"].items()}
    cells = page.locator(".film .cell")
    assert cells.count() == len(told["candidate_frame_times_seconds"])
    assert page.locator(".film .cell.kept").count() == len(told["kept_frame_times_seconds"])


def test_timeline_and_player_move_together(page, address):
    clip = shipped_clips()[0]
    page.goto(f"{address}?clip={clip.key}")
    wait_for_answer(page)
    times = said_by_command_line(clip.path, "--transcript", clip.transcript)["candidate_frame_times_seconds"]
    page.wait_for_function("document.querySelector('.st-key-player video')?.readyState >= 2")
    cells = page.locator(".film .cell")
    cells.nth(10).hover()
    cells.nth(10).click()
    page.wait_for_timeout(200)
    assert current_time(page) == pytest.approx(times[10], abs=FRAME_SECONDS)

    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(200)
    assert current_time(page) == pytest.approx(times[11], abs=FRAME_SECONDS)
    expect(cells.nth(11)).to_be_focused()
    expect(cells.nth(11)).to_have_attribute("aria-selected", "true")
    page.wait_for_url("**frame=12**")

    page.evaluate("document.querySelector('.st-key-player video').currentTime = 0.5")
    page.wait_for_timeout(300)
    before = page.locator(".timeline .playhead").bounding_box()["x"]
    page.keyboard.press(" ")
    page.wait_for_timeout(900)
    page.keyboard.press(" ")
    assert current_time(page) > 0.6
    page.wait_for_timeout(200)
    film = page.locator(".timeline .lanes").bounding_box()
    after = page.locator(".timeline .playhead").bounding_box()["x"]
    assert after > before
    duration = page.evaluate("document.querySelector('.st-key-player video').duration")
    assert (after + 1 - film["x"]) / film["width"] == pytest.approx(current_time(page) / duration, abs=0.02)


def test_frame_view_tells_where_patches_went(page, address):
    page.goto(address)
    wait_for_answer(page)
    wait_for_explanations(page)
    kept = page.locator(".film .cell.kept").first
    kept.hover()
    kept.click()
    page.wait_for_url("**frame=**")
    first = page.get_by_text(re.compile(r"^1: \d+$"))
    first.click()
    page.wait_for_url("**step=1**")
    name = first.inner_text()
    clear = page.locator(".patches .cell.kept")
    expect(clear).to_have_count(int(name.split(":")[1]))
    gone = page.locator(".patches .cell.dropped").first
    expect(page.locator(".patches line")).to_have_count(0)
    gone.hover()
    expect(page.locator(".patches .says")).to_contain_text(re.compile("merged into (the patch|any)"))
    page.get_by_text(re.compile(r"^All \d+$")).click()
    expect(page.locator(".patches .cell.dropped")).to_have_count(0)
    expect(page.get_by_text(re.compile("gone|veiled|where it went"))).to_have_count(0)
    page.locator(".patches .cell").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".patches .says")).to_contain_text("row 2, column 1")


def test_a_made_clip_rests_on_its_expression_until_it_plays(page, address):
    clip = shipped_clips()[0]
    page.goto(f"{address}?clip={clip.key}")
    wait_for_answer(page)
    video = page.locator(".st-key-player video")
    expect(video).to_have_attribute("poster", re.compile("^data:image/jpeg"))
    page.wait_for_function("document.querySelector('.st-key-player video')?.readyState >= 2")
    # a seek, even to where it is, would take the poster away
    assert (
        page.evaluate(
            """async () => {
            const player = document.querySelector('.st-key-player video');
            const sought = new Promise((done) => player.addEventListener('seeking', () => done(true)));
            player.currentTime = 0;
            return Promise.race([sought, new Promise((done) => setTimeout(() => done(false), 300))]);
        }"""
        )
        is False
    )
    page.evaluate("document.querySelector('.st-key-player video').currentTime = 0.5")
    page.wait_for_timeout(300)
    assert current_time(page) == pytest.approx(0.5, abs=FRAME_SECONDS)
    assert page.locator(".timeline .made .hatched").get_attribute("aria-label").startswith("How it was made")


def test_words_that_were_not_predicted_say_so_while_they_are_typed(page, address):
    page.goto(address)
    wait_for_answer(page)
    wait_for_explanations(page)
    line = page.locator(".pending")
    expect(line).to_be_empty()
    before = page.locator(WORDS).input_value()
    put_words(page, "word " * 200)
    expect(line).to_have_text(re.compile("not predicted yet.* 999 characters; the first 600"))
    put_words(page, f"  {before} ")
    expect(line).to_be_empty()
    put_words(page, "word " * 200)
    page.get_by_role("button", name="Predict again").click()
    expect(page.locator("[data-testid=stAlert]")).to_contain_text("had 999 characters")
    expect(line).to_be_empty()


def test_a_link_shows_the_same_view_elsewhere(page, address):
    first = shipped_clips()[1]
    page.goto(f"{address}?clip={first.key}&frame=4&step=1&class=anger&words=I+hate+this")
    wait_for_answer(page)
    expect(page.locator(WORDS)).to_have_value("I hate this")
    expect(page.locator(".film .cell").nth(3)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_text("Probability of anger when")).to_be_visible()
    told = said_by_command_line(first.path, "--transcript", "I hate this")
    assert shown_bars(page) == {name: percent(value) for name, value in told["probabilities"].items()}


def test_back_and_forward_show_what_was_there(page, address):
    first, second = shipped_clips()[:2]
    page.goto(f"{address}?clip={first.key}")
    wait_for_answer(page)
    page.locator(f".gallery .item[data-key='{second.key}']").click()
    page.wait_for_url(f"**clip={second.key}")
    expect(page.locator(WORDS)).to_have_value(second.transcript)
    page.go_back()
    expect(page.locator(WORDS)).to_have_value(first.transcript)
    expect(page.locator(".gallery .item.selected")).to_have_attribute("data-key", first.key)
    page.go_forward()
    expect(page.locator(WORDS)).to_have_value(second.transcript)
    assert page.url.endswith(f"clip={second.key}")


def is_end_of_run(message: bytes) -> bool:
    """Whether the server says by it that the page was drawn whole."""
    said = ForwardMsg.FromString(message)
    return said.WhichOneof("type") == "script_finished" and said.script_finished == said.FINISHED_SUCCESSFULLY


class SlowConnection:
    """Between the browser and the server: `sent` is what the browser said, and while it is slow what the
    server said is `held`."""

    def __init__(self, page) -> None:
        self.sent, self.held, self.is_slow, self._socket, self._page = [], [], False, None, page
        self._is_to_look, self._has_timer = False, False
        page.route_web_socket("**/_stcore/stream", self._connect)

    def _connect(self, socket) -> None:
        self._socket = socket
        server = socket.connect_to_server()
        socket.on_message(lambda said: (self.sent.append(said), server.send(said)))
        server.on_message(self._pass_on)

    def _pass_on(self, said: bytes) -> None:
        if self.is_slow:
            self.held.append(said)
            return
        self._socket.send(said)
        kind = ForwardMsg.FromString(said).WhichOneof("type")
        self._has_timer = kind == "auto_rerun" or self._has_timer and kind != "new_session"
        self.is_slow = self._is_to_look and self._has_timer and is_end_of_run(said)

    def be_slow_once_it_looks(self) -> None:
        """Is slow from the end of the first run of the page that has the browser ask again by itself."""
        self._is_to_look = True

    def wait_until_slow(self) -> None:
        self._wait(lambda: self.is_slow)

    def wait_until_drawn(self, text: str) -> None:
        """Until the server has said the whole page with this text."""
        self._wait(lambda: self._is_drawn(text))

    def wait_until_told(self, act: Callable[[], None] = lambda: None) -> None:
        """Until the browser has said something more, after it is acted on."""
        num_sent = len(self.sent)
        act()
        self._wait(lambda: len(self.sent) > num_sent)

    def _is_drawn(self, text: str) -> bool:
        places = [i for i, said in enumerate(self.held) if text.encode() in said]
        return bool(places) and any(map(is_end_of_run, self.held[places[0] :]))

    def _wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < until, "nothing was said for a minute"
            self._page.wait_for_timeout(50)

    def catch_up(self) -> None:
        """Is slow no more."""
        self.is_slow = self._is_to_look = False
        for said in self.held:
            self._socket.send(said)
        self.held.clear()


def test_what_a_slow_connection_still_tells_of_filters_is_nobody_s_choice(page, address):
    connection = SlowConnection(page)
    clips = shipped_clips()
    first = next(clip for clip in clips if clip.label == "fear")
    page.goto(f"{address}?clip={clips[0].key}")
    wait_for_answer(page)
    page.get_by_role("radio", name="fear", exact=True).click()
    page.wait_for_url(f"**clip={first.key}")
    wait_for_answer(page)
    page.get_by_role("radio", name="all", exact=True).click()
    wait_for_rest(page)
    other = next(clip for clip in reversed(clips) if clip.label == "joy")
    page.get_by_role("radio", name="fear", exact=True).click()
    wait_for_answer(page)
    # a link to a clip that the label does not fit takes the label away; the browser has not heard of that
    connection.is_slow = True
    page.evaluate(
        f"history.pushState(null, '', '?clip={other.key}'); dispatchEvent(new PopStateEvent('popstate'))"
    )
    connection.wait_until_drawn(other.transcript)
    connection.wait_until_told(page.get_by_text("Hide the truth").click)
    connection.catch_up()
    expect(page.locator(WORDS)).to_have_value(other.transcript)
    wait_for_rest(page)
    expect(page.locator(".gallery .item.selected")).to_have_attribute("data-key", other.key)
    assert f"clip={other.key}" in page.url


def test_what_a_slow_connection_still_tells_of_before_is_nobody_s_choice(page, address):
    connection = SlowConnection(page)
    # the first run orders the explanations, so that the browser has to look whether they have come
    connection.be_slow_once_it_looks()
    page.goto(f"{address}?clip={shipped_clips()[-2].key}")
    connection.wait_until_slow()
    picker = page.get_by_role("combobox", name="Checkpoint")
    expect(picker).to_have_value("full")
    page.get_by_role("radio", name="Your own file").click()
    # files of one's own have another checkpoint; the browser, which looks, has not heard of that
    connection.wait_until_drawn("A video or sound file of your own")
    connection.wait_until_told()
    connection.catch_up()
    expect(picker).to_have_value("everyday")
    wait_for_rest(page)
    page.get_by_role("radio", name="Record yourself").click()
    expect(page.locator("input[type=file]")).to_have_count(0)
    wait_for_rest(page)
    expect(picker).to_have_value("everyday")
    assert "checkpoint=" not in page.url


def test_the_shelf_is_reached_and_walked_by_keyboard(page, address):
    clips = shipped_clips()
    others = [clip for clip in clips if clip.label not in (None, clips[0].label)]
    others = [clip for clip in others if clip.label == others[0].label]
    page.goto(f"{address}?clip={clips[0].key}")
    wait_for_answer(page)
    page.get_by_role("radio", name=others[0].label, exact=True).click()
    items = page.locator(".gallery .item")
    expect(items).to_have_count(len(others))
    # the first clip with this label is shown
    page.wait_for_url(f"**clip={others[0].key}")
    expect(page.locator(WORDS)).to_have_value(others[0].transcript)
    wait_for_answer(page)
    for _ in ("the choice of a kind", "the switch that hides the truth", "its help", "the shelf"):
        page.keyboard.press("Tab")
    expect(items.first).to_be_focused()
    put_words(page, "not sent yet")
    items.first.focus()
    page.keyboard.press("ArrowRight")
    expect(items.nth(1)).to_be_focused()
    expect(page.locator(WORDS)).to_have_value("not sent yet")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**clip={others[1].key}")
    expect(page.locator(WORDS)).to_have_value(others[1].transcript)


def test_the_shelf_shows_that_it_runs_on(page, address):
    page.goto(address)
    wait_for_answer(page)
    back, on = page.locator(".shelf .back"), page.locator(".shelf .on")
    expect(back).to_be_hidden()
    on.click()
    expect(back).to_be_visible()
    page.locator(".gallery .item.selected").focus()
    page.keyboard.press("End")
    expect(page.locator(".gallery .item").last).to_be_in_viewport(ratio=1)
    expect(on).to_be_hidden()


def test_hiding_the_truth_takes_the_labels_off_the_shelf(page, address):
    page.goto(address)
    wait_for_answer(page)
    names, shelf = page.locator(".gallery .item .name"), page.locator(".gallery")
    page.locator(".shelf .on").click()
    expect(page.locator(".shelf .back")).to_be_visible()
    wait_for_rest(page)
    # it turns smoothly
    still = """async shelf => {
        for (let before = -1; before !== shelf.scrollLeft || !before;) {
            before = shelf.scrollLeft;
            await new Promise((done) => setTimeout(done, 300));
        }
        return shelf.scrollLeft;
    }"""
    told, turned = names.all_inner_texts(), shelf.evaluate(still)
    toggle = page.get_by_text("Hide the truth", exact=True)
    toggle.click()
    expect(names.first).to_have_text("label hidden")
    assert set(names.all_inner_texts()) <= {"label hidden"}
    assert shelf.evaluate("shelf => shelf.scrollLeft") == turned > 0
    wait_for_rest(page)
    toggle.click()
    expect(names.first).to_have_text(told[0])
    assert names.all_inner_texts() == told


def test_an_uploaded_file_is_for_its_session_alone_and_goes_with_it(browser, address, private, tmp_path):
    def folders() -> set[Path]:
        return set(private.glob("deepmsi-*"))

    before, tabs = folders(), []
    for name in ("mine.wav", "yours.wav"):
        write_media(tmp_path / name, sound=tone(1.0, 16_000), audio_codec="pcm_s16le")
        tab = browser.new_context().new_page()
        tab.set_default_timeout(SLOW_MS)
        tab.goto(address)
        wait_for_answer(tab)
        tab.get_by_text("Your own file").click()
        tab.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(tmp_path / name)
        expect(tab.locator(".own-name")).to_have_text(name)
        tabs.append(tab)
    expect(tabs[0].locator(".own-name")).to_have_text("mine.wav")
    assert sorted(file.name for folder in folders() - before for file in folder.rglob("*.wav")) == [
        "mine.wav",
        "yours.wav",
    ]
    for tab in tabs:
        tab.context.close()
    for _ in range(600):
        if folders() <= before:
            break
        time.sleep(0.1)
    assert folders() <= before


def test_an_uploaded_file_is_read_like_on_the_command_line(page, address, tmp_path):
    own = tmp_path / "my <img src=x> clip.mp4"
    shutil.copy(shipped_clips()[2].path, own)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no media")
    page.goto(address)
    wait_for_answer(page)
    page.get_by_text("Your own file").click()
    chooser = page.locator("[data-testid=stFileUploader] input[type=file]")
    chooser.set_input_files(own)
    expect(page.locator(".own-name")).to_have_text("my <img src=x> clip.mp4")
    answer = wait_for_answer(page)
    told = said_by_command_line(own)
    assert answer == told["prediction"]
    assert page.locator(WORDS).input_value() == told["transcript"].strip()
    assert shown_bars(page) == {name: percent(value) for name, value in told["probabilities"].items()}
    assert page.locator(".timeline .word").count() == len(told["transcript"].split())
    assert page.url.endswith("?clip=own") and str(tmp_path) not in page.content()

    chooser.set_input_files(broken)
    expect(page.locator("[data-testid=stAlert]")).to_contain_text("broken.mp4 holds no video or sound")
    expect(page.locator(".own-name, .emotion")).to_have_count(0)
    wait_for_rest(page)
    page.get_by_role("button", name=re.compile("Show .* again")).click()
    expect(page.locator(".own-name")).to_have_text("my <img src=x> clip.mp4")
    wait_for_rest(page)
    assert alerts(page) == []


def test_what_browsers_cannot_play_is_made_playable(page, address, tmp_path):
    film = write_clip(tmp_path / "old.mpg", num_frames=50, codec="mpeg1video")
    page.goto(address)
    wait_for_answer(page)
    page.get_by_text("Your own file").click()
    page.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(film)
    expect(page.locator(".own-name")).to_have_text("old.mpg")
    wait_for_answer(page)
    page.wait_for_function("document.querySelector('.st-key-player video')?.readyState >= 2")
    assert page.evaluate("document.querySelector('.st-key-player video').videoWidth") == 96


@pytest.mark.parametrize(("width", "scheme"), [(800, "dark"), (800, "light"), (1920, "light")])
def test_no_sideways_scrolling(browser, address, width, scheme):
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    tab = context.new_page()
    tab.set_default_timeout(SLOW_MS)
    tab.goto(address)
    wait_for_answer(tab)
    assert tab.evaluate("document.querySelector('.stMain').scrollWidth") <= width
    ground = tab.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    brightness = sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(",")))
    assert (brightness < 200) == (scheme == "dark")
    context.close()
