"""The benchmark goes on where it stopped, and never mixes records of different settings or data."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.relations import RESULT, jobs, main, read_result
from lrdgraph.errors import ConfigError
from lrdgraph.quality.discovered import DiscoverySettings
from lrdgraph.quality.kge import EmbeddingSettings
from lrdgraph.storage import read_json, write_json
from tests.graph.worlds import corpus
from tests.quality.worlds import planted_inputs


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The command on a planted shop in place of the data, and its result file."""
    from benchmarks import relations

    small = planted_inputs(80, 60)
    monkeypatch.setattr(relations, "HIDDEN", ("goes_with",))
    monkeypatch.setattr(relations, "load", lambda source: corpus([], events=[[1, 2, 3]]))
    monkeypatch.setattr(relations, "inputs_of", lambda *_: small)
    out = tmp_path / "result.json"

    def call(*words: str) -> tuple[int, dict]:
        status = main(["--data", "there", "--out", str(out), "--seeds", "0", "1", *words])
        return status, read_json(out)["records"] if out.exists() else {}

    return call


def test_it_is_resumed_and_records_what_a_result_rests_on(run, capsys) -> None:
    status, first = run("--only", "pairs", "random")
    assert status == 0
    assert set(first) == {"pairs/random/0", "pairs/random/1"}
    assert first["pairs/random/0"]["metrics"]["brand"]["random"]["MRR"] < 0.2
    assert first["pairs/random/0"]["versions"]["torch"]
    status, second = run("--only", "pairs", "random", "co-occurrence")
    assert set(second) == {*first, "pairs/co-occurrence/0", "pairs/co-occurrence/1"}
    assert second["pairs/random/0"] == first["pairs/random/0"]
    assert "4 asked for, 2 run, 2 were there" in capsys.readouterr().out


def test_other_settings_are_refused_unless_forced(run, capsys) -> None:
    quick = ("--only", "stability", "--discovery", "epochs=1", "hidden_channels=8", "num_latent=2")
    status, first = run(*quick)
    assert status == 0
    assert first["stability/discovery/all"]["metrics"]["own texts"]["states"] == 3
    assert run(*quick, "max_gap=1")[0] == 2
    assert "of other settings; use --force" in capsys.readouterr().err
    status, forced = run(*quick, "max_gap=1", "--force")
    assert status == 0
    assert forced["stability/discovery/all"]["settings"]["max_gap"] == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--only", "complemnt"), "There is no task or method 'complemnt'"),
        (("--discovery", "epoch=3"), "did you mean 'epochs'"),
    ],
)
def test_wrong_words_are_one_sentence(run, capsys, words, says) -> None:
    assert run(*words)[0] == 2
    assert says in capsys.readouterr().err


def test_results_of_another_corpus_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_json(path, read_result(path, corpus([], events=[[1, 2, 3]])))
    with pytest.raises(ConfigError, match="another corpus"):
        read_result(path, corpus([], events=[[1, 2]]))


def test_every_task_has_every_method_and_every_seed() -> None:
    keys = set(jobs(planted_inputs(80, 60), [0, 1], DiscoverySettings(), EmbeddingSettings()))
    assert len(keys) == 8 * 3 * 2 + 1
    assert {"pairs/distmult/0", "complement/discovery/1", "substitute/text/0", "stability/discovery/all"} < keys
    assert RESULT.name == "relations-office.json"
