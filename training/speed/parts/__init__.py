"""The parts of `deepmsi bench speed`, by name: each measures a `Bench` and gives sections."""

from __future__ import annotations

from collections.abc import Callable

from training.speed.bench import Bench
from training.speed.parts.encoder import compiled, encoder
from training.speed.parts.explaining import explain, trust
from training.speed.parts.growth import growth
from training.speed.parts.memory import memory
from training.speed.parts.pipeline import pipeline, prediction
from training.speed.parts.stages import stages
from training.speed.report import Section

PARTS: dict[str, Callable[[Bench], list[Section]]] = {
    "encoder": encoder,
    "compiled": compiled,
    "stages": stages,
    "growth": growth,
    "pipeline": pipeline,
    "prediction": prediction,
    "explain": explain,
    "trust": trust,
    "memory": memory,
}
