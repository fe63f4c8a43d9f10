"""Where rollouts of all seeds come from: a compiled program, or Python's environments."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.compiling import jit
from imitax.core.spaces import to_environment
from imitax.envs.base import Env, HostEnv, NativeEnv
from imitax.methods.adversarial import act
from imitax.training.rollout import (
    Actors,
    action_keys,
    collect_host,
    collect_native,
    start_host,
    start_native,
)
from imitax.types import Agent, EnvSpec, Learner, Rollout


class Source(NamedTuple):
    """Rollouts [S, T, B] of S seeds; every argument has a leading seed axis."""

    start: Callable[[jax.Array], Actors]  # keys [S] -> fresh environments
    collect: Callable[[Learner, Actors, jax.Array], tuple[Actors, Rollout]]
    close: Callable[[], None]
    whole: bool  # whether `Actors` are all there is to the environments, so that they can be taken up again


def source(env: Env, agent: Agent, seeds: int, envs: int, horizon: int) -> Source:
    """`horizon` steps in each of `envs` environments of each seed."""
    if isinstance(env, NativeEnv):
        start, collect = _native_functions(env, agent, envs, horizon)
        return Source(start, collect, lambda: None, True)
    return _host_source(env, agent, seeds, envs, horizon)


@cache
def _fold_program():
    return jit(jax.vmap(jax.random.fold_in, in_axes=(0, None)))


def fold(keys, number: int):
    """The keys of every seed, made different by `number`."""
    return _fold_program()(keys, number)


@lru_cache(maxsize=16)
def _native_functions(env: NativeEnv, agent: Agent, envs: int, horizon: int):
    def collect(learner, actors, key):
        return collect_native(env, lambda obs, k: act(agent, learner, obs, k), actors, horizon, key)

    start = jit(jax.vmap(lambda key: start_native(env, envs, key)))
    return start, jit(jax.vmap(collect))


@lru_cache(maxsize=16)
def _host_act(spec: EnvSpec, agent: Agent, structure):
    """Acts for a learner given as its leaves: taking it apart at every step would cost some per cent."""

    def both(leaves, obs, keys, t):
        action = act(agent, jax.tree.unflatten(structure, leaves), obs, keys[t])
        return action, to_environment(spec.action_space, action)

    return jit(jax.vmap(both, in_axes=(0, 0, 1, None)))


def _host_source(env: HostEnv, agent: Agent, seeds: int, envs: int, horizon: int) -> Source:
    batch = env.open(seeds * envs)

    def start(keys):
        drawn = jax.vmap(lambda k: jax.random.randint(k, (envs,), 0, 2**31 - 1))(keys)
        return start_host(batch, np.asarray(drawn))

    def collect(learner, actors, keys):
        step_keys = jnp.swapaxes(jax.vmap(lambda k: action_keys(k, horizon))(keys), 0, 1)  # [T, S]
        leaves, structure = jax.tree.flatten(learner)
        both = _host_act(env.spec, agent, structure)
        actors, rollout = collect_host(batch, lambda *now: both(leaves, *now), actors, step_keys)
        return actors, jax.tree.map(lambda x: np.moveaxis(x, 0, 1), rollout)  # [S, T, B, …]

    return Source(start, collect, batch.close, False)
