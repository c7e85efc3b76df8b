"""How the cost grows: with candidate frames, with the size of pictures, with the length of a clip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from core.encoders.video import VideoEncoder
from core.media import decode, open_clip
from core.predict import Predictor
from training.speed.bench import Bench
from training.speed.clips import WORDS
from training.speed.networks import encoder_like, encoding, pictures, resized
from training.speed.report import Section
from training.speed.turns import Turns
from training.speed.work import flops_of


def growth(bench: Bench) -> list[Section]:
    """Three tables."""
    return [_with_frames(bench), _with_size(bench), _with_length(bench)]


def _with_frames(bench: Bench) -> Section:
    config = bench.config
    ours, whole = encoder_like(config), encoder_like(config, replace(config.compression, enabled=False))
    numbers = bench.settings.num_frames
    subjects = {}
    for number in numbers:
        frames = pictures(number, config.video.image_size)
        subjects[f"{number} frames"] = encoding(ours, frames)
        subjects[f"{number} frames, all kept whole"] = encoding(whole, frames)
    turns = bench.turns(subjects)
    cost = {number: f"{number} frames" for number in numbers}
    all_kept = {number: f"{number} frames, all kept whole" for number in numbers}
    return bench.section(
        "growth",
        "Video encoder by candidate frames",
        turns,
        list(subjects),
        reference=cost[_nearest(numbers, config.video.num_kept_frames)],
        flops={name: flops_of(work) for name, work in subjects.items()},
        notes=[
            f"Of more than {config.video.num_kept_frames} candidates as many are kept.",
            _slope("candidate frames", turns, cost),
            _slope("frames that are all kept whole", turns, all_kept),
        ],
    )


def _with_size(bench: Bench) -> Section:
    config = bench.config
    own = config.video.image_size
    sizes = {round(own * scale / 32) * 32 or 32 for scale in bench.settings.scales}
    subjects = {}
    for size in sorted(sizes):
        encoder = VideoEncoder(resized(config.video, size), config.compression).eval()
        subjects[f"{size} px"] = encoding(encoder, pictures(config.video.num_kept_frames, size))
    turns = bench.turns(subjects)
    names = {size: f"{size} px" for size in sorted(sizes)}
    return bench.section(
        "growth",
        "Video encoder by size of pictures",
        turns,
        list(subjects),
        reference=names[_nearest(sorted(sizes), own)],
        flops={name: flops_of(work) for name, work in subjects.items()},
        notes=[_slope("side of the picture", turns, names)],
    )


def _with_length(bench: Bench) -> Section:
    predictor = Predictor(bench.checkpoint)
    number = bench.config.video.num_candidate_frames
    lengths = sorted(bench.settings.clip_seconds)
    subjects, notes = {}, []
    for seconds in lengths:
        clip = open_clip(bench.clip(seconds), transcript=WORDS)
        waveform = decode(clip, num_frames=1).waveform
        subjects[f"opening and decoding, {seconds:g} s"] = lambda path=clip.path: decode(
            open_clip(path), num_frames=number
        )
        subjects[f"audio encoder, {seconds:g} s"] = partial(bench.model.audio.encode, [waveform])
        subjects[f"file to answer, {seconds:g} s"] = lambda path=clip.path: predictor.predict_clip(
            open_clip(path, transcript=WORDS)
        )
    turns = bench.turns(subjects)
    for what in ("opening and decoding", "audio encoder", "file to answer"):
        notes.append(_slope(f"length: {what}", turns, {s: f"{what}, {s:g} s" for s in lengths}))
    middle = lengths[len(lengths) // 2]
    return bench.section(
        "growth",
        f"Clips by length, {bench.settings.height} lines",
        turns,
        list(subjects),
        reference=f"file to answer, {middle:g} s",
        notes=notes,
    )


def _nearest(numbers, wanted: float):
    return min(numbers, key=lambda number: abs(number - wanted))


def _slope(what: str, turns: Turns, names: Mapping[float, str]) -> str:
    """The exponent by which CPU time grows, fitted by least squares to logarithms of the medians."""
    points = [(math.log(x), math.log(max(turns.spread(name).median, 1e-9))) for x, name in names.items()]
    if len(points) < 2:
        return ""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return f"CPU time grows with the power {slope:.2f} of the {what}."
