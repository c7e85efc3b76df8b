"""What a person is looking at on the Embeddings page: one frozen value, mirrored in the link."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.linked import Linked
from core.evaluation.spaces import METHODS, TOGETHER
from core.labels import MODALITIES

FUSED = "fused"
SPACES = (FUSED, *MODALITIES, TOGETHER)

COLOURS = ("label", "prediction", "right", "confidence", "speaker")
"""What the points can be coloured by."""

NOW, EPOCHS = "clips", "epochs"
PARTS = (NOW, EPOCHS)


@dataclass(frozen=True, kw_only=True)
class EmbeddingsView:
    """Everything a link to the Embeddings page restores; what is chosen in the picture is not in it.

    Attributes:
        evaluation: name of the chosen one, None for the first.
        part: of `PARTS`: the evaluation's clips, or the space over the epochs of training.
        space: of `SPACES`.
        method: of `core.evaluation.spaces.METHODS`.
        num_dims: 2 or 3.
        colour: of `COLOURS`.
        clip: key of the opened clip.
        page: of the list of chosen clips, from one.
    """

    evaluation: str | None = None
    part: str = NOW
    space: str = FUSED
    method: str = METHODS[0]
    num_dims: int = 2
    colour: str = COLOURS[0]
    clip: str | None = None
    page: int = 1

    @classmethod
    def from_link(cls, parameters: dict[str, str]) -> EmbeddingsView:
        """Reads a link's parameters; what cannot be meant is left out."""

        def among(name: str, known: tuple[str, ...]) -> str:
            value = parameters.get(name, "")
            return value if value in known else known[0]

        return cls(
            evaluation=parameters.get("evaluation") or None,
            part=among("part", PARTS),
            space=among("space", SPACES),
            method=among("method", METHODS),
            num_dims=3 if parameters.get("dims") == "3" else 2,
            colour=among("colour", COLOURS),
            clip=parameters.get("open") or None,
        )

    def to_link(self) -> dict[str, str]:
        """The parameters that restore this view; what is as on a first visit is left out."""
        values = {
            "evaluation": self.evaluation,
            "part": self.part if self.part != NOW else None,
            "space": self.space if self.space != FUSED else None,
            "method": self.method if self.method != METHODS[0] else None,
            "dims": "3" if self.num_dims == 3 else None,
            "colour": self.colour if self.colour != COLOURS[0] else None,
            "open": self.clip,
        }
        return {name: value for name, value in values.items() if value is not None}

    def changed(self, **changes) -> EmbeddingsView:
        """The changed view; another evaluation closes the opened clip."""
        after = replace(self, **changes)
        if after.evaluation != self.evaluation:
            after = replace(after, **{"clip": None, "page": 1, **changes})
        return after


_linked = Linked("embeddings", EmbeddingsView, shared=("evaluation",))
current, adopt_link, publish_link = _linked.current, _linked.adopt_link, _linked.publish_link
update = _linked.update
