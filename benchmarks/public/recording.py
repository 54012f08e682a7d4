"""What programs that record a public model for a test have in common: their command line, and the file they write."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn


def destination(about: str | None, code: str) -> Path:
    """The folder to write to; the checkout of the public ``code`` that was named can be imported from then on."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0] if about else None)
    parser.add_argument("public", type=Path, help=f"checkout of {code}")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    sys.path.insert(0, str(chosen.public / "src"))
    out: Path = chosen.out
    return out


def keep(path: Path, model: nn.Module, batch: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> None:
    """Write weights, the gradients that they have, what went in and what came out."""
    tensors = {f"weight/{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"gradient/{key}": p.grad for key, p in model.named_parameters() if p.grad is not None}
    tensors |= {f"batch/{key}": value for key, value in batch.items()} | {f"out/{k}": v for k, v in out.items()}
    save_file({key: value.detach().clone().contiguous() for key, value in tensors.items()}, path)
