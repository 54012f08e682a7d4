from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from lrdgraph.errors import ConfigError, DataError
from lrdgraph.evaluation import Evaluation, EvaluationSettings
from lrdgraph.evaluation.significance import compare, holm, paired_bootstrap, paired_t


def made_of(ranks, user=None) -> Evaluation:
    rank = np.asarray(ranks, dtype=np.float64)
    user = np.arange(1, len(rank) + 1) if user is None else np.asarray(user)
    return Evaluation({"full": rank}, user, {}, EvaluationSettings())


def test_users_are_averaged_over_seeds_and_then_over_their_targets_by_hand():
    # reciprocal ranks; user 1 has two targets
    user = [1, 1, 2]
    model = [made_of([1, 2, 4], user), made_of([2, 2, 2], user)]  # means 0.75, 0.5, 0.375
    baseline = [made_of([4, 4, 1], user)]  # 0.25, 0.25, 1
    # user 1: (0.5 + 0.25) / 2 = 0.375; user 2: −0.625
    result = compare(model, baseline, "full/MRR", samples=200)
    assert result.difference == pytest.approx((0.375 - 0.625) / 2)
    assert (result.users, result.metric) == (2, "full/MRR")
    assert result.p_t == pytest.approx(paired_t(np.array([0.375, -0.625])))
    json.dumps(result.to_json(), allow_nan=False)


def test_bootstrap_equals_all_resamples_of_four_users():
    delta = np.array([0.3, 0.5, -0.2, 0.4])
    means = np.array([np.mean(pick) for pick in product(delta, repeat=4)])
    exact = (np.abs(means - delta.mean()) >= abs(delta.mean()) - 1e-12).mean()
    low, high, p = paired_bootstrap(delta, samples=40_000, seed=3)
    assert p == pytest.approx(exact, abs=0.005)
    assert (low, high) == pytest.approx(tuple(np.percentile(means, [2.5, 97.5])), abs=0.026)


def test_bootstrap_repeats_with_its_seed_and_in_several_parts(monkeypatch):
    delta = np.random.default_rng(0).normal(0.1, 1, 50)
    whole = paired_bootstrap(delta, samples=500, seed=1)
    assert paired_bootstrap(delta, samples=500, seed=1) == whole
    assert paired_bootstrap(delta, samples=500, seed=2) != whole
    monkeypatch.setattr("lrdgraph.evaluation.significance.CELLS", 70)
    assert paired_bootstrap(delta, samples=500, seed=1) == whole


def test_t_test_by_hand_and_beside_scipy():
    from scipy import stats

    # mean 2, standard deviation 1, n = 3: t = 2√3 with 2 degrees of freedom, p = 1 − t / √(t² + 2) = 1 − √(6/7)
    assert paired_t(np.array([1.0, 2.0, 3.0])) == pytest.approx(1 - np.sqrt(6 / 7))
    delta = np.random.default_rng(1).normal(0.1, 1, 80)
    assert paired_t(delta) == pytest.approx(stats.ttest_1samp(delta, 0).pvalue)


def test_a_planted_gain_is_found_and_noise_is_not():
    rng = np.random.default_rng(5)
    better, noise = rng.normal(0.05, 0.3, 2000), rng.normal(0, 0.3, 2000)
    assert paired_bootstrap(better, samples=2000)[2] < 0.01
    assert paired_t(better) < 0.01
    assert paired_bootstrap(noise, samples=2000)[2] > 0.05
    assert paired_t(noise) > 0.05


def test_p_is_uniform_where_there_is_no_difference():
    rng = np.random.default_rng(6)
    p = np.array([paired_bootstrap(rng.normal(0, 1, 100), samples=300, seed=i)[2] for i in range(300)])
    # standard error of a share of 0.05 among 300 is 0.013
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.04)
    assert p.mean() == pytest.approx(0.5, abs=0.06)


def test_equal_runs_have_no_difference():
    run = made_of([1, 5, 9])
    result = compare([run], [run], "full/HR@5", samples=100)
    assert (result.difference, result.p_bootstrap, result.p_t) == (0.0, 1.0, 1.0)


def test_the_same_gain_for_every_user_is_certain():
    assert paired_t(np.full(20, 0.25)) == 0.0
    assert paired_bootstrap(np.full(20, 0.25), samples=99)[2] == 0.01


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, made monotone: .04 .06 .06 .06
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.7, 0.5]), [1.0, 1.0])
    assert holm([]).tolist() == []
    assert holm([0.03]).tolist() == [0.03]


@pytest.mark.parametrize("wrong", [1.2, -0.1, float("nan")])
def test_holm_refuses_what_is_no_p_value(wrong):
    with pytest.raises(DataError, match=r"outside \[0, 1\]"):
        holm([0.5, wrong])


def test_runs_that_cannot_be_paired_are_refused():
    run = made_of([1, 2, 3])
    with pytest.raises(ConfigError, match="at least one run"):
        compare([], [run], "full/MRR")
    with pytest.raises(DataError, match="different targets"):
        compare([run], [made_of([1, 2, 3], [1, 2, 4])], "full/MRR")
    with pytest.raises(DataError, match="different targets"):
        compare([replace(run, targets="a")], [replace(run, targets="b")], "full/MRR")
    compare([replace(run, targets="a")], [run], "full/MRR")
    with pytest.raises(ConfigError, match="differ in 'ties'"):
        compare([run], [replace(run, settings=EvaluationSettings(ties="optimistic"))], "full/MRR")
    with pytest.raises(ConfigError, match="Unknown metric"):
        compare([run], [run], "full/AUC")


def test_of_one_user_nothing_can_be_said():
    assert paired_bootstrap(np.array([0.3]))[2] == 1.0
    assert paired_t(np.array([0.3])) == 1.0
