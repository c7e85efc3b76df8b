import itertools
import resource
from dataclasses import fields, replace

import pytest
import torch

import core.encoders.swin
from core.config import PRESETS, CompressionConfig, ModelConfig
from core.encoders.window_blocks import run_block
from core.labels import MODALITIES
from core.media.clip import SAMPLE_RATE
from core.model import DeepMSI, ModelInput, build_model

TINY = PRESETS["tiny"]
SUBSETS = list(itertools.product([False, True], repeat=3))
TEXTS = ["I am so happy for you", "no", "", "What did you just say to me, and why now?", "stop it", "well"]
NUM_FRAMES = [6, 4, 1, 6, 2, 5]
SECONDS = [1.0, 0.4, 0.05, 0.77, 1.3, 0.2]


def build(config: ModelConfig = TINY) -> DeepMSI:
    """Random weights, and batch-norm statistics as after some training."""
    torch.manual_seed(0)
    model = build_model(config, "random")
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    return model


def with_compression(**change) -> ModelConfig:
    return replace(TINY, compression=replace(CompressionConfig(), **change))


def test_what_a_model_does_not_read_is_absent_to_it():
    deaf = build(replace(TINY, modalities=("video", "text")))
    everything, silent = clips(deaf), clips(deaf, present=[[True, False, True]] * 6)
    output = deaf(everything)
    assert output.present.tolist() == [[True, False, True]] * 6
    assert torch.equal(output.logits, deaf(silent).logits)
    blind = build(replace(TINY, modalities=("audio", "text")))
    assert blind(everything).video is None
    assert not [name for name, _ in blind.named_parameters() if name.startswith(("video", "temporal"))]


@pytest.fixture(scope="module")
def tiny() -> DeepMSI:
    return build()


def clips(model: DeepMSI, rows=range(6), present=None, extra: int = 0, filling: float = 0.0) -> ModelInput:
    """Some of six clips of unequal lengths; `extra` more frames, half seconds and tokens of padding."""
    rows = list(rows)
    size = model.config.video.image_size
    generator = torch.Generator().manual_seed(3)
    pictures = torch.rand(6, 6, 3, 8, 8, generator=generator).flatten(0, 1)
    pictures = torch.nn.functional.interpolate(pictures, (size, size), mode="bilinear").unflatten(0, (6, 6))
    sound = 0.1 * torch.randn(6, 2 * SAMPLE_RATE, generator=generator)

    num_frames = torch.tensor([NUM_FRAMES[row] for row in rows])
    longest = int(num_frames.max()) + extra
    frame_mask = torch.arange(longest) < num_frames.unsqueeze(1)
    frames = torch.nn.functional.pad(pictures[rows], (0,) * 7 + (extra,))[:, :longest]
    frames = torch.where(frame_mask[..., None, None, None], frames, torch.full_like(frames, filling))

    num_samples = torch.tensor([round(SECONDS[row] * SAMPLE_RATE) for row in rows])
    longest = int(num_samples.max()) + extra * SAMPLE_RATE // 2
    waveforms = torch.nn.functional.pad(sound[rows], (0, extra * SAMPLE_RATE))[:, :longest]
    is_sound = torch.arange(longest) < num_samples.unsqueeze(1)
    waveforms = torch.where(is_sound, waveforms, torch.full_like(waveforms, filling))

    token_ids, token_mask = model.text.tokenize([TEXTS[row] for row in rows])
    return ModelInput(
        present=torch.ones(len(rows), 3, dtype=torch.bool) if present is None else torch.tensor(present),
        frames=frames,
        frame_mask=frame_mask,
        waveforms=waveforms,
        num_samples=num_samples,
        token_ids=torch.nn.functional.pad(token_ids, (0, extra), value=int(filling)),
        token_mask=torch.nn.functional.pad(token_mask, (0, extra)),
    )


def cached(model: DeepMSI, batch: ModelInput) -> ModelInput:
    with torch.no_grad():
        text, audio = model.text_features(batch), model.audio_features(batch)
    raw = dict.fromkeys(["waveforms", "num_samples", "token_ids", "token_mask"])
    return replace(batch, **raw, audio_features=audio, text_features=text)


def answers(out) -> dict[str, torch.Tensor]:
    return {"logits": out.logits, "fused": out.fused, "guide": out.guide, **out.projections}


def assert_same(one, other, atol=1e-5):
    for name, value in answers(one).items():
        torch.testing.assert_close(answers(other)[name], value, atol=atol, rtol=0)


# ---- one clip, many clips, any padding


@pytest.mark.parametrize(("extra", "filling"), [(0, 0.0), (3, 0.0), (2, 1.0)])
def test_a_batch_of_clips_is_its_clips_one_by_one(tiny, extra, filling):
    with torch.no_grad():
        batch = tiny(clips(tiny, extra=extra, filling=filling))
        assert batch.logits.std(0).min() > 1e-4  # the clips are not all the same to the model
        for row in range(6):
            alone = tiny(clips(tiny, [row]))
            for name, value in answers(alone).items():
                torch.testing.assert_close(answers(batch)[name][row], value[0], atol=1e-5, rtol=0)
            num_kept = min(3, NUM_FRAMES[row])
            kept = alone.video.selection.kept[0].tolist()
            assert batch.video.selection.kept[row, :num_kept].tolist() == kept
            assert batch.video.frame_mask[row].tolist() == [True] * num_kept + [False] * (3 - num_kept)


def test_the_order_of_clips_in_a_batch_does_not_matter(tiny):
    with torch.no_grad():
        forward, backward = tiny(clips(tiny)), tiny(clips(tiny, range(5, -1, -1)))
    torch.testing.assert_close(forward.logits, backward.logits.flip(0), atol=1e-5, rtol=0)


def test_cached_features_are_worth_the_raw_ones(tiny):
    raw = clips(tiny)
    with torch.no_grad():
        assert_same(tiny(raw), tiny(cached(tiny, raw)))
        by_encode = replace(
            cached(tiny, raw),
            text_features=tiny.text.encode(TEXTS),
            audio_features=tiny.audio.encode(
                [w[:n].numpy() for w, n in zip(raw.waveforms, raw.num_samples, strict=True)]
            ),
        )
        assert_same(tiny(raw), tiny(by_encode))
        tokens = tiny.video.embed(raw.frames.flatten(0, 1)).unflatten(0, raw.frames.shape[:2])
        assert_same(tiny(raw), tiny(replace(raw, frames=None, frame_tokens=tokens)))


def test_answers_are_repeatable(tiny):
    with torch.no_grad():
        assert torch.equal(tiny(clips(tiny)).logits, tiny(clips(tiny)).logits)


# ---- any subset of modalities


def fill(batch: ModelInput, absent: list[str], value: float) -> ModelInput:
    """The content of the absent modalities replaced by something else altogether."""
    change = {}
    if "video" in absent:
        change["frames"] = torch.full_like(batch.frames, value)
        change["frame_mask"] = torch.zeros_like(batch.frame_mask)
    if "audio" in absent:
        change["audio_features"] = torch.full_like(batch.audio_features, value)
    if "text" in absent:
        change["text_features"] = torch.full_like(batch.text_features, value)
    return replace(batch, **change)


@pytest.mark.parametrize("subset", SUBSETS, ids=str)
def test_what_is_absent_has_no_influence(tiny, subset):
    batch = replace(cached(tiny, clips(tiny)), present=torch.tensor([subset] * 6))
    absent = [m for m, is_present in zip(MODALITIES, subset, strict=True) if not is_present]
    content = {"video": "frames", "audio": "audio_features", "text": "text_features"}
    with torch.no_grad():
        expected = tiny(batch)
        assert expected.logits.isfinite().all()
        for value in (0.0, 7.0, float("nan")):
            assert_same(expected, tiny(fill(batch, absent, value)), atol=0)
        assert_same(expected, tiny(replace(batch, **{content[m]: None for m in absent})), atol=0)
    # what is present does matter, and only that
    differences = (expected.logits - expected.logits[:1]).abs().sum(1)[1:]
    # equal but for rounding: rows of a batch may be summed in another order
    assert (differences > 1e-5).all() if any(subset) else (differences < 1e-6).all()


def test_raw_content_of_absent_modalities_has_no_influence(tiny):
    batch = clips(tiny, present=[[False] * 3] * 6)
    junk = replace(
        batch,
        frames=torch.full_like(batch.frames, float("nan")),
        waveforms=torch.full_like(batch.waveforms, float("nan")),
        token_ids=torch.full_like(batch.token_ids, 5),
        token_mask=torch.zeros_like(batch.token_mask),
    )
    with torch.no_grad():
        assert_same(tiny(batch), tiny(junk), atol=0)


def test_the_eight_subsets_differ(tiny):
    batch = cached(tiny, clips(tiny, [0] * 8))
    with torch.no_grad():
        logits = tiny(replace(batch, present=torch.tensor(SUBSETS))).logits
    distance = torch.cdist(logits, logits) + torch.eye(8)
    assert (distance > 1e-4).all()


def test_a_mixed_batch_equals_its_clips_one_by_one(tiny):
    whole = cached(tiny, clips(tiny, [0, 1, 2, 3, 4, 5, 0, 1]))
    with torch.no_grad():
        together = tiny(replace(whole, present=torch.tensor(SUBSETS)))
        for row, subset in enumerate(SUBSETS):
            one = {
                field.name: value[row : row + 1]
                for field in fields(whole)
                if (value := getattr(whole, field.name)) is not None
            }
            alone = tiny(ModelInput(**{**one, "present": torch.tensor([subset])}))
            for name, value in answers(alone).items():
                torch.testing.assert_close(answers(together)[name][row], value[0], atol=1e-5, rtol=0)


def test_video_rows_say_which_clips_the_video_is_about(tiny):
    batch = cached(tiny, clips(tiny))
    present = torch.ones(6, 3, dtype=torch.bool)
    present[[0, 3, 4], 0] = False
    with torch.no_grad():
        out, whole = tiny(replace(batch, present=present)), tiny(batch)
    assert out.video_rows.tolist() == [1, 2, 5]
    assert len(out.video.frame_vectors) == 3 and len(out.video.selection.kept) == 3
    assert out.video.patch_steps[0].kept.shape[0] == 3 * out.video.frame_mask.shape[1]
    for row, clip in enumerate([1, 2, 5]):
        is_real = out.video.frame_mask[row]
        torch.testing.assert_close(
            out.video.frame_vectors[row][is_real], whole.video.frame_vectors[clip][is_real], atol=1e-5, rtol=0
        )
        torch.testing.assert_close(
            out.features["video"][clip], whole.features["video"][clip], atol=1e-5, rtol=0
        )
    for clip in (0, 3, 4):
        assert torch.equal(out.features["video"][clip], tiny.absent["video"])
    with torch.no_grad():
        nothing = tiny(replace(batch, present=torch.zeros(6, 3, dtype=torch.bool)))
    assert nothing.video is None and len(nothing.video_rows) == 0


@pytest.mark.parametrize(
    ("modality", "missing"),
    [("video", ["frames"]), ("audio", ["waveforms", "num_samples"]), ("text", ["token_ids", "token_mask"])],
)
def test_present_but_not_given_is_told(tiny, modality, missing):
    batch = clips(tiny)
    with pytest.raises(ValueError, match=f"{modality} is marked present"):
        tiny(replace(batch, **dict.fromkeys(missing)))


def test_shapes_and_names(tiny):
    with torch.no_grad():
        out = tiny(clips(tiny))
    heads = TINY.heads
    assert out.logits.shape == (6, 7)
    assert out.fused.shape == (6, heads.classifier_hidden[-1])
    assert tuple(out.projections) == tuple(out.features) == MODALITIES
    assert all(p.shape == (6, heads.projection_width) for p in out.projections.values())
    assert out.guide.shape == (6, TINY.video.guide_width)


# ---- what is trained


def training_batch(model: DeepMSI) -> ModelInput:
    """Every modality is present in some clips and absent in others."""
    present = [[v, a, t] for v, a, t in SUBSETS if v or a or t][-6:]
    return cached(model, clips(model, present=present))


def absent_audio_is_nan(batch: ModelInput) -> ModelInput:
    absent = ~batch.present[:, 1]
    assert absent.any()
    features = batch.audio_features.clone()
    features[absent] = float("nan")
    return replace(batch, audio_features=features)


def test_every_trained_parameter_gets_a_gradient():
    model = build().train().double()
    batch = training_batch(build())
    batch = replace(
        batch,
        **{n: getattr(batch, n).double() for n in ("frames", "audio_features", "text_features")},
    )
    out = model(batch)
    loss = torch.nn.functional.cross_entropy(out.logits, torch.tensor([0, 1, 2, 3, 4, 5]))
    # a stand-in for the contrastive loss, which is about the projections of what is present
    unit = torch.stack([torch.nn.functional.normalize(out.projections[m], dim=1) for m in MODALITIES], 1)
    unit = unit[batch.present]
    (loss + (unit @ unit.T).square().mean()).backward()
    without = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or parameter.grad.abs().max() < 1e-14)
    }
    assert not without
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen and all(name.startswith(("text.backbone.", "audio.backbone.")) for name in frozen)
    assert all(parameter.grad is None for name, parameter in model.named_parameters() if name in frozen)
    # and nothing else is frozen
    assert len(model.trained_parameters()) + len(frozen) == len(list(model.named_parameters()))


def test_absent_content_does_not_reach_the_gradient():
    gradients = []
    for spoil in (lambda batch: batch, absent_audio_is_nan):
        model = build()
        batch = spoil(training_batch(model))
        model(batch).logits.square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    one, other = gradients
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        assert torch.equal(gradient, other[name]), name


@pytest.mark.parametrize("merge", [True, False])
def test_early_fusion_is_trained_by_what_it_guides(merge):
    """Its only way to the answer is the compression; published, it has none."""
    batch = training_batch(build())
    for train_guide in (True, False):
        model = build(with_compression(merge=merge, train_guide=train_guide))
        model(batch).logits.square().sum().backward()
        guides = {
            name: parameter.grad
            for name, parameter in model.named_parameters()
            if name.startswith(("early_fusion.", "video.selector.guide.", "video.base_guide"))
        }
        assert len(guides) == 8
        for name, gradient in guides.items():
            if train_guide:
                assert gradient.abs().max() > 1e-8, name
            else:
                assert gradient is None or gradient.eq(0).all(), name


def test_what_is_heard_and_said_learns_from_what_is_seen():
    """Through the guide: the video feature's gradient reaches the audio mix and the absent words."""
    model = build()
    batch = training_batch(model)
    model(batch).features["video"].square().sum().backward()
    assert model.audio.layer_weights.grad.abs().max() > 1e-9
    assert model.absent["text"].grad.abs().max() > 1e-9


def test_training_the_guide_changes_no_answer_by_itself():
    batch = training_batch(build())
    with torch.no_grad():
        gated = build()(batch)
        plain = build(with_compression(train_guide=False))(batch)
    assert torch.equal(gated.logits, plain.logits)


def test_training_early_fusion_alone_changes_what_is_kept():
    model = build()
    batch = cached(model, clips(model))

    def step(optimizer=None):
        out = model(batch)
        if optimizer is not None:
            loss = torch.nn.functional.cross_entropy(out.logits, torch.tensor([0, 1, 2, 3, 4, 5]))
            loss.backward()
            optimizer.step()
        return out.video.selection.kept.tolist(), out.video.patch_steps[0].kept.tolist()

    before = step()
    optimizer = torch.optim.Adam(model.early_fusion.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        step(optimizer)
    after = step()
    assert before[0] != after[0], "frames"
    assert before[1] != after[1], "patches"


def test_published_variants_are_selectable():
    batch = cached(build(), clips(build()))
    with torch.no_grad():
        logits = {
            name: build(with_compression(**change))(batch).logits
            for name, change in {
                "ours": {},
                "no merge": {"merge": False},
                "score order": {"order": "score"},
            }.items()
        }
    assert not torch.allclose(logits["ours"], logits["no merge"])
    assert not torch.allclose(logits["ours"], logits["score order"])


def test_training_mode_leaves_the_frozen_encoders_alone():
    model = build().train()
    assert not any(module.training for module in model.text.modules())
    assert not any(module.training for module in model.audio.backbone.modules())
    assert model.video.training and model.classifier.training


def test_weights_are_named():
    with pytest.raises(ValueError, match="'imagenet'"):
        DeepMSI(TINY, "imagenet")


# ---- presets


def test_mini_runs_with_random_weights():
    config = PRESETS["mini"]
    torch.manual_seed(0)
    model = build_model(config, "random")
    batch = cached(model, clips(model, [0, 1]))
    out = model(batch)
    out.logits.sum().backward()
    assert out.logits.shape == (2, 7)
    # the smaller clip has fewer frames than may be kept: all six stay
    assert out.video.selection.kept.shape == (2, 6)
    assert [step.kept.shape[1] for step in out.video.patch_steps] == [48, 36, 24]
    trained = sum(parameter.numel() for parameter in model.trained_parameters())
    assert trained * 4 < 60e6  # bytes of the checkpoint that ships


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_base_can_be_built_and_run():
    torch.manual_seed(0)
    model = build_model(PRESETS["base"], "random")
    with torch.no_grad():
        out = model(clips(model, [1], present=[[False, True, True]]))
    assert out.logits.shape == (1, 7) and out.logits.isfinite().all()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_paper_runs_forward_and_backward_at_its_published_sizes(capsys, monkeypatch):
    torch.manual_seed(0)
    model = build_model(PRESETS["paper"], "random")
    trained = sum(parameter.numel() for parameter in model.trained_parameters())
    published = 57.8e6 - 9.9e6
    with capsys.disabled():
        print(f"\npaper: {trained:,} trained parameters, published and alive {published:,.0f}")
    assert abs(trained - published) < 0.05 * published

    grids = []

    def looked_at(block, plan, x):
        grids.append(tuple(x.shape[1:3]))
        return run_block(block, plan, x)

    monkeypatch.setattr(core.encoders.swin, "run_block", looked_at)
    token_ids, token_mask = model.text.tokenize(["What did you just say?"])
    out = model(
        ModelInput(
            present=torch.ones(1, 3, dtype=torch.bool),
            frames=torch.rand(1, 32, 3, 256, 256),
            frame_mask=torch.ones(1, 32, dtype=torch.bool),
            waveforms=0.1 * torch.randn(1, 2 * SAMPLE_RATE),
            num_samples=torch.tensor([2 * SAMPLE_RATE]),
            token_ids=token_ids,
            token_mask=token_mask,
        )
    )
    assert [grid for grid, _ in itertools.groupby(grids)] == [
        (64, 64), (32, 32), (16, 16), (14, 14), (12, 12), (10, 10), (5, 5)
    ]  # fmt: skip
    assert out.video.selection.kept.shape == (1, 15) and out.video.selection.source_map.shape == (1, 15, 32)
    assert [step.kept.shape for step in out.video.patch_steps] == [(15, 196), (15, 144), (15, 100)]
    assert out.video.frame_vectors.shape == (1, 15, 768)
    assert {m: f.shape[1] for m, f in out.features.items()} == {"video": 1024, "audio": 768, "text": 1024}
    assert all(p.shape == (1, 256) for p in out.projections.values())
    assert out.fused.shape == (1, 128) and out.logits.shape == (1, 7)

    torch.nn.functional.cross_entropy(out.logits, torch.tensor([3])).backward()
    for name, parameter in model.named_parameters():
        if name.startswith(("text.", "audio.backbone.")):
            assert not parameter.requires_grad and parameter.grad is None
        elif not name.startswith("absent."):  # nothing was absent
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 10 * 2**20  # KiB
