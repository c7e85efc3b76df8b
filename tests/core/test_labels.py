from itertools import combinations

import numpy as np
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


# How colour-blind people see linear RGB (Machado, Oliveira & Fernandes 2009, severity 1).
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def linear_rgb(colour: str) -> np.ndarray:
    values = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def cielab(linear: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], LUMINANCE, [0.0193, 0.1192, 0.9505]])
    relative = to_xyz @ linear.clip(0, 1) / [0.9505, 1, 1.089]
    curved = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    x, y, z = curved
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_told_apart_however_one_sees_them(sight):
    seen = {
        label: cielab(np.array(SIGHTS[sight]) @ linear_rgb(EMOTION_COLORS[label])) for label in MELD_7.labels
    }
    distances = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in combinations(seen, 2)}
    nearest = min(distances, key=distances.get)
    # a difference of 2 is just seen; surprise and joy once were two yellows, 4 apart for deuteranopes
    assert distances[nearest] > (25 if sight == "normal" else 10), nearest


@pytest.mark.parametrize("ground", ["#fbfaf8", "#15171b"])
def test_colours_show_on_both_grounds(ground):
    for label in MELD_7.labels:
        lights = sorted(LUMINANCE @ linear_rgb(colour) + 0.05 for colour in (EMOTION_COLORS[label], ground))
        # below 3, which WCAG asks of graphics, the edge around swatches and bars helps
        assert lights[1] / lights[0] > 2.4, label


def test_unknown_label_names_the_known_ones():
    with pytest.raises(ValueError, match="'calm' is not a label of meld-7: neutral, surprise"):
        MELD_7.index("calm")


@pytest.mark.parametrize("labels", [("joy",), ("joy", "anger", "joy")])
def test_too_few_or_repeated_labels_are_refused(labels):
    with pytest.raises(ValueError, match="at least two different labels"):
        LabelScheme(name="bad", labels=labels)
