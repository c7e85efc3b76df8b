"""Half precision, in processes of their own: Accelerate settles on one precision for each."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_pretrain import write_stills

from core.checkpoint import load_checkpoint

pytestmark = pytest.mark.slow


def run(*arguments):
    result = subprocess.run(
        [sys.executable, "-m", "app.cli", *map(str, arguments)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.fixture(scope="module")
def made(corpus, tmp_path_factory):
    """For each precision, a pretrained encoder and a checkpoint that starts with it."""
    folder = tmp_path_factory.mktemp("precision")
    write_stills(folder / "train.parquet", 40, 0)
    write_stills(folder / "dev.parquet", 20, 1)
    common = ("--preset", "tiny", "--cache-dir", folder / "cache", "--threads", 1)
    for precision in ("no", "bf16"):
        video = folder / f"video-{precision}"
        stills = ("--stills", folder / "train.parquet", "--dev-stills", folder / "dev.parquet")
        chosen = ("--set", f'precision="{precision}"')
        run("pretrain", "--out", video, *stills, "--phase", "64:3:8", *common, *chosen)
        run(
            "train",
            "--data",
            corpus,
            "--out",
            folder / precision,
            "--epochs",
            2,
            "--batch-size",
            4,
            *common,
            *chosen,
        )
    return folder


def test_the_encoder_is_nearly_that_of_full_precision(made):
    full, half = (load_file(made / f"video-{name}" / "video.safetensors") for name in ("no", "bf16"))
    assert all(half[name].dtype == full[name].dtype for name in full)
    moved = {name: (half[name] - value).norm() for name, value in full.items() if value.is_floating_point()}
    # it was computed otherwise, and not to another end
    assert sum(moved.values()) > 0
    whole = torch.stack([full[name].norm() for name in moved]).norm()
    assert torch.stack(list(moved.values())).norm() < 0.05 * whole


def test_a_checkpoint_made_in_half_precision_is_whole(made):
    checkpoint = load_checkpoint(made / "bf16")
    assert len(checkpoint.history) == 2 and np.isfinite(checkpoint.history["loss"]).all()
    full = load_checkpoint(made / "no").history["loss"].to_numpy()
    np.testing.assert_allclose(checkpoint.history["loss"].to_numpy(), full, rtol=0.1)
    state = checkpoint.model.state_dict().values()
    assert all(value.dtype == torch.float32 for value in state if value.is_floating_point())
