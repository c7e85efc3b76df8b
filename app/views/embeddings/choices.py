"""The choices above the picture: space, method, dimensions and colours."""

from __future__ import annotations

import streamlit as st

from app.embeddings_state import COLOURS, FUSED, SPACES, EmbeddingsView
from core.evaluation.spaces import METHODS, TOGETHER, Picture

SPACE_NAMES = {
    FUSED: "fused",
    "video": "picture",
    "audio": "sound",
    "text": "words",
    TOGETHER: "all three together",
}
TITLES = {
    FUSED: "Clips in the space that the answer is made from",
    "video": "Clips by their picture",
    "audio": "Clips by their sound",
    "text": "Clips by their words",
    TOGETHER: "Pictures, sounds and words of the clips in one space",
}
"""Of the picture, by space."""

METHOD_NAMES = {"pca": "PCA", "tsne": "t-SNE"}
COLOUR_NAMES = {
    "label": "label",
    "prediction": "what the model says",
    "right": "right or wrong",
    "confidence": "confidence",
    "speaker": "speaker",
}

HELP = (
    "**fused**: what the classifier decides by. **picture**, **sound**, **words**: their projections, which "
    "the contrastive loss trains in one common space; **all three together** shows that space. **PCA**: the "
    "directions of largest variance; distances can be compared. **t-SNE**: keeps neighbours together; sizes "
    "and distances of its groups mean nothing."
)


def thinning_words(picture: Picture, method: str, *, opened: int | None = None) -> str:
    """How many clips are drawn and why not all; "" where all are.

    Args:
        picture: that is drawn.
        method: that it is made by.
        opened: row of the opened clip.
    """
    if picture.is_whole:
        return ""
    why = "t-SNE of more would take minutes" if method == "tsne" else "a browser turns slow with more"
    directions = " The directions are those of all of them." if method == "pca" else ""
    lost = "" if opened is None or opened in picture.points.rows else " The opened clip is not among them."
    return (
        f"Drawn are {picture.num_drawn:,} of {picture.num_clips:,} clips, because {why}: a random draw "
        f"(seed 0) that keeps every label’s share.{directions}{lost}"
    )


def choices(view: EmbeddingsView, *, on_change) -> None:
    """Draws the pickers; `on_change(name=value)` is called with what was changed."""

    def picked(name: str) -> None:
        on_change(**{name: st.session_state[f"embeddings-{name}"]})

    def one_of(label: str, name: str, options, names, help_text: str | None = None) -> None:
        st.session_state[f"embeddings-{name}"] = getattr(view, name)
        st.segmented_control(
            label,
            options,
            format_func=names,
            key=f"embeddings-{name}",
            required=True,
            on_change=picked,
            args=(name,),
            help=help_text,
        )

    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="embeddings-choices"):
        one_of("Space", "space", SPACES, SPACE_NAMES.get, HELP)
        one_of("Map by", "method", METHODS, METHOD_NAMES.get)
        one_of("Dimensions", "num_dims", (2, 3), str)
        one_of("Colour", "colour", COLOURS, COLOUR_NAMES.get)
