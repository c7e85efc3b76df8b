"""Recording a clip in a real Chromium, whose camera and microphone are made ones."""

import os
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.launch import CHECKPOINT_VARIABLE
from core.media import decode, open_clip
from tests.app.browsing import chromium, served, tab_of, the_app, wait_for_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SLOW_MS = 120_000
expect.set_options(timeout=40_000)
MADE_DEVICES = "--use-fake-device-for-media-stream"
GRANTED, DENIED = "--use-fake-ui-for-media-stream", "--use-fake-ui-for-media-stream=deny"


@pytest.fixture(scope="module")
def private(tmp_path_factory) -> Path:
    """Where the app puts the folders of its sessions."""
    return tmp_path_factory.mktemp("private")


@pytest.fixture(scope="module")
def address(private):
    environment = {name: value for name, value in os.environ.items() if name != CHECKPOINT_VARIABLE}
    environment |= {"TMPDIR": str(private), "DEEPMSI_CACHE_DIR": str(private / "cache")}
    with served(the_app, environment) as url:
        yield url


def open_recorder(tab, address: str) -> None:
    """Opens the recorder on the Clip page."""
    tab.set_default_timeout(SLOW_MS)
    tab.goto(f"{address}?clip=own")
    tab.get_by_role("radio", name="Record yourself").click(force=True)
    expect(tab.locator(".recorder")).to_be_visible()
    wait_for_rest(tab)


def open_devices(tab) -> None:
    """Agrees and opens what is ticked."""
    button = tab.locator(".recorder button", has_text="Open")
    expect(button).to_be_disabled()
    tab.get_by_label("Everyone who will be seen or heard").check()
    button.click()


def files_in(private: Path) -> list[str]:
    return sorted(path.name for path in private.glob("deepmsi-*/clip-*/*") if path.is_file())


def wait_until(holds) -> None:
    for _ in range(900):
        if holds():
            return
        time.sleep(0.1)
    assert holds()


def record(tab) -> None:
    """Two seconds and more; a busy machine may have nothing after two, which the recorder says."""
    recorder = tab.locator(".recorder")
    for _ in range(4):
        recorder.get_by_role("button", name="Record", exact=True).click()
        expect(recorder.get_by_role("timer")).to_have_text(re.compile(r"1[345] s left"))
        tab.wait_for_timeout(2500)
        recorder.get_by_role("button", name="Stop").click()
        expect(recorder.get_by_role("button", name="Record again")).to_be_visible()
        if not recorder.get_by_text("Nothing was recorded").count():
            return
        recorder.get_by_role("button", name="Record again").click()


def test_a_recording_is_predicted_and_goes_with_its_session(address, private):
    with chromium(MADE_DEVICES, GRANTED) as browser:
        with tab_of(browser, address) as tab:
            open_recorder(tab, address)
            recorder = tab.locator(".recorder")
            expect(recorder).to_contain_text("kept on this machine, in a private folder that is deleted")
            open_devices(tab)
            record(tab)
            expect(recorder.get_by_role("status")).to_have_text(
                re.compile(r"[2-9]\.\d s, \d\.\d MB\. The camera is off")
            )
            assert files_in(private) == []
            recorder.get_by_role("button", name="Record again").click()
            record(tab)
            recorder.get_by_role("button", name="Use this clip").click()
            name = re.compile(r"Recording of \d\d-\d\d-\d\d\.webm")
            expect(tab.locator(".own-name")).to_have_text(name)
            expect(tab.locator(".emotion strong")).to_be_visible()
            wait_for_rest(tab)
            # the recorder has started anew, out of the way
            expect(tab.locator("summary", has_text="Record another")).to_be_visible()
            (path,) = private.glob("deepmsi-*/clip-*/*.webm")
            clip = open_clip(path)
            assert clip.info.video_codec in ("vp8", "vp9") and clip.info.audio_codec == "opus"
            assert 1.5 < clip.duration_seconds < 9.0
            # a busy machine drops most pictures
            read = decode(clip, num_frames=8)
            assert read.frames is not None and read.waveform is not None and read.notes == ()
            # the browser can go to any moment of what was recorded
            video = "document.querySelector('.st-key-player video')"
            tab.wait_for_function(f"{video}?.readyState >= 2")
            tab.evaluate(f"{video}.currentTime = 1.2")
            tab.wait_for_function(f"{video}.currentTime > 1.1 && {video}.readyState >= 2 && !{video}.seeking")
            wait_for_rest(tab)
            tab.locator(".st-key-own-remove button").filter(visible=True).first.click()
            expect(tab.locator(".own-name")).to_have_count(0)
            assert files_in(private) == []
        wait_until(lambda: not list(private.glob("deepmsi-*")))


def test_a_recording_ends_by_itself(address):
    with chromium(MADE_DEVICES, GRANTED) as browser, tab_of(browser, address) as tab:
        open_recorder(tab, address)
        tab.get_by_label("Picture").uncheck()
        expect(tab.locator(".recorder button", has_text="Open")).to_have_text("Open microphone")
        open_devices(tab)
        tab.locator(".recorder").get_by_role("button", name="Record", exact=True).click()
        expect(tab.locator(".recorder audio")).to_be_visible(timeout=25_000)
        expect(tab.locator(".recorder").get_by_role("status")).to_have_text(re.compile(r"^1[56]\.\d s, "))


def test_leaving_the_recorder_turns_the_camera_off(address):
    with chromium(MADE_DEVICES, GRANTED) as browser, tab_of(browser, address) as tab:
        tab.add_init_script(
            "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
            "navigator.mediaDevices.getUserMedia = async (wish) => (window.given = await open(wish));"
        )
        open_recorder(tab, address)
        open_devices(tab)
        expect(tab.locator(".recorder video")).to_be_visible()
        assert tab.evaluate("given.getTracks().map((track) => track.readyState)") == ["live", "live"]
        tab.get_by_role("radio", name="Your own file").click(force=True)
        tab.wait_for_function("given.getTracks().every((track) => track.readyState === 'ended')")


def test_what_was_not_allowed_is_said(address):
    with chromium(MADE_DEVICES, DENIED) as browser, tab_of(browser, address) as tab:
        open_recorder(tab, address)
        open_devices(tab)
        expect(tab.locator(".recorder").get_by_role("alert")).to_have_text(
            "The browser was not allowed to use camera and microphone; allow them beside the page’s address, "
            "then open them again."
        )


def test_without_a_camera_the_sound_can_be_recorded_alone(address):
    with chromium(GRANTED) as browser, tab_of(browser, address) as tab:
        open_recorder(tab, address)
        open_devices(tab)
        expect(tab.locator(".recorder").get_by_role("alert")).to_have_text(
            re.compile(r"^No (camera|camera and no microphone) was found; connect (one|them)")
        )


@pytest.mark.parametrize(
    "without, said",
    [
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "only over https"),
        ("delete window.MediaRecorder", "This browser cannot record"),
    ],
)
def test_where_recording_is_impossible_one_sentence_says_why(address, without, said):
    with chromium() as browser, tab_of(browser, address) as tab:
        tab.add_init_script(without)
        open_recorder(tab, address)
        expect(tab.locator(".recorder").get_by_role("alert")).to_contain_text(said)
        expect(tab.locator(".recorder button")).to_have_count(0)
