from __future__ import annotations

from ctypes import CDLL
from pathlib import Path
from shutil import which

import pytest
import torch

from lrdgraph.errors import ConfigError
from lrdgraph.nn.native import COMPILERS, load_native

SOURCE = """
#include "two.h"
extern "C" int twice(int x) { return TWO * x; }
"""
pytestmark = pytest.mark.skipif(not any(map(which, COMPILERS)), reason="there is no C++ compiler")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "made"))
    return tmp_path


def written(folder: Path, text: str) -> tuple[Path, Path]:
    source, header = folder / "part.cpp", folder / "two.h"
    source.write_text(text)
    header.write_text("#pragma once\n#define TWO 2\n")
    return source, header


def test_it_is_compiled_once_and_anew_where_a_part_of_it_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, header = written(folder, SOURCE)
    loaded: list[Path] = []
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    load_native(source, header)
    (made,) = (folder / "made" / "lrdgraph").iterdir()
    before = made.stat().st_mtime_ns
    load_native.cache_clear()
    load_native(source, header)
    assert loaded == [made, made]
    assert made.stat().st_mtime_ns == before
    header.write_text("#pragma once\n#define TWO 3\n")
    load_native.cache_clear()
    load_native(source, header)
    assert {made, loaded[2]} == set((folder / "made" / "lrdgraph").iterdir())
    assert [CDLL(str(path)).twice(21) for path in (made, loaded[2])] == [42, 63]


def test_what_does_not_compile_is_one_sentence_and_leaves_nothing(folder: Path) -> None:
    source, header = written(folder, "int broken( {")
    with pytest.raises(ConfigError, match="could not compile .* error") as caught:
        load_native(source, header)
    assert "\n" not in str(caught.value)
    assert not list((folder / "made" / "lrdgraph").iterdir())


def test_a_folder_that_cannot_be_written_is_one_sentence(folder: Path) -> None:
    (folder / "made").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be kept in .* set TORCH_EXTENSIONS_DIR"):
        load_native(*written(folder, SOURCE))


def test_a_file_that_cannot_be_loaded_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "load_library", lambda _: None)
    source, header = written(folder, SOURCE)
    load_native(source, header)
    monkeypatch.undo()
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(folder / "made"))
    (made,) = (folder / "made" / "lrdgraph").iterdir()
    made.write_text("not a library")
    load_native.cache_clear()
    with pytest.raises(ConfigError, match="loaded from there"):
        load_native(source, header)


def test_without_a_compiler_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match="needs a C[+][+] compiler"):
        load_native(*written(folder, ""))


def test_the_compiler_of_the_environment_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = folder / "own-compiler"
    own.write_text("#!/bin/sh\necho 'fatal error: not today' >&2\nexit 1\n")
    own.chmod(0o755)
    monkeypatch.setenv("CXX", str(own))
    with pytest.raises(ConfigError, match="own-compiler .* not today"):
        load_native(*written(folder, ""))
