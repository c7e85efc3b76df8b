"""One clip, opened in place: it plays, and tells what the model and each modality say of it."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from app.playback import Playable, as_it_is, is_playable
from app.views.markup import UNIT_SPACE, chart, color_of, percent, plain, points, swatch, track
from app.views.tables import draw_table
from app.views.twin import table_twin
from core.attribution.modalities import told_verdict
from core.evaluation import Evaluation
from core.evaluation.artifact import FACE, NON_EMPTY
from core.evaluation.neighbours import Neighbour
from core.labels import MODALITIES, MODALITY_NOUNS
from core.media import MediaError, open_clip
from sample_data import is_shipped

PLAYER_KEY = "failures-player"
"""Key of the container that the player is drawn into."""

NOT_AT_HAND = (
    "The clip’s file is not at hand: its figures are kept in the evaluation, and the file is looked for "
    "where the evaluation was made from and among the shipped clips."
)
NOT_PLAYABLE = "Browsers cannot play this file as it is; open it on the Clip page to have a copy made."


def playable(path: Path) -> Playable | None:
    """The file as browsers take it; None where they do not. Raises MediaError."""
    clip = open_clip(path, apart=not is_shipped(path))
    return as_it_is(clip) if is_playable(clip) else None


def media(evaluation: Evaluation, row: int, path: Path | None) -> None:
    """Draws the player with the words, or a sentence on why there is none."""
    clip = evaluation.predictions.iloc[row]
    words = clip["transcript"] if isinstance(clip["transcript"], str) else ""
    with st.container(key=PLAYER_KEY):
        if path is None:
            st.info(NOT_AT_HAND, icon=":material/link_off:")
        else:
            try:
                file = playable(path)
            except MediaError as error:
                st.error(plain(str(error)), icon=":material/error:")
            else:
                _play(file, clip, alt=words or clip["key"])
    facts = [f"speaker {clip['speaker']}"] if isinstance(clip["speaker"], str) else []
    facts += [f"dialogue {clip['dialogue']}"] if isinstance(clip["dialogue"], str) else []
    facts += ["no face found"] if clip.get(FACE) == "none" else []
    said = f"<p class='words'>“{escape(words)}”</p>" if words else "<p class='words'>No words.</p>"
    st.html(f"{said}<p class='facts'>{escape(' · '.join([clip['key'], *facts]))}</p>")


def _play(file: Playable | None, clip: pd.Series, *, alt: str) -> None:
    if file is None:
        st.info(NOT_PLAYABLE, icon=":material/info:")
        return
    start, end = clip["start_seconds"], clip["end_seconds"]
    span = {
        "start_time": 0 if math.isnan(start) else int(start),
        "end_time": None if math.isnan(end) else math.ceil(end),
    }
    draw = st.video if file.has_picture else st.audio
    draw(file.path, format=file.mime, alt=alt, **span)


def headline(evaluation: Evaluation, row: int) -> None:
    """Draws what the model says and what the label is."""
    clip, probabilities = evaluation.predictions.iloc[row], evaluation.probabilities()[row]
    label, said = clip["label"], clip["prediction"]
    of_label = float(probabilities[evaluation.labels.index(label)])
    truth = (
        f"✓ labelled {swatch(label)} {escape(label)} too"
        if label == said
        else f"✗ labelled {swatch(label)} <b>{escape(label)}</b>, to which it gives {percent(of_label)}"
    )
    doubt = ' <span class="chip uncertain">? uncertain</span>' if _is_uncertain(evaluation, row) else ""
    st.html(
        '<div class="eyebrow">The model says</div>'
        f'<div class="emotion">{swatch(said)}<strong>{escape(said)}</strong>'
        f'<span class="confidence">{percent(float(probabilities.max()))}</span>{doubt}</div>'
        f'<p class="truth">{truth}</p>'
    )


def _is_uncertain(evaluation: Evaluation, row: int) -> bool:
    return bool(evaluation.probabilities()[row].max() < evaluation.info.uncertainty_threshold)


def figures(evaluation: Evaluation, row: int) -> None:
    """Draws the probabilities of all classes, and what the model says from some of the modalities."""
    clip = evaluation.predictions.iloc[row]
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(probabilities_chart(evaluation, row))
    with right:
        st.html(modalities_chart(evaluation, row))
    verdict = told_verdict(clip["verdict"], is_uncertain=_is_uncertain(evaluation, row))
    st.html(f'<p class="facts">Together the modalities are called <b>{escape(verdict)}</b>.</p>')
    with table_twin("detail-tables", "As tables") as is_open:
        if is_open:
            draw_table(subset_table(evaluation, row))
            own = evaluation.extra.iloc[row].dropna()
            if len(own):
                draw_table(own.rename("from the data set").to_frame())


def subset_table(evaluation: Evaluation, row: int) -> pd.DataFrame:
    """Probability in % of every class under each subset of the modalities that shows the clip."""
    subsets = {}
    for subset in NON_EMPTY:
        name = f"probabilities:{'+'.join(subset)}"
        values = evaluation.predictions[name].iat[row]
        if values is not None:
            subsets[" + ".join(subset)] = [f"{100 * value:.1f}" for value in values]
    return pd.DataFrame(subsets, index=list(evaluation.labels)).T.rename_axis("shown (% of each emotion)")


def neighbours_list(found: tuple[Neighbour, ...], label: str) -> None:
    """Draws the nearest training clips; nothing without any."""
    if not found:
        return
    same = sum(neighbour.label == label for neighbour in found)
    rows = "".join(
        f"<li>{swatch(n.label)}<b>{escape(n.label)}</b>{track(0, n.similarity, color_of(n.label))}"
        f'<span class="value">{n.similarity:.2f}</span><span class="facts">{escape(n.key)}</span></li>'
        for n in found
    )
    st.html(
        chart(
            "Nearest training clips",
            "cosine, −1 to 1",
            f'<ul class="neighbours">{rows}</ul>',
            f"The clips it learned from that lie closest in the fused space; {same} of {len(found)} are "
            f"labelled {label}. What surrounds a clip there is what the model takes it for.",
        )
    )


def probabilities_chart(evaluation: Evaluation, row: int) -> str:
    """HTML of the probabilities of all classes, the largest first."""
    clip, values = evaluation.predictions.iloc[row], evaluation.probabilities()[row]
    rows = []
    for i in np.argsort(-values, kind="stable"):
        name, value = evaluation.labels[i], float(values[i])
        mark = "label" if name == clip["label"] else ""
        kind = "bar top" if name == clip["prediction"] else "bar"
        rows.append(
            f'<li class="{kind}"><span class="name">{swatch(name)}{escape(name)}</span>'
            f"{track(0, value, color_of(name))}"
            f'<span class="value">{percent(value)}</span><span class="mark">{mark}</span></li>'
        )
    return chart(
        "Probability of each emotion",
        "%, calibrated",
        f'<ul class="bars">{"".join(rows)}</ul>',
        "Together they make 100 %; the longest bar is the answer.".replace(" %", f"{UNIT_SPACE}%"),
    )


def modalities_chart(evaluation: Evaluation, row: int) -> str:
    """HTML of what the model says from each modality alone, and what that gave to the answer."""
    clip = evaluation.predictions.iloc[row]
    rows = []
    for i, modality in enumerate(MODALITIES):
        values = evaluation.probabilities((modality,))[row]
        noun = MODALITY_NOUNS[modality].capitalize()
        if np.isnan(values).any():
            rows.append(f'<li><span>{noun}</span><span class="absent">was not read</span></li>')
            continue
        best = int(values.argmax())
        name = evaluation.labels[best]
        sign = "✓" if name == clip["label"] else "✗"
        gave = points(100 * float(evaluation.shapley[row, i]))
        rows.append(
            f"<li><span>{noun}</span><span class='says'>{swatch(name)}{escape(name)}"
            f' {percent(float(values[best]))} {sign}</span><span class="value">{gave}</span></li>'
        )
    head = '<li class="head"><span></span><span>alone it says</span><span class="value">it gave</span></li>'
    return chart(
        "What each modality says",
        "%, and percentage points",
        f'<ul class="alone">{head}{"".join(rows)}</ul>',
        f"✓ where that is the label. It gave: its Shapley value, by how much it raises or lowers "
        f"{clip['prediction']}, the answer, on average over every order in which modalities can be added.",
    )
