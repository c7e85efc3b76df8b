"""What an explanation says, as plain frozen arrays: the contract of the methods, the store and the views.

Every attribution explains one number, the *value*: the calibrated probability of a label, or by how much it
exceeds that of another. Attributions are shares of the value, in points of probability: one scale for words,
seconds, frames and patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is explained: why this label or, with `instead_of`, why this one and not that.

    The value is p(label), or p(label) − p(instead_of).
    """

    label: str
    instead_of: str | None = None

    def of(self, probabilities: np.ndarray, labels: tuple[str, ...]) -> np.ndarray:
        """The value `(…,)` of probabilities `(…, class)`; numpy arrays and tensors alike.

        Raises:
            ValueError: if a label is not among the labels, or both are the same.
        """
        if self.label == self.instead_of:
            raise ValueError(f"a contrast needs two labels, not {self.label} twice")
        for label in (self.label, self.instead_of):
            if label is not None and label not in labels:
                raise ValueError(f"{label!r} is none of the labels {', '.join(labels)}")
        value = probabilities[..., labels.index(self.label)]
        if self.instead_of is None:
            return value
        return value - probabilities[..., labels.index(self.instead_of)]

    def __str__(self) -> str:
        return self.label if self.instead_of is None else f"{self.label}, not {self.instead_of}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Attribution:
    """What the elements of one modality gave to the value.

    Attributes:
        element: "word", "window" (of sound), "frame" or "patch".
        method: by its name in `core.attribution.elements`.
        target: what is explained.
        values: `(word,)`, `(window,)`, `(frame,)` or `(frame, row, column)` in points of probability.
            For frames and patches over all candidate frames, zero where an element had no part.
        start_seconds: `(element,)` on the media file's clock; of a frame its time. NaN where a word has no
            time. For patches that of their frames.
        end_seconds: `(element,)`; of a frame its time.
        words: the words, for words; empty otherwise.
        value: of the clip as it is; of a method that takes the other modalities away, of these alone.
        baseline_value: of the clip with all these elements absent, as the method understands that.
        gap: (value − baseline_value) − Σ values: what the method leaves unexplained. NaN for methods that
            do not distribute the difference (occlusion).
        num_passes: clips the model was asked about, forward and backward.
        seconds: wall time.
    """

    element: str
    method: str
    target: Target
    values: np.ndarray
    start_seconds: np.ndarray
    end_seconds: np.ndarray
    words: tuple[str, ...] = ()
    value: float
    baseline_value: float
    gap: float
    num_passes: int
    seconds: float

    @property
    def modality(self) -> str:
        """The modality that the elements are of."""
        return {"word": "text", "window": "audio"}.get(self.element, "video")


class ExplanationCancelledError(Exception):
    """Whoever asked for the explanation does not want it any more."""
