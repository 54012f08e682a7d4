"""One command runs a table: what is there is passed over, what is not is run, and nothing is lost on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import run as run_module
from benchmarks.plan import read_table
from benchmarks.processes import NotDone, Processes, work_off
from benchmarks.records import curve, difference, evaluations, read_record
from benchmarks.run import main
from lrdgraph.config import to_dict
from lrdgraph.errors import DataError
from lrdgraph.experiment import ExperimentSettings
from lrdgraph.storage import read_json, write_json
from lrdgraph.training.settings import TrainingSettings
from tests.benchmarks.worlds import InProcess, write_benchmarks
from tests.conftest import ROOT

ALL = [
    "shop-popularity-seed0",
    "shop-sasrec-seed0",
    "shop-sasrec-short-seed0",
    "shop-sasrec-seed1",
    "shop-sasrec-short-seed1",
]


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> type[InProcess]:
    monkeypatch.setattr(run_module, "Processes", InProcess)
    monkeypatch.setattr(InProcess, "broken", "")
    return InProcess


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose table was run; only read, or copied first."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "Processes", InProcess)
        assert main([str(write_benchmarks(folder)), "--runs", str(folder / "runs")]) == 0
    assert InProcess.done == [(name, word) for name in ALL for word in ("train", "evaluate")]
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy, whose experiments read the data of the original."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def again(folder: Path, *words: str) -> int:
    return main([str(folder / "tables" / "shop.toml"), "--runs", str(folder / "runs"), *words])


def test_a_record_holds_all_that_a_table_needs(finished: Path) -> None:
    paths = sorted((finished / "results").glob("*.json"))
    assert [path.stem for path in paths] == sorted(ALL)
    for path in paths:
        held = read_record(path)
        assert path.stem == f"{held['name']}-seed{held['seed']}"
        assert held["metrics"].keys() == {"validation", "test", "test@last-event"}
        assert {"versions", "machine", "commit", "targets", "buckets"} <= held.keys()
        assert len(held["curve"]["epoch"]) == held["epochs"]
        saved = evaluations(path, held)
        assert {role: evaluation.metrics for role, evaluation in saved.items()} == {
            role: metrics for role, metrics in held["metrics"].items() if role != "validation"
        }
    short = read_record(finished / "results" / "shop-sasrec-short-seed1.json")
    assert (short["epochs"], short["seed"], short["settings"]["training"]["epochs"]) == (1, 1, 1)


def test_the_curve_by_hand() -> None:
    log = [
        {"epoch": 1, "seconds": 2.0},
        {"epoch": 2, "seconds": 3.0, "evaluation_seconds": 1.0, "validation": {"m": 0.5}},
        {"epoch": 3, "seconds": 1.0, "evaluation_seconds": 1.0, "validation": {"m": 0.4}},
    ]
    assert curve(log, "m") == {"metric": "m", "epoch": [2, 3], "value": [0.5, 0.4], "seconds": [6.0, 8.0]}


def test_what_is_there_is_passed_over(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in (copied / "results").iterdir()}
    assert again(copied) == 0
    assert "5 runs: 5 done, 0 to do." in capsys.readouterr().out
    assert InProcess.done == []
    assert {path: path.read_bytes() for path in (copied / "results").iterdir()} == before


def test_seeds_and_rows_can_be_chosen(copied: Path) -> None:
    assert again(copied, "--seeds", "0", "5", "--only", "shop-sasrec-short", "shop-popularity") == 0
    assert InProcess.done == [("shop-sasrec-short-seed5", "train"), ("shop-sasrec-short-seed5", "evaluate")]


def test_a_record_that_was_lost_is_made_from_its_run(copied: Path) -> None:
    path, result = copied / "results" / "shop-sasrec-seed0.json", copied / "runs" / "shop-sasrec-seed0" / "result.json"
    before = read_json(path)
    write_json(result, read_json(result) | {"peak_memory_gb": 99.5, "commit": "of the training"})
    path.unlink()
    assert again(copied) == 0
    after = read_json(path)
    for part in ("metrics", "buckets", "curve", "epochs", "targets"):
        assert after[part] == before[part]
    assert (after["peak_memory_gb"], after["commit"]) == (99.5, "of the training"), "not of the process that came later"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r["settings"]["training"].update(epochs=7), r"has \[training\] epochs = 7 where 3 is asked for"),
        (lambda r: r["settings"]["training"].update(patience=2), None),
        (lambda r: r["settings"]["model"].update(dropout=0.9), r"has \[model\] dropout = 0.9 where 0"),
        (lambda r: r["settings"]["model"].update(gone=1), r"was run by other code"),
        (lambda r: r["corpus"].update(fingerprint="0" * 64), "is of corpus 000000000000 where"),
        (lambda r: r.pop("curve"), None),
        (lambda r: r["settings"]["training"].pop("max_minutes"), None),
        (lambda r: r["settings"]["training"].update(device="cuda"), None),
        (lambda r: r["settings"]["data"].update(source="elsewhere"), None),
        (lambda r: r.pop("metrics"), "cannot be used"),
    ],
)
def test_a_result_that_does_not_stand_for_its_run_is_named_and_replaced_by_force(
    change, message: str | None, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied / "results" / "shop-sasrec-seed0.json"
    good = read_json(path)
    record = read_json(path)
    change(record)
    write_json(path, record)
    assert again(copied) == (0 if message is None else 1)
    assert InProcess.done == []
    if message is not None:
        said = capsys.readouterr().err
        assert "1 without a result" in said
        assert re.search(rf"shop-sasrec-seed0: .*{message}.*; use --force", said), said
        mark = copied / "runs" / "shop-sasrec-seed0" / "old"
        mark.touch()
        assert again(copied, "--force") == 0
        assert InProcess.done == [("shop-sasrec-seed0", "train"), ("shop-sasrec-seed0", "evaluate")]
        assert not mark.exists()
        assert read_json(path)["metrics"] == good["metrics"], "the run was made anew, and is as it was"


@pytest.mark.parametrize(
    ("held", "asked", "epochs", "same"),
    [(10, 20, 60, True), (10, 20, 43, False), (10, 20, 0, False), (20, 10, 60, False), (0, 20, 60, False)],
)
def test_more_patience_is_none_for_a_run_that_came_to_its_last_epoch(
    held: int, asked: int, epochs: int, same: bool
) -> None:
    training = TrainingSettings(epochs=60, patience=asked)
    wanted = ExperimentSettings(training=training)
    kept = to_dict(replace(wanted, training=replace(training, patience=held)))
    assert (difference(kept, wanted, epochs) == "") == same


def test_without_ranks_a_result_is_run_again_by_force(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copied / "results" / "shop-popularity-seed0.ranks.parquet").unlink()
    assert again(copied) == 1
    assert "has no ranks beside it; use --force" in capsys.readouterr().err
    assert again(copied, "--force") == 0
    assert [name for name, _ in InProcess.done] == ["shop-popularity-seed0"] * 2


def test_a_run_of_other_settings_is_named_and_replaced_by_force(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied / "results" / "shop-sasrec-seed0.json").unlink()
    about = copied / "runs" / "shop-sasrec-seed0" / "experiment.json"
    held = read_json(about)
    held["settings"]["training"]["epochs"] = 9
    write_json(about, held)
    assert again(copied) == 1
    assert r"has [training] epochs = 9 where 3 is asked for; remove it or use --force" in capsys.readouterr().err
    assert again(copied, "--force") == 0
    assert len(InProcess.done) == 2


def test_results_stay_where_the_data_are_not_found(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted((copied / "results").iterdir())
    assert again(copied, "--force", "--data", str(copied / "nowhere")) == 1
    assert "5 without a result" in (said := capsys.readouterr().err)
    assert "nowhere" in said
    assert "use --force" not in said
    assert sorted((copied / "results").iterdir()) == before
    assert (copied / "runs" / "shop-sasrec-seed0" / "result.json").is_file()


@pytest.mark.parametrize("recorded", [True, False])
def test_force_takes_no_run_from_another_process(
    recorded: bool, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, folder = copied / "results" / "shop-sasrec-seed0.json", copied / "runs" / "shop-sasrec-seed0"
    path = record if recorded else folder / "experiment.json"
    held = read_json(path)
    held["settings"]["training"]["epochs"] = 9
    write_json(path, held)
    if not recorded:
        record.unlink()
    with Processes(copied / "runs").alone("shop-sasrec-seed0"):
        assert again(copied, "--force") == 1
    assert "shop-sasrec-seed0: another process is at it." in capsys.readouterr().err
    assert (folder / "result.json").is_file()
    assert record.exists() == recorded


def test_a_row_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_benchmarks(tmp_path)
    path.write_text(path.read_text() + '[[row]]\nname = "shop-gone"\n')
    monkeypatch.setattr(InProcess, "broken", "shop-sasrec-short-seed0")
    words = [str(path), "--runs", str(tmp_path / "runs"), "--seeds", "0", "--jobs", "2"]
    assert main(words) == 1
    said = capsys.readouterr()
    assert "2 without a result" in said.err
    assert "shop-sasrec-short-seed0: 'lrdgraph train' ended with status 2: it is broken." in said.err
    assert "shop-gone.toml does not exist" in said.err
    assert len(list((tmp_path / "results").glob("*.json"))) == 2
    monkeypatch.setattr(InProcess, "broken", "")
    (tmp_path / "experiments" / "shop-gone.toml").write_text(
        (tmp_path / "experiments" / "shop-popularity.toml").read_text()
    )
    assert main(words) == 0
    assert sorted(InProcess.done) == [
        (n, w) for n in ("shop-gone-seed0", "shop-sasrec-short-seed0") for w in ("evaluate", "train")
    ]


def test_hours_end_the_beginning_of_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write_benchmarks(tmp_path)), "--runs", str(tmp_path / "runs"), "--hours", "0"]) == 0
    said = capsys.readouterr().out
    assert "5 runs: 0 done, 5 to do." in said
    assert "5 runs were not begun in 0.0 hours; the same command goes on" in said
    assert InProcess.done == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "shop-sasrek"], "did you mean 'shop-sasrec'"),
        (["--jobs", "0"], "--jobs is 0"),
    ],
)
def test_wrong_words_are_answered_with_a_sentence(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(write_benchmarks(tmp_path)), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_command_that_fails_is_told_by_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(
        NotDone, match=r"'lrdgraph trian' ended with status 2: No such command 'trian'.* \(see .*a\.log\)"
    ):
        Processes(tmp_path)("a", ["trian"])


def test_one_run_has_one_process(tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / "a.log").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NotDone, match="another process is at it"):
            Processes(tmp_path)("a", ["--version"])
    Processes(tmp_path)("a", ["--version"])
    assert (tmp_path / "a.log").read_text().startswith("lrdgraph ")


def test_an_interrupt_stops_what_runs_and_what_waits(tmp_path: Path) -> None:
    run, begun = Processes(tmp_path), []

    def interrupted() -> str:
        raise KeyboardInterrupt

    def waits() -> str:
        begun.append(1)
        run("b", ["--version"])
        return "done"

    with pytest.raises(KeyboardInterrupt):
        work_off({"a": interrupted, "b": waits, "c": waits}, run, 1)
    assert len(begun) < 2
    assert not (tmp_path / "b.log").exists() or (tmp_path / "b.log").read_text() == ""


@pytest.mark.slow
def test_killed_and_called_again(tmp_path: Path) -> None:
    """A real process with real children: ended by SIGTERM in the middle of training, then called again."""
    path = write_benchmarks(tmp_path)
    path.write_text(path.read_text().replace("training.epochs=1", "training.epochs=60"))
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), str(path), "--runs", str(tmp_path / "runs")]
    command += ["--only", "shop-sasrec-short", "--seeds", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    state = tmp_path / "runs" / "shop-sasrec-short-seed0" / "last" / "state.json"
    patience = time.monotonic() + 60
    while not (state.exists() and json.loads(state.read_text())["epoch"] > 2) and time.monotonic() < patience:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    assert list((tmp_path / "results").iterdir()) == []
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "runs" / "shop-sasrec-short-seed0.log").read_text()
    assert "resuming the run in" in log
    record = read_record(tmp_path / "results" / "shop-sasrec-short-seed0.json")
    assert record["curve"]["epoch"] == list(range(1, record["epochs"] + 1))


def test_a_run_without_test_metrics_is_not_kept(copied: Path) -> None:
    from benchmarks.records import keep

    run = copied / "runs" / "shop-sasrec-seed0"
    result = read_json(run / "result.json")
    del result["metrics"]["test"]
    write_json(run / "result.json", result)
    with pytest.raises(DataError, match="was not evaluated on test"):
        keep(run, "x", copied / "results" / "x-seed0.json")
    assert not (copied / "results" / "x-seed0.json").exists()
    assert read_table(copied / "tables" / "shop.toml").results == copied / "results"
