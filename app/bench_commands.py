"""`deepmsi bench …`: whether explanations are true, what predictions cost, and what cheaper are worth."""

from __future__ import annotations

from dataclasses import replace
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
    help="Measure whether explanations are true, how fast predictions are, and what cheaper ones are worth.",
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
        Path | None, typer.Option(help="Folder of a checkpoint; `full` by default.")
    ] = None,
    split: Annotated[str, typer.Option(help="Measure the clips of train, dev or test alone.")] = "",
    clips: Annotated[
        int | None, typer.Option(help="So many clips, spread evenly over the corpus.", min=1)
    ] = None,
    element: Annotated[
        list[str] | None,
        typer.Option(help="Explain these alone: frame, window or word; may be given several times."),
    ] = None,
    tests: Annotated[
        bool,
        typer.Option(
            "--tests",
            help="Measure deletion, insertion and randomisation of every method too; takes far longer.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report's file in place of a table.")
    ] = False,
) -> None:
    """Measure whether explanations are true: kept frames and patches, modalities, frames, seconds, words."""
    with told():
        from core.attribution.elements import METHODS
        from core.checkpoint import load_checkpoint
        from core.evaluation.artifact import TRUTH
        from core.predict import Predictor
        from core.shipped import default_checkpoint
        from training.truth_report import bench_truth

        explained = element or ELEMENTS
        _require_known("element", list(explained), ELEMENTS)
        methods = [(e, name) for e in ELEMENTS for name in METHODS if e in METHODS[name].elements]
        methods = [(e, name) for e, name in methods if e in explained]
        predictor = Predictor(load_checkpoint(checkpoint or default_checkpoint()))
        with progress_bar(is_long=True) as update:
            report = bench_truth(
                predictor,
                corpus,
                out,
                methods,
                split=split,
                max_clips=clips,
                with_tests=tests,
                progress=update,
            )
    if as_json:
        typer.echo((out / TRUTH).read_text(encoding="utf-8"))
        return
    typer.echo(report.to_markdown())
    errors.print(f"Report: {escape(str(out / TRUTH))}")


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
        typer.Option(help="Of a preset that is measured; `full`, or random weights, by default."),
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
        from core.cores import usable_cores
        from core.writing import require_writable
        from training.speed.bench import Settings, bench_speed
        from training.speed.report import JSON_FILE

        _require_known("preset", presets, tuple(PRESETS))
        numbers = threads or [n for n in (1, 2) if n <= usable_cores()]
        if max(numbers) > usable_cores():
            raise typer.BadParameter(
                f"{max(numbers)} threads are more than the {usable_cores()} cores here; give fewer."
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


@commands.command(
    epilog="Example: [bold]deepmsi bench curve --data sample_data/clips/train --out runs/curve[/bold]"
)
def curve(
    data: Annotated[Path, typer.Option(help="Labelled clips: a folder, a manifest or a data set.")],
    out: Annotated[Path, typer.Option(help="Folder of curve.json, its table curve.md, and curve.png.")],
    split: Annotated[str, typer.Option(help="Ask about the clips of train, dev, test or all.")] = "dev",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Folder of a checkpoint; `full` by default.")
    ] = None,
    frames: Annotated[
        list[int] | None, typer.Option(help="Kept frames to try; 10, 8, 6, 4 by default.", min=1)
    ] = None,
    patches: Annotated[
        list[float] | None,
        typer.Option(help="Shares of the configured patches to try; 1.5, 0.75, 0.5.", min=0.01, max=100),
    ] = None,
    still: Annotated[
        list[float] | None,
        typer.Option(
            help="Changes, of the range, below which a frame counts as the one before; 0.005, 0.01, 0.02.",
            min=0,
            max=1,
        ),
    ] = None,
    show: Annotated[
        str, typer.Option(metavar="MODALITIES", help="Show only these, joined by +, as video.")
    ] = "video+audio+text",
    clips: Annotated[int | None, typer.Option(help="So many clips, spread evenly.", min=1)] = None,
    repeats: Annotated[int, typer.Option(help="Turns of the timing that count.", min=1)] = 3,
    cache_dir: Annotated[Path, typer.Option(help="Where features of clips are kept.")] = Path(
        ".cache/features"
    ),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the figures' file in place of the table.")
    ] = False,
) -> None:
    """Draw what answers are worth against what they cost: fewer frames, other patches, still frames held.

    The checkpoint is asked as it is, never trained again.
    """
    with told():
        from app.curve_picture import picture
        from core.checkpoint import load_checkpoint
        from core.evaluation.artifact import NON_EMPTY, subset_name
        from core.shipped import default_checkpoint
        from core.writing import replacing, require_writable
        from training import curve as curves
        from training.sources import make_features, of_split, read_sources, require_labels

        subsets = {subset_name(one): one for one in NON_EMPTY if "video" in one}
        _require_known("choice of modalities", [show], tuple(subsets))
        require_writable(out / curves.JSON_FILE)
        loaded = load_checkpoint(checkpoint or default_checkpoint())
        sources = of_split(read_sources([data], scheme=loaded.config.labels.name), split)
        require_labels(sources, loaded.config.labels)
        if clips is not None:
            every = max(1.0, len(sources.utterances) / clips)
            chosen = [int(every * i) for i in range(min(clips, len(sources.utterances)))]
            sources = replace(sources, utterances=tuple(sources.utterances[i] for i in chosen))
        features = make_features(sources, loaded.model, cache_dir, progress=not as_json)
        settings = curves.settings_of(
            loaded.config.video,
            num_frames=frames or curves.NUM_FRAMES,
            shares=patches or curves.SHARES,
            still=still or curves.STILL,
        )
        with progress_bar(is_long=True) as update:
            found = curves.draw_curve(
                loaded,
                features,
                settings,
                data=data.resolve().name if data.is_dir() else data.resolve().parent.name,
                split=split,
                shown=subsets[show],
                num_turns=repeats,
                progress=update,
            )
        found.write(out)
        with replacing(out / curves.PICTURE_FILE) as part:
            picture(found).save(part, format="PNG")
    if as_json:
        typer.echo((out / curves.JSON_FILE).read_text(encoding="utf-8"))
        return
    typer.echo(found.to_markdown())
    errors.print(f"Picture: {escape(str(out / curves.PICTURE_FILE))}")


def _require_known(what: str, names: list[str], known: tuple[str, ...]) -> None:
    """Raises BadParameter, which is one sentence, for the first name that is not known."""
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"There is no {what} {unknown[0]!r}; choose {', '.join(known)}.")


def _once(values: list) -> list:
    return list(dict.fromkeys(values))


def _nearest(values, wanted: float) -> float:
    return min(values, key=lambda value: abs(value - wanted))
