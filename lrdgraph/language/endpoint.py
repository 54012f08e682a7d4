"""A language model elsewhere, behind an OpenAI-compatible API: how it is reached, and vectors from it."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from lrdgraph.errors import ConfigError, DataError, LrdgraphError, MissingExtraError
from lrdgraph.language.settings import TextSettings
from lrdgraph.language.source import VectorSource

if TYPE_CHECKING:
    from openai import OpenAI

KEY = "OPENAI_API_KEY"
RETRIES = 5
"""Further attempts at a request that finds the server busy, failing or away, with pauses that double from 0.5 s."""
TIMEOUT = 120.0
"""Seconds that one attempt may take."""


def connect(endpoint: str) -> OpenAI:
    """A client of the API at this address, with the key of the environment; nothing is asked yet.

    Raises:
        MissingExtraError: the package openai is not installed.
        ConfigError: there is no key in the environment.
    """
    if importlib.util.find_spec("openai") is None:
        raise MissingExtraError("An endpoint needs the package openai; install lrdgraph[endpoint].")
    from openai import OpenAI

    key = os.environ.get(KEY, "")
    if not key:
        raise ConfigError(f"{KEY} is not set; put the endpoint's key there, or any word where it asks for none.")
    return OpenAI(api_key=key, base_url=endpoint, max_retries=RETRIES, timeout=TIMEOUT)


def told(error: Exception, client: OpenAI, model: str, then: str) -> LrdgraphError:
    """One sentence for what the client raised; servers quote keys, so what is quoted is without ours.

    Args:
        error: an ``OpenAIError``, or the ``ValueError`` of an answer that is no JSON.
        client: that raised it.
        model: that was asked for.
        then: what to do when the server is there again.
    """
    from openai import APIConnectionError, APIStatusError, AuthenticationError, PermissionDeniedError

    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(". ")
    reason = said.replace(client.api_key, "…")[:200]
    place = str(client.base_url).rstrip("/")
    if isinstance(error, (AuthenticationError, PermissionDeniedError)):
        return ConfigError(f"{place} refuses the key in {KEY} (status {error.status_code}); set the right one.")
    if isinstance(error, APIConnectionError):
        return DataError(f"{place} does not answer ({reason}); check address and network, then {then}.")
    if isinstance(error, APIStatusError) and error.status_code < 500 and error.status_code != 429:
        return ConfigError(f"{place} refuses the request for '{model}' ({reason}); correct the model or the request.")
    return DataError(f"{place} fails after {RETRIES + 1} attempts ({reason}); {then}.")


class EndpointEncoder(VectorSource):
    """``POST {endpoint}/embeddings``, a batch of texts at a time. The empty text, which such an API refuses, is zero.

    Args:
        settings: endpoint, model, prompt and width.

    Raises:
        MissingExtraError: the package openai is not installed.
        ConfigError: there is no key in the environment, or the server refuses it or the request.
        DataError: the server cannot be reached, or does not answer with vectors of one width.
    """

    packages = ("numpy", "openai")

    def __init__(self, settings: TextSettings) -> None:
        self.settings = settings
        self._client = connect(str(settings.endpoint))
        # its width is known by no other means, and what is wrong with the endpoint is told before any work
        self.width = len(self._ask(["width"])[0])
        if settings.width not in (None, self.width):
            raise ConfigError(
                f"'{settings.model}' at {settings.endpoint} gives {self.width} numbers where width is "
                f"{settings.width}; leave width out."
            )

    def vectors(self, texts: list[str]) -> np.ndarray:
        prompted = [self.settings.prompt.replace("{text}", text) for text in texts]
        asked = [row for row, text in enumerate(prompted) if text.strip()]
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        if asked:
            vectors[asked] = self._ask([prompted[row] for row in asked], self.width)
        return vectors

    def _ask(self, texts: list[str], width: int | None = None) -> np.ndarray:
        from openai import OpenAIError

        wish: dict[str, Any] = {} if self.settings.width is None else {"dimensions": self.settings.width}
        try:
            answer = self._client.embeddings.create(
                model=self.settings.model, input=texts, encoding_format="float", **wish
            )
        except (OpenAIError, ValueError) as error:
            raise told(error, self._client, self.settings.model, "run again to go on from here") from None
        try:
            rows = sorted(answer.data, key=lambda entry: entry.index)
            numbers = [entry.index for entry in rows]
            vectors = np.array([entry.embedding for entry in rows], dtype=np.float32)
        except (AttributeError, TypeError, ValueError):
            raise self._wrong("no lists of numbers of one length") from None
        if numbers != list(range(len(texts))):
            raise self._wrong(f"{len(rows)} vectors for {len(texts)} texts, or numbers them otherwise")
        if vectors.ndim != 2 or not vectors.shape[1] or (width is not None and vectors.shape[1] != width):
            raise self._wrong(f"vectors of shape {vectors.shape[1:]} where {width or 'some'} numbers were expected")
        return vectors

    def _wrong(self, what: str) -> DataError:
        place = f"'{self.settings.model}' at {self.settings.endpoint}"
        return DataError(f"{place} answers with {what}; check that it is an OpenAI-compatible model for embeddings.")
