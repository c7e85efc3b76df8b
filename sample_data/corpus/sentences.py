"""What is said in the clips: sentences with slots, in banks and splits.

Six banks carry their emotion in the words alone. The bank "neutral" says nothing about feeling, so its
sentences can be said in any voice and with any face. The bank "trap" is neutral too, though it holds the
words of emotions: reported, negated, of somebody else, in a title.

The templates lie in `texts/<bank>.toml` by split, what may fill their slots in `texts/slots.toml`. A
template is written down in the split it belongs to, and templates of the same frame belong to the same one.
So no sentence of the test split was ever trained on, and adding a template moves no other one.
"""

from __future__ import annotations

import itertools
import string
import tomllib
from functools import cache
from importlib.resources import files

import numpy as np

from sample_data.corpus.schema import SPLITS

BANKS = ("neutral", "joy", "surprise", "fear", "sadness", "disgust", "anger", "trap")

_TEXTS = files("sample_data.corpus") / "texts"


def templates(bank: str, split: str) -> tuple[str, ...]:
    """The templates of a bank and split, slots in braces, in the order in which they were written.

    Raises:
        ValueError: if there is no such bank or split.
    """
    if bank not in BANKS:
        raise ValueError(f"there is no bank of sentences {bank!r}; choose one of {', '.join(BANKS)}")
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}; choose one of {', '.join(SPLITS)}")
    return tuple(_read(bank)[split])


def draw_sentence(bank: str, split: str, generator: np.random.Generator) -> str:
    """A sentence: every template is equally likely, and so is every filling of a slot.

    Raises:
        ValueError: if there is no such bank or split.
    """
    choices = templates(bank, split)
    template = choices[generator.integers(len(choices))]
    fillers = {slot: _read("slots")[slot] for slot in _slots_of(template)}
    return template.format(**{slot: words[generator.integers(len(words))] for slot, words in fillers.items()})


@cache
def all_sentences(bank: str, split: str) -> frozenset[str]:
    """Every sentence that `draw_sentence` can give.

    Raises:
        ValueError: if there is no such bank or split.
    """
    return frozenset(sentence for template in templates(bank, split) for sentence in _fillings(template))


def _fillings(template: str) -> list[str]:
    slots = _slots_of(template)
    return [
        template.format(**dict(zip(slots, words, strict=True)))
        for words in itertools.product(*(_read("slots")[slot] for slot in slots))
    ]


@cache
def _slots_of(template: str) -> tuple[str, ...]:
    # in order of appearance: a set's order of strings differs from process to process, and with it the draws
    return tuple(dict.fromkeys(slot for _, slot, _, _ in string.Formatter().parse(template) if slot))


@cache
def _read(name: str) -> dict[str, list[str]]:
    return tomllib.loads((_TEXTS / f"{name}.toml").read_text(encoding="utf-8"))
