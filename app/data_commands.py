"""`deepmsi data …`: looking at a data set before anything is learned from it.

The work is done by `training.datasets`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.terminal import progress_bar, told

if TYPE_CHECKING:
    from training.datasets import Dataset
    from training.datasets.check import DatasetReport

commands = typer.Typer(
    name="data",
    help="Look at data sets: counts, broken clips, and what splits share.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@commands.command(epilog="Example: [bold]deepmsi data check datasets/MELD.Raw --skipped skipped.csv[/bold]")
def check(
    path: Annotated[Path, typer.Argument(help="Folder of a data set, or a manifest.")],
    name: Annotated[
        str | None,
        typer.Option(help="meld, iemocap, ravdess, cremad, fer2013, authors or manifest; told by the files."),
    ] = None,
    open_files: Annotated[
        bool, typer.Option("--open", help="Open every clip: finds broken ones, and tells their lengths.")
    ] = False,
    protocol: Annotated[
        str | None,
        typer.Option(help="Count the first fold of this protocol instead of the data set's own split."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the protocol.", min=0)] = 0,
    skipped: Annotated[
        Path | None, typer.Option(help="Table (CSV) to write of the clips that were left out, and why.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of the data set: scheme=iemocap-4, songs=true, calm=skip …"),
    ] = None,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Admit clips outside the folder of their manifest.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object instead of tables.")] = False,
) -> None:
    """Count a data set per split and label, and tell what is broken and what its splits share."""
    with told():
        from training.datasets.check import check_dataset, write_skipped

        dataset = _read(path, name, settings, allow_outside)
        if protocol is not None:
            dataset = _first_fold(dataset, protocol, seed)
        with progress_bar(is_long=True) as update:
            report = check_dataset(dataset, open_files=open_files, progress=update)
        if skipped is not None:
            write_skipped(report.skipped, skipped)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print(report, is_listed=skipped is not None)


@commands.command(epilog="Example: [bold]deepmsi data convert data/MELD --out datasets/meld-authors[/bold]")
def convert(
    folder: Annotated[Path, typer.Argument(help="The authors' folder MELD or IEMOCAP, with pickles.")],
    out: Annotated[Path, typer.Option(help="Folder to write; a run that was ended goes on there.")],
    skipped: Annotated[
        Path | None, typer.Option(help="Table (CSV) to write of what was left out, and why.")
    ] = None,
) -> None:
    """Make safetensors and a manifest of the authors' preprocessed pickles; nothing in them is run."""
    with told():
        from training.datasets.authors import convert as run
        from training.datasets.check import write_skipped

        with progress_bar(is_long=True) as update:
            manifest, left_out = run(folder, out, progress=update)
        if skipped is not None:
            write_skipped(left_out, skipped)
    if left_out:
        typer.echo(f"{len(left_out)} left out; the first: {left_out[0].reason}", err=True)
    typer.echo(manifest)


def _read(path: Path, name: str | None, settings: list[str] | None, allow_outside: bool) -> Dataset:
    from training.datasets import read_dataset

    options: dict[str, object] = {"allow_outside": True} if allow_outside else {}
    for text in settings or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set takes NAME=VALUE, not {text!r}.")
        options[key] = {"true": True, "false": False}.get(value, value)
    try:
        return read_dataset(path, name=name, **options)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def _first_fold(dataset: Dataset, protocol: str, seed: int) -> Dataset:
    from training.datasets import DataError
    from training.protocol import PAPER_10FOLD_FLATTERS, make_folds, with_splits

    if dataset.stills:
        raise DataError(
            f"{dataset.name} holds single pictures, which have neither speakers nor dialogues, so no "
            "protocol can part them; leave --protocol away."
        )
    try:
        folds = make_folds(dataset.utterances, protocol, seed=seed)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error
    notes = (*dataset.notes, f"Split: {protocol}, seed {seed}, {folds[0].name} of {len(folds)}.")
    if protocol == "paper-10fold":
        notes += (PAPER_10FOLD_FLATTERS,)
    parted = with_splits(dataset.utterances, folds[0])
    skipped = dataset.skipped
    if protocol != "official":
        # what is left out is in no part, whatever split it has of its own
        skipped = tuple(replace(clip, split=None) for clip in skipped)
    return replace(dataset, utterances=parted, skipped=skipped, notes=notes)


def _print(report: DatasetReport, *, is_listed: bool) -> None:
    console = Console(highlight=False, soft_wrap=False)
    scheme = f", labels of {report.scheme}" if report.scheme else ""
    console.print(f"{report.name}{scheme}")
    console.print(_counts(report))
    if report.durations_from:
        console.print(_durations(report))
    if report.leakage:
        console.print(_leakage(report))
    if report.skipped:
        console.print(_skipped(report, is_listed=is_listed))
    for note in report.notes:
        console.print(escape(note))


def _counts(report: DatasetReport) -> Table:
    columns = [part.split for part in report.splits]
    table = _table("What each split holds", "", *columns, "all")
    rows = {"utterances": "num_rows", "with a file": "num_with_media", "with words": "num_with_words"}
    if report.name == "fer2013":
        rows = {"pictures": "num_rows"}
    if any(part.num_left_out for part in report.splits):
        rows["left out"] = "num_left_out"
    for title, field in rows.items():
        numbers = [getattr(part, field) for part in report.splits]
        table.add_row(title, *map(_thousands, numbers), _thousands(sum(numbers)))
    for title, field in {"speakers": "num_speakers", "dialogues": "num_dialogues"}.items():
        numbers = [getattr(part, field) for part in report.splits]
        if any(numbers):
            # the same speaker may be in several splits, so that a sum would say nothing
            table.add_row(title, *map(_thousands, numbers), "")
    table.add_section()
    for label in report.splits[0].labels if report.splits else ():
        numbers = [part.labels[label] for part in report.splits]
        table.add_row(escape(label), *map(_thousands, numbers), _thousands(sum(numbers)))
    return table


def _durations(report: DatasetReport) -> Table:
    table = _table(
        f"Lengths, from the {report.durations_from}",
        "split", "known", "hours", "shortest s", "median s", "longest s",
    )  # fmt: skip
    for part in report.splits:
        if (known := part.durations) is not None:
            table.add_row(
                part.split,
                _thousands(known.num_known),
                f"{known.total_seconds / 3600:.2f}",
                f"{known.shortest_seconds:.2f}",
                f"{known.median_seconds:.2f}",
                f"{known.longest_seconds:.2f}",
            )
    return table


def _leakage(report: DatasetReport) -> Table:
    table = _table(
        "What a later split shares with an earlier one", "splits", "kind", "shared", "of its rows", "%"
    )
    for column in table.columns[:2]:
        column.justify = "left"
    pairs = dict.fromkeys((shared.later, shared.earlier) for shared in report.leakage)
    for later, earlier in pairs:
        table.add_section()
        for shared in report.leakage:
            if (shared.later, shared.earlier) == (later, earlier):
                table.add_row(
                    f"{later} with {earlier}",
                    shared.kind,
                    f"{_thousands(shared.num_shared_values)} of {_thousands(shared.num_values)}",
                    f"{_thousands(shared.num_shared_rows)} of {_thousands(shared.num_rows)}",
                    f"{100 * shared.share:.1f}",
                )
    return table


def _skipped(report: DatasetReport, *, is_listed: bool) -> Table:
    """Reasons with how often each occurs; names and numbers in them are left out to see what is alike."""
    table = _table(f"Left out: {_thousands(len(report.skipped))}", "times", "why, for example")
    table.columns[1].justify = "left"
    alike = Counter(_gist(clip.reason) for clip in report.skipped)
    examples: dict[str, str] = {}
    for clip in report.skipped:
        examples.setdefault(_gist(clip.reason), clip.reason)
    for gist, count in alike.most_common(8):
        table.add_row(_thousands(count), escape(examples[gist]))
    if len(alike) > 8:
        table.add_row("…", f"{len(alike) - 8} more kinds of reasons")
    if not is_listed:
        table.caption = "--skipped FILE.csv writes them all"
    return table


def _gist(reason: str) -> str:
    return re.sub(r"\S*\d\S*", "#", reason)


def _thousands(number: int) -> str:
    return f"{number:,}"


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", overflow="fold")
    return table
