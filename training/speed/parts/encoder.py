"""The video encoder against timm's, against itself in other variants, and against its own products."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from training.speed.bench import Bench
from training.speed.networks import PUBLISHED, calling, encoder_like, encoding, pictures, plain_encoder
from training.speed.report import Aim, Section
from training.speed.work import bare, flops_of, products_of

OURS, UNCOMPRESSED, PUBLISHED_CODE = "video encoder", "all patches and frames kept", "published switches"
OWN = "its own products, bare"
AT_ONCE = 5


def encoder(bench: Bench) -> list[Section]:
    """As many candidate frames as are kept, so that every alternative meets the same frames in all stages."""
    config = bench.config
    video = config.video
    frames = pictures(video.num_kept_frames, video.image_size)
    variants = {
        OURS: encoder_like(config),
        UNCOMPRESSED: encoder_like(config, replace(config.compression, enabled=False)),
        PUBLISHED_CODE: encoder_like(config, replace(config.compression, **PUBLISHED)),
    }
    subjects = {name: encoding(one, frames) for name, one in variants.items()}
    if (plain := plain_encoder(video)) is not None:
        plain_name = f"timm's {video.backbone}"
        subjects[plain_name] = calling(plain, frames)
        subjects[f"timm's, {AT_ONCE} frames at a time"] = calling(plain, frames, AT_ONCE)
    products = {name: products_of(work) for name, work in subjects.items()}
    flops = {name: sum(p.flops * times for p, times in found.items()) for name, found in products.items()}
    subjects[OWN] = bare(products[OURS])
    flops[OWN] = flops[OURS]
    turns = bench.turns(subjects)
    reference = OURS if plain is None else plain_name
    section = bench.section(
        "encoder",
        f"Video encoder, {len(frames)} frames of {video.image_size} px",
        turns,
        list(subjects),
        reference=reference,
        flops=flops,
    )
    own = {name: turns.ratio(name, OWN) for name in (OURS,)}
    rows = tuple(replace(row, of_own=own.get(row.name)) for row in section.rows)
    section = replace(section, rows=rows)
    if plain is None:
        return [section]
    ours = section.row(OURS)
    aims = (
        Aim(text="video encoder, CPU time to timm's", at_most=0.55, reached=ours.cpu_ratio.median),
        Aim(text="video encoder, CPU time to the floor", at_most=1.6, reached=ours.of_peak.median),
    )
    return [replace(section, aims=aims)]


def compiled(bench: Bench) -> list[Section]:
    """The video encoder as it is and with blocks compiled by torch, which needs a compiler for C++."""
    config = bench.config
    frames = pictures(config.video.num_kept_frames, config.video.image_size)
    network = encoder_like(config)
    eager = encoding(network, frames)
    faster = encoder_like(config)
    faster.swin.compile_blocks()
    work = encoding(faster, frames)
    begin = time.perf_counter()
    try:
        work()
    except Exception as error:  # whatever stands between torch and a compiler
        reason = " ".join(str(error).split())[:200].rstrip(".")
        note = f"Compiling, which takes a C++ compiler, failed here ({type(error).__name__}: {reason})."
        return [_nothing(bench, note)]
    seconds = time.perf_counter() - begin
    flops = flops_of(eager)
    turns = bench.turns({OURS: eager, "compiled": work})
    torch.compiler.reset()
    section = bench.section(
        "compiled",
        "Video encoder, compiled",
        turns,
        [OURS, "compiled"],
        reference=OURS,
        flops=dict.fromkeys((OURS, "compiled"), flops),
        notes=[f"Compiling took {seconds:.0f} s."],
    )
    if config.video.backbone is None:
        return [section]
    reached = section.row("compiled").of_peak.median
    return [
        replace(section, aims=(Aim(text="compiled, CPU time to the floor", at_most=1.4, reached=reached),))
    ]


def _nothing(bench: Bench, note: str) -> Section:
    return Section(
        part="compiled",
        preset=bench.preset,
        threads=bench.threads,
        title="Video encoder, compiled",
        reference="",
        rows=(),
        notes=(note,),
    )
