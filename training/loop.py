"""The training loop: features in, a checkpoint out, chosen on the dev split by macro-F1.

Of several processes (`torchrun --nproc-per-node 2 -m app.cli train …`) each learns from its share of every
batch; the main one alone evaluates, decides when to stop, and saves. A run that is interrupted leaves its
state beside the checkpoint-to-be, and goes on from there to the same weights.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from core.checkpoint import stored_state
from core.evaluation.artifact import ALL
from core.model import DeepMSI
from training import processes
from training.building import built, standardise
from training.config import TrainConfig
from training.data import TrainingData, load_data, require_same_clips
from training.finish import require_enough, save_finished
from training.learner import Learner
from training.logs import Curves, console, epoch_bar
from training.resume import identity, learned_before, look, require_same_data
from training.sampler import Batch, epoch_batches, label_indices, random_stream, training_batch
from training.scores import Answers, evaluate, figure
from training.selection import SelectionProbe
from training.space import SpaceRecorder
from training.state import (
    RunState,
    RunStopped,
    StopRequest,
    remove_state,
    require_same_run,
    restoring,
    with_prefix,
    write_state,
)

EPOCH_SUBSETS = (ALL, ("video",), ("audio",), ("text",))
"""Subsets of the modalities that the dev split is read with after every epoch."""


def train(config: TrainConfig, *, resume: bool = False) -> Path:
    """Train a model and save the checkpoint that did best on the dev split.

    Args:
        config: of the run.
        resume: go on from the state that an interrupted run of this configuration left; keep its checkpoint
            where it is finished; else start.

    Returns:
        `config.out`, a folder as `core.checkpoint_files` describes it.

    Raises:
        DataError: where a split is too small, a label is unknown, the pretrained encoder does not fit, or
            there is the state of an unfinished run that is not to be resumed, or of another one.
        CheckpointError: where `config.out` holds something else; told before anything is done.
        RunStopped: when the process was asked to end; the state was kept.
    """
    accelerator = processes.join(num_threads=config.num_threads, precision=config.precision)
    # one process looks, for the others may be on machines that do not see its files
    is_finished, state = processes.from_main(accelerator, lambda: look(config, resume))
    torch.manual_seed(config.seed)
    model = built(config).to(accelerator.device)
    with accelerator.main_process_first():
        data = load_data(config, model, accelerator)
    require_same_clips(data, config)
    if is_finished:
        processes.from_main(accelerator, lambda: require_same_data(config, data))
        return config.out
    what = identity(config, data, accelerator)
    if state is not None:
        require_same_run(state, what, config.run_folder)
    standardise(model, data.train)
    # dropout of its own for each process
    torch.manual_seed(config.seed + accelerator.process_index)
    run = _Run(config, model, data, accelerator, what)
    best = run.fit(state)
    if accelerator.is_main_process:
        run.save(best)
        remove_state(config.run_folder)
    accelerator.wait_for_everyone()
    return config.out


@dataclass(frozen=True, kw_only=True, eq=False)
class _Best:
    """The epoch that is kept.

    Attributes:
        top: the best dev macro-F1 of any epoch so far, which this one's is within the tolerance of.
    """

    epoch: int
    macro_f1: float
    top: float
    weights: dict[str, torch.Tensor]


class _Run:
    """One run's moving parts."""

    def __init__(
        self,
        config: TrainConfig,
        model: DeepMSI,
        data: TrainingData,
        accelerator: Accelerator,
        identity: dict,
    ) -> None:
        # once: what it began with may be gone or replaced when the run ends
        self.identity, self.learned_before = identity, learned_before(config)
        self.config, self.data, self.accelerator = config, data, accelerator
        self.is_main = accelerator.is_main_process
        self.model_config = model.config
        self.labels, self.sources = label_indices(data.train, model.config.labels), data.sources()
        num = accelerator.num_processes
        # equal shares, also of the one smaller batch of few clips
        num_drawn = config.epoch_size or len(self.labels)
        self.batch_size = min(max(2, config.batch_size // num), max(1, num_drawn // num)) * num
        num_steps = -(-len(self._batches(0)) // config.accumulation) * config.num_epochs
        counts = torch.zeros(len(data.names), len(model.config.labels))
        pairs = torch.from_numpy(self.sources), torch.from_numpy(self.labels)
        counts.index_put_(pairs, torch.ones(len(self.labels)), accumulate=True)
        self.learner = Learner(config, model, counts, num_steps, accelerator)
        self.probe, self.space = SelectionProbe(), SpaceRecorder(data.dev, model.config)
        # where the run stands: batches of this epoch that are done, and the sums of their losses
        self.epoch = self.num_done = 0
        self.sums: dict[str, float] = {}
        self.seconds = 0.0
        self.history: list[dict] = []
        self.best: _Best | None = None

    def fit(self, state: RunState | None = None) -> _Best | None:
        """Train to the last epoch or the end of patience. The main process returns the best, others None.

        Raises:
            RunStopped: on SIGTERM or Ctrl-C, in all processes together, after the state was written.
        """
        if self.is_main:
            # also of a run that is resumed: these are the weights that it began with
            require_enough(self.config, self._evaluate())
            self.probe.remember()
        if state is None:
            self.space.note(epoch=-1)
        else:
            with restoring(self.config.run_folder):
                self._restore(state)
        curves = Curves(
            self.config.run_folder / "curves" if self.is_main else None, self.learner.num_steps_done
        )
        with StopRequest() as stop:
            while not self._is_over():
                started = time.monotonic()
                self._learn(stop, curves)
                self._average_sums()
                train_seconds = self.seconds + time.monotonic() - started
                if self.is_main:
                    row = self._judge(train_seconds)
                    row["seconds"] = self.seconds + time.monotonic() - started
                    self.history.append(row)
                    self._report(row)
                    curves.add(self.learner.num_steps_done, {k: v for k, v in row.items() if k != "epoch"})
                self.epoch, self.num_done, self.sums, self.seconds = self.epoch + 1, 0, {}, 0.0
                self._write_state()
        curves.close()
        return self.best

    def _is_over(self) -> bool:
        """One decision for all: batch norm's statistics, hence scores, differ a little between processes."""
        is_over = self.epoch >= self.config.num_epochs
        if self.is_main and self.best is not None:
            waited = self.epoch - 1 - max(self.best.epoch, self.config.num_blind_epochs)
            is_over = is_over or waited >= self.config.patience
        return broadcast_object_list([is_over])[0]

    def _judge(self, train_seconds: float) -> dict:
        """Read the dev split, keep the weights if they are the best so far, and return the history's row."""
        evaluation = self._evaluate()
        self.space.note(epoch=self.epoch)
        row = {"epoch": self.epoch, **self.sums, "learning_rate": self.learner.learning_rate}
        for subset in EPOCH_SUBSETS:
            scores = evaluation.scores(subset)
            for name in ("accuracy", "weighted_f1", "macro_f1"):
                row[f"dev_{'+'.join(subset)}_{name}"] = getattr(scores, name)
        row |= self.probe.changes() | {"train_seconds": train_seconds}
        for name, scores in evaluation.by_source().items():
            if name:
                row[f"dev_of_{name}_macro_f1"] = scores.macro_f1
        macro_f1 = evaluation.macro_f1()
        top = macro_f1 if self.best is None else max(macro_f1, self.best.top)
        tolerance = self.config.dev_tolerance
        if self.best is None or macro_f1 > self.best.top or (tolerance and macro_f1 >= top - tolerance):
            weights = {k: v.detach().clone() for k, v in stored_state(self.learner.evaluated_model).items()}
            self.best = _Best(epoch=self.epoch, macro_f1=macro_f1, top=top, weights=weights)
        return row

    def save(self, best: _Best) -> None:
        """Make a checkpoint of the best weights."""
        model = self.learner.evaluated_model
        model.load_state_dict(best.weights, strict=False)
        save_finished(
            self.config,
            model,
            self.data,
            best_epoch=best.epoch,
            history=self.history,
            space=self.space.result(),
            began_with=self.identity["began_with"],
            learned_before=self.learned_before,
        )

    def _batches(self, epoch: int) -> list[np.ndarray]:
        random = random_stream(self.config.seed, 1, epoch)
        share = epoch / max(1, self.config.num_epochs - 1) if self.config.progressive_balance else 1.0
        return epoch_batches(
            self.labels,
            self.batch_size,
            random,
            class_balance=self.config.class_balance,
            balanced_share=share,
            sources=self.sources,
            shares=self.config.source_shares,
            num_draws=self.config.epoch_size,
        )

    def _make(self, number: int, indices: np.ndarray) -> Batch:
        rank, num = self.accelerator.process_index, self.accelerator.num_processes
        is_blind = self.epoch < self.config.num_blind_epochs
        stream = self.config.seed, 2, self.epoch, number
        num_frames = random_stream(*stream).choice(self.config.num_train_frames)
        batch = training_batch(
            self.data.train,
            indices[rank::num],
            self.model_config,
            random_stream(self.config.seed, 3, self.epoch, number, rank),
            num_frames=1 if is_blind else int(num_frames),
            is_blind=is_blind,
            modality_dropout=self.config.modality_dropout,
            augment=self.config.augment,
            word_dropout=self.config.word_dropout,
        )
        return replace(batch, sources=torch.from_numpy(self.sources[indices[rank::num]]))

    def _learn(self, stop: StopRequest, curves: Curves) -> None:
        """The rest of the epoch."""
        batches, started = self._batches(self.epoch), time.monotonic()
        self.learner.train()
        # the next batch is read and augmented while the network works on this one
        with (
            ThreadPoolExecutor(1) as pool,
            epoch_bar(self.epoch, self.config.num_epochs, is_shown=self.is_main) as bar,
        ):
            task = bar.add_task("", total=len(batches), completed=self.num_done)
            future = None
            while self.num_done < len(batches):
                group = range(self.num_done, min(self.num_done + self.config.accumulation, len(batches)))
                for number in group:
                    future = future or pool.submit(self._make, number, batches[number])
                    batch, future = future.result(), None
                    if number + 1 < len(batches):
                        future = pool.submit(self._make, number + 1, batches[number + 1])
                    losses = self.learner.backward(
                        batch, epoch=self.epoch, num_batches=len(group), is_last=number == group[-1]
                    )
                    for name, value in losses.items():
                        self.sums[name] = self.sums.get(name, 0.0) + value / len(batches)
                    bar.advance(task)
                self.learner.step()
                self.num_done += len(group)
                step = self.learner.num_steps_done
                now = losses | {"learning_rate": self.learner.learning_rate}
                curves.add(step, {f"step/{name}": value for name, value in now.items()})
                is_end = self.num_done == len(batches)
                # a signal may reach one process a step earlier than another
                if processes.in_any(self.accelerator, stop.is_made):
                    self._write_state(time.monotonic() - started)
                    raise RunStopped(
                        f"Stopped after step {step} of {self.learner.num_steps}; the run's state is kept in "
                        f"{self.config.run_folder}: the same command with --resume goes on."
                    )
                if self.config.save_every and step % self.config.save_every == 0 and not is_end:
                    self._write_state(time.monotonic() - started)

    def _average_sums(self) -> None:
        """Each process has met its own share of the batches; the history, and a state, tell of all."""
        if self.accelerator.num_processes > 1 and self.sums:
            sums = torch.tensor(list(self.sums.values()), device=self.accelerator.device)
            means = self.accelerator.reduce(sums, "mean").tolist()
            self.sums = dict(zip(self.sums, means, strict=True))

    def _evaluate(self) -> Answers:
        def watch(*seen) -> None:
            self.probe.watch(*seen)
            self.space.watch(*seen)

        model = self.learner.evaluated_model
        with processes.all_threads(self.config.num_threads):
            return evaluate(model, self.data.dev, subsets=EPOCH_SUBSETS, watch=watch)

    def _write_state(self, seconds: float = 0.0) -> None:
        """Replace the state on disk; all processes take part, the main one writes."""
        self._average_sums()
        learner = self.learner.state()
        if not self.is_main:
            return
        tensors = with_prefix("learner", learner.tensors) | with_prefix("space", self.space.tensors())
        best = None
        if self.best is not None:
            tensors |= with_prefix("best", self.best.weights)
            best = {name: getattr(self.best, name) for name in ("epoch", "macro_f1", "top")}
        values = {
            "identity": self.identity,
            "learner": learner.values,
            "epoch": self.epoch,
            "num_done": self.num_done,
            "sums": self.sums,
            "seconds": self.seconds + seconds,
            "history": self.history,
            "best": best,
        }
        write_state(self.config.run_folder, RunState(tensors=tensors, values=values))

    def _restore(self, state: RunState) -> None:
        values = state.values
        self.learner.restore(state.part("learner"))
        self.space.restore(state.part("space").tensors)
        self.epoch, self.num_done = int(values["epoch"]), int(values["num_done"])
        self.sums, self.seconds = dict(values["sums"]), float(values["seconds"])
        self.history = list(values["history"])
        if values["best"] is not None:
            self.best = _Best(weights=state.part("best").tensors, **values["best"])

    def _report(self, row: dict) -> None:
        done = row["epoch"] + 1
        spent = sum(earlier["seconds"] for earlier in self.history)
        left = spent / done * (self.config.num_epochs - done)
        # of the subsets that the model can read, each once
        keys = {}
        for subset in EPOCH_SUBSETS:
            if own := [modality for modality in subset if modality in self.config.modalities]:
                keys.setdefault("+".join(own), f"dev_{'+'.join(subset)}_macro_f1")
        keys |= {name: f"dev_of_{name}_macro_f1" for name in self.data.names}
        f1 = "  ".join(f"{name} {figure(row[key])}" for name, key in keys.items() if key in row)
        kept = ""
        if "video" in self.config.modalities:
            kept = (
                f"frames kept otherwise than at the start {row['changed_frames']:.0%}, "
                f"than without the guide {row['guided_frames']:.0%}  "
            )
        console.print(
            f"epoch {done}/{self.config.num_epochs}  loss {row['loss']:.3f}  dev macro-F1: {f1}  "
            f"(best {self.best.macro_f1:.3f} in epoch {self.best.epoch + 1})  {kept}"
            f"{row['seconds']:.0f} s, {left / 60:.1f} min left",
            highlight=False,
            soft_wrap=True,
        )
