"""Texts → language vectors through a frozen pretrained model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.language.pooling import POOLINGS
from lrdgraph.language.pretrained import load_pretrained, own_pooling
from lrdgraph.language.settings import TextSettings

Progress = Callable[[int, int], None]


class TextEncoder:
    """A language model that gives each text one vector.

    Args:
        settings: model, pooling, prompt, precision and device.

    Attributes:
        width: ``T``.
        pooling: ``"mean"``, ``"cls"`` or ``"last"``, after ``"auto"`` is resolved.

    Raises:
        MissingExtraError: the default model's package is not installed.
        DataError: the model cannot be loaded.
        ConfigError: the device is unknown, or the prompt leaves no room for a text.
    """

    def __init__(self, settings: TextSettings | None = None) -> None:
        self.settings = settings or TextSettings()
        self.device = _device(self.settings.device)
        self._tokenizer, self._model = load_pretrained(self.settings, self.device)
        positions = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        asked = self.settings.max_length
        self.max_length: int = min(asked, self._tokenizer.model_max_length, positions or asked)
        self.width, causal = self._probe()
        self.pooling: str = self.settings.pooling
        if self.pooling == "auto":
            self.pooling = own_pooling(self.settings) or ("last" if causal else "mean")
        self._before, self._after = self.settings.prompt.split("{text}")
        # one token more, since a text may merge otherwise with the words beside it
        self._room = self.max_length - len(self._tokenizer(self._before + self._after)["input_ids"]) - 1
        if self._room < 1:
            raise ConfigError(
                f"The prompt leaves no room for a text in {self.max_length} tokens; cut it or raise that."
            )

    def __repr__(self) -> str:
        s = self.settings
        return f"TextEncoder({s.model}, {self.pooling} pooling, T={self.width}, {s.dtype} on {self.device})"

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Vectors of texts, in their order.

        Args:
            texts: ``n`` strings.
            progress: called with ``(done, n)`` after each batch.

        Returns:
            ``(n, T)`` float32.

        Raises:
            DataError: the model gives a vector that is not finite.
        """
        vectors = np.zeros((len(texts), self.width), dtype=np.float32)
        for rows, batch in self.batches(texts, progress=progress):
            vectors[rows] = batch
        return vectors

    def batches(
        self, texts: Sequence[str], start: int = 0, progress: Progress | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Vectors in batches of like length, the longest texts first, so that memory is known to suffice at once.

        The order is a function of the texts alone: from a ``start`` that is a multiple of the batch size the batches
        are those of a run from 0, bit by bit.

        Args:
            texts: ``n`` strings.
            start: how many texts, in this order, to pass over.
            progress: called with ``(done, n)`` after each batch.

        Yields:
            ``rows (b,)`` positions in ``texts``, and ``vectors (b, T)`` float32.
        """
        order = np.argsort(-pl.Series(texts, dtype=pl.String).str.len_chars().cast(pl.Int64).to_numpy(), kind="stable")
        for begin in range(start, len(order), self.settings.batch_size):
            rows = order[begin : begin + self.settings.batch_size]
            try:
                vectors = self._forward([texts[row] for row in rows]).cpu().numpy()
            except torch.OutOfMemoryError:
                raise ConfigError(f"batch_size = {len(rows)} does not fit on {self.device}; lower it.") from None
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(bad):
                raise DataError(
                    f"'{self.settings.model}' in {self.settings.dtype} gives no finite vector for the text "
                    f"'{texts[rows[bad[0]]][:60]}'; set dtype to float32 or bfloat16."
                )
            yield rows, vectors
            if progress is not None:
                progress(begin + len(rows), len(order))

    @torch.inference_mode()
    def _forward(self, texts: list[str]) -> Tensor:
        tokens = self._tokenizer(
            [self._before + text + self._after for text in self._shortened(texts)],
            padding=True,
            truncation=True,
            max_length=self.max_length,
            return_tensors="pt",
        ).to(self.device)
        if tokens["input_ids"].shape[1] == 0:
            return torch.zeros(len(texts), self.width, device=self.device)
        hidden = self._model(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"]
        # a tokenizer that adds no marks gives the empty text no token: its vector is zero under every pooling
        vectors = torch.where(mask.any(dim=1, keepdim=True), POOLINGS[self.pooling](hidden, mask), 0.0)
        return torch.nn.functional.normalize(vectors, dim=-1) if self.settings.normalize else vectors

    def _shortened(self, texts: list[str]) -> list[str]:
        """Texts cut so that what the prompt says after them is kept whole."""
        if not self._after:
            return texts
        tokens = self._tokenizer(
            texts, add_special_tokens=False, truncation=True, max_length=self._room, return_offsets_mapping=True
        )
        spans = zip(texts, tokens["offset_mapping"], strict=True)
        return [text[: offsets[-1][1]] if offsets else text for text, offsets in spans]

    @torch.inference_mode()
    def _probe(self) -> tuple[int, bool]:
        """Width of the token states, and whether a token's state is blind to the tokens after it.

        The model is asked by two texts that differ in their second token, since names and configurations do not tell.
        """
        size = self._model.config.get_text_config().vocab_size
        tokens = torch.tensor([[size // 2, size // 3], [size // 2, size // 4]], device=self.device)
        states = self._model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state.float()
        first, second = states[:, 0]
        return states.shape[-1], torch.allclose(first, second, rtol=0, atol=1e-4 * float(first.abs().max()))


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        raise ConfigError(f"The device '{name}' is not there; use auto, cpu or one that torch lists.") from None
    return device
