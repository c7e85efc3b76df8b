"""Real recordings through everything: read, damaged, answered over and over, explained, and given to the app.

    python -m tests.real_clips recordings/
    python -m tests.real_clips recordings/ --damaged 200 --repeats 10

No real clip ships, so a folder of one's own is named; its files are only read. Prints a table. What happened
to a clip is an answer or a refusal in one sentence; exit code 1 where it was anything else, where a name
changed an answer, memory grew, or the app said something else than a predictor that is asked alone.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from core.attribution.explain import explain
from core.attribution.store import ExplanationStore
from core.checkpoint import load_checkpoint
from core.media import MEDIA_SUFFIXES, MediaError, open_clip
from core.predict import Predictor
from core.prediction import Prediction
from core.shipped import default_checkpoint
from tests.fuzzing.subjects import case
from tests.fuzzing.trial import READ, REFUSED, try_all
from tests.real_clips.given import shown_by_the_app

MAX_GROWTH = 0.05
"""Of memory, from a fifth of the repeats to the last."""

STORE_BYTES = 2**26
SHORT_SECONDS = 0.2
SHARES = (0.1, 0.5, 0.9)
"""Of a file's bytes that are left."""

WICKED = ("a\"b'c", "line\nbreak", "\N{GRINNING FACE}", "-rf", "%s%n", "<b>", "x" * 160)
"""Parts of one name."""

ANSWERED, TOLD_NO = "answer", "refusal"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One thing that was tried with one file.

    Attributes:
        what: in a few words.
        clip: name of the file.
        outcome: `ANSWERED`, `TOLD_NO`, or another word for what must not be.
        told: what is worth knowing of it.
        num: how often.
    """

    what: str
    clip: str
    outcome: str
    told: str = ""
    num: int = 1

    @property
    def is_fault(self) -> bool:
        """Whether it must not be."""
        return self.outcome not in (ANSWERED, TOLD_NO)


def main() -> None:
    """Try them, and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of media files; only those that lie directly in it")
    parser.add_argument("--damaged", type=int, default=500, help="copies with mutations, of all files")
    parser.add_argument("--repeats", type=int, default=25, help="predictions of each file in a row")
    options = parser.parse_args()
    paths = sorted(path for path in options.folder.iterdir() if path.suffix.lower() in MEDIA_SUFFIXES)
    if not paths:
        raise SystemExit(f"{options.folder} holds no media file; give another folder.")
    predictor = Predictor(load_checkpoint(default_checkpoint(own=True)))
    trials = []
    for trial in all_trials(predictor, paths, options):
        trials.append(trial)
        print(f"{trial.clip}: {trial.what}: {trial.num} × {trial.outcome}. {trial.told}", flush=True)
    print(f"\n{len(paths)} clips, {predictor.checkpoint.name}\n")
    print("| what | answers | refusals | faults |\n|---|---|---|---|")
    for what in dict.fromkeys(trial.what for trial in trials):
        counts = Counter()
        for trial in trials:
            if trial.what == what:
                counts["faults" if trial.is_fault else trial.outcome] += trial.num
        print(f"| {what} | {counts[ANSWERED]} | {counts[TOLD_NO]} | {counts['faults']} |")
    raise SystemExit(1 if any(trial.is_fault for trial in trials) else 0)


def all_trials(predictor: Predictor, paths: list[Path], options: argparse.Namespace) -> Iterator[Trial]:
    """Everything, clip by clip, then what takes all of them."""
    whole: dict[Path, Prediction] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            trial, answer = tried("whole", path, lambda path=path: ask(predictor, path))
            yield trial
            if answer is None:
                continue
            whole[path] = answer
            yield from changed(predictor, path, answer, Path(folder))
            yield repeated(predictor, path, options.repeats)
            yield explained(predictor, path, Path(folder))
    yield from damaged(paths, options.damaged)
    for path, sentence in shown_by_the_app(whole):
        yield Trial(
            what="given to the app", clip=path.name, outcome="fault" if sentence else ANSWERED, told=sentence
        )


def ask(predictor: Predictor, path: Path, **span: float) -> Prediction:
    """The answer about a stranger's file."""
    return predictor.predict_clip(open_clip(path, apart=True, **span))


def tried(what: str, path: Path, work: Callable[[], Prediction]) -> tuple[Trial, Prediction | None]:
    """What came of it, with the answer where there was one."""
    try:
        answer = work()
    except MediaError as error:
        is_sentence = "\n" not in str(error) and str(error).endswith(".")
        outcome = TOLD_NO if is_sentence else "no sentence"
        return Trial(what=what, clip=path.name, outcome=outcome, told=str(error)), None
    except Exception as error:  # what is looked for
        return Trial(
            what=what, clip=path.name, outcome="raised", told=f"{type(error).__name__}: {error}"
        ), None
    if not np.isclose(answer.probabilities.sum(), 1) or not np.isfinite(answer.probabilities).all():
        return Trial(
            what=what, clip=path.name, outcome="no probabilities", told=str(answer.probabilities)
        ), None
    told = " ".join((f"{answer.prediction} {100 * answer.confidence:.0f} %.", *answer.notes))
    return Trial(what=what, clip=path.name, outcome=ANSWERED, told=told), answer


def changed(predictor: Predictor, path: Path, answer: Prediction, folder: Path) -> Iterator[Trial]:
    """A short span, cut files, and other names, which must change nothing."""
    middle = (answer.start_seconds + answer.end_seconds - SHORT_SECONDS) / 2
    yield tried(
        "0.2 s of it",
        path,
        lambda: ask(predictor, path, start_seconds=middle, end_seconds=middle + SHORT_SECONDS),
    )[0]
    content = path.read_bytes()
    for share in SHARES:
        cut = folder / f"{share:.0%}-{path.name}"
        cut.write_bytes(content[: int(share * len(content))])
        yield tried("cut off", path, lambda cut=cut: ask(predictor, cut))[0]
    for what, name in (("as .txt", "words.txt"), ("under a wicked name", "".join(WICKED) + path.suffix)):
        other = folder / name
        shutil.copyfile(path, other)
        trial, same = tried(what, path, lambda other=other: ask(predictor, other))
        if same is not None and not np.allclose(same.probabilities, answer.probabilities, atol=1e-6):
            trial = Trial(what=what, clip=path.name, outcome="another answer", told=trial.told)
        yield trial


def repeated(predictor: Predictor, path: Path, num: int) -> Trial:
    """Many predictions in a row; memory must not grow."""
    held = []
    for _ in range(num):
        ask(predictor, path)
        gc.collect()
        held.append(psutil.Process().memory_info().rss / 2**20)
    first, last = held[num // 5], held[-1]
    growth = last / first - 1
    outcome = ANSWERED if growth <= MAX_GROWTH else "memory grew"
    return Trial(what=f"{num} times", clip=path.name, outcome=outcome, told=f"{first:.0f} to {last:.0f} MiB")


def explained(predictor: Predictor, path: Path, folder: Path) -> Trial:
    """Everything is explained, kept, and read from the store once more."""
    prepared = predictor.prepare(open_clip(path, apart=True))
    store = ExplanationStore(folder / "explanations", STORE_BYTES)
    first, again = (explain(predictor, prepared, store=store, with_faithfulness=()) for _ in range(2))
    numbers = {name: found.values for name, found in first.attributions.items()}
    is_whole = all(np.isfinite(values).all() for values in numbers.values())
    is_kept = all(np.array_equal(values, again.attributions[name].values) for name, values in numbers.items())
    return Trial(
        what="explained",
        clip=path.name,
        outcome=ANSWERED if is_whole and is_kept and numbers else "not explained",
        told=f"{', '.join(numbers)} for {first.target}",
    )


def damaged(paths: list[Path], num: int) -> Iterator[Trial]:
    """Mutated copies, read by a process of their own, as by `tests.fuzzing`."""
    examples = [{path.name: path.read_bytes()} for path in paths]
    found = try_all(case("media", examples, 0, number) for number in range(num))
    for kind, outcome in ((READ, ANSWERED), (REFUSED, TOLD_NO)):
        yield Trial(what="damaged at random", clip="all", outcome=outcome, num=found.counts[kind])
    for fault in found.faults:
        yield Trial(what="damaged at random", clip=fault.case.name, outcome="fault", told=fault.what)


if __name__ == "__main__":
    main()
