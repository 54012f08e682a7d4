"""The performance bench: what is held is passed over, rates are as worked by hand, and the page is rendered."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks.speed import bench, stages
from benchmarks.speed.bench import NAMES, ROWS, main
from benchmarks.speed.page import WAITING, render
from benchmarks.speed.page import main as render_main
from benchmarks.speed.peers import figures, rank_scores, run_ours, write_folder
from lrdgraph.errors import ConfigError
from lrdgraph.experiment import ExperimentSettings, experiment_settings
from lrdgraph.experiment.inputs import load_corpus
from lrdgraph.splits import split
from lrdgraph.storage import read_json, write_json
from tests.documents import ROOT

PAGE = ROOT / "docs" / "speed.md"
RESULTS = ROOT / "benchmarks" / "results" / "speed.json"


def test_figures_are_those_of_the_results() -> None:
    text, plots = render(PAGE, RESULTS)
    assert text == PAGE.read_text(encoding="utf-8"), "run python -m benchmarks.speed.page"
    assert all(plot.is_drawn for plot in plots)


@pytest.fixture
def small(tmp_path: Path) -> ExperimentSettings:
    """SASRec on a shop of twelve people, who bought six of ten things each."""
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", f"i{i}", n) for u in range(12) for n, i in enumerate(rng.permutation(10)[:6])]
    pl.DataFrame(rows, schema=["user", "item", "time"], orient="row").write_csv(tmp_path / "interactions.csv")
    return experiment_settings(
        {
            "data": {"source": str(tmp_path)},
            "model": {"name": "sasrec", "hidden_channels": 8, "max_length": 4},
            "training": {"batch_size": 4},
        }
    )


def test_training_is_timed_after_the_first_epoch(small: ExperimentSettings) -> None:
    found = stages.train_stage(small, 2)
    assert found["amount"] == {"target positions": 12 * 3}, "four events of each train"
    assert len(found["seconds"]) == 2
    assert found["steps"] == 3
    assert found["operations"] > 0
    assert found["moved"] > found["compulsory"] > 0
    assert sum(o for _, o, _ in found["operators"].values()) == pytest.approx(found["operations"], abs=len(found))


def test_evaluation_counts_users_and_items(small: ExperimentSettings) -> None:
    found = stages.evaluate_stage(small, 2)
    assert found["amount"] == {"users × items": 12 * 10}
    assert found["median_seconds"] == pytest.approx(np.median(found["seconds"]), abs=1e-4)


def test_ours_beside_peers(small: ExperimentSettings) -> None:
    found = run_ours(small, steps=7, repeats=1)
    assert found["train"]["steps"] == 7, "which is no whole number of epochs"
    assert found["train"]["positions_per_step"] == 12
    assert 0 <= found["metrics"]["full/NDCG@10"] <= 1


def test_what_a_peer_is_given(small: ExperimentSettings, tmp_path: Path) -> None:
    parts = split(load_corpus(small))
    write_folder(tmp_path, small, parts, steps=5, repeats=1, threads=1)
    events = pl.read_csv(tmp_path / "events.csv")
    assert events["time"].is_sorted(), "reading order stands for time, so ties are not broken anew"
    last = events.group_by("user", maintain_order=True).last()
    assert last["role"].unique().to_list() == ["test"]
    assert last["item"].to_list() == parts.targets("test").item.tolist()
    asked = read_json(tmp_path / "settings.json")
    assert (asked["positions"], asked["users"], asked["items"], asked["inner"]) == (12, 12, 10, 16)


def test_scores_of_a_peer_are_ranked_as_ours(small: ExperimentSettings) -> None:
    parts = split(load_corpus(small))
    targets = parts.targets("test")
    scores = np.full((13, 11), -np.inf, dtype=np.float32)
    scores[targets.user, targets.item] = 1.0
    assert rank_scores(scores, small, parts)["full/NDCG@10"] == 1.0
    # what was bought before does not compete, so that the target is second, behind one other thing
    scores[:] = 0.0
    for user, item, start, end in zip(targets.user, targets.item, targets.start, targets.end, strict=True):
        history = targets.events.item[start:end]
        scores[user, history] = 5.0
        scores[user, np.setdiff1d(np.arange(1, 11), [*history, item])[0]] = 2.0
        scores[user, item] = 1.0
    assert rank_scores(scores, small, parts)["full/NDCG@5"] == pytest.approx(1 / np.log2(3))


def test_rates_by_hand() -> None:
    marks = [[0, 0, 0], [4, 2, 8], [8, 4, 8], [10, 5, 8], [12, 6, 8], [20, 9, 0], [21, 9.5, 6], [23, 10.5, 8]]
    found = figures(marks, [[2, 1], [4, 1], [3, 1]], work=600)
    # the first two steps are warm-up; what lies between epochs belongs to no step
    assert found["train"]["positions_per_second"] == np.median([4, 4, 6, 4])
    assert found["train"]["positions_per_cpu_second"] == np.median([8, 8, 12, 8])
    assert found["train"]["seconds"] == 4 + 4 + 2 + 2 + 1 + 2
    assert found["evaluate"]["per_second"] == 200
    assert found["evaluate"]["per_cpu_second"] == 600


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the rows that were measured; nothing is."""
    done: list[str] = []

    def found(name: str, chosen: Any) -> dict[str, Any]:
        if name == "build":
            raise subprocess.CalledProcessError(1, name)
        done.append(name)
        return {"user_cpu_seconds": 1.0}

    monkeypatch.setattr(bench, "in_a_process", found)
    return done


def test_what_is_held_is_passed_over(measured: list[str], tmp_path: Path) -> None:
    out = tmp_path / "speed.json"
    words = ["--data", "x", "--out", str(out), "--only", "train sasrec", "ceiling", "peer recbole"]
    assert main(words) == 0
    assert measured == ["train sasrec", "ceiling"], "no interpreter of RecBole's was named"
    assert list(read_json(out)["rows"]) == ["ceiling", "train sasrec"]
    main(words)
    assert len(measured) == 2
    main([*words, "--again"])
    assert len(measured) == 4
    main([*words, "--threads", "2"])
    assert len(measured) == 6, "another number of threads is another row"
    main([*words[:5], "train sasrec", "--steps", "3", "--threads", "2"])
    assert len(measured) == 6, "the steps of peers are none of its matter"


def test_a_row_that_fails_does_not_stop_the_others(measured: list[str], tmp_path: Path) -> None:
    words = ["--data", "x", "--out", str(tmp_path / "speed.json"), "--only", "build", "enrich"]
    assert main(words) == 1
    assert measured == ["enrich"]
    assert list(read_json(tmp_path / "speed.json")["rows"]) == ["enrich"]


def test_every_row_is_of_an_experiment_that_is_there() -> None:
    assert all(bench.settings_of(row, "x").model_name for row in ROWS.values())
    assert set(ROWS) < set(NAMES)


def test_rows_of_all_cores_take_them_all_and_others_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 6)
    chosen = argparse.Namespace(threads=1, steps=1)
    asked = {name: bench.asked_of(name, chosen) for name in ("public kda-lrd", "public kda-lrd, all cores")}
    assert [held.pop("threads") for held in asked.values()] == [1, 6]
    assert asked["public kda-lrd"] == asked["public kda-lrd, all cores"]


def made_up() -> dict[str, Any]:
    about = {
        "machine": {"platform": "P", "processors": 2, "threads": 1},
        "versions": {"torch": "2"},
        "commit": "c" * 40,
    }
    stage = {"amount": {"target positions": 1000}, "seconds": [2.0], "cpu_seconds": [2.0], "median_seconds": 2.0}
    stage |= {"operations": 50e9, "moved": 10e9, "compulsory": 1e9, "peak_memory_gb": 1.5, "steps": 10}
    stage |= {"step_seconds": 0.2, "step_cpu_seconds": 0.2, "operators": {"mm": [20, 50e9, 1e9], "mul": [10, 0, 9e9]}}
    peer = {"train": {"steps": 5, "positions_per_step": 10.0, "positions_per_second": 400.0}, "parameters": 7}
    peer["train"] |= {"positions_per_cpu_second": 400.0}
    peer |= {"evaluate": {"per_second": 90.0, "per_cpu_second": 90.0}, "metrics": {"full/NDCG@10": 0.25}}
    other = {**peer, "train": {**peer["train"], "positions_per_second": 20.0}, "peer_versions": {"recbole": "1"}}
    public = {"ratio": {"train": 4.5, "evaluate": 9.0}, "fastest": {}, "seconds": {}}
    for side, times in (("public", 9.0), ("ours", 2.0)):
        public["fastest"][side] = {"train": times, "evaluate": times}
        public["seconds"][side] = {"loss": [0.5], "NDCG@5": [0.1]}
    top = {"flops": 100e9, "bytes": 10e9, "shapes": {"square": [8, 8, 8]}, "gflops": {"square": 100.0}}
    rows = {
        "ceiling": top | {"gigabytes": {"copy": 10.0}},
        "train flagship": stage,
        "peer lrdgraph": peer | {"peak_memory_gb": 1.0},
        "peer recbole": other | {"peak_memory_gb": 1.0},
        "public kda-lrd": public,
    }
    return {"rows": {name: row | about for name, row in rows.items()}}


def test_pieces_by_hand(tmp_path: Path) -> None:
    names = ("ratios", "stages", "operators", "before", "peers", "sooner", "ceiling", "plot", "provenance")
    page, results = tmp_path / "page.md", tmp_path / "speed.json"
    page.write_text("# Page\n" + "".join(f"<!-- speed: {name} -->\nold\n<!-- end -->\n" for name in names))
    text, plots = render(page, results)
    assert text.count(WAITING) == len(names)
    assert plots == []
    write_json(results, made_up())
    earlier = made_up()
    earlier["rows"] = {"train flagship": earlier["rows"]["train flagship"] | {"cpu_seconds": [5.0], "moved": 2e10}}
    write_json(tmp_path / "speed-before.json", earlier)
    for seed, values in enumerate(([0.36, 0.37], [0.4, 0.3])):
        write_json(tmp_path / f"office-flagship-seed{seed}.json", {"curve": {"seconds": [10, 26], "value": values}})
    text, plots = render(page, results)
    lines = text.splitlines()
    assert "old" not in text
    assert "| train, flagship, Office | 5 | 2 | 20 | 10 | 1.5 | 1.5 | 2.50 |" in lines
    assert "| RecBole's SASRec | training, target positions/s | 20.0 | 1.0 |" in lines
    assert "| public KDA + LRD | evaluation | 9.0 | – |" in lines
    # 10 GB at 10 GB/s take a second of two, 50 Gop at 100 Gop/s half a second
    stage = next(line for line in lines if line.startswith("| train, flagship"))
    assert stage == "| train, flagship, Office | 500 | target positions | 2 | 2 | 50 | 10 | 1 | 50 % | memory | 1.50 |"
    # a step: 5 Gop take 50 ms, and 0.9 GB 90 ms, one after the other, of 200
    assert "| `mm` | 2 | 5.000 | 100.0 | 50.00 |" in lines
    assert "| `mul` | 1 | 0.000 | 900.0 | 90.00 |" in lines
    assert "would take 140 ms, 70 % of that." in text
    assert "Test full/NDCG@10: ours 0.2500 after 5 steps, RecBole's SASRec 0.2500 after 5 steps." in lines
    assert "- Of peers: recbole: recbole 1" in lines
    # 39 epochs of 9 s and as many evaluations of 9 s; a value of 0.367 is passed in the second epoch, or the first
    told = "after 10 to 26 s (2 seeds): with the slowest 27 times sooner, 14 times if"
    assert any("take 702 s" in line and told in line for line in lines)
    words = ["--page", str(page), "--results", str(results)]
    assert render_main([*words, "--check"]) == 1
    assert render_main(words) == 0
    assert render_main([*words, "--check"]) == 0
    assert plots[0].is_drawn


def test_what_a_page_may_not_ask_for(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text, says in (("ratio -->\n<!-- end -->", "did you mean 'ratios'"), ("stages -->\n", "malformed")):
        page.write_text(f"# Page\n<!-- speed: {text}")
        with pytest.raises(ConfigError, match=says):
            render(page, tmp_path / "none.json")
