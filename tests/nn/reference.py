"""The relational layers edge by edge and relation by relation, and small graphs to try them on."""

from __future__ import annotations

import torch
from torch import Tensor

from lrdgraph.nn import RelationalAttentionConv, RelationalConv

NODES, D, R, K = 7, 6, 3, 2


def composed(h: Tensor, z: Tensor, composition: str) -> Tensor:
    if composition == "multiply":
        return h * z
    if composition == "subtract":
        return h - z
    if composition == "rotate":
        half = len(h) // 2
        angle = torch.atan2(z[half:], z[:half])
        rotated = torch.complex(h[:half], h[half:]) * torch.polar(torch.ones_like(angle), angle)
        return torch.cat([rotated.real, rotated.imag])
    return torch.stack([h @ z.roll(-k) for k in range(len(h))])


def messages(layer: RelationalConv | RelationalAttentionConv, x: Tensor, edges: dict[str, Tensor]) -> list:
    """``(source, destination, [(weight, message) of each relation])`` of every edge."""
    assert layer.relations is not None
    z, found = layer.relations, []
    for (j, i), r, w in zip(edges["edge_index"].T.tolist(), edges["edge_type"], edges["edge_weight"], strict=True):
        found.append((j, i, [(w, composed(x[j], z[r], layer.composition))]))
    for (j, i), weights in zip(edges["latent_index"].T.tolist(), edges["mixture"], strict=True):
        latent = z[layer.num_relations :]
        parts = [(w, composed(x[j], vector, layer.composition)) for w, vector in zip(weights, latent, strict=True)]
        found.append((j, i, parts))
    return found


def slow_conv(conv: RelationalConv, x: Tensor, edges: dict[str, Tensor], x_root: Tensor | None = None) -> Tensor:
    x_root = x if x_root is None else x_root
    total = torch.zeros(len(x_root), x.shape[1], dtype=x.dtype)
    mass = torch.zeros(len(x_root), dtype=x.dtype)
    for _, i, parts in messages(conv, x, edges):
        for w, message in parts:
            total[i] += w * message
            mass[i] += w
    return x_root @ conv.root.weight.T + total / (mass + conv.eps)[:, None] @ conv.neighbour.weight.T


def slow_attention(layer: RelationalAttentionConv, x: Tensor, edges: dict[str, Tensor], x_root: Tensor) -> Tensor:
    h, c = layer.heads, layer.out_channels
    incoming: dict[int, list[tuple[Tensor, Tensor]]] = {i: [] for i in range(len(x_root))}
    for _, i, parts in messages(layer, x, edges):
        mass = sum(w for w, _ in parts)
        key = (layer.key.weight @ (sum(w * message for w, message in parts) / mass)).view(h, c)
        seen = (layer.query.weight @ x_root[i]).view(h, c) + key
        score = (torch.where(seen > 0, seen, layer.negative_slope * seen) * layer.attention).sum(1)
        incoming[i].append((mass * score.exp(), key))
    rows = []
    for i in range(len(x_root)):
        total = sum((share for share, _ in incoming[i]), torch.zeros(h, dtype=x.dtype))
        heads = sum((share[:, None] / total[:, None] * key for share, key in incoming[i]), torch.zeros(h, c).to(x))
        out = heads.flatten() if layer.concat else heads.mean(0)
        rows.append(layer.root.weight @ x_root[i] + out)
    return torch.stack(rows)


def random_edges(typed: int = 12, latent: int = 9, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    random = torch.Generator().manual_seed(seed)
    edges = {
        "edge_index": torch.randint(1, NODES, (2, typed), generator=random),
        "edge_type": torch.randint(0, R, (typed,), generator=random),
        "edge_weight": torch.rand(typed, generator=random, dtype=torch.float64),
        "latent_index": torch.randint(1, NODES, (2, latent), generator=random),
        "mixture": torch.rand(latent, K, generator=random, dtype=torch.float64),
    }
    return torch.randn(NODES, D, generator=random, dtype=torch.float64), edges


def bipartite_edges(destinations: int = 4) -> tuple[Tensor, dict[str, Tensor]]:
    """Edges from all nodes to the first few."""
    x, edges = random_edges(20, 10, seed=3)
    for name in ("edge_index", "latent_index"):
        edges[name] = torch.stack([edges[name][0], edges[name][1] % destinations])
    return x, edges


def single(edges: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same edges in float32."""
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in edges.items()}


def assert_gradients_equal(fast: Tensor, slow: Tensor, leaves: list[Tensor]) -> None:
    """Of a random projection of both, to 1e-9."""
    direction = torch.randn(fast.shape, dtype=fast.dtype, generator=torch.Generator().manual_seed(9))
    found, expected = (torch.autograd.grad((out * direction).sum(), leaves) for out in (fast, slow))
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-9, rtol=1e-9)
