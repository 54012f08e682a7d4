"""``lrdgraph name``: names are written, edited, kept, and seen by all that tells of relations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lrdgraph.experiment import load_run
from tests.cli.conftest import Command
from tests.language.conftest import save_model


@pytest.fixture
def run(discovered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(discovered, tmp_path / "run"))


def test_names_are_proposed_and_kept(lrdgraph: Command, run: Path) -> None:
    answer = lrdgraph("name", run, "--model", "keywords")
    assert answer.status == 0, answer.err
    file = run / "relations.toml"
    assert answer.out.splitlines()[-1] == f"names: {file}, to be edited by hand"
    relations = load_run(run).model.latent_relations
    assert {relation.proposed_by for relation in relations} == {"keywords"}
    for relation in relations:
        assert f"{relation.name}: {relation.label} (proposed by keywords" in answer.out
        assert f"    {relation.description}\n" in answer.out
    before = file.read_bytes()
    assert lrdgraph("name", run, "--model", "keywords").status == 0
    assert file.read_bytes() == before


def by_hand(run: Path) -> None:
    (run / "relations.toml").write_text(
        '[latent_0]\nlabel = "bought <next>"\ndescription = "Mine."\nsymmetric = false\n[latent_1]\nlabel = "like it"\n'
    )


def test_hand_edits_are_kept_unless_forced(lrdgraph: Command, run: Path) -> None:
    assert lrdgraph("name", run, "--model", "keywords").status == 0
    file = run / "relations.toml"
    lines = file.read_text().splitlines()
    edited = ['description = "Edited."' if line.startswith("description") else line for line in lines]
    edited[edited.index('description = "Edited."')] = 'description = "Mine alone."'
    first = edited.index("[latent_0]")
    edited = [line for n, line in enumerate(edited) if n < first or not line.startswith("label")]
    edited.insert(first + 1, 'label = "my own"')
    edited.insert(edited.index("[latent_1]") + 1, 'label = "latent_1"')
    file.write_text("\n".join(edited) + "\n")
    answer = lrdgraph("name", run, "--model", "keywords")
    assert answer.status == 0, answer.err
    assert "latent_0: my own (by hand, kept" in answer.out
    assert load_run(run).model.latent_relations[0].description == "Mine alone."
    assert lrdgraph("name", run, "--model", "keywords", "--force").status == 0
    assert {relation.proposed_by for relation in load_run(run).model.latent_relations} == {"keywords"}
    assert "my own" not in file.read_text()


@pytest.mark.parametrize("line", ['description = "Mine."', "symmetric = true"])
def test_an_edit_of_another_line_than_the_label_is_kept(line: str, lrdgraph: Command, run: Path) -> None:
    file = run / "relations.toml"
    file.write_text(f'[latent_0]\nlabel = "latent_0"\n{line}\n')
    before = load_run(run).model.latent_relations[0]
    answer = lrdgraph("name", run, "--model", "keywords")
    assert answer.status == 0, answer.err
    assert "latent_0: latent_0 (by hand, kept" in answer.out
    assert "latent_1: latent_1 (proposed by keywords" in answer.out
    assert load_run(run).model.latent_relations[0] == before
    assert f'[latent_0]\nlabel = "latent_0"\n{line}\n' in file.read_text()


def test_names_are_seen_everywhere(lrdgraph: Command, run: Path, tmp_path: Path) -> None:
    by_hand(run)
    told = lrdgraph("relations", run).out
    assert "bought <next> (latent_0): " in told
    assert "  Mine. · head → tail\n" in told
    assert "like it (latent_1): " in told
    plain = json.loads(lrdgraph("relations", run, "--json").out)
    assert [(one["name"], one["label"], one["symmetric"]) for one in plain] == [
        ("latent_0", "bought <next>", False),
        ("latent_1", "like it", None),
    ]
    words = ("recommend", run, "--history", "i3,i4", "-k", "24", "--reasons", "20", "--json")
    reasons = [reason for one in json.loads(lrdgraph(*words).out)["recommendations"] for reason in one["reasons"]]
    assert {"bought <next>", "like it"} & {reason["relation"] for reason in reasons}
    assert not any(reason["relation"].startswith("latent_") for reason in reasons)
    graph = load_run(run).model.enriched()  # type: ignore[operator]
    assert [(r.name, r.label) for r in graph.latent] == [("latent_0", "bought <next>"), ("latent_1", "like it")]
    file = tmp_path / "latent.tsv"
    assert lrdgraph("export", run, "--to", file, "--threshold", "0", "--relation", "latent_1").status == 0
    assert "\tlatent_1\t" in file.read_text()


def test_a_local_model(lrdgraph: Command, run: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", "causal")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    answer = lrdgraph("name", run, "--model", model, "--pairs", "2", "--tokens", "3", "--device", "cpu")
    assert answer.status == 0, answer.err
    assert "naming relations: 2 of 2" in answer.out
    assert len(load_run(run).model.latent_relations) == 2


def test_what_is_wrong_is_one_sentence(lrdgraph: Command, run: Path, trained: Path) -> None:
    file = run / "relations.toml"
    file.write_text("[latent_0]\nlabel = ''\n")
    for words in (("name", run), ("relations", run), ("recommend", run, "--history", "i3")):
        answer = lrdgraph(*words)
        assert answer.status == 2
        assert answer.err == f"error: {file} [latent_0] is wrong: its label is empty; write one, or remove the entry.\n"
    assert "SASRec discovers no relations" in lrdgraph("name", trained, "--model", "keywords").err
    assert not (trained / "relations.toml").exists()
    file.unlink()
    assert "must be at least 1" in lrdgraph("name", run, "--pairs", "0").err
    assert "'no/such/model/there' does not exist" in lrdgraph("name", run, "--model", "no/such/model/there").err
    assert not file.exists()
