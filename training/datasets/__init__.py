"""Data sets as lists of utterances: one adapter per layout on disk, one way in (`read_dataset`)."""

from training.datasets.kinds import KINDS, read_dataset
from training.datasets.manifest import read_manifest
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance

__all__ = [
    "KINDS",
    "DataError",
    "Dataset",
    "SkippedClip",
    "Utterance",
    "read_dataset",
    "read_manifest",
]
