"""`deepmsi evaluate` and `deepmsi compare`: what a checkpoint is worth, and whether another is better."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.predict_command import ProgressOption
from app.terminal import errors, progress_bar, progress_file, told

if TYPE_CHECKING:
    from core.evaluation import Comparison, Evaluation
    from core.evaluation.compare import Difference

commands = typer.Typer()

HEADLINE_NAMES = {
    "accuracy": "accuracy",
    "weighted_f1": "weighted F1",
    "macro_f1": "macro F1",
    "uar": "UAR (mean recall)",
    "macro_auroc": "mean AUROC",
    "ece": "calibration error",
    "brier": "Brier score",
}
"""What tables call the figures of `core.evaluation.metrics.HEADLINES`; of the last two, less is better."""

MAX_LISTED = 10
"""Flipped clips of each kind that a table names; `--json` has all."""


JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


@commands.command(
    epilog="Example: [bold]deepmsi evaluate runs/mini --data clips/manifest.csv --split test "
    "--out runs/mini-test[/bold]"
)
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a checkpoint.")],
    data: Annotated[Path, typer.Option(help="A data set's folder, or a manifest (CSV).")],
    out: Annotated[Path, typer.Option(help="Folder for the evaluation; an older one there is replaced.")],
    split: Annotated[str, typer.Option(help="Split to evaluate; all for every clip.")] = "test",
    cache_dir: Annotated[Path, typer.Option(help="Where features of clips are kept.")] = Path(
        ".cache/features"
    ),
    batch_size: Annotated[
        int, typer.Option(help="Clips per forward pass; the result does not depend on it.", min=1)
    ] = 8,
    bootstrap: Annotated[
        int, typer.Option(help="Resamples that the 95 % intervals rest on.", min=100, max=100_000)
    ] = 1000,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Admit clips outside the manifest's folder.")
    ] = False,
    protocol: Annotated[
        str | None,
        typer.Option(help="Parts the data as in training; the checkpoint's own on its own data."),
    ] = None,
    fold: Annotated[str, typer.Option(help="Of the protocol.")] = "",
    without_words: Annotated[
        bool,
        typer.Option("--without-words", help="Keep no transcripts, where they may not be passed on."),
    ] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Multiply in 8 bits, on the processor: what `deepmsi predict --int8` is worth.",
        ),
    ] = False,
    progress: ProgressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a checkpoint about every clip of a data set, keep the answers, and tell how good they are.

    Started again after an interruption, it goes on from the features that are made. Under `torchrun`
    each process asks about its share of the clips.
    """
    rank, num_processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    with told(), progress_file(progress if rank == 0 else None) as note:
        import torch

        from core.checkpoint import load_checkpoint
        from core.evaluation.artifact import require_replaceable
        from core.int8 import INT8_SENTENCE, use_int8
        from training.evaluate import evaluate_checkpoint
        from training.held_out import caveats_of, part_as_trained
        from training.sources import make_features, of_split, read_sources, require_labels

        require_replaceable(out)
        loaded = load_checkpoint(checkpoint)
        labels = loaded.config.labels
        # read as in training, for other options may part the data otherwise
        options = loaded.metrics.get("train_config", {}).get("data_options", {})
        sources = read_sources([data], allow_outside=allow_outside, scheme=labels.name, options=options)
        try:
            sources, used, fold = part_as_trained(loaded, sources, protocol, fold)
        except ValueError as error:
            raise typer.BadParameter(f"{error}.") from error
        caveats = caveats_of(loaded, sources, split, used)
        if int8:
            use_int8(loaded.model)
            # what the encoders make of sound and words is kept there, and is another
            cache_dir, caveats = cache_dir / "int8", (*caveats, INT8_SENTENCE)
        sources = of_split(sources, split)
        require_labels(sources, labels)
        is_main, turn = rank == 0, nullcontext()
        if num_processes > 1:
            from training.processes import join

            accelerator = join(num_threads=torch.get_num_threads())
            device = accelerator.device
            turn = accelerator.main_process_first()
        else:
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if not int8:  # which only a processor does
            loaded.model.to(device)
        with turn:
            features = make_features(
                sources,
                loaded.model,
                cache_dir,
                progress=is_main and not as_json,
                told=lambda done, total: note(done, total, "Reading the clips"),
            )
        for skipped in features.skipped if is_main else ():
            errors.print(f"skipped {escape(skipped.utterance.key)}: {escape(skipped.reason)}", style="yellow")
        with progress_bar(is_long=True) as bar:

            def update(done: int, total: int) -> None:
                bar(done, total, "clips")
                note(done, total, "Asking the model")

            evaluation = evaluate_checkpoint(
                loaded,
                features,
                data=data,
                split=split,
                protocol=used,
                fold=fold,
                caveats=caveats,
                batch_size=batch_size,
                num_bootstrap=bootstrap,
                progress=update if is_main else None,
                rank=rank,
                num_processes=num_processes,
            )
        if not is_main:
            return
        (evaluation.without_words() if without_words else evaluation).write(out)
    if as_json:
        values = {"out": str(out), "num_clips": evaluation.info.num_clips, **evaluation.metrics.to_dict()}
        typer.echo(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print_evaluation(evaluation)
        typer.echo(out)


SubsetOption = Annotated[
    str | None,
    typer.Option(metavar="MODALITIES", help="Show only these, joined by +, as audio+text; all by default."),
]


@commands.command(epilog="Example: [bold]deepmsi compare runs/text-audio-test runs/full-test[/bold]")
def compare(
    a: Annotated[Path, typer.Argument(help="Folder of an evaluation: the one to beat.")],
    b: Annotated[Path, typer.Argument(help="Folder of an evaluation of the same clips.")],
    only_a: SubsetOption = None,
    only_b: SubsetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether B is better than A: paired differences with intervals, tests, and the clips that flipped.

    With the same folder twice and --only-a or --only-b, whether modalities together are better than some of
    them.
    """
    subsets = tuple(_subset(name, value) for name, value in (("--only-a", only_a), ("--only-b", only_b)))
    with told():
        from core.evaluation import compare as run
        from core.evaluation import read_evaluation

        result = run(read_evaluation(a), read_evaluation(b), subsets=subsets)
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _print_comparison(result)


def _subset(option: str, text: str | None) -> tuple[str, ...]:
    from core.labels import MODALITIES

    if text is None:
        return MODALITIES
    wanted = text.split("+")
    if unknown := [name for name in wanted if name not in MODALITIES]:
        raise typer.BadParameter(
            f"{option} takes some of {', '.join(MODALITIES)}, joined by +, not {unknown[0]!r}."
        )
    return tuple(modality for modality in MODALITIES if modality in wanted)


def _print_evaluation(evaluation: Evaluation) -> None:
    info, subsets = evaluation.info, evaluation.metrics.subsets
    together = subsets["video+audio+text"]
    console = Console(highlight=False)
    title = f"{info.checkpoint} on {info.data}, split {info.split}: {together.num_clips} clips"
    _print(
        console,
        title,
        ("Figure", "All modalities"),
        [(shown, str(getattr(together, name))) for name, shown in HEADLINE_NAMES.items()],
    )
    _print(
        console,
        "Each emotion; told is how often the model says it",
        ("Emotion", "Clips", "Told", "Precision", "Recall", "F1"),
        [
            (label, of.support, of.num_predicted, *(f"{e:.2f}" for e in (of.precision, of.recall, of.f1)))
            for label, of in together.classes.items()
        ],
    )
    parts = [("With some of the modalities", "Modalities", subsets)]
    if "scenario" in evaluation.metrics.slices:
        parts.append(("Each scenario", "Scenario", evaluation.metrics.slices["scenario"]))
    for name, column, scores in parts:
        rows = [(key, of.num_clips, str(of.accuracy), str(of.macro_f1)) for key, of in scores.items()]
        _print(console, name, (column, "Clips", "Accuracy", "Macro F1"), rows)
    console.print(
        f"[…] are 95 % intervals of {info.num_bootstrap:,} resamples of {together.num_groups} "
        f"{info.resampled}s. AUROC of each emotion and further slices are in metrics.json.",
        markup=False,
    )
    for caveat in info.caveats:
        console.print(caveat, style="yellow", markup=False)


def _print_comparison(result: Comparison) -> None:
    console = Console(highlight=False)
    _print(
        console,
        f"A is {result.a}, B is {result.b}: {result.num_clips} clips of {result.data}, split {result.split}",
        ("Figure", "A", "B", "B − A"),
        [(shown, *_difference(result.headlines[name])) for name, shown in HEADLINE_NAMES.items()],
    )
    test, p_value = result.accuracy_test, _p_value(result.accuracy_test.p_value)
    sign = "" if p_value.startswith("<") else "= "
    console.print(
        f"Only A is right on {test.only_a_right} clips, only B on {test.only_b_right}; "
        f"were they equally good, p {sign}{p_value} (McNemar, exact).\n"
    )
    _print(
        console,
        "F1 of each emotion",
        ("Emotion", "Clips", "A", "B", "B − A"),
        [(label, of.support, *_difference(of.f1)) for label, of in result.classes.items()],
    )
    _print(
        console,
        "Clips of each emotion that only one is right on; p: McNemar, exact, after Holm over all emotions",
        ("Emotion", "Clips", "Only A", "Only B", "p"),
        [
            (
                label,
                of.support,
                of.recall.only_a_right,
                of.recall.only_b_right,
                "–" if of.adjusted_p_value is None else _p_value(of.adjusted_p_value),
            )
            for label, of in result.classes.items()
        ],
    )
    for title, flips in (("Became right", result.became_right), ("Became wrong", result.became_wrong)):
        if not flips:
            continue
        more = len(flips) - MAX_LISTED
        _print(
            console,
            f"{title}: {len(flips)} clip{'s' * (len(flips) > 1)}"
            + (f", of which {MAX_LISTED} here and all with --json" * (more > 0)),
            ("Clip", "Label", "A says", "B says"),
            [
                (
                    flip.key,
                    flip.label,
                    f"{flip.prediction_a} {100 * flip.confidence_a:.0f} %",
                    f"{flip.prediction_b} {100 * flip.confidence_b:.0f} %",
                )
                for flip in flips[:MAX_LISTED]
            ],
        )
    if result.config:
        rows = [(name, *pair) for name, pair in result.config.items()]
        _print(console, "Settings that differ", ("Setting", "A", "B"), rows)
    console.print(
        f"[…] are 95 % intervals of {result.num_bootstrap:,} resamples of {result.num_groups} "
        f"{result.resampled}s, of differences paired; * does not hold zero.",
        markup=False,
    )
    for caveat in result.caveats:
        console.print(caveat, style="yellow", markup=False)


def _difference(of: Difference) -> tuple[str, str, str]:
    estimate = of.difference
    shown = f"{of.a:.2f}", f"{of.b:.2f}"
    if estimate.value is None or estimate.low is None:
        return *shown, "–"
    star = " *" if estimate.low > 0 or estimate.high < 0 else ""
    return *shown, f"{estimate.value:+.2f} [{estimate.low:+.2f}, {estimate.high:+.2f}]{star}"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _print(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    # a table's own title would be wrapped to the table's width
    console.print(escape(title), style="italic")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # an interval looks like markup
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)
