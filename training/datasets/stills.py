"""Labelled pictures of faces for the video encoder's own pretraining: stills, frames with dense truth."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import UnidentifiedImageError

from core.labels import MELD_7, LabelScheme
from core.tables import read_table
from core.texts import require_size
from sample_data.corpus.schema import Sidecar, sidecar_from_dict
from training.datasets.folders import read_picture, require_room
from training.datasets.utterance import DataError, Utterance
from training.features import FeatureSet

ACTION_UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 43)
"""Units regressed. 25 and 26 (lips parted, jaw dropped) are left out: speech moves them in every emotion."""

TARGETS = tuple(f"au{unit}" for unit in ACTION_UNITS) + ("blink",)
"""Columns of `Stills.targets`."""

_DEV_SHARE = 0.1

IGNORED = -1
"""Label of a picture whose emotion is not to be learned."""

SHOWN_ENVELOPE, NEUTRAL_ENVELOPE = 0.5, 0.1
"""How far an expression has unfolded when it counts as shown, and as not yet there; ignored in between."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Expression:
    """What the face of one clip does over time.

    Attributes:
        frames: the clip's pictures, in order, among those of its `Stills`.
        label: class index of the face's emotion, which need not be the clip's; `IGNORED` where unknown.
        shown: `(frame,)` how far the expression has unfolded, in [0, 1]; zero for a neutral face.
    """

    frames: slice
    label: int
    shown: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Stills:
    """Pictures of faces and what they show.

    Attributes:
        name: of the source, in logs.
        pixels: `(picture, size, size, channel)` uint8, the face filling them as it fills the crops of clips;
            one channel where all are grey.
        labels: `(picture,)` class indices; `IGNORED` where unknown.
        targets: `(picture, len(TARGETS))` float32 in [0, 1]; NaN where unknown.
        expressions: the clips that the pictures are frames of; empty for single pictures.
    """

    name: str
    pixels: np.ndarray
    labels: np.ndarray
    targets: np.ndarray
    expressions: tuple[Expression, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Sequence[int] | np.ndarray) -> Stills:
        """Some of the single pictures."""
        return replace(
            self,
            pixels=self.pixels[indices],
            labels=self.labels[indices],
            targets=self.targets[indices],
            expressions=(),
        )

    def digests(self) -> list[bytes]:
        """A hash of each picture's pixels, by which copies are known."""
        return [hashlib.sha256(picture.tobytes()).digest() for picture in self.pixels]

    def digest(self) -> str:
        """A hash of all that is learned from."""
        whole = hashlib.blake2b(digest_size=16)
        for values in (self.pixels, self.labels, self.targets):
            whole.update(np.ascontiguousarray(values))
        return whole.hexdigest()

    def without(self, others: Stills) -> Stills:
        """The pictures less those that `others` holds too: a test must not have been learned."""
        known = set(others.digests())
        return self.select([i for i, digest in enumerate(self.digests()) if digest not in known])

    def held_out(self, share: float, seed: int = 0) -> tuple[Stills, Stills]:
        """The pictures less about `share` of each label, and these; equal pictures stay together.

        Raises:
            DataError: they are too few.
        """
        from sklearn.model_selection import StratifiedGroupKFold

        folds = StratifiedGroupKFold(round(1 / share), shuffle=True, random_state=seed)
        try:
            kept, held = next(folds.split(self.labels, self.labels, self.digests()))
        except ValueError as error:
            raise DataError(
                f"{self.name}: {len(self)} pictures are too few to hold some of them out ({error}); add "
                "pictures, or a dev part."
            ) from error
        return self.select(kept), self.select(held)

    def at_size(self, size: int) -> Stills:
        """The same pictures, averaged down as far as `size` allows: sampling them costs less."""
        # as `training.augment.resample` would, picture by picture
        shrink = int(self.pixels.shape[1] / size)
        if shrink < 2:
            return self
        num, side, _, channels = self.pixels.shape
        side //= shrink
        pixels = np.empty((num, side, side, channels), np.uint8)
        for start in range(0, num, 1024):
            part = self.pixels[start : start + 1024, : side * shrink, : side * shrink]
            blocks = part.reshape(len(part), side, shrink, side, shrink, channels)
            pixels[start : start + 1024] = blocks.mean((2, 4), dtype=np.float32).round()
        return replace(self, pixels=pixels)


def honest_parts(stills: Mapping[str, Stills]) -> dict[str, Stills]:
    """The splits of a data set such that none is learned from that is chosen by or tested on.

    Args:
        stills: by split. Pictures that a later split holds too are left out, and where there is no dev split,
            a tenth of the training pictures becomes one: the same whoever asks.
    """
    parts = dict(stills)
    for split, held in (("dev", "test"), ("train", "dev"), ("train", "test")):
        if split in parts and held in parts:
            parts[split] = parts[split].without(parts[held])
    if "train" in parts and "dev" not in parts:
        parts["train"], parts["dev"] = parts["train"].held_out(_DEV_SHARE)
    return parts


def read_stills(path: str | Path, scheme: LabelScheme, *, split: str = "train") -> Stills:
    """Stills from a Parquet table, from FER2013's CSV or from folders of pictures by label.

    A Parquet table has the columns `jpeg` (bytes), `label` and, optionally, those of `TARGETS`; it is one
    split, whichever it is. Of the other layouts (`training.datasets.fer2013`) the pictures of `split` are
    read. Pictures whose label the scheme does not know keep the label `IGNORED`.

    Raises:
        DataError: for data of none of these kinds, a picture that cannot be decoded, a split that is not
            there, or a table in which nothing is known of any picture.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() == ".csv":
        return _read_fer2013(path, scheme, split)
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet table ({error}); check the path.") from error
    for column in ("jpeg", "label"):
        if column not in table.column_names:
            raise DataError(f"{path} lacks the column {column}; it has {', '.join(table.column_names)}.")
    pictures, num_bytes = [], 0
    for row, data in enumerate(table["jpeg"].to_pylist()):
        pictures.append(_decode(path, row, data))
        num_bytes += pictures[-1].nbytes
        require_room(path, num_bytes)
    if not pictures:
        raise DataError(f"{path} holds no picture; add some rows.")
    name = path.parent.name or path.stem
    # a label may be anything
    labels = [label if isinstance(label, str) else "" for label in table["label"].to_pylist()]
    stills = make_stills(name, pictures, labels, scheme, source=path)
    targets = stills.targets
    for column, name in enumerate(TARGETS):
        if name in table.column_names:
            try:
                targets[:, column] = table[name].to_numpy()
            except (ValueError, TypeError) as error:
                raise DataError(f"{path}: the column {name} should hold numbers ({error}).") from error
    if np.isinf(targets).any():
        raise DataError(f"{path} has action units without end; correct the rows, or leave them empty.")
    if (stills.labels == IGNORED).all() and np.isnan(targets).all():
        raise DataError(
            f"{path}: no label is one of {', '.join(scheme.labels)} and no action unit is known, so there is "
            "nothing to learn; correct the labels."
        )
    return stills


def make_stills(
    name: str,
    pictures: Sequence[np.ndarray],
    labels: Sequence[str],
    scheme: LabelScheme,
    *,
    source: str | Path | None = None,
) -> Stills:
    """Stills of decoded pictures `(size, size, channel)`, without action units.

    Raises:
        DataError: the pictures are of several kinds; it names `source`, or else `name`.
    """
    if len({picture.shape for picture in pictures}) != 1:
        raise DataError(
            f"{source or name} holds pictures of several sizes, or grey and coloured ones; bring them to one "
            "kind."
        )
    if pictures[0].shape[0] != pictures[0].shape[1]:
        shape = " × ".join(map(str, pictures[0].shape[:2]))
        raise DataError(f"{source or name} holds pictures of {shape}; make them square.")
    known = {label: index for index, label in enumerate(scheme.labels)}
    return Stills(
        name=name,
        pixels=np.stack(pictures),
        labels=np.array([known.get(label, IGNORED) for label in labels], np.int64),
        targets=np.full((len(pictures), len(TARGETS)), np.nan, np.float32),
    )


def _read_fer2013(path: Path, scheme: LabelScheme, split: str) -> Stills:
    from training.datasets.fer2013 import read_fer2013

    by_split = read_fer2013(path).stills
    if split not in by_split:
        raise DataError(f"{path} holds no {split} pictures, only {', '.join(by_split)}; give another source.")
    stills = by_split[split]
    indices = np.array([scheme.labels.index(e) if e in scheme.labels else IGNORED for e in MELD_7.labels])
    return replace(stills, labels=np.append(indices, IGNORED)[stills.labels])


def _decode(path: Path, row: int, data: bytes) -> np.ndarray:
    try:
        picture = read_picture(io.BytesIO(data))
    except UnidentifiedImageError as error:
        # whose own words tell where in memory the bytes lie
        raise DataError(
            f"{path}: picture {row} cannot be decoded (it is of no known kind); remove the row."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path}: picture {row} cannot be decoded ({error}); remove the row.") from error
    picture = picture[..., None] if picture.ndim == 2 else picture
    if picture.shape[0] != picture.shape[1] or picture.shape[2] not in (1, 3):
        raise DataError(
            f"{path}: picture {row} has the shape {picture.shape}; it should be square, grey or RGB."
        )
    return picture


def read_frames(features: FeatureSet, scheme: LabelScheme, *, name: str = "clips") -> Stills | None:
    """The face crops of clips that have a sidecar with dense truth; None where no clip has one.

    A sidecar is the clip's path with the suffix `.json` (the made corpus has them). Clips without one, and
    clips in which no face was found, contribute nothing.
    """
    labels, targets, expressions = [], [], []
    pixels, num_frames = None, 0
    for clip in features:
        sidecar = _read_sidecar(clip.utterance)
        if sidecar is None or clip.crops is None or clip.face == "none":
            continue
        frame_labels, frame_targets = frame_truth(sidecar, clip.times_seconds, scheme)
        label, shown = expression_truth(sidecar, clip.times_seconds, scheme)
        if pixels is None:
            # filled clip by clip: of thousands of clips there is no room for a second copy
            most = sum(features.num_frames(index) for index in range(len(features)))
            pixels = np.empty((most, *clip.crops.shape[1:]), np.uint8)
        labels.append(frame_labels)
        targets.append(frame_targets)
        frames = slice(num_frames, num_frames + len(shown))
        expressions.append(Expression(frames=frames, label=label, shown=shown))
        num_frames = frames.stop
        pixels[frames] = clip.crops
    if pixels is None:
        return None
    return Stills(
        name=name,
        pixels=pixels[:num_frames],
        labels=np.concatenate(labels),
        targets=np.concatenate(targets),
        expressions=tuple(expressions),
    )


def frame_truth(
    sidecar: Sidecar, times_seconds: np.ndarray, scheme: LabelScheme
) -> tuple[np.ndarray, np.ndarray]:
    """What the face shows at given times of a made clip.

    Returns:
        `(frame,)` class indices: the face's emotion where its envelope is at least `SHOWN_ENVELOPE`, neutral
        where it is at most `NEUTRAL_ENVELOPE`, else `IGNORED`; and `(frame, len(TARGETS))` intensities of the
        action units and of the blink, as shown.
    """
    envelope = _course(sidecar, sidecar.face.envelope, times_seconds)
    emotion = sidecar.plan.video_emotion
    shown = scheme.labels.index(emotion) if emotion in scheme.labels else IGNORED
    neutral = scheme.labels.index("neutral") if "neutral" in scheme.labels else IGNORED
    labels = np.select([envelope >= SHOWN_ENVELOPE, envelope <= NEUTRAL_ENVELOPE], [shown, neutral], IGNORED)
    if emotion == "neutral":
        labels = np.full(len(envelope), neutral)

    absent = np.zeros(sidecar.num_frames)
    courses = [sidecar.face.action_units.get(unit, absent) for unit in ACTION_UNITS] + [sidecar.face.blink]
    targets = np.stack([_course(sidecar, course, times_seconds) for course in courses], axis=1)
    return labels.astype(np.int64), targets.clip(0, 1)


def expression_truth(
    sidecar: Sidecar, times_seconds: np.ndarray, scheme: LabelScheme
) -> tuple[int, np.ndarray]:
    """Label and course of a made clip's face at given times: see `Expression`."""
    emotion = sidecar.plan.video_emotion
    label = scheme.labels.index(emotion) if emotion in scheme.labels else IGNORED
    shown = _course(sidecar, sidecar.face.envelope, times_seconds)
    return label, shown


def _course(sidecar: Sidecar, values: Sequence[float], times_seconds: np.ndarray) -> np.ndarray:
    """`(frame,)` a quantity that is known for every frame of the clip, at given times."""
    at = np.round(np.asarray(times_seconds) * sidecar.frames_per_second).astype(int)
    return np.asarray(values, np.float32)[np.clip(at, 0, sidecar.num_frames - 1)]


def _read_sidecar(utterance: Utterance) -> Sidecar | None:
    """The truth beside a clip; None where there is none, or a file of that name with other things in it."""
    path = None if utterance.path is None else utterance.path.with_suffix(".json")
    if path is None or not path.is_file():
        return None
    try:
        require_size(path, DataError, "make the clip again or remove it")
        content = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(content, dict) and "schema_version" in content):
            return None
        sidecar = sidecar_from_dict(content)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} is no sidecar of a made clip ({error}); make the clip again or remove it."
        ) from error
    return None if sidecar.face is None else sidecar
