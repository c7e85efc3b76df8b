"""Errors that people read: one sentence on one line, whatever it repeats from files and their names."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text on one line: what cannot be seen, or would turn or break the line, is `�`."""
    return "".join(char if char.isprintable() else "�" for char in text)


class SentenceError(Exception):
    """Something that cannot be used or done, told in one sentence: what, why, and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))
