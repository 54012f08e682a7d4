"""What a run is made from: its corpus, language vectors and graph, and the copy of them that its folder keeps."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import torch

from data_loaders import load
from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError, DataError
from lrdgraph.experiment.settings import ExperimentSettings
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.language.vectors import item_vectors
from lrdgraph.models.inputs import ModelInputs, model_inputs
from lrdgraph.models.registry import model_class
from lrdgraph.parquet import read_parquet
from lrdgraph.splits import Split
from lrdgraph.storage import atomic_folder, settle_folder
from lrdgraph.training.checkpoint import load_tensors, save_tensors
from lrdgraph.vocabulary import Vocabulary


def cache_folder() -> Path:
    """Where downloads and language vectors are kept: ``$LRDGRAPH_CACHE``, else ``~/.cache/lrdgraph``."""
    return Path(os.environ.get("LRDGRAPH_CACHE") or "~/.cache/lrdgraph").expanduser()


def load_corpus(settings: ExperimentSettings, source: str | None = None) -> Corpus:
    """The corpus that the settings name, or another at ``source`` that is read as they say.

    Raises:
        ConfigError: no source is named. DataError: as the loader.
    """
    recorded = settings.data.source
    asked = recorded if source is None else source
    if asked is None:
        raise ConfigError("[data] source is not set; name the data in the file or with --data.")
    try:
        return load(asked, settings.data.format, **settings.data.options)
    except DataError as error:
        if source is None and not Path(asked).expanduser().exists():
            cure = f"{str(error).rstrip('.')}, or name the data with --data (in Python data=)."
            raise DataError(cure) from None
        raise


def build_inputs(
    settings: ExperimentSettings,
    corpus: Corpus,
    parts: Split,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ModelInputs:
    """Graph and language vectors for a model; texts are encoded only if the model reads them."""
    model, values = model_class(settings.model_name), settings.model_values
    reads_text = model.reads_text or values.get("text", False) or values.get("num_latent", 0)
    wanted = bool(reads_text) or settings.text.vectors is not None
    has_text = bool(corpus.fields.width) or settings.text.vectors is not None or settings.text.model == "random"
    vectors = item_vectors(corpus, settings.text, cache or cache_folder(), progress) if wanted and has_text else None
    graph = build_graph(
        corpus,
        relations=settings.graph.relations,
        exclude=settings.graph.exclude,
        inverses=settings.graph.inverses,
        min_attribute_items=settings.graph.min_attribute_items,
        share=settings.graph.share,
    )
    inputs = model_inputs(corpus, parts.training(), vectors, graph)
    if settings.data.negatives_avoid == "all":
        every = torch.from_numpy(np.stack([parts.events.user, parts.events.item]))
        inputs = replace(inputs, avoided=every)
    return inputs


def save_inputs(folder: Path, inputs: ModelInputs, corpus: Corpus, anew: bool = False) -> None:
    """Keep in a folder what recommending needs; nothing where it is kept already, unless it is to be kept anew."""
    settle_folder(folder)
    if not anew and (folder / "items.parquet").exists():
        return
    with atomic_folder(folder) as out:
        tensors = {"popularity": inputs.popularity, "events": inputs.events}
        tensors |= {"num_users": torch.tensor(inputs.num_users)} | (
            {} if inputs.text is None else {"text": inputs.text}
        )
        save_tensors(tensors, out / "inputs.safetensors")
        table = pl.concat([corpus.items.series.to_frame(), corpus.fields.rename(_field)], how="horizontal")
        table.write_parquet(out / "items.parquet")
        corpus.users.series.to_frame().write_parquet(out / "users.parquet")
        if inputs.graph is not None:
            inputs.graph.save(out / "graph")


def keep_to_text(inputs: ModelInputs, folder: Path) -> ModelInputs:
    """The inputs with the language vectors that a run began with, where its folder keeps some.

    Raises:
        DataError: the present ones are others, by more than two machines differ in encoding a text.
    """
    settle_folder(folder)
    if inputs.text is None or not (folder / "items.parquet").exists():
        return inputs
    held = load_tensors(folder / "inputs.safetensors").get("text")
    if held is None or held.shape != inputs.text.shape or _far(held, inputs.text):
        raise DataError(f"{folder} holds other language vectors than there are now; choose another folder for the run.")
    return replace(inputs, text=held)


def _far(held: torch.Tensor, now: torch.Tensor) -> bool:
    return bool((held - now).abs().max() > 0.01 * held.abs().max())


def load_inputs(folder: Path) -> tuple[ModelInputs, pl.DataFrame]:
    """What :func:`save_inputs` kept, and the item fields.

    Raises:
        DataError: a file is missing, broken or of an earlier version, or they do not fit together.
    """
    settle_folder(folder)
    tensors = load_tensors(folder / "inputs.safetensors")
    if not {"num_users", "popularity", "events"} <= tensors.keys():
        raise DataError(f"{folder / 'inputs.safetensors'} is damaged or of an earlier version; train the run again.")
    table = _table(folder / "items.parquet")
    graph = ItemGraph.load(folder / "graph") if (folder / "graph").exists() else None
    items = Vocabulary(table["id"], "item")
    fields = table.drop("id").rename(lambda name: name.removeprefix("field:"))
    number, path = tensors["num_users"], folder / "users.parquet"
    users = Vocabulary(_table(path)["id"], "user") if path.exists() else None  # an earlier version kept none
    text, popularity, events = tensors.get("text"), tensors["popularity"], tensors["events"]
    rows = len(items) + 1
    fit = {
        "number of users": number.numel() == 1 and (users is None or len(users) == int(number)),
        "popularity": popularity.shape == (rows,),
        "events": events.dim() == 2 and len(events) == 3 and events.dtype == torch.int64,
        "language vectors": text is None or (text.dim() == 2 and len(text) == rows),
        "graph": graph is None or graph.num_items == len(items),
    }
    for name, fits in fit.items():
        if not fits:
            raise DataError(f"{folder} is damaged: its {name} and its ids do not fit together; train the run again.")
    inputs = ModelInputs(items, popularity, events, int(number), text, graph, users=users)
    return inputs, fields


def _table(path: Path) -> pl.DataFrame:
    table = read_parquet(path, "train again or restore it")
    if "id" not in table.columns:
        raise DataError(f"{path} has no column 'id'; train again or restore it.")
    return table


def _field(name: str) -> str:
    return f"field:{name}"
