"""The value function that PPO and TRPO share: it predicts normalised returns.

Rewards relative to the absorbing state can be large and nearly constant. A critic that had to
learn that level by gradient steps would swamp the advantages, so it learns (return − mean) /
standard deviation instead.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from imitax.core.returns import generalised_advantage
from imitax.core.spaces import encode, size
from imitax.core.statistics import Moments, empty_moments, merge_moments
from imitax.networks import MLP, scalar_network
from imitax.types import Number, Observation, Space, Transition

MEMORY = 10  # iterations of returns that the running mean and standard deviation remember
STD_FLOOR = 1e-3


class Critic(NamedTuple):
    """A network for normalised returns and the moments that turn them into returns."""

    network: MLP  # from an encoded observation [F] to [1]
    moments: Moments  # of returns, scalars


def init_critic(key: Key[Array, ""], observation: Space, hidden: tuple[int, ...]) -> Critic:
    """A critic that predicts exactly 0."""
    return Critic(scalar_network(key, size(observation), hidden), empty_moments())


def normalised_value(network: MLP, observation: Space, obs: Observation) -> Float[Array, "*n"]:
    """Value in standard deviations from the mean return."""
    return network(encode(observation, obs))[..., 0]


def _std(moments: Moments) -> Float[Array, ""]:
    return jnp.maximum(jnp.sqrt(moments.variance), STD_FLOOR)


def predict(critic: Critic, observation: Space, obs: Observation) -> Float[Array, "*n"]:
    """Value in units of reward."""
    value = normalised_value(critic.network, observation, obs)
    return value * _std(critic.moments) + critic.moments.mean


def advantages_and_targets(
    critic: Critic,
    observation: Space,
    rollout: Transition,
    reward: Float[Array, "T B"],
    discount: Number,
    gae_lambda: Number,
) -> tuple[Float[Array, "T B"], Float[Array, "T B"], Critic]:
    """GAE advantages in units of reward, normalised targets, and the critic with its moments
    updated.
    """
    value = predict(critic, observation, rollout.obs)
    next_value = predict(critic, observation, rollout.next_obs)
    ends = rollout.terminated, rollout.truncated
    advantage = generalised_advantage(reward, value, next_value, *ends, discount, gae_lambda)
    target = advantage + value
    moments = merge_moments(critic.moments, target.reshape(-1), memory=MEMORY * target.size)
    return advantage, (target - moments.mean) / _std(moments), critic._replace(moments=moments)


def value_loss(
    network: MLP, observation: Space, obs: Observation, target: Float[Array, "*n"]
) -> Float[Array, ""]:
    """½ mean squared error of normalised returns."""
    return 0.5 * jnp.mean((normalised_value(network, observation, obs) - target) ** 2)


def explained_variance(
    prediction: Float[Array, "*b"], target: Float[Array, "*b"]
) -> Float[Array, ""]:
    """1 − Var(target − prediction) / Var(target)."""
    return 1.0 - jnp.var(target - prediction) / jnp.maximum(jnp.var(target), 1e-12)
