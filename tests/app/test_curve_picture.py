"""The picture of a trade-off curve, and the command that draws it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_prepared import made_checkpoint
from PIL import Image
from typer.testing import CliRunner

from app.cli import cli
from app.curve_picture import BAND, COLORS, INK, kind_of, picture
from core.evaluation.metrics import Estimate
from training.curve import Curve, Point, Setting
from training.speed.turns import Spread

DEMO = Path(__file__).parents[2] / "sample_data" / "clips" / "demo"

FIRST = Setting(num_frames=15, grids=((8, 6), (6, 4)))
KINDS = {
    "": FIRST,
    "frames": replace(FIRST, num_frames=8),
    "patches": replace(FIRST, grids=((6, 4), (4, 4))),
    "still frames": replace(FIRST, still_below=0.01),
    "together": replace(FIRST, num_frames=8, still_below=0.01),
}


def made_point(setting: Setting, gflop: float, worth: float) -> Point:
    return Point(
        setting=setting,
        macro_f1=Estimate(value=worth, low=worth - 0.05, high=worth + 0.05),
        difference=Estimate(value=0.0),
        agreement=1.0,
        largest_change=0.0,
        gflop=gflop,
        cpu_ratio=Spread.of([1.0]),
    )


def made_curve(*points: Point) -> Curve:
    return Curve(
        checkpoint="full",
        data="train",
        split="dev",
        shown="video+audio+text",
        num_clips=220,
        num_timed=6,
        cpu_seconds=0.1,
        machine="A machine.",
        points=points,
    )


def rgb(color: str) -> tuple[int, ...]:
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def where(image: Image.Image, color: str, below: int = 150) -> np.ndarray:
    """Rows and columns of pixels of exactly this colour, below the heading."""
    found = np.argwhere((np.asarray(image) == rgb(color)).all(-1))
    return found[found[:, 0] > below]


def test_every_kind_of_setting_has_its_mark_where_it_belongs():
    points = [made_point(setting, 5 - i, 0.7 - 0.05 * i) for i, setting in enumerate(KINDS.values())]
    assert [kind_of(point, points[0]) for point in points] == list(KINDS)
    image = picture(made_curve(*points))
    middles = [where(image, color).max(0) for color in COLORS.values()]
    # cheaper ones stand further left, worse ones lower
    assert [row for row, _ in middles] == sorted(row for row, _ in middles)
    lefts = [where(image, color)[:, 1].min() for color in COLORS.values()]
    assert lefts == sorted(lefts, reverse=True)
    assert len(where(image, BAND)) > 10_000 and len(where(image, INK)) > 100


@pytest.mark.parametrize("worths", [(0.0, 0.0), (1.0, 1.0), (0.3, 0.9)])
def test_whatever_the_figures_are_they_lie_in_the_picture(worths):
    points = [made_point(FIRST, 0.004, worths[0]), made_point(KINDS["frames"], 0.002, worths[1])]
    points[0] = replace(points[0], macro_f1=Estimate(value=worths[0]))
    image = picture(made_curve(*points))
    assert len(where(image, COLORS["frames"])) > 100 and len(where(image, BAND)) == 0


def run(*arguments):
    return CliRunner().invoke(cli, ["bench", "curve", *map(str, arguments)])


def test_the_command_writes_table_figures_and_picture(tmp_path):
    made_checkpoint(tmp_path / "tiny")
    out = tmp_path / "curve"
    few = ["--clips", 3, "--frames", 1, "--patches", 0.5, "--still", 0.01, "--repeats", 1]
    where_to = ["--checkpoint", tmp_path / "tiny", "--cache-dir", tmp_path / "cache", "--out", out]
    result = run("--data", DEMO, "--split", "test", *few, *where_to)
    assert result.exit_code == 0, result.output
    values = json.loads((out / "curve.json").read_text())
    assert values["num_clips"] == 3 and len(values["points"]) == 5
    assert (out / "curve.md").read_text().strip() in result.stdout
    assert Image.open(out / "curve.png").size == picture(made_curve(made_point(FIRST, 1, 0.5))).size


def test_what_it_cannot_show_is_one_sentence(tmp_path):
    result = run("--data", DEMO, "--out", tmp_path / "o", "--show", "audio")
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert "There is no choice of modalities 'audio'; choose video" in " ".join(
        result.output.replace("│", " ").split()
    )
