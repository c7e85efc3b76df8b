"""What a person is looking at on the Failures page: one frozen value in the session, mirrored in the link."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.linked import Linked
from core.evaluation import Evaluation
from core.evaluation.failures import PRESETS

CONFUSION, CLASSES, SLICES, SUSPECTS, NOTES = "confusion", "emotions", "slices", "labels", "notes"
PARTS = (CONFUSION, CLASSES, SLICES, SUSPECTS, NOTES)
"""What can be looked at in the upper part of the page."""

MISSED, CELL, SLICE, SUSPECT, NOTED = "missed", "cell", "slice", "suspects", "noted"
SHOWS = (MISSED, CELL, SLICE, SUSPECT, NOTED)
"""What the gallery may hold."""

_PARTER = ":"


@dataclass(frozen=True, kw_only=True)
class FailuresView:
    """Everything a link to the Failures page restores.

    Attributes:
        evaluation: name of the chosen one, None for the first.
        part: of `PARTS`.
        focus: the class that is asked about; None for the first of `PRESETS` that there is, or the first.
        show: of `SHOWS`.
        label / prediction: of the confusion matrix's cell, None for any; where `show` is `CELL`.
        slice: column and value; where `show` is `SLICE`.
        is_share: the matrix tells shares of its rows in place of counts.
        is_within: slices are looked for among the clips of the focus alone.
        clip: key of the opened clip.
        page: of the gallery, from one.
    """

    evaluation: str | None = None
    part: str = CONFUSION
    focus: str | None = None
    show: str = MISSED
    label: str | None = None
    prediction: str | None = None
    slice: tuple[str, str] | None = None
    is_share: bool = False
    is_within: bool = False
    clip: str | None = None
    page: int = 1

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> FailuresView:
        """Reads a link's parameters; what cannot be meant is left out."""

        def among(name: str, known: tuple[str, ...]) -> str:
            value = parameters.get(name, "")
            return value if value in known else known[0]

        page = parameters.get("page", "")
        column, parter, value = parameters.get("slice", "").partition(_PARTER)
        show = among("show", SHOWS)
        if show == SLICE and not parter:
            show = MISSED
        return cls(
            evaluation=parameters.get("evaluation") or None,
            part=among("part", PARTS),
            focus=parameters.get("emotion") or None,
            show=show,
            label=(parameters.get("labelled") or None) if show == CELL else None,
            prediction=(parameters.get("predicted") or None) if show == CELL else None,
            slice=(column.replace("%3A", _PARTER).replace("%25", "%"), value) if show == SLICE else None,
            is_share=parameters.get("cells") == "share",
            is_within=parameters.get("within") == "emotion",
            clip=parameters.get("open") or None,
            page=int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 5 and int(page) else 1,
        )

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""
        is_cell = self.show == CELL
        values = {
            "evaluation": self.evaluation,
            "part": self.part if self.part != PARTS[0] else None,
            "emotion": self.focus,
            "show": self.show if self.show != SHOWS[0] else None,
            "labelled": self.label if is_cell else None,
            "predicted": self.prediction if is_cell else None,
            "slice": _slice_as_text(*self.slice) if self.show == SLICE and self.slice else None,
            "cells": "share" if self.is_share else None,
            "within": "emotion" if self.is_within else None,
            "open": self.clip,
            "page": str(self.page) if self.page > 1 else None,
        }
        return {name: value for name, value in values.items() if value is not None}

    def changed(self, **changes) -> FailuresView:
        """The changed view; other clips in the gallery close the opened one and begin with the first page."""
        after = replace(self, **changes)
        chooses = ("evaluation", "show", "label", "prediction", "slice") + ("focus",) * (after.show == MISSED)
        if any(getattr(self, name) != getattr(after, name) for name in chooses):
            after = replace(after, **{"clip": None, "page": 1, **changes})
        return after


def _slice_as_text(column: str, value: str) -> str:
    # the first colon parts them; the value may hold more
    return f"{column.replace('%', '%25').replace(_PARTER, '%3A')}{_PARTER}{value}"


_linked = Linked("failures", FailuresView, shared=("evaluation",))
current, adopt_link, publish_link = _linked.current, _linked.adopt_link, _linked.publish_link
update = _linked.update


def keep_within(evaluation: Evaluation) -> FailuresView:
    """Takes out of the view the classes that the evaluation does not have."""
    view, labels = current(), evaluation.labels
    view = replace(
        view,
        focus=view.focus if view.focus in labels else None,
        label=view.label if view.label in labels else None,
        prediction=view.prediction if view.prediction in labels else None,
    )
    _linked.put(view, is_change=False)
    return view


def focus_of(view: FailuresView, labels: tuple[str, ...]) -> str:
    """The class that is asked about."""
    if view.focus in labels:
        return view.focus
    return next((name for name in PRESETS if name in labels), labels[0])
