import functools

import captum.attr
import numpy as np
import pytest
import torch
from made_prepared import made_checkpoint, made_prepared

from core.attribution.baselines import compare_baselines, explain_modalities
from core.attribution.modalities import report
from core.attribution.results import ExplanationCancelledError, Target
from core.model import ModelInput
from core.predict import Predictor
from core.prediction import PAIRS, SUBSETS, ModalityReport

MODALITIES = ("video", "audio", "text")
NOTHING, ALL = 0, 7


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return made_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def predictor(checkpoint):
    return Predictor(checkpoint)


@pytest.fixture(scope="module")
def clip():
    return made_prepared(1)


@pytest.fixture(scope="module")
def donors():
    """Two others, unlike the clip in length."""
    return [
        made_prepared(2, num_frames=2, seconds=0.4, text="what a mess"),
        made_prepared(3, seconds=1.7, text="go away from me"),
    ]


def raw(model, clip) -> dict[str, dict[str, torch.Tensor]]:
    """For each modality what goes into the model, from the clip itself: nothing encoded beforehand."""
    frames = torch.from_numpy(clip.crops).permute(0, 3, 1, 2).float().div(255)
    sound = torch.from_numpy(clip.waveform)
    ids, mask = model.text.tokenize([clip.transcript.text])
    return {
        "video": dict(frames=frames[None], frame_mask=torch.ones(1, len(frames), dtype=torch.bool)),
        "audio": dict(waveforms=sound[None], num_samples=torch.tensor([len(sound)])),
        "text": dict(token_ids=ids, token_mask=mask),
    }


def ask(model, present=(True, True, True), **parts) -> np.ndarray:
    """The model's calibrated answer `(class,)` to one clip, by a call of its own."""
    with torch.no_grad():
        output = model(ModelInput(present=torch.tensor([present]), **parts))
    return (output.logits[0] / 1.5).softmax(0).numpy()


def captum_values(coalition_function, num_classes: int) -> np.ndarray:
    """`(modality, class)` by Captum of a function of a set of modalities."""
    answer = functools.cache(coalition_function)

    def value(players: torch.Tensor) -> torch.Tensor:
        rows = players.bool().tolist()
        sets = [frozenset(m for m, on in zip(MODALITIES, row, strict=True) if on) for row in rows]
        return torch.stack([torch.from_numpy(answer(subset)) for subset in sets])

    method = captum.attr.ShapleyValues(value)
    rows = [method.attribute(torch.ones(1, 3), target=target)[0] for target in range(num_classes)]
    return torch.stack(rows, 1).numpy()


def test_with_absent_tokens_it_is_captums_on_the_models_own_coalitions(checkpoint, predictor, clip):
    parts = raw(checkpoint.model, clip)
    everything = parts["video"] | parts["audio"] | parts["text"]
    expected = captum_values(
        lambda s: ask(checkpoint.model, tuple(m in s for m in MODALITIES), **everything), 7
    )
    result = explain_modalities(predictor, clip)
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(result.shapley, expected, atol=1e-5)


def test_with_donors_it_is_captums_on_spliced_clips(checkpoint, predictor, clip, donors):
    own, others = raw(checkpoint.model, clip), [raw(checkpoint.model, donor) for donor in donors]

    @functools.cache
    def spliced(subset: frozenset[str]) -> np.ndarray:
        answers = []
        for other in others:
            parts = [(own if m in subset else other)[m] for m in MODALITIES]
            answers.append(ask(checkpoint.model, **(parts[0] | parts[1] | parts[2])))
        return np.mean(answers, axis=0)

    result = explain_modalities(predictor, clip, baseline="donor", reference=donors)
    for row, subset in zip(result.probabilities, SUBSETS, strict=True):
        np.testing.assert_allclose(row, spliced(frozenset(subset)), atol=1e-5)
    np.testing.assert_allclose(result.shapley, captum_values(spliced, 7), atol=1e-5)


def test_mean_features_are_those_of_the_references_as_they_are(checkpoint, predictor, clip, donors):
    model = checkpoint.model
    own = raw(model, clip)
    means = {}
    with torch.no_grad():
        everything = [
            part["video"] | part["audio"] | part["text"] for part in map(lambda d: raw(model, d), donors)
        ]
        present = torch.ones(1, 3, dtype=torch.bool)
        videos = [model(ModelInput(present=present, **parts)).features["video"] for parts in everything]
        means["video"] = dict(video_features=torch.stack(videos).mean(0))
        sounds = [model.audio(parts["waveforms"], parts["num_samples"]) for parts in everything]
        means["audio"] = dict(audio_features=torch.stack(sounds).mean(0))
        words = [model.text(parts["token_ids"], parts["token_mask"]) for parts in everything]
        means["text"] = dict(text_features=torch.stack(words).mean(0))
    result = explain_modalities(predictor, clip, baseline="mean", reference=donors)
    for row, subset in zip(result.probabilities, SUBSETS, strict=True):
        parts = [(own if m in subset else means)[m] for m in MODALITIES]
        np.testing.assert_allclose(row, ask(model, **(parts[0] | parts[1] | parts[2])), atol=1e-5)
    together = result.probabilities[ALL] - result.probabilities[NOTHING]
    np.testing.assert_allclose(result.shapley.sum(0), together, atol=1e-12)


@pytest.mark.parametrize("baseline", ["mean", "donor"])
def test_a_clip_beside_itself_gave_nothing(predictor, clip, baseline):
    result = explain_modalities(predictor, clip, baseline=baseline, reference=[clip])
    answer = predictor.predict(clip).probabilities
    np.testing.assert_allclose(result.probabilities, np.tile(answer, (8, 1)), atol=1e-6)
    np.testing.assert_allclose(result.shapley, 0, atol=1e-6)
    np.testing.assert_allclose(result.pair_interactions, 0, atol=1e-6)


def test_nothing_of_the_clip_is_the_donors_answers_averaged(predictor, clip, donors):
    result = explain_modalities(predictor, clip, baseline="donor", reference=donors)
    answers = [predictor.predict(donor).probabilities for donor in donors]
    np.testing.assert_allclose(result.probabilities[NOTHING], np.mean(answers, axis=0), atol=1e-5)
    np.testing.assert_allclose(result.probabilities[ALL], predictor.predict(clip).probabilities, atol=1e-5)


@pytest.mark.parametrize("baseline", ["absent-token", "mean", "donor"])
@pytest.mark.parametrize("absent", MODALITIES)
def test_what_the_clip_lacks_gives_nothing_whatever_the_references_hold(predictor, donors, baseline, absent):
    without = {"video": dict(num_frames=0), "audio": dict(seconds=0), "text": dict(text=None)}[absent]
    clip = made_prepared(1, **without)
    result = explain_modalities(predictor, clip, baseline=baseline, reference=donors)
    row = MODALITIES.index(absent)
    assert (result.shapley[row] == 0).all() and (result.triple_interaction == 0).all()
    assert (result.pair_interactions[[absent in pair for pair in PAIRS]] == 0).all()
    assert [bool(np.isnan(p).any()) for p in result.probabilities] == [absent in s for s in SUBSETS]
    there = SUBSETS.index(tuple(m for m in MODALITIES if m != absent))
    np.testing.assert_allclose(result.probabilities[there], predictor.predict(clip).probabilities, atol=1e-5)
    if baseline == "donor":
        # the donors' own of what the clip lacks is not read either
        bare = [explain_modalities(predictor, donor) for donor in donors]
        expected = np.mean([one.probabilities[there] for one in bare], axis=0)
        np.testing.assert_allclose(result.probabilities[NOTHING], expected, atol=1e-5)


def test_bad_references_and_baselines_are_refused(predictor, clip):
    with pytest.raises(ValueError, match="'zeros' is none of the baselines"):
        explain_modalities(predictor, clip, baseline="zeros")
    with pytest.raises(ValueError, match="at least one reference clip"):
        explain_modalities(predictor, clip, baseline="donor")
    mute = made_prepared(4, seconds=0, text=None)
    with pytest.raises(ValueError, match=r"c4\.mp4 has no audio and text"):
        explain_modalities(predictor, clip, baseline="mean", reference=[mute])


@pytest.mark.parametrize("baseline", ["mean", "donor"])
def test_who_left_is_not_explained_to(predictor, clip, donors, baseline):
    asked = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 2  # wanted at the start and for the first reference

    with pytest.raises(ExplanationCancelledError):
        explain_modalities(predictor, clip, baseline=baseline, reference=donors, cancelled=cancelled)
    assert len(asked) == 3
    # and the model is free again
    predictor.predict(clip)


def test_interactions_are_told_as_json(predictor):
    result = predictor.predict(made_prepared(1, text=None))
    told = result.to_dict()["shapley_interactions"]
    assert list(told) == ["video+audio", "video+text", "audio+text", "video+audio+text"]
    assert list(told["video+audio"].values()) == result.modalities.pair_interactions[0].tolist()
    assert set(told["video+text"].values()) == set(told["video+audio+text"].values()) == {0.0}


LABELS = ("joy", "fear", "calm")
JOY = Target(label="joy")


def additive(
    video: float, audio: float, text: float, *, fear: float = 0.0, lacks: tuple[str, ...] = ()
) -> ModalityReport:
    """A report in which each modality adds so much to joy; text adds `fear` to fear."""
    steps = {"video": video, "audio": audio, "text": text}
    joy = np.array([0.3 + sum(steps[m] for m in subset) for subset in SUBSETS])
    other = np.array([0.05 + fear * ("text" in subset) for subset in SUBSETS])
    rows = np.stack([joy, other, 1 - joy - other], 1)
    return report(rows, LABELS, {m: m not in lacks for m in MODALITIES})


def test_baselines_that_agree():
    reports = {"absent-token": additive(0.1, 0.05, 0.3), "donor": additive(0.12, 0.15, 0.22)}
    found = compare_baselines(reports, LABELS, JOY)
    assert found.agree and found.first == {"absent-token": "text", "donor": "text"}
    assert (found.differs, found.between) == ("audio", ("absent-token", "donor"))
    assert found.largest_difference == pytest.approx(0.1)
    assert found.sentence == (
        "Whatever stands for an absent modality, text ranks first for joy; audio differs most, from the "
        "learned absent vector (+5 points) to donor clips (+15 points)."
    )


def test_another_first_modality_is_a_warning():
    reports = {
        "absent-token": additive(0.1, 0.05, 0.3),
        "mean": additive(0.33, 0.05, 0.1),
        "donor": additive(0.25, 0.05, 0.1),
    }
    found = compare_baselines(reports, LABELS, JOY)
    assert not found.agree
    assert found.first == {"absent-token": "text", "mean": "video", "donor": "video"}
    assert found.largest_difference == pytest.approx(0.23)
    assert found.sentence == (
        "Warning: this explanation hangs on what stands for an absent modality: text ranks first for joy "
        "with the learned absent vector, but video with mean features and donor clips; video differs most, "
        "from the learned absent vector (+10 points) to mean features (+33 points)."
    )


@pytest.mark.parametrize(("lead", "agree"), [(0.015, True), (0.03, False)])
def test_near_ties_are_no_disagreement(lead, agree):
    reports = {"absent-token": additive(0.2 + lead, 0.0, 0.2), "donor": additive(0.2, 0.0, 0.2 + lead)}
    found = compare_baselines(reports, LABELS, JOY)
    assert found.agree is agree and found.first == {"absent-token": "video", "donor": "text"}


@pytest.mark.parametrize(("against", "agree"), [(0.04, True), (0.06, False)])
def test_for_and_against_is_a_warning_beside_the_same_first(against, agree):
    reports = {"absent-token": additive(0.3, 0.08, 0.0), "donor": additive(0.3, -against, 0.0)}
    found = compare_baselines(reports, LABELS, JOY)
    assert found.agree is agree
    if not agree:
        assert found.sentence == (
            "Warning: this explanation hangs on what stands for an absent modality: audio speaks against joy "
            "with donor clips (-6 points), but for it with the learned absent vector (+8 points)."
        )


def test_a_contrast_is_compared_as_such():
    # text gives 0.2 to joy, but 0.3 to fear: of joy and not fear, it takes
    reports = {"absent-token": additive(0.1, 0.0, 0.2, fear=0.3), "donor": additive(0.1, 0.0, 0.2)}
    contrast = compare_baselines(reports, LABELS, Target(label="joy", instead_of="fear"))
    assert contrast.first == {"absent-token": "video", "donor": "text"}
    assert contrast.largest_difference == pytest.approx(0.3) and not contrast.agree
    assert "against joy, not fear, with the learned absent vector (-10 points), but" in contrast.sentence
    assert compare_baselines(reports, LABELS, JOY).agree


def test_an_absent_modality_is_never_first():
    # what is left speaks against joy, and the zero of the text would beat it
    reports = {name: additive(-0.1, -0.2, 0.0, lacks=("text",)) for name in ("absent-token", "mean")}
    assert set(compare_baselines(reports, LABELS, JOY).first.values()) == {"video"}


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        compare_baselines({"donor": additive(0.1, 0.1, 0.1)}, LABELS, JOY)
    reports = {name: additive(0.1, 0.1, 0.1) for name in ("mean", "donor")}
    with pytest.raises(ValueError, match="none of the labels"):
        compare_baselines(reports, LABELS, Target(label="rage"))
