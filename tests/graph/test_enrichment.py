from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lrdgraph.errors import DataError
from lrdgraph.graph.build import build_graph
from lrdgraph.graph.enrichment import enrich
from lrdgraph.nn.relational_conv import RelationalConv
from tests.graph.worlds import corpus

GRAPH = build_graph(corpus([(1, "complement", 2), (3, "brand", 5)]))
PAIRS = torch.tensor([[1, 2, 3], [2, 1, 4]])


class Posterior(torch.nn.Module):
    """A posterior with a parameter that tells (i, j) from (j, i)."""

    def __init__(self, latent: int = 2) -> None:
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(latent, 2))

    def forward(self, i: Tensor, j: Tensor) -> Tensor:
        return torch.softmax(torch.stack([i, 2 * j], dim=1).float() @ self.table.T, dim=1)


def test_mixture_is_the_posterior_of_each_pair_in_its_order() -> None:
    posterior = Posterior()
    enriched = enrich(GRAPH, PAIRS, posterior)
    torch.testing.assert_close(enriched.mixture, posterior(PAIRS[0], PAIRS[1]))
    assert not torch.allclose(enriched.mixture[0], enriched.mixture[1])
    assert enriched.relations.names == (*GRAPH.relations.names, "latent_0", "latent_1")
    assert enriched.relations.of_kind("latent") == [4, 5]
    assert enriched.num_pairs == 3
    assert "3 latent edges, on the tape" in repr(enriched)


def test_a_loss_through_the_latent_edges_teaches_the_posterior_and_detached_it_does_not() -> None:
    posterior = Posterior()
    conv = RelationalConv(8, 8, len(GRAPH.relations), 2)
    x = torch.randn(GRAPH.num_rows, 8)

    def gradient(detach: bool) -> Tensor | None:
        posterior.table.grad = None
        enriched = enrich(GRAPH, PAIRS, posterior)
        enriched = enriched.detach() if detach else enriched
        out = conv(x, GRAPH.edge_index, GRAPH.edge_type, GRAPH.edge_weight, enriched.latent_index, enriched.mixture)
        out.square().sum().backward()
        return posterior.table.grad

    assert gradient(detach=True) is None
    found = gradient(detach=False)
    assert found is not None
    assert found.abs().sum() > 0


def test_small_weights_become_zero_without_gradient_and_pairs_stay() -> None:
    weights = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.05, 0.05]], requires_grad=True)
    enriched = enrich(GRAPH, PAIRS, lambda i, j: weights, min_weight=0.3)
    assert enriched.mixture.tolist() == [[pytest.approx(0.9), 0], [pytest.approx(0.4), pytest.approx(0.6)], [0, 0]]
    enriched.mixture.sum().backward()
    assert weights.grad is not None
    assert weights.grad.tolist() == [[1, 0], [1, 1], [0, 0]]


def test_names_of_ones_own() -> None:
    enriched = enrich(GRAPH, PAIRS, Posterior(), names=["refill of", "same desk"])
    assert [relation.name for relation in enriched.latent] == ["refill of", "same desk"]


def test_no_pairs() -> None:
    enriched = enrich(GRAPH, torch.empty(2, 0, dtype=torch.int64), Posterior())
    assert enriched.mixture.shape == (0, 2)


@pytest.mark.parametrize(
    ("pairs", "posterior", "names", "sentence"),
    [
        (PAIRS.T, Posterior(), None, r"must be \(2, P\) int64"),
        (PAIRS.float(), Posterior(), None, "float32"),
        (PAIRS + 2, Posterior(), None, "outside the items 1…4"),
        (PAIRS - 1, Posterior(), None, "outside the items 1…4"),
        (PAIRS, lambda i, j: torch.ones(3), None, "must be"),
        (PAIRS, lambda i, j: torch.ones(2, 3), None, "posterior of 3 pairs"),
        (PAIRS, lambda i, j: torch.full((3, 2), torch.nan), None, "not finite"),
        (PAIRS, Posterior(), ["one"], "1 names for 2 latent relations"),
        (PAIRS, Posterior(), ["brand", "x"], "'brand' occurs more than once"),
    ],
)
def test_bad_input_gives_one_sentence(pairs: Tensor, posterior: object, names: list[str] | None, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        enrich(GRAPH, pairs, posterior, names)  # type: ignore[arg-type]
