from dataclasses import replace

import numpy as np
import pytest
import torch
from made_prepared import made_checkpoint, made_prepared
from torchvision.transforms.functional import gaussian_blur

from core.attribution.absence import silenced
from core.attribution.results import ExplanationCancelledError
from core.attribution.subject import Subject
from core.attribution.variants import Variant
from core.compression import Choice
from core.config import PRESETS, AudioConfig
from core.encoders.audio import AudioEncoder
from core.encoders.text import TextEncoder
from core.encoders.video import VideoChoice
from core.media import SAMPLE_RATE
from core.model import DeepMSI, ModelInput
from core.predict import Predictor
from core.prediction import SUBSETS

TINY = PRESETS["tiny"]


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
def merged(tmp_path_factory, prepared) -> Subject:
    """The clip before a network that merges all that it drops."""
    folder = tmp_path_factory.mktemp("checkpoints") / "merging"
    return Subject(Predictor(made_checkpoint(folder, similarity_threshold=-1.0)), prepared)


@pytest.fixture(scope="module", params=["unlike", "merged"])
def either(request, subject, merged) -> Subject:
    return subject if request.param == "unlike" else merged


def but(num: int, *absent: int) -> np.ndarray:
    return ~np.isin(np.arange(num), absent)


def close(found, expected, atol=1e-6) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=atol)


def test_the_clip_as_it_is_has_the_predictors_answer(predictor, prepared, subject):
    close(subject.probabilities, predictor.predict(prepared).probabilities)
    close(subject.ask([Variant()])[0], subject.probabilities)


def test_an_absent_word_is_left_out_of_the_sentence(predictor, prepared, subject):
    answer = subject.ask([Variant(words=but(4, 1, 2))])[0]
    close(answer, predictor.predict(prepared.with_transcript("well fool")).probabilities)
    assert abs(answer - subject.probabilities).max() > 1e-5


def test_an_absent_window_is_silent(predictor, prepared, subject):
    assert len(subject.window_starts) == 4
    stays = but(4, 1)
    sound, quarter, fade = silenced(prepared.waveform, stays), SAMPLE_RATE // 4, SAMPLE_RATE // 100
    assert not sound[quarter + fade : 2 * quarter - fade].any()
    for part in (slice(0, quarter - fade), slice(2 * quarter + fade, None)):
        np.testing.assert_allclose(sound[part], prepared.waveform[part], rtol=1e-5)
    answer = subject.ask([Variant(windows=stays)])[0]
    close(answer, predictor.predict(replace(prepared, waveform=sound, features={})).probabilities)
    assert abs(answer - subject.probabilities).max() > 1e-5


def test_an_absent_frame_is_left_out_of_the_sequence(predictor, prepared, subject):
    kept = subject.choice.frames.kept[0].tolist()
    answer = subject.ask([Variant(frames=but(6, *kept[1:3]))])[0]
    with predictor.model() as model, torch.no_grad():
        vectors = subject.output.video.frame_vectors[:, [0, *range(3, len(kept))]]
        everything = torch.ones(vectors.shape[:2], dtype=torch.bool)
        output = model(
            ModelInput(
                present=torch.ones(1, 3, dtype=torch.bool),
                video_features=model.temporal(vectors, everything),
                audio_features=model.audio.encode([prepared.waveform]),
                text_features=model.text.encode([prepared.transcript.text]),
            )
        )
    close(answer, (output.logits[0] / 1.5).softmax(0), atol=1e-5)
    assert abs(answer - subject.probabilities).max() > 1e-5
    # one that was not kept has no part
    others = [i for i in range(6) if i not in kept]
    assert others
    close(subject.ask([Variant(frames=but(6, *others))])[0], subject.probabilities)
    # and where none that was kept is left, there is no video
    emptied = subject.ask([Variant(frames=but(6, *kept)), Variant(without=frozenset({"video"}))])
    close(emptied[0], emptied[1])


def test_an_absent_patch_is_blurred(predictor, subject):
    rows, columns = subject.patch_grid
    stays = np.ones((6, rows, columns), bool)
    stays[2, 0, 1] = False
    pictures = subject.with_patches(torch.from_numpy(stays))
    side = TINY.video.image_size // rows
    changed = (pictures != subject.frames).any(1)
    assert changed[2, :side, side : 2 * side].float().mean() > 0.9
    changed[2, :side, side : 2 * side] = False
    assert not changed.any()
    assert pictures[2, :, :side, side : 2 * side].std() < 0.1 * subject.frames.std()
    nothing = subject.with_patches(torch.zeros(6, rows, columns))
    deviation = subject.frames.shape[-1] / 8
    blurred = gaussian_blur(subject.frames, 2 * int(2 * deviation) + 1, deviation)
    torch.testing.assert_close(nothing, blurred, atol=1e-5, rtol=0)
    alone = subject.with_patches(torch.from_numpy(stays[2:3]), slice(2, 3))
    torch.testing.assert_close(alone[0], pictures[2])

    answer = subject.ask([Variant(patches=stays)])[0]
    sound, (ids, mask) = subject.waveform, predictor.checkpoint.model.text.tokenize([subject.text])
    with predictor.model() as model, torch.no_grad():
        output = model(
            ModelInput(
                present=torch.ones(1, 3, dtype=torch.bool),
                frames=pictures[None],
                frame_mask=torch.ones(1, 6, dtype=torch.bool),
                waveforms=sound,
                num_samples=torch.tensor([sound.shape[1]]),
                token_ids=ids,
                token_mask=mask,
            )
        )
    close(answer, (output.logits[0] / 1.5).softmax(0), atol=1e-5)


def test_blurred_patches_under_a_held_choice_are_the_networks_answer_to_blurred_pictures(either):
    subject = either
    rng = np.random.default_rng(0)
    stays = rng.random((2, 6, *subject.patch_grid)) < 0.5
    found = subject.ask([Variant(patches=row, choice=subject.choice) for row in stays])
    with subject.model() as model, torch.no_grad():
        pictures = torch.stack([subject.with_patches(torch.from_numpy(row)) for row in stays])
        plain = ModelInput(
            present=torch.ones(2, 3, dtype=torch.bool),
            frames=pictures,
            frame_mask=torch.ones(2, 6, dtype=torch.bool),
            audio_features=model.audio.encode([subject.waveform[0].numpy()] * 2),
            text_features=model.text.encode([subject.text] * 2),
        )
        logits = model(plain, subject.choice.repeated(2)).logits
    close(found, (logits / 1.5).softmax(1), atol=1e-5)


def test_a_modality_without_elements_is_absent(predictor, prepared, subject):
    coalitions = predictor.predict(prepared).modalities.probabilities
    none = {
        "text": [Variant(words=np.zeros(4, bool))],
        "audio": [Variant(windows=np.zeros(4, bool))],
        "video": [
            Variant(frames=np.zeros(6, bool)),
            Variant(patches=np.zeros((6, *subject.patch_grid), bool)),
        ],
    }
    for modality, emptied in none.items():
        rest = tuple(m for m in ("video", "audio", "text") if m != modality)
        expected = coalitions[SUBSETS.index(rest)]
        for variant in [*emptied, Variant(without=frozenset({modality}))]:
            close(subject.ask([variant])[0], expected, atol=1e-5)
    nothing = Variant(words=np.zeros(4, bool), without=frozenset({"video", "audio"}))
    close(subject.ask([nothing])[0], coalitions[SUBSETS.index(())], atol=1e-5)


def choosing(subject, first: int) -> VideoChoice:
    """The frames that the model keeps, and of each the patches from one on."""
    own = subject.choice
    steps = []
    for step in own.patches:
        kept = torch.arange(first, first + step.kept.shape[1]).expand_as(step.kept)
        kept = kept.clamp(max=step.source_map.shape[2] - 1)
        steps.append(Choice(kept=kept, kept_mask=step.kept_mask))
    return VideoChoice(frames=own.frames, patches=tuple(steps))


def losing(subject) -> VideoChoice:
    """All that the model keeps, and nothing of the patches that it drops."""
    own = subject.choice

    def lost(step: Choice) -> Choice:
        itself = torch.nn.functional.one_hot(step.kept, step.source_map.shape[2]).float()
        return Choice(kept=step.kept, kept_mask=step.kept_mask, source_map=itself)

    return VideoChoice(frames=own.frames, patches=tuple(map(lost, own.patches)))


def test_answers_are_the_same_for_any_batch_size(merged):
    rows, columns = merged.patch_grid
    patches = np.ones((6, rows, columns), bool)
    patches[1:3, 1] = False
    kept = merged.choice.frames.kept[0].tolist()
    variants = [
        Variant(),
        Variant(words=but(4, 0)),
        Variant(frames=but(6, *kept[1:])),
        Variant(choice=merged.choice, windows=but(4, 3)),
        Variant(without=frozenset({"video"})),
        Variant(patches=patches),
        Variant(words=np.zeros(4, bool), frames=but(6, kept[-1])),
        Variant(choice=merged.choice, patches=patches),
        # of one size, so they may share a batch; the first two differ in what is merged alone
        *(Variant(choice=one) for one in (merged.choice, losing(merged))),
        *(Variant(choice=choosing(merged, first)) for first in (0, 1, 2)),
    ]
    one_by_one = np.concatenate([merged.ask([variant]) for variant in variants])
    for batch_size in (1, 3, 8):
        close(merged.ask(variants, batch_size=batch_size), one_by_one, atol=1e-5)
    # but for the clip's own choice, which is the clip as it is
    assert len(np.unique(one_by_one.round(6), axis=0)) == len(variants) - 1


def test_the_clips_own_choice_reproduces_its_answer_and_is_held_when_words_change(predictor, subject):
    close(subject.ask([Variant(choice=subject.choice)])[0], subject.probabilities)
    held = subject.ask([Variant(choice=subject.choice, words=but(4, 0))])[0]
    with predictor.model() as model, torch.no_grad():
        words = model.text.encode(["done you fool"])
        close(held, subject.differentiable(model, 1, text_features=words)[0], atol=1e-5)


def test_the_differentiable_answer_is_the_same_answer(either):
    subject = either
    whole = subject.frames[None].repeat(2, 1, 1, 1, 1)
    whole[1, subject.choice.frames.kept[0, 0]] *= 0.5
    frames = whole[:, subject.has_part]
    sound = subject.waveform
    length = torch.tensor([sound.shape[1]])
    with subject.model() as model, torch.no_grad():
        own = dict(
            audio_features=model.audio(sound, length),
            text_features=model.text.encode([subject.text]),
            frame_vectors=subject.output.video.frame_vectors,
        )
        for name, value in own.items():
            close(subject.differentiable(model, 1, **{name: value})[0], subject.probabilities, atol=1e-5)
        found = subject.differentiable(model, 2, frames=frames)
        close(subject.differentiable(model, 1)[0], subject.probabilities, atol=1e-5)
        # the network as it is meant to be used, of all candidates and with the choice held
        plain = ModelInput(
            present=torch.ones(2, 3, dtype=torch.bool),
            frames=whole,
            frame_mask=torch.ones(2, 6, dtype=torch.bool),
            audio_features=own["audio_features"].expand(2, *own["audio_features"].shape[1:]),
            text_features=own["text_features"].expand(2, -1),
        )
        logits = model(plain, subject.choice.repeated(2)).logits
    close(found, (logits / 1.5).softmax(1), atol=1e-5)
    close(found[0], subject.probabilities, atol=1e-5)
    assert abs(found[1] - found[0]).max() > 1e-5


def test_a_changed_clip_has_the_answers_of_one_that_was_never_another(predictor, prepared, subject):
    subject.ask([Variant(words=but(4, 1)), Variant(windows=but(4, 2))])
    sound = 0.5 * prepared.waveform
    pixels = prepared.crops // 2
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    other = DeepMSI(TINY, "random").eval()
    cases = [
        (dict(waveform=sound), predictor, replace(prepared, waveform=sound, features={})),
        (dict(frames=pictures), predictor, replace(prepared, crops=pixels)),
        (dict(model=other), Predictor(replace(predictor.checkpoint, model=other)), prepared),
    ]
    variants = [Variant(), Variant(words=but(4, 1)), Variant(windows=but(4, 2))]
    for change, asked, as_prepared in cases:
        fresh = Subject(asked, as_prepared)
        close(subject.changed(**change).ask(variants), fresh.ask(variants))
        assert abs(fresh.probabilities - subject.probabilities).max() > 1e-4


def test_weights_are_trainable_again_behind_a_question(predictor, subject):
    with predictor.model() as model:
        trained = {id(parameter) for parameter in model.trained_parameters()}
        assert trained
        answer = subject.differentiable(
            model, 1, frames=subject.frames[None, subject.has_part].requires_grad_()
        )
        assert answer.requires_grad
        assert {id(parameter) for parameter in model.trained_parameters()} == trained
        with pytest.raises(RuntimeError):
            subject.differentiable(model, 1, frame_vectors=torch.zeros(1, 2, 3))
        assert {id(parameter) for parameter in model.trained_parameters()} == trained


def test_the_uncompressed_twin_is_the_model_without_compression(predictor, subject):
    model = predictor.checkpoint.model
    twin = model.uncompressed()
    own = {id(parameter) for parameter in model.parameters()}
    assert {id(parameter) for parameter in twin.parameters()} == own
    off = DeepMSI(replace(TINY, compression=replace(TINY.compression, enabled=False)), "random").eval()
    off.load_state_dict(model.state_dict())
    variants = [Variant(), Variant(frames=but(6, 2)), Variant(words=but(4, 1))]
    answers = subject.ask(variants, model=twin)
    close(answers, subject.ask(variants, model=off), atol=1e-5)
    assert abs(answers[0] - subject.probabilities).max() > 1e-5
    close(subject.ask([Variant()])[0], subject.probabilities)


def test_mistakes_and_cancelling_are_told(predictor, subject):
    with pytest.raises(ValueError, match="words should have the shape"):
        subject.ask([Variant(words=np.ones(3, bool))])
    with pytest.raises(ValueError, match="choice and patches are those of the clip"):
        subject.ask([Variant(frames=but(6, 0), choice=subject.choice)])
    with pytest.raises(ExplanationCancelledError):
        subject.ask([Variant()], cancelled=lambda: True)
    with pytest.raises(ValueError, match="no modality"):
        Subject(predictor, made_prepared(1, num_frames=0, seconds=0, text=None))


def test_words_carry_their_times_only_where_these_are_of_the_same_words(subject):
    assert [word.text for word in subject.words] == ["well", "done", "you", "fool"]
    assert np.isnan([word.start_seconds for word in subject.words]).all()


@pytest.fixture(scope="module")
def mini_text() -> TextEncoder:
    return TextEncoder(PRESETS["mini"].text, "pretrained")


def test_every_token_belongs_to_its_word(mini_text):
    text = "  Unbelievably,  you didn't\tsnorkel !"
    word_of_token = mini_text.word_of_token(text)
    ids, _ = mini_text.tokenize([text])
    assert len(word_of_token) == ids.shape[1]
    assert word_of_token[0] == word_of_token[-1] == -1
    inner = word_of_token[1:-1]
    assert inner == sorted(inner) and set(inner) == set(range(5))
    # a word's tokens alone spell the word
    for index, word in enumerate(text.split()):
        own = [int(i) for i, of in zip(ids[0], word_of_token, strict=True) if of == index]
        alone, _ = mini_text.tokenize([word])
        assert own == alone[0, 1:-1].tolist()
    assert inner.count(0) > 1


def test_words_behind_the_cut_have_no_token(mini_text):
    text = "never " * 200
    word_of_token = mini_text.word_of_token(text)
    assert len(word_of_token) == mini_text.tokenize([text])[0].shape[1] == 128
    assert max(word_of_token) < 127


@pytest.mark.parametrize("name", ["tiny", "mini"])
def test_text_from_embeddings_is_the_same(name, mini_text):
    encoder = mini_text if name == "mini" else TextEncoder(TINY.text, "random")
    ids, mask = encoder.tokenize(["so you say", "no"])
    with torch.no_grad():
        torch.testing.assert_close(encoder.from_embeddings(encoder.embed(ids), mask), encoder(ids, mask))
    assert encoder.word_of_token("so you say")[1:4] == [0, 1, 2]


WAV2VEC2 = AudioConfig(
    backbone="facebook/wav2vec2-base",
    width=32,
    pooling="mean",
    max_seconds=3,
    layout={"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32},
)


@pytest.mark.parametrize("config", [TINY.audio, replace(TINY.audio, max_seconds=1), WAV2VEC2])
def test_sound_from_inputs_is_the_same_and_silence_is_like_a_silent_sound(config):
    torch.manual_seed(0)
    encoder = AudioEncoder(config, "random")
    lengths = torch.tensor([int(3.3 * SAMPLE_RATE), 300, SAMPLE_RATE])
    sounds = 0.1 * torch.randn(3, int(lengths.max()))
    with torch.no_grad():
        inputs = encoder.inputs(sounds, lengths)
        torch.testing.assert_close(encoder.from_inputs(inputs, lengths), encoder(sounds, lengths))
    assert len(inputs) == -(-int(lengths.max()) // (config.max_seconds * SAMPLE_RATE))
    step = encoder.backbone.samples_per_input
    for part, start in zip(inputs, range(0, 10**6, config.max_seconds * SAMPLE_RATE), strict=False):
        silence = encoder.backbone.silence(part)
        assert silence.shape == part.shape
        # behind the third sound's end there is nothing but silence
        behind = max(0, (SAMPLE_RATE + 400 - start)) // step + 1
        torch.testing.assert_close(part[2, ..., behind:], silence[2, ..., behind:])
