"""Collecting experience: by scan in a native environment, step by step in a host one.

Both give the same `Rollout`, and given the same environment the same bits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from imitax.core.spaces import to_environment
from imitax.envs.base import HostBatch, NativeEnv
from imitax.errors import ImitaxError
from imitax.types import Metrics, Rollout, Step

Act = Callable[[Float[Array, "B O"], Key[Array, ""]], Array]  # raw observations to agent-unit actions
# The same for hosts, from (observations, the keys of all steps, index of the step): one compiled call picks
# the key and gives the actions in environment units as well.
HostAct = Callable[[Array, Key[Array, "T ..."], Int[Array, ""]], tuple[Array, Array]]


class Actors(NamedTuple):
    """Environments in the middle of their episodes."""

    env_state: Any  # of a native environment; None for a host
    obs: Float[Array, "B O"]
    step: Int[Array, "B"]  # steps taken in the current episode
    episode_return: Float[Array, "B"]  # true reward so far in the current episode


def start_native(env: NativeEnv, batch: int, key: Key[Array, ""]) -> Actors:
    """`batch` fresh environments."""
    return _fresh(*env.reset(key, batch))


def start_host(batch: HostBatch, seeds: np.ndarray) -> Actors:
    """The environments of `batch`, one for each entry of `seeds` [*lead], in that shape."""
    obs = batch.reset(seeds.reshape(-1))
    return _fresh(None, obs.reshape(*seeds.shape, -1))


def _fresh(env_state, obs) -> Actors:
    return Actors(env_state, obs, jnp.zeros(obs.shape[:-1], jnp.int32), jnp.zeros(obs.shape[:-1]))


def action_keys(key: Key[Array, ""], horizon: int) -> Key[Array, "horizon"]:
    """The keys that `collect_native` samples its actions with."""
    return jax.random.split(jax.random.split(key)[0], horizon)


def collect_native(
    env: NativeEnv, act: Act, actors: Actors, horizon: int, key: Key[Array, ""]
) -> tuple[Actors, Rollout]:
    """`horizon` steps in every environment, as one scan."""
    _, key_env = jax.random.split(key)

    def one(carry, keys):
        env_state, obs, step = carry
        action = act(obs, keys[0])
        env_state, result = env.step(env_state, to_environment(env.spec.action_space, action), keys[1])
        ended = result.terminated | result.truncated
        transition = (obs, action, result.reward, result.next_obs, result.terminated, result.truncated, step)
        return (env_state, result.obs, jnp.where(ended, 0, step + 1)), Rollout(*transition)

    keys = (action_keys(key, horizon), jax.random.split(key_env, horizon))
    (env_state, obs, step), rollout = jax.lax.scan(one, actors[:3], keys)
    return Actors(env_state, obs, step, actors.episode_return), rollout


def collect_host(
    batch: HostBatch,
    act: HostAct,
    actors: Actors,
    keys: Key[Array, "T ..."],
    enough: Callable[[Step], bool] = lambda result: False,
) -> tuple[Actors, Rollout]:
    """One step in every environment for each of `keys` (see `action_keys`), one compiled call per step.

    Environments may be laid out in any shape [*lead], one seed of many for example; fields are [T, *lead, …].
    It ends early after a step that is `enough`.

    Raises:
        ImitaxError: an observation or a reward is not finite.
    """
    obs, step = np.asarray(actors.obs), np.asarray(actors.step)
    lead, filled = step.shape, 0
    fields: Rollout | None = None
    for t in range(len(keys)):
        action, executed = (np.asarray(x) for x in act(obs, keys, np.int32(t)))
        result = batch.step(executed.reshape(step.size, *executed.shape[len(lead) :]))
        _check_finite(result, step.reshape(-1))
        result = Step(*(x.reshape(*lead, *x.shape[1:]) for x in result))
        ended = result.terminated | result.truncated
        now = Rollout(obs, action, result.reward, result.next_obs, result.terminated, result.truncated, step)
        if fields is None:
            fields = Rollout(*(np.empty((len(keys), *x.shape), x.dtype) for x in now))
        for field, value in zip(fields, now, strict=True):
            field[t] = value
        step = np.where(ended, 0, step + 1).astype(np.int32)
        obs, filled = result.obs, t + 1
        if enough(result):
            break
    return Actors(None, obs, step, actors.episode_return), Rollout(*(field[:filled] for field in fields))


def _check_finite(result: Step, step: np.ndarray) -> None:
    for name, values in (("observed", result.next_obs), ("paid", result.reward)):
        if np.isfinite(values).all():
            continue
        which = tuple(np.argwhere(~np.isfinite(values))[0])
        part = f" in dimension {which[1]}" if len(which) > 1 else ""
        raise ImitaxError(
            f"Environment {which[0] + 1} of {len(step)} {name} {values[which]}{part} at step "
            f"{step[which[0]] + 1} of its episode: expected finite numbers."
        )


def episode_statistics(
    episode_return: Float[Array, "B"], rollout: Rollout
) -> tuple[Float[Array, "B"], Metrics]:
    """True return so far of the episodes still running, and means over those that ended in the rollout.

    Means are NaN where none ended.
    """

    def step(so_far, x):
        reward, ended = x
        total = so_far + reward
        return jnp.where(ended, 0.0, total), total

    ended = rollout.terminated | rollout.truncated
    running, total = jax.lax.scan(step, episode_return, (rollout.reward, ended))
    count = jnp.sum(ended)

    def mean(x):
        return jnp.sum(jnp.where(ended, x, 0.0)) / count  # 0 / 0 is NaN: no episode, no mean

    return running, {
        "episodes": count.astype(jnp.float32),
        "episode_return": mean(total),
        "episode_length": mean(rollout.step + 1.0),
    }


class Episodes(NamedTuple):
    """Complete episodes, one in each column; steps after the end are not `alive`."""

    rollout: Rollout
    alive: Bool[Array, "T N"]

    @property
    def returns(self) -> Float[np.ndarray, "N"]:
        """Undiscounted true returns."""
        return np.asarray(self.rollout.reward, np.float64).sum(axis=0, where=np.asarray(self.alive))

    @property
    def lengths(self) -> Int[np.ndarray, "N"]:
        """Steps of each episode."""
        return np.asarray(self.alive).sum(axis=0)


def play_native(env: NativeEnv, act: Act, episodes: int, key: Key[Array, ""]) -> Episodes:
    """The first episode of each of `episodes` fresh environments (no bias towards short ones)."""
    key_start, key_play = jax.random.split(key)
    actors = start_native(env, episodes, key_start)
    _, rollout = collect_native(env, act, actors, env.spec.time_limit, key_play)
    ended = (rollout.terminated | rollout.truncated).astype(jnp.int32)
    return Episodes(rollout, jnp.cumsum(ended, axis=0) - ended == 0)


def play_host(
    batch: HostBatch, act: HostAct, seeds: np.ndarray, time_limit: int, key: Key[Array, ""]
) -> Episodes:
    """The first episode of each environment of `batch`, one for each of `seeds` [N]."""
    alive = np.ones(len(seeds), bool)
    masks = []

    def all_ended(result: Step) -> bool:
        masks.append(alive.copy())
        np.logical_and(alive, ~(result.terminated | result.truncated), out=alive)
        return not alive.any()

    keys = action_keys(key, time_limit)
    _, rollout = collect_host(batch, act, start_host(batch, seeds), keys, all_ended)
    return Episodes(rollout, np.stack(masks))
