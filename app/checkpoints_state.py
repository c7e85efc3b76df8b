"""What a person is looking at on the Checkpoints page: one frozen value, mirrored in the link."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.linked import Linked


@dataclass(frozen=True, kw_only=True)
class CheckpointsView:
    """Everything a link to the Checkpoints page restores.

    Attributes:
        checkpoint: name of the chosen one, None for the first.
        other: name of the one that its settings are held against, None for the first other one.
    """

    checkpoint: str | None = None
    other: str | None = None

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> CheckpointsView:
        """Reads a link's parameters; what cannot be meant is left out."""
        return cls(checkpoint=parameters.get("checkpoint") or None, other=parameters.get("against") or None)

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""
        values = {"checkpoint": self.checkpoint, "against": self.other}
        return {name: value for name, value in values.items() if value is not None}

    def changed(self, **changes) -> CheckpointsView:
        """The changed view."""
        return replace(self, **changes)


_linked = Linked("checkpoints", CheckpointsView, shared=("checkpoint",))
current, adopt_link, publish_link = _linked.current, _linked.adopt_link, _linked.publish_link
update, keep = _linked.update, _linked.keep
