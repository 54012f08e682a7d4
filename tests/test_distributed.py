"""What someone who works alone is told, and how things are divided; tests/training has two processes at work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lrdgraph import distributed
from lrdgraph.errors import ConfigError
from lrdgraph.language import encoder
from lrdgraph.naming import chat
from lrdgraph.training import trainer

ROOT = Path(__file__).resolve().parents[1]


def test_alone_it_costs_nothing() -> None:
    assert (distributed.rank(), distributed.count(), distributed.is_first()) == (0, 1, True)
    rows = np.arange(5)
    assert distributed.shard(rows).tolist() == rows.tolist()
    assert distributed.block(7) == slice(0, 7)
    assert distributed.part(9) == 9
    assert distributed.agreed(0.1) == 0.1
    assert distributed.mean_factor(3, 7) == 1.0
    assert distributed.gather(rows)[0] is rows
    values = {"a": torch.ones(())}
    assert distributed.sums(values) is values
    with distributed.processes(), distributed.first_before_others():
        assert distributed.count() == 1
    assert (
        "torch"
        not in subprocess.run(
            [sys.executable, "-c", "import lrdgraph.distributed, sys; print(*sys.modules)"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    )


@pytest.mark.parametrize("number", [0, 1, 5, 8])
def test_shares_are_the_whole(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shards, blocks = [], []
    for rank in range(3):
        monkeypatch.setattr(distributed, "_place", (rank, 3))
        shards += distributed.shard(np.arange(number)).tolist()
        blocks += list(range(number)[distributed.block(number)])
    assert sorted(shards) == blocks == list(range(number))


@pytest.mark.parametrize("given", ["nan", "inf", "-1", "0", "1e300", "soon"])
def test_a_timeout_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LRDGRAPH_TIMEOUT", given)
    told = pytest.raises(ConfigError, match="LRDGRAPH_TIMEOUT must be a number of seconds above 0")
    with told, distributed.processes():
        pass


def test_one_rule_says_which_device_there_is() -> None:
    assert encoder.device_of is trainer.device_of is chat.device_of is distributed.device_of
    assert distributed.device_of("cpu") == torch.device("cpu")
    assert distributed.device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for name in ("abacus", "mps" if not torch.backends.mps.is_available() else "cuda:99"):
        with pytest.raises(ConfigError, match=rf"^There is no device '{name}' here; use 'auto' or 'cpu'\.$"):
            distributed.device_of(name)
