"""What `deepmsi bench speed` measures with: turns, counted work, laps of stages, and made clips."""

import dataclasses
import json
import os
import runpy
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from core.config import PRESETS
from core.cores import usable_cores
from core.encoders.video import VideoEncoder
from core.media import decode, open_clip
from core.predict import stack_frames
from training.speed.clips import make_clip
from training.speed.machine import this_machine, using_cores
from training.speed.networks import (
    StageLaps,
    answer,
    decode_everything,
    encoder_like,
    evenly,
    middle,
    plain_answer,
    resized,
)
from training.speed.report import Aim, Section, SpeedReport, rows_of
from training.speed.turns import Spread, Taken, Turns, take_turns
from training.speed.work import Product, WorkCounter, bare, flops_of, products_of

TINY = PRESETS["tiny"]


class FakeMachine:
    """A clock that only work moves, on a machine whose speed drifts."""

    def __init__(self, **costs: list[float]) -> None:
        self.costs = {name: iter(values) for name, values in costs.items()}
        self.seconds = 0.0
        self.log: list[str] = []

    def subject(self, name: str):
        def work() -> None:
            self.log.append(name)
            self.seconds += next(self.costs[name])

        return work

    def clock(self) -> Taken:
        return Taken(self.seconds, self.seconds / 2)


def test_subjects_take_turns_and_ratios_are_of_the_same_turn():
    # the first of each warms up; ratio by turn 2, 4, 1, of the medians 6 / 5
    machine = FakeMachine(a=[99, 2, 20, 6], b=[7, 1, 5, 6])
    subjects = {name: machine.subject(name) for name in "ab"}
    turns = take_turns(subjects, 3, clock=machine.clock)
    assert machine.log == list("ab" * 4)
    assert turns.seconds("a", "wall") == [2, 20, 6] and turns.seconds("a") == [1, 10, 3]
    assert turns.ratio("a", "b") == turns.ratio("a", "b", "wall") == Spread(median=2, low=1.5, high=3)
    assert turns.with_sum("both", ["a", "b"]).seconds("both", "wall") == [3, 25, 12]


def test_parts_that_a_subject_times_itself_are_kept_turn_by_turn():
    machine = FakeMachine(a=[1, 2, 3])
    whole = machine.subject("a")

    def work() -> dict[str, Taken]:
        whole()
        return {"half": Taken(machine.seconds / 2, 0.0)}

    turns = take_turns({"a": work}, 2, clock=machine.clock)
    assert turns.seconds("a", "wall") == [2, 3] and turns.seconds("half", "wall") == [1.5, 3]
    with pytest.raises(ValueError, match="two subjects are called 'half'"):
        take_turns({"half": lambda: None, "a": lambda: {"half": Taken()}}, 1)


def test_work_is_counted_as_by_hand():
    linear = nn.Linear(8, 4)
    kept = []
    grouped = nn.Conv1d(4, 6, 3, groups=2)
    query = torch.randn(2, 3, 16, 8)
    cases = [
        (lambda: linear(torch.randn(5, 7, 8)), 2 * 35 * 8 * 4),
        # (batch · place) × (width in · kernel) × width out
        (lambda: nn.Conv2d(3, 5, 3, padding=1)(torch.randn(2, 3, 10, 12)), 2 * (2 * 10 * 12) * (3 * 9) * 5),
        (lambda: grouped(torch.randn(2, 4, 9)), 2 * 2 * (2 * 7) * (2 * 3) * 3),
        # two products of 16 × 8 × 16 for each of 2 · 3 heads
        (lambda: F.scaled_dot_product_attention(query, query, query), 2 * 2 * 6 * 16 * 8 * 16),
        (lambda: torch.einsum("bhsd,bhtd->bhst", query, query), 2 * 6 * 16 * 8 * 16),
        (lambda: F.gelu(query) + query, 0),
        # what the first run kept is no work any more
        (lambda: kept or kept.append(linear(query)), 0),
    ]
    for context in (torch.inference_mode, torch.enable_grad):
        for work, flops in cases:
            with context():
                assert flops_of(work) == flops
    assert products_of(lambda: linear(torch.randn(5, 8))) == {Product(1, 5, 8, 4): 1}
    assert products_of(lambda: grouped(torch.randn(2, 4, 9))) == {Product(2, 2 * 7, 2 * 3, 3): 1}


def test_work_is_counted_where_torch_has_no_onednn(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    found = runpy.run_path(sys.modules[flops_of.__module__].__file__, run_name=flops_of.__module__)
    a = torch.randn(3, 4)
    assert found["flops_of"](lambda: a @ a.T) == 2 * 3 * 4 * 3


def test_a_network_counts_as_torch_counts_it_and_its_bare_products_are_the_same_work():
    encoder = encoder_like(TINY, dataclasses.replace(TINY.compression, enabled=False))
    frames = torch.rand(1, 2, 3, 64, 64)
    arguments = frames, torch.ones(1, 2, dtype=torch.bool), torch.zeros(1, TINY.video.guide_width)
    # attention made of its products, which torch counts on a processor too
    with torch.enable_grad(), nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        with FlopCounterMode(display=False) as torchs:
            encoder(*arguments)
        found = products_of(lambda: encoder(*arguments))
    assert sum(product.flops * times for product, times in found.items()) == torchs.get_total_flops() > 1e6
    assert products_of(bare(found)) == found


@pytest.mark.parametrize("preset", ["tiny", "mini"])
def test_laps_of_the_stages_add_up_to_all_of_them(preset):
    config = PRESETS[preset]
    encoder = encoder_like(config)
    tokens = encoder.embed(torch.rand(3, 3, *[config.video.image_size] * 2)).detach()
    guide = torch.zeros(3, config.video.guide_width)
    laps = StageLaps(encoder)
    laps.run(tokens, guide)
    with WorkCounter() as counter:
        found = laps.run(tokens, guide, read=lambda: counter.flops)
    before = ["stages 1 and 2"] if preset == "mini" else ["stage 1", "stage 2"]
    assert list(found) == [*before, "stage 3", "stage 4"] and min(found.values()) > 0
    with torch.inference_mode():
        assert sum(found.values()) == flops_of(lambda: encoder.stages(tokens, guide))
    # a deeper stage 4 costs stage 4 alone
    deeper = encoder_like(config, depths=(*config.video.depths[:3], config.video.depths[3] + 1))
    StageLaps(deeper).run(tokens, guide)
    with WorkCounter() as counter:
        more = StageLaps(deeper).run(tokens, guide, read=lambda: counter.flops)
    assert {name for name in found if more[name] != found[name]} == {"stage 4"}
    timed = laps.run(tokens, guide)
    assert list(timed) == list(found) and all(isinstance(lap, Taken) for lap in timed.values())


def test_networks_of_other_sizes_keep_as_large_a_share_of_the_patches():
    video = PRESETS["paper"].video
    assert resized(video, 256) == video
    half = resized(video, 128)
    assert half.vsc_grids == ((7, 7), (6, 6), (5, 5)) and half.stage3_grid == (8, 8)
    encoder = VideoEncoder(resized(TINY.video, 96), TINY.compression).eval()
    frames, mask = torch.rand(1, 2, 3, 96, 96), torch.ones(1, 2, dtype=torch.bool)
    with torch.inference_mode():
        found = encoder(frames, mask, torch.zeros(1, TINY.video.guide_width))
    assert found.patch_steps[0].tokens.shape[1] == 18


def test_the_plain_way_differs_in_the_frames_encoder_alone(tiny_model):
    frames = torch.rand(TINY.video.num_kept_frames, 3, 64, 64)
    audio, text = tiny_model.audio.encode([np.ones(8000, np.float32)]), tiny_model.text.encode(["well done"])
    ours = answer(tiny_model, frames, audio, text)

    def encoder(given):
        assert torch.equal(given, frames)
        return ours.video.frame_vectors[0]

    torch.testing.assert_close(plain_answer(tiny_model, encoder, frames, audio, text).logits, ours.logits)


def test_made_clips_are_as_long_and_large_as_asked_and_read_alike_both_ways(tmp_path):
    path = make_clip(tmp_path / "clip.mp4", seconds=1.2, height=144)
    clip = open_clip(path)
    assert (clip.info.width, clip.info.height, clip.info.num_frames) == (256, 144, 30)
    assert clip.duration_seconds == pytest.approx(1.2, abs=0.1)
    media = decode(clip, num_frames=30)
    shown, waveform = decode_everything(path)
    assert len(shown) == 30 and abs(len(waveform) - len(media.waveform)) < 2048
    assert np.abs(np.stack(shown)[4:].astype(int) - media.frames.pixels[4:]).mean() < 3
    assert np.abs(np.stack(shown)[0].astype(int) - shown[-1]).mean() > 1  # somebody moves
    assert np.abs(waveform).max() > 0.05
    picked = evenly(shown, 3)
    assert np.array_equal(picked[0], shown[0]) and np.array_equal(picked[2], shown[29])
    assert middle(picked, 64).shape == (3, 3, 64, 64)
    square = picked[:, :, 56:200]
    assert torch.allclose(middle(picked, 144), stack_frames([square])[0][0], atol=0.02)


def test_cores_are_given_back():
    before = torch.get_num_threads(), usable_cores()
    with using_cores(1):
        assert torch.get_num_threads() == 1
        assert not hasattr(os, "sched_getaffinity") or usable_cores() == 1
    assert (torch.get_num_threads(), usable_cores()) == before


def test_figures_are_ratios_in_the_table_and_whole_in_the_file(tmp_path):
    taken = {
        "peak": [Taken(1, 1), Taken(1, 2)],
        "fast": [Taken(1, 1), Taken(2, 4)],
        "slow": [Taken(4, 2), Taken(8, 8)],
    }
    rows = rows_of(
        Turns(taken=taken),
        ["fast", "slow"],
        reference="slow",
        flops={"fast": 10**9},
        peak=("peak", 2 * 10**9),
    )
    # 10⁹ operations at 2 · 10⁹ a second take half a second, at 10⁹ a second a whole one
    assert rows[0].of_peak == Spread(median=3, low=2.5, high=3.5) and rows[1].of_peak is None
    aims = (Aim(text="fast enough", at_most=0.4, reached=rows[0].cpu_ratio.median),)
    section = Section(
        part="p", preset="tiny", threads=1, title="T", reference="slow", rows=rows, num_turns=2, aims=aims
    )
    failed = dataclasses.replace(section, part="q", reference="", rows=(), aims=(), notes=("It failed.",))
    report = SpeedReport(machine=this_machine(1.5, 2), num_turns=2, sections=(section, failed))
    report.write(tmp_path / "out")
    table = (tmp_path / "out/speed.md").read_text()
    assert "| fast enough | tiny | 1 | 0.40 × | 0.50 × | missed |" in table
    assert "| fast | 0.50 (0.50 to 0.50) | 0.25 | 1 | 3.00 (2.50 to 3.50) |" in table
    assert "1 thread, 2 turns: 1.00 is “slow”: 5.00 s of CPU, 6.00 s by the clock" in table
    assert "load was 1.5 at the beginning" in table and table.endswith("### T (`q`, `tiny`)\n\nIt failed.\n")
    found = json.loads((tmp_path / "out/speed.json").read_text())
    assert found["sections"][0]["rows"][0]["cpu_seconds"] == {"median": 2.5, "low": 1.75, "high": 3.25}
