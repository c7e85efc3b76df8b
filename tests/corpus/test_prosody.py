"""Drawing prosody settings."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from core.labels import MELD_7
from sample_data.corpus.prosody import EMOTIONS, PLANNED_MOVES, RANGES, Prosody, between, draw_prosody

SETTING_OF_MEASURE = {
    "f0": "f0_ratio",
    "range": "range_ratio",
    "level": "level_db",
    "rate": "rate_ratio",
    "tilt": "tilt_db_per_octave",
}


def test_every_label_of_the_corpus_has_prosody():
    assert set(EMOTIONS) == set(MELD_7.labels) == set(PLANNED_MOVES)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_draws_lie_in_the_ranges_and_follow_the_generator(emotion):
    first, again, other = (draw_prosody(emotion, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again != other
    for name, (smallest, largest) in RANGES[emotion].items():
        assert smallest <= getattr(first, name) <= largest


def test_the_number_of_draws_does_not_depend_on_the_emotion():
    generators = [np.random.default_rng(0) for _ in EMOTIONS]
    for emotion, generator in zip(EMOTIONS, generators, strict=True):
        draw_prosody(emotion, generator)
    assert len({generator.integers(1 << 60) for generator in generators}) == 1


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_planned_moves_are_what_the_ranges_do(emotion):
    """A planned direction holds for every draw of the emotion against every neutral draw."""
    for measure, sign in PLANNED_MOVES[emotion].items():
        smallest, largest = RANGES[emotion][SETTING_OF_MEASURE[measure]]
        neutral_smallest, neutral_largest = RANGES["neutral"][SETTING_OF_MEASURE[measure]]
        if sign > 0:
            assert smallest > neutral_largest
        if sign < 0:
            assert largest < neutral_smallest


def test_strength_goes_from_neutral_to_the_emotion():
    neutral = draw_prosody("neutral", np.random.default_rng(1))
    sad = draw_prosody("sadness", np.random.default_rng(2))
    assert between(neutral, sad, 0.0) == neutral
    assert dataclasses.astuple(between(neutral, sad, 1.0)) == pytest.approx(dataclasses.astuple(sad))
    half = between(neutral, sad, 0.5)
    for field in dataclasses.fields(Prosody):
        middle = (getattr(neutral, field.name) + getattr(sad, field.name)) / 2
        assert getattr(half, field.name) == pytest.approx(middle)


def test_an_unknown_emotion_is_named():
    with pytest.raises(ValueError, match="boredom.*neutral, joy"):
        draw_prosody("boredom", np.random.default_rng(0))


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_table_in_the_docs_is_the_code(emotion):
    lines = (Path(__file__).parents[2] / "docs" / "corpus.md").read_text().splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| emotion | F0 ×"))
    names = ("f0_ratio", "range_ratio", "rate_ratio", "level_db", "tilt_db_per_octave", "final_semitones")
    row = next(line for line in lines[begin:] if line.startswith(f"| {emotion} |"))
    cells = row.replace("−", "-").split("|")[2:]
    told = [tuple(float(number) for number in cell.split("–")) for cell in cells[: len(names)]]
    assert told == [RANGES[emotion][name] for name in names]
