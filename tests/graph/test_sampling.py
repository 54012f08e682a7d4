from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.enrichment import enrich
from lrdgraph.graph.sampling import NeighborSampler, draw
from lrdgraph.nn import RelationalAttentionConv, RelationalConv
from tests.graph.worlds import corpus

NODES, R, K, D = 60, 3, 2, 8
RANDOM = torch.Generator().manual_seed(0)
INDEX = torch.randint(NODES, (2, 150), generator=RANDOM)
LATENT = torch.randint(NODES, (2, 90), generator=RANDOM)
TYPE, WEIGHT = torch.randint(R, (150,), generator=RANDOM), torch.rand(150, generator=RANDOM)
MIXTURE, X = torch.rand(90, K, generator=RANDOM), torch.randn(NODES, D, generator=RANDOM)
SEEDS = torch.tensor([31, 4, 15, 9])


def sampler(*fanouts: int) -> NeighborSampler:
    return NeighborSampler(INDEX, fanouts, edge_type=TYPE, edge_weight=WEIGHT, latent_index=LATENT, num_nodes=NODES)


@pytest.mark.parametrize("layer", [RelationalConv, RelationalAttentionConv])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_at_full_fan_out_seeds_get_the_vectors_and_gradients_of_the_whole_graph(layer: type, hops: int) -> None:
    torch.manual_seed(0)
    layers = [layer(D, D, R, K) for _ in range(hops)]
    x, mixture = X.clone().requires_grad_(), MIXTURE.clone().requires_grad_()
    whole = x
    for conv in layers:
        whole = torch.relu(conv(whole, INDEX, TYPE, WEIGHT, LATENT, mixture))
    part = sampler(*[-1] * hops).sample(SEEDS)
    few = x[part.n_id]
    for conv in layers:
        few = torch.relu(conv(few, **part.edges, mixture=mixture[part.latent_id]))
    torch.testing.assert_close(few[: part.batch_size], whole[SEEDS], atol=1e-5, rtol=1e-5)
    found, expected = (
        torch.autograd.grad(out.square().sum(), [x, mixture]) for out in (few[: part.batch_size], whole[SEEDS])
    )
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_one_hop_less_is_not_enough() -> None:
    conv = RelationalConv(D, D, R, K)
    whole = conv(conv(X, INDEX, TYPE, WEIGHT, LATENT, MIXTURE), INDEX, TYPE, WEIGHT, LATENT, MIXTURE)
    part = sampler(-1).sample(SEEDS)
    mixture = MIXTURE[part.latent_id]
    few = conv(conv(X[part.n_id], **part.edges, mixture=mixture), **part.edges, mixture=mixture)
    assert not torch.allclose(few[: part.batch_size], whole[SEEDS], atol=1e-3)


@pytest.mark.parametrize("fanouts", [(-1, -1), (2, 3), (1,), (100, 2, 1)])
def test_what_is_drawn_is_in_the_graph(fanouts: tuple[int, ...]) -> None:
    part = sampler(*fanouts).sample(SEEDS, seed=5)
    assert torch.equal(part.n_id[:4], SEEDS)
    assert len(part.n_id.unique()) == len(part.n_id)
    assert len(part.e_id.unique()) == len(part.e_id)
    assert len(part.latent_id.unique()) == len(part.latent_id)
    assert torch.equal(part.n_id[part.edge_index], INDEX[:, part.e_id])
    assert torch.equal(part.n_id[part.latent_index], LATENT[:, part.latent_id])
    assert torch.equal(part.edge_type, TYPE[part.e_id])
    assert torch.equal(part.edge_weight, WEIGHT[part.e_id])
    assert set(part.n_id[4:].tolist()) <= {
        *part.n_id[part.edge_index[0]].tolist(),
        *part.n_id[part.latent_index[0]].tolist(),
    }


def heard(part: object) -> Tensor:
    """How many edges each node of a subgraph hears through."""
    into = torch.cat([part.edge_index[1], part.latent_index[1]])  # type: ignore[attr-defined]
    return torch.bincount(into, minlength=len(part.n_id))  # type: ignore[attr-defined]


def test_a_node_hears_its_fan_out_or_all_that_it_has() -> None:
    degree = torch.bincount(torch.cat([INDEX[1], LATENT[1]]), minlength=NODES)
    assert degree.max() > 3 > degree.min()
    part = sampler(3).sample(torch.arange(NODES), seed=1)
    assert torch.equal(heard(part), degree.clamp(max=3))
    part = sampler(3, 2).sample(SEEDS, seed=1)
    assert torch.equal(heard(part)[:4], degree[SEEDS].clamp(max=3))
    assert heard(part).sum() > heard(part)[:4].sum()
    assert (heard(part)[4:] <= degree[part.n_id[4:]].clamp(max=2)).all()


def test_every_set_of_places_is_equally_likely() -> None:
    """20,000 draws of 2 of 4 places: each of the 6 sets a sixth of the time, within 4 standard deviations."""
    owner, place = draw(np.full(20_000, 4), 2, np.random.default_rng(0))
    assert np.array_equal(owner, np.repeat(np.arange(20_000), 2))
    pairs = np.sort(place.reshape(-1, 2), 1)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    counts = np.unique(pairs[:, 0] * 4 + pairs[:, 1], return_counts=True)[1]
    assert len(counts) == 6
    assert np.abs(counts - 20_000 / 6).max() < 4 * (20_000 * (1 / 6) * (5 / 6)) ** 0.5


def test_the_seed_decides() -> None:
    first, again, other = (sampler(2, 2).sample(SEEDS, seed) for seed in (1, 1, 2))
    assert torch.equal(first.e_id, again.e_id)
    assert torch.equal(first.n_id, again.n_id)
    assert not (len(first.e_id) == len(other.e_id) and torch.equal(first.e_id, other.e_id))
    one = sampler(2, 2)
    assert torch.equal(one.sample(SEEDS, 7).e_id, one.sample(SEEDS, 7).e_id)


def test_batches_hold_every_seed_once() -> None:
    seeds = torch.arange(10, 60)
    parts = list(sampler(2, 2).batches(seeds, 16, shuffle=True, seed=3))
    assert [part.batch_size for part in parts] == [16, 16, 16, 2]
    met = torch.cat([part.n_id[: part.batch_size] for part in parts])
    assert not torch.equal(met, seeds)
    assert torch.equal(met.sort().values, seeds)
    again = list(sampler(2, 2).batches(seeds, 16, shuffle=True, seed=3))
    assert all(torch.equal(a.e_id, b.e_id) for a, b in zip(parts, again, strict=True))
    plain = next(sampler(2, 2).batches(seeds, 16))
    assert torch.equal(plain.n_id[:16], seeds[:16])


def test_of_our_graphs() -> None:
    known = build_graph(corpus([(1, "complement", 2), (3, "brand", 5), (4, "brand", 6)]))
    pairs = torch.tensor([[1, 2], [3, 1]])
    enriched = enrich(known, pairs, lambda i, j: torch.full((len(i), K), 0.5))
    part = NeighborSampler(enriched, [-1]).sample(torch.tensor([3, 1]))
    into = torch.isin(known.edge_index[1], torch.tensor([3, 1]))
    assert sorted(part.e_id.tolist()) == into.nonzero().flatten().tolist()
    assert sorted(part.latent_id.tolist()) == [0, 1]
    assert torch.equal(part.edge_weight, known.edge_weight[part.e_id])
    alone = NeighborSampler(known, [-1]).sample(torch.tensor([3, 1]))
    assert torch.equal(alone.e_id.sort().values, part.e_id.sort().values)
    assert len(alone.latent_id) == 0
    assert "2 latent edges" in repr(NeighborSampler(enriched, [4, -1]))
    assert repr(part).startswith("Subgraph(2 seeds, ")


def test_a_seed_without_edges_is_alone() -> None:
    lonely = NeighborSampler(torch.tensor([[0], [1]]), [2, 2], num_nodes=5).sample(torch.tensor([4]))
    assert (lonely.n_id.tolist(), lonely.edge_index.shape) == ([4], (2, 0))
    empty = NeighborSampler(torch.empty(2, 0, dtype=torch.int64), [3], num_nodes=2).sample(torch.tensor([1, 0]))
    assert empty.n_id.tolist() == [1, 0]


def test_bad_input_gives_one_sentence() -> None:
    with pytest.raises(ConfigError, match="one for each layer"):
        sampler()
    with pytest.raises(ConfigError, match="above 0"):
        sampler(3, 0)
    with pytest.raises(DataError, match="outside 0…1"):
        NeighborSampler(torch.tensor([[0], [2]]), [1], num_nodes=2)
    with pytest.raises(DataError, match="one entry for each"):
        NeighborSampler(INDEX, [1], edge_type=TYPE[1:])
    with pytest.raises(DataError, match="occurs twice"):
        sampler(1).sample(torch.tensor([3, 3]))
    with pytest.raises(DataError, match="outside the nodes 0…59"):
        sampler(1).sample(torch.tensor([60]))
