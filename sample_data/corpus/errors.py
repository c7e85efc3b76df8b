"""The one error that people see when a corpus cannot be made or read."""


class CorpusError(Exception):
    """Why a corpus cannot be made or read, in one sentence: what, why, and what to do."""
