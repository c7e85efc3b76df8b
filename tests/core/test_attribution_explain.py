from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_prepared import made_checkpoint, made_prepared

from core.attribution.effects import CompressionEffects
from core.attribution.elements import attribute
from core.attribution.explain import explain
from core.attribution.faithfulness import Faithfulness
from core.attribution.results import Attribution, ExplanationCancelledError, Target
from core.attribution.store import ExplanationStore
from core.attribution.subject import Subject
from core.media import Transcript
from core.media.clip import Word
from core.predict import Predictor
from core.prediction import Prediction

QUICK = {
    "word": "occlusion",
    "window": "occlusion",
    "frame": "integrated-gradients",
    "patch": "integrated-gradients",
}
WORDS = {"word": "occlusion"}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(made_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny"))


@pytest.fixture
def num_asked(predictor):
    """How often the network was asked so far, as a function."""
    calls = []
    hook = predictor.checkpoint.model.register_forward_pre_hook(lambda *_: calls.append(1))
    yield lambda: len(calls)
    hook.remove()


@pytest.fixture
def store(tmp_path) -> ExplanationStore:
    return ExplanationStore(tmp_path / "store", 10**8)


def explain_words(predictor, prepared, **options):
    return explain(
        predictor, prepared, **({"methods": WORDS, "with_faithfulness": (), "with_effects": False} | options)
    )


def test_parts_come_in_order_and_a_second_explanation_asks_no_model(predictor, store, num_asked):
    prepared, told, seen = made_prepared(3, num_frames=4), [], []
    first = explain(
        predictor,
        prepared,
        methods=QUICK,
        store=store,
        with_faithfulness=("word",),
        progress=lambda share, text: seen.append(share),
        on_part=told.append,
    )
    assert [type(part) for part in told] == [
        Prediction,
        *[Attribution] * 4,
        Faithfulness,
        CompressionEffects,
    ]
    assert [part.element for part in told[1:6]] == ["word", "window", "frame", "patch", "word"]
    assert told == [
        first.prediction,
        *first.attributions.values(),
        *first.faithfulness.values(),
        first.effects,
    ]
    assert first.target == Target(label=first.prediction.prediction) and first.methods == QUICK
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == pytest.approx(1)
    np.testing.assert_allclose(
        first.attributions["frame"].values, first.attributions["patch"].values.sum((1, 2))
    )
    before = num_asked()
    assert before > 0
    second = explain(predictor, prepared, methods=QUICK, store=store, with_faithfulness=("word",))
    assert num_asked() == before
    np.testing.assert_array_equal(second.prediction.probabilities, first.prediction.probabilities)
    for element, found in first.attributions.items():
        np.testing.assert_array_equal(second.attributions[element].values, found.values)
    assert second.faithfulness["word"].reasons == first.faithfulness["word"].reasons
    assert second.effects.all_restored == first.effects.all_restored


def test_it_says_what_its_parts_say_by_themselves(predictor):
    prepared = made_prepared(5, num_frames=0, text="well done you")
    whole = explain(predictor, prepared, methods={"word": "occlusion", "window": "occlusion"})
    prediction = predictor.predict(prepared)
    np.testing.assert_allclose(whole.prediction.probabilities, prediction.probabilities, atol=1e-6)
    for element in ("word", "window"):
        alone = attribute(Subject(predictor, prepared), element, "occlusion", whole.target)
        np.testing.assert_allclose(whole.attributions[element].values, alone.values, atol=1e-6)
    assert set(whole.faithfulness) == {"word", "window"} and whole.effects is None


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ({"num_frames": 0}, ["word", "window"]),
        ({"text": None}, ["window", "frame", "patch"]),
        ({"seconds": 0.0, "num_frames": 0}, ["word"]),
    ],
)
def test_what_a_clip_lacks_is_left_out(predictor, missing, expected):
    whole = explain(
        predictor,
        made_prepared(3, **({"num_frames": 3} | missing)),
        methods=dict.fromkeys(QUICK, "occlusion"),
        with_faithfulness=(),
    )
    assert list(whole.attributions) == expected
    assert (whole.effects is None) == ("frame" not in expected)


def test_a_contrast_is_another_question_than_its_label(predictor, store):
    prepared = made_prepared(3, num_frames=0)
    labels = predictor.config.labels.labels
    one = explain_words(predictor, prepared, store=store, target=Target(label="joy"))
    two = explain_words(predictor, prepared, store=store, target=Target(label="joy", instead_of="fear"))
    probabilities = predictor.predict(prepared).probabilities
    joy, fear = probabilities[labels.index("joy")], probabilities[labels.index("fear")]
    assert one.attributions["word"].value == pytest.approx(joy, abs=1e-6)
    assert two.attributions["word"].value == pytest.approx(joy - fear, abs=1e-6)
    other = explain_words(predictor, prepared, store=store, target=Target(label="fear"))
    np.testing.assert_allclose(
        two.attributions["word"].values,
        one.attributions["word"].values - other.attributions["word"].values,
        atol=1e-6,
    )


def test_cancelled_between_parts_it_keeps_what_is_done(predictor, store, num_asked):
    prepared, told = made_prepared(3, num_frames=0, text="well done you fool"), []
    options = {"methods": {"word": "occlusion", "window": "occlusion"}, "store": store}
    with pytest.raises(ExplanationCancelledError):
        explain_words(predictor, prepared, **options, on_part=told.append, cancelled=lambda: len(told) == 2)
    assert len(told) == 2 and len(list(store.folder.iterdir())) == 2
    before = num_asked()
    words_only = explain_words(predictor, prepared, store=store)
    assert num_asked() == before
    np.testing.assert_array_equal(words_only.attributions["word"].values, told[1].values)
    assert list(explain_words(predictor, prepared, **options).attributions) == ["word", "window"]


def test_cancelled_inside_a_part_it_stops_there(predictor, store, num_asked):
    prepared = made_prepared(3, num_frames=0, text="well done you fool")
    explain_words(predictor, prepared, store=store, methods={})
    before, whole = num_asked(), len(prepared.transcript.text.split()) + 1

    with pytest.raises(ExplanationCancelledError):
        explain_words(predictor, prepared, store=store, cancelled=lambda: num_asked() >= before + 3)
    assert num_asked() == before + 3 < before + whole
    assert len(list(store.folder.iterdir())) == 1


def test_what_the_model_reads_decides_what_is_found_in_the_store(predictor, store, num_asked):
    prepared = made_prepared(3, num_frames=0)
    explain_words(predictor, prepared, store=store)
    timed = Transcript(
        text="well done",
        words=tuple(
            Word(text=t, start_seconds=s, end_seconds=s + 0.4) for t, s in (("well", 0), ("done", 0.5))
        ),
    )
    moved = replace(prepared, clip=replace(prepared.clip, path=Path("elsewhere/d.mp4")))
    before = num_asked()
    assert explain_words(predictor, moved, store=store).prediction.path == "elsewhere/d.mp4"
    assert num_asked() == before
    for changed in (
        replace(prepared, waveform=prepared.waveform * 0.5),
        prepared.with_transcript("well well"),
        prepared.with_transcript(timed),
        replace(prepared, notes=("The sound is faint.",)),
    ):
        before = num_asked()
        explain_words(predictor, changed, store=store)
        assert num_asked() > before
    starts = explain_words(predictor, prepared.with_transcript(timed), store=store).attributions["word"]
    np.testing.assert_array_equal(starts.start_seconds, [0, 0.5])


def test_a_store_that_cannot_be_written_does_not_stop_it(predictor, tmp_path):
    (tmp_path / "file").write_text("in the way")
    prepared = made_prepared(3, num_frames=0)
    broken = ExplanationStore(tmp_path / "file" / "store", 10**8)
    np.testing.assert_array_equal(
        explain_words(predictor, prepared, store=broken).attributions["word"].values,
        explain_words(predictor, prepared).attributions["word"].values,
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"methods": {"sentence": "occlusion"}}, "'sentence' is none of the elements word, window"),
        (
            {"methods": {"window": "shapley-sampling"}},
            "no method for a window; there are integrated-gradients, gradients-and-stretches, occ",
        ),
        ({"with_faithfulness": ("words",)}, "'words' is none of the elements"),
        ({"target": Target(label="boredom")}, "'boredom' is none of the labels"),
        ({"target": Target(label="joy", instead_of="joy")}, "two labels"),
    ],
)
def test_questions_that_make_no_sense_are_refused(predictor, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        explain_words(predictor, made_prepared(3, num_frames=0), **options)


def test_frames_and_patches_of_one_method_are_one_computation_without_a_store_too(predictor):
    methods = dict.fromkeys(("frame", "patch"), "integrated-gradients")
    found = explain(
        predictor, made_prepared(4, num_frames=4), methods=methods, with_faithfulness=(), with_effects=False
    ).attributions
    # two computations never take the same time
    assert found["frame"].seconds == found["patch"].seconds
    np.testing.assert_array_equal(found["frame"].values, found["patch"].values.sum((1, 2)))
