"""Is one model better than another, or was it the sample of users? Paired tests, and Holm's correction for a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation.evaluator import Evaluation

CELLS = 1 << 22


@dataclass(frozen=True)
class Comparison:
    """A model against its baseline on one metric.

    Attributes:
        metric: full name, ``"full/NDCG@10"``.
        difference: mean over users, model minus baseline.
        low, high: 95 % interval of the difference, percentiles of the bootstrap.
        p_bootstrap, p_t: two-sided p-values of no difference, by bootstrap and by Student's paired t-test.
        users: how many users were paired.
    """

    metric: str
    difference: float
    low: float
    high: float
    p_bootstrap: float
    p_t: float
    users: int

    def to_json(self) -> dict[str, str | float | int]:
        return asdict(self)


def compare(
    model: Sequence[Evaluation], baseline: Sequence[Evaluation], metric: str, *, samples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare two sets of runs over the same targets, paired over users.

    A user's value is the mean over seeds and, where a split tests several of their events, over those. Each user
    counts once, so that under a split with several targets a user the difference may not equal that of the metrics.

    Args:
        model, baseline: one evaluation for each seed; the two may differ in number.
        metric: full name, ``"full/NDCG@10"``.
        samples: bootstrap resamples of the users.
        seed: of the resampling.

    Raises:
        ConfigError: a side is empty, or runs differ in ties or filter of seen items, or the metric is unknown.
        DataError: runs rank different targets, as their users or the hashes of their targets tell.
    """
    if not model or not baseline:
        raise ConfigError("A comparison needs at least one run on each side; evaluate the missing one.")
    runs = [*model, *baseline]
    first = runs[0]
    known = {run.targets for run in runs} - {""}
    for run in runs:
        if len(known) > 1 or not np.array_equal(run.user, first.user):
            raise DataError("The runs rank different targets, which cannot be paired; evaluate all on the same split.")
        if (run.settings.ties, run.settings.filter_seen) != (first.settings.ties, first.settings.filter_seen):
            raise ConfigError("The runs differ in 'ties' or 'filter_seen'; evaluate all with the same settings.")
    gain = np.mean([e.per_target(metric) for e in model], 0) - np.mean([e.per_target(metric) for e in baseline], 0)
    _, of = np.unique(first.user, return_inverse=True)
    delta = np.bincount(of, weights=gain) / np.bincount(of)
    low, high, p_bootstrap = paired_bootstrap(delta, samples=samples, seed=seed)
    return Comparison(metric, float(delta.mean()), low, high, p_bootstrap, paired_t(delta), len(delta))


def paired_bootstrap(delta: np.ndarray, *, samples: int = 10_000, seed: int = 0) -> tuple[float, float, float]:
    """Bootstrap of the mean of paired differences (Efron and Tibshirani, 1993, chapters 13 and 16).

    Args:
        delta: ``(U,)`` differences, one for each user.
        samples: resamples of U users with replacement.
        seed: of the resampling.

    Returns:
        The 2.5 and 97.5 percentiles of the mean, and the two-sided p-value under the hypothesis that it is 0: the
        share of resamples, the observed one among them, whose mean is as far from the observed mean as that is from 0.
        Of one user nothing can be said: 1.
    """
    rng = np.random.default_rng(seed)
    step = max(1, CELLS // len(delta))
    means = np.concatenate(
        [
            delta[rng.integers(0, len(delta), (min(step, samples - first), len(delta)))].mean(1)
            for first in range(0, samples, step)
        ]
    )
    observed = delta.mean()
    # means of the same numbers in another order differ in their last bits
    as_far = np.abs(means - observed) >= np.abs(observed) - 1e-12
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high), 1.0 if len(delta) < 2 else float((1 + as_far.sum()) / (1 + samples))


def paired_t(delta: np.ndarray) -> float:
    """Two-sided p-value of Student's paired t-test on differences ``(U,)``; 1 where all are 0 or there is only one."""
    from scipy import stats

    if len(delta) < 2 or not delta.any():
        return 1.0
    spread = delta.std(ddof=1) / np.sqrt(len(delta))
    if spread == 0:
        return 0.0
    return float(2 * stats.t.sf(abs(delta.mean()) / spread, len(delta) - 1))


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values corrected for the number of comparisons in a table (Holm, 1979), ``(n,)`` in the order given.

    The i-th smallest of n is multiplied by ``n − i + 1``, made no smaller than the one before it, and at most 1.

    Raises:
        DataError: a p-value is outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise DataError(f"A p-value is outside [0, 1]: {p[~((p >= 0) & (p <= 1))][0]}; compute it again.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
