"""An export that is killed leaves the last good file, and the next one writes the whole of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lrdgraph.export import export_triples
from tests.export.worlds import enriched

ROOT = Path(__file__).resolve().parents[2]

# dies at the first or second block of rows, at the flush to disk, or at the rename into place
SCRIPT = """
import os, signal, sys
import polars as pl
from lrdgraph.export import export_triples, selection
from tests.export.worlds import enriched

moment, path = sys.argv[1], sys.argv[2]
selection.ROWS_AT_ONCE = 1
calls = 0

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

write = pl.DataFrame.write_csv

def count(self, *args, **kwargs):
    global calls
    calls += 1
    if moment == f"block {calls}":
        die()
    return write(self, *args, **kwargs)

pl.DataFrame.write_csv = count
if moment == "flush":
    os.fsync = die
if moment == "rename":
    os.replace = die
export_triples(enriched(), path, provenance={"seed": 1}, threshold=0.0)
"""


@pytest.mark.parametrize("moment", ["block 1", "block 2", "flush", "rename"])
def test_a_killed_export_leaves_the_file_before_it(moment: str, tmp_path: Path) -> None:
    path = tmp_path / "relations.tsv"
    export_triples(enriched(), path, provenance={"seed": 0})
    before = path.read_bytes()
    killed = subprocess.run([sys.executable, "-c", SCRIPT, moment, str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert export_triples(enriched(), path, provenance={"seed": 1}, threshold=0.0) == 12
    assert path.read_text().count("\n") == before.decode().count("#") + 1 + 12
