"""OGB's evaluator takes the scores of our decoder."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from lrdgraph.discovery import RelationDVAE, discover
from lrdgraph.evaluation.ranks import RankCounter
from tests.graph.shelves import ITEMS, SHELF, SHELVES

# before ogb is imported, or it asks the network for a newer version
sys.modules["outdated"] = None  # type: ignore[assignment]


def scores(dvae: RelationDVAE, i: Tensor, candidates: Tensor) -> Tensor:
    """``(P, C)`` by the likeliest relation, for heads ``(P,)`` and candidate tails ``(P, C)``."""
    with torch.no_grad():
        items, relations = dvae.tables()
        every = dvae.decoder.score_tails(items[i], relations, items).logsumexp(1)
    return every.gather(1, candidates)


@pytest.fixture(scope="module")
def pairs() -> tuple[Tensor, Tensor]:
    """Pairs of an item and one of the shelf across, to learn from and held out."""
    i, j = torch.cartesian_prod(torch.arange(1, ITEMS + 1), torch.arange(1, ITEMS + 1)).T
    follows = SHELF[i - 1] ^ 1 == SHELF[j - 1]
    order = torch.randperm(int(follows.sum()), generator=torch.Generator().manual_seed(0))
    held, known = torch.stack([i, j])[:, follows][:, order].split([300, len(order) - 300], dim=1)
    return known, held


def test_evaluator(pairs: tuple[Tensor, Tensor]) -> None:
    from ogb.linkproppred import Evaluator

    torch.manual_seed(0)
    known, (i, j) = pairs
    text = torch.cat([torch.zeros(1, 8), torch.eye(SHELVES).repeat(1, 2)[SHELF] + 0.2 * torch.randn(ITEMS, 8)])
    dvae = RelationDVAE(text, num_latent=2, hidden_channels=16)
    wrong = torch.stack([torch.arange(1, ITEMS + 1)[SHELF[n - 1] ^ 1 != SHELF] for n in i])
    evaluator = Evaluator("ogbl-wikikg2")

    def judged() -> dict[str, Tensor]:
        told = {"y_pred_pos": scores(dvae, i, j[:, None]).squeeze(1), "y_pred_neg": scores(dvae, i, wrong)}
        # OGB's hits count half a rank up, as ours do
        told["y_pred_neg"][:50, 0] = told["y_pred_pos"][:50]
        counter = RankCounter(told["y_pred_pos"])
        counter.add(told["y_pred_neg"])
        result = evaluator.eval(told)
        assert result["mrr_list"].shape == (300,)
        assert np.allclose(result["mrr_list"].numpy(), 1 / counter.ranks("realistic"))
        return result

    before = judged()
    discover(dvae, known, epochs=30, batch_size=128, seed=0)
    after = judged()
    assert float(before["mrr_list"].mean()) < 0.4
    assert float(after["mrr_list"].mean()) > 0.8
    assert float(after["hits@10_list"].mean()) > 0.95
