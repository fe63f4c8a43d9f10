"""Summaries: trimmed means, bootstrap intervals, normalised scores."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from imitax.stats.estimates import (
    band,
    bootstrap_interval,
    describe_returns,
    interquartile_mean,
    normalised,
    performance_profile,
    probability_of_improvement,
    profile_band,
    stratified_interval,
)


@pytest.mark.parametrize("n", [4, 8, 12, 100])
def test_interquartile_mean_is_the_trimmed_mean_where_a_quarter_is_a_whole_number(rng, n):
    x = rng.normal(size=(3, n)) ** 3
    np.testing.assert_allclose(interquartile_mean(x), trim_mean(x, 0.25, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(
        interquartile_mean(x.T, axis=0), trim_mean(x, 0.25, axis=-1), rtol=1e-12
    )


def test_interquartile_mean_of_three_counts_the_outer_values_by_a_sixth():
    # Of 3 values the middle half is the stretch from 0.75 to 2.25: a quarter of the first (0.75 …
    # 1), all of the second, a quarter of the third (2 … 2.25). So (x₁/4 + x₂ + x₃/4) / 1.5 = x₁/6
    # + 2x₂/3 + x₃/6.
    assert interquartile_mean([9.0, 0.0, 3.0]) == pytest.approx(0 / 6 + 2 * 3 / 3 + 9 / 6)


@pytest.mark.parametrize("values, expected", [([5.0], 5.0), ([1.0, 4.0], 2.5), ([7.0] * 5, 7.0)])
def test_interquartile_mean_of_few_or_equal_values(values, expected):
    assert interquartile_mean(values) == pytest.approx(expected)


def test_interquartile_mean_ignores_an_outlier_in_four():
    assert interquartile_mean([1.0, 2.0, 3.0, 1e9]) == 2.5


def test_bootstrap_interval_is_the_same_every_time_and_depends_on_its_seed(rng):
    x = rng.normal(size=30)
    assert bootstrap_interval(x) == bootstrap_interval(x.copy())
    assert bootstrap_interval(x) != bootstrap_interval(x, seed=1)
    low, high = bootstrap_interval(x)
    assert low < x.mean() < high
    inner_low, inner_high = bootstrap_interval(x, level=0.5)
    assert low < inner_low < inner_high < high


def test_bootstrap_interval_is_as_wide_as_the_normal_one(rng):
    # The mean of n values is about normal with deviation s / √n: the 95 % interval is ± 1.96 of
    # that.
    x = rng.normal(size=400)
    low, high = bootstrap_interval(x)
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)


def test_bootstrap_interval_covers_the_mean_about_as_often_as_it_says(rng):
    intervals = np.array([bootstrap_interval(rng.exponential(size=50)) for _ in range(200)])
    covered = np.mean((intervals[:, 0] <= 1) & (1 <= intervals[:, 1]))
    # 0.95, less for a skewed distribution; deviation of the share 0.015
    assert 0.87 <= covered <= 0.99


def test_bootstrap_interval_of_one_value_or_of_equal_ones_is_a_point():
    assert bootstrap_interval([3.0]) == (3.0, 3.0)
    assert bootstrap_interval([3.0, 3.0, 3.0], interquartile_mean) == (3.0, 3.0)


def test_band_is_the_interquartile_mean_between_its_interval(rng):
    curves = rng.normal(size=(5, 7)) + np.arange(7)
    middle, low, high = band(curves)
    np.testing.assert_allclose(middle, interquartile_mean(curves, axis=0))
    assert middle.shape == low.shape == high.shape == (7,)
    assert (low <= middle).all() and (middle <= high).all() and (low < high).all()
    assert all(np.array_equal(a, b) for a, b in zip(band(curves), (middle, low, high), strict=True))


def test_band_of_one_seed_is_its_curve():
    curve = np.arange(4.0)
    assert all(np.array_equal(line, curve) for line in band(curve[None]))


def test_normalised_is_0_at_random_and_1_at_the_expert():
    np.testing.assert_array_equal(
        normalised([-500.0, -75.0, -287.5], -500.0, -75.0), [0.0, 1.0, 0.5]
    )
    assert normalised(3.0, 2.0, 2.0).shape == () and math.isnan(normalised(3.0, 2.0, 2.0))


def test_describe_returns_of_one_seed_is_over_its_episodes(rng):
    returns = rng.normal(size=40)
    described = describe_returns(returns)
    assert described["mean"] == described["interquartile_mean"] == pytest.approx(returns.mean())
    assert described["std"] == pytest.approx(returns.std()) and described["episodes"] == 40
    assert described["interval"] == list(bootstrap_interval(returns))


def test_describe_returns_of_many_seeds_is_over_their_means(rng):
    returns = rng.normal(size=(4, 10)) + np.array([[0.0], [0.0], [0.0], [100.0]])
    described = describe_returns(returns)
    assert described["seed_means"] == pytest.approx(returns.mean(axis=1).tolist())
    assert described["interquartile_mean"] == pytest.approx(
        interquartile_mean(returns.mean(axis=1))
    )
    assert described["interval"] == list(
        bootstrap_interval(returns.mean(axis=1), interquartile_mean)
    )
    assert described["mean"] == pytest.approx(returns.mean()) and described["episodes"] == 40


def test_stratified_interval_knows_only_chance_within_groups(rng):
    # Two groups without spread have no chance in them, however far apart; pooled, they would have.
    apart = [np.zeros(7), np.ones(7)]
    assert stratified_interval(apart, np.mean) == (0.5, 0.5)
    assert bootstrap_interval(np.concatenate(apart))[0] < 0.4
    x = rng.normal(size=40)
    assert stratified_interval([x], np.mean) == pytest.approx(bootstrap_interval(x), abs=0.1)


def test_stratified_interval_is_as_wide_as_the_normal_one(rng):
    # The mean over K groups of n values with deviations s_k has variance Σ s_k² / n / K².
    groups = [rng.normal(size=200) * scale for scale in (1, 2, 3)]
    low, high = stratified_interval(groups, np.mean)
    deviation = math.sqrt(sum(x.var() for x in groups) / 200 / 9)
    assert high - low == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_performance_profile_by_hand():
    # Above 0.5: 1 of 2 and 3 of 4, so (½ + ¾) / 2; above 1: none and 1 of 4; none above 2.
    groups = [np.array([0.2, 1.0]), np.array([0.4, 0.6, 1.0, 2.0])]
    profile = performance_profile(groups, np.array([0.0, 0.5, 1.0, 2.0]))
    np.testing.assert_allclose(profile, [1.0, 0.625, 0.125, 0.0])
    low, high = profile_band(groups, np.array([0.0, 0.5, 2.0]))
    assert low[0] == high[0] == 1.0
    assert low[1] < 0.625 < high[1]
    assert low[2] == high[2] == 0.0


def test_probability_of_improvement_by_hand():
    # Of the pairs (1, 0) (1, 1) (3, 0) (3, 1): better, equal, better, better: 3½ of 4.
    assert probability_of_improvement([1, 3], [0, 1]) == 3.5 / 4


def test_probability_of_improvement_is_the_u_statistic(rng):
    x, y = rng.integers(10, size=12), rng.integers(8, size=9)
    assert probability_of_improvement(x, y) == pytest.approx(
        mannwhitneyu(x, y).statistic / (12 * 9)
    )
    assert probability_of_improvement(x, y) + probability_of_improvement(y, x) == pytest.approx(1.0)
