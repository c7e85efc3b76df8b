"""The choices above the picture: space, method, dimensions and colours."""

from __future__ import annotations

import streamlit as st

from app.embeddings_state import COLOURS, FUSED, SPACES, EmbeddingsView
from core.evaluation.spaces import METHODS, TOGETHER

SPACE_NAMES = {
    FUSED: "fused",
    "video": "picture",
    "audio": "sound",
    "text": "words",
    TOGETHER: "all three together",
}
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
        one_of("Picture by", "method", METHODS, METHOD_NAMES.get)
        one_of("Dimensions", "num_dims", (2, 3), str)
        st.session_state["embeddings-colour"] = view.colour
        st.selectbox(
            "Colour",
            COLOURS,
            format_func=COLOUR_NAMES.get,
            key="embeddings-colour",
            on_change=picked,
            args=("colour",),
            width=220,
        )
