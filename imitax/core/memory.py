"""Memories: what an agent and a reward model may look back at."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from imitax.errors import ImitaxError
from imitax.types import Memory, Transition


def flatten_time(rollout: Transition) -> Transition:
    """[T, B] -> [T · B]."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rollout)


def draw_rows(transitions: Transition, key: jax.Array, n: int) -> Transition:
    """`n` of the transitions [N], uniformly with replacement; all, in order, where there are no
    more than that.
    """
    if n >= transitions.step.shape[0]:
        return transitions
    index = jax.random.randint(key, (n,), 0, transitions.step.shape[0])
    return jax.tree.map(lambda x: x[index], transitions)


def last_rollout() -> Memory:
    """The present rollout alone: on-policy methods. Nothing is kept between cycles."""

    def add(state, rollout):
        rows = flatten_time(rollout)
        return state, lambda key, n: draw_rows(rows, key, n)

    return Memory(lambda transition: (), add)


class Ring(NamedTuple):
    """A replay buffer: the newest transitions, the oldest of which is overwritten next."""

    data: Transition  # [capacity, …]
    position: Int[Array, ""]  # where the next one goes
    count: Int[Array, ""]  # filled places


def replay(capacity: int) -> Memory:
    """The newest `capacity` transitions; a rollout may not hold more than that."""

    def init(transition):
        data = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape[1:]), x.dtype), transition)
        return Ring(data, jnp.int32(0), jnp.int32(0))

    def add(ring, rollout):
        rows = flatten_time(rollout)
        n = rows.step.shape[0]
        if n > capacity:
            raise ImitaxError(
                f"A rollout has {n} transitions, but the replay memory holds {capacity}: expected "
                "at least as many."
            )
        index = (ring.position + jnp.arange(n)) % capacity
        data = jax.tree.map(lambda old, new: old.at[index].set(new), ring.data, rows)
        ring = Ring(data, (ring.position + n) % capacity, jnp.minimum(ring.count + n, capacity))

        def draw(key, n):
            index = jax.random.randint(key, (n,), 0, ring.count)
            return jax.tree.map(lambda x: x[index], ring.data)

        return ring, draw

    return Memory(init, add)
