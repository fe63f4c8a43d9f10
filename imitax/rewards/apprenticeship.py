"""Apprenticeship learning: rewards that are linear in features, FEM and GTAL (Ho, Gupta & Ermon 2016).

Both restrict the reward to a set of weights and play the one under which expert and policy differ most:

    FEM   max over ‖w‖₂ ≤ 1 of w·(μ_E − μ_π)    w = (μ_E − μ_π) / ‖μ_E − μ_π‖₂    (Abbeel & Ng 2004)
    GTAL  max over ‖w‖₁ ≤ 1 of w·(μ_E − μ_π)    w = ± one basis vector            (Syed & Schapire 2008)

where μ is the expectation of the features φ(s, a) under an occupancy. The maximum is the Euclidean norm of
the difference of feature expectations, or its largest entry: closed forms, so nothing is learnt by
gradient. The weights that are paid go only a share of the way to the best ones in an iteration. That leaves
them in the class, which is convex, and keeps the game between reward and policy from going in circles.
As in `rewards.gail`, an episode that terminates goes on in one absorbing state, here with a feature of its
own, and the reward is relative to it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from imitax.core.returns import absorbing_mass
from imitax.core.spaces import encode, from_environment
from imitax.types import Box, EnvSpec, ExpertPairs, RewardModel, Rollout


@dataclass(frozen=True)
class ApprenticeshipConfig:
    """Settings of the linear reward."""

    products: bool = False  # squares and pairwise products of observation and action among the features
    step: float = 0.3  # share of the way to the best weights that is gone in an iteration; 1: at once
    absorbing: bool = True  # absorbing states on both sides; off: the paper's literal setting


class LinearReward(NamedTuple):
    """The reward w·φ that is being paid."""

    weights: Float[Array, "F"]  # the last one is the absorbing state's


def fem(spec: EnvSpec, config: ApprenticeshipConfig = ApprenticeshipConfig()) -> RewardModel:
    """Feature expectation matching: the weights lie in the Euclidean unit ball."""

    def largest(gap):
        return gap / jnp.maximum(jnp.linalg.norm(gap), 1e-12)

    return _apprenticeship(spec, config, largest)


def gtal(spec: EnvSpec, config: ApprenticeshipConfig = ApprenticeshipConfig()) -> RewardModel:
    """Game-theoretic apprenticeship learning: the weights are a mixture of features with a sign."""

    def largest(gap):
        return jnp.zeros_like(gap).at[jnp.argmax(jnp.abs(gap))].set(1.0) * jnp.sign(gap)

    return _apprenticeship(spec, config, largest)


def basis(spec: EnvSpec, config: ApprenticeshipConfig, obs: Array, action: Array) -> Float[Array, "*b F"]:
    """φ(s, a): normalised observation, encoded action, their products, 0 for the absorbing state's feature.

    Products: pairs of observation dimensions, squares included; each observation dimension with each action
    dimension; for Box actions also pairs of those (of one-hot actions they would say nothing new).
    """
    action = encode(spec.action_space, action)
    parts = [obs, action]
    if config.products:
        parts += [_pairs(obs), (obs[..., :, None] * action[..., None, :]).reshape(*obs.shape[:-1], -1)]
        if isinstance(spec.action_space, Box):
            parts.append(_pairs(action))
    return jnp.concatenate([*parts, jnp.zeros((*obs.shape[:-1], 1))], axis=-1)


def _pairs(x: Float[Array, "*b n"]) -> Float[Array, "*b m"]:
    """x_i x_j for all i ≤ j."""
    first, second = np.triu_indices(x.shape[-1])
    return x[..., first] * x[..., second]


def _apprenticeship(spec: EnvSpec, config: ApprenticeshipConfig, largest: Callable) -> RewardModel:
    """The model whose weights are `largest`(μ_E − μ_π), the maximiser over its class."""

    def expectation(obs, action, mass):
        features = basis(spec, config, obs, action)
        live = jnp.mean(features.reshape(-1, features.shape[-1]), axis=0)
        return ((1.0 - mass) * live).at[-1].set(mass)

    def update(state: LinearReward, expert: ExpertPairs, rollout: Rollout, key):
        expert_mass = policy_mass = jnp.zeros(())
        if config.absorbing:
            expert_mass = expert.absorbing_mass
            policy_mass = absorbing_mass(rollout.terminated, rollout.step, spec.time_limit)
        gap = expectation(expert.obs, expert.action, expert_mass)
        gap = gap - expectation(rollout.obs, rollout.action, policy_mass)
        best = largest(gap)
        weights = state.weights + config.step * (best - state.weights)
        return LinearReward(weights), {"feature_gap": best @ gap}

    def reward(state: LinearReward, rollout: Rollout):
        return basis(spec, config, rollout.obs, rollout.action) @ state.weights - state.weights[-1]

    def init(key):
        obs = jnp.zeros(spec.observation_size)
        action = from_environment(spec.action_space, jnp.zeros(_action_shape(spec)))
        return LinearReward(jnp.zeros_like(basis(spec, config, obs, action)))

    return RewardModel(init, update, reward)


def _action_shape(spec: EnvSpec) -> tuple[int, ...]:
    return (spec.action_space.size,) if isinstance(spec.action_space, Box) else ()
