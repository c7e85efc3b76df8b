"""The whole way: from a file to an answer, ours and the plain one, and what eight coalitions add."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import torch

from core.int8 import use_int8
from core.media import decode, open_clip
from core.model import DeepMSI
from core.predict import Predictor, PreparedClip, stack_frames
from training.speed.bench import Bench
from training.speed.clips import WORDS, shipped_clip
from training.speed.networks import answer, decode_everything, evenly, middle, plain_answer, plain_encoder
from training.speed.report import Aim, Section

OURS, PLAIN, WHOLE = "ours", "plain", "ours, with the search for the face and all eight coalitions"
EIGHT_BITS, SHARED = "ours, in 8 bits", "sound and words alone, which both encode alike"
CLIP_SECONDS = 4.0


def pipeline(bench: Bench) -> list[Section]:
    """A made clip from file to one answer: our way, and decoding all of it and encoding frames with timm."""
    model, config = bench.model, bench.config
    seconds = bench.settings.pipeline_seconds
    path = bench.clip(seconds)
    predictor = Predictor(bench.checkpoint)
    plain = plain_encoder(config.video)
    size = config.video.image_size

    heard = decode(open_clip(path), num_frames=1).waveform
    in_eight_bits = deepcopy(model)
    use_int8(in_eight_bits)

    def encoded(by: DeepMSI, waveform) -> tuple[torch.Tensor, torch.Tensor]:
        return by.audio.encode([waveform]), by.text.encode([WORDS])

    def ours(by: DeepMSI) -> None:
        media = decode(open_clip(path), num_frames=config.video.num_candidate_frames)
        answer(by, middle(media.frames.pixels, size), *encoded(by, media.waveform))

    def plainly() -> None:
        shown, waveform = decode_everything(path)
        frames = middle(evenly(shown, config.video.num_kept_frames), size)
        plain_answer(model, plain, frames, *encoded(model, waveform))

    subjects = {OURS: lambda: ours(model)}
    if plain is not None:
        subjects[PLAIN] = plainly
    subjects[EIGHT_BITS] = lambda: ours(in_eight_bits)
    subjects[SHARED] = lambda: encoded(model, heard)
    subjects[WHOLE] = lambda: predictor.predict_clip(open_clip(path, transcript=WORDS))
    turns = bench.turns(subjects)
    section = bench.section(
        "pipeline",
        f"From file to answer, clip of {seconds:g} s and {bench.settings.height} lines",
        turns,
        list(subjects),
        reference=OURS if plain is None else PLAIN,
        notes=[
            "Plain: every frame is decoded and converted, "
            f"{config.video.num_kept_frames} of them are taken evenly and encoded by timm's network in one "
            "batch; text and audio encoders, temporal network and heads are the same. In both the middle of "
            "the picture stands for the face."
        ]
        if plain is not None
        else [],
    )
    if plain is None:
        return [section]
    reached = section.row(OURS).cpu_ratio.median
    aim = Aim(text="file to answer, CPU time to the plain pipeline", at_most=0.5, reached=reached)
    return [replace(section, aims=(aim,))]


EIGHT, ONE = "eight coalitions", "one answer"


def prediction(bench: Bench) -> list[Section]:
    """A shipped clip of about four seconds from file to prediction, stage by stage, and the coalitions."""
    predictor = Predictor(bench.checkpoint)
    path = shipped_clip(CLIP_SECONDS)
    prepared = predictor.prepare(open_clip(path, transcript=WORDS))
    return [_from_file(bench, predictor, path), _coalitions(bench, predictor, prepared)]


def _from_file(bench: Bench, predictor: Predictor, path) -> Section:
    stages: dict[str, list[float]] = {}

    def given() -> None:
        found = predictor.predict_clip(open_clip(path, transcript=WORDS))
        for name, seconds in found.timings_seconds.items():
            stages.setdefault(name, []).append(seconds)

    names = ("file to prediction, words given", "file to prediction, words heard")
    turns = bench.turns({names[0]: given, names[1]: lambda: predictor.predict_clip(open_clip(path))})
    measured = {
        name: values[-bench.settings.num_turns :] for name, values in stages.items() if name != "total"
    }
    total = turns.spread(names[0], "wall").median
    shares = ", ".join(
        f"{name.replace('_', ' ')} {sum(v) / len(v) / total:.0%}" for name, v in measured.items()
    )
    wall, cpu = (turns.spread(names[0], clock).median for clock in ("wall", "cpu"))
    aims = ()
    if bench.preset == "mini" and bench.threads == 1:
        aims = (
            Aim(
                text="4 s clip from file to all eight coalitions, by the clock",
                at_most=0.35,
                reached=wall,
                unit="s",
            ),
            Aim(text="the same in CPU time", at_most=0.35, reached=cpu, unit="s"),
        )
    return bench.section(
        "prediction",
        f"From file to prediction, shipped clip of {open_clip(path).duration_seconds:.1f} s",
        turns,
        names,
        reference=names[0],
        notes=[f"Shares by the clock where the words are given: {shares}."],
        aims=aims,
    )


def _coalitions(bench: Bench, predictor: Predictor, prepared: PreparedClip) -> Section:
    model = bench.model
    frames = stack_frames([prepared.crops])[0][0]

    def fresh() -> PreparedClip:
        return replace(prepared, features={})

    def one() -> None:
        audio, text = model.audio.encode([prepared.waveform]), model.text.encode([WORDS])
        answer(model, frames, audio, text)

    def from_file(ask: Callable[[PreparedClip], object]) -> Callable[[], None]:
        def run() -> None:
            ask(predictor.prepare(open_clip(prepared.clip.path, transcript=WORDS)))

        return run

    def answered(clip: PreparedClip) -> None:
        audio, text = model.audio.encode([clip.waveform]), model.text.encode([WORDS])
        answer(model, stack_frames([clip.crops])[0][0], audio, text)

    subjects = {
        EIGHT: lambda: predictor.predict(fresh()),
        ONE: one,
        f"{EIGHT}, from the file": from_file(predictor.predict),
        f"{ONE}, from the file": from_file(answered),
    }
    turns = bench.turns(subjects)
    reached = turns.ratio(EIGHT, ONE).median
    of_file = turns.ratio(f"{EIGHT}, from the file", f"{ONE}, from the file").median
    aims = ()
    if bench.preset == "mini":
        aims = (
            Aim(text="eight coalitions to one answer, encoders included", at_most=1.5, reached=reached),
            Aim(text="the same from the file on", at_most=1.5, reached=of_file),
        )
        if bench.threads == 1:
            wall = turns.spread(f"{ONE}, from the file", "wall").median
            aims = (Aim(text="4 s clip from file to one answer", at_most=0.35, reached=wall, unit="s"), *aims)
    return bench.section(
        "prediction", "Eight coalitions and one answer", turns, list(subjects), reference=ONE, aims=aims
    )
