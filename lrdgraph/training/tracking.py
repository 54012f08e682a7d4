"""Epochs for TensorBoard to show."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from lrdgraph.errors import MissingExtraError


class TensorBoard:
    """Writes the log entry of each epoch as scalars; called as the ``report`` of a training run.

    Tags are ``loss/…`` for every term of the loss, ``validation/…`` for every metric, ``diagnostics/…`` and
    ``seconds/…``; the step is the epoch. A run that is resumed goes on in the same folder.

    Args:
        folder: of the event files; ``tensorboard --logdir`` reads it, or a folder above it.

    Raises:
        MissingExtraError: tensorboard is not installed.
    """

    def __init__(self, folder: Path | str) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError:
            raise MissingExtraError(
                "TensorBoard is not installed; install it with 'pip install lrdgraph[tensorboard]' or train without it."
            ) from None
        self._writer = SummaryWriter(str(folder))

    def __call__(self, entry: dict[str, Any]) -> None:
        for tag, value in scalars(entry).items():
            self._writer.add_scalar(tag, value, entry["epoch"])
        self._writer.flush()

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()


def scalars(entry: dict[str, Any]) -> dict[str, float]:
    """Tag → value for all that a log entry of the trainer holds."""
    found = {"seconds/training": entry["seconds"]}
    if "evaluation_seconds" in entry:
        found["seconds/validation"] = entry["evaluation_seconds"]
    for section in ("loss", "validation", "diagnostics"):
        found |= {f"{section}/{name}": value for name, value in entry.get(section, {}).items()}
    return found
