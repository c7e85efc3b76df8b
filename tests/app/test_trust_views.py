import re

import numpy as np
import pytest
from made_attributions import FEAR
from streamlit.testing.v1 import AppTest

from app.views import trust
from core.attribution.faithfulness import Faithfulness
from core.attribution.randomisation import Randomised
from core.attribution.removal import Curves, Infidelity
from core.attribution.results import Target
from sample_data.corpus.checking.statistics import Estimate
from tests.app.conftest import tables_of
from training.truth import TruthFigure
from training.truth_report import TruthReport

CONTRAST = Target(label="fear", instead_of="joy")
METHOD = "integrated-gradients"


def a_test(element: str = "frame", **changes) -> Faithfulness:
    """Three steps, two random orders that differ in the middle alone."""
    values = {
        "element": element,
        "method": METHOD,
        "target": FEAR,
        "num_elements": 4,
        "curves": curves([[0.6, 0.3, 0.1], [0.6, 0.4, 0.1]]),
        "infidelity": Infidelity(value=0.01, unexplained=0.4, shuffled_unexplained=0.9, chance=0.05),
        "relative_gap": 0.034,
        "sensitivity": 0.25,
        "randomised": (
            Randomised(layers="classifier", correlation=0.9, num_elements=4),
            Randomised(layers="whole encoder", correlation=-0.5, num_elements=4),
        ),
        "verdict": "supported",
        "reasons": ("It passed.",),
        "num_passes": 3,
        "seconds": 0.1,
    }
    return Faithfulness(**(values | changes))


def curves(random: list[list[float]]) -> Curves:
    return Curves(
        removed=np.array([0.0, 0.5, 1.0]),
        deletion=np.array([0.6, 0.2, 0.1]),
        reversed_deletion=np.array([0.6, 0.5, 0.1]),
        random=np.array(random),
    )


def a_report(*figures: TruthFigure) -> TruthReport:
    return TruthReport(
        checkpoint="made",
        checkpoint_sha256="c" * 64,
        plan_sha256="a" * 64,
        split="",
        num_clips=40,
        figures=figures,
    )


def a_figure(name: str, *, method: str = METHOD, num: int = 40, chance: float = 0.25) -> TruthFigure:
    found = (0.6, 0.5, 0.7) if num else (np.nan,) * 3
    estimate = Estimate(**dict(zip(("value", "low", "high"), found, strict=True)), num=num, num_clusters=3)
    return TruthFigure(figure=name, method=method, estimate=estimate, chance=chance, gain=estimate)


def spaced(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ")


def named(figure, name: str):
    return next(trace for trace in figure.data if trace.name == name)


def test_curves_are_drawn_in_percent_of_what_is_removed():
    figure = trust.curves_figure(a_test())
    drawn = {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data[1:]}
    removed = [0, 50, 100]
    assert drawn["deletion"] == (removed, pytest.approx([60, 20, 10]))
    assert drawn["reversed order"] == (removed, pytest.approx([60, 50, 10]))
    assert drawn["random orders, mean"] == (removed, pytest.approx([60, 35, 10]))
    assert figure.layout.xaxis.title.text == "frames removed (%)"
    assert figure.layout.yaxis.title.text == "fear (%)"
    of_lead = trust.curves_figure(a_test("window", target=CONTRAST))
    assert of_lead.layout.xaxis.title.text == "windows of sound removed (%)"
    assert of_lead.layout.yaxis.title.text == "fear, not joy (percentage points)"


def test_no_two_curves_are_told_apart_by_colour_alone():
    lines = trust.curves_figure(a_test()).data[1:]
    assert len({trace.line.dash for trace in lines}) == len(lines) == 3
    assert len({trace.marker.symbol for trace in lines}) == 3


def test_the_band_is_the_prediction_interval_of_the_random_orders():
    # in the middle 48, 50 and 52: deviation 2, and t with 2 degrees of freedom is 4.3027, so that the band
    # reaches 4.3027 · 2 · √(1 + 1/3) = 9.94 to both sides
    found = a_test(curves=curves([[0.6, 0.48, 0.1], [0.6, 0.50, 0.1], [0.6, 0.52, 0.1]]))
    band = named(trust.curves_figure(found), "random orders, 95 %")
    assert list(band.x) == [0, 50, 100, 100, 50, 0]
    assert list(band.y) == pytest.approx([60, 59.94, 10, 10, 40.06, 60], abs=0.005)
    table = trust.curves_table(found)
    assert table["random, 95 % (%)"].tolist() == ["60.0 to 60.0", "40.1 to 59.9", "10.0 to 10.0"]
    assert list(table.index) == ["0", "50", "100"]
    assert table["deletion (%)"].tolist() == ["60.0", "20.0", "10.0"]
    assert table["reversed (%)"].tolist() == ["60.0", "50.0", "10.0"]


@pytest.mark.parametrize(
    ("target", "unit", "told", "ends"),
    [
        # 35 ± 12.7062 · 7.0711 · √1.5 is −75 to 145
        (FEAR, "%", "0.0 to 100.0", (0, 100)),
        (CONTRAST, "percentage points", "-75.0 to 100.0", (-75.04, 100)),
    ],
)
def test_the_band_stays_within_what_the_number_can_be(target, unit, told, ends):
    found = a_test(target=target)
    assert trust.curves_table(found)[f"random, 95 % ({unit})"].tolist()[1] == told
    band = named(trust.curves_figure(found), "random orders, 95 %")
    assert (min(band.y), max(band.y)) == pytest.approx(ends, abs=0.005)


def test_a_lead_is_no_less_than_minus_100():
    found = a_test(target=CONTRAST, curves=curves([[0.0, -0.9, 0.0], [0.0, 0.9, 0.0]]))
    band = named(trust.curves_figure(found), "random orders, 95 %")
    assert (min(band.y), max(band.y)) == (-100, 100)


@pytest.mark.parametrize(
    # areas of the random orders 32.5 and 37.5: 35 ± 12.7062 · 3.5355 · √1.5, which is −20 to 90
    ("target", "unit", "chance"),
    [(FEAR, "%", "0.0 to 90.0"), (CONTRAST, "percentage points", "-20.0 to 90.0")],
)
def test_every_figure_stands_beside_what_chance_gives(target, unit, chance):
    table = trust.figures_table(a_test(target=target))
    rows = {name: [spaced(cell) for cell in row] for name, *row in table.iloc[:, :2].itertuples()}
    assert rows == {
        # by trapezoids: ½ · (60 + 20) / 2 + ½ · (20 + 10) / 2, and the same of 60, 50 and 10
        f"deletion: mean value ({unit})": ["27.5", chance],
        f"insertion: mean value ({unit})": ["42.5", chance],
        "infidelity: changes not foretold": ["40 %", "90 %"],
        "sensitivity to unnoticed noise": ["0.25", "1.41"],
        # of the last network, which has forgotten everything
        "likeness to a network of random weights": ["-0.50", "0.00"],
        "gap: difference not explained": ["3 %", ""],
    }


def test_words_have_no_noise_that_nobody_notices():
    row = trust.figures_table(a_test("word", sensitivity=np.nan)).loc["sensitivity to unnoticed noise"]
    assert row.tolist()[:2] == ["does not apply", ""]


def test_what_was_not_measured_is_said_in_words():
    found = a_test(relative_gap=np.nan, sensitivity=np.nan, randomised=())
    table = trust.figures_table(found)
    assert table.loc["sensitivity to unnoticed noise", "found"] == "not measured"
    assert table.loc["likeness to a network of random weights", "found"] == "not measured"
    assert table.loc["gap: difference not explained", "found"] == "does not apply"
    for text in (table.to_string(), trust.curves_table(found).to_string()):
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_how_a_method_scored_where_the_truth_is_known():
    report = a_report(
        a_figure("frame pointing", method="occlusion", num=9),
        a_figure("frame pointing"),
        a_figure("frame mass", chance=np.nan),
        a_figure("sound pointing"),
    )
    assert [spaced(one) for one in trust.planted_sentences(report, "frame", METHOD)] == [
        "The most important frame shows the expression at its height: 60 % (95 % interval 50 % to 70 %, 40 "
        "made clips; by chance 25 %).",
        "Share of the positive attribution that lies on frames at the expression's height: 60 % (95 % "
        "interval 50 % to 70 %, 40 made clips).",
    ]
    [of_sound] = trust.planted_sentences(report, "window", METHOD)
    assert of_sound.startswith("The most important window of sound lies where the voice is emotional: 60")


def test_how_a_method_did_in_tests_on_made_clips_is_told_where_it_was_measured():
    report = a_report(
        a_figure("word deletion"), a_figure("word randomised", chance=np.nan), a_figure("sound insertion")
    )
    assert [spaced(one) for one in trust.planted_sentences(report, "word", METHOD)] == [
        "Mean probability of the answer while words are removed, the most important first (lower is better; "
        "chance is random orders): 60 % (95 % interval 50 % to 70 %, 40 made clips; by chance 25 %).",
        "Explanations of words that a network of random weights gives nearly the same (rank correlation of "
        "0.5 or more, and more than chance gives; lower is better): 60 % (95 % interval 50 % to 70 %, 40 "
        "made clips).",
    ]
    [of_sound] = trust.planted_sentences(report, "window", METHOD)
    assert of_sound.startswith("Mean probability of the answer while windows of sound are added, the most")


@pytest.mark.parametrize(
    "report",
    [a_report(), a_report(a_figure("word pointing", method="occlusion"), a_figure("word mass", num=0))],
)
def test_a_method_that_was_not_measured_claims_nothing(report):
    assert trust.planted_sentences(report, "word", METHOD) == [
        "This method was not measured for this checkpoint; choose another one under Methods."
    ]


def test_without_a_benchmark_it_is_said_how_to_make_one():
    [sentence] = trust.planted_sentences(None, "frame", METHOD)
    assert sentence.startswith("Not measured for this checkpoint") and "deepmsi bench truth" in sentence


@pytest.mark.parametrize("report", [None, a_report(a_figure("frame pointing"))])
def test_nobody_planted_truth_for_patches(report):
    [sentence] = trust.planted_sentences(report, "patch", METHOD)
    assert sentence.startswith("No truth was planted for single patches")


def run_trust(found):
    from app.views.trust import trust_view

    trust_view(found)


@pytest.mark.parametrize(
    ("verdict", "chip"),
    [
        ("supported", '<span class="chip ">✓ supported</span>'),
        ("weak", '<span class="chip uncertain">~ weak</span>'),
        ("do not rely on this", '<span class="chip uncertain">✗ do not rely on this</span>'),
    ],
)
def test_the_verdict_is_told_with_its_sign_and_reasons(verdict, chip):
    found = a_test("window", verdict=verdict, reasons=("First <b>reason</b>.", "Second."))
    test = AppTest.from_function(run_trust, args=(found,))
    test.session_state["trust-table"] = True
    test.run()
    assert not test.exception
    html = test.get("html")[0].proto.body
    assert chip in html
    assert "<li>First &lt;b&gt;reason&lt;/b&gt;.</li><li>Second.</li>" in html
    assert test.markdown[0].value == "**Probability of fear while the windows of sound are removed**"
    assert len(test.get("plotly_chart")) == 1
    figures, steps = tables_of(test)
    assert figures.loc["sensitivity to unnoticed noise", "found"] == "0.25"
    assert list(steps["deletion (%)"]) == ["60.0", "20.0", "10.0"]


def run_picker(chosen, report):
    import streamlit as st

    from app.views.trust import element_picker, planted_truth

    element_picker(("word", "window"), chosen, on_pick=lambda name: st.session_state.update(picked=name))
    planted_truth(report, chosen, "occlusion")


def test_people_choose_whose_explanation_is_judged():
    test = AppTest.from_function(run_picker, args=("window", None)).run()
    assert not test.exception and "picked" not in test.session_state
    assert test.segmented_control(key="trust-element").value == "window"
    told = test.get("html")[0].proto.body
    assert "<b>Where the truth is known: occlusion for the sound</b>" in told
    assert "<p>Not measured for this checkpoint" in told
    test.segmented_control(key="trust-element").set_value("word").run()
    assert test.session_state["picked"] == "word"
