"""Bad input at the command line: status 2, one line that begins with "error: ", and nothing half-written."""

# ruff: noqa: E501 - one case, one line

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from tests.cli.world import write_shop

Words = tuple[str, ...]


def nothing(_: Path) -> None:
    """Leave the run as it is."""


def cut(*names: str) -> Callable[[Path], None]:
    """Keep half of a file of the run."""

    def change(run: Path) -> None:
        path = run.joinpath(*names)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return change


def remove(*names: str) -> Callable[[Path], None]:
    return lambda run: run.joinpath(*names).unlink()


def put(name: str, text: str) -> Callable[[Path], None]:
    return lambda run: (run / name).write_text(text) and None


def other_shop(run: Path) -> None:
    write_shop(run.parent / "other", seed=1)


def folder_of_mine(run: Path) -> None:
    (run.parent / "mine").mkdir()
    (run.parent / "mine" / "thesis.txt").write_text("years of work")


def inputs_of_mine(run: Path) -> None:
    (run.parent / "mine" / "inputs").mkdir(parents=True)
    (run.parent / "mine" / "inputs" / "raw.csv").write_text("years of work")


@dataclass(frozen=True)
class Case:
    """The words of a command, in which {run}, {tmp}, {shop}, {experiment} and {baseline} stand for paths."""

    name: str
    words: str
    says: Words
    change: Callable[[Path], None] = nothing


NEW = "--out {tmp}/new"
# fmt: off
CASES = [
    # the words themselves
    Case("no such command", "trian", ("No such command 'trian'", "lrdgraph --help")),
    Case("argument missing", "prepare", ("Missing argument", "'lrdgraph prepare --help'")),
    Case("option missing", "train {experiment}", ("Missing option '--out'",)),
    Case("not a number", "recommend {run} --history i1 -k many", ("Invalid value for '-k'",)),
    Case("no such role", "evaluate {run} --split tset", ("'tset' is not one of 'test', 'validation'",)),
    Case("module missing", "--import no.such.module train {experiment} " + NEW, ("module 'no.such.module'",)),
    # data
    Case("source missing", "prepare {tmp}/nowhere " + NEW, ("nowhere does not exist",)),
    Case("source of no format", "prepare {tmp}/mine " + NEW, ("is in no known format",), folder_of_mine),
    Case("format unknown", "prepare {shop} --format table " + NEW, ("no format 'table'", "did you mean 'tables'?")),
    Case("option unknown", "prepare {shop} --option nmae=x " + NEW, ("no option 'nmae'", "did you mean 'name'?")),
    Case("option of the wrong type", "prepare {shop} --option name=4 " + NEW, ("Option 'name' of format 'tables'", "got 4")),
    Case("option malformed", "prepare {shop} --option name " + NEW, ("'name' is not of the form key=value",)),
    Case("out holds other files", "prepare {shop} --out {tmp}/mine", ("holds files that are not a corpus",), folder_of_mine),
    Case("out is a file", "prepare {shop} --out {experiment}", ("is a file",)),
    Case("encode what is missing", "encode {tmp}/nowhere", ("nowhere does not exist",)),
    Case("encode given vectors", "encode {shop} --config {experiment}", ("no text is encoded",)),
    Case("encode by a value for a section", "encode {shop} --config {run}/e.toml", ("[data] must be a section",), put("e.toml", "data = 3")),
    Case("encode a missing field", "encode {shop} --set text.fields=['titel']", ("'titel'", "did you mean 'title'?")),
    # experiments
    Case("experiment missing", "train {tmp}/none.toml " + NEW, ("none.toml does not exist",)),
    Case("experiment is no TOML", "train {run}/bad.toml " + NEW, ("not valid TOML", "line 1"), put("bad.toml", "a b")),
    Case("no source", "train {run}/e.toml " + NEW, ("[data] source is not set",), put("e.toml", '[model]\nname="sasrec"')),
    Case("unknown key, before anything is read", "train {experiment} --data {tmp}/nowhere --set model.drpoout=0.1 " + NEW, ("[model] has no setting 'drpoout'", "did you mean 'dropout'?")),
    Case("unknown section", "train {experiment} --set trainig.epochs=1 " + NEW, ("'trainig'", "did you mean 'training'?")),
    Case("unknown model", "train {experiment} --set model.name=sasrek " + NEW, ("no model 'sasrek'", "'sasrec'")),
    Case("wrong type", "train {experiment} --set training.epochs=many " + NEW, ("'epochs' must be an integer",)),
    Case("out of range", "train {experiment} --set training.epochs=0 " + NEW, ("epochs is 0",)),
    Case("infinite", "train {experiment} --set training.clip=inf " + NEW, ("[training] 'clip' must be a finite number, got inf",)),
    Case("no run's folder", "train {experiment} --out {tmp}/mine", ("is no run's folder", "the 'inputs' there"), inputs_of_mine),
    Case("override malformed", "train {experiment} --set training.epochs " + NEW, ("not of the form section.key=value",)),
    Case("override half a list", "train {experiment} --set evaluation.ks=[5 " + NEW, ("close its quote or bracket",)),
    Case("run of other settings", "train {experiment} --set training.seed=9 --out {run}", ("another [training] seed",)),
    Case("run on other data", "train {experiment} --data {tmp}/other --out {run}", ("on another corpus",), other_shop),
    Case("checkpoint cut short", "train {experiment} --out {run}", ("not a whole safetensors",), cut("last", "model.safetensors")),
    Case("state cut short", "train {experiment} --out {run}", ("not valid JSON",), cut("last", "state.json")),
    # runs
    Case("no run", "evaluate {shop} --split test", ("holds no finished run",)),
    Case("no run to recommend by", "recommend {shop} --history i1", ("experiment.json does not exist",)),
    Case("evaluate other data", "evaluate {run} --split test --data {tmp}/other", ("was trained on",), other_shop),
    Case("weights cut short", "evaluate {run} --split test", ("not a whole safetensors",), cut("best", "model.safetensors")),
    Case("weights missing", "recommend {run} --history i1", ("does not exist; train again",), remove("best", "model.safetensors")),
    Case("record is no run", "recommend {run} --history i1", ("is not the record of a run",), put("experiment.json", "[]")),
    Case("items cut short", "recommend {run} --history i1", ("items.parquet cannot be read",), cut("inputs", "items.parquet")),
    # requests
    Case("unknown item", "recommend {run} --history i1,i2x", ("item id 'i2x'", "did you mean 'i2'?")),
    Case("empty id", "recommend {run} --history i1,,i2", ("has an empty id",)),
    Case("everyone and a history", "recommend {run} --to {tmp}/a.csv --history i1", ("leave out --history",)),
    Case("no such ending", "recommend {run} --to {tmp}/a.xlsx", ("'.xlsx'", ".parquet")),
    Case("no file of items", "recommend {run} --history i1 --only {tmp}/none", ("No such file", "one in a line")),
    Case("other items", "recommend {run} --history i1 --exclude {run}/ids", ("item id 'i2x'",), put("ids", "i2x")),
    Case("open quote", "recommend {run} --history \"i1,i2", ("is no list of ids", "close its quotes")),
    Case("no history", "recommend {run}", ("Give either --history",)),
    Case("two histories", "recommend {run} --history i1 --user u1", ("Give either --history",)),
    Case("unknown user", "recommend {run} --user u", ("user id 'u'", "is not in the corpus")),
    Case("data for a history", "recommend {run} --history i1 --data {shop}", ("for --user or --to",)),
    Case("reasons for everyone", "recommend {run} --to {tmp}/a.csv --reasons 2", ("leave out --history", "--reasons")),
    Case("skip for one", "recommend {run} --history i1 --skip-unknown", ("give it with --to",)),
    Case("times missing", "recommend {run} --history i1,i2 --times 1", ("2 items and 1 times",)),
    Case("no time", "recommend {run} --history i1 --times yesterday", ("'yesterday', which is no moment",)),
    Case("times of a user", "recommend {run} --user u1 --times 1", ("--times belongs to --history",)),
    Case("request before the event", "recommend {run} --history i1 --times 5 --at 4", ("after the request",)),
    Case("k of zero", "recommend {run} --history i1 -k 0", ("k must be 1 or more",)),
    # relations
    Case("threshold", "export {flagship} --to {tmp}/new.tsv --threshold 1.5", ("threshold lies in [0, 1]",)),
    Case("relation", "export {flagship} --to {tmp}/new.tsv --relation latent_9", ("'latent_9'", "did you mean 'latent_")),
    Case("export to a folder", "export {flagship} --to {tmp}", ("is a folder",)),
    Case("nothing discovered", "export {run} --to {tmp}/new.tsv", ("SASRec discovers no relations",)),
    Case("no relations", "relations {run}", ("SASRec discovers no relations",)),
    Case("examples", "relations {flagship} --examples=-1", ("examples must be 0 or more",)),
]
# fmt: on


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_one_sentence(
    lrdgraph: Command,
    experiment: Path,
    shop: Path,
    trained: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    case: Case,
) -> None:
    tmp = tmp_path / "tmp"
    run = Path(shutil.copytree(trained, tmp / "run"))
    case.change(run)
    paths = {"run": run, "tmp": tmp, "shop": shop, "experiment": experiment}
    if "{flagship}" in case.words:
        paths["flagship"] = request.getfixturevalue("discovered")
    before = snapshot(tmp)
    answer = lrdgraph(*(word.format(**paths) for word in case.words.split()))
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err
    for part in case.says:
        assert part in answer.err
    assert snapshot(tmp) == before


def test_the_table_is_long_and_its_names_differ() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 25


def test_an_empty_history_is_refused(lrdgraph: Command, trained: Path) -> None:
    answer = lrdgraph("recommend", trained, "--history", "")
    assert answer.status == 2
    assert answer.err == "error: The history '' has an empty id; separate ids by single commas.\n"


def test_a_failed_evaluation_leaves_the_result(lrdgraph: Command, trained: Path, tmp_path: Path) -> None:
    """Weights that are not numbers are found by the evaluator, after everything was loaded."""
    from safetensors.numpy import load_file, save_file

    run = Path(shutil.copytree(trained, tmp_path / "run"))
    path = run / "best" / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"bias": np.full_like(tensors["bias"], np.nan)}, path)
    answer = lrdgraph("evaluate", run, "--split", "test")
    assert answer.status == 2
    assert "NaN" in answer.err
    assert set(json.loads((run / "result.json").read_text())["metrics"]) == {"validation"}
