"""`deepmsi report`: everything an evaluation tells, as one page to attach to a paper or to print."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.terminal import errors, fail, progress_bar, told

REPORT_MARK = b"<title>Evaluation report: "
"""What the head of every report holds."""

commands = typer.Typer()


@commands.command(
    epilog="Example: [bold]deepmsi report runs/full-test --against runs/text-audio-test "
    "--out report.html[/bold]"
)
def report(
    evaluation: Annotated[Path, typer.Argument(help="Folder of an evaluation.")],
    out: Annotated[Path, typer.Option(help="The page; an older one there is replaced.")],
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of another evaluation of the same clips to hold it against; up to five."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Folder of the checkpoint, for its card; looked for where it usually lies."),
    ] = None,
    mistakes: Annotated[
        int, typer.Option(help="How many of the most confident mistakes to show.", min=0, max=200)
    ] = 12,
    pictures: Annotated[
        bool, typer.Option(help="Whether to show a picture of each; the data's licence may forbid it.")
    ] = True,
    words: Annotated[
        bool, typer.Option(help="Whether to show what is said in each; the data's licence may forbid it.")
    ] = True,
    on: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Printed on the page; today by default."),
    ] = None,
) -> None:
    """Write a report of an evaluation: one HTML page that needs no network and no script, and prints well.

    What was evaluated, all figures with their intervals, what differs from other evaluations, where it fails
    and why, how true its explanations are, limits, and the commands that make it again.
    """
    others = against or []
    if len({folder.resolve() for folder in (evaluation, *others)}) <= len(others):
        raise typer.BadParameter("--against takes other evaluations, each of them once.")
    _require_replaceable(out)
    with told():
        from app.report import MAX_AGAINST, Options, make_report
        from app.report_origin import read_sources
        from app.report_page import report_page
        from core.evaluation.compare import require_alike

        if len(others) > MAX_AGAINST:
            raise typer.BadParameter(f"--against takes up to {MAX_AGAINST} evaluations, not {len(others)}.")
        source, *rest = read_sources([evaluation, *others], checkpoint)
        if checkpoint is not None and source.checkpoint is None:
            raise typer.BadParameter(
                f"--checkpoint {checkpoint} is not the one that was evaluated: it holds none, or another."
            )
        for other in rest:
            require_alike(other.evaluation, source.evaluation)
        with progress_bar() as update:
            made = make_report(
                source,
                rest,
                on=on.date() if on else date.today(),
                options=Options(has_pictures=pictures, has_words=words, num_mistakes=mistakes),
                progress=update,
            )
    _write(out, report_page(made))
    if made.truth_problem:
        errors.print(escape(made.truth_problem), style="yellow")
    typer.echo(out)


def _require_replaceable(out: Path) -> None:
    """Leaves with a sentence where writing would destroy what is no report."""
    from core.writing import require_writable

    if out.is_dir():
        fail(f"{out} is a folder; name the file of the report, for example {out / 'report.html'}.")
    try:
        require_writable(out)
    except OSError as error:
        _refuse(out, error)
    if not out.exists():
        return
    try:
        is_report = REPORT_MARK in out.read_bytes()[:4000]
    except OSError as error:
        fail(f"{out} cannot be read ({error.strerror}), so it is not replaced; name another file.")
    if not is_report:
        fail(f"{out} exists and is no report, so it is not replaced; name another file.")


def _write(out: Path, content: str) -> None:
    from core.writing import replacing

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as part:
            part.write_text(content, encoding="utf-8")
    except OSError as error:
        _refuse(out, error)


def _refuse(out: Path, error: OSError) -> None:
    from core.writing import refusal

    fail(refusal(out, error, "make room there or name another file with --out"))
