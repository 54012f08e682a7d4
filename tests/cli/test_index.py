"""``lrdgraph index`` and ``lrdgraph recommend --index``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Command


@pytest.fixture
def run(discovered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(discovered, tmp_path / "run"))


@pytest.mark.parametrize("kind", ["flat", "ivf", "hnsw"])
def test_an_index_answers_as_the_model_does(lrdgraph: Command, run: Path, kind: str) -> None:
    made = lrdgraph("index", run, "--kind", kind)
    assert made.status == 0, made.err
    assert f"{run / 'index'}\n" in made.out
    assert made.out.startswith(f"ItemIndex({kind} of 24 items of Flagship")
    words = ("recommend", run, "--history", "i3,i4", "-k", "5", "--reasons", "2", "--json")
    exact, found = json.loads(lrdgraph(*words).out), json.loads(lrdgraph(*words, "--index", "--hits", "8").out)
    for one, other in zip(exact["recommendations"], found["recommendations"], strict=True):
        assert other["score"] == pytest.approx(one["score"], abs=1e-4)
        assert [why["item"] for why in other["reasons"]] == [why["item"] for why in one["reasons"]]


def test_settings_are_kept(lrdgraph: Command, run: Path) -> None:
    assert lrdgraph("index", run, "--kind", "hnsw", "--breadth", "32", "--at", "1997-06-01").status == 0
    about = json.loads((run / "index" / "index.json").read_text())
    assert (about["kind"], about["breadth"], about["at"]) == ("hnsw", 32, 865_123_200)


def test_what_is_wrong_is_one_sentence(lrdgraph: Command, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("recommend", run, "--history", "i3")
    for wrong, says in (
        ((*words, "--index"), f"There is no index in {run / 'index'}; build it with"),
        ((*words, "--hits", "9"), "--hits is how many items of an index are scored; give it with --index."),
        (("index", run, "--kind", "tree"), "'tree' is not one of 'flat', 'ivf', 'hnsw'"),
        (("index", run, "--breadth", "0"), "breadth is 0; it must be 1 or more."),
        (("index", run, "--at", "noon"), "--at has 'noon', which is no moment"),
    ):
        answer = lrdgraph(*wrong)
        assert (answer.status, answer.err.count("\n")) == (2, 1)
        assert says in answer.err
        assert not (run / "index").exists()

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("lrdgraph.faiss.import_module", missing)
    answer = lrdgraph("index", run)
    assert answer.err == "error: An index of vectors needs faiss; install it with 'pip install lrdgraph[index]'.\n"
    assert not (run / "index").exists()


def test_a_model_that_no_index_serves(lrdgraph: Command, trained: Path, run: Path) -> None:
    assert lrdgraph("index", run).status == 0
    shutil.copytree(run / "index", trained.parent / "other" / "index")
    other = Path(shutil.copytree(trained, trained.parent / "other", dirs_exist_ok=True))
    assert "of other weights than those of the model" in lrdgraph("recommend", other, "--history", "i3", "--index").err
    shutil.rmtree(other)
