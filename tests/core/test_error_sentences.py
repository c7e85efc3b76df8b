"""Errors are one sentence that a person can read, whatever they repeat."""

from core.sentences import MAX_CHARACTERS, SentenceError


def test_a_sentence_is_on_one_line_and_keeps_its_end_however_much_it_repeats():
    assert str(SentenceError("a\nb has \u202e; rename it.")) == "a�b has �; rename it."
    told = str(SentenceError(f"a.csv, row 2: end_seconds is {'x' * 100_000!r}; write a number of seconds."))
    assert len(told) == MAX_CHARACTERS == 650
    assert told.startswith("a.csv, row 2: end_seconds is 'xxx") and " … xxx" in told
    assert told.endswith("xxx'; write a number of seconds.")
    assert str(SentenceError("y" * 650)) == "y" * 650
