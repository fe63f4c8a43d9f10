"""Evaluation: which actions are played, and which episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.distributions import categorical
from imitax.core.normaliser import empty_normaliser
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.networks import mlp_policy
from imitax.policies.policy import TrainedPolicy
from imitax.training.evaluation import evaluate, record, record_constant
from imitax.types import Policy

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


def alternating(spec):
    """A policy that depends on its memory alone: left, right, left, … from the first step on."""

    def unroll(params, obs, first, carry):
        def step(count, begins):
            count = jnp.where(begins, 0, count)
            return count + 1, jax.nn.one_hot(count % 2, 2)

        carry, logits = jax.lax.scan(step, carry, first)
        return logits, carry

    family = Policy(categorical, lambda key: {}, lambda n: jnp.zeros(n, jnp.int32), unroll)
    return TrainedPolicy(spec, family, {}, empty_normaliser(spec.observation))


@pytest.mark.parametrize("backend", ["native", "gymnasium"])
def test_a_policy_with_a_memory_keeps_it_through_an_episode(backend):
    env = make("CartPole-v1", backend)
    played = record(alternating(env.spec), env, 3, stochastic=False)
    expected = np.concatenate([np.arange(length) % 2 for length in played.lengths])
    assert min(played.lengths) > 10  # it balances for longer than a constant action
    np.testing.assert_array_equal(played.actions, expected)


def test_a_policy_with_a_memory_is_not_asked_about_one_observation(env):
    policy = alternating(env.spec)
    for ask in (policy, policy.sampler(), policy.distribution):
        with pytest.raises(ImitaxError, match=r"has a memory.*imitax\.evaluate"):
            ask(np.zeros(4))
