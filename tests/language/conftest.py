"""A small corpus, and language models of a few thousand random weights saved as folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
import torch

from lrdgraph.corpus import Corpus
from lrdgraph.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import LlamaModel

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


LETTERS = ["<pad>", "<eos>", "<unk>", *"abcdefghijklmnopqrstuvwxyz", "Ġ", "re", "red", "Ġp", "Ġpe", "Ġpen"]
MERGES = ["r e", "re d", "Ġ p", "Ġp e", "Ġpe n"]


def save_gguf(path: Path, kind: str = "F32", seed: int = 0) -> LlamaModel:
    """Write a causal model of one layer as a GGUF file, its projections packed as ``kind``; gives the model itself."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize
    from transformers import LlamaConfig, LlamaModel

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "max_position_embeddings": 24}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    torch.manual_seed(seed)
    model = LlamaModel(LlamaConfig(vocab_size=len(LETTERS), **size, **heads, initializer_range=0.5)).eval()
    file = GGUFWriter(path, "llama")
    file.add_name("small")
    file.add_context_length(24)
    file.add_embedding_length(32)
    file.add_feed_forward_length(64)
    file.add_block_count(1)
    file.add_head_count(2)
    file.add_head_count_kv(1)
    file.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    file.add_vocab_size(len(LETTERS))
    file.add_tokenizer_model("gpt2")
    file.add_token_list(LETTERS)
    file.add_token_types([3, 3, 3] + [1] * (len(LETTERS) - 3))
    file.add_token_merges(MERGES)
    file.add_bos_token_id(1)
    file.add_eos_token_id(1)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    for number in ("q", "k"):
        # GGUF keeps the two halves of each head's rotation interleaved
        name = f"layers.0.self_attn.{number}_proj.weight"
        weights[name] = weights[name].reshape(-1, 2, 8, 32).swapaxes(1, 2).reshape(-1, 32)
    for theirs, name in GGUF_NAMES.items():
        tensor, packed = np.ascontiguousarray(weights[name]), None
        if kind != "F32" and "proj" in name:
            packed = GGMLQuantizationType[kind]
            tensor = quantize(tensor, packed)
        file.add_tensor(f"{theirs}.weight", tensor, raw_dtype=packed)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return model


GGUF_NAMES = {
    "token_embd": "embed_tokens.weight",
    "output_norm": "norm.weight",
    "blk.0.attn_norm": "layers.0.input_layernorm.weight",
    "blk.0.ffn_norm": "layers.0.post_attention_layernorm.weight",
    "blk.0.attn_output": "layers.0.self_attn.o_proj.weight",
    **{f"blk.0.attn_{name}": f"layers.0.self_attn.{name}_proj.weight" for name in "qkv"},
    **{f"blk.0.ffn_{name}": f"layers.0.mlp.{name}_proj.weight" for name in ("gate", "up", "down")},
}


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "encoder", "encoder")


@pytest.fixture(scope="session")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "causal", "causal")
