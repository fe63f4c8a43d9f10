"""Tabular MDPs as environments in JAX: one-hot observations, episodes sampled from the arrays."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import sparse

from imitax.core.spaces import vector
from imitax.envs.base import NativeEnv
from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.worlds import TIME_LIMIT, WORLDS, world
from imitax.types import Discrete, EnvSpec, Step

IDS = tuple(WORLDS)
MAX_STATES = 4096  # a one-hot observation is that long


@cache
def make(name: str, time_limit: int | None = None) -> NativeEnv:
    """The world `name` (one of `IDS`); its model can be had with any discount."""
    env = from_mdp(world(name), TIME_LIMIT if time_limit is None else time_limit)
    return env._replace(model=partial(world, name))


def from_mdp(mdp: TabularMDP, time_limit: int) -> NativeEnv:
    """Episodes of `mdp`, truncated after `time_limit` steps; the reward of a pair is its expected
    one.

    Raises:
        ImitaxError: more states than a one-hot observation should have.
    """
    if mdp.states > MAX_STATES:
        raise ImitaxError(
            f"'{mdp.name}' has {mdp.states} states: expected at most {MAX_STATES} of an "
            "environment with one-hot observations (the exact methods take any number)."
        )
    following, cumulative = map(jnp.asarray, _successors(mdp))
    reward, ends = jnp.float32(mdp.reward), jnp.float32(mdp.termination)
    first = jnp.log(jnp.float32(mdp.initial))
    spec = EnvSpec(mdp.name, vector(mdp.states), Discrete(mdp.actions), time_limit)

    def observe(state):
        return jax.nn.one_hot(state, mdp.states)

    def start(key, batch):
        return jax.random.categorical(key, first, shape=(batch,))

    def reset(key, batch: int):
        state = start(key, batch)
        return (state, jnp.zeros(batch, jnp.int32)), observe(state)

    def step(state, action, key):
        (at, time), (key_end, key_next, key_reset) = state, jax.random.split(key, 3)
        pair = at * mdp.actions + action
        terminated = jax.random.uniform(key_end, at.shape) < ends[at, action]
        drawn = jax.random.uniform(key_next, at.shape)
        led = following[pair, jnp.sum(drawn[:, None] >= cumulative[pair], axis=1)]
        truncated = time + 1 >= time_limit
        over = terminated | truncated
        new = jnp.where(over, start(key_reset, at.shape[0]), led)
        result = Step(observe(led), observe(new), reward[at, action], terminated, truncated)
        return (new, jnp.where(over, 0, time + 1)), result

    return NativeEnv(spec, reset, step, lambda discount: mdp)


def _successors(mdp: TabularMDP) -> tuple[np.ndarray, np.ndarray]:
    """States [S·A, K] that may follow, and the cumulative probabilities [S·A, K] given that the
    episode continues.

    Rows are padded with their own state; the last entry that can happen is raised above 1, so that
    rounding never leads beyond it.
    """
    transition = mdp.transition
    assert isinstance(transition, sparse.csr_array)  # an MDP keeps it so
    counts = np.diff(transition.indptr)
    width = max(1, int(counts.max()))
    following = np.repeat(np.arange(mdp.states), mdp.actions)[:, None].repeat(width, axis=1)
    chance = np.zeros(following.shape)
    filled = np.arange(width) < counts[:, None]
    following[filled], chance[filled] = transition.indices, transition.data
    cumulative = np.cumsum(chance, axis=1)
    cumulative /= np.maximum(cumulative[:, -1:], 1e-300)
    cumulative[np.arange(width) >= counts[:, None] - 1] = 2.0
    return following.astype(np.int32), cumulative.astype(np.float32)
