"""What a person is looking at on the Compare page: one frozen value in the session, mirrored in the link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.linked import Linked

CLASSES, FLIPS, SETTINGS, CURVES = "emotions", "flips", "settings", "curves"
PARTS = (CLASSES, FLIPS, SETTINGS, CURVES)
"""What can be looked at in the lower part of the page."""

RIGHT, WRONG = "right", "wrong"
"""Clips that became right, or wrong, from the first evaluation to the other."""

MAX_EVALUATIONS = 6


@dataclass(frozen=True, kw_only=True)
class CompareView:
    """Everything a link to the Compare page restores.

    Attributes:
        evaluation: what others of the same clips are held against where `evaluations` is None; else one of
            those. None for the first.
        evaluations: names; the first is what the others are held against. None for those offered at first,
            () where a person took all away.
        other: which of the others the details are of; None for the first of them.
        part: of `PARTS`.
        became: `RIGHT` or `WRONG`.
        clip: key of the opened clip.
        page: of the clips that flipped, from one.
    """

    evaluation: str | None = None
    evaluations: tuple[str, ...] | None = None
    other: str | None = None
    part: str = CLASSES
    became: str = RIGHT
    clip: str | None = None
    page: int = 1

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> CompareView:
        """Reads a link's parameters; what cannot be meant is left out."""
        text = parameters.get("evaluations")
        part, page = parameters.get("part", ""), parameters.get("page", "")
        names = None if text is None else names_in(text)[:MAX_EVALUATIONS]
        return cls(
            evaluation=names[0] if names else parameters.get("evaluation") or None,
            evaluations=names,
            other=parameters.get("other") or None,
            part=part if part in PARTS else PARTS[0],
            became=WRONG if parameters.get("became") == WRONG else RIGHT,
            clip=parameters.get("open") or None,
            page=int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 5 and int(page) else 1,
        )

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""
        values = {
            "evaluation": self.evaluation if self.evaluations is None else None,
            "evaluations": None if self.evaluations is None else names_as_text(self.evaluations),
            "other": self.other,
            "part": self.part if self.part != PARTS[0] else None,
            "became": self.became if self.became != RIGHT else None,
            "open": self.clip,
            "page": str(self.page) if self.page > 1 else None,
        }
        return {name: value for name, value in values.items() if value is not None}

    def changed(self, **changes) -> CompareView:
        """The changed view; other clips close the opened one and begin with the first page.

        An evaluation that is not among the compared ones begins another comparison.
        """
        after = replace(self, **changes)
        names = after.evaluations
        if names and after.evaluation not in names:
            is_carried = "evaluations" not in changes and after.evaluation is not None
            after = replace(after, **({"evaluations": None} if is_carried else {"evaluation": names[0]}))
        chooses = ("evaluation", "evaluations", "other", "became")
        if any(getattr(self, name) != getattr(after, name) for name in chooses):
            kept = {name: changes[name] for name in ("clip", "page") if name in changes}
            after = replace(after, **{"clip": None, "page": 1, **kept})
        return after


def names_as_text(names: Sequence[str]) -> str:
    """Names as a link's parameter: commas stand between them, and one inside of a name is told as %2C."""
    return ",".join(name.replace("%", "%25").replace(",", "%2C") for name in names)


def names_in(text: str) -> tuple[str, ...]:
    """The names of `names_as_text`, each once."""
    found = (name.replace("%2C", ",").replace("%25", "%") for name in text.split(",") if name)
    return tuple(dict.fromkeys(found))


_linked = Linked("compare", CompareView, shared=("evaluation",))
current, adopt_link, publish_link = _linked.current, _linked.adopt_link, _linked.publish_link
update = _linked.update
