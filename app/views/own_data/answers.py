"""What a prediction of one's own data gave: counts, the table of all clips, and the chosen one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from io import BytesIO

import numpy as np
import pandas as pd
import streamlit as st

from app.views.markup import UNIT_SPACE, chart, color_of, percent, plain, swatch, track
from app.views.picking import is_drawn, menu_key, picked_option, ticked, ticked_row
from core.labels import MODALITIES, MODALITY_NOUNS
from training.predictions import PROBABILITY

ANY = "all"
TABLE_HEIGHT = 420
NONE = "–"


def summary_html(table: pd.DataFrame) -> str:
    """HTML: how many clips were answered as what, how many the model was unsure of, how many right."""
    told = table[table["prediction"] != ""]
    counts = told["prediction"].value_counts()
    parts = [f"{swatch(name)} {escape(name)} <b>{number:,}</b>" for name, number in counts.items()]
    facts = [f"<b>{len(told):,}</b> answered"]
    if unsure := int(told["is_uncertain"].sum()):
        facts.append(f"{unsure:,} uncertain")
    labelled = told[told["label"] != ""]
    if len(labelled):
        right = int((labelled["label"] == labelled["prediction"]).sum())
        facts.append(f"{right:,} of {len(labelled):,} labelled ones as labelled")
    if without := len(table) - len(told):
        facts.append(f"{without:,} without an answer")
    return (
        f'<div class="found">{" · ".join(facts)}</div>'
        f'<div class="counts">{"".join(f"<span>{part}</span>" for part in parts)}</div>'
    )


def emotion_filter(table: pd.DataFrame, emotion: str | None, *, on_emotion) -> pd.DataFrame:
    """Draws a choice among the predicted emotions; returns the rows that are left.

    Args:
        table: of all answers.
        emotion: the current one; None for all.
        on_emotion: takes another one, or None.
    """
    counts = table["prediction"].value_counts()
    names = [name for name in counts.index if name]
    if len(names) < 2:
        return table
    chosen = emotion if emotion in names else ANY

    options = [ANY, *names]
    key = menu_key("own-emotion", chosen)

    def picked() -> None:
        if is_drawn(key) and (wanted := picked_option(key, options)) is not None:
            on_emotion(None if wanted == ANY else wanted)

    st.pills(
        "Show clips predicted",
        options,
        format_func=lambda name: f"{plain(name)} ({len(table) if name == ANY else counts[name]:,})",
        wrap=True,
        key=key,
        on_change=picked,
        required=True,
        label_visibility="collapsed",
    )
    return table if chosen == ANY else table[table["prediction"] == chosen]


def answer_table(table: pd.DataFrame) -> pd.DataFrame:
    """The answers as people read them: one row per clip, probabilities in per cent."""
    shown = pd.DataFrame({"clip": table["key"]})
    if table["split"].any():
        shown["split"] = table["split"]
    shown["emotion"] = [
        f"{name}{' ?' if unsure else ''}" if name else NONE
        for name, unsure in zip(table["prediction"], table["is_uncertain"], strict=True)
    ]
    shown["probability"] = (100 * table["confidence"]).round(1)
    if (table["label"] != "").any():
        shown["label"] = table["label"]
    for modality in MODALITIES:
        names, values = table[f"{modality}_prediction"], table[f"{modality}_confidence"]
        shown[MODALITY_NOUNS[modality]] = [
            f"{name} {percent(value)}" if name else NONE for name, value in zip(names, values, strict=True)
        ]
    shown["together"] = table["verdict"].replace("", NONE)
    shown["what is said"] = table["transcript"]
    if (table["error"] != "").any():
        shown["why no answer"] = table["error"]
    return shown.reset_index(drop=True)


def answers_table(table: pd.DataFrame, *, chosen: str | None, on_clip) -> None:
    """Draws the table, with the chosen clip ticked; `on_clip(key)` tells another, None where it is let go."""
    keys = table["key"].tolist()

    def picked() -> None:
        if is_drawn(key):
            row = ticked_row(key)
            on_clip(None if row is None else keys[row])

    key = menu_key("own-table", ticked(keys.index(chosen) if chosen in keys else None))
    shown = answer_table(table)
    st.dataframe(
        shown,
        hide_index=True,
        height=min(TABLE_HEIGHT, 40 + 35 * max(1, len(shown))),
        alt="The clips with the emotion that the model finds in each, and how probable that is.",
        key=key,
        on_select=picked,
        selection_mode="single-row",
        column_config={
            "clip": st.column_config.TextColumn(pinned=True, width="medium"),
            "probability": st.column_config.ProgressColumn(
                "probability", format="%.0f %%", min_value=0, max_value=100, width="small"
            ),
            "what is said": st.column_config.TextColumn(width="large"),
            "why no answer": st.column_config.TextColumn(width="large"),
        },
    )
    unsure = "? marks answers that the model would rather not give." if table["is_uncertain"].any() else ""
    st.caption(
        "Choose a row, by its box at the left, to see the clip’s answer below and open it. Picture, sound "
        "and words tell what the model says from each alone; “together”, how these stand to each other. "
        f"{unsure}"
    )


def downloads(table: pd.DataFrame, name: str) -> None:
    """Draws the buttons that download all columns of all answers, as CSV and as Parquet."""

    def parquet() -> bytes:
        content = BytesIO()
        table.to_parquet(content, index=False)
        return content.getvalue()

    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Answers as CSV",
            data=lambda: table.to_csv(index=False),
            file_name=f"{name}.csv",
            mime="text/csv",
            icon=":material/download:",
            key="own-csv",
        )
        st.download_button(
            "As Parquet",
            data=parquet,
            file_name=f"{name}.parquet",
            mime="application/vnd.apache.parquet",
            icon=":material/download:",
            key="own-parquet",
        )


def chosen_view(row: pd.Series, *, page: object, link: Mapping[str, str], on_close) -> None:
    """Draws one clip's answer with a link to the Clip page.

    Args:
        row: of the table of answers.
        page: that the link leads to.
        link: its parameters.
        on_close: is called when the clip is let go.
    """
    with st.container(border=True, key="own-chosen"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.html(chosen_headline(row))
            st.button("Close", icon=":material/close:", type="tertiary", key="own-close", on_click=on_close)
        if not row["prediction"]:
            st.warning(plain(row["error"]), icon=":material/error:")
            return
        left, right = st.columns(2, gap="large")
        with left:
            st.html(probabilities_chart(row))
        with right:
            st.html(modalities_chart(row))
            if row["transcript"]:
                st.html(f'<p class="said">“{escape(row["transcript"])}”</p>')
            for sentence in filter(None, (row["sentence"], row["notes"])):
                st.caption(plain(sentence))
        st.page_link(
            page, label="See why, on the Clip page", icon=":material/movie:", query_params=dict(link)
        )


def chosen_headline(row: pd.Series) -> str:
    """HTML: which clip, and what the model says of it."""
    doubt = ' <span class="chip uncertain">? uncertain</span>' if row["is_uncertain"] else ""
    answer = ""
    if row["prediction"]:
        answer = (
            f'<div class="emotion">{swatch(row["prediction"])}<strong>{escape(row["prediction"])}</strong>'
            f'<span class="confidence">{percent(float(row["confidence"]))}</span>{doubt}</div>'
        )
    label = f" · labelled {swatch(row['label'])} {escape(row['label'])}" if row["label"] else ""
    return f'<div class="eyebrow">{escape(row["key"])}{span_words(row)}{label}</div>{answer}'


def span_words(row: pd.Series) -> str:
    """Of a clip that is part of a file, which part; "" for a whole one."""
    start, end = row["start_seconds"], row["end_seconds"]
    if math.isnan(start) and math.isnan(end):
        return ""
    stop = "the end" if math.isnan(end) else f"{end:.1f} s"
    return f" · {0.0 if math.isnan(start) else start:.1f} s to {stop}"


def probabilities_chart(row: pd.Series) -> str:
    """HTML of the probabilities of all classes, the largest first."""
    values = {
        name.removeprefix(PROBABILITY): float(value)
        for name, value in row.items()
        if name.startswith(PROBABILITY) and not np.isnan(value)
    }
    bars = "".join(
        f'<li class="{"bar top" if name == row["prediction"] else "bar"}">'
        f'<span class="name">{swatch(name)}{escape(name)}</span>{track(0, value, color_of(name))}'
        f'<span class="value">{percent(value)}</span>'
        f'<span class="mark">{"label" if name == row["label"] else ""}</span></li>'
        for name, value in sorted(values.items(), key=lambda pair: -pair[1])
    )
    return chart(
        "Probability of each emotion",
        "%, calibrated",
        f'<ul class="bars">{bars}</ul>',
        f"Together they make 100{UNIT_SPACE}%; the longest bar is the answer. On recordings unlike those "
        "that the checkpoint learned from they are a guess.",
    )


def modalities_chart(row: pd.Series) -> str:
    """HTML of what the model says from each modality alone."""
    rows = []
    for modality in MODALITIES:
        noun, name = MODALITY_NOUNS[modality].capitalize(), row[f"{modality}_prediction"]
        if not name:
            rows.append(f'<li><span>{noun}</span><span class="absent">was not read</span></li>')
            continue
        value = percent(float(row[f"{modality}_confidence"]))
        rows.append(
            f'<li><span>{noun}</span><span class="says">{swatch(name)}{escape(name)} {value}</span></li>'
        )
    return chart(
        "What each modality says alone",
        "%",
        f'<ul class="alone">{"".join(rows)}</ul>',
        f"Together they are called {row['verdict']}. Why, the Clip page tells.",
    )
