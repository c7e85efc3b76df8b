"""All keyboard shortcuts of the app in one table: the list under "?" shows it, and tests hold pages to it.

Keys are named as browsers name them (`KeyboardEvent.key`).
"""

from __future__ import annotations

from dataclasses import dataclass

CLIP, FAILURES, EMBEDDINGS, COMPARE = "Clip", "Failures", "Embeddings", "Compare"
CHECKPOINTS, OWN_DATA, LEARN = "Checkpoints", "Own data", "Learn"
ALL_PAGES = (CLIP, FAILURES, EMBEDDINGS, COMPARE, CHECKPOINTS, OWN_DATA, LEARN)


@dataclass(frozen=True, kw_only=True)
class Shortcut:
    """Keys that do one thing.

    Attributes:
        keys: each of them does it, or its own part of it; a chord is one, as "Control+Enter".
        does: what happens, in a few words.
    """

    keys: tuple[str, ...]
    does: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """Part of a page whose keys are the same.

    Attributes:
        name: what people read.
        pages: titles of the pages that have it.
        source: the file under `app/components` that listens; "" where the browser or Streamlit does.
        shortcuts: what its keys do.
    """

    name: str
    pages: tuple[str, ...]
    shortcuts: tuple[Shortcut, ...]
    source: str = ""


PLACES = (
    Place(
        name="Everywhere",
        pages=ALL_PAGES,
        source="shortcuts/shortcuts.js",
        shortcuts=(Shortcut(keys=("?",), does="open this list, and close it"),),
    ),
    Place(
        name="Everywhere",
        pages=ALL_PAGES,
        shortcuts=(
            Shortcut(keys=("Tab", "Shift+Tab"), does="go on to the next control, and back"),
            Shortcut(keys=("Enter", " "), does="press the control that is framed"),
            Shortcut(keys=("Escape",), does="close what lies over the page"),
        ),
    ),
    Place(
        name="The walk",
        pages=(LEARN,),
        shortcuts=(
            Shortcut(keys=("n", "b"), does="the next step, and back"),
            Shortcut(keys=("p",), does="the layout for a projector, and back"),
        ),
    ),
    Place(
        name="Sample clips",
        pages=(CLIP,),
        source="gallery/gallery.js",
        shortcuts=(
            Shortcut(keys=("ArrowLeft", "ArrowRight"), does="the clip before or after"),
            Shortcut(keys=("Home", "End"), does="the first or the last clip"),
        ),
    ),
    Place(
        name="Words",
        pages=(CLIP,),
        shortcuts=(Shortcut(keys=("Control+Enter",), does="predict again with the words that were typed"),),
    ),
    Place(
        name="Timeline: position",
        pages=(CLIP,),
        source="timeline/timeline.js",
        shortcuts=(
            Shortcut(
                keys=("ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"), does="the frame before or after"
            ),
            Shortcut(keys=("PageDown", "PageUp"), does="a second back or on"),
            Shortcut(keys=("Home", "End"), does="the first or the last frame"),
            Shortcut(keys=(" ",), does="play, and pause"),
        ),
    ),
    Place(
        name="Timeline: frames and words",
        pages=(CLIP,),
        source="timeline/lanes.js",
        shortcuts=(
            Shortcut(keys=("ArrowLeft", "ArrowRight"), does="the frame or the word before or after"),
            Shortcut(keys=("Home", "End"), does="the first or the last frame"),
            Shortcut(keys=(" ",), does="play, and pause"),
        ),
    ),
    Place(
        name="Inside one frame",
        pages=(CLIP, LEARN),
        source="patches/patches.js",
        shortcuts=(
            Shortcut(
                keys=("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"),
                does="the patch beside, above or below",
            ),
            Shortcut(keys=("Home", "End"), does="the first or the last patch of the row"),
        ),
    ),
    Place(
        name="Confusions",
        pages=(FAILURES,),
        source="matrix/matrix.js",
        shortcuts=(
            Shortcut(
                keys=("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"),
                does="the cell beside, above or below",
            ),
            Shortcut(keys=("Home", "End"), does="the first or the last cell of the row"),
            Shortcut(keys=("Escape",), does="hides what is told above the cell"),
        ),
    ),
    Place(
        name="Cards of clips",
        pages=(FAILURES, EMBEDDINGS, COMPARE),
        source="cards/cards.js",
        shortcuts=(
            Shortcut(
                keys=("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"),
                does="the card beside, above or below",
            ),
            Shortcut(keys=("Home", "End"), does="the first or the last card"),
        ),
    ),
    Place(
        name="Tables",
        pages=ALL_PAGES,
        shortcuts=(
            Shortcut(
                keys=("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"),
                does="the cell beside, above or below",
            ),
        ),
    ),
)
"""In the order of the list."""


def shortcuts_of(page: str) -> tuple[tuple[str, tuple[Shortcut, ...]], ...]:
    """What there is on a page: names of places, and their shortcuts; places of one name are one."""
    found: dict[str, tuple[Shortcut, ...]] = {}
    for place in PLACES:
        if page in place.pages:
            found[place.name] = found.get(place.name, ()) + place.shortcuts
    return tuple(found.items())
