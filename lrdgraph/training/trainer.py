"""One training loop for every model; it knows none by name.

All chance of an epoch follows from the seed and the epoch's number, so that a run resumed at an epoch is the run that
was never interrupted. Several processes (:mod:`lrdgraph.distributed`) make the same batches, and each takes its rows of
every one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrdgraph import distributed
from lrdgraph.batch import epoch_order, training_batch, training_instances, training_windows
from lrdgraph.distributed import device_of
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.evaluator import Evaluation, evaluate, protocols_of
from lrdgraph.evaluation.metrics import metric_names
from lrdgraph.evaluation.settings import EvaluationSettings
from lrdgraph.models.base import Recommender
from lrdgraph.nn.native import COMPILERS, find_compiler
from lrdgraph.nn.subnormal import subnormals_flushed
from lrdgraph.splits import Sequences, Split
from lrdgraph.training.checkpoint import (
    check_tensors,
    load_optimizer,
    load_state,
    load_tensors,
    load_weights,
    optimizer_tensors,
    save_checkpoint,
)
from lrdgraph.training.lazy_adam import LazyAdam, clip_gradients
from lrdgraph.training.settings import TrainingSettings
from lrdgraph.training.state import TrainingState

Report = Callable[[dict[str, Any]], None]


def validate(model: Recommender, split: Split, role: str, settings: EvaluationSettings) -> Evaluation:
    """Evaluate a model on the targets of one role, with buckets by training degree."""
    model.eval()
    degree = np.bincount(split.training().item, minlength=split.num_items + 1)
    device = next((t.device for t in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    return evaluate(
        model.score,
        split.targets(role),
        settings,
        max_length=model.max_length,
        num_items=split.num_items,
        degree=degree,
        device=device,
    )


@subnormals_flushed()
def train(
    model: Recommender,
    split: Split,
    settings: TrainingSettings,
    evaluation: EvaluationSettings | None = None,
    folder: Path | None = None,
    report: Report | None = None,
    step_done: Callable[[int, int], None] | None = None,
) -> TrainingState:
    """Train a model and leave it with its best weights by the validation metric.

    Within :func:`lrdgraph.distributed.processes` every process must call it; the folder is one that all of them see.

    Args:
        model: is moved to the device of the settings.
        split: training events and validation targets; test events are never read.
        settings: of the loop.
        evaluation: how validation ranks are made; of two protocols, that of the metric alone.
        folder: where ``best/`` and ``last/`` checkpoints are kept; a run found there is resumed.
        report: called with each epoch's log entry, by the first process alone.
        step_done: called as ``step_done(step, steps)`` within an epoch.

    Raises:
        DataError: no user has two training events, or the loss is not finite.
        ConfigError: the validation metric is not among those evaluated, or a batch has fewer rows than there are
            processes.
        ProcessError: another process ended.
    """
    device = device_of(settings.device)
    model.to(device)
    if not model.trainable:
        return TrainingState()
    evaluation = chosen_by(settings.metric, evaluation or EvaluationSettings(), split)
    sequences = split.training()
    cut = training_instances if model.learns_last else training_windows
    start, end = cut(sequences, model.max_length)
    if not len(start):
        raise DataError("No user has two training events, so there is no transition to learn; give more interactions.")
    loop = _Loop(model, settings, math.ceil(len(start) / settings.batch_size), device)
    with distributed.first_before_others():
        state = loop.resume(folder) if folder is not None else TrainingState()
    limit = settings.max_minutes * 60 or math.inf
    while (
        state.epoch < settings.epochs
        and state.seconds < limit
        and not (settings.patience and state.waited >= settings.patience)
    ):
        began = time.perf_counter()
        terms = loop.epoch(state.epoch, sequences, start, end, step_done)
        trained = time.perf_counter()
        state.epoch += 1
        seconds = distributed.agreed(round(trained - began, 3))
        entry: dict[str, Any] = {"epoch": state.epoch, "loss": terms, "seconds": seconds}
        last = state.epoch == settings.epochs or state.seconds + entry["seconds"] >= limit
        if state.epoch % settings.evaluate_every == 0 or last:
            with loop.averaged():
                metrics = validate(model, split, "validation", evaluation).metrics
                entry |= {"validation": metrics, "diagnostics": model.diagnostics()}
                entry["evaluation_seconds"] = distributed.agreed(round(time.perf_counter() - trained, 3))
                state.waited += 1
                value = distributed.agreed(metrics[settings.metric])
                if value > state.best:
                    state.best, state.best_epoch, state.waited = value, state.epoch, 0
                    loop.keep_best(folder, state)
        state.log.append(entry)
        if folder is not None and distributed.is_first():
            save_checkpoint(
                folder / "last",
                model.state_dict(),
                state.to_json(),
                optimizer=optimizer_tensors(loop.optimizer),
                average=loop.average,
            )
        if report is not None and distributed.is_first():
            report(entry)
    distributed.barrier()  # the best weights are written
    loop.restore_best(folder)
    model.eval()
    return state


def chosen_by(metric: str, evaluation: EvaluationSettings, split: Split) -> EvaluationSettings:
    """How validation targets are ranked while a model is trained that is chosen by a metric.

    Of two protocols only that of the metric is ranked: the other decides nothing, and takes time.

    Raises:
        ConfigError: the metric is not among those evaluated.
    """
    targets = split.targets("validation")
    known = [f"{of}/{name}" for of in protocols_of(targets, evaluation) for name in metric_names(evaluation.ks)]
    if metric not in known:
        raise ConfigError(f"[training] metric '{metric}' is not evaluated; choose one of {', '.join(known)}.")
    if evaluation.protocols != "auto" or targets.candidates is None:
        return evaluation
    return replace(evaluation, protocols="full" if metric.startswith("full/") else "candidates")


def build_optimizer(model: nn.Module, settings: TrainingSettings) -> LazyAdam:
    """The optimizer of the settings over what of a model is trained."""
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    on_all = settings.decayed == "weights"
    decayed = {name: "bias" not in name if on_all else p.dim() > 1 for name, p in trained}
    groups = [
        {"params": [p for name, p in trained if decayed[name]], "weight_decay": settings.weight_decay},
        {"params": [p for name, p in trained if not decayed[name]], "weight_decay": 0.0},
    ]
    held = [g for g in groups if g["params"]]
    decoupled, fused = settings.optimizer == "adamw", settings.compile or None
    return LazyAdam(held, decoupled=decoupled, lr=settings.learning_rate, fused=fused)


class _Loop:
    """The moving parts of a run: optimizer, learning rate, averaged weights and the best ones."""

    def __init__(self, model: Recommender, settings: TrainingSettings, steps: int, device: torch.device) -> None:
        self.model, self.settings, self.steps, self.device = model, settings, steps, device
        self.optimizer = build_optimizer(model, settings)
        if settings.compile:
            if device.type == "cpu":
                find_compiler((*COMPILERS, "cl"))  # torch.compile can do with that of Windows as well
            model.compile_parts()
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        self.average = {n: p.detach().clone() for n, p in named} if settings.average else {}
        self.best: dict[str, Tensor] = {}

    def rate(self, step: int) -> float:
        """Learning rate of one step, counted over the whole run."""
        total = self.steps * self.settings.epochs
        warm = self.settings.warmup * total
        if step < warm:
            return self.settings.learning_rate * min(1.0, (step + 1) / warm)
        if self.settings.schedule == "constant":
            return self.settings.learning_rate
        share = (step - warm) / max(total - warm, 1)
        return self.settings.learning_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * share)))

    def epoch(
        self,
        epoch: int,
        sequences: Sequences,
        start: np.ndarray,
        end: np.ndarray,
        step_done: Callable[[int, int], None] | None,
    ) -> dict[str, float]:
        """One pass over all windows; mean of every loss term."""
        size = self.settings.batch_size
        torch.manual_seed((self.settings.seed << 20) + epoch)
        learns_last = self.model.learns_last
        transitions = np.ones(len(start), dtype=np.int64) if learns_last else end - start
        batches = epoch_order(transitions, size, np.random.default_rng([self.settings.seed, epoch]))
        self.model.train()
        self.model.start_epoch(epoch)
        if distributed.count() > 1:
            self._part_ways(epoch, min(len(rows) for rows in batches))
        if not epoch:  # a model may have begun with other weights than it was built with
            self._update_average(1.0)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        sums: dict[str, Tensor] = {}
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16")
        for step, rows in enumerate(batches):
            mine, length = distributed.shard(rows), self.model.max_length
            batch = training_batch(sequences, start[mine], end[mine], length, last_alone=learns_last).to(self.device)
            share = float(transitions[mine].sum() / transitions[rows].sum())
            for group in self.optimizer.param_groups:
                group["lr"] = self.rate(epoch * self.steps + step)
            with autocast:
                terms = self.model.loss(batch)
            self.optimizer.zero_grad(set_to_none=True)
            (terms["total"] * share).backward()  # a mean over these transitions; summed, it is one over all
            distributed.sum_gradients(parameters)
            if self.settings.clip:
                clip_gradients(self.model.parameters(), self.settings.clip)
            self.optimizer.step()
            self._update_average(1 - self.settings.average)
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value.detach() * share
            if step_done is not None:
                step_done(step + 1, len(batches))
        means = {name: float(value) / len(batches) for name, value in distributed.sums(sums).items()}
        if not math.isfinite(means["total"]):
            raise DataError(
                f"The loss is {means['total']} in epoch {epoch + 1}; lower [training] learning_rate or set clip."
            )
        return means

    def _part_ways(self, epoch: int, fewest: int) -> None:
        """What every process does alike has been done: the same weights from here, and chance of one's own."""
        if fewest < distributed.count():
            raise ConfigError(
                f"[training] batch_size {self.settings.batch_size} makes a batch of {fewest} histories for "
                f"{distributed.count()} processes; raise it, or start fewer."
            )
        distributed.copy_first(list(self.model.state_dict().values()))
        seeds = np.random.SeedSequence([self.settings.seed, epoch, distributed.rank()])
        torch.manual_seed(int(seeds.generate_state(1, np.uint64)[0]))

    @torch.no_grad()
    def _update_average(self, share: float) -> None:
        if self.average:
            live = dict(self.model.named_parameters())
            torch._foreach_lerp_(list(self.average.values()), [live[n].detach() for n in self.average], share)

    def averaged(self) -> _Swapped:
        """Within the block the model holds its averaged weights, where there are any."""
        return _Swapped(self.model, self.average)

    def keep_best(self, folder: Path | None, state: TrainingState) -> None:
        weights = self.model.state_dict()
        if folder is not None:
            about = {"epoch": state.epoch, "metric": self.settings.metric, "value": state.best}
            if distributed.is_first():
                save_checkpoint(folder / "best", weights, about)
        else:
            self.best = {k: v.detach().clone() for k, v in weights.items()}

    def restore_best(self, folder: Path | None) -> None:
        if folder is not None:
            load_weights(self.model, folder / "best")
        elif self.best:
            self.model.load_state_dict(self.best)

    def resume(self, folder: Path) -> TrainingState:
        """Load ``last/`` where it exists."""
        last = folder / "last"
        found = load_state(last)
        if found is None:
            return TrainingState()
        state = TrainingState.from_json(found, last / "state.json")
        load_weights(self.model, last)
        load_optimizer(self.optimizer, last / "optimizer.safetensors")
        averages = load_tensors(last / "average.safetensors")
        check_tensors(averages, self.average, last / "average.safetensors")
        self.average = {name: tensor.to(self.device) for name, tensor in averages.items()}
        return state


class _Swapped:
    def __init__(self, model: Recommender, weights: dict[str, Tensor]) -> None:
        self.model, self.weights = model, weights

    def _swap(self) -> None:
        live = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, other in self.weights.items():
                held = live[name].detach().clone()
                live[name].copy_(other)
                other.copy_(held)

    def __enter__(self) -> None:
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()
