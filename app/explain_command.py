"""`deepmsi explain`: everything that is said about the answer for one clip, as files."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.predict_command import LanguageOption, SpeechModelOption, speech_of
from app.terminal import errors, fail, progress_bar, told

if TYPE_CHECKING:
    from core.attribution.explain import Explanation
    from core.predict import PreparedClip

JSON, TABLE, PICTURE, PAGE = "explanation.json", "elements.parquet", "explanation.png", "explanation.html"

commands = typer.Typer(rich_markup_mode="rich")


@commands.command(
    epilog="Example: [bold]deepmsi explain clip.mp4 --out why --class fear --instead-of surprise[/bold]"
)
def explain(
    clip: Annotated[Path, typer.Argument(help="A media file.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the files; explained/NAME of the clip by default.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="Folder of a checkpoint; one that ships by default.")
    ] = None,
    transcript: Annotated[
        str | None, typer.Option(help="The words of the clip; an empty text means none.")
    ] = None,
    transcribe: Annotated[
        bool, typer.Option(help="Whether to run speech-to-text where no transcript is given.")
    ] = True,
    speech_model: SpeechModelOption = "",
    language: LanguageOption = "",
    label: Annotated[
        str | None, typer.Option("--class", help="Emotion to explain; the predicted one by default.")
    ] = None,
    instead_of: Annotated[str | None, typer.Option(help="Explain why the emotion, and not this one.")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ELEMENT=NAME",
            help="Method for word, window, frame or patch, such as frame=occlusion; may be repeated.",
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option(help="Whether to put the explanations to the test, which takes most of the time.")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print explanation.json in place of a table.")
    ] = False,
) -> None:
    """Explain the answer for a clip: JSON, a table of all elements, a picture and a page to read.

    What was computed is kept: a run that was ended goes on there, and the same question again is quick.
    """
    chosen = _methods(method or [])
    folder = out or Path("explained") / clip.stem
    _require_writable(folder)
    speech = speech_of(speech_model, language, transcribe=transcribe)
    with told():
        from core.attribution.elements import METHODS
        from core.attribution.explain import DEFAULTS, ELEMENTS, default_store
        from core.attribution.explain import explain as explain_clip
        from core.attribution.results import Target
        from core.checkpoint import load_checkpoint
        from core.media import open_clip
        from core.predict import Predictor
        from core.shipped import checkpoint_for

        for element, name in chosen.items():
            known = [key for key in METHODS if element in METHODS[key].elements]
            if name not in known:
                there = f"there are {', '.join(known)}" if known else f"elements are {', '.join(ELEMENTS)}"
                raise typer.BadParameter(f"--method {element}={name} is unknown; {there}.")
        opened = open_clip(clip, transcript=transcript, apart=True)
        predictor = Predictor(load_checkpoint(checkpoint or checkpoint_for(clip)), speech=speech)
        labels = predictor.config.labels.labels
        for option, value in (("--class", label), ("--instead-of", instead_of)):
            if value is not None and value not in labels:
                raise typer.BadParameter(f"{option} {value} is none of {', '.join(labels)}.")
        with progress_bar(is_long=True) as update:
            prepared = predictor.prepare(
                opened, transcribe=transcribe, progress=lambda stage: update(0, 100, stage)
            )
            store, target = default_store(), None
            if label is None and instead_of is not None:
                asked = explain_clip(
                    predictor, prepared, methods={}, store=store, with_faithfulness=(), with_effects=False
                )
                label = asked.target.label
            if label is not None:
                if label == instead_of:
                    raise typer.BadParameter(f"{label} is explained already; name another --instead-of.")
                target = Target(label=label, instead_of=instead_of)
            explanation = explain_clip(
                predictor,
                prepared,
                target=target,
                methods=DEFAULTS | chosen,
                store=store,
                with_faithfulness=ELEMENTS if trust else (),
                progress=lambda share, text: update(round(100 * share), 100, text),
            )
        content = write_files(explanation, prepared, folder)
    if as_json:
        typer.echo(content)
        return
    _print(explanation)
    errors.print(f"Written: {escape(str(folder / PAGE))}, {PICTURE}, {JSON} and {TABLE} beside it")


def write_files(explanation: Explanation, prepared: PreparedClip, folder: Path) -> str:
    """Write the four files of an explanation.

    Args:
        explanation: what is told.
        prepared: the clip that it explains.
        folder: made where there is none; files of the same names are replaced.

    Returns:
        The content of the JSON file.
    """
    from app.display import display_clip
    from app.explain_files import as_json, as_table
    from app.explain_page import page
    from app.explain_picture import picture
    from core.writing import replacing

    display = display_clip(
        prepared.crops, prepared.waveform, prepared.transcript, prepared.clip.duration_seconds
    )
    told = as_json(explanation, prepared.transcript)
    content = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # first all of them, then into their places, so that hardly anything can come between
        with ExitStack() as unfinished:
            parts = {
                name: unfinished.enter_context(replacing(folder / name))
                for name in (TABLE, PICTURE, PAGE, JSON)
            }
            as_table(explanation).to_parquet(parts[TABLE], index=False)
            picture(explanation, display).save(parts[PICTURE], "PNG", optimize=True)
            parts[PAGE].write_text(page(explanation, display), encoding="utf-8")
            parts[JSON].write_text(f"{content}\n", encoding="utf-8")
    except OSError as error:
        _refuse(folder, error)
    return content


def _require_writable(folder: Path) -> None:
    """Leaves with a sentence, before the work, where its files cannot be written."""
    from core.writing import require_writable

    try:
        require_writable(folder / PAGE)
    except OSError as error:
        _refuse(folder, error)


def _refuse(folder: Path, error: OSError) -> None:
    from core.writing import refusal

    fail(refusal(folder, error, "make room there or name another folder with --out"))


def _methods(given: list[str]) -> dict[str, str]:
    chosen = {}
    for pair in given:
        element, is_pair, name = pair.partition("=")
        if not is_pair:
            raise typer.BadParameter(f"--method {pair} should be ELEMENT=NAME, such as word=occlusion.")
        chosen[element] = name
    return chosen


def _print(explanation: Explanation) -> None:
    """The answer, what the modalities say, and for each kind of element what gave most."""
    import numpy as np

    from core.attribution.modalities import shown_verdict

    console, prediction = Console(highlight=False), explanation.prediction
    uncertain = ", uncertain" if prediction.is_uncertain else ""
    console.print(f"{prediction.prediction} {100 * prediction.confidence:.0f} %{uncertain}")
    console.print(escape(shown_verdict(prediction)[1]))
    table = Table(
        title=f"What weighed most for or against {explanation.target}, in points of probability",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for name in ("Element", "Method", "Which", "Points", "Can it be trusted?"):
        table.add_column(name, justify="right" if name == "Points" else "left")
    for element, found in explanation.attributions.items():
        place = np.unravel_index(np.abs(found.values).argmax(), found.values.shape)
        start, end = found.start_seconds[place[0]], found.end_seconds[place[0]]
        which = f"at {start:.2f} s" if start == end else f"{start:.2f} – {end:.2f} s"
        tested = explanation.faithfulness.get(element)
        table.add_row(
            element,
            found.method,
            escape(found.words[place[0]]) if found.words else which,
            f"{100 * found.values[place]:+.1f}",
            tested.verdict if tested else "not tested",
        )
    console.print(table)
