"""Contact sheets: a row per emotion, each clip at the moment its face shows most."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.labels import MELD_7
from core.media import decode, open_clip
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.make import read_corpus
from sample_data.corpus.schema import Sidecar, apex_frame

TILE, MARGIN = 160, 92


def draw_sheet(folder: Path, out: Path, *, num_columns: int = 8) -> None:
    """Draw the apex of `num_columns` clips of each emotion into one picture.

    Clips whose face carries the label come first, undisturbed ones before others; every speaker once before
    any comes again.

    Raises:
        CorpusError: if the folder holds no corpus, or the picture cannot be written.
    """
    corpus = [(path, sidecar) for path, sidecar in read_corpus(folder) if sidecar.face is not None]
    sheet = Image.new("RGB", (MARGIN + num_columns * TILE, len(MELD_7) * TILE), "white")
    brush = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for row, label in enumerate(MELD_7.labels):
        brush.text((8, (row + 0.5) * TILE), label, fill="black", anchor="lm", font=font)
        for column, (path, sidecar) in enumerate(_chosen(corpus, label)[:num_columns]):
            picture = Image.fromarray(_apex(path, sidecar)).resize((TILE - 2, TILE - 2))
            sheet.paste(picture, (MARGIN + column * TILE + 1, row * TILE + 1))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(out, quality=88)
    except (OSError, ValueError) as error:
        raise CorpusError(f"{out} cannot be written ({error}); name another .png or .jpg.") from error


def _chosen(corpus: list[tuple[Path, Sidecar]], label: str) -> list[tuple[Path, Sidecar]]:
    def rank(item: tuple[Path, Sidecar]) -> tuple[bool, bool]:
        plan = item[1].plan
        is_disturbed = any(distractor.modality == "video" for distractor in plan.distractors)
        return plan.video_emotion != label, is_disturbed

    of_label = sorted((item for item in corpus if item[1].plan.label == label), key=rank)
    num_of_speaker: Counter[str] = Counter()
    turns = []
    for item in of_label:
        speaker = item[1].plan.speaker.speaker_id
        turns.append(num_of_speaker[speaker])
        num_of_speaker[speaker] += 1
    order = sorted(range(len(of_label)), key=lambda number: (*rank(of_label[number]), turns[number]))
    return [of_label[number] for number in order]


def _apex(path: Path, sidecar: Sidecar) -> np.ndarray:
    clip = open_clip(path, apart=True)
    frames = decode(clip, num_frames=clip.info.num_frames).frames
    at = apex_frame(sidecar) / sidecar.frames_per_second
    return frames.pixels[np.abs(frames.times_seconds - at).argmin()]
