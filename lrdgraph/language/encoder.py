"""Texts → language vectors through a frozen pretrained model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lrdgraph.distributed import device_of
from lrdgraph.errors import ConfigError
from lrdgraph.language.pooling import POOLINGS
from lrdgraph.language.pretrained import load_pretrained, own_pooling
from lrdgraph.language.settings import WITHOUT_MODEL, TextSettings
from lrdgraph.language.source import VectorSource


class TextEncoder(VectorSource):
    """A language model on this machine that gives each text one vector.

    Args:
        settings: model, pooling, prompt, precision and device.
        cache: folder in which the weights of a GGUF file are kept unpacked; None unpacks them each time.

    Attributes:
        width: ``T``.
        pooling: ``"mean"``, ``"cls"`` or ``"last"``, after ``"auto"`` is resolved.

    Raises:
        MissingExtraError: the default model's package, or what reads GGUF, is not installed.
        DataError: the model cannot be loaded.
        ConfigError: the device is unknown, the prompt leaves no room for a text, or no model on this machine is named.
    """

    packages = ("numpy", "tokenizers", "torch", "transformers")
    remedy = "set dtype to float32 or bfloat16"

    def __init__(self, settings: TextSettings | None = None, cache: Path | str | None = None) -> None:
        self.settings = settings or TextSettings()
        if self.settings.endpoint is not None or self.settings.model in WITHOUT_MODEL:
            raise ConfigError(f"'{self.settings.model}' is not a model on this machine; use encode_items for it.")
        self.device = device_of(self.settings.device)
        self._tokenizer, self._model = load_pretrained(self.settings, self.device, cache)
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

    def vectors(self, texts: list[str]) -> np.ndarray:
        try:
            return self._forward(texts).cpu().numpy()
        except torch.OutOfMemoryError:
            raise ConfigError(f"batch_size = {len(texts)} does not fit on {self.device}; lower it.") from None

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
        return torch.where(mask.any(dim=1, keepdim=True), POOLINGS[self.pooling](hidden, mask), 0.0)

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
