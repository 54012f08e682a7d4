from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.nn.relational_conv import COMPOSITIONS, RelationalAdjacency, RelationalConv

NODES, D, R, K = 7, 5, 3, 2


def composed(h: Tensor, z: Tensor, composition: str) -> Tensor:
    if composition == "multiply":
        return h * z
    if composition == "subtract":
        return h - z
    return torch.stack([h @ z.roll(-k) for k in range(len(h))])


def slow(conv: RelationalConv, x: Tensor, edges: dict[str, Tensor]) -> Tensor:
    """The equation, edge by edge and relation by relation."""
    total, mass = torch.zeros_like(x), torch.zeros(len(x), dtype=x.dtype)
    assert conv.relations is not None
    for (j, i), r, w in zip(edges["edge_index"].T, edges["edge_type"], edges["edge_weight"], strict=True):
        total[i] += w * composed(x[j], conv.relations[r], conv.composition)
        mass[i] += w
    for (j, i), weights in zip(edges["latent_index"].T, edges["mixture"], strict=True):
        for k, w in enumerate(weights):
            total[i] += w * composed(x[j], conv.relations[conv.num_relations + k], conv.composition)
            mass[i] += w
    return x @ conv.root.weight.T + total / (mass + conv.eps)[:, None] @ conv.neighbour.weight.T


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


@pytest.mark.parametrize("composition", COMPOSITIONS)
@pytest.mark.parametrize(("typed", "latent"), [(12, 9), (0, 9), (12, 0), (0, 0)])
def test_equals_the_equation(composition: str, typed: int, latent: int) -> None:
    x, edges = random_edges(typed, latent)
    conv = RelationalConv(D, 4, R, K, composition=composition).double()
    expected = slow(conv, x, edges)
    torch.testing.assert_close(conv(x, **edges), expected, atol=1e-9, rtol=1e-9)
    single = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in edges.items()}
    torch.testing.assert_close(conv.float()(x.float(), **single), expected.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_gradients_equal_those_of_the_equation_over_several_blocks(
    composition: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrdgraph.nn.sparse_products._EDGES_AT_ONCE", 16)
    x, edges = random_edges(50, 41)
    conv = RelationalConv(D, 4, R, K, composition=composition).double()
    leaves = [x, edges["edge_weight"], edges["mixture"], conv.relations, conv.root.weight, conv.neighbour.weight]
    for leaf in leaves:
        assert leaf is not None
        leaf.requires_grad_()
    direction = torch.randn(NODES, 4, dtype=torch.float64)
    fast = torch.autograd.grad((conv(x, **edges) * direction).sum(), leaves)
    reference = torch.autograd.grad((slow(conv, x, edges) * direction).sum(), leaves)
    for got, expected in zip(fast, reference, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_gradcheck(composition: str) -> None:
    x, edges = random_edges()
    conv = RelationalConv(D, 4, R, K, composition=composition, own_relations=False).double()
    adjacency = RelationalAdjacency.from_edges(
        edges["edge_index"], edges["edge_type"], num_nodes=NODES, latent_index=edges["latent_index"]
    )
    z = torch.randn(R + K, D, dtype=torch.float64)
    leaves = [tensor.clone().requires_grad_() for tensor in (x, edges["edge_weight"], edges["mixture"], z)]
    assert torch.autograd.gradcheck(
        lambda x, w, m, z: conv(x, adjacency, edge_weight=w, mixture=m, relations=z), leaves, atol=1e-6
    )


def test_circular_correlation_by_hand() -> None:
    """(h ⋆ z)_k = Σ_d h_d z_{d+k mod D}: for h = (1, 2, 0), z = (3, 0, −1) it is (3, −2, 5)."""
    h, z = torch.tensor([1.0, 2.0, 0.0]), torch.tensor([3.0, 0.0, -1.0])
    node, relation, join = COMPOSITIONS["correlation"]
    torch.testing.assert_close(join(node(h) * relation(z), 3), torch.tensor([3.0, -2.0, 5.0]))
    torch.testing.assert_close(composed(h, z, "correlation"), torch.tensor([3.0, -2.0, 5.0]))


def test_by_hand() -> None:
    """Node 3 hears of 1 by relation 0 with weight 2, and of 2 by the mixture (0.5, 0.25) of relations 1 and 2."""
    conv = RelationalConv(2, 2, 1, 2, eps=0.0, own_relations=False)
    with torch.no_grad():
        conv.root.weight.copy_(torch.eye(2))
        conv.neighbour.weight.copy_(2 * torch.eye(2))
    x = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, -1.0], [10.0, 20.0]])
    z = torch.tensor([[1.0, -1.0], [2.0, 0.0], [0.0, 4.0]])
    out = conv(
        x,
        torch.tensor([[1], [3]]),
        torch.tensor([0]),
        torch.tensor([2.0]),
        latent_index=torch.tensor([[2], [3]]),
        mixture=torch.tensor([[0.5, 0.25]]),
        relations=z,
    )
    # 2·(1, −2) + 0.5·(6, 0) + 0.25·(0, −4) = (5, −5); the mass is 2.75
    expected = torch.tensor([10 + 2 * 5 / 2.75, 20 - 2 * 5 / 2.75])
    torch.testing.assert_close(out[3], expected)


def test_a_message_goes_from_row_0_to_row_1_only() -> None:
    conv = RelationalConv(D, 4, 1)
    x = torch.randn(4, D, requires_grad=True)
    edge, kind = torch.tensor([[1], [2]]), torch.tensor([0])
    conv(x, edge, kind)[2].sum().backward()
    assert x.grad is not None
    assert x.grad[1].abs().sum() > 0
    x.grad = None
    conv(x, edge, kind)[1].sum().backward()
    assert x.grad[2].abs().sum() == 0


def test_a_prepared_adjacency_equals_edges_in_any_order() -> None:
    x, edges = random_edges(40, 30)
    conv = RelationalConv(D, 4, R, K).double()
    expected = conv(x, **edges)
    adjacency = RelationalAdjacency.from_edges(
        *(edges[name] for name in ("edge_index", "edge_type", "edge_weight")),
        num_nodes=NODES,
        latent_index=edges["latent_index"],
    )
    torch.testing.assert_close(conv(x, adjacency, mixture=edges["mixture"]), expected)
    typed, latent = torch.randperm(40), torch.randperm(30)
    shuffled = {name: tensor[..., typed] if name.startswith("edge") else tensor for name, tensor in edges.items()} | {
        "latent_index": edges["latent_index"][:, latent],
        "mixture": edges["mixture"][latent],
    }
    torch.testing.assert_close(conv(x, **shuffled), expected)


def test_shared_relations_replace_those_of_the_layer() -> None:
    x, edges = random_edges()
    own = RelationalConv(D, 4, R, K).double()
    shared = RelationalConv(D, 4, R, K, own_relations=False).double()
    assert {name for name, _ in shared.named_parameters()} == {"root.weight", "neighbour.weight"}
    shared.load_state_dict({name: value for name, value in own.state_dict().items() if name != "relations"})
    torch.testing.assert_close(shared(x, **edges, relations=own.relations), own(x, **edges))


def test_missing_weights_are_one_and_a_missing_mixture_is_none() -> None:
    x, edges = random_edges()
    conv = RelationalConv(D, 4, R, K).double()
    ones = edges | {"edge_weight": torch.ones(12, dtype=torch.float64), "mixture": torch.zeros(9, K).double()}
    torch.testing.assert_close(conv(x, edges["edge_index"], edges["edge_type"]), conv(x, **ones))


def test_a_node_without_edges_keeps_its_own_part() -> None:
    x, edges = random_edges()
    conv = RelationalConv(D, 4, R, K).double()
    torch.testing.assert_close(conv(x, **edges)[0], x[0] @ conv.root.weight.T)


def test_nothing_of_edges_by_relations_by_channels_is_kept() -> None:
    """The tape of P mixture edges holds the mixture, never P × K × D or P × D."""
    pairs, width, latent = 20_000, 32, 4
    sizes: list[int] = []
    conv = RelationalConv(width, width, 0, latent)
    index = torch.randint(1, 50, (2, pairs))
    adjacency = RelationalAdjacency.from_edges(
        torch.empty(2, 0, dtype=torch.int64), torch.empty(0, dtype=torch.int64), num_nodes=50, latent_index=index
    )
    mixture = torch.rand(pairs, latent, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
        conv(torch.randn(50, width), adjacency, mixture=mixture)
    assert max(sizes) == pairs * latent


def test_reset_parameters_draws_anew() -> None:
    conv = RelationalConv(D, 4, R, K)
    before = [parameter.clone() for parameter in conv.parameters()]
    conv.reset_parameters()
    assert all(not torch.equal(a, b) for a, b in zip(before, conv.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"edge_index": torch.tensor([[1], [7]]), "edge_type": torch.tensor([0])}, "outside 0…6"),
        ({"edge_type": torch.tensor([0])}, "12 edges"),
        ({"edge_weight": torch.ones(3)}, "'edge_weight' must have shape"),
        ({"mixture": torch.ones(9, K + 1)}, "'mixture' must have shape"),
        ({"relations": torch.ones(R, D)}, "'relations' must have shape"),
        ({"latent_index": torch.ones(3, 9, dtype=torch.int64)}, "'latent_index' must be"),
        ({"edge_type": torch.full((12,), R)}, "type 3"),
        ({"edge_type": torch.full((12,), -1)}, "type -1"),
    ],
)
def test_bad_shapes_give_one_sentence(change: dict[str, Tensor], sentence: str) -> None:
    x, edges = random_edges()
    if "edge_index" in change:
        edges["edge_weight"] = edges["edge_weight"][:1]
    with pytest.raises(DataError, match=sentence):
        RelationalConv(D, 4, R, K).double()(x, **(edges | change))


def test_an_unknown_composition_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'multiply'"):
        RelationalConv(D, 4, R, composition="multiple")


def test_a_layer_without_relations_asks_for_them() -> None:
    x, edges = random_edges()
    with pytest.raises(DataError, match="pass 'relations'"):
        RelationalConv(D, 4, R, K, own_relations=False).double()(x, **edges)
