"""The Embeddings page: where clips lie in the spaces that the model learned."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from app import checkpoints, evaluations
from app import embeddings_state as state
from app.components.legend import legend
from app.components.points import points as clicks
from app.embeddings_state import EmbeddingsView
from app.evaluated_clip import to_explanation
from app.evaluations import Opened
from app.linked import is_entered
from app.opening import REFUSAL, give_folder, not_here, open_evaluation
from app.summaries import known_summary
from app.views.embeddings.choices import (
    COLOUR_NAMES,
    METHOD_NAMES,
    SPACE_NAMES,
    TITLES,
    choices,
    thinning_words,
)
from app.views.embeddings.epochs import NO_SPACE, epochs_chart, epochs_figure, epochs_list, epochs_table
from app.views.embeddings.picture import (
    MANY_POINTS,
    NOBODY,
    rows_chosen,
    rows_in_group,
    space_figure,
    tie_note,
    tint_of,
)
from app.views.embeddings.quality import quality_view
from app.views.embeddings.twin import chooser, picture_words
from app.views.failures import detail
from app.views.failures.clip_cards import fetch_pictures, gallery
from app.views.failures.header import NO_EVALUATION, folder_box, header, warn_of_link
from core.evaluation import Evaluation
from core.evaluation.spaces import TOGETHER, Points

APP = Path(__file__).parents[1]
CHART = "embeddings-chart"
DRAWN = "embeddings-drawn"
"""Where a session keeps what its map shows, and what it was drawn with."""
PLOT_SETTINGS = {"displaylogo": False, "modeBarButtonsToRemove": ["toImage", "autoScale2d"]}

PART_NAMES = {state.NOW: "The evaluated clips", state.EPOCHS: "How the space formed"}


def page() -> None:
    """Draws the whole page."""
    st.html(APP / "views" / "failures" / "failures.css")
    if is_entered():
        forget_drawn()
    state.adopt_link()
    folders = evaluations.evaluations()
    wanted = state.current().evaluation
    chosen = wanted if wanted in folders else next(iter(folders), None)
    of = None if chosen is None else open_evaluation(chosen, folders[chosen])
    header(
        list(folders),
        page="Where clips lie in what it learned",
        selected=chosen,
        evaluation=None if of is None else of.evaluation,
        on_pick=lambda name: state.update(evaluation=name),
    )
    warn_of_link(wanted, chosen)
    if chosen is None:
        st.info(NO_EVALUATION, icon=":material/info:")
    if of is not None and len(of.evaluation.predictions):
        part_picker()
        if state.current().part == state.EPOCHS:
            show_epochs(of.evaluation)
        else:
            show_clips(of)
    with st.expander("Another evaluation", icon=":material/folder_open:", expanded=chosen is None):
        folder_box(refusal=st.session_state.get(REFUSAL, ""), on_folder=take_folder)
    state.publish_link()


def take_folder(text: str) -> None:
    """Offers the evaluations of a folder and turns to the first of them."""
    if (name := give_folder(text)) is not None:
        state.update(evaluation=name)


def part_picker() -> None:
    """Draws the choice between the clips and the training."""

    def picked() -> None:
        state.update(part=st.session_state["embeddings-part"])

    st.session_state["embeddings-part"] = state.current().part
    st.segmented_control(
        "Look at",
        state.PARTS,
        format_func=PART_NAMES.get,
        key="embeddings-part",
        on_change=picked,
        required=True,
        label_visibility="collapsed",
    )


@st.fragment
def show_clips(of: Opened) -> None:
    """Draws the picture of a space, the chosen clips, the opened one, and the figures."""
    view = state.current()
    choices(view, on_change=take_choice)
    picture = evaluations.picture_of(of, view.space, view.method, view.num_dims)
    points, places = picture.points, picture.places
    if not len(points.rows):
        st.info(
            f"No clip has {SPACE_NAMES[view.space]}, so this space is empty; choose another.",
            icon=":material/info:",
        )
        state.publish_link()
        return
    chosen = chosen_rows(of, view)
    if words := thinning_words(picture, view.method, opened=row_of(of.evaluation, view.clip)):
        st.info(words, icon=":material/filter_alt:")
    how_drawn = f"by {METHOD_NAMES[view.method]}; what lies close is mostly alike to the model; axes: no unit"
    st.html(f'<div class="chart-title">{TITLES[view.space]} <span>{how_drawn}</span></div>')
    is_flat = view.num_dims == 2
    is_many = len(points.rows) > MANY_POINTS
    inputs = of.folder, of.stamp, view.space, view.method, view.num_dims, chosen.tobytes(), view.clip
    figure = drawn_figure(*inputs, view.colour if is_many else colour_drawn(inputs, view.colour), of)
    key = f"{CHART}-{of.stamp}-{view.space}-{view.method}-{view.num_dims}"
    words = picture_words(of.evaluation, points, SPACE_NAMES[view.space], is_flat=is_flat)
    with st.container(key=CHART, gap=None):
        legend(
            CHART,
            tint_of(of.evaluation, points, view.colour, is_flat=is_flat).legend,
            colour=view.colour,
            place=None if is_many else state.COLOURS.index(view.colour),
            title=COLOUR_NAMES[view.colour],
            is_ringed=row_of(of.evaluation, view.clip) in points.rows,
            key="embeddings-legend",
            on_pick=partial(take_group, of, points, view.colour) if is_flat else None,
        )
        if not is_flat:
            st.plotly_chart(figure, key=key, alt=words, config=PLOT_SETTINGS)
        else:
            st.plotly_chart(
                figure,
                key=key,
                alt=words,
                on_select=partial(take_selection, of, key),
                selection_mode=("points", "box", "lasso"),
                config=PLOT_SETTINGS,
            )
            clicks(
                CHART,
                num_rows=len(of.evaluation.predictions),
                key="embeddings-clicks",
                on_pick=lambda row: take_rows(of, np.array([row])),
                on_let_go=partial(take_rows, of, NOBODY),
            )
    if is_flat:
        how = (
            "Draw around points with the mouse to list their clips below; a click opens one. A double "
            "click between the points lets go of them. A name above the map chooses all of its clips there."
        )
    else:
        how = "Drag to turn, scroll to come nearer. Clips are chosen in two dimensions."
    st.caption(" ".join(filter(None, (how, tie_note(points.modalities)))))
    chooser(
        of.evaluation,
        points,
        places,
        chosen=chosen,
        on_rows=partial(take_rows, of) if view.num_dims == 2 else None,
    )
    is_lacking = show_chosen(of, chosen, view)
    if view.clip is not None:
        show_clip(of, view.clip)
    quality_view(
        *evaluations.space_figures(of, view.space, view.method, view.num_dims),
        picture=picture,
    )
    state.publish_link()
    if is_lacking:
        # last, so that the page can be used meanwhile
        fetch_pictures(of.evaluation, chosen, evaluations.thumbnails(), page=view.page)
        st.rerun()


@st.cache_resource(show_spinner=False, max_entries=16)
def drawn_figure(
    folder: Path,
    stamp: int,
    space: str,
    method: str,
    num_dims: int,
    chosen: bytes,
    opened: str | None,
    colour: str,
    _of: Opened,
) -> go.Figure:
    """The map, made once for all sessions; it is not to be changed. `chosen` has the bytes of its rows."""
    picture = evaluations.picture_of(_of, space, method, num_dims)
    return space_figure(
        _of.evaluation,
        picture.points,
        picture.places,
        colour=colour,
        chosen=np.frombuffer(chosen, int),
        opened=opened,
    )


def colour_drawn(inputs: tuple, colour: str) -> str:
    """What the map was coloured by when the page began to show what it shows, now if it begins to.

    Another colour is laid over it in the browser: the same map need not be drawn anew.
    """
    shown, since = st.session_state.get(DRAWN, (None, colour))
    if shown != inputs:
        st.session_state[DRAWN] = inputs, colour
        return colour
    return since


def forget_drawn() -> None:
    """Another page, or another part of this one, was shown: the map is drawn anew."""
    st.session_state.pop(DRAWN, None)


def take_group(of: Opened, points: Points, colour: str, name: str) -> None:
    """Chooses the clips of a group of the legend."""
    take_rows(of, rows_in_group(of.evaluation, points, colour, name))


def take_choice(**changes) -> None:
    """Changes what is drawn."""
    state.update(page=1, **changes)


def chosen_rows(of: Opened, view: EmbeddingsView) -> np.ndarray:
    """Rows of the clips that were chosen in this evaluation; another picture of them keeps the choice."""
    stamp, rows = st.session_state.get("embeddings-chosen", (None, NOBODY))
    return rows if stamp == (of.folder, of.stamp) and view.num_dims == 2 else NOBODY


def take_selection(of: Opened, key: str) -> None:
    """Remembers the clips that were chosen in a chart, and opens the one that was chosen alone."""
    event = st.session_state.get(key)
    take_rows(of, rows_chosen(None if event is None else event.get("selection")))


def take_rows(of: Opened, rows: np.ndarray) -> None:
    """Remembers the clips that were chosen, and opens the one that was chosen alone."""
    st.session_state["embeddings-chosen"] = (of.folder, of.stamp), rows
    clip = str(of.evaluation.predictions["key"].iat[rows[0]]) if len(rows) == 1 else None
    state.update(page=1, clip=clip)


def show_chosen(of: Opened, rows: np.ndarray, view: EmbeddingsView) -> bool:
    """Draws the cards of the chosen clips; whether pictures are missing."""
    if len(rows) < 2:
        return False
    evaluation = of.evaluation
    wrong = int((evaluation.predictions["label"] != evaluation.predictions["prediction"]).iloc[rows].sum())
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        told = f"{len(rows):,} chosen clips <span>{wrong:,} of them wrong</span>"
        st.html(f'<div class="gallery-title">{told}</div>', width="content")
        st.button(
            "Let go",
            icon=":material/deselect:",
            type="tertiary",
            key="let-go",
            on_click=take_rows,
            args=(of, NOBODY),
        )
    return gallery(
        evaluation,
        rows,
        evaluations.thumbnails(),
        selected=view.clip,
        page=view.page,
        noted=frozenset(),
        on_pick=lambda key: state.update(clip=key),
        on_page=lambda number: state.update(page=number, clip=None),
    )


def row_of(evaluation: Evaluation, key: str | None) -> int | None:
    """Row of a clip; None where there is none of this key."""
    found = np.flatnonzero((evaluation.predictions["key"] == key).to_numpy())
    return int(found[0]) if len(found) else None


def show_clip(of: Opened, key: str) -> None:
    """Draws the opened clip: it plays, and tells its figures."""
    evaluation = of.evaluation
    row = row_of(evaluation, key)
    if row is None:
        st.warning(not_here(key), icon=":material/link_off:")
        return
    with st.container(key="failures-detail"):
        left, right = st.columns([4, 7], gap="large")
        with left:
            detail.media(evaluation, row, evaluations.media_of(evaluation, row))
            to_explanation(of, row)
            st.button(
                "Close",
                icon=":material/close:",
                type="tertiary",
                key="close-point",
                on_click=partial(state.update, clip=None),
            )
        with right:
            detail.headline(evaluation, row)
            detail.figures(evaluation, row)


def show_epochs(evaluation: Evaluation) -> None:
    """Draws how the space formed in training."""
    forget_drawn()
    info = evaluation.info
    found = known_summary(checkpoints.checkpoints().get(info.checkpoint), info.checkpoint_sha256)
    space = None if found is None else found.space
    if space is None:
        st.info(NO_SPACE, icon=":material/info:")
        return
    names = [name for name in state.SPACES if name != TOGETHER]
    view = state.current()
    current = view.space if view.space in names else names[0]

    def picked() -> None:
        state.update(space=st.session_state["epochs-space"])

    st.session_state["epochs-space"] = current
    st.segmented_control(
        "Space",
        names,
        format_func=SPACE_NAMES.get,
        key="epochs-space",
        required=True,
        on_change=picked,
    )
    figure = epochs_figure(space, current)
    if figure is None:
        st.info(
            f"This model does not read {SPACE_NAMES[current]}; choose another space.", icon=":material/info:"
        )
        return
    table = epochs_table(space, current)
    epochs_chart(figure, table, key=f"epochs-{current}", config=PLOT_SETTINGS)
    st.caption(
        f"{len(space.keys):,} dev clips, at most 16 of each emotion, after every epoch of training, by "
        "the directions of largest variance after the last one; “start” is before the first. Play shows how "
        "clips of one emotion gather."
    )
    epochs_list(table)


page()
