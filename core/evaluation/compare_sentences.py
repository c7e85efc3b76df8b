"""A comparison in words: whether one is better, and by how much, told alike on pages and in reports."""

from __future__ import annotations

from core.attribution.modalities import listed
from core.evaluation.compare import Comparison
from core.evaluation.metrics import Estimate

FIGURES = {
    "accuracy": "Accuracy",
    "weighted_f1": "Weighted F1",
    "macro_f1": "Macro F1",
    "uar": "Mean recall (UAR)",
    "macro_auroc": "Mean AUROC",
    "ece": "Calibration error",
    "brier": "Brier score",
}
"""What tables call the figures of `core.evaluation.metrics.HEADLINES`."""

LESS_IS_BETTER = ("ece", "brier")

SIGNIFICANT = 0.05
"""Of recall, McNemar's exact test after Holm over all classes."""


def conclusion(name: str, one: Comparison, *, base: str = "the first") -> str:
    """Whether B is better than A, in a sentence or two.

    Args:
        name: what the sentence calls B.
        one: of A and B.
        base: what it calls A.
    """
    difference = one.headlines["macro_f1"].difference
    sign = sign_of("macro_f1", difference)
    if not sign:
        return f"{name} and {base} cannot be told apart by macro F1: it is undefined."
    if sign == "≈":
        said = (
            f"{name}: these {one.num_clips:,} clips cannot tell whether its macro F1 is better or worse "
            f"({signed(difference)})."
        )
    else:
        word = "better" if sign == "▲" else "worse"
        said = f"{name} is {word}: macro F1 {signed(difference)}."
    changed = {
        label: of.recall.only_b_right > of.recall.only_a_right
        for label, of in one.classes.items()
        if of.adjusted_p_value is not None and of.adjusted_p_value < SIGNIFICANT
    }
    parts = [
        f"{listed(names)} {word} often"
        for word, is_more in (("more", True), ("less", False))
        if (names := [label for label, more in changed.items() if more == is_more])
    ]
    if parts:
        said += f" It recognises {', and '.join(parts)}, beyond chance where clips are independent."
    return said


def sign_of(name: str, difference: Estimate) -> str:
    """▲ better, ▼ worse, ≈ not to be told; "" where it is undefined."""
    if difference.value is None:
        return ""
    if difference.low is None or difference.high is None or difference.low <= 0.0 <= difference.high:
        return "≈"
    return "▲" if (difference.value > 0) != (name in LESS_IS_BETTER) else "▼"


def p_value(value: float) -> str:
    """As "= 0.034" or "< 0.001"."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def signed(of: Estimate) -> str:
    """As "+0.04 [−0.01, +0.09]"; with a third digit where two would hide on which side of zero it is."""

    def one(value: float) -> str:
        text = f"{abs(value):.2f}"
        if float(text) == 0 and round(abs(value), 3) > 0:
            text = f"{abs(value):.3f}"
        return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"

    if of.value is None:
        return "–"
    if of.low is None or of.high is None:
        return one(of.value)
    return f"{one(of.value)} [{one(of.low)}, {one(of.high)}]"
