"""The command line as a whole: help, version, modules of a user's own, and what becomes of errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from polars.exceptions import ComputeError
from safetensors import SafetensorError

from lrdgraph import __version__
from lrdgraph.cli import train as train_module
from lrdgraph.models import registry
from tests.cli.conftest import Command

COMMANDS = (
    *("download", "prepare", "synthesize", "encode", "train", "evaluate", "recommend"),
    *("relations", "name", "quality", "export", "demo"),
)
OWN_MODEL = """
from dataclasses import dataclass
import torch
from lrdgraph.models.base import Recommender, pick
from lrdgraph.models.registry import register

@dataclass(frozen=True)
class Nothing:
    pass

@register("newest")
class Newest(Recommender):
    Settings, trainable = Nothing, False
    def score(self, batch, candidates=None):
        numbers = torch.arange(self.inputs.num_items + 1.0)
        return pick(numbers.expand(len(batch), -1), candidates)
"""


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from lrdgraph.cli import main; status = main(['--help']); "
        "print('loaded', *({'torch', 'polars', 'transformers', 'numpy'} & set(sys.modules))); sys.exit(status)"
    )
    times = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - began)
    assert done.stdout.splitlines()[-1] == "loaded"
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)
    assert min(times) <= 1.5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(lrdgraph: Command, command: str) -> None:
    answer = lrdgraph(command, "--help")
    assert (answer.status, answer.err) == (0, "")
    assert f"Usage: lrdgraph {command}" in answer.out


def test_version_and_no_command(lrdgraph: Command) -> None:
    assert lrdgraph("--version").out == f"lrdgraph {__version__}\n"
    answer = lrdgraph()
    assert answer.status == 0
    assert answer.out.startswith("Usage: lrdgraph")


def test_python_dash_m() -> None:
    done = subprocess.run([sys.executable, "-m", "lrdgraph.cli", "trian"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: No such command 'trian'")
    assert "did you mean 'train'" in done.stderr.lower()


def test_a_model_of_a_users_own(lrdgraph: Command, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_newest.py").write_text(OWN_MODEL)
    file = tmp_path / "own.toml"
    file.write_text(f'[data]\nsource = "{shop}"\n[model]\nname = "newest"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert "There is no model 'newest'" in lrdgraph("train", file, "--out", "run").err
    trained = lrdgraph("--import", "own_newest", "train", file, "--out", "run")
    assert trained.status == 0, trained.err
    found = lrdgraph("--import", "own_newest", "recommend", "run", "--history", "i1", "-k", "1")
    assert found.status == 0
    assert "  1. " in found.out


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/x"), "No space left on device at runs/x"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/x"), "Permission denied at runs/x"),
        (MemoryError(), "not enough memory"),
        (ComputeError("parquet: underlying IO error: No space left on device (os error 28)"), "No space left on dev"),
        (SafetensorError("Error while serializing: I/O error: denied (os error 13) at path x"), "denied (os error 13)"),
        (RuntimeError("Error in faiss::write_index: write error in x: 1 != 2"), "cannot be read or written"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried"), "not enough memory"),
    ],
)
def test_what_the_machine_lacks_is_one_sentence(
    lrdgraph: Command,
    experiment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    says: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(train_module, "run_shown", fail)
    answer = lrdgraph("train", experiment, "--out", tmp_path / "run")
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert says in answer.err
    assert answer.err.count("\n") == 1


def test_a_defect_keeps_its_traceback(
    lrdgraph: Command, experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(train_module, "run_shown", fail)
    with pytest.raises(ZeroDivisionError, match="ours"):
        lrdgraph("train", experiment, "--out", tmp_path / "run")


def test_what_the_terminal_cannot_write_is_replaced(discovered: Path) -> None:
    narrow = os.environ | {"PYTHONIOENCODING": "latin-1"}
    words = [sys.executable, "-m", "lrdgraph.cli", "relations", str(discovered)]
    done = subprocess.run(words, capture_output=True, env=narrow, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"latent_0" in done.stdout
    assert b"?" in done.stdout, "the arrow between head and tail"
