"""The list of shortcuts says what the components do, and no component does what is not in it."""

import re
from pathlib import Path

import pytest

import app.components
from app.launch import MAIN
from app.shortcuts import ALL_PAGES, PLACES, shortcuts_of

COMPONENTS = Path(app.components.__file__).parent
NAMED = (
    "ArrowLeft",
    "ArrowRight",
    "ArrowUp",
    "ArrowDown",
    "Home",
    "End",
    "PageUp",
    "PageDown",
    "Escape",
    "Enter",
)


def listening() -> list[str]:
    """Files of the components that listen to keys."""
    return sorted(
        file.relative_to(COMPONENTS).as_posix()
        for file in COMPONENTS.rglob("*.js")
        if "keydown" in file.read_text(encoding="utf-8")
    )


def keys_of(source: str) -> set[str]:
    """Keys that a file asks for: as properties of a map, or compared with the event's key."""
    text = (COMPONENTS / source).read_text(encoding="utf-8")
    handlers = "".join(
        re.findall(r"keydown.*?(?:\n  \};|\n    \};|\n  \}\);|\n  \}, )", text, flags=re.DOTALL)
    )
    assert handlers, source
    compared = re.findall(r'event\.key [!=]== "([^"]+)"', handlers)
    return {name for name in NAMED if re.search(rf"\b{name}\b", handlers)} | set(compared)


def test_every_component_that_listens_is_in_the_list():
    assert listening() == sorted({place.source for place in PLACES if place.source})


@pytest.mark.parametrize("source", listening())
def test_the_list_names_the_keys_that_a_component_listens_to(source):
    told = {key for place in PLACES if place.source == source for one in place.shortcuts for key in one.keys}
    assert told == keys_of(source)


def test_pages_are_those_of_the_app():
    titles = re.findall(r'st\.Page\(.*?title="([^"]+)"', MAIN.read_text(encoding="utf-8"))
    assert tuple(sorted(titles)) == tuple(sorted(ALL_PAGES))


def test_a_page_is_told_its_own_shortcuts_and_those_of_all():
    found = dict(shortcuts_of("Learn"))
    assert list(found) == ["Everywhere", "The walk", "Inside one frame", "Tables"]
    assert [one.keys for one in found["Everywhere"]][0] == ("?",) and len(found["Everywhere"]) == 4
    assert "Sample clips" in dict(shortcuts_of("Clip")) and "Cards of clips" in dict(shortcuts_of("Compare"))
    assert list(dict(shortcuts_of("Own data"))) == ["Everywhere", "Tables"]
