from dataclasses import replace

import pytest
import timm
import torch

import core.encoders.swin
from core.compression import select_and_merge
from core.config import PRESETS, CompressionConfig, VideoConfig
from core.encoders.video import VideoEncoder
from core.encoders.window_blocks import run_block

TINY = PRESETS["tiny"].video
DEFAULT = CompressionConfig()
# frames of noise are unlike, and would never be merged: here all are
MERGING = replace(DEFAULT, similarity_threshold=-1.0)
NO_VSC = {"vsc_after": (), "vsc_grids": ()}


def build(
    config: VideoConfig = TINY, compression: CompressionConfig = DEFAULT, seed: int = 0
) -> VideoEncoder:
    torch.manual_seed(seed)
    return VideoEncoder(config, compression, "random").eval()


def pictures(*shape: int, size: int = 64, seed: int = 0) -> torch.Tensor:
    """Smooth random pictures in [0, 1]: noise enlarged from a coarse grid."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(*shape, 3, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(
        coarse.flatten(0, len(shape) - 1), size=(size, size), mode="bilinear"
    ).unflatten(0, shape)


def guides(batch: int, config: VideoConfig = TINY, seed: int = 1) -> torch.Tensor:
    return 3 * torch.randn(batch, config.guide_width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def tiny() -> VideoEncoder:
    return build()


# ---- geometry


@pytest.mark.parametrize(
    ("name", "grids"),
    [
        ("paper", [(64, 64), (32, 32), (16, 16), (14, 14), (12, 12), (10, 10), (5, 5)]),
        ("mini", [(8, 8), (8, 6), (6, 6), (6, 4), (3, 2)]),
        ("tiny", [(16, 16), (8, 8), (4, 4), (2, 4), (1, 2)]),
    ],
)
def test_grids_that_the_blocks_meet(name, grids, monkeypatch):
    """Told by the blocks' own inputs in a forward pass."""
    config = PRESETS[name].video
    encoder = build(config)
    met, windows = [], []

    def looked_at(block, plan, x):
        if not met or met[-1] != tuple(x.shape[1:3]):
            met.append(tuple(x.shape[1:3]))
        windows.append((tuple(x.shape[1:3]), tuple(block.window_size)))
        return run_block(block, plan, x)

    monkeypatch.setattr(core.encoders.swin, "run_block", looked_at)
    with torch.no_grad():
        vectors = encoder.frame_vectors(pictures(1, size=config.image_size))
    assert met == grids
    assert vectors.shape == (1, config.feature_width)
    # every window tiles its grid, so nothing is padded, and none exceeds the configured size
    for grid, window in windows:
        assert all(side % w == 0 and w <= config.window_size for side, w in zip(grid, window, strict=True))


def test_what_is_known_of_the_windows_goes_where_the_weights_go():
    shown, guide = pictures(1, 4, size=64), guides(1)
    mask = torch.ones(1, 4, dtype=torch.bool)
    encoder = build()
    with torch.no_grad():
        expected = encoder(shown, mask, guide)
        found = encoder.double()(shown.double(), mask, guide.double())
    torch.testing.assert_close(found.frame_vectors.float(), expected.frame_vectors, atol=1e-4, rtol=1e-4)
    # as if it were another machine's
    holder = torch.nn.Sequential(encoder).to("meta")
    plans = list(holder[0].swin._plans.values())
    tensors = [one for plan in plans for one in (plan.order, plan.inverse, plan.mask) if one is not None]
    assert tensors and {one.device.type for one in tensors} == {"meta"}


def test_the_paper_windows():
    encoder = build(PRESETS["paper"].video)
    sizes = [[tuple(block.window_size) for block in layer.blocks] for layer in encoder.swin.layers]
    assert sizes[2] == [(8, 8), (7, 7), (7, 7), (6, 6), (6, 6), (5, 5)]
    assert set(sizes[0] + sizes[1]) == {(8, 8)} and set(sizes[3]) == {(5, 5)}
    # windows shift in every second block, compressed or not
    shifts = [tuple(block.shift_size) for block in encoder.swin.layers[2].blocks]
    assert shifts == [(0, 0), (3, 3), (0, 0), (3, 3), (0, 0), (2, 2)]


@pytest.mark.parametrize(
    "change",
    [
        {"vsc_after": ()},
        {"vsc_after": (0, 1)},
        {"vsc_after": (2,)},
        {"vsc_after": (1, 0), "vsc_grids": ((2, 4), (2, 2))},
        {"vsc_after": (0, 0), "vsc_grids": ((2, 4), (2, 2))},
        {"vsc_grids": ((5, 4),)},
        {"vsc_after": (0, 1), "vsc_grids": ((2, 4), (3, 4))},
        {"vsc_grids": ((0, 4),)},
    ],
    ids=[
        "grid without block",
        "block without grid",
        "no such block",
        "blocks out of order",
        "two steps behind one block",
        "grows",
        "grows later",
        "nothing is left",
    ],
)
def test_impossible_geometry_is_told_at_once(change):
    with pytest.raises(ValueError, match="vsc_"):
        build(replace(TINY, **change))


# ---- timm's network is computed as timm computes it


def test_without_compression_it_is_timms_swin():
    config = replace(PRESETS["paper"].video, **NO_VSC)
    encoder = build(config)
    reference = timm.create_model("swinv2_tiny_window8_256", pretrained=False, num_classes=0).eval()
    reference.load_state_dict(encoder.swin.state_dict())
    shown = pictures(1, size=256)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalised = (shown - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(encoder.frame_vectors(shown), reference(normalised), atol=1e-5, rtol=1e-5)


def test_timms_pretrained_weights_fit(tmp_path):
    """A folder with timm's own file, classifier and all, is taken, and its digest is told."""
    from safetensors.torch import save_file

    torch.manual_seed(5)
    reference = timm.create_model("swinv2_tiny_window8_256", pretrained=False).eval()
    save_file(reference.state_dict(), tmp_path / "model.safetensors")
    config = replace(PRESETS["paper"].video, backbone=f"{tmp_path}/")
    encoder = VideoEncoder(config, DEFAULT, "pretrained")
    assert len(encoder.swin.sha256) == 64
    theirs = reference.state_dict()
    for key, value in encoder.swin.state_dict().items():
        assert torch.equal(value, theirs[key]), key


# ---- compression inside stage 3


def test_steps_tell_what_happened(tiny):
    with torch.no_grad():
        out = tiny(pictures(2, 6), torch.ones(2, 6, dtype=torch.bool), guides(2))
    assert out.frame_vectors.shape == (2, 3, TINY.feature_width) and out.frame_mask.all()
    assert out.selection.kept.shape == (2, 3) and out.selection.source_map.shape == (2, 3, 6)
    assert (out.selection.kept.diff() > 0).all()
    (step,) = out.patch_steps
    assert step.kept.shape == (6, 8) and step.source_map.shape == (6, 8, 16)
    for compressed in (out.selection, step):
        torch.testing.assert_close(compressed.source_map.sum(2), torch.ones(compressed.kept.shape))
        torch.testing.assert_close(compressed.relevance.sum(1), torch.ones(len(compressed.relevance)))


@pytest.mark.parametrize("compression", [DEFAULT, MERGING], ids=["unlike", "merged"])
def test_frame_vectors_are_those_of_the_merged_frames(compression):
    """`forward` = embed, select-and-merge of the frames, and the stages frame by frame."""
    tiny, shown, guide = build(compression=compression), pictures(1, 6), guides(1)
    with torch.no_grad():
        out = tiny(shown, torch.ones(1, 6, dtype=torch.bool), guide)
        embedded = torch.cat([tiny.embed(shown[0, i : i + 1]) for i in range(6)])
        for k in range(3):
            merged = torch.einsum("t,trcd->rcd", out.selection.source_map[0, k], embedded)
            vector, _ = tiny.stages(merged[None], guide + tiny.base_guide)
            torch.testing.assert_close(out.frame_vectors[0, k], vector[0], atol=1e-5, rtol=0)
    # the kept one, or it and the three that were dropped
    assert (out.selection.source_map[0] > 0).sum(1).tolist() == [4 if compression is MERGING else 1] * 3


def test_embedded_frames_serve_in_place_of_frames(tiny):
    shown, mask, guide = pictures(2, 6), torch.ones(2, 6, dtype=torch.bool), guides(2)
    with torch.no_grad():
        tokens = tiny.embed(shown.flatten(0, 1)).unflatten(0, (2, 6))
        expected, got = tiny(shown, mask, guide), tiny.encode(tokens, mask, guide)
    torch.testing.assert_close(got.frame_vectors, expected.frame_vectors)


def test_the_guide_decides_what_is_kept(tiny):
    shown, mask = pictures(1, 6).expand(8, -1, -1, -1, -1), torch.ones(8, 6, dtype=torch.bool)
    with torch.no_grad():
        out = tiny(shown, mask, guides(8))
    frames = {tuple(row) for row in out.selection.kept.tolist()}
    patches = {tuple(row) for row in out.patch_steps[0].kept.tolist()}
    assert len(frames) > 1 and len(patches) > 1


def test_time_stays_in_order_even_where_patches_do_not():
    encoder = build(compression=replace(DEFAULT, order="score"))
    with torch.no_grad():
        out = encoder(pictures(4, 6), torch.ones(4, 6, dtype=torch.bool), guides(4))
    assert (out.selection.kept.diff() > 0).all()
    assert not (out.patch_steps[0].kept.diff() > 0).all()


def test_a_clip_without_motion_is_defined(tiny):
    still = pictures(1, 1).expand(1, 6, -1, -1, -1)
    with torch.no_grad():
        out = tiny(still, torch.ones(1, 6, dtype=torch.bool), guides(1))
        alone = tiny(still[:, :1], torch.ones(1, 1, dtype=torch.bool), guides(1))
    torch.testing.assert_close(out.selection.relevance, torch.full((1, 6), 1 / 6))
    # equal frames merge to the frame itself
    torch.testing.assert_close(
        out.frame_vectors, alone.frame_vectors.expand_as(out.frame_vectors), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("stem", "early"), [("patch", "swin"), ("conv", "swin"), ("conv", "conv")])
@pytest.mark.parametrize("training", [False, True])
def test_padding_frames_have_no_influence(stem, early, training):
    """Nor in training, where a batch norm would mix its statistics from whatever it is shown."""
    encoder = build(replace(TINY, stem=stem, early_stages=early, drop_path=0.0), MERGING).train(training)
    mask = torch.arange(6) < torch.tensor([[6], [4], [1]])
    shown = pictures(3, 6)
    outs = []
    for filling in (0.0, 1.0):
        filled = torch.where(mask[..., None, None, None], shown, torch.full_like(shown, filling))
        with torch.no_grad():
            outs.append(encoder(filled, mask, guides(3)))
    one, other = outs
    assert torch.equal(one.frame_mask, other.frame_mask)
    assert one.frame_mask.tolist() == [[True] * 3, [True] * 3, [True, False, False]]
    torch.testing.assert_close(
        one.frame_vectors[one.frame_mask], other.frame_vectors[one.frame_mask], atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(("stem", "early"), [("patch", "swin"), ("conv", "swin"), ("conv", "conv")])
def test_batch_equals_one_by_one_for_any_number_of_frames(stem, early):
    encoder = build(replace(TINY, stem=stem, early_stages=early), MERGING)
    lengths = [6, 4, 2, 1]
    mask = torch.arange(6) < torch.tensor(lengths).unsqueeze(1)
    shown, guide = pictures(4, 6), guides(4)
    with torch.no_grad():
        batch = encoder(shown, mask, guide)
        for row, length in enumerate(lengths):
            alone = encoder(shown[row : row + 1, :length], mask[row : row + 1, :length], guide[row : row + 1])
            num_kept = min(3, length)
            assert batch.frame_mask[row].tolist() == [True] * num_kept + [False] * (3 - num_kept)
            assert batch.selection.kept[row, :num_kept].tolist() == alone.selection.kept[0].tolist()
            torch.testing.assert_close(
                batch.frame_vectors[row, :num_kept], alone.frame_vectors[0], atol=1e-5, rtol=0
            )


# ---- the guide is trained through either level


def guide_gradient(config: VideoConfig, compression: CompressionConfig) -> torch.Tensor:
    encoder = build(config, compression)
    guide = guides(2, config).requires_grad_()
    out = encoder(pictures(2, 6), torch.ones(2, 6, dtype=torch.bool), guide)
    target = torch.randn(out.frame_vectors.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((out.frame_vectors * target).sum(), guide, allow_unused=True)
    return torch.zeros_like(guide) if gradient is None else gradient


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("level", ["frames", "patches"])
def test_gradient_reaches_the_guide_exactly_when_it_is_trained(level, merge):
    if level == "frames":
        config = replace(TINY, **NO_VSC)
    else:
        config = TINY
    for train_guide in (True, False):
        compression = replace(DEFAULT, merge=merge, train_guide=train_guide)
        if level == "frames":
            gradient = guide_gradient(config, compression)
        else:
            encoder = build(config, compression)
            guide = guides(3).requires_grad_()
            vectors, _ = encoder.stages(encoder.embed(pictures(3)), guide)
            target = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(2))
            (gradient,) = torch.autograd.grad((vectors * target).sum(), guide, allow_unused=True)
            gradient = torch.zeros_like(guide) if gradient is None else gradient
        if train_guide:
            assert (gradient.abs().sum(1) > 1e-5).all()
        else:
            assert gradient.eq(0).all()


def test_without_guide_training_descriptors_learn_only_through_the_merge():
    """The other path there is: theta depends on the frames' descriptors, never on the guide."""
    for merge in (True, False):
        encoder = build(replace(TINY, **NO_VSC), replace(MERGING, merge=merge, train_guide=False))
        out = encoder(pictures(4, 6), torch.ones(4, 6, dtype=torch.bool), guides(4))
        target = torch.randn(out.frame_vectors.shape, generator=torch.Generator().manual_seed(2))
        (out.frame_vectors * target).sum().backward()
        assert encoder.selector.guide.weight.grad is None
        # every kept frame receives several others: of one alone the weight would be constant
        assert ((out.selection.source_map > 0).sum(2).min() > 2) == merge
        gradient = encoder.selector.descriptor.weight.grad
        assert (gradient is not None and gradient.abs().max() > 1e-6) == merge


# ---- other picture sizes


def test_another_picture_size_is_not_compressed_and_leaves_no_trace():
    encoder = build()
    shown = pictures(2)
    with torch.no_grad():
        before = encoder.frame_vectors(shown)
        smaller, steps = encoder.stages(encoder.embed(pictures(2, size=32)), guides(2))
        assert smaller.shape == (2, TINY.feature_width) and steps == ()
        torch.testing.assert_close(encoder.frame_vectors(shown), before)


def test_a_size_first_met_in_evaluation_can_be_trained_at():
    """The tables that a new size needs must not become inference tensors."""
    encoder = build()
    with torch.inference_mode():
        encoder.frame_vectors(pictures(2, size=32))
    # not the plain sum, which is constant behind a layer norm
    vectors = encoder.frame_vectors(pictures(2, size=32))
    (vectors * torch.linspace(-1, 1, vectors.shape[-1])).sum().backward()
    assert encoder.swin.layers[0].blocks[0].attn.cpb_mlp[0].weight.grad.abs().sum() > 0


# ---- pieces


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_embedding_is_local_and_of_a_quarter_of_the_size(stem):
    encoder = build(replace(TINY, stem=stem))
    shown = pictures(1)
    changed = shown.clone()
    changed[..., :8, :8] = 1 - changed[..., :8, :8]
    with torch.no_grad():
        one, other = encoder.embed(shown), encoder.embed(changed)
    assert one.shape == (1, 16, 16, TINY.embed_dim)
    differs = (one - other).abs().amax(-1)[0] > 1e-6
    assert differs[:2, :2].all() and not differs[5:].any() and not differs[:, 5:].any()


def test_every_block_starts_as_more_than_the_identity():
    encoder = build()
    x = encoder.embed(pictures(1))
    block = encoder.swin.layers[0].blocks[0]
    with torch.no_grad():
        change = (block(x) - x).norm() / x.norm()
    assert 0.05 < change < 1.0


def test_without_compression_all_is_kept_and_the_guide_decides_nothing():
    encoder = build(TINY, CompressionConfig(enabled=False))
    shown, mask = pictures(2, 6), torch.ones(2, 6, dtype=torch.bool)
    one, other = (encoder(shown, mask, guide) for guide in (guides(2), guides(2) + 5.0))
    assert one.patch_steps == () and one.selection.kept.tolist() == [list(range(6))] * 2
    assert torch.equal(one.frame_vectors, other.frame_vectors)
    # each is what the frame alone gives
    torch.testing.assert_close(one.frame_vectors[0], encoder.frame_vectors(shown[0]), atol=1e-5, rtol=0)
    assert not encoder.base_guide.any()
    encoder.aim_guide(shown[0])
    assert not encoder.base_guide.any()


def test_early_stages_of_convolutions_lead_to_stage_3():
    encoder = build(replace(TINY, stem="conv", early_stages="conv", depths=(2, 2, 2, 1)))
    tokens = torch.randn(2, 16, 16, 16)
    x = encoder.conv_stages(tokens)
    assert x.shape == (2, 4, 4, 64)
    # two convolutions in each of two blocks per stage, and in that which leads to stage 3
    assert (
        sum(isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3) for m in encoder.modules()) == 3 + 10
    )
    # nothing is left of the stages that they replace
    assert not [name for name, _ in encoder.named_parameters() if name.startswith("swin.layers.0")]
    with torch.no_grad():
        y = x
        for block in encoder.swin.layers[2].blocks:
            y = block(y)
    assert 0.005 < (y - x).norm() / x.norm() < 0.3


def test_selection_uses_the_same_function(tiny):
    """The frame level is select-and-merge by descriptors; told by calling it with the encoder's own parts."""
    shown, mask, guide = pictures(1, 6), torch.ones(1, 6, dtype=torch.bool), guides(1)
    with torch.no_grad():
        tokens = tiny.embed(shown[0]).unsqueeze(0)
        metric = tiny.selector.metric(tiny.selector.summary(tokens[0])[None], mask)
        expected = select_and_merge(
            tokens.flatten(2), tiny.selector.guide(guide), 3, DEFAULT, metric=metric, mask=mask
        )
        out = tiny(shown, mask, guide)
    assert torch.equal(out.selection.kept, expected.kept)
    torch.testing.assert_close(out.selection.source_map, expected.source_map)
    # descriptors tell deviations from the clip's mean frame: shifted brightness of all frames changes little
    torch.testing.assert_close(metric.mean(1), tiny.selector.constant.expand(1, -1), atol=1e-4, rtol=0)


def test_an_aimed_guide_keeps_the_middle():
    torch.manual_seed(0)
    mini = PRESETS["mini"]
    encoder = VideoEncoder(mini.video, mini.compression).eval()
    # a dark rim and a bright middle, as a face before a wall
    crops = torch.full((12, 3, 128, 128), 0.3) + 0.02 * torch.randn(12, 3, 128, 128)
    crops[:, :, 32:112, 32:96] = 0.8 + 0.2 * torch.rand(12, 3, 80, 64)

    def share_in_the_middle():
        guide = encoder.base_guide.expand(len(crops), -1)
        kept = encoder.stages(encoder.embed(crops), guide)[1][0].kept
        rows, columns = kept // 8, kept % 8
        return ((rows >= 2) & (rows < 7) & (columns >= 2) & (columns < 6)).float().mean()

    with torch.no_grad():
        encoder.base_guide.zero_()
        before = share_in_the_middle()
        encoder.aim_guide(crops)
        assert encoder.base_guide.requires_grad and encoder.base_guide.abs().sum() > 0
        # 20 of the 48 patches kept can be of the middle
        assert share_in_the_middle() > 19.5 / 48 > before


# ---- other numbers of frames and patches


def test_a_twin_that_keeps_less_is_the_network_of_that_configuration(tiny):
    fewer, grids = 2, ((2, 2),)
    twin = tiny.keeping(fewer, grids)
    fresh = build(replace(TINY, num_kept_frames=fewer, vsc_grids=grids), seed=5)
    fresh.load_state_dict(tiny.state_dict())
    shown, mask, guide = pictures(1, 6), torch.ones(1, 6, dtype=torch.bool), guides(1)
    with torch.no_grad():
        before = tiny(shown, mask, guide)
        found, expected = twin(shown, mask, guide), fresh(shown, mask, guide)
        after = tiny(shown, mask, guide)
    assert found.selection.kept.shape == (1, 2) and found.patch_steps[0].kept.shape == (2, 4)
    torch.testing.assert_close(found.frame_vectors, expected.frame_vectors, atol=1e-5, rtol=1e-5)
    assert torch.equal(found.patch_steps[0].kept, expected.patch_steps[0].kept)
    # one set of parameters, and the network itself goes on as it was
    assert {id(one) for one in twin.parameters()} == {id(one) for one in tiny.parameters()}
    assert torch.equal(after.frame_vectors, before.frame_vectors) and before.selection.kept.shape == (1, 3)


def test_a_twin_is_told_what_it_cannot_keep(tiny):
    with pytest.raises(ValueError, match="vsc_grids should shrink"):
        tiny.keeping(grids=((8, 8),))
