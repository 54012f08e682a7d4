"""One small logistic head, fitted alike on the features of every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrdgraph.errors import DataError

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
FOLDS = 5
"""Of the cross-validation; as many links and other pairs are needed at least."""


@dataclass(frozen=True, eq=False)
class Head:
    """``weight · features + bias``, the log-odds of a link.

    Attributes:
        weight: ``(F,)`` float32; the standardisation of the features is in it.
        bias: one number.
        strength: the ``C`` that cross-validation chose.
    """

    weight: Tensor
    bias: float
    strength: float

    def __call__(self, features: Tensor) -> Tensor:
        """Scores ``(*)`` of features ``(*, F)``."""
        return features @ self.weight + self.bias


def labelled_pairs(shown: Tensor, num_items: int, negatives: int = 10, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Links to fit a head on, and random pairs beside them; they are the same for every method.

    Of the random pairs of a link half keep its head and half its tail; the other end is any item. Those that are
    self pairs or among the links are left out. They may be links that are hidden, which nobody who fits may know.

    Args:
        shown: ``(2, n)`` links.
        num_items: ``N``.
        negatives: random pairs of each link.
        seed: of the random pairs.

    Returns:
        Pairs ``(2, m)``, and their labels ``(m,)`` bool.
    """
    generator = torch.Generator().manual_seed(seed)
    other = shown.repeat_interleave(negatives, dim=1)
    side = torch.arange(other.size(1)) % 2
    other[side, torch.arange(other.size(1))] = torch.randint(1, num_items + 1, (other.size(1),), generator=generator)
    base = num_items + 1
    is_link = torch.isin(other[0] * base + other[1], shown[0] * base + shown[1])
    other = other[:, ~is_link & (other[0] != other[1])]
    labels = torch.arange(shown.size(1) + other.size(1)) < shown.size(1)
    return torch.cat([shown, other], dim=1), labels


def fit_head(
    features: Tensor, labels: Tensor, *, strengths: Sequence[float] = STRENGTHS, folds: int = FOLDS, seed: int = 0
) -> Head:
    """Logistic regression on standardised features; its strength is chosen by cross-validated log-likelihood.

    Args:
        features: ``(n, F)``.
        labels: ``(n,)`` bool.
        strengths: values of scikit-learn's ``C`` to choose from.
        folds: of the cross-validation, stratified.
        seed: of the folds.

    Raises:
        DataError: a feature is not finite, or there are fewer links or other pairs than folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not bool(torch.isfinite(features).all()):
        raise DataError("A feature of a pair is NaN or infinite; the method that gave it has diverged.")
    if min(int(labels.sum()), int((~labels).sum())) < folds:
        raise DataError(f"A head needs at least {folds} links and as many other pairs; show it a larger share.")
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": list(strengths)},
        scoring="neg_log_loss",
        cv=StratifiedKFold(folds, shuffle=True, random_state=seed),
    )
    search.fit(features.double().numpy(), labels.numpy())
    scaler, logistic = search.best_estimator_
    weight = torch.from_numpy(logistic.coef_[0] / scaler.scale_)
    bias = float(logistic.intercept_[0]) - float(weight @ torch.from_numpy(scaler.mean_))
    return Head(weight.float(), bias, float(search.best_params_["logisticregression__C"]))
