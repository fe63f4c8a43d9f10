"""Where rollouts of all seeds come from: a compiled program, or Python's environments."""

from collections.abc import Callable
from functools import cache, lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from imitax.core.acting import act
from imitax.core.compiling import jit
from imitax.core.normaliser import normalise_observation
from imitax.core.spaces import to_environment
from imitax.envs.base import Env, HostEnv, NativeEnv
from imitax.training.rollout import (
    EnvState,
    action_keys,
    collect_host,
    collect_native,
    start_host,
    start_native,
)
from imitax.types import EnvSpec, Learner, Params, Policy, Transition


class Actor(NamedTuple):
    """The part of a learner that acts."""

    policy: Params
    normaliser: PyTree


class Source(NamedTuple):
    """Rollouts [S, T, B] of S seeds; every argument has a leading seed axis."""

    start: Callable[[Key[Array, "S"]], EnvState]  # fresh environments
    collect: Callable[[Learner, EnvState, Key[Array, "S"]], tuple[EnvState, Transition]]
    close: Callable[[], None]
    resumable: bool  # whether `EnvState` is all there is to the environments


def source(env: Env, policy: Policy, seeds: int, envs: int, horizon: int) -> Source:
    """`horizon` steps in each of `envs` environments of each seed."""
    if isinstance(env, NativeEnv):
        return _native_source(env, policy, envs, horizon)
    return _host_source(env, policy, seeds, envs, horizon)


@cache
def _fold_program():
    return jit(jax.vmap(jax.random.fold_in, in_axes=(0, None)))


def fold(keys, number: int):
    """The keys of every seed, made different by `number`."""
    return _fold_program()(keys, number)


def sampled_action(spec: EnvSpec, policy: Policy, actor: Actor, obs, first, carry, key):
    """(agent-unit actions [B, …], carry) for raw observations [B, …]."""
    obs = normalise_observation(spec.observation, actor.normaliser, obs)
    output, carry = act(policy, actor.policy, obs, first, carry)
    return policy.distribution.sample(output, key), carry


@lru_cache(maxsize=16)
def _native_functions(env: NativeEnv, policy: Policy, envs: int, horizon: int):
    def collect(actor: Actor, state: EnvState, key):
        def sample(obs, first, carry, k):
            return sampled_action(env.spec, policy, actor, obs, first, carry, k)

        return collect_native(env, sample, state, horizon, key)

    start = jit(jax.vmap(lambda key: start_native(env, envs, policy.carry(envs), key)), seldom=True)
    return start, jit(jax.vmap(collect))


def _native_source(env: NativeEnv, policy: Policy, envs: int, horizon: int) -> Source:
    start, program = _native_functions(env, policy, envs, horizon)

    def collect(learner, state, keys):
        return program(Actor(learner.policy, learner.normaliser), state, keys)

    return Source(start, collect, lambda: None, True)


@lru_cache(maxsize=16)
def _host_act(spec: EnvSpec, policy: Policy, structure):
    """Acts for an actor given as its leaves: taking it apart at every step would cost some per
    cent.
    """

    def both(leaves, obs, first, carry, keys, t):
        actor = jax.tree.unflatten(structure, leaves)
        action, carry = sampled_action(spec, policy, actor, obs, first, carry, keys[t])
        return action, to_environment(spec.action, action), carry

    return jit(jax.vmap(both, in_axes=(0, 0, 0, 0, 1, None)))


def _host_source(env: HostEnv, policy: Policy, seeds: int, envs: int, horizon: int) -> Source:
    batch = env.open(seeds * envs)
    carry = jax.tree.map(lambda x: np.broadcast_to(x, (seeds, *x.shape)), policy.carry(envs))

    def start(keys):
        env_seeds = jax.vmap(lambda k: jax.random.randint(k, (envs,), 0, 2**31 - 1))(keys)
        return start_host(batch, np.asarray(env_seeds), carry)

    def collect(learner, state, keys):
        step_keys = jnp.swapaxes(jax.vmap(lambda k: action_keys(k, horizon))(keys), 0, 1)  # [T, S]
        leaves, structure = jax.tree.flatten(Actor(learner.policy, learner.normaliser))
        both = _host_act(env.spec, policy, structure)
        state, rollout = collect_host(batch, lambda *now: both(leaves, *now), state, step_keys)
        return state, jax.tree.map(lambda x: np.moveaxis(x, 0, 1), rollout)  # [S, T, B, …]

    return Source(start, collect, batch.close, False)
