"""What a result rests on: versions, machine, data and code."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from lrdgraph import distributed

_PACKAGES = ("lrdgraph", "torch", "torch-geometric", "transformers", "numpy", "polars")


def provenance() -> dict[str, Any]:
    """Versions, processor, threads and git commit of the code at hand."""
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "machine": {
            "platform": platform.platform(terse=True),
            "processors": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "processes": distributed.count(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "commit": _commit(),
    }


def peak_memory() -> float:
    """Largest resident memory of this process so far, GB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used * (1 if sys.platform == "darwin" else 1024) / 1e9, 3)


CODE = ("lrdgraph", "data_loaders", "benchmarks/*.py", "benchmarks/experiments", "benchmarks/tables", "pyproject.toml")
"""What a run rests on."""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Commit of the checkout this module stands in, marked where its code differs; results may come and go."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        answers = [
            subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "--", *CODE])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return answers[0] + ("+changes" if answers[1] else "")
