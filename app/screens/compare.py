"""The Compare page: two to six evaluations of the same clips, and whether one is better than another."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import streamlit as st

from app import checkpoints, evaluations
from app import compare_state as state
from app.compare_state import CompareView
from app.evaluated_clip import to_explanation
from app.evaluations import Opened
from app.opening import REFUSAL, give_folder, not_here, open_evaluation
from app.report_maker import report_button
from app.summaries import known_summary
from app.views.comparison.figures import figures_view
from app.views.comparison.flips import (
    DETAIL_KEY,
    direction_picker,
    flip_cards,
    on_page,
    rows_of,
    side_by_side,
)
from app.views.comparison.forest import forest
from app.views.comparison.header import ALONE, FULL, TOO_FEW, header, one_alone, other_picker, picker
from app.views.comparison.settings import CURVE_COLUMNS, curves, settings_list
from app.views.failures import detail
from app.views.failures.clip_cards import fetch_pictures
from app.views.failures.header import folder_box
from app.views.markup import plain
from core.evaluation import Comparison, EvaluationError
from core.evaluation.compare import caveats_together, require_alike

VIEWS = Path(__file__).parents[1] / "views"

FULL_OF = "compare-full-of"
"""Where a session keeps the name of an evaluation that there was no room for."""

PART_NAMES = {
    state.CLASSES: "Each emotion",
    state.FLIPS: "Clips that flipped",
    state.SETTINGS: "Settings",
    state.CURVES: "Training",
}


def page() -> None:
    """Draws the whole page."""
    st.html(VIEWS / "failures" / "failures.css")
    st.html(VIEWS / "comparison" / "comparison.css")
    state.adopt_link()
    folders = evaluations.evaluations()
    chosen = chosen_evaluations(folders)
    top = st.container()
    picker(list(folders), list(chosen), on_pick=take_names)
    if full := st.session_state.get(FULL_OF):
        st.warning(
            FULL.format(name=plain(full), num=state.MAX_EVALUATIONS), icon=":material/playlist_remove:"
        )
    if missing := [name for name in named_evaluations(state.current()) if name not in folders]:
        st.warning(
            f"The link names {plain(', '.join(missing))}, which is not here; give the folder below.",
            icon=":material/link_off:",
        )
    alike = those_alike(chosen)
    with top:
        header(
            next(iter(alike.values())).evaluation if alike else None,
            action=partial(report_button, alike, first=other_of(alike)) if len(alike) > 1 else None,
        )
    if len(alike) > 1:
        show(alike)
    elif len(chosen) < 2:
        st.info(what_is_missing(chosen, folders), icon=":material/info:")
    with st.expander("Another evaluation", icon=":material/folder_open:", expanded=len(folders) < 2):
        folder_box(refusal=st.session_state.get(REFUSAL, ""), on_folder=take_folder)
    state.publish_link()


def chosen_evaluations(folders: Mapping[str, Path]) -> dict[str, Opened]:
    """The chosen evaluations, read; at first one, and those that are of the same clips."""
    view, found = state.current(), {}
    wanted = view.evaluations
    offered = sorted(folders, key=lambda name: name != view.evaluation)
    for name in offered if wanted is None else [name for name in wanted if name in folders]:
        if (one := open_evaluation(name, folders[name])) is None:
            continue
        if wanted is not None or not found or is_alike(next(iter(found.values())), one):
            found[name] = one
        if len(found) == state.MAX_EVALUATIONS:
            break
    return found


def named_evaluations(view: CompareView) -> tuple[str, ...]:
    """Names that a link, or a choice on another page, has brought."""
    if view.evaluations is not None:
        return view.evaluations
    return () if view.evaluation is None else (view.evaluation,)


def what_is_missing(chosen: Mapping[str, Opened], folders: Mapping[str, Path]) -> str:
    """Why nothing is compared where fewer than two are chosen, in Markdown."""
    if not chosen:
        return TOO_FEW if len(folders) < 2 else one_alone((), ())
    ((name, one),) = chosen.items()
    alike = []
    for other, folder in folders.items():
        # one that cannot be read is told when it is chosen
        with suppress(EvaluationError):
            if other != name and is_alike(one, evaluations.opened(folder)):
                alike.append(other)
    if not alike and len(folders) > 2:
        return ALONE.format(name=plain(name))
    return one_alone((name,), alike) if alike else TOO_FEW


def is_alike(a: Opened, b: Opened) -> bool:
    """Whether two evaluations are of the same clips."""
    try:
        require_alike(a.evaluation, b.evaluation)
    except EvaluationError:
        return False
    return True


def those_alike(chosen: Mapping[str, Opened]) -> dict[str, Opened]:
    """The first evaluation and those of the same clips; a sentence on the page for each other one."""
    names = list(chosen)
    found = dict(list(chosen.items())[:1])
    for name in names[1:]:
        try:
            require_alike(chosen[names[0]].evaluation, chosen[name].evaluation)
        except EvaluationError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            found[name] = chosen[name]
    return found


def take_folder(text: str) -> None:
    """Offers the evaluations of a folder and adds the first of them."""
    if (name := give_folder(text)) is None:
        return
    before = st.session_state.get("compare-picker", [])
    if name not in before and len(before) == state.MAX_EVALUATIONS:
        st.session_state[FULL_OF] = name
        return
    take_names(tuple(dict.fromkeys([*before, name])))


def take_names(names: tuple[str, ...]) -> None:
    """Takes over which evaluations are compared."""
    st.session_state.pop(FULL_OF, None)
    state.update(evaluations=names)


def show(alike: Mapping[str, Opened]) -> None:
    """Draws the comparison of the first with the others, and the details of one pair."""
    base, *others = alike
    comparisons = {name: evaluations.comparison(alike[base], alike[name]) for name in others}
    figures_view(base, comparisons)
    if caveats := caveats_together({name: one.evaluation for name, one in alike.items()}):
        st.caption(plain(" ".join(caveats)))
    view, other = state.current(), other_of(alike)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        part_picker(view)
        # the curves are of all
        if view.part != state.CURVES:
            other_picker(others, other, base=base, on_pick=lambda name: state.update(other=name))
    if view.part == state.CLASSES:
        forest(base, other, comparisons[other])
    elif view.part == state.FLIPS:
        show_flips(view, (base, other), (alike[base], alike[other]), comparisons[other])
    elif view.part == state.SETTINGS:
        settings_list(base, other, comparisons[other])
    else:
        show_curves(alike)


def other_of(alike: Mapping[str, Opened]) -> str:
    """The one that details are of, held against the first."""
    others, wanted = list(alike)[1:], state.current().other
    return wanted if wanted in others else others[0]


def part_picker(view: CompareView) -> None:
    """Draws the choice of what is looked at below the figures."""

    def picked() -> None:
        state.update(part=st.session_state["compare-part"])

    st.session_state["compare-part"] = view.part
    st.segmented_control(
        "Look at",
        state.PARTS,
        format_func=PART_NAMES.get,
        key="compare-part",
        on_change=picked,
        required=True,
    )


def show_flips(
    view: CompareView, names: tuple[str, str], both: tuple[Opened, Opened], comparison: Comparison
) -> None:
    """Draws the clips that one alone is right on, and the opened one."""
    right, wrong = comparison.became_right, comparison.became_wrong
    direction_picker(
        names,
        len(right),
        len(wrong),
        view.became,
        on_pick=lambda became: state.update(became=became),
    )
    flips = right if view.became == state.RIGHT else wrong
    if view.clip is not None and view.clip not in {flip.key for flip in flips}:
        st.warning(not_here(view.clip), icon=":material/link_off:")
    if not flips:
        st.caption("No clip did.")
        return
    evaluation = both[0].evaluation
    is_lacking = flip_cards(
        names,
        evaluation,
        flips,
        evaluations.thumbnails(),
        selected=view.clip,
        page=view.page,
        on_pick=lambda key: state.update(clip=key),
        on_page_change=lambda number: state.update(page=number, clip=None),
    )
    if view.clip in {flip.key for flip in flips}:
        show_clip(names, both, view.clip)
    if is_lacking:
        state.publish_link()
        # last, so that the page can be used meanwhile
        rows = rows_of(evaluation, [flip.key for flip in on_page(flips, view.page)])
        fetch_pictures(evaluation, rows, evaluations.thumbnails(), page=1)
        st.rerun()


def show_clip(names: tuple[str, str], both: tuple[Opened, Opened], key: str) -> None:
    """Draws the opened clip: it plays, and both answers stand beside each other."""
    first = both[0].evaluation
    row = int(rows_of(first, [key])[0])
    with st.container(key=DETAIL_KEY):
        left, right = st.columns([4, 9], gap="large")
        with left:
            detail.media(first, row, evaluations.media_of(first, row))
            for name, one in zip(names, both, strict=True):
                to_explanation(
                    one,
                    int(rows_of(one.evaluation, [key])[0]),
                    label=f"Explained by {plain(name)}",
                    needs_checkpoint=True,
                )
            st.button(
                "Close",
                icon=":material/close:",
                type="tertiary",
                key="close-flip",
                on_click=partial(state.update, clip=None),
            )
        with right, st.container(key="compare-answers"):
            side_by_side(names, (both[0].evaluation, both[1].evaluation), key)


def show_curves(alike: Mapping[str, Opened]) -> None:
    """Draws how training went, of every checkpoint whose history is at hand."""
    installed, known = checkpoints.checkpoints(), {}
    for name, one in alike.items():
        info = one.evaluation.info
        found = known_summary(installed.get(info.checkpoint), info.checkpoint_sha256)
        if found is not None and set(found.history) >= CURVE_COLUMNS:
            known[name] = found
    curves(known, [name for name in alike if name not in known])


page()
