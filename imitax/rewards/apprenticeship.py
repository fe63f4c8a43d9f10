"""Apprenticeship learning: rewards that are linear in features, FEM and GTAL (Ho, Gupta & Ermon
2016).

Both restrict the reward to a set of weights and play the one under which expert and policy differ
most:

    FEM   max over ‖w‖₂ ≤ 1 of w·(μ_E − μ_π)   w = (μ_E − μ_π) / ‖μ_E − μ_π‖₂
    GTAL  max over ‖w‖₁ ≤ 1 of w·(μ_E − μ_π)   w = ± one basis vector

where μ is the expectation of the features φ(s, a) under an occupancy. The maximum is the Euclidean
norm of the difference of feature expectations, or its largest entry: closed forms, so nothing is
learnt by gradient. In an iteration the weights in use move only part of the way to the best ones.
That leaves them in the class, which is convex, and keeps the game between reward and policy from
going in circles. As in `rewards.gail`, an episode that terminates continues in one absorbing
state, here with a feature of its own, and the reward is relative to it. Sources: Abbeel & Ng 2004
(FEM), Syed & Schapire 2008 (GTAL).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from imitax.core.settings import setting, settings
from imitax.core.spaces import blank, encode, executed, is_index
from imitax.types import EnvSpec, RewardModel, Sample, Transition


@settings
class ApprenticeshipConfig:
    """Settings of the linear reward."""

    products: bool = setting(
        False, "squares and pairwise products of observation and action among the features"
    )
    mix: float = setting(
        0.3, "step size toward the best weights in an iteration; 1: all the way", high=1.0
    )
    absorbing: bool = setting(
        True, "absorbing states on both sides; off: the paper's literal setting"
    )


class LinearReward(NamedTuple):
    """The reward w·φ in use."""

    weights: Float[Array, "F"]  # the last one is the absorbing state's


def fem(spec: EnvSpec, config: ApprenticeshipConfig = ApprenticeshipConfig()) -> RewardModel:
    """Feature expectation matching: the weights lie in the Euclidean unit ball."""

    def largest(gap):
        return gap / jnp.maximum(jnp.linalg.norm(gap), 1e-12)

    return _apprenticeship(spec, config, largest)


def gtal(spec: EnvSpec, config: ApprenticeshipConfig = ApprenticeshipConfig()) -> RewardModel:
    """Game-theoretic apprenticeship learning: the weights are a mixture of features with a
    sign.
    """

    def largest(gap):
        return jnp.zeros_like(gap).at[jnp.argmax(jnp.abs(gap))].set(1.0) * jnp.sign(gap)

    return _apprenticeship(spec, config, largest)


def basis(spec: EnvSpec, config: ApprenticeshipConfig, t: Transition) -> Float[Array, "*b F"]:
    """φ(s, a): encoded observation and action, their products, 0 for the absorbing state's
    feature.

    Products: pairs of observation dimensions, squares included; each observation dimension with
    each action dimension; except for one-hot actions also pairs of those (of which they would say
    nothing new).
    """
    obs = encode(spec.observation, t.obs)
    action = encode(spec.action, executed(spec.action, t.action))
    parts = [obs, action]
    if config.products:
        parts += [
            _pairs(obs),
            (obs[..., :, None] * action[..., None, :]).reshape(*obs.shape[:-1], -1),
        ]
        if not is_index(spec.action):
            parts.append(_pairs(action))
    return jnp.concatenate([*parts, jnp.zeros((*obs.shape[:-1], 1))], axis=-1)


def _pairs(x: Float[Array, "*b n"]) -> Float[Array, "*b m"]:
    """x_i x_j for all i ≤ j."""
    first, second = np.triu_indices(x.shape[-1])
    return x[..., first] * x[..., second]


def _apprenticeship(spec: EnvSpec, config: ApprenticeshipConfig, largest: Callable) -> RewardModel:
    """The model whose weights are `largest`(μ_E − μ_π), the maximiser over its class."""

    def expectation(sample: Sample):
        live = jnp.mean(basis(spec, config, sample.transitions), axis=0)
        mass = sample.absorbing_mass if config.absorbing else jnp.zeros(())
        return ((1.0 - mass) * live).at[-1].set(mass)

    def update(state: LinearReward, expert: Sample | None, policy: Sample, key):
        assert expert is not None  # the method learns from demonstrations
        gap = expectation(expert) - expectation(policy)
        best = largest(gap)
        weights = state.weights + config.mix * (best - state.weights)
        return LinearReward(weights), {"feature_gap": best @ gap}

    def reward(state: LinearReward, t: Transition):
        return basis(spec, config, t) @ state.weights - state.weights[-1]

    def init(key):
        return LinearReward(jnp.zeros_like(basis(spec, config, blank(spec, ()))))

    return RewardModel(init, update, reward)
