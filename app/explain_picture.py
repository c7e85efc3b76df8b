"""The timeline of an explanation as one picture, for slides and papers; light."""

from __future__ import annotations

import base64
import io

from PIL import Image, ImageDraw, ImageFont, ImageOps

from app.display import ClipDisplay
from app.explain_drawings import points
from app.explain_timeline import Bar, Timeline
from core.attribution.elements import absent_others
from core.attribution.explain import Explanation
from core.attribution.modalities import listed, shown_verdict

WIDTH, MARGIN, GUTTER = 1800, 36, 190
"""Of the picture and its blank edges in pixels; names of tracks stand in the gutter."""

TIES, BARS, WAVE, ROW, GAP = 44, 150, 76, 36, 20
"""Heights of the tracks: lines to the keepers, bars, sound, a row of words; and between them."""

LOWEST, HIGHEST = 66, 124
"""Of the pictures: narrow ones are lower, so that they show more than a slice of a face."""

INK, MUTED, LINE, RAISE, LOWER = "#1d2129", "#5a6270", "#d9dde3", "#2668c5", "#c2570c"


def picture(explanation: Explanation, display: ClipDisplay) -> Image.Image:
    """The answer, what the modalities say, and frames, sound and words with what each gave.

    Args:
        explanation: what is told.
        display: pictures, loudness and words of the same clip.
    """
    timeline = Timeline.of(explanation, display)
    # drawn on a sheet that is long enough, and cut where it ends
    words = timeline.num_word_rows * ROW
    sheet = Image.new("RGB", (WIDTH, 500 + HIGHEST + TIES + 3 * BARS + WAVE + words + 6 * GAP), "white")
    drawing = _Drawing(sheet)
    drawing.head(explanation, timeline)
    if timeline.frames:
        drawing.strip(timeline, display.thumbnails)
        drawing.bars("what they gave", timeline.frames)
    if timeline.peaks is not None:
        drawing.wave(timeline)
    drawing.bars("what it gave", timeline.windows)
    if timeline.words:
        drawing.words(timeline)
        drawing.bars("what they gave", timeline.words)
    drawing.axis(timeline)
    return sheet.crop((0, 0, WIDTH, drawing.y + MARGIN))


class _Drawing:
    """A sheet that is drawn on from top to bottom; `y` is where it goes on."""

    def __init__(self, sheet: Image.Image) -> None:
        self.y = MARGIN
        self._sheet = sheet
        self._brush = ImageDraw.Draw(sheet)

    def head(self, explanation: Explanation, timeline: Timeline) -> None:
        prediction = explanation.prediction
        answer = f"{prediction.prediction} {100 * prediction.confidence:.0f} %"
        self._lines(f"{answer}, uncertain" if prediction.is_uncertain else answer, 46, INK)
        if prediction.transcript:
            self._lines(f"“{prediction.transcript}”", 28, INK)
        verdict, sentence = shown_verdict(prediction)
        self._lines(f"{verdict}: {sentence}", 24, MUTED)
        if timeline.longest:
            self._lines(_legend(explanation, timeline), 24, MUTED)
        if timeline.frames:
            told = "Framed: kept. A line leads to what a dropped frame was merged into; crossed: lost."
            self._lines(told, 24, MUTED)
        self.y += GAP

    def strip(self, timeline: Timeline, thumbnails: tuple[str, ...]) -> None:
        """Kept frames in colour, and lines from the others to the frames that hold them now."""
        frames, wide = timeline.frames, self._x(timeline.frame_width) - self._x(0)
        strip = round(min(max(1.5 * wide, LOWEST), HIGHEST))
        self._name("frames", strip / 2)
        for frame in frames:
            is_kept = frame.keeper == frame.index
            left, right = self._x(frame.left) + 2, self._x(frame.right) - 2
            top, bottom = (self.y, self.y + strip) if is_kept else (self.y + 9, self.y + strip - 9)
            size = max(1, round(right - left)), round(bottom - top)
            shown = ImageOps.fit(_opened(thumbnails[frame.index]), size)
            if not is_kept:
                grey = ImageOps.grayscale(shown).convert("RGB")
                shown = Image.blend(grey, Image.new("RGB", size, "white"), 0.55)
            self._sheet.paste(shown, (round(left), round(top)))
            if is_kept:
                box = round(left), round(top), round(left) + size[0], round(top) + size[1]
                self._brush.rectangle(box, outline=INK, width=3)
        self.y += strip
        for frame in frames:
            x = self._x(frame.middle)
            if frame.keeper == frame.index:
                self._brush.ellipse((x - 5, self.y + 4, x + 5, self.y + 14), fill=INK)
            elif frame.keeper < 0:
                # Pillow's own font has no ×
                for rise in (-6, 6):
                    self._brush.line(
                        (x - 6, self.y + 9 - rise, x + 6, self.y + 9 + rise), fill=MUTED, width=2
                    )
            else:
                to, low = self._x(frames[frame.keeper].middle), self.y + TIES - 8
                path = [(x, self.y - 10), (x, low), (to, low), (to, self.y + 14)]
                self._brush.line(path, fill=MUTED, width=2)
        self.y += TIES

    def bars(self, name: str, bars: tuple[Bar, ...]) -> None:
        """Upwards for what raised the value, downwards for what lowered it; nothing without attribution."""
        if not bars or bars[0].share is None:
            return
        self._name(name, BARS / 2)
        middle, reach = self.y + BARS / 2, BARS / 2 - 8
        self._brush.line((self._x(0), middle, self._x(1), middle), fill=MUTED, width=1)
        for bar in bars:
            end = middle - bar.share * reach
            if abs(end - middle) >= 0.5:
                box = self._x(bar.left) + 3, min(middle, end), self._x(bar.right) - 3, max(middle, end)
                self._brush.rectangle(box, fill=RAISE if bar.share > 0 else LOWER)
        self.y += BARS + GAP

    def wave(self, timeline: Timeline) -> None:
        self._name("sound", WAVE / 2)
        middle, num = self.y + WAVE / 2, len(timeline.peaks)
        width = (self._x(1) - self._x(0)) / num
        for i, peak in enumerate(timeline.peaks.tolist()):
            x, reach = self._x((i + 0.5) / num), max(1.0, peak * (WAVE / 2 - 2))
            self._brush.line((x, middle - reach, x, middle + reach), fill=MUTED, width=max(1, round(width)))
        self.y += WAVE

    def words(self, timeline: Timeline) -> None:
        height = ROW * timeline.num_word_rows
        self._name("words", height / 2)
        for word in timeline.words:
            at = self._x(word.label), self.y + ROW * (word.row + 0.5)
            self._brush.text(at, word.text, fill=INK, anchor="mm", font=_font(26))
        self.y += height

    def axis(self, timeline: Timeline) -> None:
        self._brush.line((self._x(0), self.y, self._x(1), self.y), fill=LINE, width=2)
        for place, seconds in timeline.ticks:
            x = self._x(place)
            self._brush.line((x, self.y, x, self.y + 10), fill=MUTED, width=2)
            self._brush.text((x, self.y + 16), f"{seconds:g} s", fill=MUTED, anchor="ma", font=_font(22))
        self.y += 44

    def _x(self, place: float) -> float:
        return MARGIN + GUTTER + place * (WIDTH - 2 * MARGIN - GUTTER)

    def _name(self, text: str, offset: float) -> None:
        self._brush.text((MARGIN, self.y + offset), text, fill=MUTED, anchor="lm", font=_font(24))

    def _lines(self, text: str, size: int, color: str) -> None:
        """Text over the whole width, in up to three lines."""
        font, lines = _font(size), [""]
        for word in text.split():
            longer = f"{lines[-1]} {word}".strip()
            if self._brush.textlength(longer, font=font) <= WIDTH - 2 * MARGIN:
                lines[-1] = longer
            else:
                lines.append(word)
        if len(lines) > 3:
            lines = [*lines[:2], f"{lines[2]} …"]
        for line in lines:
            self._brush.text((MARGIN, self.y), line, fill=color, anchor="la", font=font)
            self.y += round(1.3 * size)
        self.y += 4


def _legend(explanation: Explanation, timeline: Timeline) -> str:
    """How to read the bars."""
    methods = explanation.methods
    drawn = {"word": "words", "window": "sound", "frame": "frames"}
    by_method: dict[str, list[str]] = {}
    for element in drawn.keys() & methods.keys():
        by_method.setdefault(methods[element], []).append(element)
    told = ", ".join(
        f"{listed([drawn[e] for e in drawn if e in elements])} by {method}"
        for method, elements in sorted(by_method.items())
    )
    parts = [
        f"Blue bars raised {explanation.target}, orange ones lowered it; the longest by "
        f"{points(timeline.longest)[1:]} points of probability: {told}."
    ]
    if "word" in methods and absent_others(methods["word"], "word"):
        parts.append("Words are read by themselves.")
    if timeline.words and not timeline.has_word_times:
        parts.append("When they are spoken is not known: they are spread evenly.")
    return " ".join(parts)


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def _opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")
