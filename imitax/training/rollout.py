"""Collecting experience: by scan in a native environment, step by step in a host one.

Both give the same rollout, and given the same environment the same bits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from imitax.core.spaces import to_environment
from imitax.envs.base import HostBatch, NativeEnv
from imitax.errors import ImitaxError
from imitax.types import Action, Carry, HostOrDevice, Metrics, Observation, Step, Transition

# (raw observations [B, …], whether an episode begins [B], carry, key) -> (agent-unit actions [B,
# …], carry)
Act = Callable[[Observation, Bool[Array, "B"], Carry, Key[Array, ""]], tuple[Action, Carry]]
# The same for hosts, with the keys of all steps and the index of the step: one compiled call picks
# the key and gives the actions in environment units as well.
HostAct = Callable[..., tuple[Action, Action, Carry]]


class EnvState(NamedTuple):
    """Environments in the middle of their episodes."""

    env: Any  # of a native environment; None for a host
    obs: Observation  # [B, …]
    step: Int[HostOrDevice, "B"]  # steps taken in the current episode
    carry: Carry  # [B, …] of the policy that acts; () unless it is recurrent


def start_native(env: NativeEnv, batch: int, carry: Carry, key: Key[Array, ""]) -> EnvState:
    """`batch` fresh environments."""
    state, obs = env.reset(key, batch)
    return EnvState(state, obs, jnp.zeros(batch, jnp.int32), carry)


def start_host(batch: HostBatch, seeds: np.ndarray, carry: Carry) -> EnvState:
    """The environments of `batch`, one for each entry of `seeds` [*lead], in that shape."""
    obs = batch.reset(seeds.reshape(-1))
    return EnvState(None, _laid_out(obs, seeds.shape), np.zeros(seeds.shape, np.int32), carry)


def _laid_out(tree: PyTree, lead: tuple[int, ...]) -> PyTree:
    """Arrays [prod(lead), …] as [*lead, …]."""
    return jax.tree.map(lambda x: x.reshape(*lead, *x.shape[1:]), tree)


def action_keys(key: Key[Array, ""], horizon: int) -> Key[Array, "horizon"]:
    """The keys that `collect_native` samples its actions with."""
    return jax.random.split(jax.random.split(key)[0], horizon)


def collect_native(
    env: NativeEnv, act: Act, state: EnvState, horizon: int, key: Key[Array, ""]
) -> tuple[EnvState, Transition]:
    """`horizon` steps in every environment, as one scan: a rollout [T, B]."""
    _, key_env = jax.random.split(key)

    def one(state: EnvState, keys):
        action, carry = act(state.obs, state.step == 0, state.carry, keys[0])
        env_state, answer = env.step(state.env, to_environment(env.spec.action, action), keys[1])
        ended = answer.terminated | answer.truncated
        transition = Transition(
            state.obs,
            action,
            answer.next_obs,
            answer.reward,
            answer.terminated,
            answer.truncated,
            state.step,
        )
        return EnvState(
            env_state, answer.obs, jnp.where(ended, 0, state.step + 1), carry
        ), transition

    keys = (action_keys(key, horizon), jax.random.split(key_env, horizon))
    return jax.lax.scan(one, state, keys)


def collect_host(
    batch: HostBatch,
    act: HostAct,
    state: EnvState,
    keys: Key[Array, "T ..."],
    enough: Callable[[Step], bool] = lambda answer: False,
) -> tuple[EnvState, Transition]:
    """One step in every environment for each of `keys` (see `action_keys`), one compiled call per
    step.

    Environments may be laid out in any shape [*lead], one seed of many for example; fields are [T,
    *lead, …]. It ends early after a step that is `enough`.

    Raises:
        ImitaxError: an observation or a reward is not finite.
    """
    obs, step, carry = jax.tree.map(np.asarray, state.obs), np.asarray(state.step), state.carry
    lead, filled = step.shape, 0
    columns: Transition | None = None
    for t in range(len(keys)):
        action, executed, carry = act(obs, step == 0, carry, keys, np.int32(t))
        action, executed = jax.tree.map(np.asarray, (action, executed))
        answer = batch.step(
            jax.tree.map(lambda x: x.reshape(step.size, *x.shape[len(lead) :]), executed)
        )
        _check_finite(answer, step.reshape(-1))
        answer = Step(*_laid_out(tuple(answer), lead))
        ended = answer.terminated | answer.truncated
        now = Transition(
            obs, action, answer.next_obs, answer.reward, answer.terminated, answer.truncated, step
        )
        if columns is None:
            columns = jax.tree.map(lambda x: np.empty((len(keys), *x.shape), x.dtype), now)
        for column, value in zip(jax.tree.leaves(columns), jax.tree.leaves(now), strict=True):
            column[t] = value
        step = np.where(ended, 0, step + 1).astype(np.int32)
        obs, filled = answer.obs, t + 1
        if enough(answer):
            break
    return EnvState(None, obs, step, carry), jax.tree.map(lambda column: column[:filled], columns)


def _check_finite(answer: Step, step: np.ndarray) -> None:
    arrays = [("observed", x) for x in jax.tree.leaves(answer.next_obs)] + [
        ("rewarded", answer.reward)
    ]
    for name, values in arrays:
        if np.isfinite(values).all():
            continue
        which = np.argwhere(~np.isfinite(values))[0]
        part = f" in dimension {which[1]}" if len(which) > 1 else ""
        raise ImitaxError(
            f"Environment {which[0] + 1} of {len(step)} {name} {values[tuple(which)]}{part} at "
            f"step {step[which[0]] + 1} of its episode: expected finite numbers."
        )


def episode_statistics(
    episode_return: Float[Array, "B"], rollout: Transition
) -> tuple[Float[Array, "B"], Metrics]:
    """True return so far of the episodes still running, and means over those that ended in the
    rollout.

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

    rollout: Transition
    alive: Bool[HostOrDevice, "T N"]

    @property
    def returns(self) -> Float[np.ndarray, "N"]:
        """Undiscounted true returns."""
        return np.asarray(self.rollout.reward, np.float64).sum(axis=0, where=np.asarray(self.alive))

    @property
    def lengths(self) -> Int[np.ndarray, "N"]:
        """Steps of each episode."""
        return np.asarray(self.alive).sum(axis=0)


def play_native(
    env: NativeEnv, act: Act, episodes: int, carry: Carry, key: Key[Array, ""]
) -> Episodes:
    """The first episode of each of `episodes` fresh environments (no bias towards short ones)."""
    key_start, key_play = jax.random.split(key)
    state = start_native(env, episodes, carry, key_start)
    _, rollout = collect_native(env, act, state, env.spec.time_limit, key_play)
    ended = (rollout.terminated | rollout.truncated).astype(jnp.int32)
    return Episodes(rollout, jnp.cumsum(ended, axis=0) - ended == 0)


def play_host(
    batch: HostBatch,
    act: HostAct,
    seeds: np.ndarray,
    time_limit: int,
    carry: Carry,
    key: Key[Array, ""],
) -> Episodes:
    """The first episode of each environment of `batch`, one for each of `seeds` [N]."""
    alive = np.ones(len(seeds), bool)
    masks = []

    def all_ended(answer: Step) -> bool:
        masks.append(alive.copy())
        np.logical_and(alive, ~(answer.terminated | answer.truncated), out=alive)
        return not alive.any()

    keys = action_keys(key, time_limit)
    _, rollout = collect_host(batch, act, start_host(batch, seeds, carry), keys, all_ended)
    return Episodes(rollout, np.stack(masks))
