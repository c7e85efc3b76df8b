"""The first step: the class votes before anything is told."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from app.learn_state import Vote, score
from app.views.markup import chip, plain, swatch


def ballot(labels: Sequence[str], guess: str | None, *, on_guess, on_reveal) -> None:
    """Draws the emotions to choose from and the button that reveals the label.

    Args:
        labels: to choose from.
        guess: the present choice, None before any.
        on_guess: called with another choice, None where it is taken back.
        on_reveal: called without arguments.
    """

    def picked() -> None:
        on_guess(st.session_state["learn-guess"])

    st.session_state["learn-guess"] = guess
    st.pills(
        "Which emotion does the class see and hear?",
        labels,
        format_func=lambda label: plain(label.capitalize()),
        wrap=True,
        key="learn-guess",
        on_change=picked,
    )
    st.button(
        "Reveal",
        icon=":material/visibility:",
        type="primary",
        key="learn-reveal",
        disabled=guess is None,
        on_click=on_reveal,
        help="Vote first: choose what most of the class say." if guess is None else None,
    )


def outcome(vote: Vote, *, is_uncertain: bool) -> None:
    """Draws label, vote and answer side by side, each with a sign for right or wrong.

    Args:
        vote: what was said, and what is true.
        is_uncertain: the model would rather not decide.
    """
    doubt = chip("? uncertain", "uncertain") if is_uncertain else ""
    st.html(
        '<dl class="learn-outcome">'
        f"<div><dt>The label</dt><dd>{swatch(vote.label)}{escape(vote.label)}</dd></div>"
        f"{_said('The class', vote.guess, vote.label)}"
        f"{_said('The model', vote.answer, vote.label, doubt)}</dl>"
    )


def score_line(cast: Sequence[Vote], num_clips: int, *, checkpoint: str) -> None:
    """Draws how often the class and a checkpoint were right so far; nothing before the first vote.

    Args:
        cast: the votes, answers of other checkpoints among them.
        num_clips: to vote on.
        checkpoint: hash of the one whose answers count.
    """
    if not cast:
        return
    ours, models, num_answers = score(cast, checkpoint)
    left = num_clips - len(cast)
    more = f"{left} more clip{'' if left == 1 else 's'} to guess." if left else "Every clip was guessed."
    st.html(
        f'<p class="learn-score">Score: class <b>{ours} of {len(cast)}</b> right, model '
        f"<b>{models} of {num_answers}</b> right. <span>{more}</span></p>"
    )


def _said(who: str, said: str, label: str, mark: str = "") -> str:
    sign = "✓ right" if said == label else "✗ wrong"
    return f"<div><dt>{who}</dt><dd>{swatch(said)}{escape(said)} <small>{sign}</small>{mark}</dd></div>"
