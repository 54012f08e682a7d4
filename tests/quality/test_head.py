"""The head is scikit-learn's, its labels are the same for all, and what is hidden has no part in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from lrdgraph.errors import DataError
from lrdgraph.quality.head import fit_head, labelled_pairs

SHOWN = torch.tensor([[1, 2, 3, 4, 5, 6], [2, 1, 5, 9, 7, 8]])


def test_random_pairs_keep_one_end_and_are_no_links_and_no_self_pairs() -> None:
    pairs, labels = labelled_pairs(SHOWN, 9, negatives=50, seed=1)
    assert torch.equal(pairs[:, labels], SHOWN)
    links = set(map(tuple, SHOWN.T.tolist()))
    other = pairs[:, ~labels].T.tolist()
    assert all(i != j and min(i, j) >= 1 and max(i, j) <= 9 and (i, j) not in links for i, j in other)
    heads, tails = set(SHOWN[0].tolist()), set(SHOWN[1].tolist())
    assert all(i in heads or j in tails for i, j in other)
    assert 200 < len(other) <= 300
    assert {i for i, _ in other} == {j for _, j in other} == set(range(1, 10))


def test_it_is_logistic_regression_on_standardised_features() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3)) * [1, 10, 0.1] + [0, 5, 1]
    labels = rng.random(400) < 1 / (1 + np.exp(-features @ [1, 0.1, -5]))
    head = fit_head(torch.from_numpy(features).float(), torch.from_numpy(labels), strengths=[0.1])
    scaler = StandardScaler().fit(features)
    theirs = LogisticRegression(C=0.1).fit(scaler.transform(features), labels)
    new = rng.normal(size=(7, 5, 3))
    expected = theirs.decision_function(scaler.transform(new.reshape(-1, 3))).reshape(7, 5)
    np.testing.assert_allclose(head(torch.from_numpy(new).float()).numpy(), expected, rtol=1e-3, atol=1e-4)


def test_cross_validation_chooses_the_strength() -> None:
    rng = np.random.default_rng(0)
    labels = torch.arange(300) % 2 == 0
    noise = torch.from_numpy(rng.normal(size=(300, 30))).float()
    assert fit_head(noise, labels).strength == pytest.approx(1e-4)
    assert fit_head(noise + 3 * labels[:, None], labels).strength > 1e-3


def test_refused() -> None:
    with pytest.raises(DataError, match="NaN or infinite|NaN or infinity"):
        fit_head(torch.full((10, 1), torch.nan), torch.arange(10) < 5)
    with pytest.raises(DataError, match="at least 5 links"):
        fit_head(torch.ones(10, 1), torch.arange(10) < 3)
