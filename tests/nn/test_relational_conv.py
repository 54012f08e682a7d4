from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.nn import RelationalAdjacency, RelationalConv
from lrdgraph.nn.composition import COMPOSITIONS
from tests.nn.reference import (
    NODES,
    D,
    K,
    R,
    assert_gradients_equal,
    bipartite_edges,
    composed,
    random_edges,
    single,
    slow_conv,
)


@pytest.mark.parametrize("composition", COMPOSITIONS)
@pytest.mark.parametrize(("typed", "latent"), [(12, 9), (0, 9), (12, 0), (0, 0)])
def test_equals_the_equation(composition: str, typed: int, latent: int) -> None:
    x, edges = random_edges(typed, latent)
    conv = RelationalConv(D, 4, R, K, composition=composition).double()
    expected = slow_conv(conv, x, edges)
    torch.testing.assert_close(conv(x, **edges), expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(conv.float()(x.float(), **single(edges)), expected.float(), atol=1e-5, rtol=1e-5)


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
    assert_gradients_equal(conv(x, **edges), slow_conv(conv, x, edges), leaves)  # type: ignore[arg-type]


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


def test_rotation_by_hand() -> None:
    """(1 + 2i, 3) by z = (3i, −2), whose moduli play no part: (i − 2, −3)."""
    h, z = torch.tensor([1.0, 3.0, 2.0, 0.0]), torch.tensor([0.0, -2.0, 3.0, 0.0])
    node, relation, join = COMPOSITIONS["rotate"]
    torch.testing.assert_close(join(node(h) * relation(z), 4), torch.tensor([-2.0, -3.0, 1.0, 0.0]))


def test_a_rotation_keeps_the_modulus_and_needs_an_even_width() -> None:
    h, z = torch.randn(D), torch.randn(D)
    node, relation, join = COMPOSITIONS["rotate"]
    torch.testing.assert_close(join(node(h) * relation(z), D).norm(), h.norm())
    with pytest.raises(ConfigError, match="even width, not 5"):
        RelationalConv(5, 4, R, composition="rotate")


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


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_bipartite(composition: str) -> None:
    x, edges = bipartite_edges()
    root = torch.randn(4, 5, dtype=torch.float64)
    conv = RelationalConv((D, 5), 4, R, K, composition=composition).double()
    expected = slow_conv(conv, x, edges, root)
    torch.testing.assert_close(conv((x, root), **edges), expected, atol=1e-9, rtol=1e-9)
    heard = expected - root @ conv.root.weight.T
    torch.testing.assert_close(conv((x, None), **edges, size=(NODES, 4)), heard, atol=1e-9, rtol=1e-9)


def test_bipartite_inputs_that_do_not_fit() -> None:
    x, edges = bipartite_edges()
    conv = RelationalConv((D, 5), 4, R, K).double()
    with pytest.raises(DataError, match="pass 'size'"):
        conv((x, None), **edges)
    with pytest.raises(DataError, match=r"'x of destinations' must have shape \(4, 5\)"):
        conv((x, torch.ones(4, D).double()), **edges)
    with pytest.raises(DataError, match="outside 0…2"):
        conv((x, torch.ones(3, 5).double()), **edges)


@pytest.mark.slow
@pytest.mark.parametrize(("composition", "backend"), [("multiply", "inductor"), ("rotate", "aot_eager")])
def test_compiled_gives_the_same_numbers(composition: str, backend: str) -> None:
    x, edges = random_edges(40, 30)
    conv = RelationalConv(D, 4, R, K, composition=composition)
    adjacency = RelationalAdjacency.from_edges(
        edges["edge_index"], edges["edge_type"], num_nodes=NODES, latent_index=edges["latent_index"]
    )
    x, mixture = x.float().requires_grad_(), edges["mixture"].float().requires_grad_()
    leaves = [x, mixture, *conv.parameters()]

    def found(layer: RelationalConv) -> list[Tensor]:
        out = layer(x, adjacency, mixture=mixture)
        return [out, *torch.autograd.grad(out.square().sum(), leaves)]

    compiled = torch.compile(conv, fullgraph=True, backend=backend)
    for got, expected in zip(found(compiled), found(conv), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    plain = torch.compile(conv, backend="aot_eager")(x, **single(edges))  # sorts edges, outside of the graph
    torch.testing.assert_close(plain, conv(x, **single(edges)), atol=1e-5, rtol=1e-5)


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
