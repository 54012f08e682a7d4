"""How far two soft assignments of the same pairs say the same: information, matching, and the adjusted Rand index."""

from __future__ import annotations

import numpy as np


def soft_joint(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``(S, T)`` joint distribution of a state of each, from posteriors ``(P, S)`` and ``(P, T)`` whose rows sum to 1.

    ``p(s, t) = 1/P Σ_p first_ps · second_pt``; of one-hot rows it is the table of counts divided by P.
    """
    joint: np.ndarray = first.astype(np.float64).T @ second.astype(np.float64) / len(first)
    return joint


def mutual_information(joint: np.ndarray) -> float:
    """``I = Σ p(s, t) log [p(s, t) / p(s) p(t)]`` in nats, of a joint distribution ``(S, T)``."""
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    held = joint > 0
    return max(float((joint[held] * np.log(joint[held] / apart[held])).sum()), 0.0)


def normalised_mutual_information(joint: np.ndarray) -> float:
    """``I / ((H(s) + H(t)) / 2)``, from 0 to 1, of a joint distribution ``(S, T)``; 0 where one of the two is constant.

    Of two hard assignments it is scikit-learn's ``normalized_mutual_info_score``. With soft ones it reaches 1 only if
    they are hard and the same.
    """
    entropies = _entropy(joint.sum(1)), _entropy(joint.sum(0))
    return 0.0 if min(entropies) <= 0 else 2 * mutual_information(joint) / sum(entropies)


def match(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """Which state of ``second`` each state of ``first`` is, so that they agree on as much mass as can be (Hungarian).

    Args:
        first, second: posteriors ``(P, S)`` of the same pairs; rows sum to 1.

    Returns:
        ``(S,)`` states of ``second``, and the mass ``Σ_s p(s, match(s))`` on which the two then agree, 1 at most.
    """
    from scipy.optimize import linear_sum_assignment

    joint = soft_joint(first, second)
    rows, columns = linear_sum_assignment(joint, maximize=True)
    return columns, float(joint[rows, columns].sum())


def adjusted_rand(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index of the likeliest states of two posteriors ``(P, S)`` and ``(P, T)`` (Hubert, Arabie, 1985).

    1 for the same partition, 0 on average for independent ones; 1 too where both put all pairs into one state, which is
    why the perplexity stands beside it.
    """
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(first.argmax(1), second.argmax(1)))


def _entropy(distribution: np.ndarray) -> float:
    held = distribution[distribution > 0]
    return float(-(held * np.log(held)).sum())
