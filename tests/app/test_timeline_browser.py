"""The timeline in a real Chromium, on a staged page without a model."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.app.browsing import ROOT, served, tab_of
from tests.app.conftest import hand_made_prediction, write_clip
from tests.core.media.made_media import tone, write_media

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

STAGE = Path(__file__).with_name("staged_timeline.py")
TIMES = hand_made_prediction().frames.times_seconds
DURATION = 1.2
WITHIN_SECONDS = 0.04
SETTLED_MS = 600


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    media = tmp_path_factory.mktemp("staged") / "clip.mp4"
    write_clip(media, num_frames=12)
    write_media(media.with_suffix(".wav"), sound=tone(DURATION, 16_000), audio_codec="pcm_s16le")
    settings = ["--server.headless", "true", "--server.fileWatcherType", "none"]
    environment = os.environ | {
        "STAGED_MEDIA": str(media),
        "PYTHONPATH": str(ROOT),
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }
    run = ["-m", "streamlit", "run", str(STAGE), *settings, "--server.port"]
    with served(lambda port: [*run, str(port)], environment) as url:
        yield url


@pytest.fixture
def stage(browser, address):
    with tab_of(browser, address, width=1200) as tab:
        tab.set_default_timeout(60_000)
        tab.goto(address)
        ready(tab)
        yield tab


def ready(tab):
    tab.wait_for_selector(".timeline .playhead")
    tab.wait_for_function("document.querySelector('.st-key-player :is(video, audio)')?.readyState >= 2")
    # the fragment's last part is there
    tab.wait_for_selector(".heard", state="attached")
    tab.wait_for_timeout(500)


def now(tab) -> float:
    return tab.evaluate("document.querySelector('.st-key-player :is(video, audio)').currentTime")


def is_paused(tab) -> bool:
    return tab.evaluate("document.querySelector('.st-key-player :is(video, audio)').paused")


def play_slowly(tab, rate: float = 0.25):
    tab.evaluate(
        """(rate) => {
        const player = document.querySelector('.st-key-player :is(video, audio)');
        player.muted = true;
        player.playbackRate = rate;
        return player.play();
    }""",
        rate,
    )


def heard(tab) -> list[int]:
    """The frames that Python was told of."""
    return [int(frame) for frame in (tab.locator(".heard").text_content() or "").split()]


def point(tab, seconds: float, lane: str = ".wave") -> tuple[float, float]:
    """Where in the window a time is, in the middle of a lane."""
    box = tab.locator(f".timeline {lane}").bounding_box()
    return box["x"] + box["width"] * seconds / DURATION, box["y"] + box["height"] / 2


def nearest(seconds: float) -> int:
    return min(range(len(TIMES)), key=lambda index: abs(TIMES[index] - seconds))


@pytest.mark.parametrize("lane", [".wave", ".ruler", ".shares[data-of=frames]"])
def test_a_click_seeks_to_where_it_was_and_chooses_that_frame(stage, lane):
    stage.mouse.click(*point(stage, 0.84, lane))
    stage.wait_for_timeout(SETTLED_MS)
    assert now(stage) == pytest.approx(0.84, abs=WITHIN_SECONDS)
    expect(stage.locator(".heard")).to_have_text(str(nearest(0.84)))
    expect(stage.locator(".film .cell").nth(4)).to_have_attribute("aria-selected", "true")
    expect(stage.get_by_text("Frame 5 at 0.90 s")).to_be_visible()


def test_a_click_on_a_frame_or_a_word_seeks_to_its_time(stage):
    stage.locator(".film .cell").nth(1).click()
    stage.wait_for_timeout(SETTLED_MS)
    assert now(stage) == pytest.approx(TIMES[1], abs=WITHIN_SECONDS)
    stage.locator(".word").nth(2).click()
    stage.wait_for_timeout(SETTLED_MS)
    assert now(stage) == pytest.approx(0.7, abs=WITHIN_SECONDS)
    expect(stage.locator(".heard")).to_have_text("1 3")


def test_a_drag_from_a_frame_seeks_along_and_starts_no_storm(stage):
    x, y = point(stage, 0.2, ".film")
    stage.mouse.move(x, y)
    stage.mouse.down()
    stage.mouse.move(point(stage, 1.1, ".film")[0], y, steps=12)
    stage.wait_for_timeout(30)
    assert now(stage) == pytest.approx(1.1, abs=WITHIN_SECONDS)
    stage.mouse.up()
    expect(stage.locator(".heard")).to_have_text(re.compile("5$"))
    stage.wait_for_timeout(SETTLED_MS)
    # five frames were passed; a busy machine may let the pointer rest once on the way
    assert len(heard(stage)) <= 2 and now(stage) == pytest.approx(1.1, abs=WITHIN_SECONDS)


def test_the_keyboard_moves_the_slider_from_frame_to_frame(stage):
    slider = stage.get_by_role("slider", name=re.compile("Position in the clip"))
    slider.focus()
    # at once, as held keys are
    slider.evaluate(
        """(slider) => {
        for (const key of ['Home', 'ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowLeft']) {
            slider.dispatchEvent(new KeyboardEvent('keydown', { key, cancelable: true }));
        }
    }"""
    )
    stage.wait_for_timeout(SETTLED_MS)
    assert now(stage) == pytest.approx(TIMES[2], abs=WITHIN_SECONDS)
    expect(slider).to_have_attribute(
        "aria-valuetext", re.compile(r"^0\.50 seconds, frame 3 of 6, 0\.50 s: kept")
    )
    # frame 2 was chosen to begin with, and the frames passed on the way are nobody's business
    assert heard(stage) == []
    slider.press("End")
    expect(stage.locator(".heard")).to_have_text("5")
    assert now(stage) == pytest.approx(TIMES[5], abs=WITHIN_SECONDS)
    expect(slider).to_have_attribute("aria-valuetext", re.compile("left out, merged into none"))
    expect(slider).to_be_focused()
    slider.press("Home")
    slider.press(" ")
    stage.wait_for_timeout(200)
    assert not is_paused(stage)
    slider.press(" ")
    assert is_paused(stage)


def test_the_playhead_follows_playback_and_python_hears_of_where_it_ends(stage):
    play_slowly(stage)
    places = []
    for _ in range(4):
        stage.wait_for_timeout(350)
        places.append(
            stage.locator(".playhead").evaluate(
                """playhead => {
                const player = document.querySelector('.st-key-player video');
                return [player.currentTime, parseFloat(playhead.style.left)];
            }"""
            )
        )
    assert not is_paused(stage) and heard(stage) == []
    for seconds, percent in places:
        # one frame of the screen late at most
        assert percent == pytest.approx(100 * seconds / DURATION, abs=1.5)
    assert places[-1][0] > places[0][0] + 0.1
    stage.evaluate("document.querySelector('.st-key-player video').pause()")
    stopped = now(stage)
    expect(stage.locator(".heard")).to_have_text(str(nearest(stopped)) if nearest(stopped) != 2 else "")
    assert now(stage) == stopped


def test_attributions_fill_in_without_touching_the_player(stage):
    expect(stage.get_by_text("from each frame: being computed …")).to_be_visible()
    expect(stage.get_by_text("from each word: being computed …")).to_be_visible()
    expect(stage.locator(".plot i")).to_have_count(0)
    stage.evaluate("document.querySelector('.st-key-player video').currentTime = 0.45")
    stage.wait_for_timeout(SETTLED_MS)
    stage.evaluate(
        """() => {
        const player = document.querySelector('.st-key-player video');
        player.mark = 'the same';
        window.jumps = [];
        const note = (event) => window.jumps.push(event.type);
        for (const name of ['seeking', 'pause', 'emptied']) player.addEventListener(name, note);
    }"""
    )
    play_slowly(stage, rate=0.0625)  # so that even a busy machine is done before the end
    cell = stage.locator(".film .cell").first
    cell.evaluate("cell => { cell.mark = 'the same'; }")
    stage.get_by_role("button", name="Fill in").click()
    # windows: four, of which one is zero; frames: three of six
    expect(stage.locator(".shares[data-of=frames] .plot i")).to_have_count(3)
    expect(stage.locator(".shares[data-of=windows] .plot i")).to_have_count(3)
    assert stage.evaluate("document.querySelector('.st-key-player video').mark") == "the same"
    assert cell.evaluate("cell => cell.mark") == "the same"
    assert stage.evaluate("window.jumps") == [] and not is_paused(stage)
    # at this rate a busy machine's media clock stands still for a while
    stage.wait_for_function("document.querySelector('.st-key-player video').currentTime > 0.45")
    assert stage.evaluate("window.jumps") == [] and now(stage) < DURATION
    expect(stage.get_by_text("being computed")).to_have_count(0)
    # 12 of 20 points, on the scale of the largest of all tracks, upward from the middle
    heights = stage.locator(".shares[data-of=frames] .plot i").evaluate_all(
        "bars => bars.map(b => b.style.height)"
    )
    assert [float(height.rstrip("%")) for height in heights] == pytest.approx([12.5, 30, 7.5], abs=0.01)
    assert stage.locator(".shares[data-of=frames] .lowers").count() == 1
    signs = stage.locator(".word").evaluate_all("words => words.map(w => w.className)")
    assert ["raises" in name for name in signs] == [True, True, False] and "lowers" in signs[2]
    expect(stage.get_by_text("full bar or ground: 20.0 points, one scale for all")).to_be_visible()


def test_a_clip_of_sound_alone_has_a_slider_in_time(stage, address):
    stage.goto(f"{address}?kind=sound")
    ready(stage)
    expect(stage.locator(".film, .shares[data-of=frames]:visible")).to_have_count(0)
    slider = stage.get_by_role("slider", name=re.compile("Position in the clip"))
    stage.mouse.click(*point(stage, 0.5))
    stage.wait_for_timeout(200)
    assert now(stage) == pytest.approx(0.5, abs=WITHIN_SECONDS)
    expect(slider).to_be_focused()
    slider.press("ArrowRight")
    stage.wait_for_timeout(SETTLED_MS)
    assert now(stage) == pytest.approx(0.6, abs=WITHIN_SECONDS)
    assert heard(stage) == []


def test_nothing_runs_out_of_a_narrow_window(stage):
    stage.get_by_role("button", name="Fill in").click()
    stage.set_viewport_size({"width": 800, "height": 900})
    stage.wait_for_timeout(300)
    assert stage.evaluate("document.querySelector('.stMain').scrollWidth") <= 800
    lanes = stage.locator(".timeline .lanes").bounding_box()
    assert lanes["x"] >= 0 and lanes["x"] + lanes["width"] <= 800
