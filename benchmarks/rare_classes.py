"""What helps rare classes: the losses and samplings of `training`, compared on MELD's words.

    python benchmarks/rare_classes.py MELD --frozen                     # every recipe, on cached features
    python benchmarks/rare_classes.py MELD --recipe focal --seeds 0     # the whole encoder is trained
    python benchmarks/rare_classes.py MELD --recipe focal --test        # once, for the chosen one

MELD is the folder of the official annotations ({train,dev,test}_sent_emo.csv). Every run is a line of
OUT/runs.jsonl; a run whose line is there is not repeated. Epochs are chosen on dev, by macro-F1 and by
weighted F1; nothing reads the test labels without --test.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from meld_words import Classifier, Words, by_length, evened
from recipes import PLAIN, recipes
from rich.console import Console
from rich.progress import track
from scipy.special import softmax
from sklearn.metrics import f1_score
from torch import Tensor, nn

from core.config import dataclass_from_dict
from core.evaluation.metrics import percentile_estimate, resampled_figures
from core.labels import MELD_7
from training.augment import drop_tokens
from training.average import WeightAverage
from training.config import TrainConfig
from training.losses.objective import Objective
from training.offsets import cross_fitted, tune_offsets
from training.optimizer import build_optimizer, warmup_cosine
from training.sampler import epoch_batches, random_stream

MEASURES = ("macro_f1", "weighted_f1")
"""What an epoch can be chosen by."""

FROZEN = {"num_epochs": 10, "batch_size": 64, "learning_rate": 1e-3, "weight_average": 0.99}
FINE_TUNED = {
    "num_text_layers": 6,
    "word_dropout": 0.1,
    "num_epochs": 5,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "encoder_learning_rate": 1e-4,
    "warmup_share": 0.1,
    "weight_average": 0.99,
    "precision": "bf16",
}

console = Console()


def main() -> None:
    """Run what is missing, then print the table; or read the test split for one recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of MELD's annotations")
    parser.add_argument("--frozen", action="store_true", help="train a small head on cached features")
    parser.add_argument("--recipe", action="append", choices=list(recipes()), help="all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--context", type=int, default=0, metavar="K", help="utterances before, read too")
    parser.add_argument("--preset", choices=("mini", "base"), default="mini", help="whose text encoder")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="of TrainConfig")
    parser.add_argument("--limit", type=int, help="utterances per split, to try the script")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/rare_classes"))
    parser.add_argument("--test", action="store_true", help="score finished runs of one recipe on test")
    options = parser.parse_args()
    if options.test and len(options.recipe or ()) != 1:
        parser.error("--test takes the one recipe that was chosen on dev: name it with --recipe")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)

    words = Words(
        options.data, options.out, preset=options.preset, context=options.context, limit=options.limit
    )
    plans = [plan(options, name, seed) for name in chosen_recipes(options) for seed in options.seeds]
    for number, one in enumerate(plans, 1):
        if one.record(options.out) is None:
            console.rule(f"{number}/{len(plans)}: {one.name}, seed {one.config.seed}")
            run(one, words, options.out)
    show(plans, words, options)


def chosen_recipes(options: argparse.Namespace) -> list[str]:
    return options.recipe or list(recipes())


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run, and how to find it again."""

    name: str
    config: TrainConfig
    settings: dict

    @property
    def key(self) -> str:
        """Of the settings."""
        return hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()[:16]

    def record(self, out: Path) -> dict | None:
        """The line of this run, None where it has not been run."""
        path = out / "runs.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return next((row for row in map(json.loads, lines) if row["key"] == self.key), None)


def plan(options: argparse.Namespace, name: str, seed: int) -> Plan:
    values = PLAIN | (FROZEN if options.frozen else FINE_TUNED)
    given = dict(text.split("=", 1) for text in options.set)
    values |= {field: json.loads(value) for field, value in given.items()}
    values |= recipes()[name]
    config = dataclass_from_dict(
        TrainConfig,
        values | {"data": [options.data], "out": options.out, "cache_dir": options.out, "seed": seed},
        "training",
    )
    settings = {"recipe": name, **config.to_dict()}
    for field in ("data", "data_options", "out", "cache_dir", "num_workers", "num_threads"):
        del settings[field]
    for field in ("preset", "context", "limit"):
        settings[field] = getattr(options, field)
    return Plan(name=name, config=config, settings=settings)


def run(plan: Plan, words: Words, out: Path) -> None:
    """Train one classifier; keep its line and the logits of the chosen epochs."""
    config, truth = plan.config, words.labels["dev"]
    trainer = Trainer(config, words)
    history, best, seconds = [], {}, []
    for epoch in range(config.num_epochs):
        began = time.perf_counter()
        loss = trainer.learn(epoch)
        seconds.append(time.perf_counter() - began)
        dev = trainer.logits("dev")
        row = {"epoch": epoch, "loss": loss, **scores(truth, dev.argmax(1))}
        history.append(row)
        console.print(
            f"epoch {epoch + 1}: loss {loss:.3f}, dev macro-F1 {row['macro_f1']:.3f}, "
            f"weighted F1 {row['weighted_f1']:.3f}, {seconds[-1]:.0f} s"
        )
        improved = [name for name in MEASURES if name not in best or row[name] > best[name][0][name]]
        if improved:
            weights = {name: value.clone() for name, value in trainer.evaluated.state_dict().items()}
            best |= {name: (row, dev, weights) for name in improved}

    logits, chosen = {}, {}
    for name, (row, dev, weights) in best.items():
        trainer.evaluated.load_state_dict(weights)
        # unread until --test asks for it: no second training is needed then
        logits |= {f"dev_{name}": dev, f"test_{name}": trainer.logits("test")}
        tuned = [scores(truth, predicted) for predicted in cross_fitted(dev, truth)]
        mean = {key: float(np.mean([each[key] for each in tuned])) for key in tuned[0]}
        chosen[name] = {"plain": row, "offsets": mean}
    np.savez_compressed(out / f"{plan.key}.npz", **logits)
    line = {
        "key": plan.key,
        "settings": plan.settings,
        "seconds_per_epoch": float(np.median(seconds)),
        "chosen_by": chosen,
        "history": history,
    }
    with (out / "runs.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


class Trainer:
    """One classifier's moving parts."""

    def __init__(self, config: TrainConfig, words: Words) -> None:
        self.config, self.words = config, words
        self.labels = words.labels["train"]
        self.lengths = np.array([len(row) for row in words.rows["train"]])
        torch.manual_seed(config.seed)
        self.net = Classifier(words, config)
        self.optimizer = build_optimizer(config, self.net)
        self.average = WeightAverage(self.net, config.weight_average) if config.weight_average else None
        counts = torch.from_numpy(np.bincount(self.labels, minlength=len(MELD_7))).float()
        self.objective = Objective(config, counts[None], words.config.heads.projection_width)
        num_steps = len(self._batches(0)) * config.num_epochs
        num_warmup = max(1, round(num_steps * config.warmup_share))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: warmup_cosine(step, num_warmup, num_steps)
        )

    @property
    def evaluated(self) -> nn.Module:
        """The network whose answers count."""
        return self.average.model if self.average else self.net

    def learn(self, epoch: int) -> float:
        """One epoch; returns its mean loss."""
        self.net.train()
        batches, drop = self._batches(epoch), self._dropping(epoch)
        total = 0.0
        for indices in track(batches, f"Epoch {epoch + 1}", console=console, transient=True):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.config.precision == "bf16"):
                logits, first, second = (
                    part.float() for part in self.net(self._inputs("train", indices, drop))
                )
            # the two views stand where a clip has two modalities
            losses = self.objective(
                logits,
                {"video": first, "audio": first, "text": second},
                torch.tensor([False, True, True]).expand(len(indices), 3),
                torch.from_numpy(self.labels[indices]),
                epoch=epoch,
            )
            self.optimizer.zero_grad(set_to_none=True)
            losses.total.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip_norm)
            self.optimizer.step()
            self.schedule.step()
            if self.average:
                self.average.update(self.net)
            total += losses.total.item() / len(batches)
        return total

    @torch.inference_mode()
    def logits(self, split: str) -> np.ndarray:
        """`(utterance, class)`."""
        self.evaluated.eval()
        logits = np.zeros((len(self.words.labels[split]), len(MELD_7)))
        for indices in by_length(self.words.rows[split], 128):
            logits[indices] = self.evaluated(self._inputs(split, indices))[0].double().numpy()
        return logits

    def _inputs(self, split: str, indices: np.ndarray, drop=None) -> tuple[Tensor, ...]:
        if self.config.num_text_layers:
            return self.words.tokens(split, indices, drop)
        return (self.words.features(split)[indices],)

    def _batches(self, epoch: int) -> list[np.ndarray]:
        config, random = self.config, random_stream(self.config.seed, 1, epoch)
        batches = epoch_batches(
            self.labels,
            config.batch_size,
            random,
            class_balance=config.class_balance,
            balanced_share=epoch / max(1, config.num_epochs - 1) if config.progressive_balance else 1.0,
        )
        return evened(batches, self.lengths, random) if config.num_text_layers else batches

    def _dropping(self, epoch: int):
        if not self.config.word_dropout:
            return None
        random = random_stream(self.config.seed, 2, epoch)
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        return partial(drop_tokens, generator=generator, probability=self.config.word_dropout)


def scores(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Weighted and macro-F1, and that of every class."""
    per_class = f1_score(truth, predicted, labels=range(len(MELD_7)), average=None, zero_division=0)
    return {
        "weighted_f1": float(f1_score(truth, predicted, average="weighted", zero_division=0)),
        "macro_f1": float(per_class.mean()),
        **dict(zip(MELD_7.labels, per_class.tolist(), strict=True)),
    }


def show(plans: list[Plan], words: Words, options: argparse.Namespace) -> None:
    """A Markdown table, mean ± deviation over the seeds: of dev, or of test where asked."""
    split = "test" if options.test else "dev"
    columns = ("weighted_f1", "macro_f1", "fear", "disgust")
    kind = "frozen features" if options.frozen else "fine-tuned"
    print(f"\nMELD {split}, {kind}, context {options.context}, seeds {options.seeds}; F1 in %\n")
    print("| recipe | epoch chosen by | weighted F1 | macro-F1 | fear | disgust |\n|---|---|---|---|---|---|")
    lines = []
    for recipe in chosen_recipes(options):
        runs = [one for one in plans if one.name == recipe]
        for measure in MEASURES:
            if options.test:
                rows = [test_scores(one, measure, words, options.out) for one in runs]
            else:
                rows = [one.record(options.out)["chosen_by"][measure] for one in runs]
            for logits in ("plain", "offsets"):
                values = {
                    name: [100 * row[logits][name] for row in rows] for name in (*columns, *MELD_7.labels)
                }
                told = [_mean_and_deviation(values[name]) for name in columns]
                name = recipe + (" + offsets" if logits == "offsets" else "")
                print(f"| {' | '.join((name, measure.replace('_', '-'), *told))} |")
                lines.append({"recipe": recipe, "chosen_by": measure, "logits": logits, **values})
            if options.test:
                ends = " | ".join(
                    f"[{low:.1f}–{high:.1f}]" for low, high in over_clips(runs, measure, words, options)
                )
                print(f"| 95 % over dialogues | | {ends} |")
    if not options.test:
        print("\nOffsets: cross-fitted, each fold of dev with offsets tuned on the others.")
        return
    path = options.out / "test.jsonl"
    with path.open("a") as file:
        for line in lines:
            file.write(json.dumps({"settings": plans[0].settings | {"seed": options.seeds}} | line) + "\n")
    print(f"\nWritten to {path}. Test decides nothing: report it, and choose no further.")


def test_scores(plan: Plan, measure: str, words: Words, out: Path) -> dict[str, dict[str, float]]:
    """Of one run, of plain logits and with offsets tuned on dev."""
    logits = np.load(out / f"{plan.key}.npz")
    test, truth = logits[f"test_{measure}"], words.labels["test"]
    offsets = tune_offsets(logits[f"dev_{measure}"], words.labels["dev"]).values
    return {"plain": scores(truth, test.argmax(1)), "offsets": scores(truth, (test + offsets).argmax(1))}


def over_clips(
    runs: list[Plan], measure: str, words: Words, options: argparse.Namespace
) -> list[tuple[float, float]]:
    """95 % intervals of the runs' means, plain logits, over resampled dialogues of test; in %."""
    draws = [
        resampled_figures(
            words.labels["test"],
            softmax(np.load(options.out / f"{run.key}.npz")[f"test_{measure}"], axis=1),
            np.unique(words.dialogues["test"], return_inverse=True)[1],
        )
        for run in runs
    ]
    found = [np.mean([one[name] for one in draws], axis=0) for name in ("weighted_f1", "macro_f1")]
    f1 = np.mean([one["f1"] for one in draws], axis=0)
    found += [f1[:, MELD_7.index(label)] for label in ("fear", "disgust")]
    estimates = [percentile_estimate(float("nan"), values) for values in found]
    return [(100 * one.low, 100 * one.high) for one in estimates]


def _mean_and_deviation(values: list[float]) -> str:
    deviation = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{deviation}"


if __name__ == "__main__":
    main()
