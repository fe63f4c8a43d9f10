"""The value function that PPO and TRPO share: it predicts normalised returns.

Rewards relative to the absorbing state can be large and nearly constant. A critic that had to learn that
level by gradient steps would drown the advantages, so it learns (return − mean) / deviation instead.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from imitax.core.returns import generalised_advantage
from imitax.core.statistics import Moments, empty_moments, merge_moments
from imitax.networks import MLP, scalar_network
from imitax.types import Rollout

MEMORY = 10  # iterations of returns that the running mean and deviation remember
DEVIATION_FLOOR = 1e-3


class Critic(NamedTuple):
    """A network for normalised returns and the moments that turn them into returns."""

    network: MLP
    moments: Moments


def init_critic(key: Key[Array, ""], observation_size: int, hidden: tuple[int, ...]) -> Critic:
    """A critic that predicts exactly 0."""
    return Critic(scalar_network(key, observation_size, hidden), empty_moments())


def _deviation(moments: Moments) -> Float[Array, ""]:
    return jnp.maximum(jnp.sqrt(moments.variance), DEVIATION_FLOOR)


def predict(critic: Critic, obs: Float[Array, "*b O"]) -> Float[Array, "*b"]:
    """Value in units of reward."""
    return critic.network(obs)[..., 0] * _deviation(critic.moments) + critic.moments.mean


def advantages_and_targets(
    critic: Critic, rollout: Rollout, discount: float, trace: float
) -> tuple[Float[Array, "T B"], Float[Array, "T B"], Critic]:
    """GAE advantages in units of reward, normalised targets, and the critic with its moments updated."""
    value = predict(critic, rollout.obs)
    next_value = predict(critic, rollout.next_obs)
    ends = rollout.terminated, rollout.truncated
    advantage = generalised_advantage(rollout.reward, value, next_value, *ends, discount, trace)
    target = advantage + value
    moments = merge_moments(critic.moments, target.reshape(-1), memory=MEMORY * target.size)
    return advantage, (target - moments.mean) / _deviation(moments), critic._replace(moments=moments)


def value_loss(network: MLP, obs: Float[Array, "n O"], target: Float[Array, "n"]) -> Float[Array, ""]:
    """½ mean squared error of normalised returns."""
    return 0.5 * jnp.mean((network(obs)[..., 0] - target) ** 2)


def explained_variance(prediction: Float[Array, "*b"], target: Float[Array, "*b"]) -> Float[Array, ""]:
    """1 − Var(target − prediction) / Var(target)."""
    return 1.0 - jnp.var(target - prediction) / jnp.maximum(jnp.var(target), 1e-12)
