"""Label schemes: the order of the classes, their colours, and how they map onto one another.

Every number in the project that is "per class" is in the order of a `LabelScheme`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MODALITIES = ("video", "audio", "text")
"""The three modalities, always in this order."""

MODALITY_NOUNS = {"video": "picture", "audio": "sound", "text": "words"}
"""What of a clip each modality is, for sentences."""


def none_of(modalities: Sequence[str]) -> str:
    """For sentences: "no picture, no sound and no words"."""
    *others, last = (f"no {MODALITY_NOUNS[modality]}" for modality in modalities)
    return f"{', '.join(others)} and {last}" if others else last


EMOTION_COLORS = {
    # Hues after Okabe and Ito, spread in lightness, so that each pair of MELD's labels also differs for the
    # colour-blind (tests/core/test_labels.py simulates them), and all of them on white and on black.
    "neutral": "#7f8793",
    "surprise": "#15aed4",
    "fear": "#7b4fb5",
    "sadness": "#3b7dd8",
    "joy": "#c29b00",
    "disgust": "#3f8f4f",
    "anger": "#d1462f",
    "excited": "#e6781e",
    "frustration": "#a8416b",
}
"""One colour per emotion, the same in every view."""


@dataclass(frozen=True, kw_only=True)
class LabelScheme:
    """The classes a model tells apart, in the order of its logits.

    Raises:
        ValueError: if a label occurs twice or there are fewer than two.
    """

    name: str
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) < 2 or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"a label scheme needs at least two different labels, not {self.labels}")

    def __len__(self) -> int:
        return len(self.labels)

    def index(self, label: str) -> int:
        """Position of `label` in the logits. Raises ValueError naming the known labels."""
        if label not in self.labels:
            raise ValueError(f"{label!r} is not a label of {self.name}: {', '.join(self.labels)}")
        return self.labels.index(label)


MELD_7 = LabelScheme(
    name="meld-7", labels=("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
)
IEMOCAP_6 = LabelScheme(
    name="iemocap-6", labels=("joy", "sadness", "neutral", "anger", "excited", "frustration")
)
IEMOCAP_4 = LabelScheme(name="iemocap-4", labels=("joy", "sadness", "neutral", "anger"))
SCHEMES = {scheme.name: scheme for scheme in (MELD_7, IEMOCAP_6, IEMOCAP_4)}
