import dataclasses
import json
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from core import checkpoint
from core.checkpoint import LABELS, load_checkpoint, save_checkpoint
from core.checkpoint_files import SPACE, CheckpointError, CheckpointInfo
from core.config import PRESETS
from core.model import DeepMSI
from core.space import read_space

TINY = PRESETS["tiny"]


@pytest.fixture(scope="module")
def model() -> DeepMSI:
    torch.manual_seed(0)
    return DeepMSI(TINY, "random").eval()


@pytest.fixture
def folder(model, tmp_path):
    return save_checkpoint(
        tmp_path / "first",
        model,
        info=CheckpointInfo(temperature=1.7, uncertainty_threshold=0.45, data_sha256="d" * 64, seed=11),
        history=[{"epoch": 0, "loss": 1.9}, {"epoch": 1, "loss": 1.2}],
        metrics={"test": {"macro_f1": 0.61}},
        card="# A card\n",
    )


def edit_config(folder, change) -> None:
    path = folder / "config.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def edit_weights(folder, change) -> None:
    path = folder / "model.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("video", {"image_size": 100_000}, "image_size should be at most 1,024, not 100,000"),
        ("video", {"num_candidate_frames": 10**6}, "num_candidate_frames × image_size² should be at most"),
        ("video", {"depths": [1, 1, 10**6, 1]}, "depths should be at most 96, not 1,000,000"),
        ("video", {"window_size": 1000}, "window_size should be at most 32, not 1,000"),
        ("video", {"frame_width": 10**6}, "network would be much larger than its weights"),
        ("text", {"layout": {"num_hidden_layers": 10**6}}, "num_hidden_layers should be at most 96"),
        ("text", {"layout": {"vocab_size": 10**9}}, "vocab_size should be at most 200,000"),
        ("audio", {"layout": {"encoder_ffn_dim": 10**6}}, "encoder_ffn_dim should be at most 200,000"),
        ("temporal", {"channels": [8] * 40}, "the reach of kernel_size over all channels should be at most"),
        ("temporal", {"channels": [10_000, 10_000]}, "network would be much larger than its weights"),
        ("heads", {"early_fusion_hidden": 5 * 10**6}, "network would be much larger than its weights"),
        ("heads", {"classifier_hidden": [8] * 100}, "the number of classifier_hidden should be at most 96"),
    ],
)
def test_a_configuration_that_asks_for_all_memory_or_time_is_refused(folder, part, change, message):
    edit_config(folder, lambda values: values["model"][part].update(change))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)
    # in KiB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20


def test_an_encoder_that_the_weights_do_not_hold_is_not_built(folder):
    """Without its part of the configuration the encoder would be the paper's, of more than a gigabyte."""
    edit_config(folder, lambda values: values["model"].pop("text"))
    # in a process of its own, whose peak is of nothing else
    script = (
        "import resource, sys; from core.checkpoint import load_checkpoint\n"
        "from core.checkpoint_files import CheckpointError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "try: load_checkpoint(sys.argv[1])\n"
        "except CheckpointError as error: print(error, (peak() - before) // 1024, sep='\\n')"
    )
    command = [sys.executable, "-c", script, str(folder)]
    told, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "network would be much larger than its weights" in told and int(grown) < 400


def test_a_header_that_nests_without_end_is_refused(folder):
    nested = "[" * 100_000
    save_file({"epochs": torch.zeros(1)}, folder / SPACE, {"clips": nested})
    with pytest.raises(ValueError, match="holds no embeddings of a training"):
        _ = load_checkpoint(folder).space
    path = folder / "model.safetensors"
    save_file(load_file(path), path, {LABELS: nested})
    with pytest.raises(CheckpointError, match="is no readable safetensors file: maximum recursion"):
        load_checkpoint(folder)


def test_a_checkpoint_does_not_have_a_strangers_backbone_fetched(folder, monkeypatch):
    asked = []

    def snapshot(name, *, local_files_only=False, **_):
        asked.append((name, local_files_only))
        raise OSError("not here")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)

    def name_it(values):
        values["model"]["text"].update(backbone="stranger/model", layout={})
        values["info"]["backbones"] = {"text": {"name": "stranger/model", "sha256": "a" * 64}}

    edit_config(folder, name_it)
    with pytest.raises(CheckpointError, match="stranger/model is not on this machine, .* fetched unasked"):
        load_checkpoint(folder)
    assert asked == [("stranger/model", True)], "the hub was asked"


def test_round_trip_is_exact(model, folder):
    loaded = load_checkpoint(folder)
    assert loaded.config == TINY
    assert (loaded.info.temperature, loaded.info.uncertainty_threshold) == (1.7, 0.45)
    assert (loaded.info.seed, loaded.info.data_sha256) == (11, "d" * 64)
    assert loaded.info.versions["torch"] == torch.__version__
    assert loaded.metrics == {"test": {"macro_f1": 0.61}} and loaded.card == "# A card\n"
    assert loaded.history["loss"].tolist() == [1.9, 1.2]
    assert loaded.name == "first" and not loaded.model.training
    ours, theirs = model.state_dict(), loaded.model.state_dict()
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        # bitwise, so that -0.0 and 0.0 differ
        assert value.numpy().tobytes() == theirs[key].numpy().tobytes(), key


def test_half_precision_halves_the_file_and_loads_as_float32(model, folder, tmp_path):
    half = save_checkpoint(tmp_path / "half", model, info=CheckpointInfo(), dtype=torch.float16)
    sizes = [(place / "model.safetensors").stat().st_size for place in (half, folder)]
    assert sizes[0] < 0.6 * sizes[1]
    loaded = load_checkpoint(half).model.state_dict()
    for key, value in model.state_dict().items():
        assert loaded[key].dtype == value.dtype
        expected = value.numpy().astype(np.float16) if value.is_floating_point() else value.numpy()
        np.testing.assert_array_equal(loaded[key].numpy(), expected)


def test_the_hash_tells_configuration_and_weights_apart_and_nothing_else(model, folder, tmp_path):
    first = load_checkpoint(folder).sha256
    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "card.md").write_text("another card")
    assert load_checkpoint(moved).sha256 == first
    edit_config(moved, lambda values: values["info"].update(temperature=1.8))
    assert load_checkpoint(moved).sha256 != first
    shutil.copy(folder / "config.json", moved / "config.json")
    assert load_checkpoint(moved).sha256 == first
    edit_weights(moved, lambda state: state["classifier.output.bias"].add_(1e-3))
    assert checkpoint.checkpoint_hash(moved) != first


def test_the_same_model_gives_the_same_bytes_in_every_process(model, folder):
    # entries of a header are written in an order that differs from process to process
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        assert list(file.metadata()) == ["labels"]
        assert json.loads(file.metadata()["labels"]) == list(TINY.labels.labels)


def swap_shape(state):
    state["classifier.output.bias"] = torch.zeros(9)


def add_key(state):
    state["classifier.extra"] = torch.zeros(1)


def put_nan(state):
    state["classifier.output.weight"][0, 0] = torch.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("classifier.output.bias"), "it misses classifier.output.bias"),
        (add_key, "it has the unknown classifier.extra"),
        (swap_shape, r"another shape for classifier.output.bias \(\(9,\) instead of \(7,\)\)"),
        (put_nan, "not finite numbers in classifier.output.weight"),
    ],
)
def test_weights_that_do_not_fit_are_named(folder, change, message):
    edit_weights(folder, change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(format=99), "has format 99, this version reads 1"),
        (lambda v: v.update(extra=1), "has unknown keys: extra"),
        (lambda v: v["model"].update(depth=1), "config has unknown keys: depth"),
        (lambda v: v["info"].update(warmth=1), "info has unknown keys: warmth"),
        (lambda v: v["info"].update(temperature=0), "temperature should be above zero"),
        (lambda v: v["info"].update(temperature=float("inf")), "temperature should be above zero and finite"),
        (
            lambda v: v["info"].update(backbones={"text": {"name": "random-bert"}}),
            "backbones should tell name and sha256 of text, not name",
        ),
        (lambda v: v["model"]["video"].update(num_kept_frames=0), "num_kept_frames should be at least 1"),
        (lambda v: v["info"].update(uncertainty_threshold=2), r"should lie in \[0, 1\], not 2"),
        (lambda v: v.pop("model"), "config should be an object"),
        (
            lambda v: v["model"]["video"].update(vsc_after=[]),
            "vsc_after names 0 blocks but vsc_grids holds 1",
        ),
        (
            lambda v: v["model"]["text"]["layout"].update(num_attention_heads=5),
            "describes no model that can be built",
        ),
    ],
)
def test_a_configuration_that_does_not_fit_is_named(folder, change, message):
    edit_config(folder, change)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_and_broken_files_are_named(folder, name):
    (folder / name).write_bytes(b"\x80\x04not what it says")
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"has no {name}"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "should hold an object, not a list"),
        ("[" * 100_000, "is no readable JSON"),
        ('{"train_config": null}', "train_config should be an object, not None"),
        ('{"train_config": {"data_options": [1]}}', r"data_options should be an object, not \[1\]"),
        ('{"began_with": null}', "began_with should be an object, not None"),
        ('{"learned_before": ["meld"]}', "learned_before should be an object, not "),
        ('{"train_config": {"source_names": [[1]]}}', r"should be a list of names, not \[\[1\]\]"),
    ],
    ids=["list", "deep", "recipe", "options", "start", "before", "sources"],
)
def test_metrics_that_are_none_are_told(folder, content, message):
    (folder / "metrics.json").write_text(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


def test_weights_that_were_changed_or_swapped_are_refused(model, folder, tmp_path):
    edit_weights(folder, lambda state: state["classifier.output.bias"].add_(1e-3))
    with pytest.raises(CheckpointError, match="not the file that was saved with its config.json: it was"):
        load_checkpoint(folder)
    torch.manual_seed(1)
    other = save_checkpoint(tmp_path / "other", DeepMSI(TINY, "random"), info=CheckpointInfo())
    shutil.copy(other / "model.safetensors", folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="changed or swapped; take the folder as it was made"):
        load_checkpoint(folder)
    # one of before the hash was kept is taken as it is
    edit_config(folder, lambda values: values["info"].pop("weights_sha256"))
    assert load_checkpoint(folder).info.weights_sha256 == ""


@pytest.mark.parametrize("name", ["meld-7", "my-7"])
def test_classes_in_another_order_than_the_weights_were_trained_for_are_refused(model, folder, name):
    def turn(values):
        labels = values["model"]["labels"]
        labels["name"], labels["labels"] = name, labels["labels"][::-1]

    edit_config(folder, turn)
    with pytest.raises(CheckpointError, match="trained for neutral, surprise, .*, in this order"):
        load_checkpoint(folder)


@pytest.mark.parametrize("num_bytes", [0, 5, 60, -1])
def test_truncated_weights_are_refused(folder, num_bytes):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(CheckpointError, match="is no readable safetensors file") as told:
        load_checkpoint(folder)
    assert "\n" not in str(told.value)


def write_head(path, num_bytes, is_real):
    """The head of a safetensors file, and the very many names that it tells, if they are really there."""
    with path.open("wb") as file:
        file.write(num_bytes.to_bytes(8, "little"))
        if is_real:
            start, end = b'{"__metadata__":{"":""', b"}}"
            each = b',"%07d":""'
            num_names, rest = divmod(num_bytes - len(start) - len(end), len(each % 0))
            file.write(start)
            file.writelines(each % number for number in range(num_names))
            file.write(end + b" " * rest)


@pytest.mark.parametrize(
    ("num_bytes", "is_real"), [(10**8, False), (2**63, False), (2**64 - 1, False), (4 * 10**7, True)]
)
def test_a_gigantic_header_is_refused_unread(folder, num_bytes, is_real):
    for name in ("model.safetensors", SPACE):
        write_head(folder / name, num_bytes, is_real)
    with pytest.raises(ValueError, match=r"holds no embeddings of a training \(its header is told to have"):
        read_space(folder / SPACE)
    with pytest.raises(CheckpointError, match="is no readable safetensors file: its header is told to have"):
        load_checkpoint(folder)


@pytest.mark.parametrize("name", ["config.json", "metrics.json", "card.md"])
def test_a_gigantic_text_is_refused_unread(folder, name):
    with (folder / name).open("r+b") as file:
        # a hole, which takes no room on the disk
        file.truncate(2**27)
    with pytest.raises(CheckpointError, match=f"{name} has 134,217,728 bytes, more than the allowed"):
        load_checkpoint(folder)


def test_a_frozen_backbone_is_named_by_its_hash_and_has_to_be_the_same(model, folder, tmp_path):
    # A named backbone is not stored: pretend that the tiny text encoder's weights were published.
    published = dataclasses.replace(CheckpointInfo(), seed=3)
    before = model.text.sha256
    model.text.sha256 = "a" * 64
    try:
        named = save_checkpoint(tmp_path / "named", model, info=published)
    finally:
        model.text.sha256 = before
    stored = load_file(named / "model.safetensors")
    assert not any(key.startswith("text.backbone.") for key in stored)
    assert any(key.startswith("audio.backbone.") for key in stored)
    with pytest.raises(CheckpointError, match=r"trained with the frozen backbones random-bert \(aaaaaaaa"):
        load_checkpoint(named)


def test_saving_is_all_or_nothing(model, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    broken = DeepMSI(TINY, "random")
    with torch.no_grad():
        broken.classifier.output.bias[0] = torch.inf
    with pytest.raises(CheckpointError, match="not finite numbers in classifier.output.bias"):
        save_checkpoint(folder, broken, info=CheckpointInfo())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(TypeError):
        save_checkpoint(folder, model, info=CheckpointInfo(), metrics={"not": {1j}})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["first"]


def test_a_checkpoint_is_replaced_but_nothing_else_is(model, folder, tmp_path):
    save_checkpoint(folder, model, info=CheckpointInfo(seed=12))
    assert load_checkpoint(folder).info.seed == 12
    assert load_checkpoint(folder).history.empty and not (folder / "history.parquet").exists()
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("years of work")
    with pytest.raises(CheckpointError, match="is no checkpoint, so it is not replaced"):
        save_checkpoint(other, model, info=CheckpointInfo())
    assert (other / "chapter.txt").read_text() == "years of work"
    # a file of one's own beside a checkpoint's would be lost with the folder
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"holds more than a checkpoint \(notes.txt\)"):
        save_checkpoint(folder, model, info=CheckpointInfo())
    assert (folder / "notes.txt").read_text() == "mine"
