"""Every setting of the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lrdgraph.config import at_least
from lrdgraph.errors import ConfigError


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of :func:`lrdgraph.training.trainer.train`.

    Attributes:
        epochs: passes over the training windows, at most.
        batch_size: histories per step.
        learning_rate: peak of Adam's rate.
        weight_decay: on what ``decayed`` says; decoupled with ``"adamw"``, part of the gradient with ``"adam"``.
        decayed: ``"matrices"``, or ``"weights"``: all but biases, gains of layer norms too, as in the public LRD code.
        optimizer: ``"adamw"``, or ``"adam"`` as much published code has it; tables with sparse gradients are stepped a
            row at a time (:class:`lrdgraph.training.lazy_adam.LazyAdam`).
        warmup: share of all steps over which the rate rises from 0.
        schedule: ``"constant"`` or ``"cosine"`` down to 5 % of the peak, after the warm-up.
        clip: largest norm of the gradient; 0 for no limit.
        average: decay of an exponential moving average of the weights, which is what is validated and kept; 0 for none.
        evaluate_every: epochs between validations.
        patience: validations without a better one before stopping; 0 never stops early.
        max_minutes: of training and validating, after which no epoch begins and the one that passes it is validated; 0
            for no limit.
        metric: validation metric to choose by, e.g. ``"full/NDCG@10"``; a missing one is an error.
        seed: of initial weights, order and sampling.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
        precision: ``"float32"``, or ``"bfloat16"`` for autocast.
        compile: the parts of the model that gain from it, by ``torch.compile`` or as C++ of our own, and use torch's
            fused Adam.
    """

    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.0
    decayed: Literal["matrices", "weights"] = "matrices"
    optimizer: Literal["adamw", "adam"] = "adamw"
    warmup: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    clip: float = 0.0
    average: float = 0.0
    evaluate_every: int = 1
    patience: int = 8
    max_minutes: float = 0.0
    metric: str = "full/NDCG@10"
    seed: int = 0
    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False

    def __post_init__(self) -> None:
        at_least(self, "[training] ", epochs=1, batch_size=1, evaluate_every=1)
        at_least(self, "[training] ", patience=0, clip=0, weight_decay=0, max_minutes=0)
        if not 0 <= self.seed < 2**43:  # chance of an epoch follows from 2^20 times it, in 64 bits with a sign
            raise ConfigError(f"[training] seed is {self.seed}; it must be at least 0 and below 2^43, {2**43}.")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"[training] learning_rate is {self.learning_rate}; it must be a number above 0.")
        if not (0 <= self.warmup < 1 and 0 <= self.average < 1):
            raise ConfigError("[training] warmup and average must lie in [0, 1).")
