"""The command line, `deepmsi`: the same functions that the app calls.

Heavy imports stay inside the commands, so that `--help` answers at once. Exit codes: 0 done, 1 the work
failed, 2 bad usage. Errors are one sentence on stderr; what a program reads goes to stdout.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app import (
    bench_commands,
    corpus_commands,
    data_commands,
    evaluation_commands,
    explain_command,
    training_commands,
)
from app.launch import environment, free_port, streamlit_arguments
from app.terminal import errors, fail, progress_bar, told

if TYPE_CHECKING:
    from core.prediction import Prediction

cli = typer.Typer(
    name="deepmsi",
    help="Which emotion does a clip carry, and why: predict, explain in the browser, train, make clips.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(explain_command.commands)
cli.add_typer(training_commands.commands)
cli.add_typer(corpus_commands.commands)
cli.add_typer(data_commands.commands)
cli.add_typer(evaluation_commands.commands)
cli.add_typer(bench_commands.commands)


def main() -> None:
    """Entry point of the `deepmsi` command."""
    # before torch is imported: spinning threads make a forward pass many times slower under load
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    cli()


CheckpointOption = Annotated[
    Path | None, typer.Option("--checkpoint", help="Folder of a checkpoint; the shipped one by default.")
]


@cli.command("app", epilog="Example: [bold]deepmsi app --port 8600[/bold]")
def app_command(
    checkpoint: CheckpointOption = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8501 or the next free one.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Address to listen on; this machine alone by default.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the app in the browser; Ctrl-C ends it."""
    if checkpoint is not None:
        _require_checkpoint(checkpoint)
    port = port or free_port(address)
    host = "localhost" if address in (None, "0.0.0.0", "::") else address
    typer.echo(f"DeepMSI-MER Explorer, in a few seconds: http://{host}:{port} (Ctrl-C ends it)")
    arguments = streamlit_arguments(port=port, address=address, open_browser=browser)
    command = [sys.executable, "-m", "streamlit", *arguments]
    is_end_wanted = False
    with subprocess.Popen(command, env=environment(checkpoint)) as server:

        def end(*_: object) -> None:
            nonlocal is_end_wanted
            is_end_wanted = True
            server.terminate()

        # who ends this process ends the server with it
        before = signal.signal(signal.SIGTERM, end)
        try:
            code = server.wait()
        except KeyboardInterrupt:
            end()
            code = 0
        finally:
            signal.signal(signal.SIGTERM, before)
    raise typer.Exit(0 if is_end_wanted or code == 0 else 1)


@cli.command(epilog="Example: [bold]deepmsi predict clip.mp4 --transcript 'No way!' --json[/bold]")
def predict(
    clips: Annotated[list[Path], typer.Argument(help="Media files, or folders that hold some.")],
    transcript: Annotated[
        str | None, typer.Option(help="The words of the clip (for one clip); an empty text means none.")
    ] = None,
    transcribe: Annotated[
        bool, typer.Option(help="Whether to run speech-to-text on clips without a transcript.")
    ] = True,
    start: Annotated[float | None, typer.Option(help="Begin of the span, in seconds.")] = None,
    end: Annotated[float | None, typer.Option(help="End of the span, in seconds.")] = None,
    checkpoint: CheckpointOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array, one object per clip, instead of a table.")
    ] = False,
) -> None:
    """Predict the emotion of clips, with what each modality says."""
    from core.media.clip import MediaError

    paths = _media_files(clips)
    for name, value in (("--transcript", transcript), ("--start", start), ("--end", end)):
        if value is not None and len(paths) > 1:
            raise typer.BadParameter(f"{name} goes with one clip, but {len(paths)} were given.")

    with told():
        from core.checkpoint import default_checkpoint, load_checkpoint
        from core.media import open_clip
        from core.predict import Predictor

        predictor = Predictor(load_checkpoint(checkpoint or default_checkpoint()))
    results: list[Prediction | dict[str, str]] = []
    with progress_bar() as update:
        for number, path in enumerate(paths):
            try:
                clip = open_clip(path, start_seconds=start, end_seconds=end, transcript=transcript)
                results.append(
                    predictor.predict_clip(
                        clip,
                        transcribe=transcribe,
                        progress=lambda stage, number=number, path=path: update(
                            number, len(paths), f"{path.name}: {stage}"
                        ),
                    )
                )
            except MediaError as error:
                results.append({"path": str(path), "error": str(error)})
            update(number + 1, len(paths), path.name)

    failures = [result for result in results if isinstance(result, dict)]
    for failure in failures:
        errors.print(f"Error: {escape(failure['error'])}", style="red")
    if as_json:
        plain = [result if isinstance(result, dict) else result.to_dict() for result in results]
        typer.echo(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print_tables([result for result in results if not isinstance(result, dict)])
    raise typer.Exit(1 if failures else 0)


def _media_files(paths: list[Path]) -> list[Path]:
    """Files as given, and the media files inside folders, by name."""
    from app.clips import MEDIA_SUFFIXES

    files = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in MEDIA_SUFFIXES)
        if not found:
            fail(f"{path} holds no media file; give another folder or a file.")
        files += found
    return files


def _require_checkpoint(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        fail(f"{folder} is no checkpoint: it has no config.json.")


def _print_tables(predictions: list[Prediction]) -> None:
    from core.attribution.modalities import shown_verdict
    from core.labels import MODALITIES
    from core.prediction import SUBSETS

    if not predictions:
        return
    console = Console(highlight=False)
    table = _table("Emotion and its probability in %: together, and of each modality alone")
    table.add_column("Clip", overflow="fold")
    for name in ("Emotion", "%", *MODALITIES, "modalities"):
        table.add_column(name.capitalize(), justify="right" if name == "%" else "left", no_wrap=True)
    for answer in predictions:
        alone = (answer.modalities.probabilities[SUBSETS.index((m,))] for m in MODALITIES)
        table.add_row(
            escape(Path(answer.path).name),
            answer.prediction + (" ?" if answer.is_uncertain else ""),
            f"{100 * answer.confidence:.0f}",
            *(
                f"{answer.labels[row.argmax()]} {100 * row.max():.0f}" if answer.present[m] else "–"
                for m, row in zip(MODALITIES, alone, strict=True)
            ),
            shown_verdict(answer)[0],
        )
    if any(answer.is_uncertain for answer in predictions):
        table.caption = "? uncertain: the model would rather not say"
    console.print(table)
    if len(predictions) == 1:
        console.print(_classes(predictions[0]))
    for answer in predictions:
        name = escape(Path(answer.path).name)
        words = [f"“{answer.transcript}”"] if answer.transcript else []
        for sentence in (*words, shown_verdict(answer)[1], *answer.notes):
            console.print(f"{name}: {escape(sentence)}" if len(predictions) > 1 else escape(sentence))


def _classes(answer: Prediction) -> Table:
    """Every class of one clip with the share of each modality in its probability."""
    from core.labels import MODALITIES

    table = _table("Probability in %, and Shapley values in points")
    for name in ("Emotion", "%", *MODALITIES):
        table.add_column(name.capitalize(), justify="left" if name == "Emotion" else "right")
    for i in answer.probabilities.argsort()[::-1]:
        table.add_row(
            answer.labels[i],
            f"{100 * answer.probabilities[i]:.1f}",
            *(f"{100 * share:+.1f}" for share in answer.modalities.shapley[:, i]),
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )


if __name__ == "__main__":
    main()
