"""A trained model with items added that it never saw, known by their text alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.models.base import Recommender
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.vocabulary import Vocabulary


def extend(model: Recommender, ids: Sequence[str], vectors: np.ndarray) -> Recommender:
    """The same trained model with ``n`` more items, which may be recommended and may stand in a history.

    Every learned tensor is copied; where it has a row for each item, the new items get rows of zeros. What was measured
    of the old items' texts (mean, scale) stays as it was. The new items have no training event and no predefined edge:
    a model that reads no texts scores them as items of which nothing is known.

    Old items keep their scores as far as the model's graph does. Latent candidate pairs are found anew, so an old item
    that is among the nearest texts of a new one, or has a new one among its own, hears of it, and its vector changes.

    Args:
        model: a recommender built as ``type(model)(inputs, settings)``; it stays as it is.
        ids: external ids of the new items.
        vectors: ``(n, T)`` their language vectors, made as those of the model were.

    Raises:
        ConfigError: the model was built without language vectors.
        DataError: there are not as many vectors as ids, they have another width or are not finite, or an id is empty,
            repeated or known already.
    """
    if getattr(model.settings, "discovery_text", "own") == "shuffled":
        raise ConfigError(
            "Discovery read shuffled texts, a control that new items would deal anew; extend another model."
        )
    inputs = _more_inputs(model.inputs, ids, np.asarray(vectors))
    with torch.random.fork_rng(devices=[]):  # the fresh weights are thrown away, so no chance is to be used up
        grown = type(model)(inputs, model.settings)
    old, new = model.state_dict(), grown.state_dict()
    grown.load_state_dict({name: _rows_added(tensor, new[name], len(ids)) for name, tensor in old.items()})
    grown.latent_relations = model.latent_relations
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    return grown.to(device).train(model.training)


def _more_inputs(inputs: ModelInputs, ids: Sequence[str], vectors: np.ndarray) -> ModelInputs:
    if inputs.text is None:
        raise ConfigError("The model was built without language vectors, by which new items are known; give it some.")
    width = inputs.text.size(1)
    if vectors.shape != (len(ids), width):
        raise DataError(f"{len(ids)} new items need vectors of shape {(len(ids), width)}; got {vectors.shape}.")
    rows = torch.from_numpy(np.array(vectors, dtype=np.float32))
    if not bool(torch.isfinite(rows).all()):
        first = int((~torch.isfinite(rows).all(1)).nonzero()[0])
        raise DataError(f"The vector of new item '{ids[first]}' is not finite; encode its text again.")
    added = Vocabulary(ids, inputs.items.kind)
    known = added.series.filter(added.series.is_in(inputs.items.series.to_list()))
    if len(known):
        raise DataError(f"The item '{known[0]}' is in the model already; give new ids alone.")
    items = Vocabulary(pl.concat([inputs.items.series, added.series]), inputs.items.kind)
    return replace(
        inputs,
        items=items,
        popularity=F.pad(inputs.popularity, (0, len(ids))),
        text=torch.cat([inputs.text, rows.to(inputs.text)]),
        graph=None if inputs.graph is None else _more_items(inputs.graph, items),
    )


def _more_items(graph: ItemGraph, items: Vocabulary) -> ItemGraph:
    """The same edges over a longer list of items; attribute nodes move up to make room."""
    shift = (graph.edge_index > graph.num_items) * (len(items) - graph.num_items)
    return replace(graph, edge_index=graph.edge_index + shift, items=items)


def _rows_added(old: Tensor, new: Tensor, count: int) -> Tensor:
    """``old`` with zeros for ``count`` items, in the dimension that runs over items."""
    for dim, (before, after) in enumerate(zip(old.shape, new.shape, strict=True)):
        if before != after:
            shape = (*old.shape[:dim], count, *old.shape[dim + 1 :])
            return torch.cat([old, old.new_zeros(shape)], dim)
    return old
