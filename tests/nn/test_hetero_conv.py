from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.convert import to_hetero_data
from lrdgraph.graph.enrichment import enrich
from lrdgraph.nn import HeteroRelationalConv
from tests.graph.worlds import corpus

NODE_TYPES = ["item", "attribute"]
BUYS, HAS, OF, LATENT = [
    *(("item", "complement", "item"), ("item", "brand", "attribute")),
    *(("attribute", "brand", "item"), ("item", "latent", "item")),
]
EDGE_TYPES = [BUYS, HAS, LATENT, OF]
K = 3


def layer(**settings: object) -> HeteroRelationalConv:
    torch.manual_seed(0)
    widths = {"item": 5, "attribute": 2}
    conv = HeteroRelationalConv(widths, 4, (NODE_TYPES, EDGE_TYPES), {LATENT: K}, **settings)  # type: ignore[arg-type]
    return conv.double()


def graph() -> dict[str, dict]:
    random = torch.Generator().manual_seed(1)
    number = {"item": 6, "attribute": 3}
    index = {
        (a, name, b): torch.stack([torch.randint(number[n], (8,), generator=random) for n in (a, b)])
        for a, name, b in EDGE_TYPES
    }
    return {
        "x_dict": {n: torch.randn(number[n], w, generator=random).double() for n, w in (("item", 5), ("attribute", 2))},
        "edge_index_dict": index,
        "edge_weight_dict": {BUYS: torch.rand(8, generator=random).double()},
        "mixture_dict": {LATENT: torch.rand(8, K, generator=random).double()},
    }


@pytest.mark.parametrize("heads", [0, 2])
def test_equals_the_layer_on_one_table_of_all_nodes(heads: int) -> None:
    conv, given = layer(heads=heads), graph()
    x = torch.cat([p(given["x_dict"][n]) for n, p in zip(NODE_TYPES, conv.project, strict=True)])
    shift = {"item": 0, "attribute": 6}
    index = {e: edges + torch.tensor([[shift[e[0]]], [shift[e[2]]]]) for e, edges in given["edge_index_dict"].items()}
    ones = torch.ones(8).double()
    out = conv.conv(
        x,
        torch.cat([index[OF], index[BUYS], index[HAS]], 1),
        torch.tensor([2] * 8 + [0] * 8 + [1] * 8),  # OF is third among the edge types without a mixture
        torch.cat([ones, given["edge_weight_dict"][BUYS], ones]),
        index[LATENT],
        given["mixture_dict"][LATENT],
    )
    found = conv(**given)
    torch.testing.assert_close(found["item"], out[:6])
    torch.testing.assert_close(found["attribute"], out[6:])


def test_mixtures_of_two_edge_types_have_relations_of_their_own() -> None:
    metadata, second = (NODE_TYPES, EDGE_TYPES), ("item", "guess", "attribute")
    conv = HeteroRelationalConv({"item": 5, "attribute": 2}, 4, metadata, {second: 2, LATENT: K}).double()
    given = graph()
    given["edge_index_dict"] = {second: torch.tensor([[0], [1]]), LATENT: torch.tensor([[3], [4]])}
    given["mixture_dict"] = {second: torch.tensor([[0.0, 1.0]]), LATENT: torch.tensor([[0.0, 0.0, 1.0]])}
    given["edge_weight_dict"] = {}
    assert conv.conv.relations is not None
    heard = {}
    for row in range(3, 8):  # three typed relations come first
        plain = conv(**given)
        with torch.no_grad():
            conv.conv.relations[row] += 1
        heard[row] = [name for name, out in conv(**given).items() if not torch.equal(out, plain[name])]
    assert heard == {3: [], 4: ["attribute"], 5: [], 6: [], 7: ["item"]}


def test_from_our_graph_to_gradients_of_the_posterior() -> None:
    known = build_graph(corpus([(1, "complement", 2), (3, "brand", 5), (4, "brand", 6)]))
    table = torch.randn(4, 2, requires_grad=True)
    pairs = torch.tensor([[1, 2, 3], [2, 1, 4]])
    enriched = enrich(known, pairs, lambda i, j: (table[i - 1] + 2 * table[j - 1]).softmax(1))
    data = to_hetero_data(enriched)
    conv = HeteroRelationalConv({"item": 3, "attribute": 2}, 4, data.metadata(), {LATENT: 2})
    assert set(conv.edge_types) == set(data.edge_types) - {LATENT}
    x = {"item": torch.randn(4, 3), "attribute": torch.randn(2, 2)}
    out = conv(x, data.edge_index_dict, data.edge_weight_dict, data.posterior_dict)
    assert {name: tuple(rows.shape) for name, rows in out.items()} == {"item": (4, 4), "attribute": (2, 4)}
    out["item"].square().sum().backward()
    assert table.grad is not None
    assert (table.grad.abs().sum(1) > 0).all()


def test_an_edge_type_without_edges_may_be_missing() -> None:
    given = graph()
    full = layer()(**given)
    given["edge_index_dict"][HAS] = torch.empty(2, 0, dtype=torch.int64)
    empty = layer()(**given)
    del given["edge_index_dict"][HAS]
    torch.testing.assert_close(layer()(**given), empty)
    assert not torch.equal(full["attribute"], empty["attribute"])


def test_reset_parameters_draws_anew() -> None:
    conv = layer()
    before = [parameter.clone() for parameter in conv.parameters()]
    conv.reset_parameters()
    assert all(not torch.equal(a, b) for a, b in zip(before, conv.parameters(), strict=True))


def _without(key: str, name: object) -> Callable[[dict[str, dict]], object]:
    return lambda given: given[key].pop(name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_without("x_dict", "attribute"), "no vectors for nodes of type 'attribute'"),
        (_without("mixture_dict", LATENT), "carry 3 relations"),
        (lambda g: g["mixture_dict"].update({LATENT: torch.ones(8, 2)}), "carry 3 relations"),
        (
            lambda g: g["edge_index_dict"].update({("item", "x", "item"): torch.zeros(2, 1).long()}),
            "knows no edge type",
        ),
        # place 3 among attributes is nobody, and place 0 of the items that follow in one table
        (lambda g: g["edge_index_dict"].update({HAS: torch.tensor([[0], [3]])}), "no vector for"),
        (lambda g: g["edge_weight_dict"].update({BUYS: torch.ones(3)}), "'edge_weight' must have shape"),
    ],
)
def test_bad_input_gives_one_sentence(change: Callable[[dict[str, dict]], object], sentence: str) -> None:
    given = graph()
    change(given)
    with pytest.raises(DataError, match=sentence):
        layer()(**given)


def test_bad_settings_give_one_sentence() -> None:
    metadata: tuple[list[str], list[tuple[str, str, str]]] = (NODE_TYPES, EDGE_TYPES)
    with pytest.raises(ConfigError, match="no width for nodes of type 'attribute'"):
        HeteroRelationalConv({"item": 5}, 4, metadata)
    with pytest.raises(ConfigError, match="not listed"):
        HeteroRelationalConv(5, 4, (["item"], EDGE_TYPES))
    with pytest.raises(ConfigError, match="3 heads do not divide"):
        HeteroRelationalConv(5, 4, metadata, heads=3)


def test_what_is_drawn_is_a_tensor_of_each_type() -> None:
    found: dict[str, Tensor] = layer()(**graph())
    assert list(found) == NODE_TYPES


@pytest.mark.parametrize("heads", [0, 2])
def test_under_autocast(heads: int) -> None:
    conv, given = layer(heads=heads).float(), graph()
    floats = ("x_dict", "edge_weight_dict", "mixture_dict")
    given |= {name: {key: value.float() for key, value in given[name].items()} for name in floats}
    with torch.autocast("cpu", torch.bfloat16):
        rough = conv(**given)
    for name, exact in conv(**given).items():
        torch.testing.assert_close(rough[name].float(), exact, atol=0.1, rtol=0.1)
