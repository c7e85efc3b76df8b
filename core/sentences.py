"""Errors that people read: one sentence on one line, and not endless, whatever it repeats of files."""

from __future__ import annotations

MAX_CHARACTERS = 650
"""Of a sentence; of a longer one the middle is left out, since its end says what to do."""

_END_CHARACTERS = 200


def printable(text: str) -> str:
    """Text on one line: what cannot be seen, or would turn or break the line, is `�`."""
    return "".join(char if char.isprintable() else "�" for char in text)


class SentenceError(Exception):
    """Something that cannot be used or done, told in one sentence: what, why, and what to do."""

    def __init__(self, sentence: str) -> None:
        text = printable(sentence)
        if len(text) > MAX_CHARACTERS:
            text = f"{text[: MAX_CHARACTERS - _END_CHARACTERS - 3]} … {text[-_END_CHARACTERS:]}"
        super().__init__(text)
