"""The convolution on DGL's graphs against the one on edge tensors."""

from __future__ import annotations

import subprocess
import sys

import dgl
import pytest
import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.nn import RelationalConv
from lrdgraph.nn.composition import COMPOSITIONS
from lrdgraph.nn.dgl_conv import DGLRelationalConv
from tests.nn.reference import NODES, D, K, R, random_edges


def joined(edges: dict[str, Tensor]) -> tuple[dgl.DGLGraph, dict[str, Tensor]]:
    """Typed and mixture edges in one graph, and the arguments beside it."""
    typed, latent = edges["edge_index"].shape[1], edges["latent_index"].shape[1]
    source, destination = torch.cat([edges["edge_index"], edges["latent_index"]], 1)
    beside = {
        "etypes": torch.cat([edges["edge_type"], torch.zeros(latent, dtype=torch.int64)]),
        "edge_weight": torch.cat([edges["edge_weight"], edges["edge_weight"].new_zeros(latent)]),
        "mixture": torch.cat([edges["mixture"].new_zeros(typed, K), edges["mixture"]]),
    }
    return dgl.graph((source, destination), num_nodes=NODES), beside


def pair(composition: str) -> tuple[RelationalConv, DGLRelationalConv]:
    ours, theirs = (kind(D, 4, R, K, composition=composition) for kind in (RelationalConv, DGLRelationalConv))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("composition", COMPOSITIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equal_outputs_and_gradients_from_equal_weights(composition: str, dtype: torch.dtype, tolerance: float) -> None:
    x, edges = random_edges(40, 30)
    edges = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in edges.items()}
    leaves = [tensor.requires_grad_() for tensor in (x.to(dtype), edges["edge_weight"], edges["mixture"])]
    ours, theirs = (layer.to(dtype) for layer in pair(composition))
    graph, beside = joined(edges)
    outputs = ours(leaves[0], **edges), theirs(graph, leaves[0], **beside)
    torch.testing.assert_close(*outputs, atol=tolerance, rtol=tolerance)
    direction = torch.randn(NODES, 4, dtype=dtype)
    found, expected = (
        torch.autograd.grad((out * direction).sum(), [*leaves, *layer.parameters()])
        for out, layer in zip(outputs, (ours, theirs), strict=True)
    )
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=tolerance, rtol=tolerance)


def test_types_alone_as_edge_data() -> None:
    x, edges = random_edges()
    graph = dgl.graph((edges["edge_index"][0], edges["edge_index"][1]), num_nodes=NODES)
    graph.edata["type"], graph.edata["weight"] = edges["edge_type"], edges["edge_weight"]
    ours, theirs = (layer.double() for layer in pair("multiply"))
    out = theirs(graph, x, graph.edata["type"], graph.edata["weight"])
    torch.testing.assert_close(out, ours(x, *(edges[n] for n in ("edge_index", "edge_type", "edge_weight"))))
    unweighted = theirs(graph, x, graph.edata["type"])
    torch.testing.assert_close(unweighted, ours(x, edges["edge_index"], edges["edge_type"]))
    assert "z" not in graph.edata


def test_on_the_blocks_of_a_neighbour_sampler() -> None:
    x, edges = random_edges(40, 30)
    x, edges = x.float(), {n: t.float() if t.is_floating_point() else t for n, t in edges.items()}
    graph, beside = joined(edges)
    graph.edata.update(beside)
    first, second = pair("multiply"), pair("multiply")
    whole = second[0](torch.relu(torch.nn.functional.pad(first[0](x, **edges), (0, 2))), **edges)
    seeds = torch.tensor([5, 2])
    loader = dgl.dataloading.DataLoader(
        graph, seeds, dgl.dataloading.MultiLayerFullNeighborSampler(2), batch_size=2, use_uva=False
    )
    ((inputs, outputs, blocks),) = list(loader)
    names = ("etypes", "edge_weight", "mixture")
    few = first[1](blocks[0], x[inputs], *(blocks[0].edata[name] for name in names))
    few = second[1](blocks[1], torch.relu(torch.nn.functional.pad(few, (0, 2))), *(blocks[1].edata[n] for n in names))
    assert outputs.tolist() == seeds.tolist()
    torch.testing.assert_close(few, whole[seeds], atol=1e-5, rtol=1e-5)


def test_bipartite() -> None:
    source, destination = torch.tensor([0, 4, 2, 2]), torch.tensor([1, 0, 1, 2])
    graph = dgl.heterograph({("a", "to", "b"): (source, destination)}, {"a": 5, "b": 3})
    ours, theirs = (kind((D, 3), 4, R) for kind in (RelationalConv, DGLRelationalConv))
    theirs.load_state_dict(ours.state_dict())
    x, types = (torch.randn(5, D), torch.randn(3, 3)), torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(theirs(graph, x, types), ours(x, torch.stack([source, destination]), types))


def test_what_does_not_fit_gives_one_sentence() -> None:
    x, edges = random_edges()
    graph, beside = joined(edges)
    layer = DGLRelationalConv(D, 4, R, K).double()
    with pytest.raises(DataError, match=r"'feat' must have shape \(7, 6\)"):
        layer(graph, x[:3], **beside)
    with pytest.raises(DataError, match="'mixture' must have shape"):
        layer(graph, x, **(beside | {"mixture": torch.ones(21, K + 1)}))
    with pytest.raises(DataError, match="outside 0…2"):
        layer(graph, x, **(beside | {"etypes": torch.full((21,), R)}))
    with pytest.raises(DataError, match="pass 'relations'"):
        DGLRelationalConv(D, 4, R, K, own_relations=False)(graph, x, **beside)


def test_a_missing_dgl_names_the_extra_and_is_not_needed_otherwise() -> None:
    code = "import sys; sys.modules['dgl'] = None; import lrdgraph.nn; import lrdgraph.nn.dgl_conv"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError: DGLRelationalConv needs dgl; install it with 'pip install lrdgraph[dgl]'." in done.stderr
    assert "dgl_conv.py" in done.stderr
