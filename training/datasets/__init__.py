"""Data sets as lists of utterances: one adapter per layout on disk."""

from training.datasets.manifest import DataError, Utterance, read_manifest

__all__ = ["DataError", "Utterance", "read_manifest"]
