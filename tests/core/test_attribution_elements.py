import threading
from dataclasses import replace
from types import SimpleNamespace

import captum.attr
import numpy as np
import pytest
import torch
from made_prepared import made_checkpoint, made_prepared

from core.attribution.elements import METHODS, MODALITY_OF, attribute, frames_of
from core.attribution.results import ExplanationCancelledError, Target
from core.attribution.subject import Subject
from core.attribution.variants import Variant
from core.compression import Choice
from core.encoders.video import VideoChoice
from core.media import SAMPLE_RATE
from core.media.clip import Word
from core.predict import Predictor

PAIRS = [(element, method) for method, m in METHODS.items() for element in m.elements]
IG = "integrated-gradients"


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    return Predictor(made_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny"))


@pytest.fixture(scope="module")
def subject(predictor) -> Subject:
    return Subject(predictor, made_prepared(3, text="well done you fool"))


@pytest.fixture(scope="module")
def merged(tmp_path_factory) -> Subject:
    """A clip before a network that merges all that it drops."""
    folder = tmp_path_factory.mktemp("checkpoints") / "merging"
    predictor = Predictor(made_checkpoint(folder, similarity_threshold=-1.0))
    return Subject(predictor, made_prepared(3, text="well done you fool"))


@pytest.fixture(scope="module", params=["unlike", "merged"])
def either(request, subject, merged) -> Subject:
    return subject if request.param == "unlike" else merged


@pytest.fixture(scope="module")
def target(subject) -> Target:
    return Target(label=subject.labels[int(subject.probabilities.argmax())])


class Toy:
    """A subject whose answer is written by hand: p of "yes" is a function of pictures, words or a mask."""

    labels = ("yes", "no")
    device = torch.device("cpu")
    patch_grid = (2, 2)

    def __init__(self, answer, *, frames=None, text="", of_words=None, of_variant=None):
        self._answer = answer
        self._model = SimpleNamespace(text=of_words, parameters=lambda: [])
        self._of_variant = of_variant
        self.frames, self.text = frames, text
        self.words = tuple(
            Word(text=w, start_seconds=i, end_seconds=i + 1) for i, w in enumerate(text.split())
        )
        self.window_starts = np.zeros(0)
        self.present = {"video": not text, "audio": False, "text": bool(text)}
        if frames is not None:
            self.frame_times = 0.5 * np.arange(len(frames))
            self.has_part = np.ones(len(frames), bool)
            self.probabilities = self.differentiable(None, 1, frames=frames[None])[0].numpy()
        elif of_words is not None:
            ids, _ = of_words.tokenize([text])
            self.probabilities = self.differentiable(None, 1, text_features=of_words.embed(ids))[0].numpy()
        else:
            self.frame_times = np.arange(7.0)
            # the third and the last are not kept
            kept = torch.tensor([[0, 1, 3, 4, 5]])
            step = Choice(kept=kept, kept_mask=torch.ones_like(kept, dtype=torch.bool))
            self.choice = VideoChoice(frames=step)
            self.probabilities = self.ask([Variant(frames=np.ones(7, bool))])[0]

    def model(self):
        from contextlib import nullcontext

        return nullcontext(self._model)

    def differentiable(self, model, num, *, frames=None, text_features=None):
        yes = self._answer(frames if frames is not None else text_features)
        return torch.stack([yes, 1 - yes], -1)

    def ask(self, variants, *, batch_size=1, cancelled=None):
        yes = np.array([self._of_variant(variant.frames) for variant in variants])
        return np.stack([yes, 1 - yes], -1)

    def with_patches(self, stays):
        return torch.where(stays[:, :1, :1].unsqueeze(-1), self.frames, 0.5)


YES = Target(label="yes")


def test_of_a_linear_answer_pixels_give_weight_times_difference_summed_to_patches_and_frames():
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(3, 3, 4, 4, generator=generator)
    weight = 0.01 * torch.randn(3, 3, 4, 4, generator=generator)
    toy = Toy(lambda x: 0.5 + (weight * x).sum((1, 2, 3, 4)), frames=frames)
    patches = attribute(toy, "patch", IG, YES, num_steps=3)
    each = (weight * (frames - 0.5)).sum(1).numpy()
    expected = np.array(
        [[[f[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].sum() for c in range(2)] for r in range(2)] for f in each]
    )
    np.testing.assert_allclose(patches.values, expected, atol=1e-6)
    np.testing.assert_allclose(patches.value - patches.baseline_value, expected.sum(), atol=1e-6)
    assert abs(patches.gap) < 1e-6
    frames_too = attribute(toy, "frame", IG, YES, num_steps=3)
    np.testing.assert_allclose(frames_too.values, expected.sum((1, 2)), atol=1e-6)
    np.testing.assert_allclose(frames_of(patches).values, frames_too.values)
    assert frames_of(patches).element == frames_too.element == "frame"
    np.testing.assert_array_equal(frames_too.start_seconds, [0, 0.5, 1])


def test_of_a_product_of_two_frames_each_gets_its_step_times_the_middle_of_the_other():
    frames = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.6)])
    toy = Toy(lambda x: x[:, 0].mean((1, 2, 3)) * x[:, 1].mean((1, 2, 3)), frames=frames)
    # from 0.5, which is what the toy's blurred pictures are: (0.2 − 0.5) · (0.5 + 0.6) / 2 and
    # (0.6 − 0.5) · (0.5 + 0.2) / 2
    result = attribute(toy, "frame", IG, YES, num_steps=4)
    np.testing.assert_allclose(result.values, [-0.165, 0.035], atol=1e-6)
    np.testing.assert_allclose([result.value, result.baseline_value], [0.12, 0.25], atol=1e-6)


def test_equal_frames_in_equal_parts_get_equal_shares():
    one, other = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    toy = Toy(lambda x: x.mean((2, 3, 4)).prod(1), frames=torch.stack([one, other, one]))
    values = attribute(toy, "patch", IG, YES, num_steps=4).values
    np.testing.assert_allclose(values[0], values[2], atol=1e-7)
    assert abs(values[0] - values[1]).max() > 1e-3


def test_smoothgrad_is_the_mean_over_inputs_with_noise_of_half_their_deviation():
    frames = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    weight = 0.01
    toy = Toy(lambda x: 0.5 + weight * x.sum((1, 2, 3, 4)), frames=frames)
    plain = attribute(toy, "patch", IG, YES).values
    once = attribute(toy, "patch", IG, YES, smooth=1)
    # of twelve numbers in each patch, whose noises add up by their squares
    noise = (once.values - plain) / weight / 12**0.5
    deviation = 0.5 * float(frames.std())
    assert 0.7 * deviation < noise.std() < 1.4 * deviation
    np.testing.assert_allclose(once.gap, plain.sum() - once.values.sum(), atol=1e-5)
    often = attribute(toy, "patch", IG, YES, smooth=64)
    error = abs(often.values - plain).max() / weight / 12**0.5
    # of 64 versions an eighth is left of the noise, of twelve patches the largest
    assert 0 < error < 3.5 * deviation / 8
    frames_too = attribute(toy, "frame", IG, YES, smooth=64)
    np.testing.assert_allclose(frames_too.values, often.values.sum((1, 2)))


class BagOfWords:
    """A text encoder whose tokens are half words: w0a w0b w1a w1b …, between two special ones."""

    blank_token = 0

    def tokenize(self, texts):
        ids = [9, *(1 + ord(word[half]) % 7 for word in texts[0].split() for half in (0, -1)), 9]
        return torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool)

    def word_of_token(self, text):
        return [-1, *(i // 2 for i in range(2 * len(text.split()))), -1]

    def embed(self, ids):
        return torch.sin(torch.arange(4) + 1.7 * ids.unsqueeze(-1))

    def from_embeddings(self, embeddings, mask):
        return embeddings


def test_halves_of_words_are_summed_and_equal_words_get_equal_shares():
    text, encoder = "ab cd ab ef", BagOfWords()
    toy = Toy(lambda x: x.mean((1, 2)).sigmoid(), text=text, of_words=encoder)
    result = attribute(toy, "word", IG, YES, num_steps=8)
    # the answer depends on one sum, so each token's share is its part of that sum's change
    ids, _ = encoder.tokenize([text])
    change = (encoder.embed(ids) - encoder.embed(torch.zeros_like(ids)))[0, 1:-1].sum(-1).numpy()
    of_words = change.reshape(4, 2).sum(1)
    expected = of_words / of_words.sum() * (result.value - result.baseline_value)
    np.testing.assert_allclose(result.values, expected, atol=1e-5)
    np.testing.assert_allclose(result.values[0], result.values[2], atol=1e-7)
    assert result.words == ("ab", "cd", "ab", "ef")
    np.testing.assert_array_equal(result.end_seconds - result.start_seconds, 1)


def test_shapley_sampling_of_games_that_are_solved_by_hand():
    worth = np.array([0.1, 0.0, 0.0, -0.05, 0.2, 0.02, 0.0])
    additive = Toy(None, of_variant=lambda stays: 0.3 + worth @ stays)
    result = attribute(additive, "frame", "shapley-sampling", YES, num_samples=1)
    np.testing.assert_allclose(result.values, worth, atol=1e-6)
    np.testing.assert_allclose([result.baseline_value, result.gap], [0.3, 0], atol=1e-6)
    # only frames 1 and 3 together are worth anything: of an order and its reverse, each completes one
    both = Toy(None, of_variant=lambda stays: 0.2 + 0.6 * (stays[1] & stays[3]))
    result = attribute(both, "frame", "shapley-sampling", YES, num_samples=2, seed=5)
    np.testing.assert_allclose(result.values, [0, 0.3, 0, 0.3, 0, 0, 0], atol=1e-6)


def test_shapley_sampling_of_words_is_about_what_they_say_alone(predictor, target):
    subject = Subject(predictor, made_prepared(3, text="well done"))
    result = attribute(subject, "word", "shapley-sampling", target, num_samples=2)
    others = frozenset({"video", "audio"})

    def worth(*stays: bool) -> float:
        answer = subject.ask([Variant(words=np.array(stays), without=others)])[0]
        return float(target.of(answer, subject.labels))

    nothing, well, done, both = worth(False, False), worth(True, False), worth(False, True), worth(True, True)
    # an order of two and its reverse are all there are
    expected = [(well - nothing + both - done) / 2, (done - nothing + both - well) / 2]
    np.testing.assert_allclose(result.values, expected, atol=1e-6)
    np.testing.assert_allclose([result.value, result.baseline_value], [both, nothing], atol=1e-6)
    assert abs(result.gap) < 1e-6 and result.words == ("well", "done")
    assert abs(result.value - target.of(subject.probabilities, subject.labels)) > 1e-4
    only_words = Subject(predictor, made_prepared(4, text="well done", seconds=0, num_frames=0))
    again = attribute(only_words, "word", "shapley-sampling", target, num_samples=2)
    np.testing.assert_allclose(again.values, result.values, atol=1e-6)


def test_occlusion_is_the_fall_of_the_answer_without_the_element():
    both = Toy(None, of_variant=lambda stays: 0.2 + 0.6 * (stays[1] & stays[3]) - 0.1 * stays[0])
    result = attribute(both, "frame", "occlusion", YES)
    np.testing.assert_allclose(result.values, [-0.1, 0.6, 0, 0.6, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose([result.value, result.baseline_value], [0.7, 0.2])
    assert np.isnan(result.gap) and result.num_passes == 6


@pytest.mark.parametrize("element", ["word", "window", "patch"])
def test_integrated_gradients_are_complete(subject, target, element):
    # with as many steps as it asks for
    result = attribute(subject, element, IG, target, num_steps=48)
    difference = result.value - result.baseline_value
    assert abs(difference) > 1e-4
    assert abs(result.gap) <= max(0.01 * abs(difference), 0.002)
    np.testing.assert_allclose(result.values.sum() + result.gap, difference, atol=1e-6)
    np.testing.assert_allclose(result.value, target.of(subject.probabilities, subject.labels))


def test_steps_go_where_the_answer_changes():
    frames = torch.full((1, 3, 4, 4), 0.9)
    # from 0.5 to 0.9 the answer rises from 0 to 1, all of it about 0.6
    steep = Toy(lambda x: torch.sigmoid(400 * (x.mean((1, 2, 3, 4)) - 0.6)), frames=frames)
    fine = attribute(steep, "frame", IG, YES, num_steps=48)
    np.testing.assert_allclose(fine.values, [1.0], atol=0.01)
    assert abs(fine.gap) <= 0.01 and fine.num_passes < 64
    assert abs(attribute(steep, "frame", IG, YES, num_steps=3).gap) > 0.2
    easy = Toy(lambda x: x.mean((1, 2, 3, 4)) ** 2, frames=frames)
    assert attribute(easy, "frame", IG, YES).num_passes == 9  # the ends and the middles of 4 parts


def test_a_path_of_one_part_is_simpsons_rule():
    frames = torch.full((1, 3, 4, 4), 0.9)
    # its slope along the path is a polynomial that the rule gives exactly, and one that it misses
    for power, is_exact in ((4, True), (6, False)):
        toy = Toy(lambda x, power=power: x.mean((1, 2, 3, 4)) ** power, frames=frames)
        result = attribute(toy, "frame", IG, YES, num_steps=3)
        low, high = 0.5, 0.9  # what is blurred there is told by the toy
        slopes = [power * (low + share * (high - low)) ** (power - 1) for share in (0, 0.5, 1)]
        expected = (high - low) / 6 * (slopes[0] + 4 * slopes[1] + slopes[2])
        np.testing.assert_allclose(result.values, [expected], rtol=1e-5)
        assert (abs(result.gap) < 1e-6) == is_exact


def test_sentences_of_many_orders_are_asked_about_once(subject, target):
    result = attribute(subject, "word", "shapley-sampling", target)
    # of four words there are 16 sets, met in 24 orders; the clip itself is asked for too
    assert result.num_passes <= 2**4 + 1


def test_words_equal_captums_layer_integrated_gradients(predictor, subject, target):
    ours = attribute(subject, "word", IG, target, num_steps=2001)
    label = subject.labels.index(target.label)
    with predictor.model() as model:
        ids, mask = model.text.tokenize([subject.text])

        def answer(ids):
            features = model.text(ids, mask.expand(len(ids), -1))
            return subject.differentiable(model, len(ids), text_features=features)[:, label]

        layer = captum.attr.LayerIntegratedGradients(answer, model.text.backbone.embeddings.word_embeddings)
        blank = torch.where((ids == 1) | (ids == 2), ids, 0)  # without a tokenizer 1 and 2 begin and end
        theirs = layer.attribute(ids, blank, n_steps=400, internal_batch_size=50)[0].sum(-1)
    # both integrate, each with steps of its own
    scale = abs(ours.values).max()
    np.testing.assert_allclose(ours.values, theirs[1:-1].detach().numpy(), atol=0.03 * scale)


def test_silent_windows_give_nothing(predictor):
    prepared = made_prepared(4, seconds=2.0, text=None, num_frames=0)
    prepared.waveform[SAMPLE_RATE:] = 0
    subject = Subject(predictor, prepared)
    result = attribute(subject, "window", IG, Target(label=subject.labels[0]))
    assert len(result.values) == 8
    # the spectrum reaches an eightieth of a second over the border
    np.testing.assert_allclose(result.values[5:], 0, atol=1e-9)
    assert abs(result.values[:4]).max() > 1e-5
    np.testing.assert_allclose(result.start_seconds, 0.25 * np.arange(8))
    np.testing.assert_allclose(result.end_seconds, 0.25 * np.arange(1, 9))


def test_gradients_lean_towards_the_stretches_of_sound_that_say_most_by_themselves(subject, target):
    num = len(subject.window_starts)
    said = np.zeros(num)
    for first in range(-2, num):
        heard = np.array([first <= window < first + 3 for window in range(num)])
        alone = Variant(windows=heard, without=frozenset({"video", "text"}))
        said[heard] += target.of(subject.ask([alone]), subject.labels)
    slopes = attribute(subject, "window", IG, target)
    found = attribute(subject, "window", "gradients-and-stretches", target)
    lean = said - said.mean()
    moved = 0.5 * np.abs(slopes.values).sum() * lean / np.abs(lean).sum()
    assert np.abs(moved).max() > 1e-6
    np.testing.assert_allclose(found.values, slopes.values + moved, atol=1e-6)
    # what all windows give together is what integrated gradients say
    assert found.values.sum() == pytest.approx(slopes.values.sum(), abs=1e-9)
    assert (found.gap, found.baseline_value) == pytest.approx((slopes.gap, slopes.baseline_value), abs=1e-9)
    assert found.num_passes == slopes.num_passes + num + 2


def test_stretches_of_silence_say_nothing(predictor):
    prepared = made_prepared(3, text="well done you fool")
    silent = Subject(predictor, replace(prepared, waveform=np.zeros_like(prepared.waveform)))
    found = attribute(silent, "window", "gradients-and-stretches", Target(label=silent.labels[0]))
    np.testing.assert_allclose(found.values, 0, atol=1e-6)


def test_sound_of_several_parts_is_laid_on_one_axis_of_time(predictor):
    prepared = made_prepared(4, seconds=4.0, text=None, num_frames=0)
    whole = predictor.config.audio.max_seconds
    subject = Subject(predictor, prepared)
    target = Target(label=subject.labels[0])
    encoder = predictor.checkpoint.model.audio
    try:
        encoder.config = replace(encoder.config, max_seconds=1)
        prepared.waveform[SAMPLE_RATE : 3 * SAMPLE_RATE] *= 1e-9
        subject = Subject(predictor, prepared)
        values = attribute(subject, "window", IG, target).values
    finally:
        encoder.config = replace(encoder.config, max_seconds=whole)
    assert len(values) == 16
    assert abs(values[:4]).max() > 1e-6 and abs(values[12:]).max() > 1e-6
    np.testing.assert_allclose(values[5:12], 0, atol=1e-9)


def test_dropped_frames_without_a_trace_have_no_part(subject, target):
    share = subject.choice.frames.source_map[0].sum(0).numpy()
    values = attribute(subject, "frame", IG, target).values
    assert (values[share == 0] == 0).all() and (abs(values[share > 0]) > 0).all()


@pytest.mark.parametrize("element", ["word", "window", "frame"])
def test_occlusion_asks_about_the_clip_without_each_element(subject, target, element):
    result = attribute(subject, element, "occlusion", target)
    num = len(result.values)
    for i in (0, num - 1):
        answer = subject.ask([Variant(**{f"{element}s": np.arange(num) != i})])[0]
        expected = result.value - target.of(answer, subject.labels)
        np.testing.assert_allclose(result.values[i], expected, atol=1e-6)
    without = subject.ask([Variant(without=frozenset({MODALITY_OF[element]}))])[0]
    np.testing.assert_allclose(result.baseline_value, target.of(without, subject.labels), atol=1e-6)


def test_occluded_patches_equal_a_question_about_the_whole_clip(either, target):
    subject = either
    values = attribute(subject, "patch", "occlusion", target).values
    rows, columns = subject.patch_grid
    kept = subject.choice.frames.kept[0].tolist()
    for candidate, row, column in ((kept[0], 0, 0), (kept[-1], rows - 2, columns - 2)):
        block = np.zeros(values.shape, bool)
        block[candidate, row : row + 2, column : column + 2] = True
        answer = subject.ask([Variant(patches=~block, choice=subject.choice)])[0]
        fall = target.of(subject.probabilities, subject.labels) - target.of(answer, subject.labels)
        np.testing.assert_allclose(values[block].sum(), fall, atol=1e-5)
        np.testing.assert_allclose(values[block], values[block][0])
    assert not values[[i for i in range(len(values)) if i not in kept]].any()


@pytest.mark.parametrize(
    ("element", "method"),
    # what stretches move is in proportion to the shares of the contrast itself
    [pair for pair in PAIRS if pair != ("window", "gradients-and-stretches")],
)
def test_a_contrast_is_the_difference_of_its_labels(subject, element, method):
    few = dict(num_steps=3, num_samples=1)
    why, why_not = subject.labels[0], subject.labels[3]
    contrast = attribute(subject, element, method, Target(label=why, instead_of=why_not), **few)
    one = attribute(subject, element, method, Target(label=why), **few)
    other = attribute(subject, element, method, Target(label=why_not), **few)
    np.testing.assert_allclose(contrast.values, one.values - other.values, atol=1e-6)
    np.testing.assert_allclose(contrast.value, one.value - other.value, atol=1e-12)


@pytest.mark.parametrize(
    ("element", "method", "settings"),
    [("frame", "shapley-sampling", dict(num_samples=1)), ("word", IG, dict(num_steps=3, smooth=2))],
)
def test_the_same_seed_gives_the_same_and_another_seed_another(subject, target, element, method, settings):
    def values(seed):
        torch.rand(1)  # whatever else draws numbers
        return attribute(subject, element, method, target, seed=seed, **settings).values

    np.testing.assert_array_equal(values(0), values(0))
    assert abs(values(0) - values(1)).max() > 1e-6


@pytest.mark.parametrize(("element", "method"), PAIRS)
def test_cancelling_ends_it_at_once_and_leaves_the_model_free(predictor, subject, target, element, method):
    asked = []
    # all of their few sequences, or points of the path, are one batch
    in_one = (("frame", "occlusion"), ("frame", "shapley-sampling"), ("word", IG))
    num_answered = 0 if (element, method) in in_one else 1

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > num_answered

    with pytest.raises(ExplanationCancelledError):
        attribute(subject, element, method, target, cancelled=cancelled)
    assert len(asked) == num_answered + 1

    def use() -> None:
        with predictor.model():
            pass

    other = threading.Thread(target=use, daemon=True)
    other.start()
    other.join(timeout=5)
    assert not other.is_alive()


@pytest.mark.parametrize(("element", "method"), PAIRS)
def test_progress_rises_to_one(subject, target, element, method):
    shares = []
    attribute(subject, element, method, target, num_steps=3, num_samples=1, progress=shares.append)
    assert len(shares) > 1 and shares == sorted(shares) and shares[-1] == 1


@pytest.mark.parametrize("element", ["window", "patch"])
def test_two_passes_at_a_time_give_what_one_after_the_other_does(subject, target, element, monkeypatch):
    before, seen = torch.get_num_threads(), []

    def look(share: float) -> None:
        """How many workers there are, and how many threads torch has in a thread that begins now."""
        answers = []
        other = threading.Thread(target=lambda: answers.append(torch.get_num_threads()))
        other.start()
        other.join()
        seen.append((sum(one.name.startswith("passes") for one in threading.enumerate()), answers[0]))

    def found(threads: int):
        torch.set_num_threads(threads)
        seen.clear()
        values = attribute(subject, element, IG, target, progress=look).values
        look(1)
        return values, set(seen[:-2]), seen[-1]

    try:
        one, *during_one = found(1)
        two, *during_two = found(4)
        monkeypatch.setattr("core.attribution.asking.SMALL_NETWORK", 0)
        large, *during_large = found(4)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(large, one, rtol=1e-4, atol=1e-7)
    assert during_one == [{(0, 1)}, (0, 1)]
    # whoever computes meanwhile, and afterwards, has as many threads as ever
    assert during_two == [{(2, 4)}, (0, 4)]
    assert during_large == [{(0, 4)}, (0, 4)]


def test_where_no_thread_can_be_begun_passes_are_made_one_after_the_other(subject, target, monkeypatch):
    expected = attribute(subject, "window", IG, target)
    before, begin, num_begun = torch.get_num_threads(), threading.Thread.start, []

    def none_to_be_had(thread: threading.Thread) -> None:
        if thread.name.startswith("passes"):
            num_begun.append(thread.name)
            if len(num_begun) == 2:
                raise RuntimeError("can't start new thread")
        begin(thread)

    try:
        torch.set_num_threads(2)
        monkeypatch.setattr(threading.Thread, "start", none_to_be_had)
        found = attribute(subject, "window", IG, target)
    finally:
        torch.set_num_threads(before)
    assert len(num_begun) == 2
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-7)


def test_no_gradient_is_left_in_the_network(predictor, subject, target):
    attribute(subject, "patch", IG, target, num_steps=3)
    with predictor.model() as model:
        assert all(parameter.grad is None for parameter in model.parameters())


def test_mistakes_are_told(predictor, subject, target):
    with pytest.raises(ValueError, match="no method"):
        attribute(subject, "window", "shapley-sampling", target)
    with pytest.raises(ValueError, match="no method"):
        attribute(subject, "word", "guessing", target)
    with pytest.raises(ValueError, match="at least 3"):
        attribute(subject, "word", IG, target, num_steps=2)
    with pytest.raises(ValueError, match="none of the labels"):
        attribute(subject, "word", "occlusion", Target(label="boredom"))
    silent = Subject(predictor, made_prepared(1, seconds=0, text=None))
    with pytest.raises(ValueError, match="no audio"):
        attribute(silent, "window", "occlusion", target)
