"""Language models that answer: one on this machine, or one behind an OpenAI-compatible API."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from lrdgraph.distributed import device_of
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.language.endpoint import connect, told
from lrdgraph.language.pretrained import load_pretrained
from lrdgraph.language.settings import TextSettings

Turn = dict[str, str]
"""``{"role": "user" or "assistant", "content": …}``."""
Chat = Callable[[Sequence[Turn], int], str]
"""``(turns, at most so many tokens) -> the answer``, the likeliest one: the same turns get the same answer."""


def open_chat(settings: TextSettings, cache: Path | str | None = None) -> Chat:
    """The model that the settings name, loaded or within reach.

    Args:
        settings: model, endpoint, revision, dtype and device count.
        cache: folder in which the weights of a GGUF file are kept unpacked.

    Raises:
        MissingExtraError, DataError, ConfigError: as :func:`lrdgraph.language.pretrained.load_pretrained` or
            :func:`lrdgraph.language.endpoint.connect`; or the device is not there.
    """
    return LocalChat(settings, cache) if settings.endpoint is None else EndpointChat(settings)


class LocalChat:
    """A causal model through ``transformers``, decoded greedily.

    A model without a chat template goes on with the turns written below each other.
    """

    def __init__(self, settings: TextSettings, cache: Path | str | None = None) -> None:
        self.settings = settings
        self.device = device_of(settings.device)
        from transformers import GenerationConfig

        self._tokenizer, self._model = load_pretrained(settings, self.device, cache, writes=True)
        # the model's own settings may sample or hold penalties; what ends an answer is theirs to say
        ends = self._model.generation_config.eos_token_id
        self._model.generation_config = GenerationConfig(
            do_sample=False,
            eos_token_id=self._tokenizer.eos_token_id if ends is None else ends,
            pad_token_id=self._tokenizer.pad_token_id,
        )

    def __call__(self, turns: Sequence[Turn], max_new_tokens: int) -> str:
        """The answer to the last turn.

        Raises:
            ConfigError: turns and answer do not fit into what the model reads at once.
        """
        prompt = self._prompt(turns)
        length = prompt["input_ids"].shape[1]
        most = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        if most is not None and length + max_new_tokens > most:
            raise ConfigError(
                f"A prompt of {length} tokens and {max_new_tokens} of an answer do not fit into the {most} that "
                f"'{self.settings.model}' reads; lower pairs."
            )
        with torch.inference_mode():
            written = self._model.generate(**prompt, max_new_tokens=max_new_tokens)
        return str(self._tokenizer.decode(written[0, length:], skip_special_tokens=True))

    def _prompt(self, turns: Sequence[Turn]) -> Any:
        if self._tokenizer.chat_template:
            tokens = self._tokenizer.apply_chat_template(
                list(turns), add_generation_prompt=True, return_dict=True, return_tensors="pt"
            )
        else:
            text = "".join(f"{turn['content']}{': ' if turn['role'] == 'user' else chr(10) * 2}" for turn in turns)
            tokens = self._tokenizer(text.rstrip(), return_tensors="pt")
        kept = ("input_ids", "attention_mask")
        return {name: tokens[name].to(self.device) for name in kept}


class EndpointChat:
    """``POST {endpoint}/chat/completions`` at temperature 0."""

    def __init__(self, settings: TextSettings) -> None:
        self.settings = settings
        self._client = connect(str(settings.endpoint))

    def __call__(self, turns: Sequence[Turn], max_new_tokens: int) -> str:
        """The answer to the last turn.

        Raises:
            ConfigError: the server refuses the key or the request.
            DataError: it cannot be reached, or does not answer with text.
        """
        from openai import OpenAIError

        messages: Any = list(turns)
        try:
            answer = self._client.chat.completions.create(
                model=self.settings.model, messages=messages, temperature=0, max_tokens=max_new_tokens
            )
        except (OpenAIError, ValueError) as error:
            raise told(error, self._client, self.settings.model, "run again") from None
        try:
            text: Any = answer.choices[0].message.content or ""
        except (AttributeError, TypeError, IndexError):
            text = None
        if not isinstance(text, str):
            raise DataError(
                f"'{self.settings.model}' at {self.settings.endpoint} answers without a text; check that it is an "
                "OpenAI-compatible model for chats."
            )
        return text
