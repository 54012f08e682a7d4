"""The demo on a small shop: all its parts, and what a second run takes from the first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lrdgraph.cli import demo as demo_module
from lrdgraph.experiment import read_experiment
from tests.cli.conftest import Command

EXPERIMENTS = Path(demo_module.__file__).parent / "experiments"
SMALL = (
    *("model.hidden_channels=8", "model.num_layers=1", "model.num_heads=1", "model.max_length=6"),
    "training.epochs=2",
)


def test_its_experiments_are_read_and_compare_like_with_like() -> None:
    baseline, flagship = (read_experiment(EXPERIMENTS / file) for file in demo_module.EXPERIMENTS.values())
    assert (baseline.model_name, flagship.model_name) == ("sasrec", "lrdgraph")
    assert baseline.data == flagship.data
    assert baseline.evaluation == flagship.evaluation
    assert baseline.text == flagship.text
    assert baseline.model_values["text"]
    assert flagship.model_values["text"]


def test_everything_is_shown_and_a_second_run_trains_nothing(
    lrdgraph: Command, shop: Path, experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"
    changes = [*SMALL, f"text.vectors={experiment.with_suffix('.npy')}"]
    words = ["demo", "--data", shop, "--out", out, *(word for one in changes for word in ("--set", one))]
    first = lrdgraph(*words)
    assert first.status == 0, first.err
    assert "60 users, 24 items" in first.out
    assert first.out.count("epoch 2/2") == 2
    results = {}
    for name in ("ml100k-sasrec", "ml100k-flagship"):
        results[name] = json.loads((out / name / "result.json").read_text())
        assert (out / name / "best" / "model.safetensors").is_file()
    rows = [line.split() for line in first.out.splitlines()]
    for label, held in zip(("SASRec", "lrdgraph"), results.values(), strict=True):
        shown = [f"{held['metrics']['test'][name]:.4f}" for name in ("full/HR@10", "full/NDCG@10")]
        assert any(row[:3] == [label, *shown] for row in rows)
    for relation in range(5):
        assert f"\nlatent_{relation}: " in first.out
    assert "recommendations for user u0" in first.out
    assert "  5. " in first.out
    triples = (out / "relations.tsv").read_text()
    assert triples.startswith("# model: lrdgraph\n")
    assert "\tlatent_4\t" in triples
    for path in (out / "relations.tsv", out / "ml100k-flagship" / "best", out / "ml100k-sasrec" / "result.json"):
        assert str(path) in first.out

    def never(*_: object) -> None:
        raise AssertionError("a finished run is trained again")

    monkeypatch.setattr(demo_module, "run_shown", never)
    second = lrdgraph(*words)
    assert second.status == 0
    assert second.out.count("is trained already") == 2
    # all but the lines of training and the last one, which tells the seconds
    kept = first.out[first.out.index(f"\n{shop.name}, test, full ranking") : first.out.index("\ndone in")]
    assert kept in second.out
