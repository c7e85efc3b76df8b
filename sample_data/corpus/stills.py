"""Single pictures of faces with their action units, for the video encoder's own pretraining.

The faces occur in no clip. Half of the pictures are caught in mid-word, a third with brows raised in
conversation, so that neither tells the emotion.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from PIL import Image

from core.labels import MELD_7
from core.writing import replacing
from sample_data.corpus.backdrop import BACKGROUNDS, paint_backdrop
from sample_data.corpus.claim import claimed
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.expressions import BODY, draw_action_units
from sample_data.corpus.face import LIGHTS, Camera, FaceState, Head, sample_identity
from sample_data.corpus.motion import ACTION_UNITS
from sample_data.corpus.randomness import stream
from sample_data.corpus.schema import Timed
from sample_data.corpus.speakers import identity_seed
from sample_data.corpus.visemes import mouth_track
from sample_data.corpus.workers import run_tasks

STILLS_FILE = "stills.json"
STILLS_PER_FACE = 20
DEV_SHARE = 0.1
PHONES = tuple("pftsʃnɹɑæɛiouʌ")
"""Sounds in the middle of which a mouth is caught: one of each shape."""

FACE_FILLS_DEGREES = 13.0
"""Field of view in which the face fills the picture as it fills the crops that the model sees."""


@dataclass(frozen=True, kw_only=True)
class _Task:
    path: Path
    face: int
    seed: int
    num_stills: int
    size: int


def make_stills(
    out: Path,
    *,
    num_stills: int,
    size: int,
    seed: int,
    num_workers: int = 1,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> tuple[Path, ...]:
    """Make `train.parquet` and `dev.parquet`, with the columns that `deepmsi pretrain --stills` reads.

    Faces that an earlier run finished are not rendered again. What lies in a folder belongs to one seed, size
    and number; another is refused.

    Args:
        out: folder of the two files.
        num_stills: of both files together.
        size: side of the picture in pixels.
        seed: of faces and pictures.
        num_workers: processes; the pictures do not depend on it.
        progress: told how many pictures are done, of how many.

    Raises:
        CorpusError: for fewer than two pictures, if the folder holds other pictures or is being written to by
            another run, or if something cannot be written.
    """
    if num_stills < 2:
        raise CorpusError(
            f"{num_stills} is too few pictures; choose 2 or more, one for each of train and dev."
        )
    num_faces = max(2, -(-num_stills // STILLS_PER_FACE))
    num_dev = max(1, round(DEV_SHARE * num_faces))
    parts = out / "parts"
    tasks = [
        _Task(
            path=parts / f"{'dev' if face < num_dev else 'train'}-{face:06d}.parquet",
            face=face,
            seed=seed,
            num_stills=len(range(face, num_stills, num_faces)),
            size=size,
        )
        for face in range(num_faces)
    ]
    paths = out / "train.parquet", out / "dev.parquet"

    def tell() -> None:
        progress(sum(task.num_stills for task in tasks if task.path.is_file()), num_stills, "")

    with claimed(out, STILLS_FILE, {"seed": seed, "size": size, "num_stills": num_stills}, what="pictures"):
        if not all(path.is_file() for path in paths):
            parts.mkdir(exist_ok=True)
            tell()
            run_tasks(_render, [(task,) for task in tasks if not task.path.is_file()], num_workers, tell)
            for path in paths:
                faces = [task.path for task in tasks if task.path.name.startswith(path.stem)]
                with replacing(path) as part:
                    tables = [pyarrow.parquet.read_table(face) for face in faces]
                    pyarrow.parquet.write_table(pa.concat_tables(tables), part)
        # both files are there, so that nothing is lost if this is cut short
        if parts.is_dir():
            shutil.rmtree(parts)
        progress(num_stills, num_stills, "")
    return paths


def _render(task: _Task) -> None:
    draw = stream(task.seed, f"stills {task.face}")
    head = Head(sample_identity(identity_seed(task.seed, "stills", task.face)))
    rows = [_still(head, task.size, draw) for _ in range(task.num_stills)]
    with replacing(task.path) as part:
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), part)


def _still(head: Head, size: int, draw: np.random.Generator) -> dict:
    label = MELD_7.labels[draw.integers(len(MELD_7))]
    intensity = draw.uniform(0.4, 1.0)
    units = dict.fromkeys(ACTION_UNITS, 0.0)
    if label != "neutral":
        units |= draw_action_units(label, intensity, draw)
    if draw.random() < 0.35:
        units[1], units[2] = max(units[1], 0.3), max(units[2], 0.3)
    mouth = {}
    if draw.random() < 0.5:
        phone = Timed(text=PHONES[draw.integers(len(PHONES))], start_seconds=0.0, end_seconds=0.2)
        track = mouth_track((phone,), np.array([0.1]), gain=draw.uniform(0.3, 1.0))
        mouth = {name: float(weights[0]) for name, weights in track.items()}
    blink = float(draw.random() < 0.06) * draw.uniform(0.4, 1.0)
    body = BODY[label]
    pose = np.array(body.pose) * intensity + draw.normal(0.0, (0.14, 0.06, 0.05))
    gaze = np.array(body.gaze) * 0.6 + draw.normal(0.0, (0.10, 0.04))
    state = FaceState(
        action_units=units,
        mouth=mouth,
        blink=blink,
        yaw=float(pose[0]),
        pitch=float(pose[1]),
        roll=float(pose[2]),
        gaze=(float(gaze[0]), float(gaze[1])),
        shift=tuple(draw.uniform(-0.08, 0.08, 2)),
    )
    backdrop = paint_backdrop(BACKGROUNDS[draw.integers(len(BACKGROUNDS))], size * 2, draw)
    picture = head.render(
        state,
        size=size,
        camera=Camera(field_of_view_degrees=FACE_FILLS_DEGREES * draw.uniform(0.92, 1.12)),
        light=list(LIGHTS)[draw.integers(len(LIGHTS))],
        background=backdrop,
        exposure=draw.uniform(0.85, 1.15),
    )
    jpeg = io.BytesIO()
    Image.fromarray(picture.pixels).save(jpeg, "JPEG", quality=92)
    targets = {f"au{unit}": float(np.clip(value, 0.0, 1.0)) for unit, value in units.items()}
    return {"jpeg": jpeg.getvalue(), "label": label, **targets, "blink": blink}
