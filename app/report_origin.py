"""Where a report's figures come from: what was evaluated, what the card says, how to repeat it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

from app.folders import free_name
from core.checkpoint_files import checkpoint_hash, read_card
from core.evaluation import Evaluation, read_evaluation
from core.evaluation.artifact import ALL, SHIPPED, subset_name
from core.evaluation.compare import flat_settings
from core.evaluation.neighbours import read_training
from core.shipped import shipped_checkpoints
from sample_data import SAMPLE_DATA

NUM_MISTAKES = 12
"""Mistakes that are shown one by one."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What of the clips themselves a report holds; the data set's licence may forbid it.

    Attributes:
        has_pictures: a small picture of each mistake.
        has_words: what is said in each mistake.
        num_mistakes: so many of them, the most confident ones.
    """

    has_pictures: bool = True
    has_words: bool = True
    num_mistakes: int = NUM_MISTAKES


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """An evaluation with what lies beside it.

    Attributes:
        name: what the report calls it.
        folder: that it was read from.
        training: what the same checkpoint says of the clips it learned from; None where that is not at hand.
        checkpoint: folder of the very checkpoint; None where it is not at hand.
    """

    name: str
    folder: Path
    evaluation: Evaluation
    training: Evaluation | None = None
    checkpoint: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A line of what was evaluated, and how.

    Attributes:
        is_code: a hash or something else that is to be copied letter by letter.
    """

    name: str
    value: str
    is_code: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts under a heading."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command line with what it makes."""

    what: str
    line: str


def read_sources(folders: Sequence[Path], checkpoint: Path | None = None) -> list[Source]:
    """Evaluations with what lies beside the first of them.

    Args:
        folders: of the evaluations.
        checkpoint: folder of the first one's checkpoint; None to look among those that ship, and beside the
            evaluation.

    Raises:
        EvaluationError: if one of them cannot be read.
    """
    sources: list[Source] = []
    for folder in folders:
        name = free_name(folder.resolve(), [one.name for one in sources])
        sources.append(Source(name=name, folder=folder, evaluation=read_evaluation(folder)))
    first = sources[0]
    beside = first.folder.resolve().parent / first.evaluation.info.checkpoint
    looked = [*shipped_checkpoints().values(), beside] if checkpoint is None else [checkpoint]
    sources[0] = replace(
        first,
        training=read_training(first.folder, first.evaluation),
        checkpoint=find_checkpoint(first.evaluation, looked),
    )
    return sources


def find_checkpoint(evaluation: Evaluation, folders: Iterable[Path]) -> Path | None:
    """A folder that holds the very checkpoint which was evaluated, by its hash; None where none does."""
    # hashing takes a while, and the name tells most often
    for folder in sorted(folders, key=lambda folder: folder.name != evaluation.info.checkpoint):
        try:
            if checkpoint_hash(folder) == evaluation.info.checkpoint_sha256:
                return folder
        except OSError:
            continue
    return None


def facts_of(source: Source) -> tuple[Facts, ...]:
    """What was evaluated, and how."""
    info = source.evaluation.info
    scores = source.evaluation.metrics.subsets[subset_name(ALL)]

    settings = flat_settings(info.recipe)

    def setting(name: str) -> str:
        return plain(settings[name]) if settings.get(name) is not None else "not told"

    groups = "s" if scores.num_groups != 1 else ""
    version = metadata.version("deepmsi-mer-explorer")
    return (
        Facts(
            title="Checkpoint",
            facts=(
                Fact(name="Name", value=info.checkpoint),
                Fact(name="SHA-256", value=info.checkpoint_sha256, is_code=True),
                Fact(name="Preset", value=setting("model.preset")),
                Fact(name="Reads", value=setting("model.modalities")),
                Fact(name="Text encoder", value=setting("model.text.backbone")),
                Fact(name="Audio encoder", value=setting("model.audio.backbone")),
                Fact(name="Training data", value=setting("training.source_names")),
                Fact(name="Training seed", value=str(info.seed)),
                Fact(name="Configuration digest", value=digest(info.recipe), is_code=True),
                Fact(
                    name="Temperature",
                    value=f"{info.temperature:.4g}; marked uncertain below a confidence of "
                    f"{info.uncertainty_threshold:.4g}",
                ),
            ),
        ),
        Facts(
            title="Data",
            facts=(
                Fact(name="Data set", value=info.data),
                Fact(name="Split", value=info.split),
                Fact(name="Protocol", value=", ".join(filter(None, (info.protocol, info.fold)))),
                Fact(name="Clips", value=f"{info.num_clips:,}"),
                Fact(name="Skipped", value=f"{len(info.skipped):,}" if info.skipped else "none"),
                Fact(name="Labels", value=f"{', '.join(info.labels)} ({info.label_scheme})"),
                Fact(name="SHA-256", value=info.data_sha256, is_code=True),
            ),
        ),
        Facts(
            title="Evaluation",
            facts=(
                Fact(name="Made", value=info.created),
                Fact(
                    name="Intervals",
                    value=f"95 %, {info.num_bootstrap:,} resamples of {scores.num_groups:,} "
                    f"{info.resampled}{groups}, seed {info.bootstrap_seed}",
                ),
                Fact(name="Versions", value=", ".join(f"{name} {it}" for name, it in info.versions.items())),
                Fact(name="Report by", value=f"deepmsi-mer-explorer {version}"),
            ),
        ),
    )


def digest(recipe: dict) -> str:
    """SHA-256 of a recipe as JSON with sorted keys and no spaces, the same for the same settings."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def plain(value: object) -> str:
    """A setting as people read it."""
    if isinstance(value, str):
        return value or "none"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value) or "none"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def card_of(checkpoint: Path | None) -> str:
    """The card without its title and its scores, which the report has its own of."""
    if checkpoint is None:
        return ""
    kept, is_kept = [], True
    for line in read_card(checkpoint).splitlines():
        if line.startswith("# "):
            continue
        if line.startswith("## "):
            is_kept = not line.startswith("## Scores")
        if is_kept:
            kept.append(line)
    return "\n".join(kept).strip()


def commands_of(source: Source, against: Sequence[Source], options: Options) -> tuple[Command, ...]:
    """What makes the evaluation and the report again; as few words as the defaults allow."""
    info = source.evaluation.info
    training = info.recipe.get("training")
    # evaluations of earlier versions do not tell their own
    fold = info.fold or (training.get("fold") if isinstance(training, dict) else "")
    evaluate = ["deepmsi", "evaluate", info.checkpoint, "--data", _data(source.evaluation)]
    if source.checkpoint is not None:
        evaluate[2] = portable(source.checkpoint)
    evaluate += ["--split", info.split]
    if info.protocol != "official":
        evaluate += [
            "--protocol",
            info.protocol,
            *(["--fold", fold] if isinstance(fold, str) and fold else []),
        ]
    if info.num_bootstrap != 1000:
        evaluate += ["--bootstrap", str(info.num_bootstrap)]
    evaluate += ["--out", source.folder.name]
    report = ["deepmsi", "report", portable(source.folder)]
    for other in against:
        report += ["--against", portable(other.folder)]
    defaults = Options()
    if options.num_mistakes != defaults.num_mistakes:
        report += ["--mistakes", str(options.num_mistakes)]
    report += ["--no-pictures"] * (not options.has_pictures) + ["--no-words"] * (not options.has_words)
    report += ["--out", "report.html"]
    return (
        Command(what="The evaluation, from the checkpoint and the data", line=shlex.join(evaluate)),
        Command(what="This report, from the evaluation", line=shlex.join(report)),
    )


def portable(folder: Path) -> str:
    """How a command names a folder: from `sample_data` on if it ships, else by its name alone."""
    folder = folder.resolve()
    if folder.is_relative_to(SAMPLE_DATA):
        return folder.relative_to(SAMPLE_DATA.parent).as_posix()
    return folder.name


def _data(evaluation: Evaluation) -> str:
    """What `--data` was: the shipped folder, where all clips are of it, else the data set's name."""
    shipped = f"{SHIPPED}/{evaluation.info.data}"
    paths = evaluation.predictions["path"].dropna()
    return shipped if len(paths) and paths.str.startswith(f"{shipped}/").all() else evaluation.info.data
