"""Every command on a small shop: exit status, what is said, and what is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from data_loaders import load
from lrdgraph.cli import train as train_module
from lrdgraph.cli.console import say
from lrdgraph.cli.recommend import WRITERS, ids_of
from tests.cli.conftest import Command
from tests.cli.world import DAY, ITEMS, USERS
from tests.language.conftest import save_model


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def test_prepare_says_what_there_is_and_saves_it(lrdgraph: Command, shop: Path, tmp_path: Path) -> None:
    answer = lrdgraph("prepare", shop, "--out", tmp_path / "corpus")
    assert answer.status == 0
    assert f"{USERS} users, {ITEMS} items, 480 interactions (density 33.333%)" in answer.out
    assert "item fields: title, brand" in answer.out
    assert "360 train, 60 validation, 60 test" in answer.out
    words = [line.split() for line in answer.out.splitlines()]
    assert ["complement", "24", "24"] in words
    assert ["made_by", "24", "0"] in words
    assert "dropped: nothing" in answer.out
    assert load(tmp_path / "corpus").fingerprint == load(shop).fingerprint
    assert lrdgraph("prepare", tmp_path / "corpus", "--out", tmp_path / "corpus").status == 0


def test_prepare_names_what_it_drops_and_takes_options(lrdgraph: Command, shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(shop, folder)
    with (folder / "triples.tsv").open("a") as file:
        file.write("i1\tcomplement\ti2\n")  # a second time
    answer = lrdgraph("prepare", folder, "--out", tmp_path / "corpus", "--format", "tables", "--option", "name=other")
    assert answer.out.startswith(f"other: {USERS} users")
    assert "dropped: 1 " in answer.out


def test_prepare_makes_attributes_of_fields(lrdgraph: Command, shop: Path, tmp_path: Path) -> None:
    answer = lrdgraph("prepare", shop, "--out", tmp_path / "corpus", "--attributes", "brand", "--separator", "|")
    assert ["brand", str(ITEMS), "0"] in [line.split() for line in answer.out.splitlines()]
    assert "brand" in load(tmp_path / "corpus").triples.names
    refused = lrdgraph("prepare", shop, "--out", tmp_path / "other", "--attributes", "brant")
    assert refused.err.startswith("error: The items have no field 'brant' (did you mean 'brand'?)")
    refused = lrdgraph("prepare", shop, "--out", tmp_path / "other", "--separator", "|")
    assert "--separator parts the values of --attributes, which are not given; name a field." in refused.err
    assert not (tmp_path / "other").exists()


def test_synthesize_is_read_by_prepare(lrdgraph: Command, tmp_path: Path) -> None:
    answer = lrdgraph("synthesize", tmp_path / "tables", "--items", "160", "--interactions-per-item", "5")
    assert answer.status == 0
    assert "160 items, 800 interactions" in answer.out
    assert "planted_0, planted_1, planted_2, planted_3 (recorded: 1;" in answer.out
    prepared = lrdgraph("prepare", tmp_path / "tables", "--out", tmp_path / "corpus")
    assert "160 items, 800 interactions" in prepared.out
    refused = lrdgraph("synthesize", tmp_path / "other", "--items", "100")
    assert refused.err == "error: items is 100; it must be a multiple of 8, as 104.\n"


def test_random_vectors_are_not_said_to_be_kept(lrdgraph: Command, shop: Path, cache: Path) -> None:
    answer = lrdgraph("encode", shop, "--set", "text.model=random")
    assert answer.status == 0, answer.err
    assert answer.out.endswith("numbers by random, which are drawn anew where they are used: nothing is kept\n")
    assert not cache.exists()


def test_encode_once(lrdgraph: Command, shop: Path, tmp_path: Path, cache: Path) -> None:
    model = save_model(tmp_path / "model", "encoder")
    words = ("encode", shop, "--set", f"text.model={model}", "--set", "text.batch_size=4")
    first, second = lrdgraph(*words), lrdgraph(*words)
    assert first.status == second.status == 0
    assert f"encoding item texts: {ITEMS} of {ITEMS}" in first.out
    assert f"{ITEMS} vectors of 16 numbers" in first.out
    assert "(already there)" not in first.out
    assert "(already there)" in second.out
    assert "encoding" not in second.out
    path = Path(second.out.splitlines()[-1].removeprefix("in "))
    assert path.is_relative_to(cache)
    assert np.load(path).shape == (ITEMS, 16)


def test_train_writes_validation_alone(trained: Path) -> None:
    held = result(trained)
    assert set(held["metrics"]) == {"validation"}
    assert 0 <= held["metrics"]["validation"]["full/NDCG@10"] <= 1
    assert held["epochs"] == 3


def test_train_logs_for_tensorboard(lrdgraph: Command, experiment: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    words = ("train", experiment, "--out", tmp_path / "run", "--set", "training.epochs=1")
    assert lrdgraph(*words, "--tensorboard", tmp_path / "board").status == 0
    assert [path.name.split(".")[0] for path in (tmp_path / "board").iterdir()] == ["events"]
    assert not list((tmp_path / "run").glob("events*"))


def test_train_shows_epochs_and_table(lrdgraph: Command, experiment: Path, tmp_path: Path) -> None:
    words = ("train", experiment, "--out", tmp_path / "run", "--seed", "3", "--set", "training.epochs=2")
    answer = lrdgraph(*words)
    assert answer.status == 0, answer.err
    epochs = [line for line in answer.out.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/2", "2/2"]
    held = result(tmp_path / "run")
    assert held["seed"] == 3
    value = f"{held['metrics']['validation']['full/HR@10']:.4f}"
    assert ["full", "HR@10", value] in [line.split() for line in answer.out.splitlines()]
    assert str(tmp_path / "run" / "best") in answer.out
    again = lrdgraph(*words)
    assert "nothing was left to train" in again.out
    assert result(tmp_path / "run")["metrics"] == held["metrics"]


def test_an_interrupted_training_goes_on(
    lrdgraph: Command, experiment: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(line: str = "") -> None:
        if line.startswith("epoch 2"):
            raise KeyboardInterrupt
        say(line)

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "say", interrupt)
        answer = lrdgraph("train", experiment, "--out", tmp_path / "run")
    assert answer.status == 130
    assert answer.err == "interrupted: run the same command again to go on from the last good state.\n"
    assert not (tmp_path / "run" / "result.json").exists()
    resumed = lrdgraph("train", experiment, "--out", tmp_path / "run")
    assert f"resuming the run in {tmp_path / 'run'} after epoch 2 of 3" in resumed.out
    assert "epoch 3/3" in resumed.out
    assert "epoch 2/3" not in resumed.out
    assert result(tmp_path / "run")["metrics"] == result(trained)["metrics"]


def test_evaluate_adds_and_shows(lrdgraph: Command, discovered: Path, shop: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(discovered, run)
    before = result(run)["metrics"]["validation"]
    answer = lrdgraph("evaluate", run, "--split", "test", "--data", shop)
    assert answer.status == 0, answer.err
    metrics = result(run)["metrics"]
    assert set(metrics) == {"validation", "test", "test@last-event"}
    assert metrics["validation"] == before
    rows = [line.split() for line in answer.out.splitlines()]
    values = [f"{metrics[role]['full/NDCG@10']:.4f}" for role in ("test", "test@last-event")]
    assert values[0] != values[1]
    assert ["full", "NDCG@10", *values] in rows
    counts = {" ".join(row[1:-6]): row[-6] for row in rows if len(row) > 6 and row[0] == "full"}
    assert counts["tied"] == "0"
    assert counts["untied"] == str(USERS)
    assert "degree 6-20" in counts
    # what was measured in training is measured again
    assert lrdgraph("evaluate", run, "--split", "validation").status == 0
    assert result(run)["metrics"]["validation"] == before


def test_recommend_for_a_history(lrdgraph: Command, trained: Path) -> None:
    answer = lrdgraph("recommend", trained, "--history", "i3,i4,i5", "--times", f"0,{DAY},1970-01-03", "-k", "3")
    assert answer.status == 0, answer.err
    ranked = [line for line in answer.out.splitlines() if line[:4].strip().rstrip(".").isdigit()]
    assert [line.split(".")[0].strip() for line in ranked] == ["1", "2", "3"]
    assert "green steel [i5]" in answer.out
    assert not any("[i3]" in line for line in ranked)


def test_recommend_for_a_user_is_that_of_their_history(lrdgraph: Command, trained: Path, shop: Path) -> None:
    rows = [line.split(",") for line in (shop / "interactions.csv").read_text().split()[1:]]
    items, times = zip(*((item, time) for user, item, time in rows if user == "u7"), strict=True)
    by_user = lrdgraph("recommend", trained, "--user", "u7", "--json")
    by_history = lrdgraph("recommend", trained, "--history", ",".join(items), "--times", ",".join(times), "--json")
    assert by_user.status == 0, by_user.err
    assert json.loads(by_user.out) == json.loads(by_history.out)
    told = json.loads(by_user.out)
    assert told["history"] == list(items)
    assert set(told["recommendations"][0]) == {"item", "title", "score", "reasons"}


@pytest.mark.parametrize("suffix", list(WRITERS))
def test_recommend_for_everyone(lrdgraph: Command, trained: Path, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "out" / f"all{suffix}"
    answer = lrdgraph("recommend", trained, "--to", file, "-k", "3")
    assert answer.status == 0, answer.err
    assert f"{3 * USERS} recommendations for {USERS} people" in answer.out
    table = {
        ".parquet": pl.read_parquet,
        ".csv": pl.read_csv,
        ".tsv": lambda path: pl.read_csv(path, separator="\t"),
        ".jsonl": pl.read_ndjson,
    }[suffix](file)
    assert table.columns == ["user", "rank", "item", "score"]
    one = json.loads(lrdgraph("recommend", trained, "--user", "u7", "-k", "3", "--json").out)["recommendations"]
    assert table.filter(pl.col("user") == "u7")["item"].to_list() == [found["item"] for found in one]


def test_recommend_some_items_alone(lrdgraph: Command, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "stock.txt").write_text("i1\n\ni2\r\n i3\ni4\n")
    (tmp_path / "gone.txt").write_text("\ufeffi2\n", encoding="utf-8")
    some = ("--only", tmp_path / "stock.txt", "--exclude", tmp_path / "gone.txt", "-k", "9")
    told = json.loads(lrdgraph("recommend", trained, "--history", "i4", "--json", *some).out)["recommendations"]
    assert sorted(one["item"] for one in told) == ["i1", "i3"]
    assert lrdgraph("recommend", trained, "--to", tmp_path / "all.csv", *some).status == 0
    assert set(pl.read_csv(tmp_path / "all.csv")["item"]) <= {"i1", "i3", "i4"}


def test_an_id_may_hold_a_comma_or_a_space() -> None:
    assert ids_of("a, b ,c") == ["a", "b", "c"]
    assert ids_of('"pens, blue",d') == ["pens, blue", "d"]
    assert ids_of('"d "') == ["d "]


def test_reasons_are_told_by_title(lrdgraph: Command, discovered: Path) -> None:
    words = ("recommend", discovered, "--history", "i3", "--times", "0", "--at", "1970-01-04", "-k", str(ITEMS))
    answer = lrdgraph(*words)
    assert answer.status == 0, answer.err
    assert "of steel lamp, 3 days ago" in answer.out
    told = json.loads(lrdgraph(*words, "--reasons", "1", "--json").out)["recommendations"]
    reasons = [reason for one in told for reason in one["reasons"]]
    assert reasons
    assert all(len(one["reasons"]) <= 1 for one in told)
    assert {reason["title"] for reason in reasons} == {"steel lamp"}
    assert {reason["seconds_ago"] for reason in reasons} == {3 * DAY}


def test_relations_by_title(lrdgraph: Command, discovered: Path) -> None:
    answer = lrdgraph("relations", discovered, "--examples", "2")
    assert answer.status == 0, answer.err
    assert "latent_0: " in answer.out
    assert "latent_1: " in answer.out
    assert answer.out.count(" → ") == 4
    told = json.loads(lrdgraph("relations", discovered, "--examples", "2", "--json").out)
    assert [one["name"] for one in told] == ["latent_0", "latent_1"]
    assert sum(one["usage"] for one in told) == pytest.approx(1, abs=1e-3)
    example = told[0]["examples"][0]
    assert f"{example['head_title']} → {example['tail_title']}" in answer.out
    assert set(told[0]["overlap"]["complement"]) == {"top", "all"}


def test_export_is_read_back_as_relations(lrdgraph: Command, discovered: Path, shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "out" / "latent.tsv"
    answer = lrdgraph("export", discovered, "--to", file, "--threshold", "0", "--top-k", "1", "--relation", "latent_1")
    assert answer.status == 0, answer.err
    assert answer.out == f"{ITEMS} triples in {file}\n"
    text = file.read_text()
    assert f"# corpus: {load(shop).fingerprint}\n" in text
    assert "# model: lrdgraph\n" in text
    corpus = load(shop, triples=file)
    assert corpus.triples.names == ("latent_1",)
    assert len(corpus.triples) == ITEMS
