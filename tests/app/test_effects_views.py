import re
from dataclasses import replace

import numpy as np
import pytest
from made_attributions import FEAR
from streamlit.testing.v1 import AppTest

from app.views import effects
from core.attribution.effects import CompressionEffects, LevelEffects
from core.attribution.results import Target
from tests.app.conftest import tables_of

LEAD = Target(label="fear", instead_of="joy")

FRAMES = LevelEffects(
    element="frame",
    num_elements=6,
    num_kept=3,
    positive_mass=np.nan,
    absolute_mass=np.nan,
    restored=0.52,
    exchanged=0.31,
    num_exchanged=3,
    random=np.array([0.30, 0.34]),
    evenly=0.41,
)
"""Three of six frames were kept: with as many at random fear got 30 and 34, instead of 50."""

PATCHES = LevelEffects(
    element="patch",
    num_elements=8,
    num_kept=6,
    positive_mass=0.9,
    absolute_mass=0.8,
    restored=0.51,
    exchanged=0.49,
    num_exchanged=2,
    random=np.array([0.45, 0.52, 0.47]),
    evenly=0.48,
)
"""Six of eight patches were kept, and those at random gave about the same."""

ALL_PATCHES = replace(
    PATCHES,
    num_kept=8,
    num_exchanged=0,
    positive_mass=1.0,
    absolute_mass=np.nan,
    restored=np.nan,
    exchanged=np.nan,
    random=np.zeros(0),
    evenly=np.nan,
)


def some_effects(**changes) -> CompressionEffects:
    values = {
        "target": FEAR,
        "value": 0.5,
        "frames": FRAMES,
        "patches": PATCHES,
        "all_restored": 0.55,
        "unmerged": 0.44,
        "num_passes": 9,
        "seconds": 0.1,
    }
    return CompressionEffects(**(values | changes))


def spaced(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ")


def concluded(frames: LevelEffects, **changes) -> str:
    """What is said of the frames of a clip whose patches are not compressed."""
    [sentence] = effects.conclusions(some_effects(frames=frames, patches=None, **changes))
    return spaced(sentence)


def test_every_version_that_could_be_asked():
    assert effects.versions(some_effects()) == [
        ("as it is", 0.5, ()),
        ("all 6 frames, not 3", 0.52, ()),
        ("3 dropped frames for kept ones", 0.31, ()),
        ("3 frames at random", pytest.approx(0.32), (0.30, 0.34)),
        ("3 frames, evenly spread", 0.41, ()),
        ("all 8 patches, not 6", 0.51, ()),
        ("2 dropped patches for kept ones", 0.49, ()),
        ("6 patches at random", pytest.approx(0.48), (0.45, 0.52)),
        ("6 patches, evenly spread", 0.48, ()),
        ("all frames and patches", 0.55, ()),
        ("the model’s own choice, the rest lost, not merged", 0.44, ()),
    ]


@pytest.mark.parametrize("patches", [None, ALL_PATCHES])
def test_where_nothing_was_dropped_there_is_no_version(patches):
    names = [name for name, *_ in effects.versions(some_effects(patches=patches))]
    assert len(names) == 7 and not any("patches" in name for name in names[:5])


def test_kept_frames_carry_what_random_ones_do_not_give():
    assert concluded(FRAMES) == "The kept frames carry fear: as many at random give −18.0 points."


@pytest.mark.parametrize(
    ("random", "mean"),
    [
        # one of them gave more than the 50 % of the clip as it is, though the mean is 12 points lower
        ([0.22, 0.54], "38.0 %"),
        # all of them gave less, but by three points only
        ([0.46, 0.48], "47.0 %"),
        ([0.52, 0.54], "53.0 %"),
    ],
)
def test_a_choice_that_random_ones_equal_carries_little(random, mean):
    assert concluded(replace(FRAMES, random=np.array(random))) == (
        f"The choice of frames carries little here: as many at random give fear about the same ({mean} on "
        "average; only dropped ones would give 31.0 %)."
    )


def test_a_choice_carries_nothing_at_all_where_the_dropped_give_as_much_too():
    assert concluded(replace(FRAMES, random=np.array([0.46, 0.48]), exchanged=0.48)).endswith(
        "give fear about the same (47.0 % on average)."
    )


def test_a_choice_that_random_ones_beat_works_against_the_answer():
    said = concluded(replace(FRAMES, random=np.array([0.60, 0.64])))
    assert said == "The choice of frames works against fear: as many at random give 12.0 points more."


@pytest.mark.parametrize(
    ("restored", "said"),
    [
        (0.35, " With none dropped it would change by −15.0 points."),
        (0.61, " With none dropped it would change by +11.0 points."),
        (0.46, ""),
    ],
)
def test_what_keeping_all_would_change_is_told_where_it_is_noticed(restored, said):
    first = "The kept frames carry fear: as many at random give −18.0 points."
    assert concluded(replace(FRAMES, restored=restored)) == first + said


def test_how_much_of_the_attribution_was_kept_stands_beside_how_much_of_the_clip():
    said = concluded(replace(FRAMES, positive_mass=0.75))
    assert said.endswith("points. On the kept frames, 50 % of all, lies 75 % of what raised it.")
    # of the patches of kept frames, for those of dropped ones were no choice
    patches = some_effects(patches=replace(PATCHES, positive_mass=0.75))
    assert "On the kept patches, 75 % of a kept frame’s, lies 75 %" in spaced(effects.conclusions(patches)[1])


def test_where_all_were_kept_there_was_no_choice():
    found = effects.conclusions(some_effects(patches=ALL_PATCHES))
    assert len(found) == 2 and found[0].startswith("The kept frames carry fear")
    assert found[1] == "All patches were kept, so there was no choice to try."
    every = replace(ALL_PATCHES, element="frame")
    assert effects.conclusions(some_effects(frames=every, patches=None)) == [
        "All frames were kept, so there was no choice to try."
    ]


def test_of_a_lead_it_says_which_and_tells_it_with_its_sign():
    assert concluded(FRAMES, target=LEAD) == (
        "The kept frames carry the lead of fear over joy: as many at random give −18.0 points."
    )
    below = replace(FRAMES, random=np.array([-0.14, -0.10]), restored=-0.1)
    assert concluded(below, target=LEAD, value=-0.11) == (
        "The choice of frames carries little here: as many at random give the lead of fear over joy about "
        "the same (−12.0 on average; only dropped ones would give +31.0)."
    )


def test_versions_as_a_table():
    table = effects.effects_table(some_effects(patches=None))
    assert list(table.columns) == ["fear (%)", "change (points)", "least to most (%)"]
    assert {name: row for name, *row in table.itertuples()} == {
        "as it is": ["50.0", "", ""],
        "all 6 frames, not 3": ["52.0", "+2.0", ""],
        "3 dropped frames for kept ones": ["31.0", "−19.0", ""],
        "3 frames at random": ["32.0", "−18.0", "30.0 to 34.0"],
        "3 frames, evenly spread": ["41.0", "−9.0", ""],
        "all frames and patches": ["55.0", "+5.0", ""],
        "the model’s own choice, the rest lost, not merged": ["44.0", "−6.0", ""],
    }
    of_lead = effects.effects_table(some_effects(target=LEAD))
    assert of_lead.columns[0] == "fear, not joy (percentage points)"


def test_masses_as_a_table():
    table = effects.mass_table(some_effects())
    rows = {name: [spaced(cell) for cell in row] for name, *row in table.itertuples()}
    assert list(table.columns) == ["kept", "of what raised it", "of all attribution"]
    assert rows == {
        "frames": ["50 %", "not known", "not known"],
        "patches": ["75 %", "90 %", "80 %"],
    }
    whole = effects.mass_table(some_effects(patches=ALL_PATCHES))
    assert [spaced(cell) for cell in whole.loc["patches"]] == ["100 %", "100 %", "not known"]
    assert list(effects.mass_table(some_effects(patches=None)).index) == ["frames"]


def run_effects(found):
    from app.views.effects import effects_view

    effects_view(found)


def show_effects(found: CompressionEffects) -> AppTest:
    test = AppTest.from_function(run_effects, args=(found,)).run()
    assert not test.exception and not tables_of(test)
    test.session_state["effects-table"] = True
    return test.run()


def rows_of(test: AppTest) -> dict[str, str]:
    """The HTML of each version, by its name."""
    html = test.get("html")[0].proto.body
    return dict(re.findall(r'<li class="[^"]*"><span class="name">(.*?)</span>(.*?)</li>', html))


def test_bars_stand_beside_the_clip_as_it_is():
    rows = rows_of(show_effects(some_effects()))
    assert len(rows) == 11
    for row in rows.values():
        assert '<b style="left:50.00%"></b>' in row
    own, at_random = rows["as it is"], rows["3 frames at random"]
    assert "left:0.00%;width:50.00%" in own and 'class="value"></span>' in own
    assert "left:0.00%;width:32.00%" in at_random
    assert re.findall(r'<b style="left:(.*?)%">', at_random) == ["50.00", "30.00", "34.00"]
    assert '<span class="value">−18.0</span>' in at_random


def test_bars_of_a_lead_begin_at_nothing():
    # from −30 to 70: nothing is at 30 % of the way, the clip as it is at 40 %, and 20 behind at 10 %
    frames = replace(FRAMES, restored=0.7, exchanged=-0.3, random=np.array([-0.2, -0.2]))
    found = some_effects(target=LEAD, value=0.1, frames=frames, patches=None)
    rows = rows_of(show_effects(found))
    assert "left:30.00%;width:10.00%" in rows["as it is"]
    assert "left:10.00%;width:20.00%" in rows["3 frames at random"]
    assert "−20.0</span>" in rows["3 frames at random"] and "−30.0</span>" in rows["3 frames at random"]


@pytest.mark.parametrize("patches", [None, PATCHES, ALL_PATCHES])
def test_the_panel_tells_conclusions_and_two_tables(patches):
    found = some_effects(patches=patches)
    test = show_effects(found)
    told = re.findall('<p class="concluded">(.*?)</p>', test.get("html")[0].proto.body)
    assert told == effects.conclusions(found)
    versions, masses = tables_of(test)
    assert len(versions) == len(effects.versions(found)) and masses.index[0] == "frames"
    drawn = [element.proto.body for element in test.get("html")]
    for text in (*drawn, versions.to_string(), masses.to_string()):
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)
