"""What others wrote for HeteroData works on ours: PyG's transforms, loader and explanations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lrdgraph.graph.convert import from_hetero_data, to_hetero_data
from lrdgraph.graph.enrichment import EnrichedGraph
from tests.graph.shelves import ITEMS, SHELF, SHELVES, shelves
from tests.graph.worlds import edges

transforms = pytest.importorskip("torch_geometric.transforms")

GRAPH = shelves()
BRAND, COMPLEMENT = ("item", "brand", "attribute"), ("item", "complement", "item")
PER_RELATION = edges(GRAPH.graph)


def test_to_undirected() -> None:
    data = transforms.ToUndirected(merge=False)(to_hetero_data(GRAPH))
    forward, back = data[COMPLEMENT], data["item", "rev_complement", "item"]
    assert torch.equal(back.edge_index, forward.edge_index.flip(0))
    assert torch.equal(back.edge_weight, forward.edge_weight)
    graph = from_hetero_data(data)
    assert isinstance(graph, EnrichedGraph)
    both = edges(graph.graph)
    assert both["complement"] == PER_RELATION["complement"]
    assert both["rev_complement"] == sorted((j, i, weight) for i, j, weight in PER_RELATION["complement"])
    assert graph.latent == GRAPH.latent


def test_random_link_split() -> None:
    torch.manual_seed(0)
    split = transforms.RandomLinkSplit(
        num_val=0.1,
        num_test=0.2,
        edge_types=[COMPLEMENT],
        rev_edge_types=[("item", "complement^-1", "item")],
        add_negative_train_samples=False,
    )
    train, _, test = split(to_hetero_data(GRAPH))
    count = len(PER_RELATION["complement"])
    assert int(test[COMPLEMENT].edge_label.sum()) == count // 5
    graph = from_hetero_data(train)
    assert isinstance(graph, EnrichedGraph)
    kept = edges(graph.graph)
    assert len(kept["complement"]) == count - count // 10 - count // 5
    assert set(kept["complement"]) < set(PER_RELATION["complement"])
    assert sorted((j, i, weight) for i, j, weight in kept["complement^-1"]) == kept["complement"]
    hidden = (test[COMPLEMENT].edge_label_index[:, test[COMPLEMENT].edge_label == 1] + 1).T.tolist()
    assert {tuple(pair) for pair in hidden}.isdisjoint((i, j) for i, j, _ in kept["complement"])
    assert kept["brand"] == PER_RELATION["brand"]
    assert torch.equal(graph.mixture, GRAPH.mixture)


def test_meta_paths() -> None:
    path = [BRAND, ("attribute", "brand^-1", "item")]
    data = transforms.AddMetaPaths([path], weighted=True)(to_hetero_data(GRAPH))
    graph = from_hetero_data(data)
    assert isinstance(graph, EnrichedGraph)
    weight = {i: value for i, _, value in PER_RELATION["brand"]}
    told = {(i, j): value for i, j, value in edges(graph.graph)["metapath_0"]}
    same = {(i, j) for i in weight for j in weight if SHELF[i - 1] == SHELF[j - 1]}
    assert set(told) == same
    assert all(value == pytest.approx(weight[i] * weight[j]) for (i, j), value in told.items())


def test_to_homogeneous() -> None:
    whole = to_hetero_data(GRAPH).to_homogeneous()
    assert whole.num_nodes == ITEMS + SHELVES
    assert whole.num_edges == GRAPH.graph.num_edges + GRAPH.num_pairs
    total = float(GRAPH.graph.edge_weight.sum() + GRAPH.mixture.sum())
    assert float(whole.edge_weight.sum()) == pytest.approx(total, rel=1e-5)
    assert whole.n_id.tolist() == [*range(ITEMS), *range(SHELVES)]


class Net(nn.Module):
    """Tells the shelf of an item from its neighbours."""

    def __init__(self, edge_types: list[tuple[str, str, str]]) -> None:
        from torch_geometric.nn import HeteroConv, SAGEConv

        super().__init__()
        self.conv = HeteroConv({kind: SAGEConv((SHELVES, SHELVES), SHELVES) for kind in edge_types})

    def forward(self, x: dict[str, Tensor], edge_index: dict[tuple[str, str, str], Tensor]) -> Tensor:
        return self.conv(x, edge_index)["item"]


def features(data: object) -> dict[str, Tensor]:
    """Attribute values are told apart, items are not."""
    attribute = data["attribute"].n_id  # type: ignore[index]
    return {"item": torch.zeros(data["item"].num_nodes, SHELVES), "attribute": torch.eye(SHELVES)[attribute]}  # type: ignore[index]


def accuracy(net: Net, data: object) -> float:
    right = net(features(data), data.edge_index_dict).argmax(1) == SHELF  # type: ignore[attr-defined]
    return float(right.float().mean())


def test_random_node_loader() -> None:
    from torch_geometric.loader import RandomNodeLoader

    torch.manual_seed(0)
    data = to_hetero_data(GRAPH)
    net = Net(data.edge_types)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    loader = RandomNodeLoader(data, num_parts=2, shuffle=True)
    names = GRAPH.graph.items.series.to_list()
    assert accuracy(net, data) < 0.5
    for _ in range(15):
        seen = []
        for part in loader:
            loss = nn.functional.cross_entropy(net(features(part), part.edge_index_dict), SHELF[part["item"].n_id])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += part["item"].n_id.tolist()
            graph = from_hetero_data(part)
            assert isinstance(graph, EnrichedGraph)
            assert graph.graph.items.series.to_list() == [names[n] for n in part["item"].n_id]
            own = dict(enumerate(part["item"].n_id.tolist(), start=1))
            told = {(own[i] + 1, own[j] + 1, weight) for i, j, weight in edges(graph.graph)["complement"]}
            inside = set(own.values())
            assert told == {e for e in PER_RELATION["complement"] if {e[0] - 1, e[1] - 1} <= inside}
        assert sorted(seen) == list(range(ITEMS))
    assert accuracy(net, data) > 0.95


def test_explanations() -> None:
    from torch_geometric.explain import Explainer, GNNExplainer

    torch.manual_seed(0)
    data = to_hetero_data(GRAPH)
    x, into_items = features(data), {kind: data[kind].edge_index for kind in data.edge_types if kind[2] == "item"}
    net = Net(list(into_items))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(60):
        loss = nn.functional.cross_entropy(net(x, into_items), SHELF)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float((net(x, into_items).argmax(1) == SHELF).float().mean()) == 1.0

    explainer = Explainer(
        net,
        algorithm=GNNExplainer(epochs=60, lr=0.1),
        explanation_type="model",
        edge_mask_type="object",
        model_config={"mode": "multiclass_classification", "task_level": "node", "return_type": "raw"},
    )
    item = 5
    explanation = explainer(x, into_items, index=torch.tensor([item]))
    masks = explanation.edge_mask_dict
    assert {kind: len(mask) for kind, mask in masks.items()} == {kind: data[kind].num_edges for kind in into_items}
    # only its brand tells the shelf: the edge that brings it counts for most
    brand = ("attribute", "brand^-1", "item")
    to_item = data[brand].edge_index[1] == item
    others = torch.cat([mask[data[kind].edge_index[1] == item] for kind, mask in masks.items() if kind != brand])
    assert int(to_item.sum()) == 1
    assert float(masks[brand][to_item]) > float(others.max())
