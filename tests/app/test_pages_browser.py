"""The pages that show evaluations, on what ships, in a real Chromium."""

import json
import os
import re
import urllib.request
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from app.evaluations import SHIPPED_EVALUATIONS
from app.folders import VARIABLE
from core.evaluation import read_evaluation
from tests.app.browsing import served, tab_of, the_app, wait_for_rest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

SLOW_MS = 100_000
expect.set_options(timeout=SLOW_MS)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    private = tmp_path_factory.mktemp("private")
    environment = os.environ | {VARIABLE: str(private), "DEEPMSI_CACHE_DIR": str(private / "cache")}
    with served(the_app, environment) as url:
        yield url


@pytest.fixture
def page(browser, address):
    with tab_of(browser, address) as tab:
        tab.set_default_timeout(SLOW_MS)
        yield tab


def plays(page, player: str) -> None:
    """The player's video runs when it is asked to."""
    video = f".st-key-{player} video"
    page.wait_for_function(f"document.querySelector('{video}')?.readyState >= 2")
    page.evaluate(f"(() => {{ const v = document.querySelector('{video}'); v.muted = true; v.play(); }})()")
    page.wait_for_function(f"document.querySelector('{video}')?.currentTime > 0.2")


def test_a_link_opens_its_page_on_a_server_that_was_just_started(page, address):
    page.goto(f"{address}compare?part=settings")
    expect(page.locator(".brand span")).to_have_text("Which checkpoint is better")
    wait_for_rest(page)
    expect(page.get_by_text("Page not found")).to_have_count(0)
    expect(page.get_by_role("radio", name="Settings")).to_be_checked()


def test_a_cell_of_the_confusion_matrix_leads_to_clips_that_play(page, address):
    page.goto(f"{address}failures")
    matrix = page.get_by_role("grid", name="Confusion matrix of 7 emotions")
    cell = matrix.get_by_role("gridcell", name="labelled: disgust; predicted as: neutral")
    expect(cell).to_be_visible()
    wait_for_rest(page)
    cell.click()
    expect(cell).to_have_attribute("aria-selected", "true")
    page.wait_for_url("**labelled=disgust&predicted=neutral**")
    card = page.locator(".cards [role=option]").first
    expect(card).to_have_attribute("aria-label", re.compile("label disgust .*, model neutral"))
    wait_for_rest(page)
    card.click()
    page.wait_for_url("**open=**")
    plays(page, "failures-player")
    expect(page.locator(".st-key-failures-detail .emotion strong")).to_have_text("neutral")


FOCUSED = """() => {
  let one = document.activeElement;
  while (one.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
  return one.getAttribute("aria-label");
}"""


def test_a_cell_of_the_confusion_matrix_is_chosen_by_the_keyboard(page, address):
    page.goto(f"{address}failures")
    cell = page.get_by_role("gridcell", name="labelled: disgust; predicted as: neutral")
    expect(cell).to_be_visible()
    wait_for_rest(page)
    cell.focus()
    page.keyboard.press("Home")
    names = []
    for key in ("ArrowRight", "ArrowDown", "End", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
        names.append(page.evaluate(FOCUSED))
    labels = [name.split(";")[0].removeprefix("labelled: ") for name in names]
    assert labels[0] == labels[3] == labels[4] == "disgust" and labels[1] == labels[2] != "disgust"
    # one stop of the tab key
    assert page.locator(".matrix .cell[tabindex='0']").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_url("**labelled=disgust**")
    wait_for_rest(page)
    assert page.evaluate(FOCUSED) == names[-1], "the focus stays"


def test_pointing_at_the_training_curves_tells_the_values_of_all(page, address):
    page.goto(f"{address}checkpoints")
    plot = page.get_by_role("img", name="Macro F1 over epochs")
    expect(plot).to_be_visible()
    wait_for_rest(page)
    tip = page.locator(".lines .tip")
    expect(tip).to_be_hidden()
    plot.hover(position={"x": 60, "y": 100})
    expect(tip).to_contain_text("epoch 1")
    for name in ("full", "everyday", "text-audio"):
        expect(tip).to_contain_text(re.compile(rf"{name}: 0\.\d+"))


def test_no_page_around_the_app_may_steer_it(address):
    with urllib.request.urlopen(f"{address}_stcore/host-config") as told:
        assert json.load(told)["allowedOrigins"] == []


def test_back_to_the_bare_address_closes_the_clip_and_another_page_does_not(page, address):
    page.goto(f"{address}failures")
    card, opened = page.locator(".cards [role=option]").first, page.locator(".st-key-failures-detail")
    expect(card).to_be_visible()
    wait_for_rest(page)
    card.click()
    page.wait_for_url("**open=**")
    expect(opened).to_be_visible()
    wait_for_rest(page)
    page.get_by_role("link", name="Checkpoints").click()
    expect(page.get_by_text("Train one of your own")).to_be_visible()
    wait_for_rest(page)
    page.get_by_role("link", name="Failures").click()
    page.wait_for_url("**open=**")
    expect(opened).to_be_visible()
    wait_for_rest(page)
    page.go_back()
    expect(opened).to_have_count(0)
    assert "open=" not in page.url


def test_cards_keep_the_focus_when_they_are_drawn_anew(page, address):
    page.goto(f"{address}failures")
    card = page.locator(".cards [role=option]").first
    expect(card).to_be_visible()
    wait_for_rest(page)
    card.click()
    page.wait_for_url("**open=**")
    page.locator(".st-key-failures-detail textarea").fill("a hidden face")
    card.focus()
    wait_for_rest(page)
    # as somebody's shortcut would, so that the focus stays where it is
    page.get_by_role("button", name="Keep tags and note").evaluate("button => button.click()")
    expect(card.locator(".mark", has_text="noted")).to_be_visible()
    expect(card).to_be_focused()


def test_a_flipped_clip_plays_beside_both_answers(page, address):
    page.goto(f"{address}compare")
    expect(page.locator(".side-by-side thead th").first).to_be_visible()
    wait_for_rest(page)
    page.get_by_role("radio", name="Clips that flipped").click()
    page.wait_for_url("**part=flips**")
    wait_for_rest(page)
    page.get_by_role("radio", name=re.compile("^full-probe: ")).click()
    page.wait_for_url("**became=wrong**")
    card = page.locator(".cards [role=option]").first
    expect(card).to_have_attribute("aria-label", re.compile("full [a-z]+ .*everyday [a-z]+ "))
    wait_for_rest(page)
    card.click()
    page.wait_for_url("**open=**")
    plays(page, "failures-player")
    answers = page.locator(".st-key-compare-answers")
    expect(answers.locator(".emotion strong")).to_have_count(2)
    truths = answers.locator(".truth").all_inner_texts()
    assert truths[0].startswith("✓") and truths[1].startswith("✗")


@pytest.mark.parametrize("place", ["failures", "compare", "embeddings"])
def test_pages_fit_a_narrow_window(browser, address, place):
    with tab_of(browser, address, width=800) as tab:
        tab.set_default_timeout(SLOW_MS)
        tab.goto(f"{address}{place}")
        tab.wait_for_selector(".checkpoint")
        wait_for_rest(tab)
        assert tab.evaluate("document.querySelector('.stMain').scrollWidth") <= 800


IN_SIGHT = """(selector) => [...document.querySelectorAll(selector)].filter(one => {
  const box = one.getBoundingClientRect();
  const seen = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return box.width > 0 && box.right <= innerWidth && one.contains(seen);
}).map(one => one.innerText.trim().split("\\n").at(-1))"""


def test_pages_parts_and_emotions_are_in_sight_in_a_narrow_window(browser, address):
    with tab_of(browser, address, width=800) as tab:
        tab.set_default_timeout(SLOW_MS)
        tab.goto(f"{address}failures")
        tab.wait_for_selector(".checkpoint")
        wait_for_rest(tab)
        tab.get_by_role("radio", name="Notes", exact=True).wait_for()
        pages = ["Clip", "Failures", "Embeddings", "Compare", "Checkpoints", "Own data", "Learn"]
        assert tab.evaluate(IN_SIGHT, "[data-testid=stTopNavLink]") == pages
        assert "Notes" in tab.evaluate(IN_SIGHT, ".st-key-part-picker button")
        tab.get_by_role("radio", name="anger", exact=True).scroll_into_view_if_needed()
        assert "anger" in tab.evaluate(IN_SIGHT, ".st-key-focus-picker button")
        tab.get_by_role("link", name="Learn").first.click()
        tab.get_by_role("radio", name="Anger", exact=True).wait_for()
        wait_for_rest(tab)
        assert "Anger" in tab.evaluate(IN_SIGHT, ".st-key-learn-guess button")


def test_a_lasso_lists_clips_and_hides_none(page, address):
    page.goto(f"{address}embeddings")
    # Streamlit draws a copy outside for the printer now and then
    chart = page.locator(".stPlotlyChart .js-plotly-plot")
    expect(chart).to_be_visible()
    wait_for_rest(page)
    page.wait_for_timeout(1500)
    corners = [(0.2, 0.3), (0.5, 0.3), (0.5, 0.7), (0.2, 0.7), (0.2, 0.3)]
    title = page.locator(".gallery-title")
    # a busy machine may still be laying the chart out when the mouse moves
    for _ in range(5):
        box = chart.bounding_box()
        places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=6)
        page.mouse.up()
        page.wait_for_timeout(4000)
        if title.count():
            break
    expect(title).to_contain_text("chosen clips")
    count = (
        "document.querySelector('.stPlotlyChart .js-plotly-plot')._fullData"
        ".reduce((sum, trace) => sum + trace._length, 0)"
    )
    num_points = page.evaluate(count)
    assert 2 <= int(title.inner_text().split()[0]) < num_points == 560
    wait_for_rest(page)
    page.locator(".cards [role=option]").first.click()
    page.wait_for_url("**open=**")
    plays(page, "failures-player")
    # the choice stays, and the opened clip is ringed
    expect(title).to_contain_text("chosen clips")
    assert page.evaluate(count) == num_points + 1


AT_A_POINT = """() => {
  const chart = document.querySelector('.stPlotlyChart .js-plotly-plot');
  const { xaxis, yaxis, _size } = chart._fullLayout;
  const box = chart.getBoundingClientRect();
  // one that lies by itself, so that no other is meant
  const points = chart._fullData.flatMap((trace) => [...trace.x].map((x, i) => ({
    x: box.left + _size.l + xaxis.d2p(x),
    y: box.top + _size.t + yaxis.d2p(trace.y[i]),
    key: trace.customdata[i][1],
  })));
  const far = (one, two) => two === one ? Infinity : Math.hypot(one.x - two.x, one.y - two.y);
  const apart = (one) => Math.min(...points.map((two) => far(one, two)));
  return points.reduce((best, one) => apart(one) > apart(best) ? one : best);
}"""


def test_a_click_on_a_point_opens_its_clip(page, address):
    page.goto(f"{address}embeddings")
    chart = page.locator(".stPlotlyChart .js-plotly-plot")
    expect(chart).to_be_visible()
    wait_for_rest(page)
    page.wait_for_timeout(1500)
    # a busy machine may still be laying the chart out when the mouse moves
    for _ in range(5):
        point = page.evaluate(AT_A_POINT)
        page.mouse.move(point["x"] - 4, point["y"] - 3)
        page.mouse.move(point["x"], point["y"], steps=4)
        page.wait_for_timeout(500)
        page.mouse.down()
        page.mouse.up()
        page.wait_for_timeout(4000)
        if "open=" in page.url:
            break
    assert parse_qs(urlsplit(page.url).query)["open"] == [point["key"]]
    expect(page.locator(".st-key-failures-detail .emotion strong")).to_be_visible()


FILLS = """() => {
  const fills = [...document.querySelectorAll('.stPlotlyChart .point')].map((one) => one.style.fill);
  const count = (fill) => fills.filter((one) => one === fill).length;
  return Object.fromEntries([...new Set(fills)].map((fill) => [fill, count(fill)]));
}"""


def test_the_map_is_recoloured_in_place_and_its_legend_chooses_clips(page, address):
    page.goto(f"{address}embeddings?colour=speaker")
    expect(page.locator(".stPlotlyChart .js-plotly-plot")).to_be_visible()
    wait_for_rest(page)
    page.evaluate("document.querySelector('.stPlotlyChart .js-plotly-plot').isTheSame = true")
    page.get_by_role("radio", name="right or wrong", exact=True).click()
    entries = page.locator(".legend .entry:not([hidden])")
    expect(entries).to_have_text(["right", "wrong"])
    # right and wrong, of the 560 clips that are drawn
    page.wait_for_function(f"Object.keys(({FILLS})()).length === 2")
    fills = page.evaluate(FILLS)
    table = read_evaluation(SHIPPED_EVALUATIONS / "full-probe").predictions
    num_right = int((table["label"] == table["prediction"]).sum())
    assert fills == {"rgb(47, 127, 214)": num_right, "rgb(200, 105, 28)": 560 - num_right}
    assert page.evaluate("document.querySelector('.stPlotlyChart .js-plotly-plot').isTheSame")
    # by keyboard; nothing is hidden
    wait_for_rest(page)
    page.get_by_role("button", name="wrong", exact=True).focus()
    page.keyboard.press("Enter")
    title = page.locator(".gallery-title")
    expect(title).to_contain_text(f"{560 - num_right} chosen clips {560 - num_right} of them wrong")
    # the chart of before goes when the new one is there, of which the right ones are paler
    page.wait_for_function(
        "([all, pale]) => document.querySelectorAll('.stPlotlyChart .point').length === all"
        " && [...document.querySelectorAll('.stPlotlyChart .point')].filter(one => one.style.opacity < 0.5)"
        ".length === pale",
        arg=[560, num_right],
    )
    assert page.evaluate(FILLS) == fills
    wait_for_rest(page)
    # another colour, of what is chosen
    page.get_by_role("radio", name="label", exact=True).click()
    page.wait_for_function(f"Object.keys(({FILLS})()).length === 7")
    expect(entries).to_have_count(7)
    expect(title).to_contain_text("chosen clips")
    page.get_by_role("button", name="Let go").click()
    expect(title).to_have_count(0)


INK_AND_GROUND = """selector => {
  const one = document.querySelector(selector);
  const ground = from => {
    const found = getComputedStyle(from).backgroundColor;
    return /, 0\\)$/.test(found) ? ground(from.parentElement) : found;
  };
  const written = [...one.querySelectorAll('*'), one].findLast(part => part.innerText?.trim());
  return [getComputedStyle(written).color, ground(written)];
}"""


@pytest.mark.parametrize(
    ("place", "selector"), [("compare", "[data-tag]"), ("learn", ".st-key-learn-next button")]
)
def test_what_stands_on_the_primary_colour_is_dark_on_a_dark_page(browser, address, place, selector):
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.set_default_timeout(SLOW_MS)
    tab.goto(f"{address}{place}")
    tab.locator(selector).first.wait_for()
    ink, ground = tab.evaluate(INK_AND_GROUND, selector)
    assert (ink, ground) == ("rgb(16, 20, 24)", "rgb(102, 188, 203)")
    context.close()
