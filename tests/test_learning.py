"""The whole loop on CartPole: it learns from reward, it learns from demonstrations, and not from
nothing.

A random policy keeps the pole up for about 20 steps; the limit is 500.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.training.config import make_config
from imitax.training.fit import fit
from imitax.training.rollout import play_native

SEEDS = 2


@pytest.fixture(scope="module")
def demonstrations():
    """Four episodes of a rule: push towards where the pole leans and falls."""
    env = make("CartPole-v1")

    def rule(obs, first, carry, key):
        return (obs[:, 2] + obs[:, 3] > 0).astype(jnp.int32), carry

    played = jax.jit(lambda key: play_native(env, rule, 4, (), key))(jax.random.key(0))
    assert played.lengths.mean() > 400
    rollout = jax.tree.map(np.asarray, played.rollout)
    return Demonstrations.from_episodes(
        [(rollout.obs[:n, i], rollout.action[:n, i]) for i, n in enumerate(played.lengths)],
        terminated=[bool(rollout.terminated[n - 1, i]) for i, n in enumerate(played.lengths)],
        returns=played.returns,
        env_id="CartPole-v1",
    )


def episode_lengths(method, iterations, demonstrations=None, **settings):
    """Mean length of the episodes that ended, per seed and iteration; NaN where none did."""
    sizes = {"loop.iterations": iterations, "loop.env_steps": 2048, "loop.max_envs": 32}
    agent = {"agent.hidden": "32", "agent.learning_rate": 3e-3}
    config = make_config(
        method, "CartPole-v1", agent="ppo", seeds=SEEDS, overrides=sizes | agent | settings
    )
    lengths = fit(config, make("CartPole-v1"), demonstrations).metrics["episode_length"]
    assert lengths.shape == (SEEDS, iterations)
    assert (lengths[:, 0] < 40).all()
    return lengths


def test_it_learns_from_the_true_reward():
    assert (np.nanmean(episode_lengths("rl", 12)[:, -4:], axis=1) > 100).all()


def test_gail_learns_from_demonstrations(demonstrations):
    lengths = episode_lengths(
        "gail", 20, demonstrations, **{"reward.hidden": "32", "reward.updates": 5}
    )
    assert (np.nanmean(lengths[:, -8:], axis=1) > 150).all()


def test_the_control_does_not_learn():
    # The same loop with a discriminator that says nothing: whatever GAIL reaches is owed to it.
    assert (episode_lengths("constant", 12) < 60).all()
