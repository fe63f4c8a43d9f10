"""Shuffled minibatches."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

_INDEX_BITS = 16  # of a 32-bit word, at most; the rest is the random sort key


def minibatches(key: Key[Array, ""], size: int, count: int, epochs: int) -> Int[Array, "steps n"]:
    """Indices of shuffled minibatches in each of `epochs` passes; a remainder is left out.

    There are `count` of them in a pass, or `size` of one index each where that is fewer.
    """
    count = min(count, size)
    used = size - size % count
    return shuffled(key, size, epochs)[:, :used].reshape(epochs * count, used // count)


def shuffled(key: Key[Array, ""], size: int, epochs: int) -> Int[Array, "epochs size"]:
    """A random permutation of `size` indices for each epoch.

    One sort of plain words, a random number above and the index below, takes a tenth of the time
    of `jax.random.permutation`. Two indices with equal random numbers keep their order, which is
    why a word gives at least half of its bits to chance; longer arrays take the slow way.
    """
    bits = max(1, (size - 1).bit_length())
    if bits > _INDEX_BITS:
        return jax.vmap(lambda k: jax.random.permutation(k, size))(jax.random.split(key, epochs))
    chance = jax.random.bits(key, (epochs, size), jnp.uint32) >> bits << bits
    words = jnp.sort(chance | jnp.arange(size, dtype=jnp.uint32)[None], axis=-1)
    return (words & ((1 << bits) - 1)).astype(jnp.int32)
