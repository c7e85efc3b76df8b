"""What the model says about one clip, as plain arrays: the contract between the model and every view.

Nothing here imports torch, so a view can be built and tested from a hand-made `Prediction`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from core.labels import MODALITIES

SUBSETS: tuple[tuple[str, ...], ...] = (
    (),
    ("video",),
    ("audio",),
    ("text",),
    ("video", "audio"),
    ("video", "text"),
    ("audio", "text"),
    ("video", "audio", "text"),
)
"""The eight coalitions of modalities; rows of every array `(subset, class)` are in this order."""

PAIRS: tuple[tuple[str, ...], ...] = tuple(subset for subset in SUBSETS if len(subset) == 2)
"""The pairs of modalities; rows of every array `(pair, class)` are in this order."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameSelection:
    """Which candidate frames the frame-level compression kept, and where the others went.

    Attributes:
        times_seconds: `(frame,)` times of the candidates on the media file's own clock.
        kept: `(kept,)` indices of the kept candidates, ascending.
        relevance: `(frame,)` relevance of each candidate to the guide; sums to one.
        source_map: `(kept, frame)` share of each candidate in each kept frame; rows sum to one.
        absorbed_by: `(frame,)` index of the candidate that holds this one now: itself where kept,
            another where merged, -1 where it was dropped without a trace.
    """

    times_seconds: np.ndarray
    kept: np.ndarray
    relevance: np.ndarray
    source_map: np.ndarray
    absorbed_by: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchStep:
    """One visual compression step, for every kept frame, told in patches of the original stage-3 grid.

    Attributes:
        grid: (rows, columns) of the original grid; patch indices are row-major in it.
        kept: `(kept frame, token)` original patch index of every token that is left, ascending.
        relevance: `(kept frame, patch)` relevance in this step; NaN for patches dropped earlier.
        absorbed_by: `(kept frame, patch)` original index of the patch that holds this one now: itself
            where kept, -1 where it was dropped without a trace.
    """

    grid: tuple[int, int]
    kept: np.ndarray
    relevance: np.ndarray
    absorbed_by: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class ModalityReport:
    """What each modality contributed.

    Attributes:
        probabilities: `(subset, class)` in the order of `SUBSETS`; NaN where a subset holds an absent
            modality.
        shapley: `(modality, class)` exact Shapley values of the probability; zero where absent. Over the
            modalities they sum to p(all present) − p(none).
        pair_interactions: `(pair, class)` in the order of `PAIRS`: exact Shapley interaction indices. Above
            zero two modalities give more together than one by one, below zero less; zero where one is absent.
        triple_interaction: `(class,)` that of all three; zero where one is absent.
        verdict: "agree", "redundant", "complementary", "conflict", "unclear" or "single" (one modality only).
        sentence: the verdict in words, naming which modality says what.
    """

    probabilities: np.ndarray
    shapley: np.ndarray
    pair_interactions: np.ndarray
    triple_interaction: np.ndarray
    verdict: str
    sentence: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """The model's answer for one clip and the evidence that comes with the forward pass.

    Attributes:
        labels: class names in the order of `probabilities`.
        probabilities: `(class,)` calibrated.
        is_uncertain: the model would rather abstain: its confidence is below the checkpoint's threshold, or
            `is_blind`.
        present: for each modality, whether the clip has it and the model used it.
        notes: sentences on what was missing or unusual ("No face was found …").
        frames: None when the clip has no video.
        patch_steps: one per compression step, empty when the clip has no video.
        crop_boxes: `(frame, 4)` x0, y0, x1, y1 in source pixels: what of each candidate frame the model saw.
        frame_size: (width, height) of the source picture in pixels.
        embeddings: per modality that is present, and "fused": `(dim,)`.
        transcript: the words the model read, "" when none.
        checkpoint / checkpoint_hash / clip_hash: what was asked of what.
        timings_seconds: wall time of each stage.
        is_blind: neither was a face found nor were words read, so that the answer rests on next to nothing
            and is uncertain whatever its probability; never of a model that reads no picture.
    """

    labels: tuple[str, ...]
    probabilities: np.ndarray
    is_uncertain: bool
    present: dict[str, bool]
    notes: tuple[str, ...]
    frames: FrameSelection | None
    patch_steps: tuple[PatchStep, ...]
    crop_boxes: np.ndarray | None
    frame_size: tuple[int, int] | None
    modalities: ModalityReport
    embeddings: dict[str, np.ndarray]
    transcript: str
    path: str
    start_seconds: float
    end_seconds: float
    checkpoint: str
    checkpoint_hash: str
    clip_hash: str
    timings_seconds: dict[str, float] = field(default_factory=dict)
    is_blind: bool = False

    @property
    def prediction(self) -> str:
        """The most probable class."""
        return self.labels[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """Calibrated probability of `prediction`."""
        return float(np.max(self.probabilities))

    def to_dict(self) -> dict:
        """The answer as plain JSON types; arrays become lists, NaN becomes None."""
        report = self.modalities
        return {
            "path": self.path,
            "start_seconds": self.start_seconds,
            "end_seconds": self.end_seconds,
            "prediction": self.prediction,
            "confidence": self.confidence,
            "is_uncertain": self.is_uncertain,
            "probabilities": dict(zip(self.labels, self.probabilities.tolist(), strict=True)),
            "present": self.present,
            "transcript": self.transcript,
            "kept_frame_times_seconds": (
                [] if self.frames is None else self.frames.times_seconds[self.frames.kept].tolist()
            ),
            "candidate_frame_times_seconds": (
                [] if self.frames is None else self.frames.times_seconds.tolist()
            ),
            "subset_probabilities": {
                "+".join(subset) or "none": _row(self.labels, row)
                for subset, row in zip(SUBSETS, report.probabilities, strict=True)
            },
            "shapley": {
                modality: _row(self.labels, row)
                for modality, row in zip(MODALITIES, report.shapley, strict=True)
            },
            "shapley_interactions": {
                "+".join(group): _row(self.labels, row)
                for group, row in zip(
                    (*PAIRS, MODALITIES),
                    (*report.pair_interactions, report.triple_interaction),
                    strict=True,
                )
            },
            "modality_verdict": report.verdict,
            "modality_sentence": report.sentence,
            "notes": list(self.notes),
            "checkpoint": self.checkpoint,
            "checkpoint_sha256": self.checkpoint_hash,
            "clip_sha256": self.clip_hash,
            "timings_seconds": self.timings_seconds,
        }


def _row(labels: tuple[str, ...], row: np.ndarray) -> dict[str, float] | None:
    return None if np.isnan(row).any() else dict(zip(labels, row.tolist(), strict=True))
