"""Exact quantities against closed forms, dense linear algebra, brute force and each other."""

import time

import numpy as np
import pytest
from scipy import sparse
from scipy.special import logsumexp

from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.solve import (
    causal_entropy,
    expectation,
    flow_residual,
    occupancy,
    occupancy_by_iteration,
    occupancy_of_steps,
    policy_of,
    soft_backward_induction,
    soft_policy_iteration,
    soft_value_iteration,
    value_iteration,
)
from imitax.tabular.worlds import mountain_car, random_mdp


def one_state(reward, discount):
    """One state, its actions lead back to it."""
    actions = len(reward)
    return TabularMDP(np.ones((actions, 1)), np.array([reward]), np.ones(1), discount)


def test_one_state_by_hand():
    # V = log Σ exp(r_a + γ V) = log Σ exp(r_a) + γ V, so V = log Σ exp(r_a) / (1 − γ) and π =
    # softmax(r).
    mdp = one_state([0.0, np.log(3.0)], 0.75)
    solution = soft_value_iteration(mdp)
    np.testing.assert_allclose(solution.values, [np.log(4.0) / 0.25], atol=1e-10)
    np.testing.assert_allclose(solution.policy, [[0.25, 0.75]], atol=1e-10)
    np.testing.assert_allclose(occupancy(mdp, solution.policy), [[1.0, 3.0]], atol=1e-10)
    # ρ = (1, 3): entropy −1 log ¼ − 3 log ¾, which is that of one step times 1 / (1 − γ) = 4.
    assert causal_entropy(np.array([[1.0, 3.0]])) == pytest.approx(np.log(4) + 3 * np.log(4 / 3))


def test_an_episode_that_ends_is_worth_nothing_afterwards():
    # It ends with probability ½: V = log(2) + r + γ ½ V for two equal actions.
    mdp = TabularMDP(
        np.full((2, 1), 0.5), np.full((1, 2), 1.0), np.ones(1), 0.8, np.full((1, 2), 0.5)
    )
    np.testing.assert_allclose(soft_value_iteration(mdp).values, [(np.log(2) + 1) / 0.6], atol=1e-9)
    assert occupancy(mdp, np.full((1, 2), 0.5)).sum() == pytest.approx(1 / 0.6)


def test_soft_values_solve_their_equation(grid):
    solution = soft_value_iteration(grid, temperature=0.3)
    q = grid.reward + grid.discount * (grid.transition @ solution.values).reshape(grid.reward.shape)
    np.testing.assert_allclose(solution.values, 0.3 * logsumexp(q / 0.3, axis=1), atol=1e-10)
    np.testing.assert_allclose(solution.policy.sum(axis=1), 1.0)


def test_soft_value_is_return_plus_entropy(small):
    # V(μ₀) = E[Σ γ^t r] + H(π), the objective that the soft policy maximises.
    solution = soft_value_iteration(small)
    rho = occupancy(small, solution.policy)
    expected = expectation(rho, small.reward) + causal_entropy(rho)
    assert small.initial @ solution.values == pytest.approx(expected, abs=1e-8)


def test_no_policy_does_better_than_the_soft_one(small, any_policy):
    best = small.initial @ soft_value_iteration(small).values
    for _ in range(100):
        rho = occupancy(small, any_policy(small))
        assert expectation(rho, small.reward) + causal_entropy(rho) < best


def test_little_temperature_is_value_iteration(grid):
    hard, soft = value_iteration(grid), soft_value_iteration(grid, temperature=1e-4)
    np.testing.assert_allclose(
        soft.values, hard.values, atol=1e-4 * np.log(4) / (1 - grid.discount) + 1e-8
    )


def test_value_iteration_is_policy_evaluation_of_its_policy(grid):
    hard = value_iteration(grid)
    assert expectation(occupancy(grid, hard.policy), grid.reward) == pytest.approx(
        grid.initial @ hard.values
    )


def test_many_rewards_at_once_are_each_alone(small, rng):
    rewards = rng.normal(size=(4, 5, 3))
    together = soft_value_iteration(small, rewards, tolerance=1e-12)
    for index, reward in enumerate(rewards):
        alone = soft_value_iteration(small, reward, tolerance=1e-12)
        np.testing.assert_allclose(together.values[index], alone.values, atol=1e-11)
        np.testing.assert_allclose(together.policy[index], alone.policy, atol=1e-11)


def test_a_start_nearby_saves_iterations(small):
    solution = soft_value_iteration(small)
    again = soft_value_iteration(small, small.reward + 1e-6, start=solution.values)
    assert again.iterations < solution.iterations / 2


@pytest.mark.parametrize("tolerance", [1.0, 1e-2, 1e-5])
def test_values_are_as_exact_as_asked(small, grid, tolerance, rng):
    for mdp in (small, grid):
        rewards = 10 * rng.normal(size=(4, mdp.states, mdp.actions))
        exact = np.stack([soft_policy_iteration(mdp, reward).values for reward in rewards])
        assert (
            abs(soft_value_iteration(mdp, rewards, tolerance=tolerance).values - exact).max()
            < tolerance
        )


def test_policy_iteration_finds_the_same_values_in_a_few_solves(small, grid):
    for mdp in (small, grid):
        one, other = (
            soft_value_iteration(mdp, tolerance=1e-11),
            soft_policy_iteration(mdp, mdp.reward),
        )
        np.testing.assert_allclose(other.values, one.values, atol=1e-9)
        np.testing.assert_allclose(other.policy, one.policy, atol=1e-9)
        assert other.iterations < 12 < one.iterations


def test_policy_iteration_takes_rewards_of_any_size(small):
    # With much reward the soft policy is nearly the best one; nothing overflows, and the iteration
    # ends.
    best = value_iteration(small, 1e4 * small.reward)
    np.testing.assert_allclose(
        soft_policy_iteration(small, 1e4 * small.reward).policy, best.policy, atol=1e-6
    )


def test_backward_induction_by_brute_force(small):
    # Two steps: Q₁ = r, V₁ = log Σ exp r; Q₀ = r + γ P V₁.
    values, policies = soft_backward_induction(small, 2)
    dense = small.transition.toarray().reshape(5, 3, 5)
    last = np.log(np.exp(small.reward).sum(axis=1))
    first = np.log(np.exp(small.reward + 0.9 * dense @ last).sum(axis=1))
    np.testing.assert_allclose(values, [first, last])
    rho = occupancy_of_steps(small, policies)
    entropy = sum(causal_entropy(step) for step in rho)
    assert expectation(rho.sum(axis=0), small.reward) + entropy == pytest.approx(
        small.initial @ first
    )


def test_a_long_horizon_is_the_infinite_one(small):
    values, policies = soft_backward_induction(small, 400)
    np.testing.assert_allclose(values[0], soft_value_iteration(small).values, atol=1e-8)
    np.testing.assert_allclose(
        occupancy_of_steps(small, policies).sum(axis=0),
        occupancy(small, soft_value_iteration(small).policy),
        atol=1e-8,
    )


def test_occupancy_by_solving_by_iterating_and_by_a_series(small, any_policy):
    policy = any_policy(small)
    solved = occupancy(small, policy)
    np.testing.assert_allclose(occupancy_by_iteration(small, policy), solved, atol=1e-10)
    step = np.einsum("sa,sat->st", policy, small.transition.toarray().reshape(5, 3, 5))
    series = sum(
        small.discount**t * small.initial @ np.linalg.matrix_power(step, t) for t in range(400)
    )
    np.testing.assert_allclose(solved, series[:, None] * policy, atol=1e-10)
    assert solved.sum() == pytest.approx(1 / (1 - small.discount))


def test_proposition_3_1_policies_and_occupancies_are_one_to_one(small, grid, any_policy):
    # ρ ↦ π_ρ ↦ ρ and π ↦ ρ_π ↦ π; the image is exactly the non-negative solutions of the flow
    # equations.
    for mdp in (small, grid):
        policy = any_policy(mdp)
        rho = occupancy(mdp, policy)
        np.testing.assert_allclose(flow_residual(mdp, rho), 0.0, atol=1e-10)
        visited = rho.sum(axis=1) > 0
        np.testing.assert_allclose(policy_of(rho)[visited], policy[visited], atol=1e-10)
        np.testing.assert_allclose(occupancy(mdp, policy_of(rho)), rho, atol=1e-10)
        other = occupancy(mdp, any_policy(mdp))
        mixed = 0.3 * rho + 0.7 * other  # a convex set: a mixture is again some policy's
        np.testing.assert_allclose(flow_residual(mdp, mixed), 0.0, atol=1e-10)
        np.testing.assert_allclose(occupancy(mdp, policy_of(mixed)), mixed, atol=1e-10)


def test_a_measure_that_breaks_the_flow_is_no_policys(small, any_policy):
    rho = occupancy(small, any_policy(small))
    broken = rho * np.linspace(0.5, 1.5, 5)[:, None]
    assert np.max(abs(flow_residual(small, broken))) > 0.05
    assert not np.allclose(occupancy(small, policy_of(broken)), broken, atol=0.05)


def test_causal_entropy_is_strictly_concave_in_the_occupancy(small, any_policy):
    # Lemma 3.1: strictly above the chord between occupancies of different policies; here by at
    # least 1e-3.
    for _ in range(50):
        one, two = (occupancy(small, any_policy(small)) for _ in range(2))
        for share in (0.25, 0.5, 0.75):
            chord = share * causal_entropy(one) + (1 - share) * causal_entropy(two)
            assert causal_entropy(share * one + (1 - share) * two) > chord + 1e-3


def test_causal_entropy_is_the_discounted_sum_of_step_entropies(small, any_policy):
    policy = any_policy(small)
    rho = occupancy(small, policy)
    per_state = -(policy * np.log(policy)).sum(axis=1)
    assert causal_entropy(rho) == pytest.approx(rho.sum(axis=1) @ per_state)


def test_unvisited_states_get_the_uniform_policy():
    np.testing.assert_array_equal(
        policy_of(np.array([[0.0, 0.0], [1.0, 3.0]])), [[0.5, 0.5], [0.25, 0.75]]
    )


def test_ten_thousand_states_are_quick(rng):
    # 10,000 states × 5 actions, 3 successors, to 1e-6 (the aim on a quiet machine is 5 s).
    mdp = random_mdp(10_000, 5, rng, discount=0.95)
    start = time.perf_counter()
    solution = soft_value_iteration(mdp, tolerance=1e-6)
    assert time.perf_counter() - start < 10
    assert solution.iterations < 500
    assert mdp.transition.nnz == 10_000 * 5 * 3


def test_mountain_car_is_solved_exactly():
    mdp = mountain_car()
    assert mdp.states == 10_201
    assert mdp.transition.nnz <= 4 * 3 * mdp.states
    hard = value_iteration(mdp, tolerance=1e-4)
    # V = −(1 − γ^T) / (1 − γ) of an episode of T steps: the best on the true dynamics is some 85
    # to 120.
    length = np.log(1 + (1 - mdp.discount) * mdp.initial @ hard.values) / np.log(mdp.discount)
    assert 80 < length < 130


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"transition": np.full((4, 2), 0.4)},
            r"state 0, action 0 of 'MDP' sum to 0.8: expected 1",
        ),
        ({"transition": np.array([[2.0, -1.0]] * 4)}, "must be finite and nonnegative, found -1"),
        ({"transition": np.ones((4, 1))}, r"shape \(4, 1\): expected \(4, 2\)"),
        ({"initial": np.array([0.5, 0.4])}, "Initial distribution of 'MDP' sums to 0.9"),
        ({"discount": 1.0}, "Discount of 'MDP' is 1.0: expected at least 0, below 1"),
        ({"discount": -0.1}, "Discount of 'MDP' is -0.1"),
        ({"discount": float("nan")}, "Discount of 'MDP' is nan"),
        ({"reward": np.array([[0.0, np.nan]] * 2)}, "Rewards of 'MDP' must be finite"),
        ({"reward": np.zeros(2)}, r"shape \(2,\): expected \[S, A\]"),
        ({"termination": np.full((2, 2), 0.5)}, "sum to 1.5"),
    ],
)
def test_bad_arrays_are_refused(fields, message):
    good = {
        "transition": np.full((4, 2), 0.5),
        "reward": np.zeros((2, 2)),
        "initial": np.array([1.0, 0.0]),
        "discount": 0.9,
    }
    TabularMDP(**good)
    with pytest.raises(ImitaxError, match=message):
        TabularMDP(**(good | fields))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: soft_value_iteration(m, np.zeros((2, 2))), r"expected \[5, 3\]"),
        (lambda m: soft_value_iteration(m, np.full((5, 3), np.inf)), "Rewards must be finite"),
        (
            lambda m: soft_value_iteration(m, temperature=0.0),
            "Temperature is 0.0: expected above 0",
        ),
        (lambda m: soft_backward_induction(m, 0), "Horizon is 0"),
        (lambda m: occupancy(m, np.ones((5, 3))), "rows must be probabilities"),
        (lambda m: occupancy(m, np.ones((5, 2)) / 2), r"expected \[5, 3\]"),
    ],
)
def test_bad_arguments_are_refused(small, call, message):
    with pytest.raises(ImitaxError, match=message):
        call(small)


def test_memory_is_that_of_the_transitions():
    # 10,000 states in a ring, dense [S·A, S] would be 800 MB.
    n = 10_000
    transition = sparse.csr_array(
        (np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)), shape=(n, n)
    )
    mdp = TabularMDP(transition, np.zeros((n, 1)), np.eye(1, n)[0], 0.5)
    rho = occupancy(mdp, np.ones((n, 1)))
    np.testing.assert_allclose(rho[:5, 0], [1, 0.5, 0.25, 0.125, 0.0625])
