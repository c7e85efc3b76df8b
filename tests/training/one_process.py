"""What `test_processes.py` has `torchrun` start twice: a pretraining and a training, and a note of each."""

import hashlib
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch

import training.loop
import training.picture_loop
import training.pretrain
from core.checkpoint import load_checkpoint
from training.config import TrainConfig
from training.evaluate import evaluate_checkpoint
from training.pretrain_config import Phase, PretrainConfig
from training.sources import make_features, of_split, read_sources
from training.state import RunStopped


def digest(tensors) -> str:
    """Of exact values."""
    return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()


def train_with_a_stop(config: TrainConfig) -> int:
    """Train, have the second process alone asked to end in the middle of the second epoch, and go on.

    Returns:
        Steps that were done when this process stopped.
    """
    step, done = training.loop.Learner.step, []

    def step_and_ask(learner):
        step(learner)
        done.append(learner.num_steps_done)
        if done[-1] == 4 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)

    training.loop.Learner.step = step_and_ask
    try:
        training.loop.train(config)
    except RunStopped:
        pass
    finally:
        training.loop.Learner.step = step
    training.loop.train(config, resume=True)
    return done[-1]


def train_without_chance(corpus: Path, out: Path, cache: Path) -> Path:
    """Train with nothing that a process draws for itself: no augmentation, no dropout, all frames."""
    built = training.loop.built

    def without_dropout(config: TrainConfig):
        model = built(config)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "drop_prob"):
                module.drop_prob = 0.0
        return model

    training.loop.built = without_dropout
    try:
        return training.loop.train(
            TrainConfig(
                data=(corpus,),
                out=out,
                cache_dir=cache,
                preset="tiny",
                num_epochs=3,
                batch_size=4,
                learning_rate=2e-3,
                num_train_frames=(6,),
                modality_dropout=0.0,
                augment=False,
                queue_size=2,
                prototype_weight=0.2,
                weight_average=0.0,
                num_threads=1,
            )
        )
    finally:
        training.loop.built = built


def main(folder: Path, corpus: Path) -> None:
    """Run both and write what this process saw and ended with to `rank<N>.json`."""
    drawn, made, losses = [], {}, {}
    draw, run = training.picture_loop.draw_stills, training.loop._Run
    fit, backward = training.pretrain.PictureLoop.fit, training.loop.Learner.backward

    def watched_draw(*args):
        batch = draw(*args)
        drawn.append(digest(batch))
        return batch

    def watched_training(loop, state):
        best = fit(loop, state)
        # what follows, only the main process does
        made["net"] = digest(loop.net.parameters())
        return best

    def watched_run(*args):
        made["run"] = run(*args)
        return made["run"]

    def watched_backward(*args, epoch, **options):
        values = backward(*args, epoch=epoch, **options)
        losses.setdefault(epoch, []).append(values["loss"])
        return values

    training.picture_loop.draw_stills = watched_draw
    training.loop.Learner.backward = watched_backward
    training.pretrain.PictureLoop.fit = watched_training
    training.loop._Run = watched_run
    training.pretrain.pretrain(
        PretrainConfig(
            out=folder / "video",
            cache_dir=folder / "cache",
            preset="tiny",
            stills=(folder / "train.parquet",),
            dev_stills=(folder / "dev.parquet",),
            phases=(
                Phase(image_size=32, num_steps=4, batch_size=8),
                Phase(image_size=64, num_steps=3, batch_size=8),
            ),
            eval_every=2,
            warmup_steps=1,
            num_threads=1,
        )
    )
    config = TrainConfig(
        data=(corpus,),
        out=folder / "checkpoint",
        cache_dir=folder / "cache",
        pretrained_video=folder / "video",
        preset="tiny",
        num_epochs=3,
        num_blind_epochs=1,
        patience=1,
        batch_size=4,
        num_train_frames=(4,),
        num_threads=1,
    )
    training.loop.train(config)
    note = {
        "losses": [list(values) for values in losses.values()],
        "model": digest(made["run"].learner.model.trained_parameters()),
        "num_steps": made["run"].learner.num_steps_done,
        "num_evaluations": len(made["run"].history),
    }
    train_without_chance(corpus, folder / "by_two", folder / "cache")
    note["stopped_after"] = train_with_a_stop(replace(config, out=folder / "resumed"))
    note["resumed_model"] = digest(made["run"].learner.model.trained_parameters())
    checkpoint = load_checkpoint(folder / "checkpoint")
    sources = of_split(read_sources([corpus]), "test")
    evaluation = evaluate_checkpoint(
        checkpoint,
        make_features(sources, checkpoint.model, folder / "cache", progress=False),
        data=corpus,
        split="test",
        num_bootstrap=100,
        rank=int(os.environ["RANK"]),
        num_processes=2,
    )
    if os.environ["RANK"] == "0":
        evaluation.write(folder / "evaluation")
    note |= {"drawn": drawn, "net": made["net"]}
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(note))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
