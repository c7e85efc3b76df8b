"""Text can be read in both themes: 4.5:1 (WCAG 2.2, 1.4.3); and marks and focus frames are seen: 3:1."""

import re
import tomllib

import pytest

from app.launch import MAIN

APP = MAIN.parent
THEMES = tomllib.loads((APP / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
# other sheets beside style.css are of files that are written, with colours of their own
SHEETS = (APP / "style.css", *APP.glob("views/*/*.css"), *APP.glob("components/*/*.css"))
GROUNDS = ("backgroundColor", "secondaryBackgroundColor")

NO_TEXT = (
    ".dots .off",
    ".frame-picture.faded",
    ".cell.dropped .pic",
    ".tie.all",
    ".learn-dots i",
    ".learn-strip .gone img",
)
"""Selectors whose opacity is no text's."""


def luminance(color: tuple[float, ...]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))


def over(color: tuple[float, ...], ground: tuple[float, ...], opacity: float) -> tuple[float, ...]:
    return tuple(opacity * c + (1 - opacity) * g for c, g in zip(color, ground, strict=True))


def faint_texts() -> list[tuple[str, float]]:
    """Rules that draw the text colour faintly, as a share: by opacity, or mixed into nothing."""
    found = []
    for sheet in SHEETS:
        text = re.sub(r"/\*.*?\*/", "", sheet.read_text(encoding="utf-8"), flags=re.DOTALL)
        for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text):
            name = " ".join(selector.split())
            if any(part in name for part in NO_TEXT):
                continue
            shares = re.findall(r"(?<![-\w])opacity: (0?\.\d+)", body)
            mixed = (
                r"(?<![-\w])color: color-mix\(in srgb, var\(--(?:ink|st-text-color)\) (\d+)%, transparent\)"
            )
            shares += [str(int(share) / 100) for share in re.findall(mixed, body)]
            muted = r"--muted: color-mix\(in srgb, var\(--st-text-color\) (\d+)%"
            shares += [str(int(share) / 100) for share in re.findall(muted, body)]
            found += [(f"{sheet.name}: {name}", float(share)) for share in shares]
    return found


def test_the_measure_is_that_of_the_standard():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    # the grey that is known to just pass on white
    assert contrast(rgb("#767676"), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("token", ["textColor", "linkColor", "primaryColor", "grayColor"])
def test_colours_of_text_can_be_read(theme, ground, token):
    assert contrast(rgb(THEMES[theme][token]), rgb(THEMES[theme][ground])) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_stands_on_the_primary_colour_can_be_read(theme):
    sheet = (APP / "style.css").read_text(encoding="utf-8")
    rule = re.search(r'kind="primary"[^{]*tag[^{]*\{ color: light-dark\(#fff, (#\w{6})\)', sheet)
    ink = {"light": "#ffffff", "dark": rule[1]}[theme]
    assert contrast(rgb(ink), rgb(THEMES[theme]["primaryColor"])) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_numbers_of_the_confusion_matrix_can_be_read(theme):
    matrix = APP / "components" / "matrix"
    script, sheet = ((matrix / f"matrix.{end}").read_text(encoding="utf-8") for end in ("js", "css"))
    middle, high = (float(re.search(rf"{name}_SHARE = ([\d.]+)", script)[1]) for name in ("MIDDLE", "HIGH"))
    least, most = map(float, re.search(r'"--fill", \(([\d.]+) \+ ([\d.]+) \* of\.share\)', script).groups())
    color = tuple(map(int, re.search(r"rgb\((\d+) (\d+) (\d+) / var\(--fill\)\)", sheet).groups()))
    assert ".cell.half { color: light-dark(#000, #fff); }" in sheet and ".cell.full { color: #fff; }" in sheet
    of_middle = {"light": "#000000", "dark": "#ffffff"}[theme]
    ground = rgb(THEMES[theme]["backgroundColor"])
    for share in (place / 100 for place in range(101)):
        ink = "#ffffff" if share > high else of_middle if share > middle else THEMES[theme]["textColor"]
        assert contrast(rgb(ink), over(color, ground, least + most * share)) >= 4.5, share


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("token", ["redColor", "blueColor", "orangeColor"])
def test_colours_of_marks_are_seen(theme, token):
    for ground in GROUNDS:
        assert contrast(rgb(THEMES[theme][token]), rgb(THEMES[theme][ground])) >= 3


def test_faint_text_can_be_read():
    texts = faint_texts()
    assert len(texts) > 20, "the sheets are read"
    # what is faint lies on the page, or on cards and panels of the second ground
    hard = [
        (where, theme, ground, round(ratio, 2))
        for where, share in texts
        for theme in ("light", "dark")
        for ground in GROUNDS
        if (
            ratio := contrast(
                over(rgb(THEMES[theme]["textColor"]), below := rgb(THEMES[theme][ground]), share), below
            )
        )
        < 4.5
    ]
    assert hard == []


def test_the_focus_frame_has_the_primary_colours():
    sheet = (APP / "style.css").read_text(encoding="utf-8")
    light, dark = re.search(r"outline: 3px solid light-dark\((#\w{6}), (#\w{6})\)", sheet).groups()
    assert (light, dark) == (THEMES["light"]["primaryColor"], THEMES["dark"]["primaryColor"])
