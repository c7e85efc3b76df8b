"""Hand-made attributions of the hand-made prediction."""

import numpy as np

from core.attribution.results import Attribution, Target

FEAR = Target(label="fear")


def an_attribution(element: str, **changes) -> Attribution:
    """What the elements of `hand_made_prediction` could have given to fear.

    Frames 1, 2 and 4 of six; four windows of sound; three words; 2 × 2 patches of every frame.
    """
    times = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 1.1])
    edges = np.array([0.0, 0.3, 0.6, 0.9, 1.2])
    unknown = np.full(3, np.nan)
    patches = np.zeros((6, 2, 2))
    patches[2] = [[0.010, -0.004], [0.0, 0.020]]
    values, start, end = {
        "frame": (np.array([0.0, 0.05, 0.12, 0.0, -0.03, 0.0]), times, times),
        "window": (np.array([0.01, -0.06, 0.0, 0.03]), edges[:-1], edges[1:]),
        "word": (np.array([0.02, 0.20, -0.10]), unknown, unknown),
        "patch": (patches, times, times),
    }[element]
    made = {
        "element": element,
        "method": f"method of {element}s",
        "target": FEAR,
        "values": values,
        "start_seconds": start,
        "end_seconds": end,
        "words": ("Do", "not", "move.") if element == "word" else (),
        "value": 0.5,
        "baseline_value": 0.3,
        "gap": 0.0,
        "num_passes": 1,
        "seconds": 0.1,
    }
    return Attribution(**(made | changes))
