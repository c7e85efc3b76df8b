"""The truth benchmark of one checkpoint on one corpus, on disk: figures as JSON, measures as Parquet.

The app reads the figures to tell beside an explanation how its method scored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.evaluation.artifact import TRUTH, TRUTH_MEASURES, TRUTH_UNFINISHED
from core.media.limits import MIB
from core.predict import Predictor
from core.texts import require_size
from core.writing import AGAIN, replacing, require_writable, written
from sample_data.corpus.checking.statistics import Estimate
from sample_data.corpus.errors import CorpusError
from training.truth import FIGURES, Measure, TruthFigure, measure_clip, summarise

MAX_UNFINISHED_BYTES = 256 * MIB
"""Of what an unfinished run has measured; a clip takes some KiB."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class TruthReport:
    """How true a checkpoint's explanations are.

    Attributes:
        checkpoint: its name; `checkpoint_sha256` its hash.
        plan_sha256: of the corpus that was measured on.
        split: of the corpus, "" for all of it.
        num_clips: that were measured.
        figures: see `training.truth.FIGURES`.
    """

    checkpoint: str
    checkpoint_sha256: str
    plan_sha256: str
    split: str
    num_clips: int
    figures: tuple[TruthFigure, ...]

    def figure(self, name: str, method: str = "") -> TruthFigure | None:
        """One figure; None where no clip could be measured."""
        return next((f for f in self.figures if (f.figure, f.method) == (name, method)), None)

    def to_markdown(self) -> str:
        """The table of docs and terminal."""
        lines = ["| what | method | found | chance | clips |", "|---|---|---|---|---|"]
        for one in self.figures:
            e = one.estimate
            chance = "" if np.isnan(one.chance) else f"{one.chance:.2f}"
            lines.append(
                f"| {one.figure}: {FIGURES[one.figure]} | {one.method} | "
                f"{e.value:.2f} ({e.low:.2f} to {e.high:.2f}) | {chance} | {e.num} |"
            )
        return "\n".join(lines)


def bench_truth(
    predictor: Predictor,
    corpus: Path,
    out: Path,
    methods: Sequence[tuple[str, str]],
    *,
    split: str = "",
    max_clips: int | None = None,
    with_tests: bool = False,
    progress: Progress = lambda done, total, text: None,
) -> TruthReport:
    """Measure a checkpoint on a made corpus and write `truth.json` and `measures.parquet`.

    A run that was ended goes on where it stopped.

    Args:
        predictor: of the checkpoint.
        corpus: folder that `deepmsi corpus make` made.
        out: folder of the report.
        methods: pairs of element and method.
        split: measure its clips only.
        max_clips: so many of the clips, spread evenly over the corpus.
        with_tests: put every explanation to the test as well (`training.truth.measure_clip`).
        progress: told how many clips are done, of how many.

    Raises:
        CorpusError: if the folder holds no corpus, none of the split, or `out` holds an unfinished run of
            something else, or cannot be written.
        MediaError: if a clip cannot be read.
    """
    # it needs what makes clips, which those who only read figures may not have installed
    from sample_data.corpus.make import CORPUS_FILE, read_corpus

    clips = [(path, truth) for path, truth in read_corpus(corpus) if split in ("", truth.plan.split)]
    if not clips:
        raise CorpusError(f"{corpus} has no clip of the split {split!r}; choose train, dev or test.")
    if max_clips is not None and max_clips < len(clips):
        clips = [clips[i] for i in np.linspace(0, len(clips) - 1, max_clips).round().astype(int)]
    about = {
        "checkpoint": predictor.checkpoint.name,
        "checkpoint_sha256": predictor.identity,
        "plan_sha256": _plan(Path(corpus) / CORPUS_FILE),
        "split": split,
        "num_clips": len(clips),
    }
    with written(out, CorpusError, AGAIN):
        require_writable(out / TRUTH)
        out.mkdir(parents=True, exist_ok=True)
        return _measured(predictor, clips, out, methods, with_tests, about, progress)


def _measured(
    predictor: Predictor,
    clips: Sequence[tuple],
    out: Path,
    methods: Sequence[tuple[str, str]],
    with_tests: bool,
    about: dict,
    progress: Progress,
) -> TruthReport:
    unfinished = out / TRUTH_UNFINISHED
    header = about | {"methods": [list(pair) for pair in methods]} | ({"tests": True} if with_tests else {})
    done = _read_unfinished(unfinished, header)
    with unfinished.open("a", encoding="utf-8") as file:
        if not done and unfinished.stat().st_size == 0:
            file.write(json.dumps(header) + "\n")
        for number, (path, truth) in enumerate(clips):
            progress(number, len(clips), "")
            if truth.plan.clip_id in done:
                continue
            measures = measure_clip(predictor, path, truth, methods, with_tests)
            done[truth.plan.clip_id] = measures
            rows = [asdict(measure) for measure in measures]
            file.write(json.dumps({"clip": truth.plan.clip_id, "measures": rows}) + "\n")
            file.flush()
    progress(len(clips), len(clips), "")
    measures = [measure for of_clip in done.values() for measure in of_clip]
    report = TruthReport(**about, figures=tuple(summarise(measures)))
    with replacing(out / TRUTH_MEASURES) as part:
        pd.DataFrame([asdict(measure) for measure in measures]).to_parquet(part, index=False)
    with replacing(out / TRUTH) as part:
        part.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    unfinished.unlink()
    return report


def _plan(path: Path) -> str:
    require_size(path, CorpusError, "make it again")
    return json.loads(path.read_text(encoding="utf-8"))["plan_sha256"]


def read_truth(folder: Path) -> TruthReport:
    """A report that `bench_truth` wrote.

    Raises:
        ValueError: if there is none, or it is damaged; the sentence names the file.
    """
    path = Path(folder) / TRUTH
    try:
        require_size(path, ValueError, "it is not read")
        content = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(
            TruthFigure(
                figure=one["figure"],
                method=one["method"],
                estimate=Estimate(**one["estimate"]),
                chance=float(one["chance"]),
                gain=Estimate(**one["gain"]),
            )
            for one in content.pop("figures")
        )
        return TruthReport(**content, figures=figures)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of `deepmsi bench truth` ({error}); make it again") from error


def _read_unfinished(path: Path, header: dict) -> dict[str, list[Measure]]:
    """What an earlier run has measured, by clip. A line that a kill cut off is measured again."""
    if not path.is_file() or not path.stat().st_size:
        return {}
    require_size(path, CorpusError, "remove it to begin anew", max_bytes=MAX_UNFINISHED_BYTES)
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        found = json.loads(lines[0])
    except ValueError:
        found = None
    if found != header:
        raise CorpusError(
            f"{path} is of an unfinished run of another checkpoint, corpus or choice of methods; "
            "choose another folder, or remove the file."
        )
    done, whole = {}, [lines[0]]
    for line in lines[1:]:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        whole.append(line)
        done[row["clip"]] = [Measure(**measure) for measure in row["measures"]]
    with replacing(path) as part:
        part.write_text("\n".join(whole) + "\n", encoding="utf-8")
    return done
