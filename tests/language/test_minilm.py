"""The default model itself: it is carried by a package that the project depends on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lrdgraph.language import TextEncoder, TextSettings, encode_items
from lrdgraph.language.pretrained import locate
from lrdgraph.storage import read_json
from tests.language.conftest import make_corpus

TEXTS = [
    "Scientific calculator, black",
    "HP 78 Tri-Color Printer Cartridge (C6578DN)",
    "Pen",
    "A desk lamp with three brightness levels, a flexible neck and a port to charge your phone from " * 4,
    "Überraschung im Büro",
]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(TextSettings(batch_size=2))


def test_equals_sentence_transformers(encoder: TextEncoder) -> None:
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(locate("minilm")), device="cpu").encode(TEXTS, show_progress_bar=False)
    assert encoder.pooling == "mean"
    np.testing.assert_allclose(encoder.encode(TEXTS), theirs, atol=1e-6)


def test_batch_composition_and_order_do_not_matter(encoder: TextEncoder) -> None:
    one_by_one = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), one_by_one, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1]), one_by_one[::-1], atol=1e-5)


def test_meaning_orders_similarity(encoder: TextEncoder) -> None:
    pen, pencil, film = encoder.encode(["ballpoint pen", "pencil for writing", "a space opera film"])
    assert pen @ pencil > pen @ film + 0.2


WORKER = """
import sys
import polars as pl
from lrdgraph.language import TextSettings, encode_items
from tests.language.conftest import make_corpus
titles = pl.read_parquet(sys.argv[1])["title"]
encode_items(make_corpus(title=titles), TextSettings(batch_size=4), sys.argv[2])
"""


def test_killed_while_encoding_resumes_to_the_same_bits(tmp_path: Path) -> None:
    titles = pl.Series("title", [f"Office product number {n}, {'very ' * (n % 9)}useful" for n in range(160)])
    titles.to_frame().write_parquet(tmp_path / "titles.parquet")
    cache = tmp_path / "cache"
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path / "titles.parquet"), str(cache)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline = time.monotonic() + 120
    while not list(cache.glob("*/progress.json")):
        assert process.poll() is None, "the worker ended before it wrote a chunk"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (counted,) = cache.glob("*/progress.json")
    before = read_json(counted)["done"]
    assert 0 < before < 160
    assert not list(cache.glob("*/vectors.npy"))

    seen: list[int] = []
    corpus = make_corpus(title=titles)
    settings = TextSettings(batch_size=4)
    resumed = encode_items(corpus, settings, cache, lambda done, _: seen.append(done))
    assert seen[0] == before
    assert seen[1] == before + 4
    np.testing.assert_array_equal(resumed, encode_items(corpus, settings, tmp_path / "fresh"))
    assert not list(cache.glob("*/progress.json"))
