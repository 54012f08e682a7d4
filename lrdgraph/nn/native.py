"""C++ of our own: compiled once for a machine, and kept where torch keeps its extensions."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path

import torch

from lrdgraph.errors import ConfigError

COMPILERS = ("g++", "clang++")
FLAGS = ("-O3", "-march=native", "-std=c++20", "-ffp-contract=fast", "-fopenmp", "-fPIC", "-shared")
WHAT_BINARIES_ARE_FOR = ("-march=native", "-dM", "-E", "-x", "c++", os.devnull)
"""Prints what the compiler takes for granted: its version and the instructions of the processor."""


@cache
def load_native(source: Path, *headers: Path) -> None:
    """Make the operators of a C++ file known to ``torch.ops``.

    Several processes may compile at once: each writes a file of its own, which then takes its place in one step.

    Raises:
        ConfigError: there is no compiler, it fails, or what it makes cannot be kept or loaded.
    """
    compiler = find_compiler()
    target = _run([compiler, *WHAT_BINARIES_ARE_FOR])
    parts = [source.read_text(), *(header.read_text() for header in headers), torch.__version__, target, *FLAGS]
    from torch.utils import cpp_extension  # it takes its time, and most programs do not need it

    folder = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or cpp_extension.get_default_build_root()) / "lrdgraph"
    digest = sha256("\0".join(parts).encode()).hexdigest()
    path = folder / f"{source.stem}-{digest[:16]}.so"
    try:
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as beside:
                made = Path(beside) / path.name
                include = [f"-I{each}" for each in cpp_extension.include_paths()]
                link = [*(f"-L{each}" for each in cpp_extension.library_paths()), "-ltorch_cpu", "-lc10"]
                abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
                _run([compiler, *FLAGS, abi, *include, str(source), "-o", str(made), *link])
                made.replace(path)
        torch.ops.load_library(path)
    except OSError as error:
        raise ConfigError(
            f"The compiled layers of this model cannot be kept in {folder} and loaded from there: {error}; set "
            "TORCH_EXTENSIONS_DIR to a folder that can be written, or leave [training] compile out."
        ) from error


def find_compiler(known: Sequence[str] = COMPILERS) -> str:
    """``$CXX``, or the first of those known that is here.

    Raises:
        ConfigError: there is none.
    """
    found = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), *known)))), None)
    if found is None:
        raise ConfigError("[training] compile needs a C++ compiler, as g++; install one, or leave compile out.")
    return found


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[-1:]
        raise ConfigError(
            f"{command[0]} could not compile the layers of this model: {' '.join(said[:1])}; "
            "leave [training] compile out, or set CXX to another compiler."
        )
    return done.stdout
