"""A whole explanation with its defaults, part by part, over clips that ship."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from core.attribution.explain import ELEMENTS, STORE_BYTES
from core.attribution.explain import explain as explain_clip
from core.attribution.store import ExplanationStore
from core.media import open_clip
from core.predict import Predictor, PreparedClip
from training.speed.bench import PEAK, Bench
from training.speed.clips import WORDS, shipped_clips
from training.speed.report import Aim, Section
from training.speed.turns import Taken, Turns, now

NUM_CLIPS = 5
FIRST, ALL, WHOLE = "first result: answer and modalities", "all attributions", "the whole explanation"

NOTE = "What frames gave is the sum of their patches, which are known then."


def explain(bench: Bench) -> list[Section]:
    """What whoever waits sees, in this order; each turn explains another clip."""
    turns, names = _turns(bench, ())
    aims = ()
    if bench.preset == "mini" and bench.threads == 2:
        first, every = turns.spread(FIRST, "wall").median, turns.spread(ALL, "wall").median
        half = turns.spread(ALL).median / 2
        aims = (
            Aim(text="first result of an explanation, by the clock", at_most=0.5, reached=first, unit="s"),
            Aim(text="all elements explained, by the clock", at_most=5.0, reached=every, unit="s"),
            Aim(text="the same, half of the CPU time", at_most=5.0, reached=half, unit="s"),
        )
    title = "An explanation with its defaults, before it is put to the test"
    return [bench.section("explain", title, turns, names, reference=ALL, notes=[NOTE], aims=aims)]


def trust(bench: Bench) -> list[Section]:
    """The same with the tests of every attribution, which take most of the time."""
    turns, names = _turns(bench, ELEMENTS)
    title = "An explanation with all tests"
    return [bench.section("trust", title, turns, names, reference=ALL, notes=[NOTE])]


def _turns(bench: Bench, tested: tuple[str, ...]) -> tuple[Turns, list[str]]:
    predictor = Predictor(bench.checkpoint)
    # words of their own would have to be listened to, which explains nothing
    clips = [
        predictor.prepare(open_clip(path, transcript=WORDS))
        for path in shipped_clips(min(NUM_CLIPS, bench.settings.num_turns))
    ]
    # a network for large pictures takes minutes
    is_slow = bench.config.video.image_size > 128
    turns = bench.turns({WHOLE: _explaining(predictor, clips, tested)}, is_slow=is_slow)
    return turns, [name for name in turns.taken if name not in (PEAK, WHOLE)] + [WHOLE]


def _explaining(
    predictor: Predictor, clips: list[PreparedClip], tested: tuple[str, ...]
) -> Callable[[], Mapping[str, Taken]]:
    coming = cycle(clips)

    def run() -> dict[str, Taken]:
        # a store that is empty: frames are made of patches, which are not to be worked out twice
        with tempfile.TemporaryDirectory() as folder:
            store, watch = ExplanationStore(Path(folder), STORE_BYTES), _Watch()
            # the encoders' features are part of what it costs
            clip = replace(next(coming), features={})
            explain_clip(predictor, clip, store=store, with_faithfulness=tested, on_part=watch)
        return watch.parts

    return run


class _Watch:
    """Takes the time of every part, and of all up to the last attribution."""

    def __init__(self) -> None:
        self.parts: dict[str, Taken] = {}
        self._begin = self._last = now()

    def __call__(self, part: object) -> None:
        found = now()
        kind, element = type(part).__name__, getattr(part, "element", "")
        many = f"{element}es" if element == "patch" else f"{element}s"
        name = {
            "Prediction": FIRST,
            "Attribution": many,
            "Faithfulness": f"test of the {many}",
            "CompressionEffects": "what the compression carries",
        }[kind]
        self.parts[name] = found - self._last
        if kind in ("Prediction", "Attribution"):
            self.parts[ALL] = found - self._begin
        self._last = found
