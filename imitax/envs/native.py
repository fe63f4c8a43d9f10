"""Environments written in JAX. The only place that imports gymnax."""

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.spaces import vector
from imitax.envs.base import NativeEnv
from imitax.types import Box, Discrete, EnvSpec, Step

IDS = ("Acrobot-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1")


@cache
def make(env_id: str, time_limit: int | None = None) -> NativeEnv:
    """The gymnax environment `env_id` (one of `IDS`); `time_limit` in steps, by default its
    own.
    """
    import gymnax

    env, params = gymnax.make(env_id)
    if time_limit is not None:
        params = params.replace(max_steps_in_episode=time_limit)
    spec = EnvSpec(
        env_id,
        vector(int(np.prod(env.observation_space(params).shape))),
        _action_space(env.action_space(params)),
        int(params.max_steps_in_episode),
    )
    correct = _CORRECTIONS.get(env_id, lambda state, params: state)

    def reset_one(key):
        obs, state = env.reset_env(key, params)
        # gymnax starts with Python numbers in its state; a scan needs the types that `step`
        # returns.
        return jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), state), obs

    def step_one(state, action, key):
        key_step, key_reset = jax.random.split(key)
        _, state, reward, terminated, _ = env.step_env(key_step, state, action, params)
        state = correct(state, params)
        obs = env.get_obs(state, params)
        truncated = env.is_truncated(state, params)
        fresh_state, fresh_obs = reset_one(key_reset)
        over = terminated | truncated
        state = jax.tree.map(
            lambda new, old: jnp.where(over, new, old).astype(new.dtype), fresh_state, state
        )
        step = Step(
            obs, jnp.where(over, fresh_obs, obs), jnp.float32(reward), terminated, truncated
        )
        return state, step

    def reset(key, batch: int):
        return jax.vmap(reset_one)(jax.random.split(key, batch))

    def step(state, action, key):
        return jax.vmap(step_one)(state, action, jax.random.split(key, action.shape[0]))

    return NativeEnv(spec, reset, step)


def _action_space(space) -> Discrete | Box:
    if hasattr(space, "n"):
        return Discrete(int(space.n))

    def bound(value):
        return tuple(
            np.broadcast_to(np.asarray(value, np.float64), space.shape).reshape(-1).tolist()
        )

    return Box(bound(space.low), bound(space.high))


def _stop_at_left_wall(state, params):
    """Gymnasium's car loses its speed at the left wall; gymnax's continuous one keeps pushing into
    it.
    """
    at_wall = (state.position <= params.min_position) & (state.velocity < 0)
    return state.replace(velocity=jnp.where(at_wall, 0.0, state.velocity))


_CORRECTIONS: dict[str, Callable] = {"MountainCarContinuous-v0": _stop_at_left_wall}
