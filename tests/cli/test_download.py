"""The download command against a server on this machine."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import pytest

from data_loaders import amazon_sources
from tests.cli.conftest import Command
from tests.data_loaders import amazon_folders as raw
from tests.data_loaders.server import serving


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch):
    """Serves a file of reviews for the first address and metadata for none."""
    reviews = gzip.compress(raw.lines(raw.REVIEWS_2014).encode(), mtime=0)
    with serving(reviews) as site:
        root = site.address.rsplit("/", 1)[0]
        published = amazon_sources.Published(
            f"{root}/meta_{{}}.json.gz", {"5-core": (f"{root}/reviews_{{}}_5.json.gz",)}, ("Pens",)
        )
        monkeypatch.setitem(amazon_sources.SOURCES, "amazon-2014", published)
        yield site


def test_fetch_and_prepare(lrdgraph: Command, site, tmp_path: Path) -> None:
    digest = hashlib.sha256(site.data).hexdigest()
    words = ("download", "amazon-2014/Pens", "--out", tmp_path / "raw")
    first = lrdgraph(*words, "--sha256", f"reviews_Pens_5.json.gz={digest}")
    assert (first.status, first.err) == (0, "")
    assert f"reviews_Pens_5.json.gz: {len(site.data):,} bytes, SHA-256 {digest}\n" in first.out
    assert first.out.endswith(f"next: lrdgraph prepare {tmp_path / 'raw'} --out FOLDER\n")
    again = lrdgraph(*words)
    assert again.out.count("(was there)") == 2
    assert lrdgraph("prepare", tmp_path / "raw", "--out", tmp_path / "corpus").status == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("amazon-2014/Pins", "no category 'Pins' (did you mean 'Pens'?)"),
        ("amazon-2014/Pens --subset ful", "no subset 'ful'"),
        ("amazon-2014/Pens --sha256 abc", "is not of the form FILE=HEX"),
        ("amazon-2014/Pens --sha256 reviews_Pens.json.gz=00", "did you mean 'reviews_Pens_5.json.gz'?"),
        ("amazon-2014/Pens --sha256 reviews_Pens_5.json.gz=00", "'00' is no SHA-256"),
        (f"amazon-2014/Pens --sha256 reviews_Pens_5.json.gz={'0' * 64}", f"expected {'0' * 64}; it was not kept"),
    ],
)
def test_bad_input_is_one_sentence(lrdgraph: Command, site, tmp_path: Path, words: str, says: str) -> None:
    answer = lrdgraph("download", *words.split(), "--out", tmp_path / "raw")
    assert answer.status == 2
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert says in answer.err


def test_a_file_that_is_not_published(lrdgraph: Command, site, tmp_path: Path) -> None:
    site.status = [404]
    answer = lrdgraph("download", "amazon-2014/Pens", "--out", tmp_path / "raw")
    assert (answer.status, answer.err.count("\n")) == (2, 1)
    assert "answers 404 (Not Found)" in answer.err
