import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_attributions import FEAR, an_attribution
from made_prepared import made_checkpoint
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from app.cli import cli
from app.display import display_clip
from app.explain_files import as_json, as_table
from app.explain_page import page
from app.explain_picture import picture
from app.explain_timeline import Timeline
from core.attribution.effects import CompressionEffects, LevelEffects
from core.attribution.explain import Explanation
from core.attribution.faithfulness import Faithfulness
from core.attribution.randomisation import Randomised
from core.attribution.removal import Curves, Infidelity
from core.attribution.results import Target
from core.media import Transcript
from core.media.clip import Word
from core.prediction import SUBSETS
from tests.app.conftest import hand_made_prediction, write_clip

FILES = ["elements.parquet", "explanation.html", "explanation.json", "explanation.png"]


def run(*arguments: object):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def a_test(element: str) -> Faithfulness:
    """Of a hand-made attribution."""
    curves = Curves(
        removed=np.array([0.0, 0.5, 1.0]),
        deletion=np.array([0.5, 0.2, 0.1]),
        reversed_deletion=np.array([0.5, 0.4, 0.1]),
        random=np.array([[0.5, 0.3, 0.1], [0.5, 0.32, 0.1]]),
    )
    return Faithfulness(
        element=element,
        method=an_attribution(element).method,
        target=FEAR,
        num_elements=4,
        curves=curves,
        infidelity=Infidelity(value=0.01, unexplained=0.4, shuffled_unexplained=0.9, chance=0.05),
        relative_gap=np.nan,
        sensitivity=0.25,
        randomised=(Randomised(layers="whole encoder", correlation=-0.5, num_elements=4),),
        verdict="do not rely on this",
        reasons=("Something <is> wrong.",),
        num_passes=3,
        seconds=0.1,
    )


def some_effects() -> CompressionEffects:
    """Three of six frames were kept, and all patches."""
    level = LevelEffects(
        element="frame",
        num_elements=6,
        num_kept=3,
        positive_mass=0.75,
        absolute_mass=0.5,
        restored=0.45,
        exchanged=0.31,
        num_exchanged=3,
        random=np.array([0.40, 0.44]),
        evenly=0.41,
    )
    missing = {"restored": np.nan, "exchanged": np.nan, "evenly": np.nan, "positive_mass": np.nan}
    patches = replace(
        level, element="patch", num_elements=4, num_kept=4, num_exchanged=0, random=np.zeros(0), **missing
    )
    return CompressionEffects(
        target=FEAR,
        value=0.5,
        frames=level,
        patches=patches,
        all_restored=0.47,
        unmerged=0.48,
        num_passes=9,
        seconds=0.1,
    )


def made_explanation(**changes) -> Explanation:
    attributions = {
        element: an_attribution(element, method="occlusion")
        for element in ("word", "window", "frame", "patch")
    }
    values = {
        "prediction": hand_made_prediction(),
        "target": FEAR,
        "attributions": attributions,
        "faithfulness": {element: a_test(element) for element in attributions},
        "effects": some_effects(),
    }
    return Explanation(**(values | changes))


def made_display(explanation: Explanation, transcript: Transcript | None = None):
    rng, has = np.random.default_rng(0), explanation.prediction.present
    crops = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8) if has["video"] else None
    waveform = rng.normal(0, 0.1, 19_200).astype(np.float32) if has["audio"] else None
    return display_clip(crops, waveform, transcript, 1.2)


def lacking(modality: str, elements: tuple[str, ...]) -> Explanation:
    """A hand-made explanation of a clip without a modality."""
    whole, prediction = made_explanation(), hand_made_prediction()
    gone = {"video": {"frames": None, "patch_steps": (), "crop_boxes": None}, "text": {"transcript": ""}}
    report = prediction.modalities
    rows = np.array([modality in subset for subset in SUBSETS])[:, None]
    modalities = replace(report, probabilities=np.where(rows, np.nan, report.probabilities))
    present = prediction.present | {modality: False}
    changed = {"present": present, "modalities": modalities} | gone[modality]
    return made_explanation(
        prediction=replace(prediction, **changed),
        attributions={e: whole.attributions[e] for e in elements},
        faithfulness={},
        effects=None if modality == "video" else whole.effects,
    )


class Tags(HTMLParser):
    """Names of tags, attributes, and the text between, of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names, self.attributes, self.text = set(), [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return made_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny").folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPMSI_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield patch


@pytest.fixture(scope="module")
def asked(checkpoint, cache, tmp_path_factory):
    """A command's arguments, its result, and the folder of its files."""
    folder = tmp_path_factory.mktemp("explained")
    clip = write_clip(folder / "one.mp4", num_frames=12)
    arguments = (
        "explain",
        clip,
        "--checkpoint",
        checkpoint,
        "--transcript",
        "No <script>alert(1)</script> way",
    )
    options = ("--no-trust", "--class", "fear", "--instead-of", "joy", "--method", "word=occlusion")
    return (*arguments, *options), run(*arguments, *options, "--out", folder / "why"), folder / "why"


def test_the_four_files_say_the_same(asked):
    _, result, folder = asked
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == FILES
    told = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    table = pd.read_parquet(folder / "elements.parquet")
    assert told["target"] == {"label": "fear", "instead_of": "joy"}
    assert list(told["attributions"]) == ["word", "window", "frame", "patch"]
    assert told["attributions"]["word"]["method"] == "occlusion"
    for element, found in told["attributions"].items():
        rows = table[table["element"] == element]
        np.testing.assert_array_equal(rows["value"], np.ravel(found["values"]))
        assert set(rows["method"]) == {found["method"]}
    of_joy_and_fear = [told["prediction"]["probabilities"][label] for label in ("fear", "joy")]
    assert told["attributions"]["word"]["value"] == pytest.approx(of_joy_and_fear[0] - of_joy_and_fear[1])
    assert told["prediction"]["prediction"] in result.stdout and "not tested" in result.stdout
    html = (folder / "explanation.html").read_text(encoding="utf-8")
    for hashed in (told["clip"]["sha256"], told["checkpoint"]["sha256"]):
        assert len(hashed) == 64 and hashed in html
    assert "<script" not in html and "No &lt;script&gt;alert(1)&lt;/script&gt; way" in html
    assert Image.open(folder / "explanation.png").width == 1800


def test_the_second_run_asks_no_model_and_writes_the_same(asked, monkeypatch):
    arguments, _, folder = asked

    def refuse(*_):
        raise AssertionError("the model was asked")

    monkeypatch.setattr("core.model.DeepMSI.forward", refuse)
    result = run(*arguments, "--out", folder.parent / "again", "--json")
    assert result.exit_code == 0, result.output
    for name in FILES:
        assert (folder.parent / "again" / name).read_bytes() == (folder / name).read_bytes(), name
    assert json.loads(result.stdout) == json.loads((folder / "explanation.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (("--method", "word"), 2, "--method word should be ELEMENT=NAME"),
        (("--method", "word=magic"), 2, "there are integrated-gradients, occlusion"),
        (("--method", "sentence=occlusion"), 2, "elements are word, window, frame, patch"),
        (("--class", "boredom"), 2, "--class boredom is none of neutral, surprise"),
        (("--class", "joy", "--instead-of", "joy"), 2, "name another --instead-of"),
    ],
)
def test_wrong_options_are_refused_in_a_sentence(checkpoint, cache, tmp_path, options, code, sentence):
    clip = write_clip(tmp_path / "one.mp4", num_frames=4)
    result = run("explain", clip, "--transcript", "", "--checkpoint", checkpoint, *options)
    told = " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == code and sentence in told


def test_a_missing_clip_and_a_folder_that_cannot_be_written_are_told_in_a_sentence(
    asked, checkpoint, tmp_path
):
    result = run("explain", tmp_path / "none.mp4", "--checkpoint", checkpoint)
    assert result.exit_code == 1 and result.stderr.startswith("Error: ") and "none.mp4" in result.stderr
    arguments, _, folder = asked
    result = run(*arguments, "--out", folder / "explanation.json" / "below")
    assert result.exit_code == 1 and "name another folder with --out" in result.stderr


def test_json_numbers_are_those_of_the_objects():
    explanation = made_explanation()
    words = Transcript(text="Do not move.", words=(Word(text="Do", start_seconds=0.1, end_seconds=0.2),))
    told = json.loads(json.dumps(as_json(explanation, words), allow_nan=False))
    report, labels = explanation.prediction.modalities, explanation.prediction.labels
    fear = labels.index("fear")
    values = [row["value"] for row in told["modalities"]["coalitions"]]
    np.testing.assert_array_equal(values, report.probabilities[:, fear])
    assert list(told["modalities"]["shapley"].values()) == report.shapley[:, fear].tolist()
    patch = told["attributions"]["patch"]
    np.testing.assert_array_equal(patch["values"], explanation.attributions["patch"].values)
    assert told["attributions"]["word"]["start_seconds"] == [None] * 3
    curves = told["faithfulness"]["word"]["curves"]
    # two trapezoids of half the width: (0.5 + 0.2) / 4 + (0.2 + 0.1) / 4
    assert curves["deletion_area"] == pytest.approx(0.25) and curves["insertion"] == [0.1, 0.4, 0.5]
    assert told["faithfulness"]["word"]["relative_gap"] is None
    assert told["compression_effects"]["frames"]["random"] == [0.40, 0.44]
    assert told["compression_effects"]["patches"]["restored"] is None
    assert told["clip"]["words"] == [
        {"text": "Do", "start_seconds": 0.1, "end_seconds": 0.2, "probability": None}
    ]
    contrast = as_json(made_explanation(target=Target(label="fear", instead_of="joy")), None)
    joy = labels.index("joy")
    assert contrast["modalities"]["shapley"]["video"] == pytest.approx(
        report.shapley[0, fear] - report.shapley[0, joy]
    )


def places(told: object, place: tuple[str, ...] = ()):
    """Where in a JSON file everything stands that is neither a list nor an object, and what it is."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from places(value, (*place, name))
    elif isinstance(told, list):
        for value in told:
            yield from places(value, place)
    else:
        yield place, told


def test_every_number_in_the_json_file_has_a_meaning():
    word = Word(text="Do", start_seconds=0.1, end_seconds=0.2, probability=0.9)
    explanation = made_explanation(
        prediction=hand_made_prediction(timings_seconds={"total": 0.2}),
        effects=replace(some_effects(), patches=replace(some_effects().frames, element="patch")),
    )
    told = as_json(explanation, Transcript(text="Do not move.", words=(word,)))
    meanings = {tuple(name.split(".")): text for name, text in told.pop("meanings").items()}

    def meaning_of(place: tuple[str, ...]) -> tuple[str, ...] | None:
        fitting = [
            name
            for name in meanings
            if len(name) == len(place) and all(n in ("*", p) for n, p in zip(name, place, strict=True))
        ]
        assert len(fitting) < 2, place
        return fitting[0] if fitting else None

    found = {place: meaning_of(place) for place, _ in places(told)}
    numbers = {
        place
        for place, value in places(told)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
    assert not {place for place in numbers - {("format",)} if found[place] is None}
    # and none is about what is not there
    assert set(meanings) - set(found.values()) == {("null",)}
    assert all(meanings.values())


def test_the_table_says_what_its_values_are_shares_of(asked):
    _, _, folder = asked
    about = pd.read_parquet(folder / "elements.parquet").attrs
    told = json.loads((folder / "explanation.json").read_text(encoding="utf-8"))
    assert about["target"] == {"label": "fear", "instead_of": "joy"}
    assert about["clip_sha256"] == told["clip"]["sha256"]
    assert about["checkpoint_sha256"] == told["checkpoint"]["sha256"]
    assert "0.01 is one point of probability" in about["value"]


def rows_of(html: str) -> list[list[str]]:
    """The text of every cell of every row of a page's tables."""
    rows = re.findall(r"<tr>(.*?)</tr>", html, flags=re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", c) for c in re.findall(r"<t[dh].*?</t[dh]>", row)] for row in rows]


def test_the_page_says_what_shares_add_up_to_and_what_is_left():
    attributions = {
        "word": an_attribution("word", method="shapley-sampling", value=0.42, gap=0.0),
        "window": an_attribution("window", method="integrated-gradients", baseline_value=0.53, gap=-0.0104),
        "frame": an_attribution("frame", method="occlusion", gap=np.nan),
    }
    explanation = made_explanation(attributions=attributions, faithfulness={})
    html = page(explanation, made_display(explanation))
    rows = rows_of(html)
    # words 2 + 20 − 10, windows 1 − 6 + 3, frames 5 + 12 − 3
    assert ["Words alone", "shapley-sampling", "30.0 %", "42.0 %", "+12.0", "0.0"] in rows
    assert ["Sound", "integrated-gradients", "53.0 %", "50.0 %", "−2.0", "−1.0"] in rows
    assert ["Frames", "occlusion", "30.0 %", "50.0 %", "+14.0", "does not apply"] in rows
    assert "not to the answer" in html and "Words are read by themselves" in html
    beside_the_rest = made_explanation(attributions={"word": an_attribution("word", method="occlusion")})
    html = page(beside_the_rest, made_display(beside_the_rest))
    assert "Words alone" not in html and "by themselves" not in html


def test_mean_values_of_a_contrast_are_told_in_points_and_chance_stays_within_what_can_be():
    def told(**changes) -> str:
        test = replace(a_test("word"), **changes)
        explanation = made_explanation(faithfulness={"word": test})
        rows = rows_of(page(explanation, made_display(explanation)))
        return next(row[1] for row in rows if row[0] == "Mean value while removing")

    # areas of the random orders 30 and 31 %: one more lies within 12.7 · 0.71 · √1.5 of their mean
    assert told() == "25.0 % (chance 19.5 % to 41.5 %; less is better)"
    lead = Target(label="fear", instead_of="joy")
    assert told(target=lead) == "+25.0 points (chance +19.5 points to +41.5 points; less is better)"
    wide = replace(a_test("word").curves, random=np.array([[0.5, 0.3, 0.1], [0.5, 0.02, 0.1]]))
    assert told(curves=wide) == "25.0 % (chance 0.0 % to 100.0 %; less is better)"


def test_the_picture_says_how_to_read_it(monkeypatch):
    written = []
    draw = ImageDraw.ImageDraw.text
    monkeypatch.setattr(
        ImageDraw.ImageDraw,
        "text",
        lambda self, at, text, **how: written.append(text) or draw(self, at, text, **how),
    )

    def told(**changes) -> str:
        written.clear()
        explanation = made_explanation(**changes)
        picture(explanation, made_display(explanation))
        return " ".join(written)

    everything = told(
        attributions={
            "word": an_attribution("word", method="shapley-sampling"),
            "window": an_attribution("window", method="integrated-gradients"),
            "frame": an_attribution("frame", method="integrated-gradients"),
        }
    )
    for sentence in (
        "Blue bars raised fear, orange ones lowered it; the longest by 20.0 points of probability: "
        "sound and frames by integrated-gradients, words by shapley-sampling.",
        "Words are read by themselves.",
        "When they are spoken is not known: they are spread evenly.",
        "Framed: kept. A line leads to what a dropped frame was merged into; crossed: lost.",
    ):
        assert sentence in everything
    assert "by themselves" not in told(attributions={"word": an_attribution("word", method="occlusion")})


def test_the_table_is_long_and_typed(tmp_path):
    explanation = made_explanation()
    table = as_table(explanation)
    assert table["element"].value_counts().to_dict() == {"patch": 24, "frame": 6, "window": 4, "word": 3}
    [cell] = table.query("element == 'patch' and index == 2 and row == 1 and column == 1").to_dict("records")
    assert cell["value"] == 0.020 and cell["start_seconds"] == 0.5
    words = table[table["element"] == "word"]
    assert words["text"].tolist() == ["Do", "not", "move."] and words["row"].isna().all()
    table.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table)
    assert list(as_table(made_explanation(attributions={}))) == list(table)


def test_the_page_needs_nothing_from_outside_and_escapes_all_that_is_told():
    wicked = '"><script>alert(1)</script><img src=x onerror=alert(2)> http://example.com/x.js'
    prediction = hand_made_prediction(
        transcript=wicked,
        path=f"/somewhere/{wicked.replace('/', '')}.mp4",
        notes=(wicked,),
        checkpoint=wicked,
    )
    words = tuple(wicked.split())
    word = an_attribution("word", method="occlusion", words=words, values=np.ones(len(words)) * 0.01)
    unknown = np.full(len(words), np.nan)
    explanation = made_explanation(
        prediction=prediction,
        attributions={"word": replace(word, start_seconds=unknown, end_seconds=unknown)},
    )
    html = page(explanation, made_display(explanation))
    tags = Tags(html)
    assert not tags.names & {"script", "img", "link", "iframe", "object", "embed", "base", "form", "a"}
    assert tags.attributes and not [name for name, _ in tags.attributes if name.startswith("on")]
    linked = [value for name, value in tags.attributes if name in ("src", "href", "srcset", "xlink:href")]
    assert linked and all(value.startswith("data:image/jpeg;base64,") for value in linked)
    assert not re.search(r"@import|url\(", html.partition("</style>")[0])
    assert tags.text.count(wicked) >= 2
    assert "default-src 'none'" in html


def test_the_page_holds_every_panel():
    explanation = made_explanation()
    html = page(explanation, made_display(explanation))
    for told in (
        explanation.prediction.prediction,
        "Video says joy.",
        "video + audio + text",
        "do not rely on this",
        "Something &lt;is&gt; wrong.",
        "rank correlation −0.50",
        "3 frames, evenly spread",
        "All 4 patches of each kept frame were kept",
        "not measured for these",
        "AI Act",
        "c" * 64,
        "a" * 64,
    ):
        assert told in html, told
    # all frames of the strip, and each kept one from the inside
    assert html.count("<image ") == 6 + 3
    assert html.count("<article") == 4 and html.count('<svg class="curves"') == 4


@pytest.mark.parametrize(
    ("modality", "elements", "there", "absent"),
    [
        (
            "video",
            ("word", "window"),
            ["<h2>Words</h2>", ">sound<"],
            ["<image ", "compression carries", ">frames<"],
        ),
        ("text", ("window", "frame", "patch"), ["<image ", ">sound<"], ["<h2>Words</h2>", ">words<", "“"]),
    ],
)
def test_what_a_clip_lacks_is_not_drawn(modality, elements, there, absent):
    explanation = lacking(modality, elements)
    display = made_display(explanation)
    body = page(explanation, display).partition("</style>")[2].partition("<h2>Limits")[0]
    assert all(text in body for text in there) and not any(
        text in body.replace("“as it is”", "").replace("“not there”", "") for text in absent
    )
    assert "not in this clip" in body
    assert (
        picture(explanation, display).height
        < picture(made_explanation(), made_display(made_explanation())).height
    )


def test_the_timeline_puts_everything_where_it_is_in_time():
    explanation = made_explanation()
    timed = Transcript(
        text="Do not move.",
        words=tuple(
            Word(text=t, start_seconds=s, end_seconds=s + 0.1)
            for t, s in (("Do", 0.1), ("not", 0.2), ("move.", 0.3))
        ),
    )
    timeline = Timeline.of(explanation, made_display(explanation, timed))
    # frames at 0.1, 0.3 … of 1.2 s stand for the time around them
    np.testing.assert_allclose([frame.left * 1.2 for frame in timeline.frames], [0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert [frame.keeper for frame in timeline.frames] == [1, 1, 2, 4, 4, -1]
    assert timeline.longest == 0.20
    np.testing.assert_allclose([word.share for word in timeline.words], [0.1, 1.0, -0.5])
    np.testing.assert_allclose([frame.share for frame in timeline.frames], [0, 0.25, 0.6, 0, -0.15, 0])
    np.testing.assert_allclose([(w.left * 1.2, w.right * 1.2) for w in timeline.words][1], (0.2, 0.3))
    assert timeline.has_word_times and not Timeline.of(explanation, made_display(explanation)).has_word_times
    assert [seconds for _, seconds in timeline.ticks] == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2])
    crowded = [replace(w, start_seconds=0.1, end_seconds=0.12) for w in timed.words]
    stacked = Timeline.of(explanation, made_display(explanation, replace(timed, words=tuple(crowded))))
    assert [word.row for word in stacked.words] == [0, 1, 2]
