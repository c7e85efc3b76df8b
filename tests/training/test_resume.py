"""A run that is interrupted anywhere ends with the weights of one that is not."""

import os
import shutil
import signal
from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

import training.learner
from core.checkpoint import load_checkpoint
from training.config import TrainConfig
from training.datasets import DataError
from training.loop import train
from training.state import FILE, RunState, RunStopped, read_state, restoring, write_state


@pytest.fixture(scope="module")
def config(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    return TrainConfig(
        data=(corpus,),
        out=folder / "whole",
        cache_dir=folder / "cache",
        preset="tiny",
        num_epochs=3,
        batch_size=4,
        accumulation=2,
        num_train_frames=(4,),
        # everything that remembers something: moments, average, queue, prototypes, a fine-tuned layer
        weight_average=0.9,
        queue_size=2,
        prototype_weight=0.1,
        num_text_layers=1,
        num_audio_layers=1,
        num_threads=1,
        save_every=0,
    )


@pytest.fixture(scope="module")
def whole(config):
    return load_file(train(config) / "model.safetensors")


def interrupt(monkeypatch, at_step, how):
    """Have something happen right after one optimizer step."""
    step = training.learner.Learner.step

    def watched(self):
        step(self)
        if self.num_steps_done == at_step:
            how()

    monkeypatch.setattr(training.learner.Learner, "step", watched)


@pytest.mark.parametrize("at_step", [1, 2, 4])
def test_a_terminated_run_goes_on_to_the_same_weights(at_step, config, whole, tmp_path, monkeypatch):
    expected = pd.read_parquet(config.out / "history.parquet")
    config = replace(config, out=tmp_path / "part")
    with monkeypatch.context() as patch:
        interrupt(patch, at_step, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(RunStopped, match="the same command with --resume goes on"):
            train(config)
    assert not config.out.exists()
    resumed = load_file(train(config, resume=True) / "model.safetensors")
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name
    history = pd.read_parquet(config.out / "history.parquet")
    assert list(history["epoch"]) == [0, 1, 2]
    # losses and scores to the bit; how long it took is its own
    times = ["seconds", "train_seconds"]
    pd.testing.assert_frame_equal(history.drop(columns=times), expected.drop(columns=times), check_exact=True)
    assert read_state(config.run_folder) is None


def test_a_killed_run_goes_on_from_the_last_step_that_was_kept(config, whole, tmp_path, monkeypatch):
    config = replace(config, out=tmp_path / "part", save_every=1)

    def die():
        raise MemoryError

    with monkeypatch.context() as patch:
        interrupt(patch, 3, die)
        with pytest.raises(MemoryError):
            train(config)
    assert read_state(config.run_folder).values["learner"]["num_steps_done"] == 2
    resumed = load_file(train(config, resume=True) / "model.safetensors")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_an_unfinished_run_is_neither_forgotten_nor_mixed_with_another(config, whole, tmp_path, monkeypatch):
    config = replace(config, out=tmp_path / "part")
    with monkeypatch.context() as patch:
        interrupt(patch, 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(RunStopped):
            train(config)
    with pytest.raises(DataError, match="unfinished run; go on with --resume"):
        train(config)
    with pytest.raises(DataError, match="of another run \\(learning_rate was 0.0005 and is 0.1\\)"):
        train(replace(config, learning_rate=0.1), resume=True)
    (config.run_folder / "state.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no state of a run"):
        train(config, resume=True)


@pytest.mark.parametrize(
    "damage",
    [
        lambda tensors, values: values.pop("identity"),
        lambda tensors, values: values.pop("learner"),
        lambda tensors, values: values.update(epoch="two", history=3),
        lambda tensors, values: tensors.pop("learner.model.classifier.output.bias"),
        lambda tensors, values: tensors.update({"learner.model.classifier.output.bias": torch.zeros(9)}),
    ],
)
def test_a_state_that_lacks_something_is_told_in_a_sentence(config, whole, tmp_path, monkeypatch, damage):
    config = replace(config, out=tmp_path / "part")
    with monkeypatch.context() as patch:
        interrupt(patch, 1, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(RunStopped):
            train(config)
    state = read_state(config.run_folder)
    damage(state.tensors, state.values)
    write_state(config.run_folder, state)
    with pytest.raises(DataError, match="does not hold the whole state of this run .*start anew") as told:
        train(config, resume=True)
    assert "\n" not in str(told.value)


def test_a_state_whose_header_nests_without_end_is_told_in_a_sentence(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "state.safetensors", {"run": "[" * 100_000})
    with pytest.raises(DataError, match="holds no state of a run .*; remove"):
        read_state(tmp_path)


@pytest.mark.parametrize("num_bytes", [17_000_000, 2**40, 2**64 - 1])
def test_a_state_with_a_gigantic_header_is_refused_unread(tmp_path, num_bytes):
    (tmp_path / FILE).write_bytes(num_bytes.to_bytes(8, "little"))
    # a hole, which takes no room on the disk
    os.truncate(tmp_path / FILE, min(num_bytes + 8, 2**30))
    message = f"its header is told to have {num_bytes:,} bytes, more than the allowed 16,777,216.; remove"
    with pytest.raises(DataError, match=message):
        read_state(tmp_path)


def test_a_state_of_a_large_network_and_a_long_history_comes_back(tmp_path):
    """As many tensors as the preset paper has at most, and a thousand epochs: more than weights may have."""
    name = "learner.model.video.backbone.layers.0.blocks.1.attn"
    tensors = {f"{name}.{number:04}": torch.full((1,), float(number)) for number in range(5_400)}
    history = [{"epoch": epoch, "told": "x" * 1_000} for epoch in range(1_000)]
    write_state(tmp_path, RunState(tensors=tensors, values={"history": history}))
    with (tmp_path / FILE).open("rb") as file:
        assert int.from_bytes(file.read(8), "little") > 1.5 * 2**20
    found = read_state(tmp_path)
    assert found.values == {"history": history} and found.tensors == tensors


def test_too_little_memory_is_no_fault_of_the_state(tmp_path):
    with pytest.raises(torch.OutOfMemoryError), restoring(tmp_path):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_finished_run_is_kept_and_not_made_again(config, whole):
    made = (config.out / "model.safetensors").stat().st_mtime_ns
    train(replace(config, num_threads=2, save_every=7), resume=True)
    assert (config.out / "model.safetensors").stat().st_mtime_ns == made
    with pytest.raises(DataError, match="other settings than are asked for now \\(seed\\)"):
        train(replace(config, seed=5), resume=True)
    with pytest.raises(DataError, match="other settings than are asked for now \\(tune_offsets\\)"):
        train(replace(config, tune_offsets=True), resume=True)


def test_a_finished_run_is_not_passed_off_as_one_of_other_clips(config, whole, tmp_path):
    made = tmp_path / "made"
    shutil.copytree(config.out, made)
    corpus = tmp_path / "corpus"
    shutil.copytree(config.data[0] if config.data[0].is_dir() else config.data[0].parent, corpus)
    manifest = corpus / "manifest.csv"
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(lines[:2] + lines[3:]) + "\n")
    train(replace(config, out=made), resume=True)
    with pytest.raises(DataError, match="was trained on other clips than"):
        train(replace(config, out=made, data=(manifest,)), resume=True)


def test_a_run_that_is_stopped_at_the_end_of_an_epoch_reads_the_dev_split_later(
    config, whole, tmp_path, monkeypatch
):
    config = replace(config, out=tmp_path / "part")
    # 12 clips in batches of 4, two to a step: two steps an epoch
    with monkeypatch.context() as patch:
        interrupt(patch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(RunStopped):
            train(config)
    values = read_state(config.run_folder).values
    assert values["epoch"] == 0 and values["history"] == []
    resumed = load_file(train(config, resume=True) / "model.safetensors")
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_curves_are_written_for_tensorboard(config, whole):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(config.run_folder / "curves"))
    events.Reload()
    history = load_checkpoint(config.out).history
    losses = [point.value for point in events.Scalars("loss")]
    assert losses == pytest.approx(history["loss"].tolist())
    assert len(events.Scalars("step/loss")) == events.Scalars("loss")[-1].step


def test_the_space_over_time_is_kept(config, whole):
    checkpoint = load_checkpoint(config.out)
    space = checkpoint.space
    assert space.epochs.tolist() == [-1, 0, 1, 2]
    assert space.embeddings["video"].shape[1:] == (len(space.keys), 16)
    assert set(space.labels) <= set(checkpoint.config.labels.labels)
    moved = abs(space.embeddings["text"][-1] - space.embeddings["text"][0]).max()
    assert moved > 0
