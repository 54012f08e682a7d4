from __future__ import annotations

import hashlib
import json
import socket
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from data_loaders import load
from data_loaders.amazon_sources import SOURCES, addresses
from data_loaders.download import download
from lrdgraph.errors import ConfigError, DataError, LrdgraphError
from tests.data_loaders import amazon_folders as raw
from tests.data_loaders.server import Site, serving

DATA = np.random.default_rng(0).bytes(3_000_000)
SHA = hashlib.sha256(DATA).hexdigest()
NAME = "reviews_Pens_5.json.gz"


@pytest.fixture
def site():
    with serving(DATA) as site:
        yield site


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_and_its_record(site: Site, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    got = download(site.address, tmp_path / "new", progress=lambda done, total: told.append((done, total)))
    assert (got.path, got.bytes, got.sha256, got.fetched) == (tmp_path / "new" / NAME, len(DATA), SHA, True)
    assert got.path.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert names(tmp_path / "new") == [NAME, f"{NAME}.sha256.json"]
    record = json.loads((tmp_path / "new" / f"{NAME}.sha256.json").read_text())
    assert record == {"address": site.address, "bytes": len(DATA), "sha256": SHA}


def test_a_broken_connection_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.breaks = [1_000_000, 500_000, 7]
    got = download(site.address, tmp_path, pause=0.0)
    assert got.path.read_bytes() == DATA
    assert site.ranges == [None, "bytes=1000000-", "bytes=1500000-", "bytes=1500007-"]


def test_a_later_call_goes_on(site: Site, tmp_path: Path) -> None:
    site.breaks = [1_000_000, 0, 0]
    with pytest.raises(DataError, match=r"cannot be fetched \(the connection broke off\); check the network"):
        download(site.address, tmp_path, attempts=2, pause=0.0)
    assert names(tmp_path) == [f"{NAME}.part", f"{NAME}.part.json"]
    assert download(site.address, tmp_path, sha256=SHA.upper()).path.read_bytes() == DATA
    assert site.ranges[-1] == "bytes=1000000-"


def test_a_file_that_changed_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    site.breaks = [1_000_000, 0]
    with pytest.raises(DataError):
        download(site.address, tmp_path, attempts=1, pause=0.0)
    site.data, site.version = DATA[::-1], '"two"'
    assert download(site.address, tmp_path).path.read_bytes() == DATA[::-1]
    assert site.ranges[-1] == "bytes=1000000-"  # asked for the rest, and given the whole


@pytest.mark.parametrize("version", [None, 'W/"weak"'])
def test_without_a_version_nothing_is_put_together(site: Site, tmp_path: Path, version: str | None) -> None:
    site.version, site.breaks = version, [1_000_000]
    assert download(site.address, tmp_path, pause=0.0).path.read_bytes() == DATA
    assert site.ranges == [None, None]


def test_killed_between_the_last_byte_and_the_name(site: Site, tmp_path: Path) -> None:
    site.breaks = [1_000_000, 0]
    with pytest.raises(DataError):
        download(site.address, tmp_path, attempts=1, pause=0.0)
    (tmp_path / f"{NAME}.part").write_bytes(DATA)
    assert download(site.address, tmp_path).sha256 == SHA
    assert site.ranges[-2:] == ["bytes=1000000-", f"bytes={len(DATA)}-"]  # and not once more


def test_what_is_there_is_checked_and_not_fetched(site: Site, tmp_path: Path) -> None:
    download(site.address, tmp_path)
    asked = len(site.ranges)
    assert not download(site.address, tmp_path).fetched
    assert not download(site.address, tmp_path, sha256=SHA).fetched
    with pytest.raises(DataError, match=f"has SHA-256 {SHA}, expected {'0' * 64}; remove it"):
        download(site.address, tmp_path, sha256="0" * 64)
    (tmp_path / NAME).write_bytes(DATA[:-1])
    with pytest.raises(DataError, match=rf"{NAME} has SHA-256 \w+, expected {SHA}; remove it"):
        download(site.address, tmp_path)
    assert len(site.ranges) == asked


def test_a_wrong_checksum_keeps_nothing(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"has SHA-256 {SHA}, expected {'0' * 64}; it was not kept"):
        download(site.address, tmp_path, sha256="0" * 64)
    assert not (tmp_path / NAME).exists()
    assert not (tmp_path / f"{NAME}.part").exists()
    assert download(site.address, tmp_path).sha256 == SHA


def test_a_server_that_is_busy_is_asked_again(site: Site, tmp_path: Path) -> None:
    site.status = [503, 429]
    assert download(site.address, tmp_path, pause=0.0).sha256 == SHA
    site.status = [503, 503]
    with pytest.raises(DataError, match=r"cannot be fetched \(answer 503\)"):
        download(site.address.replace("Pens", "Cups"), tmp_path, attempts=2, pause=0.0)


def test_one_sentence_each(site: Site, tmp_path: Path) -> None:
    site.status = [404]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}/x.gz"
    cases = [
        (lambda: download(site.address, tmp_path, attempts=1), "answers 404 (Not Found); check its name"),
        (lambda: download(closed, tmp_path, attempts=1), "refused); check the network and run the same again"),
        (lambda: download("file:///x.gz", tmp_path), "is no http or https address"),
        (lambda: download("http://h/", tmp_path), "is no http or https address"),
        (lambda: download("http://h/..%2Fx", tmp_path), "is no http or https address"),
        (lambda: download(site.address, tmp_path, sha256="abc"), "'abc' is no SHA-256"),
    ]
    for call, says in cases:
        with pytest.raises(LrdgraphError) as caught:
            call()
        assert says in str(caught.value)
        assert str(caught.value).endswith(".")


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unresolved(*_: object, **__: object) -> None:
        raise urllib.error.URLError(socket.gaierror(-2, "Name or service not known"))

    monkeypatch.setattr("urllib.request.urlopen", unresolved)
    with pytest.raises(DataError) as caught:
        download("https://example.org/x.gz", tmp_path, pause=0.0)
    assert str(caught.value) == (
        "https://example.org/x.gz cannot be fetched ([Errno -2] Name or service not known); check the network and run "
        f"the same again to go on, or put the file into {tmp_path} by other means."
    )


def test_addresses_of_the_releases() -> None:
    assert addresses("amazon-2014/Office_Products") == (
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/reviews_Office_Products_5.json.gz",
        "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/meta_Office_Products.json.gz",
    )
    lab = "https://mcauleylab.ucsd.edu/public_datasets/data"
    assert addresses("amazon-2018/Books", "full") == (
        f"{lab}/amazon_v2/categoryFiles/Books.json.gz",
        f"{lab}/amazon_v2/metaFiles2/meta_Books.json.gz",
    )
    assert addresses("amazon-2023/Video_Games") == (
        *(
            f"{lab}/amazon_2023/benchmark/5core/last_out_w_his/Video_Games.{r}.csv.gz"
            for r in ("train", "valid", "test")
        ),
        f"{lab}/amazon_2023/raw/meta_categories/meta_Video_Games.jsonl.gz",
    )
    assert [len(published.categories) for published in SOURCES.values()] == [24, 29, 34]


@pytest.mark.parametrize(
    ("name", "subset", "says"),
    [
        ("amazon-2015/Books", "5-core", "'amazon-2015' (did you mean 'amazon-20"),
        ("amazon-2014", "5-core", "no category ''"),
        ("amazon-2014/Office", "5-core", "'Office' (did you mean 'Office_Products'?)"),
        ("amazon-2018/Books", "5-core-ratings", "no subset '5-core-ratings' (did you mean '5-core'?)"),
    ],
)
def test_unknown_names(name: str, subset: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        addresses(name, subset)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", [f"{release}/{subset}" for release in SOURCES for subset in SOURCES[release].subsets])
def test_what_is_fetched_is_what_the_loader_reads(name: str, tmp_path: Path) -> None:
    """Files under their published names are recognised as their release."""
    release, subset = name.split("/")
    kinds = {"5-core": 1, "5-core-temporal": 1, "5-core-ratings": 2, "full": 0}
    write = {
        "amazon-2014": [raw.amazon_2014],
        "amazon-2018": [raw.amazon_2018],
        "amazon-2023": [raw.raw_2023, raw.amazon_2023, raw.ratings_2023],
    }[release][kinds[subset] if release == "amazon-2023" else 0]
    made = sorted(write(tmp_path / "made").iterdir())
    wanted = sorted(address.rsplit("/", 1)[-1] for address in addresses(f"{release}/Books", subset))
    (tmp_path / "fetched").mkdir()
    for path, file in zip(made, wanted, strict=True):
        path.rename(tmp_path / "fetched" / file)
    assert load(tmp_path / "fetched").name == f"books-{release[-4:]}"
