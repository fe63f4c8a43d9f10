"""Running means and variances, and the normalisers made of them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

LIMIT = 10.0  # standard deviations from the mean, at most


class Moments(NamedTuple):
    """Count, mean and population variance of what was seen so far."""

    count: Float[Array, ""]
    mean: Float[Array, "*d"]
    variance: Float[Array, "*d"]


def empty_moments(shape: tuple[int, ...] = ()) -> Moments:
    """Nothing seen: mean 0 and variance 1, so that normalising changes nothing."""
    return Moments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))


def merge_moments(
    moments: Moments, batch: Float[Array | np.ndarray, "n *d"], memory: float = jnp.inf
) -> Moments:
    """Moments of the old and the new together (Chan et al. 1979).

    `memory` caps the count that the past is credited with, so that a drifting quantity is
    followed.
    """
    count = jnp.minimum(moments.count, memory)
    n = batch.shape[0]
    mean, variance = jnp.mean(batch, axis=0), jnp.var(batch, axis=0)
    total = count + n
    delta = mean - moments.mean
    return Moments(
        total,
        moments.mean + delta * (n / total),
        (count * moments.variance + n * variance + delta**2 * (count * n / total)) / total,
    )


def scale(moments: Moments) -> Float[Array, "*d"]:
    """The standard deviation, or 1 for a dimension that never varied."""
    std = jnp.sqrt(moments.variance)
    # more than rounding can make of a constant
    varies = std > 1e-6 * (1.0 + jnp.abs(moments.mean))
    return jnp.where(varies, std, 1.0)


def normalise(
    moments: Moments, x: Float[Array | np.ndarray, "*b d"], limit: float = LIMIT
) -> Float[Array, "*b d"]:
    """(x − mean) / standard deviation, clipped to ±limit; a dimension that never varied is only
    centred.
    """
    mean, std = (
        jnp.expand_dims(m, tuple(range(x.ndim - 1))) for m in (moments.mean, scale(moments))
    )
    return jnp.clip((x - mean) / std, -limit, limit)
