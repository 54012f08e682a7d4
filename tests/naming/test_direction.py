"""Agreement of the two ways, by hand, against numpy, and at its bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lrdgraph.graph.enrichment import EnrichedGraph
from lrdgraph.naming import direction
from lrdgraph.naming.direction import agreement, symmetric
from tests.export.worlds import enriched
from tests.naming.worlds import planted


def test_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direction, "ENOUGH", 1)
    # both ways stand 1–2 and 1–4 alone: (0.9, 0.6) and (0.8, 0.7) for the first relation
    values = np.array([0.9, 0.6, 0.8, 0.7])
    expected = 1 - np.mean([0.3**2, 0.1**2]) / (2 * values.var())
    assert agreement(enriched_detached())[0] == pytest.approx(expected, abs=1e-6)


def enriched_detached() -> EnrichedGraph:
    return enriched().detach()


def test_is_the_correlation_of_pairs_in_both_orders() -> None:
    graph = planted(turned=0.4)
    there = graph.mixture.numpy()
    back = np.roll(there, len(there) // 2, axis=0)
    expected = [np.corrcoef(there[:, k], back[:, k])[0, 1] for k in range(3)]
    order = torch.randperm(graph.num_pairs)
    mixed = EnrichedGraph(graph.graph, graph.latent_index[:, order], graph.mixture[order], graph.latent)
    np.testing.assert_allclose(agreement(mixed), expected, atol=1e-5)


@pytest.mark.parametrize(("turned", "expected"), [(0.0, True), (0.1, True), (0.9, False)])
def test_planted_direction(turned: float, expected: bool) -> None:
    assert [symmetric(found) for found in agreement(planted(turned=turned))] == [expected] * 3


def test_nothing_is_said_of_few_pairs_or_a_constant_posterior() -> None:
    assert np.isnan(agreement(enriched_detached())).all()
    graph = planted()
    constant = EnrichedGraph(graph.graph, graph.latent_index, torch.full_like(graph.mixture, 0.3), graph.latent)
    assert np.isnan(agreement(constant)).all()
    none = EnrichedGraph(graph.graph, graph.latent_index[:, :0], graph.mixture[:0], graph.latent)
    assert np.isnan(agreement(none)).all()
    assert symmetric(float("nan")) is None
    assert (symmetric(0.8), symmetric(0.79)) == (True, False)
