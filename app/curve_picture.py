"""The trade-off curve of a checkpoint as one picture, for documents; light."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

from training.curve import Curve, Point

WIDTH, HEIGHT = 1400, 860
LEFT, RIGHT, TOP, BOTTOM = 120, 60, 170, 100
"""What axes and headings take of the picture, in pixels."""

INK, MUTED, LINE, BAND = "#1d2129", "#5a6270", "#d9dde3", "#eef1f5"
COLORS = {"frames": "#2668c5", "patches": "#c2570c", "still frames": "#1b7f5c", "together": "#8a3ea8"}
"""Of the kinds of settings; each has a mark of its own too."""

RADIUS = 8


def picture(curve: Curve) -> Image.Image:
    """Macro-F1 against operations: a line for each kind of setting, and the interval as configured."""
    sheet = Image.new("RGB", (WIDTH, HEIGHT), "white")
    _Chart(sheet, curve).draw()
    return sheet


def kind_of(point: Point, first: Point) -> str:
    """In what a setting differs from the configured one; "" where in nothing."""
    ours, theirs = point.setting, first.setting
    differs = {
        "frames": ours.num_frames != theirs.num_frames,
        "patches": ours.grids != theirs.grids,
        "still frames": ours.still_below != theirs.still_below,
    }
    found = [name for name, is_other in differs.items() if is_other]
    return "together" if len(found) > 1 else "".join(found)


class _Chart:
    def __init__(self, sheet: Image.Image, curve: Curve) -> None:
        self._brush = ImageDraw.Draw(sheet)
        self._curve = curve
        self._first = curve.points[0]
        worths = [point.macro_f1.value for point in curve.points]
        ends = [self._first.macro_f1.low, self._first.macro_f1.high]
        known = [value for value in (*worths, *ends) if value is not None]
        self._lowest = max(0.0, int(20 * (min(known) - 0.01)) / 20)
        self._highest = min(1.0, (int(20 * (max(known) + 0.01)) + 1) / 20)
        self._most = 1.08 * max(point.gflop for point in curve.points)

    def draw(self) -> None:
        self._text((LEFT, 24), "What an answer costs, and what it is worth", 32, INK)
        about = f"{self._curve.checkpoint}, {self._curve.num_clips} clips of {self._curve.data} "
        self._text((LEFT, 66), f"{about}({self._curve.split}), {self._curve.shown} shown", 22, MUTED)
        low, high = self._first.macro_f1.low, self._first.macro_f1.high
        if low is not None:
            self._brush.rectangle((LEFT, self._y(high), WIDTH - RIGHT, self._y(low)), fill=BAND)
            self._text((LEFT + 8, self._y(low) - 8), "95 % interval as configured", 18, MUTED, "ld")
        self._axes()
        by_kind: dict[str, list[Point]] = {}
        for point in self._curve.points[1:]:
            by_kind.setdefault(kind_of(point, self._first), []).append(point)
        for kind, color in COLORS.items():
            self._series(kind, by_kind.get(kind, []), color)
        self._mark("", self._first, INK)
        self._label(self._first, f"as configured: {self._first.setting.num_frames} frames", INK)
        self._legend([kind for kind in COLORS if kind in by_kind])

    def _series(self, kind: str, points: list[Point], color: str) -> None:
        line = sorted((self._first, *points), key=lambda point: point.gflop)
        if kind != "together":
            self._brush.line([self._at(point) for point in line], fill=color, width=3)
        for number, point in enumerate(points):
            self._mark(kind, point, color)
            # neighbours have long names
            self._label(
                point, _short(kind, point), color, lower=24 * (number % 2) if kind == "patches" else 0
            )

    def _mark(self, kind: str, point: Point, color: str) -> None:
        x, y = self._at(point)
        r = RADIUS
        shapes: dict[str, Callable[[], None]] = {
            "patches": lambda: self._brush.rectangle((x - r, y - r, x + r, y + r), fill=color),
            "still frames": lambda: self._brush.polygon(
                [(x, y - r - 2), (x - r, y + r), (x + r, y + r)], color
            ),
            "together": lambda: self._brush.polygon(
                [(x, y - r - 2), (x + r + 2, y), (x, y + r + 2), (x - r - 2, y)], color
            ),
        }
        shapes.get(kind, lambda: self._brush.ellipse((x - r, y - r, x + r, y + r), fill=color))()

    def _label(self, point: Point, text: str, color: str, lower: int = 0) -> None:
        x, y = self._at(point)
        if color == COLORS["frames"]:
            self._text((x - 10, y - 10), text, 18, color, "rd")
        elif color in (INK, COLORS["together"]):
            self._text((x, y - 14), text, 18, color, "md")
        else:
            self._text((x, y + 14 + lower), text, 18, color, "ma")

    def _legend(self, kinds: list[str]) -> None:
        x = LEFT
        for kind in kinds:
            color = COLORS[kind]
            self._brush.rectangle((x, 112, x + 22, 118), fill=color)
            name = {"frames": "fewer frames", "patches": "other patches", "still frames": "still frames held"}
            self._text((x + 30, 115), name.get(kind, kind), 20, color, "lm")
            x += 40 + int(self._brush.textlength(name.get(kind, kind), font=_font(20))) + 24

    def _axes(self) -> None:
        steps = round((self._highest - self._lowest) / 0.05)
        for step in range(steps + 1):
            value = self._lowest + 0.05 * step
            self._brush.line((LEFT, self._y(value), WIDTH - RIGHT, self._y(value)), fill=LINE)
            self._text((LEFT - 12, self._y(value)), f"{value:.2f}", 20, MUTED, "rm")
        size = next(size for size in (0.01, 0.1, 0.5, 1, 5, 20, 50, 1e9) if self._most / size <= 10)
        for step in range(int(self._most / size) + 1):
            x = self._x(step * size)
            self._brush.line((x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 8), fill=MUTED)
            self._text((x, HEIGHT - BOTTOM + 14), f"{step * size:g}", 20, MUTED, "ma")
        self._brush.line((LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM), fill=MUTED)
        middle = (LEFT + WIDTH - RIGHT) / 2
        told = "GFLOP of one answer, behind the frozen encoders of sound and words"
        self._text((middle, HEIGHT - 20), told, 22, INK, "md")
        self._text((LEFT - 12, TOP - 12), "macro-F1", 20, INK, "rd")

    def _at(self, point: Point) -> tuple[float, float]:
        return self._x(point.gflop), self._y(point.macro_f1.value)

    def _x(self, gflop: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * gflop / self._most

    def _y(self, worth: float) -> float:
        share = (worth - self._lowest) / max(1e-9, self._highest - self._lowest)
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP - 20) * share

    def _text(self, place: tuple[float, float], text: str, size: int, color: str, anchor: str = "la") -> None:
        self._brush.text(place, text, fill=color, font=_font(size), anchor=anchor)


def _short(kind: str, point: Point) -> str:
    setting = point.setting
    still = f"{100 * setting.still_below:g} %"
    steps = ", ".join(str(rows * columns) for rows, columns in setting.grids)
    if kind == "together":
        return ", ".join(
            filter(
                None,
                (
                    f"{setting.num_frames} frames",
                    f"{setting.num_patches} patches",
                    still if setting.still_below else "",
                ),
            )
        )
    return {"frames": str(setting.num_frames), "patches": steps, "still frames": still}[kind]


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
