"""Our curves and infidelity beside those of Quantus, on the frames of one clip.

Quantus is no dependency of ours: install it in an environment of its own, beside the project.

    python benchmarks/quantus_check.py sample_data/clips/demo/000/d00001.mp4

It is given the mask of the frames as if it were a picture of one row, whose pixels of zero are absent frames.
Measured with Quantus 0.6.0; docs/explanations.md tells what agreed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import captum.metrics
import numpy as np
import quantus
import torch

from core.attribution.faithfulness import values_of
from core.attribution.removal import Remembered, curves
from core.attribution.results import Target
from core.attribution.subject import Subject
from core.checkpoint import load_checkpoint
from core.media import open_clip
from core.predict import Predictor
from sample_data import CHECKPOINTS


class OfFrames(torch.nn.Module):
    """Masks `(n, 1, 1, frame)` to the value `(n, 1)`; remembers the masks it was asked about."""

    def __init__(self, values: Remembered):
        super().__init__()
        self.values = values
        self.asked: list[np.ndarray] = []

    def forward(self, masks: torch.Tensor) -> torch.Tensor:
        """As any network that Quantus knows."""
        stays = masks.flatten(1).numpy() > 0.5
        self.asked.append(stays)
        return torch.from_numpy(self.values(stays))[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    clip = parser.parse_args().clip
    predictor = Predictor(load_checkpoint(CHECKPOINTS / "full"))
    subject = Subject(predictor, predictor.prepare(open_clip(clip)))
    num = len(subject.frame_times)
    target = Target(label=subject.labels[int(subject.probabilities.argmax())])
    values = Remembered(values_of(subject, "frame", target, np.ones(num, bool)))
    stays = ~np.eye(num, dtype=bool)
    scores = values(np.ones((1, num), bool)) - values(stays)
    # frames that change nothing are equal, and Quantus takes equal ones in no order that is said
    scores -= 1e-6 * np.arange(num)

    model = OfFrames(values).eval()
    given = {
        "x_batch": np.ones((1, 1, 1, num), np.float32),
        "y_batch": np.array([0]),
        "a_batch": scores.reshape(1, 1, 1, num),
        "softmax": False,
        "channel_first": True,
        "device": "cpu",
    }
    quiet = {"normalise": False, "disable_warnings": True, "perturb_baseline": 0.0}
    flipped = quantus.PixelFlipping(features_in_step=1, **quiet)(model=model, **given)[0]
    ours = curves(values, scores, num_random=2, rng=np.random.default_rng(0), num_steps=num).deletion[1:]
    print(f"deletion curve, {num} steps: largest difference {np.abs(np.array(flipped) - ours).max():.1e}")

    model.asked.clear()
    np.random.seed(0)
    theirs = quantus.Infidelity(perturb_patch_sizes=[1], n_perturb_samples=10, **quiet)(model=model, **given)[
        0
    ]
    asked = np.concatenate(model.asked)
    removed = torch.from_numpy(1.0 - asked[~asked.all(1)])
    ours = captum.metrics.infidelity(
        lambda masks: torch.from_numpy(values(masks.numpy() > 0.5)),
        lambda masks: (removed, masks - removed),
        torch.ones(1, num, dtype=torch.float64),
        torch.from_numpy(scores)[None],
        n_perturb_samples=len(removed),
    )
    print(f"infidelity over the same {len(removed)} sets, not normalised: {theirs:.3e} and {float(ours):.3e}")


if __name__ == "__main__":
    main()
