"""Planted relations are recovered by discovery, nothing by permuted texts, and nothing hidden reaches a method."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from lrdgraph.language.controls import shuffled
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.quality import recovery
from lrdgraph.quality.discovered import DiscoverySettings, discovery_family, train_discovery
from lrdgraph.quality.features import PairFeatures, cooccurrence_features, random_features, text_features
from lrdgraph.quality.head import Head
from lrdgraph.quality.hidden import Hidden, Links, hide_pairs, hide_relation
from lrdgraph.quality.recovery import rank_links, ranked_metrics, recover
from tests.quality.worlds import graph_of, keys, planted_inputs, with_inverses

SMALL = DiscoverySettings(
    prior="uniform", num_latent=3, hidden_channels=36, num_negatives=128, epochs=7, batch_size=256, learning_rate=0.01
)
discovery = discovery_family(partial(train_discovery, settings=SMALL), max_gap=1)


@pytest.fixture(scope="module")
def inputs() -> ModelInputs:
    return planted_inputs()


def mrr(inputs: ModelInputs, relation: str, *families) -> dict[str, float]:
    hidden = hide_relation(inputs.need_graph("test"), relation, 0.1)
    visible = replace(inputs, graph=hidden.graph)
    methods = {name: features for family in families for name, features in family(visible, 0).items()}
    return {name: found["MRR"] for name, found in recover(hidden, methods)[relation].items()}


def test_discovery_recovers_a_planted_relation_that_likeness_does_not_see(inputs: ModelInputs) -> None:
    found = mrr(inputs, "goes_with", discovery, text_features, random_features)
    # of 149 items in random order the mean reciprocal rank is 0.037
    assert found["random"] < 0.06
    assert found["cosine"] < 0.1
    for name in ("posterior", "log-posterior", "logits", "decoder"):
        assert found[name] > 3 * found["random"], name
        assert found[name] > 2 * found["cosine"], name


def test_permuted_texts_recover_nothing(inputs: ModelInputs) -> None:
    parted = replace(inputs, text=shuffled(inputs.need_text("test"), 0))
    found = mrr(parted, "goes_with", discovery, text_features)
    assert max(found.values()) < 0.1


def test_hidden_pairs_are_recovered_with_a_head_on_the_visible_ones(inputs: ModelInputs) -> None:
    hidden = hide_pairs(inputs.need_graph("test"), 0.2)
    found = recover(hidden, cooccurrence_features(inputs, max_gap=1) | random_features(inputs))
    assert set(found) == {"goes_with", "brand"}
    for methods in found.values():
        assert methods["co-occurrence"]["MRR"] > 2 * methods["random"]["MRR"]


def test_nothing_that_a_method_gets_depends_on_what_is_hidden(inputs: ModelInputs) -> None:
    graph = inputs.need_graph("test")
    other = np.random.default_rng(5).integers(1, graph.num_items + 1, (400, 2))
    elsewhere = with_inverses({"goes_with": sorted({(int(i), int(j)) for i, j in other if i != j})})
    brand = graph.edge_index[:, graph.edges_of("brand")].T.tolist()
    rewired = graph_of(elsewhere | {"brand": brand, "brand^-1": [(j, i) for i, j in brand]}, graph.num_items)
    i, j = torch.randint(1, graph.num_items + 1, (2, 50))
    given: list[dict[str, Tensor]] = []
    for whole in (graph, rewired):
        visible = replace(inputs, graph=hide_relation(whole, "goes_with").graph)
        families = (text_features, cooccurrence_features, random_features, discovery_family(_quick))
        given.append({name: f(i, j) for family in families for name, f in family(visible, 0).items()})
        given[-1] |= {"edges": visible.need_graph("test").edge_index, "types": visible.need_graph("test").edge_type}
    assert given[0].keys() == given[1].keys()
    for name, features in given[0].items():
        assert torch.equal(features, given[1][name]), name


_quick = partial(train_discovery, settings=replace(SMALL, epochs=1))


def test_a_head_is_fitted_on_shown_links_and_random_pairs_alone(
    inputs: ModelInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = hide_relation(inputs.need_graph("test"), "goes_with", 0.1)
    links = hidden.links["goes_with"]
    other = Hidden(hidden.graph, {"goes_with": Links(links.shown, links.hidden.flip(0)[:, :50])})
    asked: list[tuple[Tensor, Tensor]] = []

    def spy(i: Tensor, j: Tensor) -> Tensor:
        if i.dim() == 1:
            asked.append((torch.stack([i, j]), torch.zeros(0)))
        return torch.zeros(*torch.broadcast_shapes(i.shape, j.shape), 1)

    def keep(features: Tensor, labels: Tensor, *, seed: int) -> Head:
        asked[-1] = asked[-1][0], labels
        return Head(torch.ones(1), 0.0, 1.0)

    monkeypatch.setattr(recovery, "fit_head", keep)
    for case in (hidden, other):
        recover(case, {"spy": spy})
    (pairs, labels), (pairs_again, labels_again) = asked
    assert torch.equal(pairs, pairs_again)
    assert torch.equal(labels, labels_again)
    assert not keys(pairs[:, labels]) & keys(links.hidden)
    recover(hidden, {"spy": spy}, max_shown=10, negatives=3)
    assert int(asked[-1][1].sum()) == 10
    assert len(asked[-1][1]) <= 40


class Own:
    """Features that know nothing and scores that know all."""

    names = ("goes_with",)

    def __init__(self, true: Tensor) -> None:
        self.true = true

    def __call__(self, i: Tensor, j: Tensor) -> Tensor:
        return torch.zeros(*torch.broadcast_shapes(i.shape, j.shape), 1)

    def own_score(self, relation: str, side: str) -> PairFeatures:
        return lambda i, j: torch.isin(i * 1000 + j, self.true[0] * 1000 + self.true[1]).float()


def test_a_score_of_its_own_is_ranked_beside_the_head(inputs: ModelInputs) -> None:
    hidden = hide_pairs(inputs.need_graph("test"), 0.2)
    found = recover(hidden, {"own": Own(hidden.links["goes_with"].all)})
    assert found["goes_with"]["own (own score)"]["MRR"] == 1
    assert found["goes_with"]["own"]["MRR"] < 0.02, "all tie, and ties count half"
    assert set(found["brand"]) == {"own"}


def test_tails_and_heads_are_asked_in_the_right_direction() -> None:
    links = Links(torch.tensor([[3], [1]]), torch.tensor([[1, 1], [2, 4]]))

    def likes_next(i: Tensor, j: Tensor) -> Tensor:
        return -((j - i - 1).abs()).float()

    ranks = rank_links(likes_next, likes_next, links, 4)
    # tails of 1: 2 is right; 4 comes after 3 alone, 2 being an answer. heads of 2: 1; heads of 4: 3, then 2, then 1
    assert ranks["tail"].tolist() == [1, 2]
    assert ranks["head"].tolist() == [1, 3]
    metrics = ranked_metrics(ranks)
    assert metrics["MRR"] == pytest.approx((1 + 1 / 2 + 1 + 1 / 3) / 4)
    assert metrics["head/MRR"] == pytest.approx((1 + 1 / 3) / 2)
    assert metrics["tail/Hits@1"] == 0.5
