"""One prediction, step by step: what reading, each encoder, each stage and the heads take of it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from core.labels import MODALITIES
from core.media import decode, open_clip
from core.media.faces import FaceDetector, crop, track_face
from core.predict import stack_frames
from training.speed.bench import Bench
from training.speed.clips import WORDS
from training.speed.networks import StageLaps
from training.speed.report import Section
from training.speed.turns import Subject, Taken
from training.speed.work import WorkCounter, flops_of

SUM = "one prediction"


def stages(bench: Bench) -> list[Section]:
    """Every step of one prediction from all modalities of a made clip, on what the steps before it gave."""
    seconds = bench.settings.pipeline_seconds
    path = bench.clip(seconds)
    steps = _Steps(bench, path)
    subjects: dict[str, Subject] = {
        "opening and decoding": steps.read,
        "finding the face": steps.find,
        "text encoder": partial(steps.model.text.encode, [WORDS]),
        "audio encoder": partial(steps.model.audio.encode, [steps.media.waveform]),
        "embedding the candidate frames": steps.embed,
        "choosing and merging frames": steps.select,
        "stages 1 to 4": steps.stages,
        "temporal network": steps.summarise,
        "early fusion, projections, classifier": steps.heads,
    }
    flops = {name: flops_of(work) for name, work in subjects.items()}
    turns = bench.turns(subjects)
    with WorkCounter() as counter:
        of_stages = steps.laps.run(*steps.kept, read=lambda: counter.flops)
    flops |= {_inner(name): value for name, value in of_stages.items()} | {SUM: sum(flops.values())}
    turns = turns.with_sum(SUM, list(subjects))
    names = []
    for name in subjects:
        names += [name, *map(_inner, of_stages)] if name == "stages 1 to 4" else [name]
    return [
        bench.section(
            "stages",
            f"Steps of one prediction, clip of {seconds:g} s and {bench.settings.height} lines",
            turns,
            [*names, SUM],
            reference=SUM,
            flops=flops,
            notes=[
                "What is done between two stages counts to the later one, so stage 3 holds the choosing and "
                "merging of patches. The four stages are parts of “stages 1 to 4”. The face detector runs "
                "outside of torch, where nothing is counted."
            ],
        )
    ]


def _inner(stage: str) -> str:
    return f"– {stage}"


class _Steps:
    """The public pieces that a prediction is made of, each on what those before it gave."""

    def __init__(self, bench: Bench, path) -> None:
        self.model = bench.model
        self._path = path
        self._video = bench.config.video
        self._detector = FaceDetector()
        self.media = self.read()
        self.laps = StageLaps(self.model.video)
        with torch.inference_mode():
            audio = self.model.audio.encode([self.media.waveform])
            self._audio = self.model.audio.pool(audio)
            self._text = self.model.text.encode([WORDS])
            self._frames = self.find()
            self._guide = self._fuse() + self.model.video.base_guide
            self._tokens = self.embed()
            selection = self.select()
            grid = self._tokens.shape[1:]
            self.kept = selection.tokens.reshape(-1, *grid), self._guide.repeat(selection.kept.shape[1], 1)
            self._vectors = self.model.video.stages(*self.kept)[0]
            self._summary = self.summarise()

    def read(self):
        return decode(open_clip(self._path), num_frames=self._video.num_candidate_frames)

    def find(self) -> Tensor:
        frames = self.media.frames
        boxes = track_face(frames, self._detector).boxes
        return stack_frames([crop(frames.pixels, boxes, self._video.image_size)])[0][0]

    @torch.inference_mode()
    def embed(self) -> Tensor:
        return self.model.video.embed(self._frames)

    @torch.inference_mode()
    def select(self):
        tokens = self._tokens
        mask = torch.ones(1, len(tokens), dtype=torch.bool)
        summaries = self.model.video.selector.summary(tokens).unsqueeze(0)
        return self.model.video.select(tokens.flatten(1).unsqueeze(0), summaries, mask, self._guide)

    @torch.inference_mode()
    def stages(self) -> dict[str, Taken]:
        return {_inner(name): value for name, value in self.laps.run(*self.kept).items()}

    @torch.inference_mode()
    def summarise(self) -> Tensor:
        mask = torch.ones(1, len(self._vectors), dtype=torch.bool)
        return self.model.temporal(self._vectors.unsqueeze(0), mask)

    def _fuse(self) -> Tensor:
        return self.model.early_fusion(torch.cat([self._text, self._audio], 1))

    @torch.inference_mode()
    def heads(self) -> Tensor:
        self._fuse()
        features = {"video": self._summary, "audio": self._audio, "text": self._text}
        projections = [self.model.projections[name](features[name]) for name in MODALITIES]
        return self.model.classifier(torch.cat(projections, 1))[0]
