"""A small corpus, and language models of a few thousand random weights saved as folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from lrdgraph.corpus import Corpus
from lrdgraph.vocabulary import Vocabulary

_PLAIN = "red green blue steel paper desk pen lamp chair item this means word : ."
WORDS = ["<pad>", "<eos>", "<unk>", *_PLAIN.split()]


def make_corpus(**fields: list[str | None] | pl.Series) -> Corpus:
    """Items i1 … iN with the given fields, and one interaction."""
    table = pl.DataFrame(fields)
    one = np.ones(1, dtype=np.int64)
    items = Vocabulary([f"i{n}" for n in range(1, table.height + 1)])
    return Corpus("small", Vocabulary(["u"], "user"), items, one, one.copy(), one.copy(), table)


def save_model(folder: Path, kind: str, seed: int = 0) -> Path:
    """A random model of kind ``"encoder"`` or ``"causal"`` with a tokenizer that adds no marks of its own."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    marks = {"eos_token": "<eos>", "unk_token": "<unk>", "model_max_length": 24}
    if kind == "encoder":
        marks["pad_token"] = "<pad>"
    PreTrainedTokenizerFast(tokenizer_object=words, **marks).save_pretrained(folder)
    torch.manual_seed(seed)
    size = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 24,
        "initializer_range": 0.5,
    }
    if kind == "encoder":
        BertModel(BertConfig(**size)).save_pretrained(folder)
    else:
        LlamaForCausalLM(LlamaConfig(**size, num_key_value_heads=2)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "encoder", "encoder")


@pytest.fixture(scope="session")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "causal", "causal")
