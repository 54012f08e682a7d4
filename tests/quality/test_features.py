"""Features of pairs, worked by hand, for any shapes that broadcast."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from lrdgraph.discovery import RelationDVAE
from lrdgraph.discovery.likelihood import log_likelihoods
from lrdgraph.errors import ConfigError
from lrdgraph.models.inputs import ModelInputs
from lrdgraph.quality.discovered import (
    FROM_BOTH,
    DiscoverySettings,
    Pairs,
    discovery_family,
    discovery_features,
    settings_pairs,
    train_discovery,
)
from lrdgraph.quality.features import (
    PairFeatures,
    cooccurrence_features,
    joined,
    popularity_features,
    random_features,
    text_features,
)
from lrdgraph.quality.recovery import recover_pairs
from lrdgraph.vocabulary import Vocabulary
from tests.quality.worlds import graph_of, planted_inputs, with_inverses

TEXT = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 3.0], [-1.0, 0.0]])


def inputs(*histories: list[int]) -> ModelInputs:
    rows = [(user, item) for user, history in enumerate(histories, 1) for item in history]
    events = torch.tensor([[u, i, t] for t, (u, i) in enumerate(rows)]).T
    popularity = torch.bincount(events[1], minlength=5).float()
    return ModelInputs(Vocabulary(list("abcd"), "item"), popularity, events, len(histories), TEXT)


def every() -> dict[str, PairFeatures]:
    shop = inputs([1, 2, 3, 2], [1, 2])
    torch.manual_seed(0)
    families = (text_features, cooccurrence_features, popularity_features, random_features)
    found = {name: features for family in families for name, features in family(shop, 0).items()}
    return found | discovery_features(RelationDVAE(TEXT, 2, 4)) | {"joined": joined(*found.values())}


def test_texts() -> None:
    features = text_features(inputs([1, 2]))
    i, j = torch.tensor([1, 1, 1]), torch.tensor([2, 3, 4])
    torch.testing.assert_close(features["cosine"](i, j)[:, 0], torch.tensor([0.0, 0.5**0.5, -1.0]))
    centred = (TEXT[1:] - TEXT[1:].mean(0)) / (TEXT[1:] - TEXT[1:].mean(0)).square().mean().sqrt()
    torch.testing.assert_close(features["text-product"](i, j), centred[i - 1] * centred[j - 1])


def test_counts_are_directed_and_of_training_alone() -> None:
    features = cooccurrence_features(inputs([1, 2, 3, 2], [1, 2]), max_gap=2)["co-occurrence"]
    # within two events 1 → 2 twice, 1 → 3 and 2 → 3 and 3 → 2 once; 2 → 2 is none
    found = features(torch.tensor([1, 2, 2, 1]), torch.tensor([2, 1, 3, 4])).tolist()
    assert found == [
        pytest.approx([math.log(3), 0]),
        pytest.approx([0, math.log(3)]),
        pytest.approx([math.log(2), math.log(2)]),
        [0, 0],
    ]
    nobody = cooccurrence_features(inputs([1]))["co-occurrence"]
    assert nobody(torch.tensor([1]), torch.tensor([2])).tolist() == [[0, 0]]


def test_popularity() -> None:
    features = popularity_features(inputs([1, 2, 2]))["popularity"]
    assert features(torch.tensor([2]), torch.tensor([3])).tolist() == [[pytest.approx(math.log(3)), 0]]


@pytest.mark.parametrize("name", list(every()))
def test_shapes_that_broadcast(name: str) -> None:
    features = every()[name]
    i, j = torch.tensor([1, 2]), torch.arange(5)
    block = features(i[:, None], j[None])
    flat = features(i.repeat_interleave(5), j.repeat(2))
    assert block.shape == (2, 5, flat.shape[1])
    torch.testing.assert_close(block.flatten(0, 1), flat)
    turned = features(j[None], i[:, None])
    torch.testing.assert_close(turned.flatten(0, 1), features(j.repeat(2), i.repeat_interleave(5)))


def test_features_of_discovery_are_its_posterior_and_its_decoder_both_ways() -> None:
    torch.manual_seed(0)
    dvae = RelationDVAE(TEXT, 2, 4, decoder="complex", popularity=torch.tensor([0.0, 5, 1, 0, 2]))
    found = discovery_features(dvae)
    i, j = torch.tensor([1, 3]), torch.tensor([2, 4])
    both = torch.cat([dvae.state_posterior(i, j), dvae.state_posterior(j, i)], dim=1)
    torch.testing.assert_close(found["posterior"](i, j), both)
    torch.testing.assert_close(found["log-posterior"](i, j), both.log())
    torch.testing.assert_close(found["logits"](i, j).unflatten(1, (2, 3)).softmax(-1).flatten(1), both)
    decoder = found["decoder"](i, j)
    assert decoder.shape == (2, 2 * 2 + 2)
    # scores and popularity give the decoder's likelihood up to what is the same for all tails of a head
    with torch.no_grad():
        items, relations = dvae.tables()
        all_tails = found["decoder"](torch.tensor([1]), torch.arange(1, 5))
        log_tail, _ = log_likelihoods(
            dvae.decoder, items, relations, torch.ones(4, dtype=torch.int64), torch.arange(1, 5), dvae.log_popularity
        )
    torch.testing.assert_close((all_tails[:, :2] + all_tails[:, 5:]).log_softmax(0), log_tail)


def test_without_tables_there_is_no_decoder_unless_they_are_given() -> None:
    dvae = RelationDVAE(TEXT, 2, 4, own_tables=False)
    assert "decoder" not in discovery_features(dvae)
    assert "decoder" in discovery_features(dvae, torch.randn(5, 4), torch.randn(2, 4))


def test_a_training_follows_from_its_seed_and_leaves_the_generator_alone() -> None:
    shop, pairs = inputs([1, 2, 3, 4]), torch.tensor([[1, 2, 3], [2, 3, 4]])
    settings = DiscoverySettings(num_latent=2, hidden_channels=4, prior="uniform", epochs=2)
    before = torch.get_rng_state()
    first, again, other = (train_discovery(shop, pairs, seed, settings).logits(*pairs) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_pairs_of_a_graph_are_its_predefined_edges_between_items() -> None:
    edges = with_inverses({"goes_with": [(1, 2), (3, 1)], "brand": [(2, 5)]})
    graph = graph_of(edges, 4, attributes=1, kinds={"brand": "attribute"})
    shop = replace(inputs([1, 2, 3, 4]), graph=graph)
    assert sorted(settings_pairs(shop, "graph").T.tolist()) == [[1, 2], [3, 1]]
    alone = replace(shop, graph=graph_of({"brand": [(2, 5)]}, 4, 1))
    with pytest.raises(ConfigError, match="joins no two items"):
        settings_pairs(alone, "graph")
    assert torch.equal(settings_pairs(alone, "both"), settings_pairs(alone, "histories"))
    assert settings_pairs(shop, max_gap=1).T.tolist() == [[1, 2], [2, 3], [3, 4]]
    assert sorted(settings_pairs(shop, "both", 1).T.tolist()) == [[1, 2], [1, 2], [2, 3], [3, 1], [3, 4]]


@pytest.mark.parametrize("pairs", ["graph", "both"])
def test_a_discovery_of_edges_finds_what_lies_near_them(pairs: Pairs) -> None:
    settings = replace(FROM_BOTH, hidden_channels=16, batch_size=64)
    features = discovery_family(partial(train_discovery, settings=settings), pairs=pairs)
    found = recover_pairs(planted_inputs(100, 200), [features, random_features])["brand"]
    assert found["decoder"]["MRR"] > 2 * found["random"]["MRR"]
