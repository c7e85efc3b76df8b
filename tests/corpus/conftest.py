"""One voice, one head and a small preset for all tests of the corpus."""

from dataclasses import replace

import pytest

from sample_data.corpus.presets import PRESETS

# so little compressed that what a test sees is what was drawn
TINY = replace(
    PRESETS["probe"],
    size=64,
    frames_per_second=10.0,
    supersample=1,
    quality=10,
    max_video_bit_rate=2_000_000,
)


@pytest.fixture(scope="session")
def tiny():
    """The probe preset at 64 px and ten frames per second."""
    return TINY


@pytest.fixture(scope="session")
def voice():
    """The real voice."""
    from sample_data.corpus.voice import Synthesiser

    return Synthesiser()


@pytest.fixture(scope="session")
def head():
    """One person's head."""
    from sample_data.corpus.face import Head, sample_identity

    return Head(sample_identity(10_000))
