"""What helps rare classes on the made clips: the recipes of recipes.py, each trained with several seeds.

    python benchmarks/rare_classes_clips.py                                    # sound and words, every recipe
    python benchmarks/rare_classes_clips.py --recipe contrast --seeds 0 1 2 3
    python benchmarks/rare_classes_clips.py --set 'num_epochs=24'

The network learns from the shipped training clips by `training.loop.train`, from frozen features of sound and
words, which takes a minute; the epoch is chosen on the dev split by macro-F1. A finished run is not repeated.
The shipped training clips have no test part: score the chosen recipe's checkpoints with `deepmsi evaluate`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from recipes import PLAIN, recipes
from rich.console import Console

from core.config import dataclass_from_dict
from core.labels import MELD_7
from training.config import TrainConfig
from training.runs import RunsSummary, Spread, train_runs

DATA = Path("sample_data/clips/train/manifest.csv")

BASE = PLAIN | {
    "modalities": ["audio", "text"],
    "num_epochs": 16,
    "batch_size": 24,
    "patience": 16,
    "learning_rate": 5e-4,
    "weight_average": 0.97,
    "num_workers": 1,
    "half_weights": True,
}

console = Console()


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", action="append", choices=list(recipes()), help="all by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=JSON", help="of TrainConfig")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache-dir", type=Path, default=Path(".cache/features"))
    parser.add_argument("--out", type=Path, default=Path("runs/rare_classes_clips"))
    options = parser.parse_args()
    given = dict(text.split("=", 1) for text in options.set)
    base = BASE | {field: json.loads(value) for field, value in given.items()}
    summaries = {}
    for name in options.recipe or recipes():
        console.rule(name)
        values = base | recipes()[name]
        fields = values | {"data": [DATA], "out": options.out / name, "cache_dir": options.cache_dir}
        config = dataclass_from_dict(TrainConfig, fields | {"num_threads": options.threads}, "training")
        summaries[name] = train_runs(config, seeds=options.seeds, resume=True)
    show(summaries, options.seeds)


def show(summaries: dict[str, RunsSummary], seeds: list[int]) -> None:
    """A Markdown table of dev, mean ± deviation over the seeds, the best macro-F1 first."""
    print(f"\nMade clips, dev, sound and words, seeds {seeds}; F1 in %\n")
    print("| recipe | weighted F1 | macro-F1 | " + " | ".join(MELD_7.labels) + " |")
    print("|---" * (3 + len(MELD_7)) + "|")
    for name, summary in sorted(summaries.items(), key=lambda item: -item[1].scores["macro_f1"].mean):
        spreads = [summary.scores["weighted_f1"], summary.scores["macro_f1"]]
        spreads += [summary.f1_per_class[label] for label in MELD_7.labels]
        print(f"| {name} | {' | '.join(map(_told, spreads))} |")


def _told(spread: Spread) -> str:
    if spread.mean is None:
        return "–"
    deviation = "" if spread.deviation is None else f" ± {100 * spread.deviation:.1f}"
    return f"{100 * spread.mean:.1f}{deviation}"


if __name__ == "__main__":
    main()
