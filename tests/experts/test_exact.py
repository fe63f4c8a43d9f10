"""Experts that are computed: the best policy of a tabular environment, and soft ones around it."""

import numpy as np
import pytest

from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.experts.exact import exact_expert
from imitax.networks import mlp_policy
from imitax.policies.policy import load_policies, save_policies
from imitax.tabular.solve import occupancy, soft_value_iteration, value_iteration
from imitax.training.evaluation import evaluate, record


@pytest.fixture(scope="module")
def grid():
    return make("gridworld")


def probabilities(policy, states):
    logits = np.float64(policy.distribution(np.eye(states))["logits"])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def test_the_exact_expert_is_the_best_policy(grid):
    # The mean return of 200 episodes differs from the exact one by 0.35 / √200 = 0.025 (1 sigma).
    mdp = grid.model(0.95)
    policy = value_iteration(mdp).policy
    slow = grid.model(0.999999)
    exact = float(np.sum(occupancy(slow, policy) * slow.reward))
    assert evaluate(exact_expert(grid, 0.0), grid, 200).returns.mean() == pytest.approx(
        exact, abs=0.08
    )


@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_a_soft_expert_has_the_probabilities_of_soft_value_iteration(grid, temperature):
    mdp = grid.model(0.9)
    expected = soft_value_iteration(mdp, temperature=temperature).policy
    policy = exact_expert(grid, temperature, 0.9)
    np.testing.assert_allclose(probabilities(policy, mdp.states), expected, atol=1e-5)
    assert policy.spec == grid.spec


def test_the_discount_matters():
    # The default is that of maximum causal entropy IRL, which is to find the reward again.
    grid = make("gridworld-slippery")
    default, own, other = (exact_expert(grid, 0.1, *discount) for discount in ((), (0.95,), (0.5,)))
    np.testing.assert_array_equal(default.params.weights[0], own.params.weights[0])
    assert not np.allclose(default.params.weights[0], other.params.weights[0])


def test_it_is_a_policy_like_others(grid, tmp_path):
    policy = exact_expert(grid, 0.1)
    assert policy.family is mlp_policy(grid.spec, ())  # a network without hidden layers
    save_policies([policy], tmp_path / "policy.safetensors")
    (loaded,) = load_policies(tmp_path / "policy.safetensors")
    shown, again = (record(one, grid, 5, seed=3) for one in (policy, loaded))
    assert shown.fingerprint() == again.fingerprint() and len(shown) == 5


@pytest.mark.parametrize("temperature", [-1.0, np.inf, np.nan])
def test_temperatures_that_are_none_are_refused(grid, temperature):
    with pytest.raises(
        ImitaxError, match=f"temperature is {temperature}: expected a number of at least 0"
    ):
        exact_expert(grid, temperature)


def test_an_environment_without_a_table_is_refused():
    with pytest.raises(ImitaxError, match="'CartPole-v1' has no table of transitions"):
        exact_expert(make("CartPole-v1"), 0.0)
