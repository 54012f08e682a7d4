"""Where a training run stands."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrdgraph.errors import DataError


@dataclass
class TrainingState:
    """Where a run stands; all of it fits into JSON.

    Attributes:
        epoch: epochs done.
        best: best validation metric so far, with ``best_epoch``.
        waited: validations since the best.
        log: one entry per epoch: every loss term, validation metrics, diagnostics, seconds.
    """

    epoch: int = 0
    best: float = -math.inf
    best_epoch: int = 0
    waited: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Of training and validating so far."""
        return sum(entry["seconds"] + entry.get("evaluation_seconds", 0.0) for entry in self.log)

    def to_json(self) -> dict[str, Any]:
        best = self.best if math.isfinite(self.best) else None
        return {
            "epoch": self.epoch,
            "best": best,
            "best_epoch": self.best_epoch,
            "waited": self.waited,
            "log": self.log,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], path: Path) -> TrainingState:
        """The state that ``path`` held.

        Raises:
            DataError: it is no state.
        """
        kinds = {"epoch": int, "best": float | int | None, "best_epoch": int, "waited": int, "log": list}
        if any(not isinstance(value.get(name, ...), kind) for name, kind in kinds.items()):
            raise DataError(f"{path} does not hold the state of a training run; restore it or train anew.")
        best = -math.inf if value["best"] is None else value["best"]
        return cls(value["epoch"], best, value["best_epoch"], value["waited"], value["log"])
