"""What others wrote for DGL works on our heterograph: its neighbour sampler, its loader and its layers."""

from __future__ import annotations

import dgl
import torch
from dgl.nn.pytorch import GraphConv, HeteroGraphConv, RelGraphConv
from torch import Tensor, nn

from lrdgraph.graph.convert import to_dgl
from tests.graph.shelves import ITEMS, SHELF, SHELVES, shelves
from tests.graph.worlds import edges

GRAPH = shelves()


class Net(nn.Module):
    """Tells the shelf of an item from its neighbours, by the weights of the edges to them."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.conv = HeteroGraphConv(
            {name: GraphConv(SHELVES, SHELVES, norm="none", allow_zero_in_degree=True) for name in names}
        )

    def forward(self, block: dgl.DGLGraph) -> Tensor:
        known = {
            "item": torch.zeros(block.num_src_nodes("item"), SHELVES),
            "attribute": torch.eye(SHELVES)[block.srcnodes["attribute"].data["n_id"]],
        }
        weights = {name: {"edge_weight": block.edges[name].data["weight"]} for name in block.etypes}
        return self.conv(block, known, mod_kwargs=weights)["item"]


def test_neighbour_sampler_loader_and_heterogeneous_layer() -> None:
    torch.manual_seed(0)
    dgl.seed(0)
    network, _ = to_dgl(GRAPH.detach())
    train, test = torch.arange(0, ITEMS).split([56, 24])
    sampler = dgl.dataloading.NeighborSampler([4])
    loader = dgl.dataloading.DataLoader(network, {"item": train}, sampler, batch_size=14, shuffle=True)
    net = Net(network.etypes)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    per_relation, seen, losses = edges(GRAPH.graph), [], []
    for _ in range(20):
        for _, seeds, (block,) in loader:
            loss = nn.functional.cross_entropy(net(block), SHELF[seeds["item"]])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            seen += seeds["item"].tolist()
            assert int(block.in_degrees(etype="complement").max()) <= 4
            source, destination = block.edges(etype="complement")
            ends = block.srcnodes["item"].data["n_id"][source], block.dstnodes["item"].data["n_id"][destination]
            weight = block.edges["complement"].data["weight"]
            told = {(i + 1, j + 1, w) for i, j, w in zip(*(t.tolist() for t in (*ends, weight)), strict=True)}
            assert told <= set(per_relation["complement"])
    assert sorted(seen) == sorted(train.tolist() * 20)
    assert sum(losses[-4:]) < 0.5 * sum(losses[:4])
    _, _, (block,) = sampler.sample_blocks(network, {"item": test})
    assert float((net(block).argmax(1) == SHELF[test]).float().mean()) > 0.9


def test_relational_layer_on_the_homogeneous_graph() -> None:
    torch.manual_seed(0)
    network, _ = to_dgl(GRAPH.detach())
    whole = dgl.to_homogeneous(network, ndata=["n_id"], edata=["weight"])
    assert whole.num_nodes() == ITEMS + SHELVES
    assert whole.num_edges() == GRAPH.graph.num_edges + GRAPH.num_pairs
    item = whole.ndata[dgl.NTYPE] == network.get_ntype_id("item")
    known = torch.zeros(whole.num_nodes(), SHELVES)
    known[~item] = torch.eye(SHELVES)[whole.ndata["n_id"][~item]]
    layer = RelGraphConv(SHELVES, SHELVES, len(network.etypes), regularizer="basis", num_bases=4)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        out = layer(whole, known, whole.edata[dgl.ETYPE], norm=whole.edata["weight"][:, None])
        loss = nn.functional.cross_entropy(out[item], SHELF[whole.ndata["n_id"][item]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
