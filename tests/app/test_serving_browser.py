"""The app as a server: who reaches it, and what texts from strangers do in a real Chromium (nothing)."""

from __future__ import annotations

import csv
import http.client
import os
import re
import shutil
import socket
import urllib.error
import urllib.request
from dataclasses import replace
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from app.cli import cli
from app.compare_state import names_as_text
from app.explain_page import page as explain_page
from app.folders import VARIABLE
from app.launch import HOSTS_VARIABLE, MAIN
from app.notes import Notes
from core.checkpoint import save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.config import PRESETS
from core.evaluation.build import build_evaluation
from core.labels import MODALITIES, LabelScheme
from core.model import DeepMSI
from tests.app.browsing import served, the_app, wait_for_rest
from tests.app.conftest import hand_made_prediction, write_clip
from tests.app.made_attributions import an_attribution
from tests.app.test_explain_command import made_display, made_explanation
from tests.made_evaluations import LABELS, made_clips, made_info, made_probabilities

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

SLOW_MS = 100_000

NAME = '<img src=gotcha onerror="window.__pwned=1">![p](gotcha) '
"""What a file may be called."""

EVIL = (
    f"{NAME}<script>window.__pwned=2</script></style></textarea>"
    '<svg onload="window.__pwned=3"></svg>[l](javascript:window.__pwned=4) ![p](http://evil.test/gotcha) '
    '<iframe src=http://evil.test/gotcha></iframe><a href="http://evil.test/gotcha">a</a> www.evil.test '
    "a@evil.test {{7*7}} $x$ :red[r]"
)
SHOWN = 'onerror="window.__pwned=1"'
"""Part of both, as a reader has to see it."""

WHERE = """found => found.map(one => one.outerHTML.slice(0, 90) + ' in ' + [
  one.parentElement, one.closest('[class*=st-key]'), one.closest('[data-testid]')
].map(one => one?.className + one?.outerHTML.slice(0, 160)).join(' in '))"""
"""Tells where something was drawn that a text held."""

IS_SHOWN = f"""[document.body.innerText,
  ...[...document.querySelectorAll('textarea, input')].map(one => one.value),
  ...[...document.querySelectorAll('[title], [aria-label]')].map(one => one.title + one.ariaLabel),
].join().includes({SHOWN!r})"""
"""Also in fields, and where a name is cut short and told in full beside."""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Clips, an evaluation, notes and a checkpoint of which every text is wicked."""
    home = tmp_path_factory.mktemp("home")
    clips = home / f"{NAME}clips"
    clips.mkdir()
    labels = tuple(f"{EVIL}{k}" for k in range(len(LABELS)))
    told = list(LABELS) * 4
    truth = [labels[LABELS.index(name)] for name in told]
    rows = [
        replace(
            clip,
            key=f"{EVIL}{k}",
            path=clips / f"{NAME}{k}.mp4",
            transcript=EVIL,
            speaker=f"{EVIL}{k // 2}",
            extra={"scenario": f"{EVIL}{k % 2}", "conflict": "True"},
        )
        for k, clip in enumerate(made_clips(truth, clips))
    ]
    for row in rows[:2]:
        write_clip(row.path, num_frames=10)
    changes = {"checkpoint": EVIL, "data": EVIL, "split": EVIL, "protocol": EVIL, "label_scheme": EVIL}
    random = np.random.default_rng(0)
    for name, predictions in (("first", told[::-1]), ("second", told)):
        build_evaluation(
            made_info(labels=labels, **changes),
            rows,
            made_probabilities(predictions),
            {kind: random.normal(size=(len(rows), 4)).astype(np.float32) for kind in (*MODALITIES, "fused")},
            media_folder=clips,
        ).write(home / "evaluations" / f"{NAME}{name}")
    with (clips / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "transcript", "speaker", "split", "key"])
        writer.writerows([row.path.name, EVIL, EVIL, EVIL, "test", row.key] for row in rows[:2])
    torch.manual_seed(0)
    scheme = LabelScheme(name="wicked", labels=labels)
    save_checkpoint(
        home / "checkpoints" / f"{NAME}model",
        DeepMSI(replace(PRESETS["tiny"], labels=scheme), "random").eval(),
        info=CheckpointInfo(),
        card=f"# {EVIL}\n\n{EVIL}\n\n* {EVIL}\n",
        metrics={"test": {"macro_f1": 0.5}, "recipe": {"sources": EVIL}, EVIL: EVIL},
    )
    (home / "data").mkdir()
    notes = Notes(home / "data" / "notes.sqlite")
    notes.save(notes.get(EVIL, rows[0].key), tags=[EVIL[:50]], note=EVIL)
    return home


@pytest.fixture(scope="module")
def outside():
    """Whoever asks for anything on the internet calls here."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture(scope="module")
def address(home, outside):
    proxy = f"http://127.0.0.1:{outside.getsockname()[1]}"
    environment = os.environ | {
        VARIABLE: str(home / "data"),
        "DEEPMSI_CACHE_DIR": str(home / "cache"),
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), proxy),
    }
    model = home / "checkpoints" / f"{NAME}model"
    with served(lambda port: [*the_app(port), "--checkpoint", str(model)], environment) as url:
        yield url


@pytest.fixture
def tab(browser, address):
    """A page that must neither ask for anything elsewhere nor for the picture of a text."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield page
    own = (address, address.replace("http", "ws"), "data:", "blob:", "file:")
    assert not dialogs
    assert [url for url in asked if not url.startswith(own) or url.endswith("gotcha")] == []
    context.close()


def check(page: Page) -> None:
    """Nothing that a text holds was run or drawn, and it is shown as it is."""
    wait_for_rest(page)
    # tables beside charts are drawn once they are opened
    shut = page.locator("details:not([open]) > summary", has=page.get_by_text("table_rows", exact=True))
    while shut.count():
        shut.first.click()
        wait_for_rest(page)
    assert_harmless(page)


def assert_harmless(page: Page) -> None:
    assert page.evaluate("window.__pwned === undefined")
    made = "img[src='gotcha'], [onerror], [onload], iframe[src*='evil'], a[href^='javascript']"
    away = [
        # links to other pages of the app carry names of evaluations and clips
        f"a[{name}*='evil.test']:not([{name}^='?'], .st-key-card a, blockquote.card a)"
        for name in ("href", "xlink\\:href")
    ]
    assert page.locator(", ".join(away)).evaluate_all(WHERE) == []
    assert page.locator(made).evaluate_all(WHERE) == []
    assert page.evaluate(IS_SHOWN)


def give_evaluations(page: Page, address: str, home) -> None:
    page.goto(f"{address}failures")
    another = page.get_by_text("Another evaluation")
    expect(another).to_be_visible(timeout=SLOW_MS)
    wait_for_rest(page)
    another.click()
    field = page.get_by_role("textbox", name="Folder of an evaluation")
    field.fill(str(home / "evaluations"))
    field.press("Enter")
    page.wait_for_function(IS_SHOWN)


def test_evaluations_of_wicked_texts_are_only_texts(tab, address, home):
    give_evaluations(tab, address, home)
    check(tab)
    first, second = (quote(f"{NAME}{name}") for name in ("first", "second"))
    both, clip = quote(names_as_text([f"{NAME}first", f"{NAME}second"])), quote(f"{EVIL}0")
    tab.goto(f"{address}failures?evaluation={first}&open={clip}")
    expect(tab.locator(".st-key-failures-detail")).to_be_visible(timeout=SLOW_MS)
    check(tab)
    note = tab.locator(".st-key-failures-detail textarea:visible")
    expect(note).to_have_value(re.compile(re.escape(SHOWN)), timeout=SLOW_MS)
    for path in (
        f"embeddings?evaluation={first}&open={clip}",
        f"compare?evaluations={both}",
        f"compare?evaluations={both}&part=flips&open={clip}",
        f"compare?evaluations={both}&part=settings",
        # what is not there is told by its name
        f"failures?evaluation={second}&open={quote(EVIL)}",
    ):
        tab.goto(f"{address}{path}")
        tab.wait_for_function(IS_SHOWN)
        check(tab)


def test_a_wicked_checkpoint_folder_and_link_are_only_texts(tab, address, home):
    data = quote(str(home / f"{NAME}clips"))
    for path in (
        "",
        f"checkpoints?checkpoint={quote(f'{NAME}model')}",
        f"own_data?data={data}",
        f"own_data?data={quote(EVIL)}",
        f"?clip={quote(EVIL)}&words={quote(EVIL)}&class={quote(EVIL)}",
        f"?checkpoint={quote(EVIL)}",
        "learn",
    ):
        tab.goto(f"{address}{path}")
        tab.wait_for_function(IS_SHOWN)
        if not path:
            expect(tab.get_by_text("eing computed")).to_have_count(0, timeout=SLOW_MS)
        check(tab)


def test_a_wicked_file_with_wicked_words_is_only_text(tab, address, home):
    tab.goto(address)
    wait_for_rest(tab)
    tab.get_by_role("radio", name="Your own file").click()
    name = f"{NAME}0.mp4"
    tab.locator("input[type=file]").set_input_files(home / f"{NAME}clips" / name)
    tab.wait_for_selector(".emotion strong")
    check(tab)
    box = tab.locator("textarea").first
    box.fill(EVIL)
    box.press("Control+Enter")
    tab.wait_for_function(f"document.querySelector('textarea').value.includes({SHOWN!r})")
    again = tab.get_by_role("button", name="Predict again")
    if again.count():
        again.click()
    check(tab)
    tab.locator("input[type=file]").set_input_files(
        {"name": f"{NAME}bad.mp4", "mimeType": "video/mp4", "buffer": b"no film"}
    )
    tab.wait_for_selector("[data-testid=stAlert]")
    check(tab)


def test_reports_and_explanations_of_wicked_texts_are_only_texts(tab, home, tmp_path):
    folders = [home / "evaluations" / f"{NAME}{name}" for name in ("first", "second")]
    out = tmp_path / "report.html"
    arguments = ["report", str(folders[0]), "--against", str(folders[1]), "--out", str(out)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    words = tuple(EVIL.split())
    unknown = np.full(len(words), np.nan)
    word = an_attribution("word", method="occlusion", words=words, values=np.ones(len(words)) * 0.01)
    explanation = made_explanation(
        prediction=hand_made_prediction(
            transcript=EVIL, path=f"/x/{NAME}.mp4", notes=(EVIL,), checkpoint=EVIL
        ),
        attributions={"word": replace(word, start_seconds=unknown, end_seconds=unknown)},
    )
    (tmp_path / "explained.html").write_text(
        explain_page(explanation, made_display(explanation)), encoding="utf-8"
    )
    for path in (out, tmp_path / "explained.html"):
        tab.goto(path.as_uri())
        assert_harmless(tab)


def test_only_this_machine_reaches_it_by_default(address):
    port = urlsplit(address).port
    # another address of this machine: who listens on all of them listens on it
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
        pass


def test_another_site_can_neither_upload_nor_talk_to_it_nor_have_it_ask_elsewhere(address, outside):
    request = urllib.request.Request(
        f"{address}_stcore/upload_file/a/b", data=b"x", method="PUT", headers={"Origin": "http://evil.test"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 403
    assert opens_socket(address, origin="http://127.0.0.1:1") == 101, "or the next one shows nothing"
    assert opens_socket(address, origin="http://192.0.2.7") == 403
    assert asked_of(outside) == []


def test_a_site_whose_name_leads_to_this_machine_is_not_taken_for_the_app(address):
    port = urlsplit(address).port
    for host, status in ((f"localhost:{port}", 101), (f"127.0.0.1:{port}", 101), (f"evil.test:{port}", 403)):
        assert opens_socket(address, origin=f"http://{host}", host=host) == status


def test_a_proxy_that_names_its_host_or_its_origin_is_let_in():
    # as docs/deploy.md writes them
    variables = {
        HOSTS_VARIABLE: "emotions.example.org localhost",
        "STREAMLIT_SERVER_CORS_ALLOWED_ORIGINS": "https://emotions.example.org",
    }
    with served(the_app, os.environ | variables) as address:
        for host, status in (("emotions.example.org", 101), (None, 101), ("evil.test", 403)):
            assert opens_socket(address, origin="https://emotions.example.org", host=host) == status


def test_an_error_in_a_page_shows_neither_its_words_nor_a_trace(browser, tmp_path):
    shutil.copytree(MAIN.parent / ".streamlit", tmp_path / ".streamlit")
    (tmp_path / "main.py").write_text("raise RuntimeError('of a secret folder')")
    arguments = ["-m", "app.server", "run", str(tmp_path / "main.py"), "--server.headless", "true"]
    with served(lambda port: [*arguments, "--server.port", str(port)], dict(os.environ)) as address:
        page = browser.new_page()
        page.goto(address)
        page.get_by_test_id("stException").wait_for(timeout=SLOW_MS)
        shown = page.inner_text("body")
        page.close()
    assert not [word for word in ("secret", "Traceback", "main.py", str(tmp_path)) if word in shown]


def asked_of(outside: socket.socket) -> list[bytes]:
    """The first line of whatever was asked."""
    asked = []
    while True:
        try:
            caller, _ = outside.accept()
        except BlockingIOError:
            return asked
        with caller:
            caller.settimeout(10)
            asked.append(caller.recv(200).partition(b"\r\n")[0])


def opens_socket(address: str, *, origin: str, host: str | None = None) -> int:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Origin": origin,
        "Host": host or urlsplit(address).netloc,
    }
    connection.request("GET", "/_stcore/stream", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize(
    "path",
    [
        "media/../../../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "static/..%2f..%2f..%2f..%2fetc/passwd",
        "component/x/..%2f..%2f..%2fetc/passwd",
        "_stcore/upload_file/x",
        "media/nothing.mp4",
    ],
)
def test_no_address_reads_a_file_of_the_machine_or_shows_a_trace(address, path):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    connection.request("GET", f"/{path}")
    answer = connection.getresponse()
    body = answer.read().decode("utf-8", "replace")
    connection.close()
    assert "root:" not in body and "Traceback" not in body and 'File "' not in body
