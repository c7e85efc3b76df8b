"""Inside one candidate frame: what of it the model saw, and what of that the compression kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import streamlit as st

from app.components.patches import PatchPicture, patches
from app.explanations import METHOD_NAMES
from app.state import OVERLAYS
from app.views.markup import plain, points
from app.views.picking import is_drawn, menu_key
from app.views.target import value_name
from core.attribution.results import Attribution
from core.prediction import Prediction

FATE, TIES, POINTS = OVERLAYS
NAMES = {FATE: "What was kept", TIES: "Lines to the keepers", POINTS: "Attribution"}
"""What can be laid over the frame, and in words."""

AT_FIRST = (FATE, POINTS)
"""What is laid over it unless people choose."""


def default_frame(prediction: Prediction) -> int | None:
    """The kept frame that matters most to the guide; None without a picture."""
    frames = prediction.frames
    if frames is None:
        return None
    return int(frames.kept[np.argmax(frames.relevance[frames.kept])])


def guide_words(prediction: Prediction) -> str:
    """What of the clip guided the choice of frames and patches: "the sound and the words"; "" for neither."""
    names = {"audio": "the sound", "text": "the words"}
    return " and ".join(name for modality, name in names.items() if prediction.present[modality])


def step_names(prediction: Prediction) -> list[str]:
    """One name per state of the grid: before any compression, and after each step."""
    if not prediction.patch_steps:
        return []
    rows, columns = prediction.patch_steps[0].grid
    return [f"All {rows * columns}"] + [
        f"{number}: {step.kept.shape[1]}" for number, step in enumerate(prediction.patch_steps, start=1)
    ]


def step_picker(prediction: Prediction, *, selected: int, on_pick) -> None:
    """Lets people walk through the compression; `on_pick(step)` is called with 0 for "before any"."""
    names = step_names(prediction)

    def picked() -> None:
        if is_drawn(key):
            on_pick(st.session_state[key])

    key = menu_key("step-picker", selected)
    st.segmented_control(
        "Patches left after each step",
        range(len(names)),
        format_func=names.__getitem__,
        required=True,
        wrap=True,
        key=key,
        on_change=picked,
    )


def overlay_toggles(
    chosen: tuple[str, ...],
    *,
    has_steps: bool,
    attribution: Attribution | None,
    is_awaited: bool,
    on_overlays,
) -> set[str]:
    """Lets people choose what is laid over the frame; which of `OVERLAYS` it is.

    Args:
        chosen: of `OVERLAYS`, also those that the frame has not.
        has_steps: patches were compressed in the state that is shown.
        attribution: of the patches, None where there is none.
        is_awaited: it is being computed.
        on_overlays: called with another choice, with None for `AT_FIRST`.
    """
    offered = [FATE, TIES] if has_steps else []
    offered += [POINTS] if attribution is not None or is_awaited else []

    def switched() -> None:
        is_on = {name: name in chosen for name in OVERLAYS}
        is_on |= {name: st.session_state[f"overlay {name}"] for name in offered}
        names = tuple(name for name in OVERLAYS if is_on[name])
        on_overlays(None if names == AT_FIRST else names)

    with st.container(horizontal=True, gap="small"):
        for name in offered:
            st.session_state[f"overlay {name}"] = name in chosen
            is_coming = name == POINTS and attribution is None
            st.toggle(
                f"{NAMES[name]}: being computed …" if is_coming else NAMES[name],
                key=f"overlay {name}",
                disabled=is_coming,
                on_change=switched,
            )
    return {name for name in offered if name in chosen}


def patch_picture(prediction: Prediction, picture: str, *, frame: int, step: int) -> PatchPicture | None:
    """The patches of a kept candidate frame after `step` steps; None where the frame was dropped.

    Args:
        prediction: of a clip with picture.
        picture: data URI of the frame's crop.
        frame: index of the candidate.
        step: 0 for before any compression.
    """
    rows = np.flatnonzero(prediction.frames.kept == frame)
    if not rows.size or not prediction.patch_steps:
        return None
    row = int(rows[0])
    grid = prediction.patch_steps[0].grid
    num_patches = grid[0] * grid[1]
    if step == 0:
        everyone = np.arange(num_patches)
        return PatchPicture(
            picture=picture, grid=grid, kept=np.ones(num_patches, dtype=bool), absorbed_by=everyone
        )
    state = prediction.patch_steps[step - 1]
    return PatchPicture(
        picture=picture,
        grid=grid,
        kept=np.isin(np.arange(num_patches), state.kept[row]),
        absorbed_by=state.absorbed_by[row],
        relevance=state.relevance[row],
    )


def frame_view(
    prediction: Prediction,
    pictures: tuple[str, ...],
    *,
    frame: int,
    step: int,
    on_frame,
    on_step,
    on_overlays,
    overlays: tuple[str, ...] | None = None,
    attribution: Attribution | None = None,
    is_awaited: bool = False,
) -> None:
    """Draws the chosen frame with its patches, the steps to walk through, and how to read it.

    Args:
        prediction: of a clip with picture.
        pictures: `(frame,)` data URIs of the crops the model saw.
        frame: index of the chosen candidate.
        step: compression steps done, 0 for none.
        on_frame: called with the index of another frame to look at.
        on_step: called with another step.
        on_overlays: called with another choice of overlays, None for what is so at first.
        overlays: of `OVERLAYS`, what is laid over the frame; None for what is so at first.
        attribution: of the patches of all candidate frames, None where there is none.
        is_awaited: it is being computed.
    """
    frames = prediction.frames
    time = frames.times_seconds[frame]
    view = patch_picture(prediction, pictures[frame], frame=frame, step=step)
    if view is None:
        _without_patches(prediction, pictures, frame, on_frame)
        return
    place = 1 + int(np.sum(frames.relevance > frames.relevance[frame]))
    st.caption(
        f"Frame {frame + 1} at **{time:.2f} s**, kept. In relevance it ranks {place} of "
        f"{len(frames.times_seconds)}."
    )
    step_picker(prediction, selected=step, on_pick=on_step)
    shown = overlay_toggles(
        AT_FIRST if overlays is None else overlays,
        has_steps=step > 0,
        attribution=attribution,
        is_awaited=is_awaited,
        on_overlays=on_overlays,
    )
    has_points = POINTS in shown and attribution is not None
    patches(
        replace(
            view,
            shows_fate=FATE in shown,
            shows_ties=TIES in shown,
            **(_points(attribution, frame) if has_points else {}),
        ),
        key="patches",
    )
    if has_points:
        st.caption(_how_to_read(attribution, frame))
    crop = f"The crop the model saw, in {view.grid[0]} × {view.grid[1]} patches"
    if FATE not in shown:
        st.caption(f"{crop}.")
        return
    counts = "" if has_points else "; +3 took in three others"
    kept = int(view.kept.sum())
    gone = len(view.kept) - kept
    st.caption(
        f"{crop}. Clear: the {kept} kept so far{counts}. Veiled: the {gone} merged, or "
        "dropped without a trace (×). What is kept is no proof of what decided the answer."
    )


def _points(attribution: Attribution, frame: int) -> dict[str, np.ndarray | float]:
    """A frame's points and their scale, which is that of all frames, so that frames can be compared."""
    percentage_points = 100 * attribution.values
    return {"points": percentage_points[frame], "scale": float(np.abs(percentage_points).max())}


def _how_to_read(attribution: Attribution, frame: int) -> str:
    given, target = 100 * attribution.values, plain(value_name(attribution.target))
    method = METHOD_NAMES.get(attribution.method, attribution.method)
    return (
        f"Attribution by {plain(method)}: blue (+) raised {target}, orange (−) lowered it. "
        f"Full colour is {np.abs(given).max():.2f} points, the most of any patch and frame; "
        f"the patches of this frame gave {points(given[frame].sum())} together."
    )


def _without_patches(prediction: Prediction, pictures: tuple[str, ...], frame: int, on_frame) -> None:
    frames = prediction.frames
    keeper = int(frames.absorbed_by[frame])
    time = frames.times_seconds[frame]
    if keeper == frame:
        st.html(_picture(pictures[frame], "whole"))
        st.caption(
            f"The frame at **{time:.2f} s** was kept. This model does not drop patches within a frame."
        )
        return
    st.html(_picture(pictures[frame], "faded"))
    if keeper < 0:
        st.caption(
            f"The frame at **{time:.2f} s** was dropped before its patches were looked at, for its low "
            "relevance; it was not merged into any."
        )
        return
    when = frames.times_seconds[keeper]
    st.caption(
        f"The frame at **{time:.2f} s** was merged into the one at **{when:.2f} s** before its patches were "
        "looked at: it is so like that one that the model reads both as one."
    )
    st.button(
        f"Look at the frame at {when:.2f} s",
        key="keeper",
        icon=":material/merge:",
        on_click=on_frame,
        args=(keeper,),
    )


def _picture(source: str, kind: str) -> str:
    return f'<img class="frame-picture {kind}" src="{source}" alt="The frame as the model saw it">'
