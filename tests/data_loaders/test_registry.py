from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data_loaders import Loader, load, loaders, register, registry
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError
from tests.data_loaders import folders


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of one test are forgotten after it."""
    monkeypatch.setattr(registry, "_loaders", dict(registry._loaders))


def small(path: Path, *, shout: bool = False) -> Corpus:
    corpus = Corpus.load(folders.saved(path / "inside"))
    return replace(corpus, name="SMALL" if shout else "small")


@pytest.mark.usefixtures("own")
def test_a_loader_of_ones_own(tmp_path: Path):
    register(Loader("mine", "a folder with mine.txt", lambda path: (path / "mine.txt").is_file(), small))
    (tmp_path / "mine.txt").touch()
    assert load(tmp_path, shout=True).name == "SMALL"
    with pytest.raises(ConfigError, match=r"no option 'shuot' \(did you mean 'shout'\?\); it takes shout\.$"):
        load(tmp_path, shuot=True)
    register(loaders()["mine"])  # a notebook's cell that runs twice
    with pytest.raises(ConfigError, match="a loader named 'mine' already"):
        register(Loader("mine", "", lambda path: False, lambda path: None))  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigError, match="Option 'shout' of format 'mine' must be bool, got 'loud'"):
        load(tmp_path, shout="loud")
    assert load(tmp_path, shout="true").name == "SMALL"


@pytest.mark.usefixtures("own")
def test_a_refining_loader_is_preferred_and_two_others_are_not(tmp_path: Path):
    folder = folders.tables(tmp_path)
    general = loaders()["tables"]
    register(replace(general, name="special", refines="tables", load=lambda path: small(path)))
    assert load(folder).name == "small"
    register(replace(general, name="rival"))
    with pytest.raises(DataError, match="looks like special and rival at once; say which with format='special'"):
        load(folder)


def test_any_option_reaches_a_loader_that_takes_any():
    assert Loader("x", "", bool, lambda path, **options: options).options is None


def test_unknown_format_names_the_nearest():
    with pytest.raises(ConfigError, match=r"no format 'rechorsu' \(did you mean 'rechorus'\?\)"):
        load("x", format="rechorsu")
