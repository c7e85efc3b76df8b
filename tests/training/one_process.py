"""What `test_processes.py` has `torchrun` start twice: a pretraining and a training, and a note of each."""

import hashlib
import json
import os
import sys
from pathlib import Path

import torch

import training.loop
import training.pretrain
from core.checkpoint import load_checkpoint
from training.config import Phase, PretrainConfig, TrainConfig
from training.evaluate import evaluate_checkpoint
from training.sources import make_features, of_split, read_sources


def digest(tensors) -> str:
    """Of exact values."""
    return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()


def main(folder: Path, corpus: Path) -> None:
    """Run both and write what this process saw and ended with to `rank<N>.json`."""
    drawn, made = [], {}
    draw, run = training.pretrain.draw_stills, training.loop._Run
    train_on_pictures = training.pretrain._train_on_pictures

    def watched_draw(*args):
        batch = draw(*args)
        drawn.append(digest(batch))
        return batch

    def watched_training(config, sources, net, accelerator):
        best = train_on_pictures(config, sources, net, accelerator)
        # what follows, only the main process does
        made["net"] = digest(net.parameters())
        return best

    def watched_run(*args):
        made["run"] = run(*args)
        return made["run"]

    training.pretrain.draw_stills = watched_draw
    training.pretrain._train_on_pictures = watched_training
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
    training.loop.train(
        TrainConfig(
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
    )
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
    note = {
        "drawn": drawn,
        "net": made["net"],
        "model": digest(made["run"].learner.model.trained_parameters()),
        "num_steps": made["run"].learner.num_steps_done,
        "num_evaluations": len(made["run"].history),
    }
    (folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(note))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
