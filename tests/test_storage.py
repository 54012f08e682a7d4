from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lrdgraph.errors import DataError
from lrdgraph.storage import atomic_file, atomic_folder, read_json, settle_folder, write_json


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_file_is_replaced_whole(tmp_path: Path):
    for text in ("old", "new"):
        with atomic_file(tmp_path / "sub" / "a.txt") as temporary:
            temporary.write_text(text)
    assert contents(tmp_path) == {"sub/a.txt": "new"}


def test_a_failed_file_leaves_the_old_one_and_nothing_else(tmp_path: Path):
    def failing() -> None:
        with atomic_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise KeyError

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyError):
        failing()
    assert contents(tmp_path) == {"a.txt": "old"}


def test_a_folder_is_replaced_whole(tmp_path: Path):
    for name in ("old", "new"):
        with atomic_folder(tmp_path / "deep" / "box") as out:
            (out / name).write_text(name)
    assert contents(tmp_path) == {"deep/box/new": "new"}


def test_an_exception_in_the_middle_leaves_the_old_folder(tmp_path: Path):
    def failing() -> None:
        with atomic_folder(tmp_path / "box") as out:
            (out / "a").write_text("new")
            raise KeyError

    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "a").write_text("old")
    with pytest.raises(KeyError):
        failing()
    assert contents(tmp_path) == {"box/a": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["box"]


KILLED = """
import os, sys
from lrdgraph import storage
calls = []
replace = os.replace
def dying(*paths):
    if len(calls) == int(sys.argv[2]):
        os._exit(9)
    calls.append(paths)
    replace(*paths)
os.replace = dying
with storage.atomic_folder(sys.argv[1]) as out:
    (out / "a").write_text("new")
"""


@pytest.mark.parametrize("renames", [0, 1])
def test_a_swap_killed_before_either_rename_leaves_the_old_folder(renames: int, tmp_path: Path):
    box = tmp_path / "box"
    box.mkdir()
    (box / "a").write_text("old")
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run([sys.executable, "-c", KILLED, str(box), str(renames)], cwd=root, check=False)
    assert done.returncode == 9
    assert box.exists() == (renames == 0)
    assert len(list(tmp_path.iterdir())) == 2
    settle_folder(box)
    assert contents(tmp_path) == {"box/a": "old"}
    assert [path.name for path in tmp_path.iterdir()] == ["box"]


def test_a_swap_killed_after_both_renames_leaves_the_new_folder(tmp_path: Path):
    for name, text in (("box", "new"), (".box.old", "old")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a").write_text(text)
    settle_folder(tmp_path / "box")
    assert contents(tmp_path) == {"box/a": "new"}


def test_settling_touches_no_other_folder(tmp_path: Path):
    for name in ("box[1]", f".box1.{0:032x}.tmp", f".box[1].{0:032x}.tmp", ".boxes.old"):
        (tmp_path / name).mkdir()
    settle_folder(tmp_path / "box[1]")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".box1.{0:032x}.tmp", ".boxes.old", "box[1]"]


def test_a_writer_at_work_is_left_alone(tmp_path: Path):
    """Neither a reader of what it replaces nor a reader of a folder called alike takes away what it writes."""
    for name in ("box", "box.v2", "box.tsv"):
        with atomic_folder(tmp_path / name) as out:
            (out / "a").write_text("new")
            settle_folder(tmp_path / "box")
    with atomic_file(tmp_path / "box.csv") as temporary:
        temporary.write_text("new")
        settle_folder(tmp_path / "box")
    assert contents(tmp_path) == {"box/a": "new", "box.v2/a": "new", "box.tsv/a": "new", "box.csv": "new"}


def test_what_may_not_be_opened_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (left := tmp_path / f".box.{0:032x}.tmp").mkdir()

    def refused(path: Path, *_: object) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.open", refused)
    settle_folder(tmp_path / "box")
    monkeypatch.undo()
    assert left.is_dir()
    settle_folder(tmp_path / "box")
    assert not left.exists()


def test_the_current_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "box").mkdir()
    (tmp_path / ".box.old").mkdir()
    monkeypatch.chdir(tmp_path / "box")
    settle_folder(Path("."))
    assert [path.name for path in tmp_path.iterdir()] == ["box"]


def test_json_goes_round(tmp_path: Path):
    value = {"é": [1, 2.5, None, "x"], "n": {}}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_json_refuses_what_it_cannot_hold(tmp_path: Path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("raw", "says"), [(b"{", "not valid JSON"), (b"\xff", "not valid JSON"), (None, "does not exist")]
)
def test_broken_json_is_one_sentence(raw: bytes | None, says: str, tmp_path: Path):
    if raw is not None:
        (tmp_path / "a.json").write_bytes(raw)
    with pytest.raises(DataError, match=says):
        read_json(tmp_path / "a.json")
