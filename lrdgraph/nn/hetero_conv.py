"""The relational layers on dictionaries by node type and edge type, as ``HeteroData`` holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.nn.relational_attention_conv import RelationalAttentionConv
from lrdgraph.nn.relational_conv import RelationalConv

EdgeType: TypeAlias = tuple[str, str, str]


class HeteroRelationalConv(nn.Module):
    r"""A relational convolution over nodes of several types, each edge type a relation of its own.

    Node vectors are brought to one width, ``h = P_t x`` for node type t; then all types hear each other by
    :class:`lrdgraph.nn.relational_conv.RelationalConv`, or with ``heads`` by
    :class:`lrdgraph.nn.relational_attention_conv.RelationalAttentionConv`, whose relation vectors stand in the order of
    the edge types, those of mixtures last.

    Args:
        in_channels: width of each node type, or of all.
        out_channels: width of the result, and of relation vectors.
        metadata: node types and edge types ``(source, name, destination)``, as ``HeteroData.metadata()`` gives them.
        mixtures: edge types whose edges carry a mixture, and of how many relations; with the latent edges of
            ``to_hetero_data``: ``{("item", "latent", "item"): K}``.
        heads: of the attention, which must divide ``out_channels``; 0 for none.
        composition: as in the layers.

    Raises:
        ConfigError: a node type has no width, an edge type names no node type, or a setting of the layers is wrong.
    """

    def __init__(
        self,
        in_channels: int | Mapping[str, int],
        out_channels: int,
        metadata: tuple[Sequence[str], Sequence[EdgeType]],
        mixtures: Mapping[EdgeType, int] | None = None,
        *,
        heads: int = 0,
        composition: str = "multiply",
    ) -> None:
        super().__init__()
        self.node_types, self.mixtures = list(metadata[0]), dict(mixtures or {})
        self.edge_types = [edge_type for edge_type in metadata[1] if edge_type not in self.mixtures]
        self.out_channels = out_channels
        widths = dict.fromkeys(self.node_types, in_channels) if isinstance(in_channels, int) else in_channels
        for node_type in self.node_types:
            if node_type not in widths:
                raise ConfigError(f"'in_channels' gives no width for nodes of type '{node_type}'; add it.")
        for source, name, destination in (*self.edge_types, *self.mixtures):
            if source not in self.node_types or destination not in self.node_types:
                raise ConfigError(
                    f"The edge type ({source}, {name}, {destination}) joins a node type that is not listed."
                )
        if heads and out_channels % heads:
            raise ConfigError(f"{heads} heads do not divide 'out_channels', {out_channels}; choose other numbers.")
        self.project = nn.ModuleList(
            nn.Linear(widths[node_type], out_channels, bias=False) for node_type in self.node_types
        )
        sizes = (len(self.edge_types), sum(self.mixtures.values()))
        self.conv: RelationalConv | RelationalAttentionConv = (
            RelationalAttentionConv(out_channels, out_channels // heads, *sizes, heads=heads, composition=composition)
            if heads
            else RelationalConv(out_channels, out_channels, *sizes, composition=composition)
        )

    def reset_parameters(self) -> None:
        """Draw all parameters anew."""
        for projection in self.project:
            projection.reset_parameters()  # type: ignore[operator]
        self.conv.reset_parameters()

    def forward(
        self,
        x_dict: Mapping[str, Tensor],
        edge_index_dict: Mapping[EdgeType, Tensor],
        edge_weight_dict: Mapping[EdgeType, Tensor] | None = None,
        mixture_dict: Mapping[EdgeType, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """One round of messages between all types.

        Args:
            x_dict: ``(nodes, in_channels)`` for each node type.
            edge_index_dict: ``(2, E)`` int64 for each edge type there is; some may be missing.
            edge_weight_dict: ``(E,)``; 1 for a type that is missing.
            mixture_dict: ``(P, K)`` for each edge type of a mixture.

        Returns:
            ``(nodes, out_channels)`` for each node type.

        Raises:
            DataError: there is an edge type that the layer does not know, a node type or a mixture is missing, or
                shapes do not agree.
        """
        for node_type in self.node_types:
            if node_type not in x_dict:
                raise DataError(f"'x_dict' holds no vectors for nodes of type '{node_type}'; add them.")
        parts = [project(x_dict[name]) for name, project in zip(self.node_types, self.project, strict=True)]
        nodes = _ranges({name: len(part) for name, part in zip(self.node_types, parts, strict=True)})
        relations, columns = {name: number for number, name in enumerate(self.edge_types)}, _ranges(self.mixtures)
        x = torch.cat(parts)
        index, latent_index = ([torch.empty(2, 0, dtype=torch.int64, device=x.device)] for _ in range(2))
        kind, weight = [index[0][0]], [x.new_empty(0)]
        mixture = [x.new_empty(0, self.conv.num_mixture)]
        for edge_type, edges in edge_index_dict.items():
            joined = _joined(edge_type, edges, nodes)
            if edge_type in self.mixtures:
                latent_index.append(joined)
                mixture.append(self._columns(edge_type, (mixture_dict or {}).get(edge_type), columns[edge_type]))
            elif edge_type in relations:
                index.append(joined)
                kind.append(torch.full_like(joined[0], relations[edge_type]))
                given = (edge_weight_dict or {}).get(edge_type)
                weight.append(x.new_ones(joined.shape[1]) if given is None else given.to(x.dtype))
            else:
                raise DataError(f"The layer knows no edge type {edge_type}; name it in 'metadata'.")
        out = self.conv(
            x, torch.cat(index, 1), torch.cat(kind), torch.cat(weight), torch.cat(latent_index, 1), torch.cat(mixture)
        )
        return {name: out[rows] for name, rows in nodes.items()}

    def _columns(self, edge_type: EdgeType, mixture: Tensor | None, columns: slice) -> Tensor:
        width = columns.stop - columns.start
        if mixture is None or mixture.dim() != 2 or mixture.shape[1] != width:
            raise DataError(
                f"Edges of type {edge_type} carry {width} relations; 'mixture_dict' must hold as many weights."
            )
        return F.pad(mixture, (columns.start, self.conv.num_mixture - columns.stop))

    def extra_repr(self) -> str:
        return f"{len(self.node_types)} node types, {len(self.edge_types)} edge types, {len(self.mixtures)} of mixtures"


def _ranges(sizes: Mapping[Any, int]) -> dict[Any, slice]:
    """Consecutive slices of these sizes."""
    ends = list(accumulate(sizes.values()))
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


def _joined(edge_type: EdgeType, edges: Tensor, nodes: Mapping[str, slice]) -> Tensor:
    """``(2, E)`` among the nodes of all types."""
    ends = nodes.get(edge_type[0], slice(0, 0)), nodes.get(edge_type[2], slice(0, 0))
    for index, rows in zip(edges, ends, strict=True):
        if len(index) and (int(index.min()) < 0 or int(index.max()) >= rows.stop - rows.start):
            raise DataError(f"An edge of type {edge_type} names a node that 'x_dict' has no vector for.")
    return edges + edges.new_tensor([[ends[0].start], [ends[1].start]])
