"""How made clips were made, told in words: sidecar to words, the block, the marks and the bands."""

import json
from dataclasses import replace

import pytest
from made_truth import a_sidecar
from streamlit.testing.v1 import AppTest

from app.clips import ClipChoice
from app.truth import IN_THE_WAY, NOISES, SCENARIOS, tell, truth_of
from sample_data.corpus.distractors import AUDIO_SHARES, VIDEO_SHARES
from sample_data.corpus.plan import SCENARIOS as ALL_SCENARIOS
from sample_data.corpus.schema import DISTRACTORS, Sound, TimedDistractor, sidecar_from_dict


def made(*, sound=None, distractors=(), **plan):
    sidecar = replace(a_sidecar([0.0, 0.5, 1.0, 0.0], **plan), distractors=distractors)
    sidecar = replace(sidecar, sound=sound, face=None if plan.get("missing") == "video" else sidecar.face)
    return tell(replace(sidecar, duration_seconds=4.0))


def a_sound(start=None, end=None):
    return Sound(prosody={}, emotional_start_seconds=start, emotional_end_seconds=end, phones=(), words=())


MASKED = dict(
    scenario="masking", conflict=True, informative=("audio", "text"), video_emotion="joy", cell="conflict"
)


def test_every_scenario_and_distractor_of_the_corpus_has_words():
    assert set(IN_THE_WAY) == set(VIDEO_SHARES) and set(NOISES) == set(AUDIO_SHARES)
    assert DISTRACTORS == {"video": tuple(VIDEO_SHARES), "audio": tuple(AUDIO_SHARES)}
    cells = {"all", "video+audio", "video+text", "audio+text", "video", "audio", "text"}
    # the cells are told by who carries the emotion, a lively face by what it does
    assert set(ALL_SCENARIOS) == cells | set(SCENARIOS) | {"lively"}


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({}, "Face, voice and words all carry the emotion."),
        ({"text_emotion": "neutral"}, "Face and voice carry the emotion; the words are neutral."),
        (
            {"video_emotion": "neutral", "text_emotion": "neutral"},
            "Only the voice carries the emotion; the face and words are neutral.",
        ),
        (
            {"video_emotion": "neutral", "audio_emotion": "neutral"},
            "Only the words carry the emotion; the face and voice are neutral.",
        ),
        # what was left out carries nothing any more
        ({"missing": "text"}, "Face and voice both carry the emotion."),
        (
            {"missing": "text", "audio_emotion": "neutral"},
            "Only the face carries the emotion; the voice is neutral.",
        ),
        (MASKED, "Masking: a social smile hides what voice and words tell."),
        (
            {
                "label": "neutral",
                "scenario": "lexical_trap",
                **{f"{m}_emotion": "neutral" for m in ("video", "audio", "text")},
            },
            "Neutral, but the words name emotions.",
        ),
        (
            {
                "label": "neutral",
                "scenario": "lexical_trap",
                "missing": "text",
                **{f"{m}_emotion": "neutral" for m in ("video", "audio", "text")},
            },
            "Neutral throughout.",
        ),
    ],
)
def test_who_carries_the_emotion(plan, sentence):
    assert made(**plan).scenario == sentence


LIVELY = {"label": "neutral", "scenario": "lively"} | {
    f"{m}_emotion": "neutral" for m in ("video", "audio", "text")
}


@pytest.mark.parametrize(
    ("action_units", "sentence", "manners"),
    [
        ({}, "Neutral throughout.", {}),
        ({1: [0.0] * 4, 2: [0.0] * 4, 12: [0.0] * 4}, "Neutral throughout.", {}),
        (
            {1: [0.0, 0.3, 0.1, 0.0], 2: [0.0, 0.3, 0.1, 0.0]},
            "Neutral, with a lively face: the brows rise.",
            {"video": "lively"},
        ),
        (
            {12: [0.0, 0.2, 0.2, 0.0]},
            "Neutral, with a lively face: a polite smile comes and goes.",
            {"video": "lively"},
        ),
        (
            {1: [0.3, 0.0, 0.0, 0.0], 12: [0.0, 0.2, 0.2, 0.0]},
            "Neutral, with a lively face: the brows rise and a polite smile comes and goes.",
            {"video": "lively"},
        ),
    ],
)
def test_a_lively_face_is_told_by_what_it_does(action_units, sentence, manners):
    truth = tell(a_sidecar([0.0] * 4, action_units=action_units, **LIVELY))
    assert (truth.scenario, truth.manners) == (sentence, manners)


def test_a_lively_clip_without_picture_is_only_neutral():
    truth = made(missing="video", **LIVELY)
    assert (truth.scenario, truth.manners) == ("Neutral throughout.", {})


def test_a_masked_clip_smiles_and_is_in_conflict():
    truth = made(**MASKED)
    assert truth.emotions == {"video": "joy", "audio": "fear", "text": "fear"}
    assert truth.manners == {"video": "a social smile"}
    assert truth.conflict_sentence == "The clip was made with a conflict: face joy, voice and words fear."


def test_neutral_beside_an_emotion_is_no_conflict():
    truth = made(text_emotion="neutral")
    assert not truth.is_conflict and truth.conflict_sentence == "The clip was made without a conflict."


def test_what_was_put_in_has_its_window():
    def disturbed(kind, start, end):
        return TimedDistractor(
            modality="video", kind=kind, start_seconds=start, end_seconds=end, strength=0.5
        )

    truth = made(distractors=(disturbed("occlude_mouth", 0.0, 3.4), disturbed("dark", 0.0, 4.0)))
    assert truth.added == ("mug over the mouth, 0.0–3.4 s", "dark picture, whole clip")


def test_when_the_voice_is_emotional():
    assert made(sound=a_sound()).voice_sentence == ""
    whole = made(sound=a_sound(0.6, 3.2))
    assert whole.voice_sentence == "Voice emotional from 0.6 to 3.2 s, all through the speech."
    part = made(sound=a_sound(0.6, 1.2), voice_window=(0.1, 0.4))
    assert part.voice_sentence.endswith("in this part of the speech only.")


def test_a_clip_without_picture_has_no_expression():
    truth = made(missing="video")
    assert truth.expression is None and "video" not in truth.emotions
    assert truth.origin == "Made clip: synthesised voice."
    whole = made()
    assert whole.expression.sentence == "Expression from 0.1 to 0.4 s, full from 0.2 to 0.3 s."
    # frame 2 of 25 per second shows most; the eyes are open in all
    assert (whole.still_seconds, truth.still_seconds) == (2 / 25, None)
    assert whole.origin == "Made clip: rendered face, synthesised voice."


def test_only_shipped_clips_with_a_sidecar_have_a_truth(tmp_path):
    clip = ClipChoice(key="d00001", title="t", path=tmp_path / "d00001.mp4")
    assert truth_of(clip) is None
    a_sidecar([0.0] * 4).write(tmp_path / "d00001.json")
    assert truth_of(clip).label == "fear"
    assert truth_of(replace(clip, key="own")) is None
    (tmp_path / "d00001.json").write_text("{")
    assert truth_of(clip) is None


DAMAGES = {
    "distractors": [
        {"modality": "video", "kind": "rain", "start_seconds": 0.0, "end_seconds": 1.0, "strength": 1.0}
    ],
    "frames_per_second": 0,
    "duration_seconds": float("nan"),
    "num_frames": 0,
    "plan.missing": "foo",
    "plan.label": "joy",
    "face.offset_seconds": None,
    "face.envelope": [],
    "face.blink": [0.0],
    "face.action_units": {"1": [0.0]},
    "sound": {
        "prosody": {},
        "emotional_start_seconds": 0.1,
        "emotional_end_seconds": None,
        "phones": [],
        "words": [],
    },
}


@pytest.mark.parametrize("where", DAMAGES)
def test_a_sidecar_with_a_senseless_value_is_refused_and_the_clip_is_shown_without(where, tmp_path):
    whole = a_sidecar([0.0] * 4).to_dict()
    assert sidecar_from_dict(whole).to_dict() == whole
    *path, name = where.split(".")
    part = whole
    for key in path:
        part = part[key]
    part[name] = DAMAGES[where]
    with pytest.raises(ValueError, match=name.removesuffix("s")):
        sidecar_from_dict(whole)
    (tmp_path / "d00001.json").write_text(json.dumps(whole))
    assert truth_of(ClipChoice(key="d00001", title="t", path=tmp_path / "d00001.mp4")) is None


def run_block(truth, options):
    from app.views.truth import truth_block

    truth_block(truth, **options)


def block_of(truth, **options) -> str:
    test = AppTest.from_function(run_block, args=(truth, options)).run()
    assert not test.exception
    return test.get("html")[0].proto.body


def test_the_block_tells_each_modality_and_the_label():
    html = block_of(made(missing="text", **MASKED))
    for part in ("Face", "a social smile", "Voice", "<dt>Words</dt><dd>none</dd>", "Label", "Made clip:"):
        assert part in html
    assert "Left out on purpose: no words, the voice only hums." in html


def test_the_block_speaks_of_a_conflict_where_there_is_one_or_the_model_hears_one():
    assert "made with a conflict" in block_of(made(**MASKED))
    assert "conflict" not in block_of(made())
    assert "made without a conflict" in block_of(made(), tells_conflict=True)
    assert "not with yours" in block_of(made(), is_edited=True)


def run_rows(prediction, truth):
    import streamlit as st

    from app.views import modalities
    from core.attribution.results import Target

    st.html(modalities.subset_chart(prediction, Target(label="fear"), truth))


def rows_of(prediction, truth) -> list[str]:
    """HTML of the rows of the chart of subsets, without its head."""
    test = AppTest.from_function(run_rows, args=(prediction, truth)).run()
    assert not test.exception
    return test.get("html")[0].proto.body.split("<li")[2:]


def test_the_rows_of_single_modalities_tell_what_was_made_and_what_the_model_says(make_prediction):
    # the labels are neutral, surprise, fear, sadness, joy, disgust, anger
    subsets = make_prediction().modalities.probabilities.copy()
    subsets[0] = [0.49, 0.10, 0.10, 0.10, 0.07, 0.07, 0.07]
    subsets[1] = [0.10, 0.10, 0.10, 0.10, 0.40, 0.10, 0.10]
    subsets[2] = [0.10, 0.10, 0.60, 0.10, 0.04, 0.03, 0.03]
    # neutral is the first choice, but less probable than from nothing
    subsets[3] = [0.41, 0.30, 0.09, 0.05, 0.05, 0.05, 0.05]
    report = replace(make_prediction().modalities, probabilities=subsets)
    prediction = make_prediction(modalities=report)
    truth = made(**MASKED | {"audio_emotion": "sadness", "text_emotion": "neutral"}, label="sadness")
    nothing, video, audio, text, *others = rows_of(prediction, truth)
    assert "joy (a social smile): ✓ the model says so too" in video
    assert "sadness: ✗ the model says fear" in audio
    assert "neutral: – the model says nothing clear" in text and "✓" not in text
    assert not any("made as" in row for row in (nothing, *others))
    subsets[3] = [0.55, 0.20, 0.05, 0.05, 0.05, 0.05, 0.05]
    assert "neutral: – the model only leans to neutral" in rows_of(prediction, truth)[3]
    # no claim about words that were changed, and none at all where nothing is known
    assert "made as" not in rows_of(prediction, truth.with_other_words())[3]
    assert not any("made as" in row for row in rows_of(prediction, None))
