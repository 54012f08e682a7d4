"""What a recommender is built from: plain data derived from a corpus and its training events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lrdgraph.corpus import Corpus
from lrdgraph.errors import ConfigError
from lrdgraph.graph.item_graph import ItemGraph
from lrdgraph.language.controls import shuffled
from lrdgraph.splits import Sequences
from lrdgraph.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """Item facts that every model may read; nothing in it comes from validation or test events.

    Attributes:
        items: the item vocabulary, ``N`` items.
        popularity: ``(N + 1,)`` float32 training events of each item.
        events: ``(3, M)`` int64 user, item and time of every training event, sorted by time.
        num_users: ``U``; users are numbers here.
        text: ``(N + 1, T)`` float32 language vectors, row 0 zero, or None.
        graph: predefined relations, or None.
        avoided: ``(2, Q)`` users and items that negatives avoid beside those of training, or None. Public code avoids
            validation and test items, which tells the model what is to come; it is here to show what that is worth, and
            is the one exception to the rule above.
        users: ids of the ``U`` users by number, or None where they are not known.
    """

    items: Vocabulary
    popularity: Tensor
    events: Tensor
    num_users: int
    text: Tensor | None = None
    graph: ItemGraph | None = None
    avoided: Tensor | None = None
    users: Vocabulary | None = None

    @property
    def num_items(self) -> int:
        return len(self.items)

    @property
    def had(self) -> Tensor:
        """``(2, M)`` users and items that negatives avoid: the training events, and ``avoided`` where it is given."""
        return self.events[:2] if self.avoided is None else torch.cat([self.events[:2], self.avoided], dim=1)

    def sequences(self) -> Sequences:
        """The training events by user, each user's in the order of time."""
        user, item, time = (row.numpy() for row in self.events)
        order = np.argsort(user, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=self.num_users + 1))])
        return Sequences(item[order], time[order], offsets)

    def need_text(self, model: str) -> Tensor:
        """The language vectors, or a ConfigError that says which model asked for them."""
        if self.text is None:
            raise ConfigError(
                f"Model '{model}' reads language vectors, and there are none; give items with text, [text] vectors or "
                "[text] model 'random', or settings that read no text, as [model] text = false."
            )
        return self.text

    def need_graph(self, model: str) -> ItemGraph:
        """The item graph, or a ConfigError that says which model asked for it."""
        if self.graph is None:
            raise ConfigError(f"Model '{model}' reads an item graph; give one built by build_graph.")
        return self.graph


def discovery_text(inputs: ModelInputs, which: Literal["own", "shuffled"], model: str) -> Tensor:
    """The language vectors ``(N + 1, T)`` that discovery reads; shuffled, the control, they are dealt at random."""
    text = inputs.need_text(model)
    return text if which == "own" else shuffled(text, seed=0)


def model_inputs(
    corpus: Corpus, training: Sequences, vectors: np.ndarray | None = None, graph: ItemGraph | None = None
) -> ModelInputs:
    """Collect a model's inputs.

    Args:
        corpus: gives the vocabulary.
        training: training events.
        vectors: ``(N, T)`` language vectors in vocabulary order.
        graph: predefined relations.

    Raises:
        ConfigError: ``vectors`` does not have one row for each item.
    """
    text = None
    if vectors is not None:
        if len(vectors) != corpus.num_items:
            raise ConfigError(f"There are {len(vectors)} language vectors for {corpus.num_items} items; give one each.")
        text = torch.zeros(len(vectors) + 1, vectors.shape[1])
        text.numpy()[1:] = vectors  # from the disk, if they lie there, without a copy between
    counts = np.bincount(training.item, minlength=corpus.num_items + 1).astype(np.float32)
    order = np.argsort(training.time, kind="stable")
    events = torch.from_numpy(np.stack([training.user[order], training.item[order], training.time[order]]))
    popularity = torch.from_numpy(counts)
    return ModelInputs(corpus.items, popularity, events, training.num_users, text, graph, users=corpus.users)
