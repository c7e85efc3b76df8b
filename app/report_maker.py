"""Reports for the pages: of evaluations that are open already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial

from app import checkpoints, evaluations
from app.evaluations import Opened
from app.views.report_box import report_box


def report_button(those: Mapping[str, Opened], *, first: str) -> None:
    """Draws the button that makes a report of one of the evaluations, held against the others.

    Args:
        those: evaluations of the same clips, by name.
        first: the one that is offered at first.
    """
    stamps = tuple((name, one.folder, one.stamp) for name, one in those.items())
    report_box(tuple(those), first=first, of=stamps, on_make=partial(_make, those))


def _make(
    those: Mapping[str, Opened],
    name: str,
    has_pictures: bool,
    has_words: bool,
    say: Callable[[float, str], None],
) -> str:
    """The page of a report. What it takes is imported here, since nobody may ever ask for one."""
    from app.report import make_report
    from app.report_origin import Options, Source, find_checkpoint
    from app.report_page import report_page

    sources = {
        key: Source(name=key, folder=one.folder, evaluation=one.evaluation, training=one.training)
        for key, one in those.items()
    }
    source = sources.pop(name)
    say(0.0, "Looking for the checkpoint")
    beside = source.folder.parent / source.evaluation.info.checkpoint
    found = find_checkpoint(source.evaluation, [*checkpoints.checkpoints().values(), beside])
    report = make_report(
        replace(source, checkpoint=found),
        list(sources.values()),
        on=date.today(),
        options=Options(has_pictures=has_pictures, has_words=has_words),
        thumbnails=evaluations.thumbnails(),
        progress=lambda done, total, text: say(done / total, text or "Writing the page"),
    )
    return report_page(report)
