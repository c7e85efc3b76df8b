"""What a person is looking at on the Own data page: one frozen value in the session, mirrored in the link."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.linked import Linked
from app.own_data import ALL
from app.own_runs import PREDICT, TASKS


@dataclass(frozen=True, kw_only=True)
class OwnDataView:
    """Everything a link to the Own data page restores.

    Attributes:
        data: path as it was given, None for none.
        checkpoint: name, None for the one that answers about own clips.
        split: "all" for every clip.
        task: of `TASKS`.
        emotion: the table holds only clips that are predicted so; None for all.
        clip: key of the chosen clip.
    """

    data: str | None = None
    checkpoint: str | None = None
    split: str = ALL
    task: str = PREDICT
    emotion: str | None = None
    clip: str | None = None

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> OwnDataView:
        """Reads a link's parameters; what cannot be meant is left out."""
        task = parameters.get("task", "")
        return cls(
            data=parameters.get("data") or None,
            checkpoint=parameters.get("checkpoint") or None,
            split=parameters.get("split") or ALL,
            task=task if task in TASKS else PREDICT,
            emotion=parameters.get("emotion") or None,
            clip=parameters.get("open") or None,
        )

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""
        values = {
            "data": self.data,
            "checkpoint": self.checkpoint,
            "split": self.split if self.split != ALL else None,
            "task": self.task if self.task != PREDICT else None,
            "emotion": self.emotion,
            "open": self.clip,
        }
        return {name: value for name, value in values.items() if value is not None}

    def changed(self, **changes) -> OwnDataView:
        """The changed view; other data begin with all splits, and other answers with no clip chosen."""
        after = replace(self, **changes)
        if after.data != self.data:
            after = replace(after, **{"split": ALL, **changes})
        asks = ("data", "checkpoint", "split", "task")
        if any(getattr(self, name) != getattr(after, name) for name in asks):
            after = replace(after, **{"emotion": None, "clip": None, **changes})
        return after


_linked = Linked("own-data", OwnDataView)
current, adopt_link, publish_link = _linked.current, _linked.adopt_link, _linked.publish_link
update, keep = _linked.update, _linked.keep
