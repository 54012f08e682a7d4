from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.nn import RelationalAdjacency, RelationalAttentionConv
from lrdgraph.nn.composition import COMPOSITIONS
from lrdgraph.nn.relational_attention_conv import segment_softmax
from tests.nn.reference import (
    NODES,
    D,
    K,
    R,
    assert_gradients_equal,
    bipartite_edges,
    random_edges,
    single,
    slow_attention,
)


def layer(**settings: Any) -> RelationalAttentionConv:
    torch.manual_seed(0)
    return RelationalAttentionConv(D, 4, R, K, **({"heads": 2} | settings)).double()


@pytest.mark.parametrize("composition", COMPOSITIONS)
@pytest.mark.parametrize("concat", [True, False])
@pytest.mark.parametrize(("typed", "latent"), [(12, 9), (0, 9), (12, 0), (0, 0)])
def test_equals_the_equation(composition: str, concat: bool, typed: int, latent: int) -> None:
    x, edges = random_edges(typed, latent)
    conv = layer(composition=composition, concat=concat)
    expected = slow_attention(conv, x, edges, x)
    torch.testing.assert_close(conv(x, **edges), expected, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(conv.float()(x.float(), **single(edges)), expected.float(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_gradients_equal_those_of_the_equation(composition: str) -> None:
    x, edges = random_edges(30, 20)
    conv = layer(composition=composition)
    leaves = [tensor.requires_grad_() for tensor in (x, edges["edge_weight"], edges["mixture"])]
    leaves += list(conv.parameters())
    assert_gradients_equal(conv(x, **edges), slow_attention(conv, x, edges, x), leaves)


def test_gradcheck() -> None:
    x, edges = random_edges()
    conv = layer(own_relations=False)
    adjacency = RelationalAdjacency.from_edges(
        edges["edge_index"], edges["edge_type"], num_nodes=NODES, latent_index=edges["latent_index"]
    )
    z = torch.randn(R + K, D, dtype=torch.float64)
    leaves = [tensor.clone().requires_grad_() for tensor in (x, edges["edge_weight"], edges["mixture"], z)]
    assert torch.autograd.gradcheck(
        lambda x, w, m, z: conv(x, adjacency, edge_weight=w, mixture=m, relations=z), leaves, atol=1e-6
    )


def test_by_hand() -> None:
    """With a = 0 all scores are alike: node 2 hears 0 and 1 in the ratio of their weights, 1 : 3."""
    conv = RelationalAttentionConv(1, 1, 1)
    x, index = torch.tensor([[4.0], [8.0], [1.0]]), torch.tensor([[0, 1], [2, 2]])
    with torch.no_grad():
        for parameter in conv.parameters():
            parameter.fill_(1.0)
        conv.attention.zero_()
    out = conv(x, index, edge_weight=torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(out[2], torch.tensor([1 + 0.25 * 4 + 0.75 * 8]))
    with torch.no_grad():
        conv.attention.fill_(math.log(3) / 4)  # LeakyReLU(1 + 8) − LeakyReLU(1 + 4) = 4: 1 : 3 once more
    torch.testing.assert_close(conv(x, index)[2], out[2])


def test_a_mixture_of_one_relation_is_a_typed_edge() -> None:
    """Relation R + k of the table as the type of an edge, and as all of a mixture."""
    x, edges = random_edges(0, 9)
    chosen, weight = torch.randint(K, (9,)), torch.rand(9, dtype=torch.float64)
    mixed = layer()
    typed = RelationalAttentionConv(D, 4, R + K, heads=2).double()
    typed.load_state_dict(mixed.state_dict())
    mixture = torch.nn.functional.one_hot(chosen, K) * weight[:, None]
    found = mixed(x, edges["edge_index"], edges["edge_type"], None, edges["latent_index"], mixture)
    torch.testing.assert_close(found, typed(x, edges["latent_index"], R + chosen, weight))


def test_two_edges_of_half_the_weight_are_one() -> None:
    x, edges = random_edges(12, 9)
    twice = {name: torch.cat([tensor, tensor], -1) for name, tensor in edges.items() if name != "mixture"}
    twice |= {"edge_weight": twice["edge_weight"] / 2, "mixture": edges["mixture"].repeat(2, 1) / 2}
    torch.testing.assert_close(layer()(x, **twice), layer()(x, **edges))


def test_attention_weights_add_up_to_one_in_the_order_of_the_edges() -> None:
    x, edges = random_edges(12, 9)
    out, alpha = layer()(x, **edges, return_attention_weights=True)
    torch.testing.assert_close(out, layer()(x, **edges))
    into = torch.cat([edges["edge_index"][1], edges["latent_index"][1]])
    total = torch.zeros(NODES, 2).double().index_add(0, into, alpha)
    torch.testing.assert_close(total, (torch.bincount(into, minlength=NODES) > 0)[:, None].double().expand(-1, 2))
    alone = edges["edge_weight"].clone()
    alone[edges["edge_index"][1] == int(edges["edge_index"][1, 3])] = 0
    alone[3] = 1.0
    without = edges | {"edge_weight": alone, "mixture": torch.zeros(9, K).double()}
    assert layer()(x, **without, return_attention_weights=True)[1][3].tolist() == [1.0, 1.0]


def test_an_edge_of_weight_zero_takes_no_part_however_high_its_score() -> None:
    score = torch.tensor([[1.0], [500.0], [1.0], [2.0]], requires_grad=True)
    mass = torch.tensor([1.0, 0.0, 3.0, 0.0], requires_grad=True)
    alpha = segment_softmax(score, mass, torch.tensor([0, 0, 0, 1]), 3)
    assert alpha.flatten().tolist() == [0.25, 0.0, 0.75, 0.0]
    alpha.square().sum().backward()
    assert score.grad is not None
    assert mass.grad is not None
    assert torch.isfinite(score.grad).all()
    assert torch.isfinite(mass.grad).all()


def test_large_scores_do_not_overflow() -> None:
    alpha = segment_softmax(torch.tensor([[1e4], [1e4]]), torch.ones(2), torch.tensor([0, 0]), 1)
    assert alpha.flatten().tolist() == [0.5, 0.5]


def test_bipartite() -> None:
    x, edges = bipartite_edges()
    root = torch.randn(4, 5, dtype=torch.float64)
    conv = RelationalAttentionConv((D, 5), 4, R, K, heads=2).double()
    torch.testing.assert_close(conv((x, root), **edges), slow_attention(conv, x, edges, root), atol=1e-9, rtol=1e-9)
    with torch.no_grad():
        conv.query.weight.zero_()
    heard = slow_attention(conv, x, edges, root) - root @ conv.root.weight.T
    torch.testing.assert_close(conv((x, None), **edges, size=(NODES, 4)), heard, atol=1e-9, rtol=1e-9)


def test_nothing_of_edges_by_relations_by_channels_is_kept() -> None:
    pairs, width, latent = 5_000, 16, 8
    sizes: list[int] = []
    conv = RelationalAttentionConv(width, width, 0, latent)
    index = torch.randint(1, 50, (2, pairs))
    adjacency = RelationalAdjacency.from_edges(torch.empty(2, 0, dtype=torch.int64), num_nodes=50, latent_index=index)
    mixture = torch.rand(pairs, latent, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (sizes.append(t.numel()), t)[1], lambda t: t):
        conv(torch.randn(50, width), adjacency, mixture=mixture)
    assert max(sizes) == pairs * width


def test_dropout_is_of_training_alone() -> None:
    x, edges = random_edges()
    conv = layer(dropout=0.9)
    assert not torch.equal(conv(x, **edges), conv(x, **edges))
    torch.testing.assert_close(conv.eval()(x, **edges), layer()(x, **edges))


def test_negative_weights_are_refused() -> None:
    x, edges = random_edges()
    with pytest.raises(DataError, match="negative weight"):
        layer()(x, **(edges | {"edge_weight": -edges["edge_weight"]}))
    with pytest.raises(DataError, match="negative weight"):
        layer()(x, **(edges | {"mixture": -edges["mixture"]}))


def test_reset_parameters_draws_anew() -> None:
    conv = layer()
    before = [parameter.clone() for parameter in conv.parameters()]
    conv.reset_parameters()
    assert all(not torch.equal(a, b) for a, b in zip(before, conv.parameters(), strict=True))


@pytest.mark.slow
def test_compiled_gives_the_same_numbers() -> None:
    x, edges = random_edges(40, 30)
    conv, x = layer().float(), x.float().requires_grad_()
    leaves = [x, *conv.parameters()]

    def found(conv: RelationalAttentionConv) -> list[Tensor]:
        out = conv(x, **single(edges))
        return [out, *torch.autograd.grad(out.square().sum(), leaves)]

    for got, expected in zip(found(torch.compile(conv, backend="aot_eager")), found(conv), strict=True):
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_under_autocast(composition: str) -> None:
    x, edges = random_edges()
    conv, x, edges = layer(composition=composition).float(), x.float(), single(edges)
    with torch.autocast("cpu", torch.bfloat16):
        rough = conv(x, **edges)
    rough.float().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in conv.parameters())
    torch.testing.assert_close(rough.float(), conv(x, **edges), atol=0.1, rtol=0.1)
