"""The two baked files of the head, refused where they are not byte for byte the recorded ones.

Both come from `sample_data.corpus.face.bake`; their content is CC0.
"""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from sample_data.corpus.errors import CorpusError

ASSETS = Path(__file__).resolve().parent.parent / "assets"
SHA256 = {
    "head.npz": "45b18ad827614c23f88d2de6a5e0915aab683255f3515b602103ea5280519f93",
    "maps.npz": "7bb2e7db8d4d9a181c43b353a789ca0a53b3007da978c4035248ce15d15c9e81",
}


def load_asset(name: str, folder: Path = ASSETS) -> dict[str, np.ndarray]:
    """The arrays of a baked file.

    Args:
        name: a key of `SHA256`.
        folder: where the file lies.

    Raises:
        CorpusError: if the file is missing or is not the recorded one.
    """
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"The baked file {path} cannot be read ({error.strerror}); "
            "install the project again or bake it anew."
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise CorpusError(
            f"The baked file {path} is damaged: its sha256 is not the recorded one; "
            "install the project again or bake it anew."
        )
    with np.load(io.BytesIO(content)) as arrays:
        return dict(arrays)
