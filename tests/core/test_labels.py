import pytest

from core.labels import EMOTION_COLORS, MELD_7, MODALITIES, SCHEMES, LabelScheme


def test_the_orders_other_files_rely_on():
    assert MODALITIES == ("video", "audio", "text")
    assert MELD_7.labels == ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
    assert MELD_7.index("fear") == 2


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_every_label_has_its_own_colour(scheme):
    colours = [EMOTION_COLORS[label] for label in scheme.labels]
    assert len(set(colours)) == len(scheme)


def test_unknown_label_names_the_known_ones():
    with pytest.raises(ValueError, match="'calm' is not a label of meld-7: neutral, surprise"):
        MELD_7.index("calm")


@pytest.mark.parametrize("labels", [("joy",), ("joy", "anger", "joy")])
def test_too_few_or_repeated_labels_are_refused(labels):
    with pytest.raises(ValueError, match="at least two different labels"):
        LabelScheme(name="bad", labels=labels)
