"""An endpoint: a server on this machine that imitates the API, and fails as real ones do."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrdgraph.errors import ConfigError, DataError, LrdgraphError, MissingExtraError
from lrdgraph.language import TextEncoder, TextSettings, encode_items, endpoint
from lrdgraph.language.endpoint import EndpointEncoder
from tests.language.conftest import make_corpus
from tests.language.test_bad_input import one_sentence

pytest.importorskip("openai")

SECRET = "sk-a-key-that-is-nowhere-else"
TITLES = [f"item {n} {'x' * (1 + n % 7)}" for n in range(40)]
CORPUS = make_corpus(title=TITLES)


def vector(text: str, width: int = 6) -> list[float]:
    return [float(sum(text.encode()) % (n + 7)) + 1 for n in range(width)]


class Server(HTTPServer):
    """Answers with :func:`vector`; ``spoil`` may change the status and the answer of a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.spoil: Callable[[int, dict[str, Any]], tuple[int, Any]] = lambda _, answer: (200, answer)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked | {"path": self.path})
        self.server.keys.add(self.headers["Authorization"])
        width = asked.get("dimensions", 6)
        data = [{"index": n, "embedding": vector(text, width)} for n, text in enumerate(asked["input"])]
        # in another order, which the API allows
        status, answer = self.server.spoil(len(self.server.asked), {"object": "list", "data": data[::-1]})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(server: Server) -> TextSettings:
    return TextSettings(endpoint=server.url, model="embedder", batch_size=2, normalize=False)


def test_each_text_gets_its_vector(server: Server, settings: TextSettings, tmp_path: Path) -> None:
    found = encode_items(CORPUS, settings, tmp_path)
    np.testing.assert_array_equal(found, np.array([vector(title) for title in TITLES], np.float32))
    assert found.dtype == np.float32
    assert {(asked["path"], asked["model"]) for asked in server.asked} == {("/v1/embeddings", "embedder")}
    assert server.keys == {f"Bearer {SECRET}"}
    before = len(server.asked)
    np.testing.assert_array_equal(encode_items(CORPUS, settings, tmp_path), found)
    assert len(server.asked) == before


def test_prompt_width_scale_and_empty_texts(server: Server, settings: TextSettings) -> None:
    changed = dataclasses.replace(settings, prompt="query: {text}", width=4, normalize=True)
    raw = np.array(vector("query: pen", 4))
    np.testing.assert_allclose(EndpointEncoder(changed).encode(["pen"])[0], raw / np.linalg.norm(raw), rtol=1e-6)
    assert all(asked["dimensions"] == 4 for asked in server.asked)
    mixed = EndpointEncoder(settings).encode(["", "pen", "  "])
    assert mixed.any(axis=1).tolist() == [False, True, False]
    assert [asked["input"] for asked in server.asked[-2:]] == [["width"], ["pen"]]


def test_a_busy_server_is_asked_again(server: Server, settings: TextSettings, tmp_path: Path) -> None:
    server.spoil = lambda nth, answer: (200, answer) if nth % 3 == 0 else (429 if nth % 3 == 1 else 503, {})
    found = encode_items(CORPUS, settings, tmp_path)
    np.testing.assert_array_equal(found, np.array([vector(title) for title in TITLES], np.float32))
    assert len(server.asked) == 3 * (1 + len(TITLES) // 2)


def test_what_a_failure_left_is_gone_on_with(server: Server, settings: TextSettings, tmp_path: Path) -> None:
    """One request for the width and 20 for the texts; from the 18th on the server is down."""
    server.spoil = lambda nth, answer: (200, answer) if nth < 18 else (500, {"error": {"message": "down"}})
    with pytest.raises(DataError, match="fails after 6 attempts .*down.*; run again to go on from here") as caught:
        encode_items(CORPUS, settings, tmp_path)
    one_sentence(caught.value)
    assert len(server.asked) == 17 + 6
    server.spoil = lambda _, answer: (200, answer)
    server.asked.clear()
    resumed = encode_items(CORPUS, settings, tmp_path)
    # two whole chunks of eight batches were on disk
    assert len(server.asked) == 1 + 4
    np.testing.assert_array_equal(resumed, encode_items(CORPUS, settings, tmp_path / "fresh"))


def test_key_depends_on_endpoint_model_prompt_and_width(settings: TextSettings, tmp_path: Path) -> None:
    other = settings.endpoint.replace("127.0.0.1", "localhost")  # type: ignore[union-attr]
    changes = [{}, {"endpoint": other}, {"model": "b"}, {"prompt": "a {text}"}, {"width": 3}, {"normalize": True}]
    for number, change in enumerate(changes, start=1):
        encode_items(CORPUS, dataclasses.replace(settings, **change), tmp_path)
        assert len(list(tmp_path.iterdir())) == number, change
    for same in ({"batch_size": 7}, {"pooling": "last"}, {"dtype": "float16"}, {"device": "cpu"}, {"max_length": 9}):
        encode_items(CORPUS, dataclasses.replace(settings, **same), tmp_path)
    assert len(list(tmp_path.iterdir())) == len(changes)


def test_the_key_is_written_nowhere(settings: TextSettings, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    encode_items(CORPUS, settings, tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    assert SECRET not in repr(settings) + repr(EndpointEncoder(settings))
    assert capfd.readouterr() == ("", "")


def later(change: Callable[[dict[str, Any]], Any]) -> Callable[[int, dict[str, Any]], tuple[int, Any]]:
    """Spoil every answer but the first, which asks for the width."""
    return lambda nth, answer: (200, answer if nth == 1 else change(answer))


def without(answer: dict[str, Any]) -> dict[str, Any]:
    return {"data": answer["data"][1:]}


def two_widths(answer: dict[str, Any]) -> dict[str, Any]:
    answer["data"][0]["embedding"].append(1.0)
    return answer


def with_nan(answer: dict[str, Any]) -> dict[str, Any]:
    answer["data"][0]["embedding"][0] = float("nan")
    return answer


SPOILT: dict[str, tuple[Callable[[int, dict[str, Any]], tuple[int, Any]], type[LrdgraphError], str]] = {
    "refused key": (
        lambda *_: (401, {"error": {"message": f"bad {SECRET}"}}),
        ConfigError,
        "refuses the key in OPENAI",
    ),
    "unknown model": (
        lambda *_: (404, {"error": {"message": f"no model; {SECRET}"}}),
        ConfigError,
        "'embedder' .*no m",
    ),
    "too few vectors": (later(without), DataError, "1 vectors for 2 texts"),
    "none at all": (lambda *_: (200, {"data": []}), DataError, "0 vectors for 1 texts"),
    "another width": (
        later(lambda a: {"data": [{**d, "embedding": [1.0]} for d in a["data"]]}),
        DataError,
        "6 numbers",
    ),
    "two widths": (later(two_widths), DataError, "numbers of one length"),
    "no width": (lambda _, a: (200, {"data": [{"index": 0, "embedding": []}]}), DataError, "some numbers"),
    "not finite": (later(with_nan), DataError, "'embedder' gives no finite vector for the text 'item"),
    "words": (lambda *_: (200, {"data": [{"index": 0, "embedding": "abc"}]}), DataError, "no lists of numbers"),
    "no data": (lambda *_: (200, {"message": "hello"}), DataError, "no lists of numbers"),
    "a list": (lambda *_: (200, [1, 2]), DataError, "no lists of numbers"),
    "a sentence": (lambda *_: (200, "hello"), DataError, "no lists of numbers"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_wrong_answers(case: str, server: Server, settings: TextSettings, tmp_path: Path) -> None:
    server.spoil, kind, expected = SPOILT[case]
    with pytest.raises(kind, match=expected) as caught:
        encode_items(CORPUS, settings, tmp_path)
    one_sentence(caught.value)
    assert SECRET not in str(caught.value)
    assert not list(tmp_path.glob("*/vectors.npy"))


def test_width_that_the_server_does_not_heed(server: Server, settings: TextSettings) -> None:
    server.spoil = lambda _, answer: (200, {"data": [{"index": 0, "embedding": [1.0, 2.0]}]})
    with pytest.raises(ConfigError, match="gives 2 numbers where width is 5; leave width out") as caught:
        EndpointEncoder(dataclasses.replace(settings, width=5))
    one_sentence(caught.value)


def test_no_server(settings: TextSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    nobody = dataclasses.replace(settings, endpoint="http://127.0.0.1:9/v1")
    with pytest.raises(DataError, match=r"127.0.0.1:9/v1 does not answer \(Connection error\)") as caught:
        EndpointEncoder(nobody)
    one_sentence(caught.value)


def test_no_key_and_no_package(server: Server, settings: TextSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set") as caught:
        EndpointEncoder(settings)
    one_sentence(caught.value)
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(MissingExtraError, match=r"install lrdgraph\[endpoint\]") as caught:
        EndpointEncoder(settings)
    one_sentence(caught.value)
    with pytest.raises(ConfigError, match="not a model on this machine"):
        TextEncoder(settings)
    assert not server.asked


ADDRESSES = {
    "host/v1": "is no address; write it as http://host/v1.",
    "ftp://host/v1": "is no address",
    "http://[host/v1": "is no address",
    "http://me:pass-word@host/v1": "holds a user, a query or a fragment",
    "https://host/v1?key=pass-word": "holds a user, a query or a fragment",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses(address: str) -> None:
    with pytest.raises(ConfigError, match=ADDRESSES[address]) as caught:
        TextSettings(endpoint=address, model="embedder")
    one_sentence(caught.value)
    assert "pass-word" not in str(caught.value)


def test_an_endpoint_needs_a_model_of_its_own() -> None:
    with pytest.raises(ConfigError, match="model is 'minilm'; name the model that the endpoint knows"):
        TextSettings(endpoint="http://host/v1")
