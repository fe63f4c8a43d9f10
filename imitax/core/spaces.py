"""The three forms of an action, for Discrete and for Box spaces.

* environment units: what `env.step` takes and what demonstrations hold;
* agent units: an index, or a Box action scaled so that the bounds are −1 and 1, not yet clipped
  (the Gaussian policy's own sample, whose density the policy gradient needs);
* encoded: what a discriminator sees, a one-hot vector or the *executed* (clipped) scaled action.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from imitax.types import Box, Discrete


def to_environment(space: Discrete | Box, action: Array) -> Array:
    """Agent units -> environment units, clipped to the box."""
    if isinstance(space, Discrete):
        return action
    low, high = _bounds(space, action.ndim)
    inside = low + (jnp.clip(action, -1.0, 1.0) + 1.0) * (0.5 * (high - low))
    return jnp.clip(inside, low, high)  # the sum may round to just above high


def from_environment(space: Discrete | Box, action: Array | np.ndarray) -> Array:
    """Environment units -> agent units."""
    if isinstance(space, Discrete):
        return jnp.asarray(action, jnp.int32)
    low, high = _bounds(space, action.ndim)
    half_width = np.where(high > low, 0.5 * (high - low), np.inf)  # without width: the middle, 0
    return (jnp.asarray(action, jnp.float32) - low) / half_width - np.where(high > low, 1.0, 0.0)


def encode(space: Discrete | Box, action: Array) -> Float[Array, "*batch F"]:
    """Agent units -> features: one-hot, or the executed action in [−1, 1]."""
    if isinstance(space, Discrete):
        return jax.nn.one_hot(action, space.n)
    return jnp.clip(action, -1.0, 1.0)


def _bounds(space: Box, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of so many dimensions, [1, …, 1, A]."""
    bounds = (np.asarray(bound, np.float32) for bound in (space.low, space.high))
    low, high = (bound.reshape(*[1] * (dimensions - 1), -1) for bound in bounds)
    return low, high
