"""What Python sends to the browser's side of a component is never drawn over by what was sent before."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.components.browser_side import browser_side


def run_components(data):
    import streamlit as st

    from app.components.points import _mount

    for key, sent in st.session_state.get("data", data).items():
        _mount(key=key, data=sent)


def numbers(test: AppTest) -> list[int]:
    assert not test.exception
    return [json.loads(one.proto.json)["number"] for one in test.get("bidi_component")]


def test_what_is_sent_later_has_a_greater_number():
    test = AppTest.from_function(run_components, args=({"one": {"chart": "a"}, "two": {"chart": "a"}},)).run()
    first = numbers(test)
    # what is the same needs no sending again
    assert numbers(test.run()) == first
    test.session_state["data"] = {"one": {"chart": "b"}, "two": {"chart": "a"}}
    second = numbers(test.run())
    assert second[0] > first[0] and second[1] == first[1]
    # and back, which is no older
    test.session_state["data"] = {"one": {"chart": "a"}, "two": {"chart": "a"}}
    assert numbers(test.run())[0] > second[0]


def test_another_session_of_the_same_page_goes_on_counting():
    # a browser that was disconnected keeps the page
    data = {"one": {"chart": "a"}}
    first = numbers(AppTest.from_function(run_components, args=(data,)).run())
    for chart in "bcd":
        data = {"one": {"chart": chart}}
        assert numbers(AppTest.from_function(run_components, args=(data,)).run()) >= first


CALLS = """async (script) => {
    const place = document.createElement("div");
    const file = new Blob([script], { type: "text/javascript" });
    const { default: called } = await import(URL.createObjectURL(file));
    const drawn = [];
    const call = (number) => called({ parentElement: place, data: { number, drawn } });
    const said = [1, 3, 2, 3, 4].map((number) => call(number) ?? null);
    return [drawn, said];
}"""


@pytest.mark.browser
def test_the_browser_passes_over_older_data(browser, monkeypatch):
    registered = {}
    monkeypatch.setattr(
        "streamlit.components.v2.component", lambda name, **parts: registered.update({name: parts})
    )
    render = "function render({ data }) { data.drawn.push(data.number); return data.number; }"
    monkeypatch.setattr("app.components.browser_side.asset", lambda component, name: render)
    browser_side("made", html="", js=("made.js",))
    page = browser.new_page()
    drawn, said = page.evaluate(CALLS, registered["deepmsi.made"]["js"])
    assert drawn == [1, 3, 3, 4] and said == [1, 3, None, 3, 4]
    page.close()
