"""Typed, weighted edges over items and attribute values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.graph.relations import RelationVocabulary
from lrdgraph.storage import atomic_folder, check_replaceable, read_json, settle_folder, write_json
from lrdgraph.vocabulary import Vocabulary

FORMAT = 1


@dataclass(frozen=True, eq=False)
class ItemGraph:
    """A directed multigraph with ``E`` typed edges over ``N`` items and ``A`` attribute values.

    Node ``n`` is item ``n`` for ``1 <= n <= N`` and attribute value ``n - N`` above; node 0 is padding and has no
    edge. The triple (head, relation, tail) is an edge from head to tail, so that in message passing the tail hears of
    the head, and the inverse relation carries the message back. Edges are kept sorted by (type, destination, source).

    Args:
        edge_index: ``(2, E)`` int64, row 0 the source, row 1 the destination.
        edge_type: ``(E,)`` int64 positions in ``relations``.
        edge_weight: ``(E,)`` float32, finite and not negative.
        relations: what the types mean.
        items, attributes: external ids.

    Raises:
        DataError: shapes, types, nodes or weights are not as above, or an edge occurs twice.
    """

    edge_index: Tensor
    edge_type: Tensor
    edge_weight: Tensor
    relations: RelationVocabulary
    items: Vocabulary
    attributes: Vocabulary

    def __post_init__(self) -> None:
        _check(self)
        order = _sorted_order(self.edge_index, self.edge_type)
        if order is not None:
            object.__setattr__(self, "edge_index", self.edge_index[:, order].contiguous())
            object.__setattr__(self, "edge_type", self.edge_type[order])
            object.__setattr__(self, "edge_weight", self.edge_weight[order])
        _check_distinct(self)

    @property
    def num_items(self) -> int:
        return len(self.items)

    @property
    def num_nodes(self) -> int:
        """``N + A``, padding not counted."""
        return len(self.items) + len(self.attributes)

    @property
    def num_rows(self) -> int:
        """Rows of a node table, ``N + A + 1``: row 0 is padding."""
        return self.num_nodes + 1

    @property
    def num_edges(self) -> int:
        return int(self.edge_type.numel())

    def edges_of(self, relation: str) -> slice:
        """Where the edges of one relation stand in the edge tensors.

        Raises:
            UnknownIdError: there is no such relation.
        """
        bounds = torch.tensor([self.relations.index(relation), self.relations.index(relation) + 1])
        start, stop = torch.searchsorted(self.edge_type, bounds).tolist()
        return slice(start, stop)

    def csr(self, relation: str) -> tuple[Tensor, Tensor, Tensor]:
        """One relation by source: the destinations of node ``n`` are ``col[crow[n]:crow[n + 1]]``.

        Returns:
            ``crow`` (N + A + 2,) int64, ``col`` (E_r,) int64 rising within a row, ``weight`` (E_r,) float32.

        Raises:
            UnknownIdError: there is no such relation.
        """
        edges = self.edges_of(relation)
        source, destination = self.edge_index[:, edges]
        # edges come sorted by destination, so that a stable sort by source leaves destinations rising
        order = torch.argsort(source, stable=True)
        crow = torch.zeros(self.num_rows + 1, dtype=torch.int64)
        crow[1:] = torch.bincount(source, minlength=self.num_rows).cumsum(0)
        return crow, destination[order], self.edge_weight[edges][order]

    def edge_counts(self) -> dict[str, int]:
        """Number of edges of each relation, by name."""
        counts = torch.bincount(self.edge_type, minlength=len(self.relations)).tolist()
        return dict(zip(self.relations.names, counts, strict=True))

    def __repr__(self) -> str:
        counts = self.edge_counts()
        parts = ", ".join(f"{r.name} [{r.kind}] {counts[r.name]:,}" for r in self.relations)
        return (
            f"ItemGraph({self.num_items:,} items, {len(self.attributes):,} attributes, {self.num_edges:,} edges: "
            f"{parts or 'no relations'})"
        )

    def save(self, folder: Path | str) -> Path:
        """Write ``graph.safetensors`` and ``graph.json`` to ``folder``, replacing a graph that stands there.

        Raises:
            ConfigError: ``folder`` is a file, or holds other files than those of a graph.
        """
        folder = Path(folder)
        check_replaceable(folder, "graph.json", "a graph")
        with atomic_folder(folder) as out:
            tensors = {k: getattr(self, k).contiguous() for k in ("edge_index", "edge_type", "edge_weight")}
            save_file(tensors, out / "graph.safetensors")
            about = {"format": FORMAT, "relations": self.relations.to_json()}
            about |= {key: getattr(self, key).series.to_list() for key in ("items", "attributes")}
            write_json(out / "graph.json", about)
        return folder

    @classmethod
    def load(cls, folder: Path | str) -> ItemGraph:
        """Read a graph that :meth:`save` wrote.

        Raises:
            DataError: a file is missing, truncated or of another format.
        """
        folder = Path(folder)
        settle_folder(folder)
        about = read_json(folder / "graph.json")
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise DataError(f"{folder / 'graph.json'} is not a graph of format {FORMAT}; build the graph again.")
        try:
            tensors = load_file(folder / "graph.safetensors")
            return cls(
                **{key: tensors[key] for key in ("edge_index", "edge_type", "edge_weight")},
                relations=RelationVocabulary.from_json(about["relations"]),
                items=Vocabulary(about["items"], "item"),
                attributes=Vocabulary(about["attributes"], "attribute"),
            )
        except (SafetensorError, OSError, KeyError) as error:
            raise DataError(f"{folder} does not hold a whole graph ({error}); build the graph again.") from None


def _sorted_order(edge_index: Tensor, edge_type: Tensor) -> Tensor | None:
    """The order that sorts edges by (type, destination, source), or None where they are sorted."""
    keys = (edge_index[0].cpu().numpy(), edge_index[1].cpu().numpy(), edge_type.cpu().numpy())
    order = np.lexsort(keys)
    return None if np.array_equal(order, np.arange(len(order))) else torch.from_numpy(order)


def _check(graph: ItemGraph) -> None:
    size = graph.edge_type.numel()
    if graph.edge_index.shape != (2, size) or graph.edge_type.dim() != 1 or graph.edge_weight.shape != (size,):
        shapes = [tuple(t.shape) for t in (graph.edge_index, graph.edge_type, graph.edge_weight)]
        raise DataError(f"A graph needs edge_index (2, E), edge_type (E,) and edge_weight (E,); got {shapes}.")
    types = (graph.edge_index.dtype, graph.edge_type.dtype, graph.edge_weight.dtype)
    if types != (torch.int64, torch.int64, torch.float32):
        raise DataError(f"Edges must be int64, int64 and float32; got {', '.join(str(t) for t in types)}.")
    if not size:
        return
    if int(graph.edge_index.min()) < 1 or int(graph.edge_index.max()) > graph.num_nodes:
        raise DataError(f"An edge names a node outside 1…{graph.num_nodes}; map ids through the vocabularies.")
    if int(graph.edge_type.min()) < 0 or int(graph.edge_type.max()) >= len(graph.relations):
        raise DataError(f"An edge has a type outside 0…{len(graph.relations) - 1}; name every relation.")
    if not bool(torch.isfinite(graph.edge_weight).all()) or bool((graph.edge_weight < 0).any()):
        raise DataError("An edge weight is negative or not finite; weights are confidences of 0 or more.")


def _check_distinct(graph: ItemGraph) -> None:
    """Edges are sorted, so that equal ones stand side by side."""
    same = (graph.edge_type[1:] == graph.edge_type[:-1]) & (graph.edge_index[:, 1:] == graph.edge_index[:, :-1]).all(0)
    if bool(same.any()):
        at = int(same.nonzero()[0])
        source, destination = graph.edge_index[:, at].tolist()
        name = graph.relations[int(graph.edge_type[at])].name
        raise DataError(f"The edge {source} → {destination} of '{name}' occurs twice; give it once, with one weight.")
