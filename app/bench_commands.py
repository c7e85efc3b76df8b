"""`deepmsi bench …`: measuring the model's explanations against what is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.terminal import errors, progress_bar, told

ELEMENTS = ("frame", "window", "word")
"""Whose truth is known."""

commands = typer.Typer(
    name="bench",
    help="Measure explanations against clips whose truth is known.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@commands.callback()
def _bench() -> None:
    """A group, although it has one command so far."""


@commands.command(
    epilog="Example: [bold]deepmsi bench truth sample_data/clips/test --out runs/truth --clips 60[/bold]"
)
def truth(
    corpus: Annotated[Path, typer.Argument(help="A corpus that `deepmsi corpus make` made.")],
    out: Annotated[Path, typer.Option(help="Folder of the report; a run that was ended goes on there.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of a checkpoint; the shipped one by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="Measure the clips of train, dev or test alone.")] = "",
    clips: Annotated[
        int | None, typer.Option(help="So many clips, spread evenly over the corpus.", min=1)
    ] = None,
    element: Annotated[
        list[str] | None,
        typer.Option(help="Explain these alone: frame, window or word; may be given several times."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report's file in place of a table.")
    ] = False,
) -> None:
    """Measure whether explanations are true: kept frames and patches, modalities, frames, seconds, words."""
    with told():
        from core.attribution.elements import METHODS
        from core.checkpoint import default_checkpoint, load_checkpoint
        from core.predict import Predictor
        from training.truth_report import REPORT_FILE, bench_truth

        explained = element or ELEMENTS
        if unknown := sorted(set(explained) - set(ELEMENTS)):
            raise typer.BadParameter(f"There is no element {unknown[0]!r}; choose {', '.join(ELEMENTS)}.")
        methods = [(e, name) for e in ELEMENTS for name in METHODS if e in METHODS[name].elements]
        methods = [(e, name) for e, name in methods if e in explained]
        predictor = Predictor(load_checkpoint(checkpoint or default_checkpoint()))
        with progress_bar(is_long=True) as update:
            report = bench_truth(
                predictor, corpus, out, methods, split=split, max_clips=clips, progress=update
            )
    if as_json:
        typer.echo((out / REPORT_FILE).read_text(encoding="utf-8"))
        return
    typer.echo(report.to_markdown())
    errors.print(f"Report: {escape(str(out / REPORT_FILE))}")
