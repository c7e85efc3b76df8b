"""Finds the speaker's face, follows it over the frames and cuts it out.

Detector: CenterFace (Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2020;
MIT), fully convolutional: at every fourth pixel a score, the offset of the face's centre and the logarithm of
its size.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import onnxruntime
from PIL import Image

from core.media.clip import Frames, MediaError
from sample_data import BACKBONES

CENTERFACE = BACKBONES / "centerface.onnx"
CENTERFACE_SHA256 = "fa78c35c899d87080da76be05c62d6bd22627f5ed8372d844cc1cd70dfc24c25"

_STRIDE = 4
_INPUT_MULTIPLE = 32
_BATCH = 2

_COARSE_SIDE = 128
_USUAL_SIDE = 256
_CLOSE_SIDE = 640
_NUM_CLOSE = 4
"""Pictures are shrunk to `_COARSE_SIDE` on their longer side. Unless that nearly always shows a large face,
they are looked at again at `_USUAL_SIDE`; where that shows no face either, `_NUM_CLOSE` of them at
`_CLOSE_SIDE`, and all of them when that helps."""

_MOST_PLACES = 200
"""Where a picture may show a face, the likeliest ones: a picture may be made to be full of them, and to
compare each with each, frame by frame, takes hours."""

_LARGE_FACE = 0.3
"""Longer side of a face's box over the picture's, from which a coarse look is as good as a close one."""

_NEARLY_ALWAYS = 0.9
"""Share of the frames."""

_MIN_OVERLAP = 0.2
"""Intersection over union from which two boxes in neighbouring frames are one face."""

_MIN_SHARE = 0.1
"""A face counts when it is seen in at least this share of the frames."""

_SEVERAL_SHARE = 0.2
"""Several faces are told when a second one is seen in at least this share of the frames."""

_CENTRE_SIGMA_SECONDS = 0.12
_SIZE_SIGMA_SECONDS = 0.5
"""Widths of the Gaussians that smooth the box: size is steadier than place."""

_MARGIN = 1.05
"""Side of the crop over the longer side of the face's box."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """Faces in one picture, best first.

    Attributes:
        boxes: `(face, 4)` x0, y0, x1, y1 in pixels; may reach over the picture's edge.
        scores: `(face,)` in [0, 1].
    """

    boxes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceTrack:
    """Where the speaker's face is in each frame, as square crop boxes.

    Attributes:
        boxes: `(frame, 4)` x0, y0, x1, y1 in pixels of the frames; square, with margin, smoothed over time;
            may reach over the picture's edge. Without a face: the centred largest square.
        num_faces: `(frame,)` faces found in each frame.
        state: "one", "none" or "several".
        sentence: what to tell; None when the state is "one".
    """

    boxes: np.ndarray
    num_faces: np.ndarray
    state: str
    sentence: str | None


class FaceDetector:
    """CenterFace on the CPU; one instance may serve several threads.

    Args:
        threshold: least score of a face.
        num_threads: of onnxruntime.

    Raises:
        MediaError: the shipped weights are missing or altered.
    """

    def __init__(self, *, threshold: float = 0.5, num_threads: int = 2):
        try:
            weights = CENTERFACE.read_bytes()
        except OSError:
            weights = b""
        if hashlib.sha256(weights).hexdigest() != CENTERFACE_SHA256:
            raise MediaError(
                f"{CENTERFACE.name}, the face detector's weights, is missing or altered; install again."
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        # threads that wait actively take the cores from everything else
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()][:3]
        self._threshold = threshold

    def detect(self, pixels: np.ndarray, *, max_side: int = _USUAL_SIDE) -> list[Detections]:
        """Finds the faces in `(frame, height, width, rgb)` uint8 pictures of one size.

        Pictures are shrunk to `max_side` on their longer side; smaller ones are not enlarged.
        """
        height, width = pixels.shape[1:3]
        scale = min(1.0, max_side / max(height, width))
        small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
        padded = [-side % _INPUT_MULTIPLE + side for side in (small_height, small_width)]
        found = []
        for first in range(0, len(pixels), _BATCH):
            part = pixels[first : first + _BATCH]
            batch = np.zeros((len(part), 3, *padded), np.float32)
            for row, picture in zip(batch, part, strict=True):
                if scale < 1:
                    picture = np.asarray(
                        Image.fromarray(picture).resize((small_width, small_height), Image.Resampling.BOX)
                    )
                row[:, :small_height, :small_width] = picture.transpose(2, 0, 1)
            maps = self._session.run(self._outputs, {self._input: batch})
            for heat, size, offset in zip(*maps, strict=True):
                found.append(
                    self._read_maps(heat[0], size, offset, width / small_width, height / small_height)
                )
        return found

    def _read_maps(
        self, heat: np.ndarray, size: np.ndarray, offset: np.ndarray, x_scale: float, y_scale: float
    ) -> Detections:
        rows, columns = np.where(heat > self._threshold)
        likeliest = np.argsort(-heat[rows, columns], kind="stable")[:_MOST_PLACES]
        rows, columns = rows[likeliest], columns[likeliest]
        heights, widths = np.exp(size[:, rows, columns]) * _STRIDE
        y = (rows + offset[0, rows, columns] + 0.5) * _STRIDE
        x = (columns + offset[1, rows, columns] + 0.5) * _STRIDE
        boxes = np.stack([x - widths / 2, y - heights / 2, x + widths / 2, y + heights / 2], axis=1)
        boxes = boxes * [x_scale, y_scale, x_scale, y_scale]
        scores = heat[rows, columns]
        kept = _suppress(boxes, scores)
        return Detections(boxes=boxes[kept], scores=scores[kept])


def track_face(frames: Frames, detector: FaceDetector) -> FaceTrack:
    """Follows the face that is largest for longest and takes it for the speaker's.

    Faces of neighbouring frames are linked where they overlap. Where the followed face is gone for good (a
    cut), the next best one that is never seen beside it takes over; short gaps are interpolated.
    """
    height, width = frames.pixels.shape[1:3]
    found = _look(frames.pixels, detector)
    num_faces = np.array([len(detections.scores) for detections in found], dtype=int)
    num_needed = max(1, int(np.ceil(_MIN_SHARE * len(frames))))
    tracks = [track for track in _link(found) if len(track.frames) >= num_needed]
    if not tracks:
        side = min(width, height)
        x, y = (width - side) / 2, (height - side) / 2
        return FaceTrack(
            boxes=np.tile([x, y, x + side, y + side], (len(frames), 1)).astype(float),
            num_faces=num_faces,
            state="none",
            sentence="No face was found, so the middle of the picture is used instead.",
        )
    chosen = _chain(tracks)
    boxes = np.empty((len(frames), 4))
    owner = _owners(chosen, len(frames))
    for index, track in enumerate(chosen):
        is_own = owner == index
        boxes[is_own] = _smooth_crop(track, frames.times_seconds[is_own], frames.times_seconds)
    is_several = (num_faces > 1).mean() >= _SEVERAL_SHARE
    return FaceTrack(
        boxes=boxes,
        num_faces=num_faces,
        state="several" if is_several else "one",
        sentence=(
            f"Up to {num_faces.max()} faces are seen at once; the largest and steadiest one is taken for the "
            "speaker's."
            if is_several
            else None
        ),
    )


def _look(pixels: np.ndarray, detector: FaceDetector) -> list[Detections]:
    """Faces in every picture, as closely looked at as it takes."""
    longer = max(pixels.shape[1:3])
    coarse = detector.detect(pixels, max_side=_COARSE_SIDE)
    is_large = [_largest(detections) >= _LARGE_FACE * longer for detections in coarse]
    if longer <= _COARSE_SIDE or np.mean(is_large) >= _NEARLY_ALWAYS:
        return coarse
    usual = detector.detect(pixels, max_side=_USUAL_SIDE)
    # a coarse look sees through large pixels, a close one sees the far away
    found = max(usual, coarse, key=lambda looks: sum(len(detections.scores) > 0 for detections in looks))
    if longer > _USUAL_SIDE and not any(len(detections.scores) for detections in found):
        some = np.unique(np.linspace(0, len(pixels) - 1, _NUM_CLOSE).round().astype(int))
        closer = detector.detect(pixels[some], max_side=_CLOSE_SIDE)
        if any(len(detections.scores) for detections in closer):
            return detector.detect(pixels, max_side=_CLOSE_SIDE)
    return found


def _largest(detections: Detections) -> float:
    """Longer side of the largest face's box; zero without one."""
    boxes = detections.boxes
    return float((boxes[:, 2:] - boxes[:, :2]).max(initial=0.0))


def part_of(frames: Frames, region: str | None) -> tuple[Frames, int]:
    """The half of each picture, "left" or "right", that shows the speaker, and its left edge in the whole.

    Where `region` is None, or the pictures are one pixel wide, that is all of it.
    """
    middle = frames.pixels.shape[2] // 2
    region = region if middle else None
    columns = {None: slice(None), "left": slice(middle), "right": slice(middle, None)}[region]
    part = replace(frames, pixels=np.ascontiguousarray(frames.pixels[:, :, columns]))
    return part, columns.start or 0


def crop(frames: np.ndarray, boxes: np.ndarray, size: int) -> np.ndarray:
    """Cuts a box out of every picture and scales it to `(frame, size, size, rgb)` uint8.

    Args:
        frames: `(frame, height, width, rgb)` uint8.
        boxes: `(frame, 4)` x0, y0, x1, y1; beyond the picture its edge is repeated.
        size: side of the result in pixels.
    """
    height, width = frames.shape[1:3]
    crops = np.empty((len(frames), size, size, 3), np.uint8)
    for result, picture, (x0, y0, x1, y1) in zip(crops, frames, boxes, strict=True):
        left, top = max(0, int(np.ceil(-x0))), max(0, int(np.ceil(-y0)))
        right, bottom = max(0, int(np.ceil(x1 - width))), max(0, int(np.ceil(y1 - height)))
        if left or top or right or bottom:
            picture = np.pad(picture, ((top, bottom), (left, right), (0, 0)), mode="edge")
        # bilinear with antialiasing: Pillow widens the filter when it shrinks
        result[:] = Image.fromarray(picture).resize(
            (size, size), Image.Resampling.BILINEAR, box=(x0 + left, y0 + top, x1 + left, y1 + top)
        )
    return crops


@dataclass(kw_only=True, eq=False)
class _Track:
    """One face over time: the frames it is seen in and its boxes there."""

    frames: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    weight: float = 0.0

    def add(self, frame: int, box: np.ndarray, score: float) -> None:
        self.frames.append(frame)
        self.boxes.append(box)
        self.weight += float(score * (box[2] - box[0]) * (box[3] - box[1]))


def _link(found: list[Detections]) -> list[_Track]:
    """Joins detections that overlap from frame to frame, the best pair first; heaviest track first."""
    tracks: list[_Track] = []
    for frame, detections in enumerate(found):
        overlaps = np.array(
            [[_overlap(track.boxes[-1], box) for box in detections.boxes] for track in tracks]
        )
        overlaps = overlaps.reshape(len(tracks), len(detections.boxes))
        free = set(range(len(detections.boxes)))
        while overlaps.size and overlaps.max() >= _MIN_OVERLAP:
            which, face = np.unravel_index(overlaps.argmax(), overlaps.shape)
            tracks[which].add(frame, detections.boxes[face], detections.scores[face])
            overlaps[which, :] = overlaps[:, face] = -1
            free.discard(int(face))
        for face in sorted(free):
            track = _Track()
            track.add(frame, detections.boxes[face], detections.scores[face])
            tracks.append(track)
    return sorted(tracks, key=lambda track: -track.weight)


def _chain(tracks: list[_Track]) -> list[_Track]:
    """The heaviest track, and the next heaviest ones that share no stretch of time with those before."""
    chosen: list[_Track] = []
    for track in tracks:
        if all(track.frames[0] > other.frames[-1] or track.frames[-1] < other.frames[0] for other in chosen):
            chosen.append(track)
    return sorted(chosen, key=lambda track: track.frames[0])


def _owners(chosen: list[_Track], num_frames: int) -> np.ndarray:
    """`(frame,)` index of the track that is nearest in time."""
    frames = np.arange(num_frames)
    distances = [np.maximum(track.frames[0] - frames, frames - track.frames[-1]) for track in chosen]
    return np.argmin(np.maximum(distances, 0), axis=0)


def _smooth_crop(track: _Track, times_seconds: np.ndarray, all_times_seconds: np.ndarray) -> np.ndarray:
    """`(time, 4)` square crop boxes at these times from a track's boxes."""
    seen_seconds = all_times_seconds[track.frames]
    boxes = np.array(track.boxes)
    values = np.stack(
        [
            (boxes[:, 0] + boxes[:, 2]) / 2,
            (boxes[:, 1] + boxes[:, 3]) / 2,
            np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]),
        ]
    )
    x, y, side = (np.interp(times_seconds, seen_seconds, row) for row in values)
    apart = times_seconds[:, None] - times_seconds[None, :]
    steady = _gaussian(apart, _CENTRE_SIGMA_SECONDS)
    x, y, side = steady @ x, steady @ y, _gaussian(apart, _SIZE_SIGMA_SECONDS) @ side
    half = side * _MARGIN / 2
    return np.stack([x - half, y - half, x + half, y + half], axis=1)


def _gaussian(apart_seconds: np.ndarray, sigma_seconds: float) -> np.ndarray:
    """Rows of weights that sum to one."""
    weights = np.exp(-0.5 * (apart_seconds / sigma_seconds) ** 2)
    return weights / weights.sum(axis=1, keepdims=True)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return float(common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common))


def _suppress(boxes: np.ndarray, scores: np.ndarray, max_overlap: float = 0.3) -> list[int]:
    """Non-maximum suppression: indices of the boxes that stay, best first."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if all(_overlap(boxes[index], boxes[other]) <= max_overlap for other in kept):
            kept.append(int(index))
    return kept
