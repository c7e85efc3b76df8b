"""What if: every change against a clip that was changed by hand, or a choice that was enumerated."""

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from made_prepared import made_checkpoint, made_prepared
from scipy.ndimage import gaussian_filter

from app.edits import KINDS, Edit, answer, offered
from core.attribution.effects import compression_effects
from core.attribution.results import ExplanationCancelledError, Target
from core.attribution.subject import Subject
from core.attribution.variants import Variant
from core.compression import Choice
from core.encoders.video import VideoChoice
from core.media import SAMPLE_RATE
from core.predict import Predictor
from core.prediction import SUBSETS

MODALITIES = ("video", "audio", "text")


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(made_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny"))


@pytest.fixture(scope="module")
def prepared():
    return made_prepared(3, text="well done you fool")


@pytest.fixture(scope="module")
def subject(predictor, prepared) -> Subject:
    return Subject(predictor, prepared)


@pytest.fixture(scope="module")
def tried(predictor, prepared, subject):
    """The answer to an edit of the clip, as a function."""

    def ask(other=None, **edit) -> np.ndarray:
        return answer(Edit(**edit), predictor, prepared, subject, other)

    return ask


def close(found, expected, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_muted_modality_is_absent(predictor, prepared, tried, modality):
    rest = tuple(m for m in MODALITIES if m != modality)
    coalitions = predictor.predict(prepared).modalities.probabilities
    close(tried(kind=f"mute {modality}"), coalitions[SUBSETS.index(rest)])


@pytest.mark.parametrize("modality", MODALITIES)
def test_another_clips_modality_takes_the_place_of_its_own_and_nothing_else_does(
    predictor, prepared, subject, tried, modality
):
    donor = made_prepared(7, num_frames=4, seconds=0.8, text="what a mess")
    changes = {
        "video": dict(frames=donor.frames, face_track=donor.face_track, crops=donor.crops),
        "audio": dict(waveform=donor.waveform),
    }
    by_hand = (
        prepared.with_transcript("what a mess")
        if modality == "text"
        else replace(prepared, features={}, **changes[modality])
    )
    found = tried(donor, kind=f"replace {modality}", donor="d", donor_title="another")
    close(found, predictor.predict(by_hand).probabilities)
    assert abs(found - subject.probabilities).max() > 1e-4


@pytest.mark.parametrize(
    ("word", "new", "sentence"),
    [
        (1, "sung", "well sung you fool"),
        (3, "", "well done you"),
        (0, "so very well", "so very well done you fool"),
    ],
)
def test_one_word_becomes_another_or_none(predictor, prepared, tried, word, new, sentence):
    expected = predictor.predict(prepared.with_transcript(sentence)).probabilities
    close(tried(kind="word", word=word, old="…", new=new), expected)


def test_without_its_only_word_a_clip_has_no_words(predictor):
    prepared = made_prepared(3, text="well")
    edit = Edit(kind="word", word=0, old="well", new="")
    found = answer(edit, predictor, prepared, Subject(predictor, prepared), None)
    close(found, predictor.predict(prepared.with_transcript(None)).probabilities)


class Told:
    """In place of a subject: its pictures, and what it is changed to."""

    def __init__(self, prepared) -> None:
        self.frames = torch.from_numpy(prepared.crops).permute(0, 3, 1, 2) / 255
        self.changes: list[np.ndarray] = []

    def changed(self, **change):
        [value] = change.values()
        self.changes.append(np.asarray(value))
        return SimpleNamespace(probabilities=np.zeros(7))


def changed(prepared, **edit) -> np.ndarray:
    """Pictures `(frame, 3, side, side)` or sound after an edit."""
    told = Told(prepared)
    answer(Edit(**edit), None, prepared, told, None)
    [found] = told.changes
    return found


def test_a_blur_is_a_gaussian_of_a_thirty_second_of_the_picture(prepared):
    pictures = prepared.crops.transpose(0, 3, 1, 2) / 255
    sigma = pictures.shape[-1] / 32
    expected = gaussian_filter(pictures, (0, 0, sigma, sigma), mode="mirror", truncate=3.0)
    close(changed(prepared, kind="blur"), expected)


def test_noise_of_the_picture_has_its_deviation_and_its_draw(prepared):
    pictures = prepared.crops.transpose(0, 3, 1, 2) / 255
    first, again, other = (changed(prepared, kind="picture noise", seed=seed) for seed in (0, 0, 1))
    assert (first - pictures).std() == pytest.approx(0.15, rel=0.02)
    assert abs((first - pictures).mean()) < 0.01
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > 0.1


def test_a_hidden_face_is_grey_in_the_middle_and_leaves_the_rest(prepared):
    pictures = prepared.crops.transpose(0, 3, 1, 2) / 255
    found = changed(prepared, kind="hide face")
    side = pictures.shape[-1]
    middle = slice(side // 4, side - side // 4)
    assert (found[..., middle, middle] == 0.5).all()
    for corner in (np.s_[..., 0, 0], np.s_[..., 0, -1], np.s_[..., -1, 0], np.s_[..., -1, -1]):
        close(found[corner], pictures[corner])
    # a circle whose diameter is 84 % of the side
    is_grey = (found == 0.5).all((0, 1))
    assert is_grey.mean() == pytest.approx(np.pi * 0.42**2, abs=0.03)


def test_noise_of_the_sound_is_as_loud_as_the_sound(prepared):
    first, again, other = (changed(prepared, kind="sound noise", seed=seed) for seed in (0, 0, 1))
    noise = first - prepared.waveform
    level = np.sqrt(np.mean(prepared.waveform**2))
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(level, rel=0.02)
    assert abs(np.corrcoef(noise, prepared.waveform)[0, 1]) < 0.05
    np.testing.assert_array_equal(first, again)
    assert abs(first - other).max() > level
    assert abs(first).max() <= 1


@pytest.mark.parametrize("seconds", [0.25, -0.25, 5.0, -5.0])
def test_sound_is_shifted_and_silence_comes_after_or_before_it(prepared, seconds):
    sound = prepared.waveform
    by = min(int(abs(seconds) * SAMPLE_RATE), len(sound))
    silence = np.zeros(by, np.float32)
    rest = len(sound) - by
    expected = [silence, sound[:rest]] if seconds > 0 else [sound[by:], silence]
    np.testing.assert_array_equal(changed(prepared, kind="shift", seconds=seconds), np.concatenate(expected))


@pytest.mark.parametrize(
    ("kind", "level", "version"),
    [
        ("restore frames", "frames", "restored"),
        ("exchange frames", "frames", "exchanged"),
        ("restore patches", "patches", "restored"),
        ("exchange patches", "patches", "exchanged"),
    ],
)
def test_other_choices_are_those_of_what_the_compression_carries(subject, tried, kind, level, version):
    found = tried(kind=kind)
    told = {}
    for label in subject.labels:
        effects = compression_effects(subject, Target(label=label), num_random=0)
        told[label] = getattr(getattr(effects, level), version)
    close(found, list(told.values()))
    assert abs(found - subject.probabilities).max() > 1e-4


def test_as_many_frames_at_random_are_one_of_all_choices_and_another_draw_may_be_another(subject, tried):
    num_kept = len(subject.choice.frames.kept[0])

    def choice(kept: tuple[int, ...]) -> VideoChoice:
        positions = torch.tensor([kept])
        return VideoChoice(
            frames=Choice(kept=positions, kept_mask=torch.ones_like(positions, dtype=torch.bool))
        )

    candidates = range(len(subject.frame_times))
    every = subject.ask([Variant(choice=choice(kept)) for kept in combinations(candidates, num_kept)])
    met = set()
    for seed in range(4):
        distance = abs(every - tried(kind="random frames", seed=seed)).max(1)
        assert distance.min() < 1e-5
        met.add(int(distance.argmin()))
    assert len(met) > 1


def test_patches_at_random_are_another_choice_for_another_draw(subject, tried):
    first, again, other = (tried(kind="random patches", seed=seed) for seed in (0, 0, 1))
    close(first, again, atol=1e-7)
    assert abs(first - other).max() > 1e-5 and abs(first - subject.probabilities).max() > 1e-5


def test_what_nobody_waits_for_is_not_tried(predictor, prepared, subject):
    for kind in KINDS:
        edit = Edit(kind=kind, donor="d" if kind.startswith("replace") else "")
        with pytest.raises(ExplanationCancelledError):
            answer(edit, predictor, prepared, subject, prepared, lambda: True)


def what_is_offered(predictor, *, has_face: bool = True, has_donors: bool = True, **clip) -> set[str]:
    prediction = predictor.predict(made_prepared(3, **clip))
    kinds = offered(prediction, has_face=has_face, has_donors=has_donors)
    assert list(kinds) == [kind for kind in KINDS if kind in kinds]
    return set(kinds)


def test_only_changes_that_apply_are_offered(predictor):
    everything = set(KINDS)
    assert what_is_offered(predictor) == everything
    assert what_is_offered(predictor, has_face=False) == everything - {"hide face"}
    of_others = {f"replace {modality}" for modality in MODALITIES}
    assert what_is_offered(predictor, has_donors=False) == everything - of_others
    of_words = {"mute text", "replace text", "word"}
    assert what_is_offered(predictor, text=None) == everything - of_words
    of_sound = {"mute audio", "replace audio", "sound noise", "shift"}
    assert what_is_offered(predictor, seconds=0) == everything - of_sound
    # sound alone: nothing is left without it, and there is no picture to shift it against
    assert what_is_offered(predictor, num_frames=0, text=None) == {"replace audio", "sound noise"}
    # as many frames as are kept: no choice was made among them
    few = {"restore frames", "exchange frames", "random frames"}
    assert what_is_offered(predictor, num_frames=3) == everything - few
