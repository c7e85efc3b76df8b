"""`deepmsi predict`: the emotion of clips, told in tables or JSON, or kept in a table with a row per clip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.terminal import errors, fail, progress_bar, progress_file, told

if TYPE_CHECKING:
    from core.media.speech_models import Speech
    from core.prediction import Prediction
    from training.predictions import Tally

commands = typer.Typer()

CheckpointOption = Annotated[
    Path | None, typer.Option("--checkpoint", help="Folder of a checkpoint; one that ships by default.")
]
SpeechModelOption = Annotated[
    str,
    typer.Option(
        help="Whisper model that listens, for other languages than English: a folder, or a name on the "
        "Hugging Face hub such as Systran/faster-whisper-small, fetched once. The shipped one knows English "
        "only.",
        show_default=False,
    ),
]
LanguageOption = Annotated[
    str,
    typer.Option(
        metavar="CODE",
        help="Language that is spoken, such as de, es or zh; the model finds it where none is given.",
        show_default=False,
    ),
]
ProgressOption = Annotated[
    Path | None, typer.Option("--progress", help="File to keep telling how far it is in, as JSON.")
]


@commands.command(epilog="Example: [bold]deepmsi predict clip.mp4 --transcript 'No way!' --json[/bold]")
def predict(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Media files, or folders that hold some.", show_default=False)
    ] = None,
    transcript: Annotated[
        str | None, typer.Option(help="The words of the clip (for one clip); an empty text means none.")
    ] = None,
    transcribe: Annotated[
        bool, typer.Option(help="Whether to run speech-to-text on clips without a transcript.")
    ] = True,
    speech_model: SpeechModelOption = "",
    language: LanguageOption = "",
    start: Annotated[float | None, typer.Option(help="Begin of the span, in seconds.")] = None,
    end: Annotated[float | None, typer.Option(help="End of the span, in seconds.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="In place of clips: a data set, a manifest or a folder of clips, labelled or not. "
            "Spans and words are taken from it. Goes with --out."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Of the data; all for every clip.")] = "all",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Table to write, .csv or .parquet, one row per clip. Started again, it goes on where it "
            "stopped and asks only about what is new or changed."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes that answer, for --out; as many as the clips are worth and the machine bears "
            "by default. Each holds a network of its own: 1 to 4 GB, by its size.",
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N",
            help="Answer every Nth clip alone, from the Ith on, into a table of its own beside --out. The "
            "same command without it gathers what is there.",
            show_default=False,
        ),
    ] = "",
    int8: Annotated[
        bool,
        typer.Option(
            "--int8", help="Multiply in 8 bits: quicker, and nearly the same answers (docs/performance.md)."
        ),
    ] = False,
    progress: ProgressOption = None,
    checkpoint: CheckpointOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON array, one object per clip, instead of a table.")
    ] = False,
) -> None:
    """Predict the emotion of clips, with what each modality says."""
    one_clip = (("--transcript", transcript), ("--start", start), ("--end", end))
    if data is not None:
        if clips or out is None:
            raise typer.BadParameter("--data goes with --out, and in place of clips.")
        if given := [name for name, value in one_clip if value is not None]:
            raise typer.BadParameter(f"{given[0]} goes with one clip, not with --data.")
    elif not clips:
        raise typer.BadParameter("give clips, or folders of clips, or --data with --out.")
    if out is not None and as_json:
        raise typer.BadParameter("--json goes without --out; a table is read from its file.")
    if out is not None and out.suffix.lower() not in (".csv", ".parquet"):
        raise typer.BadParameter(f"--out is a table, .csv or .parquet, not {out.name}.")
    if progress is not None and out is None:
        raise typer.BadParameter("--progress goes with --out.")
    if out is not None and int8:
        raise typer.BadParameter("--int8 goes without --out; a table's answers are all of full precision.")
    if out is None and (workers is not None or shard):
        raise typer.BadParameter(f"{'--shard' if shard else '--workers'} goes with --out.")
    paths = _media_files(clips or [])
    for name, value in one_clip:
        if value is not None and len(paths) > 1:
            raise typer.BadParameter(f"{name} goes with one clip, but {len(paths)} were given.")
    speech = speech_of(speech_model, language, transcribe=transcribe)
    if out is not None:
        _write_table(
            data,
            paths,
            speech=speech,
            split=split,
            span=(start, end),
            transcript=transcript,
            transcribe=transcribe,
            out=out,
            workers=workers,
            shard=shard,
            progress=progress,
            checkpoint=checkpoint,
        )
    else:
        _tell(
            paths,
            speech=speech,
            transcript=transcript,
            transcribe=transcribe,
            span=(start, end),
            int8=int8,
            checkpoint=checkpoint,
            as_json=as_json,
        )


def speech_of(model: str, language: str, *, transcribe: bool) -> Speech:
    """How to listen, from the options; what cannot be meant is refused before any work.

    A named model is loaded, so that a wrong name fails at once and not once for each clip.
    """
    from core.media.speech_models import Speech, english_only, load, unavailable_sentence

    speech = Speech(model=model.strip(), language=language.strip().lower())
    if speech == Speech():
        return speech
    if not transcribe:
        raise typer.BadParameter("--speech-model and --language go without --no-transcribe.")
    with told():
        if (reason := unavailable_sentence(speech)) is not None:
            fail(reason)
        if speech.language not in ("", *load(speech.model).supported_languages):
            fail(english_only(speech))
    return speech


def _write_table(
    data: Path | None,
    paths: list[Path],
    *,
    speech: Speech,
    split: str,
    span: tuple[float | None, float | None],
    transcript: str | None,
    transcribe: bool,
    out: Path,
    workers: int | None,
    shard: str,
    progress: Path | None,
    checkpoint: Path | None,
) -> None:
    with told(), progress_file(progress) as note, progress_bar(is_long=True) as bar:
        from core.checkpoint import load_checkpoint
        from core.predict import Predictor
        from core.shipped import checkpoint_for
        from training.datasets import Utterance, read_dataset
        from training.predictions import predict_all, to_be_asked
        from training.shards import shard_named, shard_of_this_process
        from training.sources import folder_of

        if data is None:
            root = Path.cwd()
            start, end = span
            utterances = [
                Utterance(
                    key=str(path),
                    path=path,
                    label="",
                    start_seconds=start,
                    end_seconds=end,
                    transcript=transcript,
                )
                for path in dict.fromkeys(paths)
            ]
        else:
            root = folder_of(data)
            utterances = to_be_asked(read_dataset(data.resolve(), needs_labels=False), split)
        part = shard_named(shard) if shard else shard_of_this_process()
        if part is not None:
            utterances, out = part.of(utterances), part.table(out)
        note(0, len(utterances), "Loading the model")

        def update(done: int, total: int, key: str) -> None:
            note(done, total, key)
            bar(done, total, key)

        tally = predict_all(
            Predictor(
                load_checkpoint(checkpoint or checkpoint_for(*([data] if data else paths))), speech=speech
            ),
            utterances,
            out,
            root=root,
            transcribe=transcribe,
            progress=update,
            num_workers=workers,
        )
    _print_tally(tally, out)


def _print_tally(tally: Tally, out: Path) -> None:
    for key, reason in tally.failures:
        errors.print(f"without an answer: {escape(key)}: {escape(reason)}", style="yellow")
    if tally.failures and not tally.num_answered:
        fail(f"None of {len(tally.failures)} clips could be answered; {out} says why.")
    known = f", {tally.num_known} of them from before" if tally.num_known else ""
    without = f"; {len(tally.failures)} without" if tally.failures else ""
    typer.echo(f"{tally.num_answered} answers{known}{without}", err=True)
    typer.echo(out)


def _tell(
    paths: list[Path],
    *,
    speech: Speech,
    transcript: str | None,
    transcribe: bool,
    span: tuple[float | None, float | None],
    int8: bool,
    checkpoint: Path | None,
    as_json: bool,
) -> None:
    from core.media.clip import MediaError

    with told():
        from core.checkpoint import load_checkpoint
        from core.int8 import use_int8
        from core.media import open_clip
        from core.predict import Predictor
        from core.shipped import checkpoint_for

        loaded = load_checkpoint(checkpoint or checkpoint_for(*paths))
        if int8:
            use_int8(loaded.model)
        predictor = Predictor(loaded, speech=speech)
    start, end = span
    results: list[Prediction | dict[str, str]] = []
    with progress_bar() as update:
        for number, path in enumerate(paths):
            try:
                clip = open_clip(
                    path, start_seconds=start, end_seconds=end, transcript=transcript, apart=True
                )
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
    from core.media import MEDIA_SUFFIXES

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
