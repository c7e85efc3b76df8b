"""`deepmsi bench …`: whether explanations are true, and what predictions cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.terminal import errors, progress_bar, told

ELEMENTS = ("frame", "window", "word")
"""Whose truth is known."""

SPEED_PARTS = ("encoder", "stages", "growth", "pipeline", "prediction", "explain", "memory")
"""What is measured where nothing else is asked for."""

LONG_PARTS = ("compiled", "trust")
"""Only where they are asked for: the first needs a C++ compiler, the second takes many minutes."""

SPEED_PRESETS = ("paper", "mini")

commands = typer.Typer(
    name="bench",
    help="Measure whether explanations are true, and how fast predictions are.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


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
        _require_known("element", list(explained), ELEMENTS)
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


@commands.command(
    epilog="Example: [bold]deepmsi bench speed --out runs/speed --part encoder --preset paper[/bold]"
)
def speed(
    out: Annotated[Path, typer.Option(help="Folder of speed.json and of its tables, speed.md.")],
    part: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Measure these alone: {', '.join(SPEED_PARTS)}; or, which takes long, "
            f"{' or '.join(LONG_PARTS)}. May be given several times."
        ),
    ] = None,
    preset: Annotated[
        list[str] | None, typer.Option(help="Of these networks; paper and mini by default.")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="With so many threads; 1 and 2 by default.", min=1)
    ] = None,
    repeats: Annotated[int, typer.Option(help="Turns that count; one more warms up.", min=1)] = 5,
    frames: Annotated[
        list[int] | None, typer.Option(help="Candidate frames to grow by; 5, 15, 30, 60 by default.", min=1)
    ] = None,
    seconds: Annotated[
        list[float] | None, typer.Option(help="Clips to grow by; 3, 10, 60 s by default.", min=0.5, max=600)
    ] = None,
    height: Annotated[int, typer.Option(help="Lines of the clips that are made.", min=64, max=2160)] = 720,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Of a preset that is measured; the shipped one, or random weights, by default."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures' file in place of tables.")
    ] = False,
) -> None:
    """Measure what predictions cost: alternatives in turns, counted work, and the least time it could take.

    Clips of about 4 s ship; longer ones are made in a temporary folder.
    """
    chosen, presets = part or list(SPEED_PARTS), preset or list(SPEED_PRESETS)
    _require_known("part", chosen, (*SPEED_PARTS, *LONG_PARTS))
    with told():
        from core.config import PRESETS
        from core.writing import require_writable
        from training.speed.bench import Settings, bench_speed
        from training.speed.machine import num_cores
        from training.speed.report import JSON_FILE

        _require_known("preset", presets, tuple(PRESETS))
        numbers = threads or [n for n in (1, 2) if n <= num_cores()]
        if max(numbers) > num_cores():
            raise typer.BadParameter(
                f"{max(numbers)} threads are more than the {num_cores()} cores here; give fewer."
            )
        require_writable(out / JSON_FILE)
        defaults = Settings()
        settings = Settings(
            num_turns=repeats,
            num_frames=tuple(sorted(set(frames or defaults.num_frames))),
            clip_seconds=tuple(sorted(set(seconds or defaults.clip_seconds))),
            pipeline_seconds=_nearest(seconds or defaults.clip_seconds, defaults.pipeline_seconds),
            height=height,
            checkpoint=checkpoint,
        )
        with progress_bar(is_long=True) as update:
            report = bench_speed(
                _once(chosen), _once(presets), _once(numbers), out, settings, progress=update
            )
    if as_json:
        typer.echo((out / JSON_FILE).read_text(encoding="utf-8"))
        return
    typer.echo(report.to_markdown())
    errors.print(f"Figures: {escape(str(out / JSON_FILE))}")


def _require_known(what: str, names: list[str], known: tuple[str, ...]) -> None:
    """Raises BadParameter, which is one sentence, for the first name that is not known."""
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"There is no {what} {unknown[0]!r}; choose {', '.join(known)}.")


def _once(values: list) -> list:
    return list(dict.fromkeys(values))


def _nearest(values, wanted: float) -> float:
    return min(values, key=lambda value: abs(value - wanted))
