"""The one error that people see when a corpus cannot be made or read."""

from core.sentences import SentenceError

INSTALL_HINT = (
    'run `pip install "deepmsi-mer-explorer[corpus]"` (in a checkout: `pip install -e ".[corpus]"`)'
)
"""What to do when a package is missing."""


class CorpusError(SentenceError):
    """Why a corpus cannot be made or read, in one sentence: what, why, and what to do."""
