"""What memories hold, and what is drawn from them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.memory import draw_rows, flatten_time, last_rollout, replay
from imitax.core.spaces import blank
from imitax.errors import ImitaxError
from imitax.types import Box, Dict, Discrete, EnvSpec

SPEC = EnvSpec("Toy", Dict((("a", Box(-1, 1, (2,))), ("b", Discrete(3)))), Discrete(2), 100)


def rollout(first):
    """Transitions whose rewards, and everything else, are numbered from `first` on, in order of
    time.
    """
    t = blank(SPEC, (3, 2))
    number = first + jnp.arange(6, dtype=jnp.float32).reshape(3, 2)
    return t._replace(reward=number, obs=t.obs | {"a": jnp.stack([number, -number], axis=-1)})


def numbers(transitions):
    """The rewards; the observations that came with them are checked on the way."""
    np.testing.assert_array_equal(transitions.obs["a"][:, 0], transitions.reward)
    np.testing.assert_array_equal(transitions.obs["a"][:, 1], -transitions.reward)
    return np.asarray(transitions.reward).tolist()


def add(memory, *firsts):
    """(state, draw) after so many rollouts of 6 transitions; compiled, as in training."""
    state = jax.jit(memory.init)(blank(SPEC, (1,)))
    latest = jax.jit(rollout)
    step = jax.jit(lambda state, rollout: memory.add(state, rollout)[0])
    for first in firsts[:-1]:
        state = step(state, latest(first))
    last = latest(firsts[-1])
    draw = jax.jit(lambda key, n: memory.add(state, last)[1](key, n), static_argnums=1)
    return step(state, last), draw


def test_time_is_flattened_before_environments():
    assert numbers(flatten_time(rollout(0))) == [0, 1, 2, 3, 4, 5]
    assert flatten_time(rollout(0)).obs["b"].shape == (6,)


def test_the_last_rollout_is_drawn_whole_and_in_order(key):
    state, draw = add(last_rollout(), 0, 10)
    assert jax.tree.leaves(state) == []
    for n in (6, 7, 100):
        assert numbers(draw(key, n)) == [10, 11, 12, 13, 14, 15]


def test_some_of_the_last_rollout_are_drawn_at_random(key):
    _, draw = add(last_rollout(), 10)
    some = numbers(draw(key, 4))
    assert len(some) == 4 and set(some) <= {10, 11, 12, 13, 14, 15}
    assert numbers(draw(key, 4)) == some != numbers(draw(jax.random.key(1), 4))
    drawn = np.concatenate([numbers(draw(jax.random.key(i), 5)) for i in range(20)])
    assert set(drawn) == {10, 11, 12, 13, 14, 15}


def test_rows_of_demonstrations_may_lack_fields(key):
    states = flatten_time(rollout(0))._replace(action=None, next_obs=None)
    assert draw_rows(states, key, 3).action is None
    assert numbers(draw_rows(states, key, 6)) == [0, 1, 2, 3, 4, 5]


def test_a_replay_buffer_draws_only_what_it_was_given(key):
    ring, draw = add(replay(20), 10)
    assert (ring.position, ring.count) == (6, 6)
    # more than there are: with replacement, and never the 14 empty places
    drawn = numbers(draw(key, 300))
    assert set(drawn) == {10, 11, 12, 13, 14, 15}
    counts = np.unique(drawn, return_counts=True)[1]
    assert counts.min() > 25  # of 50: 300 draws of 6


def test_a_full_replay_buffer_overwrites_the_oldest(key):
    # 10 places, 18 transitions: the third rollout fills the last two places and wraps around.
    ring, draw = add(replay(10), 10, 20, 30)
    assert (ring.position, ring.count) == (8, 10)
    newest = [22, 23, 24, 25, *range(30, 36)]
    held = np.asarray(ring.data.reward)
    np.testing.assert_array_equal(np.roll(held, -8), newest)
    assert set(numbers(draw(key, 500))) == set(newest)


@pytest.mark.parametrize("capacity", [6, 7, 11])
def test_any_number_of_rollouts_leaves_the_newest(capacity, key):
    state, draw = add(replay(capacity), *range(0, 600, 6))  # numbers 0 … 599
    assert state.count == capacity
    assert set(numbers(draw(key, 400))) == set(range(600 - capacity, 600))


def test_a_replay_buffer_keeps_the_types_of_what_it_holds(key):
    ring, draw = add(replay(8), 10)
    like = blank(SPEC, (4,))
    drawn = draw(key, 4)
    assert jax.tree.structure(drawn) == jax.tree.structure(like)
    for a, b in zip(jax.tree.leaves(drawn), jax.tree.leaves(like), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    fresh = replay(8).init(blank(SPEC, (1,)))
    for a, b in zip(jax.tree.leaves(fresh), jax.tree.leaves(ring), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)


def test_a_rollout_that_is_longer_than_the_memory_is_refused():
    memory = replay(5)
    with pytest.raises(ImitaxError, match="A rollout has 6 transitions, but the replay memory"):
        memory.add(memory.init(rollout(0)[:1]), rollout(0))
