"""Evaluation: which actions are played, and which episodes."""

import jax
import numpy as np
import pytest

from imitax.core.normaliser import empty_normaliser
from imitax.envs import make
from imitax.networks import mlp_policy
from imitax.policies.policy import TrainedPolicy
from imitax.training.evaluation import evaluate, record_constant

EPISODES = 16


@pytest.fixture(scope="module")
def env():
    return make("CartPole-v1")


@pytest.fixture(scope="module")
def untrained(env):
    """Uniform, so that its most likely action is the first one at every step."""
    family = mlp_policy(env.spec, (4,))
    params, normaliser = family.init(jax.random.key(0)), empty_normaliser(env.spec.observation)
    return TrainedPolicy(env.spec, family, params, normaliser)


def test_the_most_likely_actions_are_played_unless_they_are_to_be_sampled(env, untrained):
    first_action = record_constant(env, EPISODES).returns
    np.testing.assert_array_equal(evaluate(untrained, env, EPISODES).returns, first_action[None])
    sampled = evaluate(untrained, env, EPISODES, stochastic=True).returns
    assert sampled.mean() > 1.5 * first_action.mean()  # falls in 9 steps against some 20


def test_a_seed_names_its_episodes(env, untrained):
    one, again, other = (
        evaluate(untrained, env, EPISODES, stochastic=True, seed=seed).returns for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
