"""The theory study: sampling, blind direction, and GAIL against the exact solution."""

import numpy as np
import pytest

from imitax.studies import theory
from imitax.tabular.solve import flow_residual, occupancy
from imitax.tabular.worlds import random_mdp, world


def test_sampled_episodes_have_the_occupancy_of_the_policy():
    # 2,000 episodes of a grid; an entry is a mean of numbers below 1 / (1 − γ · chance to stay) <
    # 4.
    mdp = world("gridworld")
    policy, rho = theory.soft_expert(mdp)
    empirical = theory.roll(mdp, policy, 2000, np.random.default_rng(0))
    assert abs(empirical - rho).max() < 4 * 4 / np.sqrt(2000)
    assert theory.variation(empirical, rho) < 0.03


def test_the_blind_direction_keeps_flow_and_features(rng):
    mdp = random_mdp(8, 3, rng)
    features = rng.normal(size=(8, 3, 2))
    expert = occupancy(mdp, np.full((8, 3), 1 / 3))
    other = expert + theory.blind_direction(mdp, features, expert)
    assert other.min() > 0 and theory.variation(other, expert) > 1e-3
    np.testing.assert_allclose(flow_residual(mdp, other), 0, atol=1e-9)
    np.testing.assert_allclose(
        np.tensordot(other - expert, features, axes=([0, 1], [0, 1])), 0, atol=1e-9
    )


def test_a_chance_of_ending_is_a_discount():
    # ObservationSamples of the ending MDP, not discounted: Σ_t P(s_t = s, a_t = a), by iterating
    # its transitions.
    mdp, ending, expert = theory.sampled_problem()
    at, visits = mdp.initial, np.zeros_like(expert)
    for _ in range(400):
        visits += at[:, None] * expert
        at = ending.transition.T @ (at[:, None] * expert).reshape(-1)
    np.testing.assert_allclose(visits, occupancy(mdp, expert), atol=1e-9)


@pytest.mark.slow
def test_sampled_gail_ends_at_the_exact_solution():
    # The bound that the page states: less than a quarter of the random policy's distance, for
    # every seed.
    results = theory.sampled_gail(2, 150, ())
    assert results["gail"][:, -1].max() < 0.1 < results["random"] / 4
    assert (results["gail"][:, 0] > 2 * results["gail"][:, -1]).all()
