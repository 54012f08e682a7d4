"""Settings are put into a file as a hand would: everything else stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.write_back import write_back
from lrdgraph.config import read_toml
from lrdgraph.errors import ConfigError

FILE = """# A model.
name = "m"

[model]
name = "sasrec"
dropout = 0.3  # not searched
drop = 1

[training]
epochs = 20

# the end
"""


def test_replaced_and_added(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(FILE)
    write_back(
        path, {"model.dropout": 0.25, "model.text": True, "training.schedule": "cosine", "graph.inverses": False}
    )
    assert path.read_text() == (
        FILE.replace("dropout = 0.3  #", "dropout = 0.25  #")
        .replace("drop = 1\n", "drop = 1\ntext = true\n")
        .replace("# the end\n", '# the end\nschedule = "cosine"\n\n[graph]\ninverses = false\n')
    )
    assert read_toml(path)["model"] == {"name": "sasrec", "dropout": 0.25, "drop": 1, "text": True}


def test_nothing_changes_what_stands_already(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(FILE)
    write_back(path, {"model.dropout": 0.3, "training.epochs": 20})
    assert path.read_text() == FILE


@pytest.mark.parametrize("text", ["model = { dropout = 0.3 }\n", "model.dropout = 0.3\n", '[model]\n"dropout" = 0.3\n'])
def test_a_file_that_cannot_be_followed_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="by hand"):
        write_back(path, {"model.dropout": 0.1})
    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]
