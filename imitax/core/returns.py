"""Returns, generalised advantages, and how much of an occupancy is absorbed."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from imitax.types import HostOrDevice, Number


def discounted_sum(reward: Float[Array, "T *b"], discount: Number) -> Float[Array, "T *b"]:
    """Σ_k γ^k r_{t+k} for every t."""

    def step(tail, r):
        tail = r + discount * tail
        return tail, tail

    return jax.lax.scan(step, jnp.zeros_like(reward[0]), reward, reverse=True)[1]


def generalised_advantage(
    reward: Float[Array, "T *b"],
    value: Float[Array, "T *b"],
    next_value: Float[Array, "T *b"],
    terminated: Bool[HostOrDevice, "T *b"],
    truncated: Bool[HostOrDevice, "T *b"],
    discount: Number,
    gae_lambda: Number,
) -> Float[Array, "T *b"]:
    """GAE(γ, λ) with the two ends of an episode kept apart.

    δ_t = r_t + γ (1 − terminated_t) V(s'_t) − V(s_t); A_t = δ_t + γλ (1 − terminated_t)(1 −
    truncated_t) A_{t+1}. `next_value` is of the observation before a reset, so a truncated episode
    bootstraps from its own last observation, and nothing crosses an episode border. Source:
    Schulman et al. 2016, eq. 16.
    """
    alive = 1.0 - terminated
    delta = reward + discount * alive * next_value - value
    carry = discount * gae_lambda * alive * (1.0 - truncated)

    def step(tail, x):
        delta_t, carry_t = x
        tail = delta_t + carry_t * tail
        return tail, tail

    return jax.lax.scan(step, jnp.zeros_like(delta[0]), (delta, carry), reverse=True)[1]


def absorbing_mass(
    terminated: Bool[HostOrDevice, "*b"], step: Int[HostOrDevice, "*b"], time_limit: int
) -> Float[Array, ""]:
    """Share of the occupancy spent in the absorbing state after termination.

    An episode that terminates at its step t (from 0) stays absorbed for time_limit − (t + 1)
    steps. Truncated episodes are not absorbed: they would have continued.
    """
    absorbed = jnp.sum(jnp.where(terminated, time_limit - 1 - step, 0).astype(jnp.float32))
    return absorbed / (absorbed + terminated.size)
