from __future__ import annotations

import numpy as np
import pytest

from lrdgraph.errors import ConfigError
from lrdgraph.evaluation.metrics import hit, ndcg, per_target, reciprocal_rank, summarise

RANKS = np.array([1.0, 3.0, 5.0, 5.5, 7.0])


def test_hit_counts_ranks_up_to_k_and_not_the_half_above():
    assert hit(RANKS, 5).tolist() == [1, 1, 1, 0, 0]


def test_ndcg_by_hand():
    # 1 / log2(2) = 1, 1 / log2(4) = 1/2, 1 / log2(6) = 0.386853, 1 / log2(6.5) = 0.370310, 1 / log2(8) = 1/3
    np.testing.assert_allclose(ndcg(RANKS, 5), [1, 0.5, 0.386853, 0, 0], atol=1e-6)
    np.testing.assert_allclose(ndcg(RANKS, 10), [1, 0.5, 0.386853, 0.370310, 1 / 3], atol=1e-6)


def test_reciprocal_rank_by_hand():
    np.testing.assert_allclose(reciprocal_rank(RANKS), [1, 1 / 3, 1 / 5, 2 / 11, 1 / 7])


def test_summary_holds_the_means_by_name():
    summary = summarise(RANKS, (5,))
    assert list(summary) == ["HR@5", "NDCG@5", "MRR"]
    assert summary["HR@5"] == pytest.approx(3 / 5)
    assert summary["NDCG@5"] == pytest.approx((1 + 0.5 + 0.386853) / 5, abs=1e-6)
    assert summary["MRR"] == pytest.approx((1 + 1 / 3 + 1 / 5 + 2 / 11 + 1 / 7) / 5)


def test_per_target_reads_the_name():
    assert per_target(RANKS, "HR@3").tolist() == [1, 1, 0, 0, 0]
    assert per_target(RANKS, "NDCG@3").tolist() == [1, 0.5, 0, 0, 0]
    assert per_target(RANKS, "MRR")[4] == 1 / 7


@pytest.mark.parametrize("name", ["AUC", "HR", "HR@", "HR@0", "HR@x", "MRR@5", "ndcg@5", "HR@-1"])
def test_an_unknown_metric_is_named(name):
    with pytest.raises(ConfigError, match=f"Unknown metric '{name}'"):
        per_target(RANKS, name)
