from __future__ import annotations

import gzip
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_loaders import lines
from data_loaders.lines import blocks, record
from lrdgraph.errors import DataError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.dictionaries(st.text(), VALUES, max_size=4)


@given(row=ROWS)
def test_json_and_literals_give_the_same_record(row: dict[str, Any]) -> None:
    assert record(json.dumps(row).encode(), "here") == row
    assert record(json.dumps(row, ensure_ascii=False).encode("utf-8", errors="replace"), "here") is not None
    assert record(repr(row).encode("utf-8", errors="backslashreplace"), "here") == row


@pytest.mark.parametrize("line", ["", "7", "[1]", "{'a': open('x')}", "{'a': 1", "{'a': b}", "(" * 9999, "[" * 99999])
def test_no_record(line: str) -> None:
    with pytest.raises(DataError, match=r"^here is neither a JSON object nor a Python dictionary"):
        record(line.encode(), "here")


def test_escapes_that_python_does_not_know_are_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert record(rb"{'a': '1\d'}", "here") == {"a": r"1\d"}


@given(
    text=st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=5)), size=st.integers(1, 9)
)
def test_blocks_are_the_file_in_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, text: list[str], size: int
) -> None:
    data = "\n".join(text).encode()
    folder = tmp_path_factory.mktemp("blocks")
    (folder / "plain").write_bytes(b" " + data)
    (folder / "zipped").write_bytes(gzip.compress(b" " + data))
    for name in ("plain", "zipped"):
        found = list(blocks(folder / name, size))
        assert b"".join(block.data for block in found) == b" " + data
        assert all(block.data.endswith(b"\n") for block in found[:-1])
        numbered = [pair for block in found for pair in block.lines()]
        whole = enumerate((b" " + data).split(b"\n"), start=1)
        assert numbered == [(number, line) for number, line in whole if line.strip()]


def test_place_counts_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a\n\n \nb\nc")
    (block,) = blocks(tmp_path / "x")
    assert [block.place(row).rsplit(" ", 1)[1] for row in range(3)] == ["1", "4", "5"]


def test_a_file_without_line_ends_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LONGEST_LINE", 100)
    (tmp_path / "x.gz").write_bytes(gzip.compress(bytes(1000)))
    with pytest.raises(DataError, match="a line of more than 100 bytes"):
        list(blocks(tmp_path / "x.gz", 10))
    with pytest.raises(DataError, match="does not exist"):
        list(blocks(tmp_path / "y"))
