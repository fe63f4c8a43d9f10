"""Shuffled minibatches."""

import jax
from jaxtyping import Array, Int, Key


def minibatches(key: Key[Array, ""], size: int, count: int, epochs: int) -> Int[Array, "steps n"]:
    """Indices of shuffled minibatches, `count` in each of `epochs` passes; a remainder is left out."""
    used = size - size % count
    orders = jax.vmap(lambda k: jax.random.permutation(k, size)[:used])(jax.random.split(key, epochs))
    return orders.reshape(epochs * count, used // count)
