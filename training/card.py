"""The model card that is saved with a checkpoint."""

from __future__ import annotations

from core.config import AudioConfig, ModelConfig, TextConfig
from training.config import TrainConfig
from training.protocol import PAPER_10FOLD_FLATTERS
from training.scores import figure

_USE = """## Intended use

Research and teaching: to see which emotion a multimodal network reads from a clip, and what in the clip it
reads it from.

## Limits

- It names the emotion that an utterance *shows* to the annotators of its training data. It does not know what
  a person feels, and people show the same feeling in different ways.
- It has learned from {num_train} clips{before}. On other faces, voices, languages, cameras and situations its
  answers are guesses, also where its confidence is high; the confidence is calibrated on its own dev split
  alone.
- Not for decisions about people: hiring, education, policing, border control, insurance, medicine,
  advertising or the watching of people at work or school. Some of these uses are prohibited by law, for
  example by the EU's AI Act.
"""


CAVEATS = "caveats"
"""In a checkpoint's metrics: sentences that belong beside the figures of its test split."""


def write_card(config: TrainConfig, model: ModelConfig, metrics: dict) -> str:
    """Markdown: what the checkpoint was trained on and how, what it scored, what it is for.

    Args:
        config: of the run.
        model: of the network.
        metrics: as `training.finish` saves them.
    """
    num = metrics["num_clips"]
    lines = [
        f"# DeepMSI-MER, preset `{model.preset}`",
        "",
        f"Labels ({model.labels.name}): {', '.join(model.labels.labels)}.",
        "",
        "## Data and protocol",
        "",
        f"- Data: {', '.join(path.name if path.is_dir() else path.parent.name for path in config.data)}; "
        f"{num['train']} clips to learn from, {num['dev']} dev, {num['test']} test, "
        + (
            f"split by the protocol {config.protocol}{config.fold and f' (fold {config.fold})'}."
            if config.protocol
            else "split as the data say."
        ),
        f"- Epoch {metrics['best_epoch'] + 1} was chosen by the macro-F1 of the dev split"
        f"{', as the mean over the data sets' if len(config.data) > 1 else ''}"
        f"{_tolerance(config)}, on which "
        "temperature and uncertainty threshold were fitted too"
        + (
            f". {PAPER_10FOLD_FLATTERS[0].upper()}{PAPER_10FOLD_FLATTERS[1:]}"
            if config.protocol == "paper-10fold"
            else "; the test split was only read with the finished model."
            if num["test"]
            else "."
        ),
        f"- Loss: cross-entropy {_prior(config)}+ {config.contrastive_weight:g} · contrastive "
        f"({config.contrastive_form} form){_rare(config)}; seed {config.seed}.",
        *_start(config),
        f"- Text `{model.text.backbone}` {_trained(model.text)}, audio `{model.audio.backbone}` "
        f"{_trained(model.audio)}; {_pictures(config)}.",
        *_offsets(metrics.get("logit_offsets")),
        *([f"- {config.sources}"] if config.sources else []),
        "",
    ]
    for split in ("test", "dev"):
        if split in metrics:
            lines += _table(split, metrics[split])
            if split == "test" and metrics.get(CAVEATS):
                lines += [" ".join(metrics[CAVEATS]), ""]
    before = ", beside those of its start" if config.start else ""
    return "\n".join(lines) + "\n" + _USE.format(num_train=num["train"], before=before)


def _tolerance(config: TrainConfig) -> str:
    if not config.dev_tolerance:
        return ""
    return f" (the latest of those within {config.dev_tolerance:g} of the best)"


def _offsets(offsets: dict | None) -> list[str]:
    if offsets is None:
        return []
    if not any(offsets["values"]):
        return ["- Shifting classes for the dev split's macro-F1 promised nothing, so none was shifted."]
    return [
        "- Each class's logit was shifted for the macro-F1 of the dev split: "
        f"{offsets['macro_f1_without']:.3f} before, {offsets['cross_fitted_macro_f1']:.3f} expected of "
        "unseen clips. Rare classes are favoured on purpose, so their probabilities are those of a world in "
        "which they are less rare."
    ]


def _trained(encoder: TextConfig | AudioConfig) -> str:
    if encoder.num_trained_layers < 0:
        return "was trained too"
    return (
        f"had its top {encoder.num_trained_layers} layers trained"
        if encoder.num_trained_layers
        else "is frozen"
    )


def _pictures(config: TrainConfig) -> str:
    if "video" not in config.modalities:
        return "it reads no pictures"
    if config.pretrained_video is not None:
        return "the video encoder was pretrained on faces"
    return "the video encoder " + (
        "started from random weights" if config.start is None else "was trained on from there"
    )


def _start(config: TrainConfig) -> list[str]:
    if config.start is None:
        return []
    but = ", but for the video encoder" if config.pretrained_video else ""
    return [
        f"- It began with the weights of the checkpoint `{config.start.name}`{but}; "
        "what that one's card says of data and licences holds for this one, too."
    ]


def _rare(config: TrainConfig) -> str:
    """Settings of loss and sampling that do something."""
    names = (
        *("class_weight_beta", "class_weight_start", "focal_gamma", "class_balance"),
        *("progressive_balance", "queue_size", "prototype_weight", "source_shares", "epoch_size"),
        *("modality_dropout", "word_dropout", "label_smoothing"),
    )
    used = [name for name in names if getattr(config, name)]
    if not config.class_weight_beta and "class_weight_start" in used:
        used.remove("class_weight_start")
    return "".join(f", {name} {getattr(config, name)}" for name in used)


def _prior(config: TrainConfig) -> str:
    return f"with logits adjusted by {config.prior_tau:g} · log prior " if config.prior_tau else ""


def _table(split: str, metrics: dict) -> list[str]:
    lines = [
        f"## Scores on the {split} split ({metrics['num_clips']} clips)",
        "",
        "| modalities | clips | accuracy | weighted F1 | macro F1 |",
        "|---|---|---|---|---|",
    ]
    lines += [_row(subset, scores) for subset, scores in metrics["subsets"].items()]
    if metrics.get("sources"):
        lines += ["", "| data set | clips | accuracy | weighted F1 | macro F1 |", "|---|---|---|---|---|"]
    lines += [_row(name, scores) for name, scores in metrics.get("sources", {}).items()]
    per_class = ", ".join(
        _class_score(value, metrics["f1_interval_per_class"][label], label, metrics)
        for label, value in metrics["f1_per_class"].items()
    )
    return [
        *lines,
        "",
        f"F1 per class, all modalities, with 95 % intervals over {metrics['resampled']}s: {per_class}.",
        "",
    ]


def _row(name: str, scores: dict) -> str:
    values = (figure(scores[score]) for score in ("accuracy", "weighted_f1", "macro_f1"))
    return f"| {name} | {scores['num_clips']} | {' | '.join(values)} |"


def _class_score(value: float | None, ends: list[float | None], label: str, metrics: dict) -> str:
    num = metrics["num_clips_per_class"][label]
    interval = "" if ends[0] is None else f" [{ends[0]:.2f}–{ends[1]:.2f}]"
    return f"{label} {'–' if value is None else f'{value:.2f}'}{interval} ({num} clips)"
