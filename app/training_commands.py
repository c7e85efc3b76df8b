"""`deepmsi train` and `deepmsi pretrain`: making checkpoints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from app.terminal import errors, told

if TYPE_CHECKING:
    from training.runs import RunsSummary

commands = typer.Typer()


@commands.command(
    epilog="Example: [bold]deepmsi train --preset mini --data clips/manifest.csv --out runs/first[/bold]"
)
def train(
    data: Annotated[
        list[Path],
        typer.Option(help="A manifest or the folder of a data set; may be given several times."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint to be made.")],
    preset: Annotated[str, typer.Option(help="Size of the model: paper, base, mini or tiny.")] = "mini",
    cache_dir: Annotated[Path, typer.Option(help="Where features of clips are kept.")] = Path(
        ".cache/features"
    ),
    start: Annotated[
        Path | None,
        # torchrun takes --start for a start of its own --start-method
        typer.Option("--start-from", help="Checkpoint whose weights the run begins with: fine-tuning."),
    ] = None,
    pretrained_video: Annotated[
        Path | None, typer.Option(help="Folder that `deepmsi pretrain` made; a random start by default.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many.", min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Clips per step.", min=2)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of all but the video encoder.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same checkpoint.")] = 0,
    seeds: Annotated[
        str | None, typer.Option(help="Several, as in 0,1,2: a run of each, and their mean and deviation.")
    ] = None,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Admit clips outside the folder of their manifest.")
    ] = False,
    protocol: Annotated[
        str | None,
        typer.Option(
            help="official, session5, loso, paper-10fold or grouped-kfold: a run of each fold, and their "
            "mean and deviation; the data's own split by default."
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Of the processor, for one process.", min=1)] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run stopped, if there is one.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of any other field of training.config.TrainConfig."),
    ] = None,
) -> None:
    """Train a model on clips and save the epoch that does best on held-out ones.

    Ctrl-C or SIGTERM keeps the state of the run; --resume goes on to the same weights. Beside the checkpoint,
    OUT.run holds curves for TensorBoard.
    """
    chosen = {
        "num_epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "num_threads": threads,
        "start": start,
        "pretrained_video": pretrained_video,
        "protocol": protocol,
    }
    with told():
        from training.config import TrainConfig
        from training.loop import train as run
        from training.runs import train_runs

        try:
            config = TrainConfig.from_dict(
                {"data": data, "out": out, "cache_dir": cache_dir, "preset": preset, "seed": seed}
                | {"allow_outside": allow_outside}
                | {name: value for name, value in chosen.items() if value is not None}
                | dict(map(_setting, settings or ()))
            )
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(f"{error}.") from error
        if seeds is None and config.protocol is None:
            _tell(run(config, resume=resume))
            return
        summary = train_runs(config, seeds=_seeds(seeds or str(seed)), resume=resume)
        if summary is not None:
            _show_runs(summary)
            typer.echo(out)


@commands.command(
    epilog="Example: [bold]deepmsi pretrain --data clips/manifest.csv --out runs/video --phase 64:3000[/bold]"
)
def pretrain(
    out: Annotated[Path, typer.Option(help="Folder for the encoder; `deepmsi train` takes it.")],
    data: Annotated[
        list[Path] | None, typer.Option(help="A manifest whose clips have sidecars with action units.")
    ] = None,
    stills: Annotated[
        list[Path] | None, typer.Option(help="Labelled pictures: a Parquet table or a folder.")
    ] = None,
    dev_stills: Annotated[list[Path] | None, typer.Option(help="The same, to choose the best.")] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start-from",
            help="Go on from the encoder in this folder; without --phase, with the clips' part alone.",
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Whose video encoder is trained.")] = "mini",
    cache_dir: Annotated[Path, typer.Option(help="Where features of clips are kept.")] = Path(
        ".cache/features"
    ),
    phase: Annotated[
        list[str] | None,
        typer.Option(help="SIDE:STEPS or SIDE:STEPS:BATCH, in order; a low resolution first saves time."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same encoder.")] = 0,
    threads: Annotated[int, typer.Option(help="Of the processor.", min=1)] = 2,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run stopped, if there is one.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="NAME=VALUE of any other field of training.pretrain_config.PretrainConfig."
        ),
    ] = None,
) -> None:
    """Train the video encoder on single pictures of faces, before `deepmsi train`.

    Ctrl-C or SIGTERM keeps the state of the run in OUT.run; --resume goes on to the same weights.
    """
    with told():
        from core.config import dataclass_from_dict
        from training.pretrain import pretrain as run
        from training.pretrain_config import PretrainConfig

        chosen = {
            "out": out,
            "cache_dir": cache_dir,
            "preset": preset,
            "data": data or (),
            "stills": stills or (),
            "dev_stills": dev_stills or (),
            "start": start,
            "seed": seed,
            "num_threads": threads,
        }
        try:
            if phase or start:
                chosen["phases"] = [_phase(text) for text in phase or ()]
            chosen |= dict(map(_setting, settings or ()))
            config = dataclass_from_dict(PretrainConfig, chosen, "pretraining")
        except (ValueError, TypeError) as error:
            raise typer.BadParameter(f"{error}.") from error
        _tell(run(config, resume=resume))


def _tell(folder: Path) -> None:
    """What was made; of several processes the first one tells it."""
    if not int(os.environ.get("RANK", 0)):
        typer.echo(folder)


def _seeds(text: str) -> list[int]:
    """Different numbers, parted by commas."""
    parts = [part.strip() for part in text.split(",")]
    if not all(map(str.isdecimal, parts)) or len(set(map(int, parts))) < len(parts):
        raise typer.BadParameter(f"--seeds takes different numbers, as in 0,1,2, not {text!r}.")
    return list(map(int, parts))


def _setting(text: str) -> tuple[str, object]:
    """`name=value` with a JSON value, or a plain word."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set takes NAME=VALUE, not {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _phase(text: str) -> dict[str, int]:
    """`side:steps` or `side:steps:batch` as fields of `training.pretrain_config.Phase`."""
    numbers = text.split(":")
    if len(numbers) not in (2, 3) or not all(map(str.isdecimal, numbers)):
        raise ValueError(f"--phase takes SIDE:STEPS or SIDE:STEPS:BATCH, not {text!r}")
    return dict(zip(("image_size", "num_steps", "batch_size"), map(int, numbers), strict=False))


def _show_runs(summary: RunsSummary) -> None:
    num_runs = f"{len(summary.runs)} run{'s' * (len(summary.runs) != 1)}"
    table = Table(
        title=f"{num_runs}, protocol {summary.protocol}, {summary.split}, all modalities",
        box=box.SIMPLE,
    )
    table.add_column("")
    table.add_column("mean", justify="right")
    table.add_column("± sd of runs", justify="right")
    table.add_column("95 % over clips, widest", justify="right")
    table.add_column("clips in a run", justify="right")
    rows = [(name, spread, "", "") for name, spread in summary.scores.items()]
    for label, spread in summary.f1_per_class.items():
        fewest, most = summary.num_clips_per_class[label]
        ends = summary.f1_interval_per_class[label]
        interval = "–" if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"
        num_clips = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        rows.append((f"F1 of {label}", spread, interval, num_clips))
    for name, spread, interval, num_clips in rows:
        shown = ("–" if value is None else f"{value:.3f}" for value in (spread.mean, spread.deviation))
        table.add_row(name, *shown, interval, num_clips)
    errors.print(table)
    if summary.caveat:
        errors.print(summary.caveat, style="yellow")
