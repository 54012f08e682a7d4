"""``import lrdgraph`` is light, and its public names are there all the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import lrdgraph

HEAVY = {"torch", "torch_geometric", "transformers", "sklearn", "scipy", "networkx", "numpy", "polars", "pydantic"}
PUBLIC = lrdgraph._MODULES


def heavy_modules_after(code: str) -> set[str]:
    """Which of HEAVY a fresh interpreter has loaded after ``code``."""
    show = f"{code}\nimport sys\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


def test_import_loads_nothing_heavy() -> None:
    assert heavy_modules_after("import lrdgraph; lrdgraph.__version__; dir(lrdgraph)") == set()
    assert "numpy" in heavy_modules_after("import numpy")


def test_corpus_and_settings_need_no_torch() -> None:
    loaded = heavy_modules_after("from lrdgraph import Corpus; import lrdgraph.config")
    assert loaded == {"numpy", "polars", "pydantic"}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_name_is_found(name: str) -> None:
    assert callable(getattr(lrdgraph, name))


def test_type_checkers_see_the_same_names() -> None:
    code = ast.parse(Path(lrdgraph.__file__).read_text(encoding="utf-8"))
    block = next(node for node in code.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == PUBLIC
    assert set(lrdgraph.__all__) == {"__version__", *PUBLIC}
    assert set(lrdgraph.__all__) <= set(dir(lrdgraph))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Corpse'"):
        _ = lrdgraph.Corpse
