"""Small pictures of an evaluation's clips, each made once."""

from __future__ import annotations

from pathlib import Path

from app.display import jpeg_uri, picture_uri
from core.evaluation import Evaluation
from core.media import MediaError, decode, open_clip
from sample_data import is_shipped

THUMBNAIL_SIDE = 120


class Thumbnails:
    """Small pictures of clips, each made when it is first asked for and kept from then on."""

    def __init__(self, max_pictures: int) -> None:
        self._max_pictures = max_pictures
        self._pictures: dict[tuple, str] = {}

    def known(self, evaluation: Evaluation, row: int) -> str | None:
        """The data URI; "" where the clip has no picture, None where nobody asked for it yet."""
        return self._pictures.get(_place(evaluation, row))

    def make(self, evaluation: Evaluation, row: int) -> str:
        """The data URI, made now if it is not known."""
        place = _place(evaluation, row)
        if place not in self._pictures:
            picture = _picture(evaluation.find_media(place[1]), *place[2:])
            while len(self._pictures) >= self._max_pictures:
                self._pictures.pop(next(iter(self._pictures), None), None)
            self._pictures[place] = picture
        return self._pictures[place]


def _place(evaluation: Evaluation, row: int) -> tuple:
    """What a clip's picture depends on."""
    clip = evaluation.predictions.iloc[row]
    span = (None if value != value else value for value in (clip["start_seconds"], clip["end_seconds"]))
    return (evaluation.media_folder, clip["path"], *span, clip["region"])


def _picture(path: Path | None, start: float | None, end: float | None, region: str | None) -> str:
    """The poster beside a whole clip that ships, else the middle frame of the span; "" without a picture."""
    if path is None:
        return ""
    poster, ships = path.with_suffix(".jpg"), is_shipped(path)
    # beside a clip from elsewhere it may be a picture of anything
    if start is None and ships and poster.is_file():
        return jpeg_uri(poster.read_bytes())
    try:
        clip = open_clip(path, start_seconds=start, end_seconds=end, apart=not ships)
        frames = decode(clip, num_frames=1).frames
    except MediaError:  # told where the clip is opened
        return ""
    if frames is None:
        return ""
    pixels = frames.pixels[0]
    half = pixels.shape[1] // 2
    if region in ("left", "right"):
        pixels = pixels[:, :half] if region == "left" else pixels[:, half:]
    return picture_uri(pixels, side=THUMBNAIL_SIDE)
