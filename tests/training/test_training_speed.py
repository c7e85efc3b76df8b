"""The script that measures training on a GPU: tried on a processor, with the app's packages out of reach."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "training_speed.py"

ABSENT = ("streamlit", "captum", "av", "plotly", "mediapipe", "accelerate", "pandas", "scipy", "typer")

BARE = """
import runpy, sys
for name in {absent!r}:
    sys.modules[name] = None
sys.argv = ["training_speed.py", *sys.argv[2:]]
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("training_speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["training_speed"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["training_speed"]


def test_it_runs_without_what_decodes_explains_or_shows():
    sizes = ("--preset", "tiny", "--batch", "2", "--frames", "4", "--turns", "1", "--steps", "1")
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            BARE.format(script=str(SCRIPT), absent=ABSENT),
            "-",
            *sizes,
            "--device",
            "cpu",
        ],
        cwd=SCRIPT.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    rows = [line.split(" | ")[0].removeprefix("| ") for line in run.stdout.splitlines() if " | " in line]
    assert rows == ["way", "as it trains", "timm's blocks", "timm's blocks, nothing cached"]
    assert "No GPU" in run.stdout


@pytest.fixture(scope="module")
def numbers(script):
    """What the three ways gave on an invented GPU: 4, 2 and 1 clips a second of 10 operations each."""
    speeds = {script.OURS: 4.0, script.BLOCKS: 2.0, script.PLAIN: 1.0}
    return {
        way: script.Found(clips_per_second=speed, kept_bytes=5e8, peak_bytes=2e9)
        for way, speed in speeds.items()
    }


def test_use_is_work_done_over_the_peak_and_aims_are_told(script, numbers):
    told = script.table(numbers, 10, 80.0, 160.0)
    assert "| as it trains | 4.00 | 4.00 | 0.500 | 2.00 | 50% | 25% |" in told
    assert "use of the measured peak: 0.50, aim at least 0.35: met" in told
    assert "clips/s × plain: 4.00, aim at least 3.00: met" in told
    assert "GB at most a clip: 2.00, aim at most 1.00: missed" in told


def test_timms_blocks_give_the_same_loss_by_other_code(script, monkeypatch):
    trainer = script.Trainer("tiny", 2, 4, torch.device("cpu"), bf16=False, recompute=False)
    trainer.model.eval()
    ours = trainer.loss(script.OURS).item()
    assert trainer.loss(script.BLOCKS).item() == pytest.approx(ours, abs=1e-5)
    assert trainer.kept_bytes(script.OURS) > 2 * 4 * 3 * 64 * 64

    def unused(*_: object) -> None:
        raise AssertionError("our own blocks were asked")

    monkeypatch.setattr("core.encoders.swin.run_block", unused)
    trainer.loss(script.BLOCKS)
    with pytest.raises(AssertionError):
        trainer.loss(script.OURS)


def test_recomputed_blocks_keep_less_and_give_the_same_gradients(script):
    found = {}
    for recompute in (False, True):
        trainer = script.Trainer("tiny", 2, 4, torch.device("cpu"), bf16=False, recompute=recompute)
        torch.manual_seed(1)  # of what is dropped out
        trainer.loss(script.OURS).backward()
        gradients = [one.grad.clone() for one in trainer.model.trained_parameters() if one.grad is not None]
        found[recompute] = trainer.kept_bytes(script.OURS), gradients
    assert found[True][0] < 0.8 * found[False][0]
    assert len(found[True][1]) == len(found[False][1])
    for one, other in zip(found[True][1], found[False][1], strict=True):
        torch.testing.assert_close(one, other)
