"""Checkpoints: tensors in safetensors, everything else in JSON; loading one runs no code from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lrdgraph.errors import DataError
from lrdgraph.storage import atomic_folder, read_json, settle_folder, write_json


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors to a safetensors file, each contiguous and on the CPU."""
    save_file({k: v.detach().to("cpu").contiguous() for k, v in tensors.items()}, path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        DataError: the file is missing or not whole.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; train again or name the folder of a finished run.") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is not a whole safetensors file ({error}); train again or restore it.") from None


def save_checkpoint(folder: Path, weights: dict[str, Tensor], state: dict[str, Any], **more: dict[str, Tensor]) -> None:
    """Replace ``folder`` by ``model.safetensors``, ``state.json`` and a safetensors file for each of ``more``."""
    with atomic_folder(folder) as out:
        save_tensors(weights, out / "model.safetensors")
        for name, tensors in more.items():
            save_tensors(tensors, out / f"{name}.safetensors")
        write_json(out / "state.json", state)


def load_state(folder: Path) -> dict[str, Any] | None:
    """``state.json`` of a checkpoint, or None where there is no checkpoint.

    Raises:
        DataError: the file is no JSON object.
    """
    settle_folder(folder)
    path = folder / "state.json"
    if not path.exists():
        return None
    state = read_json(path)
    if not isinstance(state, dict):
        raise DataError(f"{path} does not hold the state of a training run; restore it or train anew.")
    return state


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load ``model.safetensors`` into a model built from the same settings and inputs.

    Raises:
        DataError: the file is missing or broken, or names and shapes do not match the model.
    """
    settle_folder(folder)
    path = folder / "model.safetensors"
    weights = load_tensors(path)
    check_tensors(weights, model.state_dict(), path)
    model.load_state_dict(weights)


def check_tensors(found: dict[str, Tensor], expected: dict[str, Tensor], path: Path) -> None:
    """Compare names and shapes of tensors from ``path`` with those they are to replace.

    Raises:
        DataError: a tensor is missing, unknown or of another shape.
    """
    for name in sorted(expected.keys() ^ found.keys()):
        side = "lacks" if name in expected else "holds an unknown"
        raise DataError(f"{path} {side} tensor '{name}'; it belongs to another model or other settings.")
    for name, tensor in found.items():
        if expected[name].shape != tensor.shape:
            held, wanted = tuple(tensor.shape), tuple(expected[name].shape)
            raise DataError(f"{path}: '{name}' has shape {held}, the model expects {wanted}; match data and settings.")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as named tensors, ``"PARAMETER.KEY"`` with parameters numbered."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{k}": torch.as_tensor(v) for i, entry in state.items() for k, v in entry.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, path: Path) -> None:
    """Put tensors from :func:`optimizer_tensors`, saved at ``path``, back.

    Raises:
        DataError: the file is missing or broken, or belongs to other parameters.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_tensors(path).items():
        index, _, key = name.partition(".")
        number = int(index) if index.isdecimal() else len(parameters)
        if number >= len(parameters) or tensor.shape not in (parameters[number].shape, torch.Size()):
            raise DataError(f"{path}: '{name}' fits no parameter of the model; match data and settings.")
        state.setdefault(number, {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
