import dataclasses

import numpy as np
import pytest
import torch

from core.attribution.effects import CompressionEffects, compression_effects, frame_versions, patch_versions
from core.attribution.results import Attribution, ExplanationCancelledError, Target
from core.attribution.store import from_bytes, to_bytes
from core.attribution.subject import Subject
from core.attribution.variants import Variant
from core.checkpoint import load_checkpoint, save_checkpoint
from core.checkpoint_files import CheckpointInfo
from core.compression import Choice, Compressed
from core.config import PRESETS, CompressionConfig
from core.encoders.video import VideoChoice
from core.media import Clip, Frames, MediaInfo
from core.media.faces import FaceTrack
from core.model import DeepMSI
from core.predict import Predictor, PreparedClip

TINY = PRESETS["tiny"]
JOY = Target(label="joy")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(4)
    model = DeepMSI(TINY, "random")
    # an untrained network answers the same to everything: give it opinions
    with torch.no_grad():
        model.classifier.output.weight.mul_(20)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    return load_checkpoint(save_checkpoint(folder, model, info=CheckpointInfo()))


def subject_of(checkpoint, num_frames=6):
    """A clip of noise before the checkpoint's model."""
    rng, side = np.random.default_rng(0), TINY.video.image_size
    info = MediaInfo(
        container="mp4",
        num_bytes=1,
        duration_seconds=1.2,
        has_video=bool(num_frames),
        has_audio=False,
        width=96,
        height=72,
    )
    clip = Clip(path="c.mp4", sha256="c" * 64, info=info, start_seconds=0.0, end_seconds=1.2)
    frames = track = crops = None
    if num_frames:
        frames = Frames(
            pixels=np.zeros((num_frames, 72, 96, 3), np.uint8), times_seconds=np.arange(num_frames) * 0.2
        )
        track = FaceTrack(
            boxes=np.tile([12.0, 0, 84, 72], (num_frames, 1)),
            num_faces=np.ones(num_frames, int),
            state="one",
            sentence=None,
        )
        crops = rng.integers(0, 256, (num_frames, side, side, 3), dtype=np.uint8)
    prepared = PreparedClip(
        clip=clip, frames=frames, face_track=track, crops=crops, waveform=None, transcript=None
    )
    return Subject(Predictor(checkpoint), prepared.with_transcript("well done"))


@pytest.fixture(scope="module")
def subject(checkpoint):
    return subject_of(checkpoint)


@pytest.fixture(scope="module")
def effects(subject):
    return compression_effects(subject, JOY, num_random=3)


def joy_without_compression(checkpoint, **changes):
    """The value that a model gives whose configuration compresses otherwise, built anew from the weights."""
    config = dataclasses.replace(TINY, **changes)
    model = DeepMSI(config, "random").eval()
    model.load_state_dict(checkpoint.model.state_dict())
    other = dataclasses.replace(checkpoint, model=model, config=config)
    return float(JOY.of(subject_of(other).probabilities, TINY.labels.labels))


def step(kept, relevance):
    """A compression step with only what a choice is made from."""
    kept, relevance = torch.tensor(kept), torch.tensor(relevance)
    return Compressed(
        tokens=None, kept=kept, kept_mask=kept >= 0, relevance=relevance, source_map=None, gate=None
    )


def test_the_models_own_choice_gives_its_own_answer(subject, effects):
    held = subject.ask([Variant(choice=subject.choice)])
    np.testing.assert_allclose(held[0], subject.probabilities, atol=1e-6)
    assert effects.value == pytest.approx(subject.probabilities[subject.labels.index("joy")])


def test_all_restored_is_a_model_that_does_not_compress(checkpoint, effects):
    expected = joy_without_compression(checkpoint, compression=CompressionConfig(enabled=False))
    assert effects.all_restored == pytest.approx(expected, abs=1e-6)
    assert abs(effects.all_restored - effects.value) > 1e-4


def test_restored_frames_are_a_model_that_keeps_all_of_them(checkpoint, effects):
    expected = joy_without_compression(
        checkpoint, video=dataclasses.replace(TINY.video, num_kept_frames=TINY.video.num_candidate_frames)
    )
    assert effects.frames.restored == pytest.approx(expected, abs=1e-6)
    assert abs(effects.frames.restored - effects.value) > 1e-4


def test_restored_patches_are_a_model_without_steps_on_the_same_frames(checkpoint, effects):
    expected = joy_without_compression(
        checkpoint, video=dataclasses.replace(TINY.video, vsc_after=(), vsc_grids=())
    )
    assert effects.patches.restored == pytest.approx(expected, abs=1e-6)
    assert abs(effects.patches.restored - effects.value) > 1e-4


def test_unmerged_is_a_model_that_keeps_the_same_and_does_not_merge(checkpoint):
    # frames of noise are unlike: here everything that is dropped is merged into all that is kept
    compression = CompressionConfig(similarity_threshold=-1.0, retain=0.5)

    def compressing(compression):
        config = dataclasses.replace(TINY, compression=compression)
        model = DeepMSI(config, "random").eval()
        model.load_state_dict(checkpoint.model.state_dict())
        return subject_of(dataclasses.replace(checkpoint, model=model, config=config))

    merging, plain = compressing(compression), compressing(dataclasses.replace(compression, merge=False))
    # the positions alone, which the other model takes without giving them anything
    frames, *patches = (
        Choice(kept=one.kept, kept_mask=one.kept_mask)
        for one in (merging.choice.frames, *merging.choice.patches)
    )
    answer = plain.ask([Variant(choice=VideoChoice(frames=frames, patches=tuple(patches)))])[0]
    found = compression_effects(merging, JOY, num_random=0)
    assert found.unmerged == pytest.approx(float(JOY.of(answer, merging.labels)), abs=1e-6)
    assert abs(found.unmerged - found.value) > 1e-3


def test_exchanged_and_random_choices_move_the_answer(effects):
    for level in (effects.frames, effects.patches):
        assert len(level.random) == 3
        values = [level.exchanged, level.evenly, *level.random]
        assert np.isfinite(values).all() and np.ptp(values) > 1e-6
        assert level.random_range == (level.random.min(), level.random.max())
        assert level.random_range[0] <= level.random_mean <= level.random_range[1]
    assert (effects.frames.num_kept, effects.frames.num_elements, effects.frames.num_exchanged) == (3, 6, 3)
    assert (effects.patches.num_kept, effects.patches.num_elements) == (8, 16)
    assert effects.patches.share_kept == 0.5


def test_frames_exchanged_and_evenly_by_hand():
    made = step([[1, 2]], [[0.1, 0.3, 0.2, 0.05, 0.15, 0.12, 0.08]])
    every, exchanged, evenly, *random = frame_versions(made, 5, np.random.default_rng(0))
    assert every.tolist() == [0, 1, 2, 3, 4, 5, 6]
    # the most relevant of those that were dropped
    assert exchanged.tolist() == [4, 5]
    assert evenly.tolist() == [0, 6]
    for one in random:
        assert len(one) == 2 and one[0] < one[1]
    assert len({tuple(one) for one in random}) > 1


def test_fewer_dropped_frames_than_kept_ones_are_all_that_is_left():
    made = step([[0, 1, 3]], [[0.4, 0.3, 0.1, 0.2]])
    assert frame_versions(made, 0, np.random.default_rng(0))[1].tolist() == [2]


def test_patches_exchanged_by_hand():
    # 9 patches to 6 to 3; in the first step 0, 4 and 8 go, in the second 1, 2 and 5: 3, 6 and 7 are left
    first = step([[1, 2, 3, 5, 6, 7]], [[0.02, 0.2, 0.1, 0.1, 0.01, 0.1, 0.2, 0.2, 0.03]])
    second = step([[2, 4, 5]], [[0.05, 0.07, 0.3, 0.04, 0.2, 0.25]])
    (one, two), *_ = patch_versions([first, second], 0, np.random.default_rng(0))
    # of 3 kept ones none is needed where 6 were dropped: the first step keeps those six, the second its best
    original = np.take_along_axis(one, two, axis=1)
    assert one.tolist() == [[0, 1, 2, 4, 5, 8]]
    assert original.tolist() == [[1, 2, 5]]


def test_where_too_few_patches_were_dropped_the_least_relevant_kept_ones_fill_up():
    made = step([[0, 1, 3]], [[0.3, 0.1, 0.2, 0.4]])
    assert patch_versions([made], 0, np.random.default_rng(0))[0][0].tolist() == [[0, 1, 2]]


def test_patches_evenly_and_at_random_follow_the_steps():
    steps = [
        step([[0] * 6, [1] * 6], np.ones((2, 9)).tolist()),
        step([[0] * 3, [1] * 3], np.ones((2, 6)).tolist()),
    ]
    _, evenly, *random = patch_versions(steps, 4, np.random.default_rng(0))
    assert evenly[0].tolist() == [[0, 2, 3, 5, 6, 8]] * 2
    assert evenly[1].tolist() == [[0, 2, 5]] * 2
    for first, second in random:
        assert first.shape == (2, 6) and second.shape == (2, 3) and second.max() < 6
        assert (np.diff(first) > 0).all() and (np.diff(second) > 0).all()
        assert first[0].tolist() != first[1].tolist() or second[0].tolist() != second[1].tolist()


def test_masses_lie_where_the_kept_elements_are(subject):
    kept = subject.choice.frames.kept[0].numpy()
    of_frames = np.full(6, -1.0)
    of_frames[kept] = [3, -1, 1]
    # 4 of the 4 positive; 5 of the 8 absolute
    of_patches = np.zeros((6, 4, 4))
    patches_kept = subject.output.video.patch_steps[0].kept.numpy()
    for place, frame in enumerate(kept):
        of_patches[frame] = 1
        of_patches[frame].flat[patches_kept[place]] = -3
    # what lies outside the kept frames is not counted
    of_patches[np.setdiff1d(np.arange(6), kept)] = 100
    found = compression_effects(
        subject,
        JOY,
        frames=attribution_of("frame", of_frames),
        patches=attribution_of("patch", of_patches),
        num_random=1,
    )
    assert (found.frames.positive_mass, found.frames.absolute_mass) == pytest.approx((1, 5 / 8))
    assert (found.patches.positive_mass, found.patches.absolute_mass) == pytest.approx((0, 3 / 4))
    assert np.isnan(compression_effects(subject, JOY, num_random=0).frames.positive_mass)


def attribution_of(element, values):
    return Attribution(
        element=element,
        method="by hand",
        target=JOY,
        values=values,
        start_seconds=np.zeros(6),
        end_seconds=np.zeros(6),
        value=0.5,
        baseline_value=0.2,
        gap=np.nan,
        num_passes=0,
        seconds=0.0,
    )


def test_fewer_candidates_than_are_kept(checkpoint):
    found = compression_effects(subject_of(checkpoint, num_frames=2), JOY, num_random=2)
    assert (found.frames.num_kept, found.frames.num_elements, found.frames.num_exchanged) == (2, 2, 0)
    assert np.isnan([found.frames.restored, found.frames.exchanged, found.frames.evenly]).all()
    assert len(found.frames.random) == 0 and np.isnan(found.frames.random_mean)
    assert found.patches.num_kept == 8 and np.isfinite(found.patches.exchanged)
    assert found.all_restored == pytest.approx(found.patches.restored, abs=1e-6)


def test_a_model_that_does_not_compress(checkpoint):
    config = dataclasses.replace(TINY, compression=CompressionConfig(enabled=False))
    model = DeepMSI(config, "random").eval()
    model.load_state_dict(checkpoint.model.state_dict())
    found = compression_effects(
        subject_of(dataclasses.replace(checkpoint, model=model, config=config)), JOY, num_random=2
    )
    assert found.patches is None and found.frames.share_kept == 1
    assert found.all_restored == found.unmerged == pytest.approx(found.value, abs=1e-6)


def test_a_clip_without_video_has_none(checkpoint):
    assert compression_effects(subject_of(checkpoint, num_frames=0), JOY) is None


def test_effects_can_be_kept(effects):
    assert from_bytes(CompressionEffects, to_bytes(effects)).patches.restored == effects.patches.restored


def test_a_seed_gives_the_same_draws(subject, effects):
    again = compression_effects(subject, JOY, num_random=3)
    np.testing.assert_allclose(again.frames.random, effects.frames.random, atol=1e-7)
    np.testing.assert_allclose(again.patches.random, effects.patches.random, atol=1e-7)


def test_cancelling_ends_it(subject):
    with pytest.raises(ExplanationCancelledError):
        compression_effects(subject, JOY, cancelled=lambda: True)
