"""The command line, `deepmsi`: the same functions that the app calls.

Heavy imports stay inside the commands, so that `--help` answers at once. Exit codes: 0 done, 1 the work
failed, 2 bad usage. Errors are one sentence on stderr; what a program reads goes to stdout.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from app import (
    bench_commands,
    corpus_commands,
    data_commands,
    evaluation_commands,
    explain_command,
    predict_command,
    report_command,
    training_commands,
)
from app.launch import environment, free_port, streamlit_arguments
from app.predict_command import CheckpointOption
from app.terminal import errors, fail, sentence_of_disk

cli = typer.Typer(
    name="deepmsi",
    help="Which emotion does a clip carry, and why: predict, explain in the browser, train, make clips.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.add_typer(predict_command.commands)
cli.add_typer(explain_command.commands)
cli.add_typer(training_commands.commands)
cli.add_typer(corpus_commands.commands)
cli.add_typer(data_commands.commands)
cli.add_typer(evaluation_commands.commands)
cli.add_typer(report_command.commands)
cli.add_typer(bench_commands.commands)


def main() -> None:
    """Entry point of the `deepmsi` command."""
    # before torch is imported: spinning threads make a forward pass many times slower under load
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        cli()
    except OSError as error:
        # what was made goes to a file of the shell's, whose name is not known here
        sentence = sentence_of_disk(error, error.filename or "The output")
        if sentence is None:
            raise
        errors.print(f"Error: {sentence}", style="red", markup=False)
        # what is still to be written to it would fail again
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None


@cli.command("app", epilog="Example: [bold]deepmsi app --port 8600[/bold]")
def app_command(
    checkpoint: CheckpointOption = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8501 or the next free one.")] = None,
    address: Annotated[
        str | None, typer.Option(help="Address to listen on; this machine alone by default.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True,
) -> None:
    """Open the app in the browser; Ctrl-C or closing the terminal ends it, and what it was asked to train."""
    if checkpoint is not None:
        _require_checkpoint(checkpoint)
    port = port or free_port(address)
    host = "localhost" if address in (None, "0.0.0.0", "::") else address
    typer.echo(f"DeepMSI-MER Explorer, in a few seconds: http://{host}:{port} (Ctrl-C ends it)")
    arguments = streamlit_arguments(port=port, address=address, open_browser=browser)
    command = [sys.executable, "-m", "app.server", *arguments]
    is_end_wanted = False
    with subprocess.Popen(command, env=environment(checkpoint)) as server:

        def end(*_: object) -> None:
            nonlocal is_end_wanted
            is_end_wanted = True
            server.terminate()

        # who ends this process ends the server with it
        def hang_up(*_: object) -> None:
            nonlocal is_end_wanted
            is_end_wanted = True
            server.send_signal(signal.SIGHUP)

        before = signal.signal(signal.SIGTERM, end)
        # nohup wants to outlive the terminal
        hangup = signal.getsignal(signal.SIGHUP)
        if hangup == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, hang_up)
        try:
            code = server.wait()
        except KeyboardInterrupt:
            end()
            code = 0
        finally:
            signal.signal(signal.SIGTERM, before)
            signal.signal(signal.SIGHUP, hangup)
    raise typer.Exit(0 if is_end_wanted or code == 0 else 1)


def _require_checkpoint(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        fail(f"{folder} is no checkpoint: it has no config.json.")


if __name__ == "__main__":
    main()
