"""Experience collected by scan and step by step is the same experience, and episodes are counted
right.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.spaces import distribution, is_box, is_index, size, to_environment, vector
from imitax.envs import native
from imitax.envs.base import HostBatch, NativeEnv
from imitax.networks import GaussianPolicy, mlp
from imitax.training.rollout import (
    Episodes,
    action_keys,
    collect_host,
    collect_native,
    episode_statistics,
    play_host,
    play_native,
    start_host,
    start_native,
)
from imitax.types import Box, Discrete, EnvSpec, Step, Transition

BATCH, HORIZON, LIMIT = 4, 30, 12
LENGTHS = (2, 3, 5, 9)  # of the counting environment's episodes, in columns 0 … 3
COUNTING = EnvSpec("Counting", vector(2), Discrete(2), 9)


class HostTwin(HostBatch):
    """A native environment stepped by Python, with the very keys that the scan of `collect_native`
    uses.
    """

    def __init__(self, env: NativeEnv, batch: int, key_start):
        self._reset = lambda: jax.jit(env.reset, static_argnums=1)(key_start, batch)
        self._step = jax.jit(env.step)

    def next_rollout(self, key, horizon: int):
        """Step with the keys of the rollout that is collected with `key`."""
        self._keys = iter(jax.random.split(jax.random.split(key)[1], horizon))

    def reset(self, seeds):
        self._state, obs = self._reset()
        return np.asarray(obs)

    def step(self, action):
        self._state, step = self._step(self._state, jnp.asarray(action), next(self._keys))
        return Step(*map(np.asarray, step))

    def close(self):
        pass


@cache
def counting() -> NativeEnv:
    """Column i has episodes of LENGTHS[i % 4] steps, the last two truncated, the others
    terminated.

    Observations are (column, step), rewards 10 · column + step + 1.
    """

    def observe(state):
        return jnp.stack([state["column"], state["step"]], -1).astype(jnp.float32)

    def reset(key, batch):
        del key
        state = {"column": jnp.arange(batch), "step": jnp.zeros(batch, jnp.int32)}
        return state, observe(state)

    def step(state, action, key):
        del action, key
        moved = state | {"step": state["step"] + 1}
        kind = state["column"] % 4
        ended = moved["step"] == jnp.array(LENGTHS)[kind]
        fresh = moved | {"step": jnp.where(ended, 0, moved["step"])}
        reward = 10.0 * state["column"] + moved["step"]
        terminated, truncated = ended & (kind < 2), ended & (kind >= 2)
        return fresh, Step(
            observe(moved), observe(fresh), reward.astype(jnp.float32), terminated, truncated
        )

    return NativeEnv(COUNTING, reset, step)


def exact(space) -> NativeEnv:
    """Physics without rounding that a compiler could move: positions are multiples of 1/64 below
    8.

    Compiled alone or inside a scan, cos and sin of a pendulum may differ in the last bit. That is
    no concern of collecting, so this environment has only sums, and scalings by powers of two.
    """

    def observe(state):
        return jnp.concatenate([state["x"], 8.0 - jnp.abs(state["x"])], -1)

    def reset(key, batch):
        x = jnp.floor(64 * jax.random.uniform(key, (batch, 2), minval=-1.0, maxval=1.0)) / 64
        state = {"x": x, "time": jnp.zeros(batch, jnp.int32)}
        return state, observe(state)

    def step(state, action, key):
        key_push, key_reset = jax.random.split(key)
        push = action[:, None] - 1 if is_index(space) else 0.5 * action
        noise = jax.random.uniform(key_push, push.shape, minval=-1.0, maxval=1.0)
        x = jnp.floor(64 * (state["x"] + push + noise)) / 64
        moved = {"x": jnp.clip(x, -8.0, 8.0), "time": state["time"] + 1}
        terminated, truncated = jnp.any(jnp.abs(x) >= 4.0, axis=-1), moved["time"] >= LIMIT
        over = terminated | truncated
        fresh, _ = reset(key_reset, len(action))
        after = {
            "x": jnp.where(over[:, None], fresh["x"], moved["x"]),
            "time": jnp.where(over, 0, moved["time"]),
        }
        return after, Step(observe(moved), observe(after), x[:, 0] - 0.25, terminated, truncated)

    return NativeEnv(EnvSpec("Exact", vector(4), space, LIMIT), reset, step)


def idle(obs, first, carry, key):
    """Nothing, and a count of the steps since the episode began in what is carried."""
    del key
    return jnp.zeros(obs.shape[0], jnp.int32), jnp.where(first, 1, carry + 1)


@cache
def collector(env, act, horizon):
    return jax.jit(lambda state, key: collect_native(env, act, state, horizon, key))


def nothing(batch):
    """What `idle` carries before its first step; it must not matter."""
    return jnp.full(batch, 99)


def random_policy(space, observation_size):
    """Sampled actions that depend on the observation."""
    network = mlp(jax.random.key(7), (observation_size, 8, size(space)), 0.3)
    if is_box(space):
        network = GaussianPolicy(network, jnp.full(size(space), -1.0))
    pi = distribution(space)

    def act(obs, first, carry, key):
        # It remembers half of what it saw since the episode began.
        carry = obs + jnp.where(first[:, None], 0.0, 0.5 * carry)
        return pi.sample(network(carry), key), carry

    return act


@pytest.mark.parametrize(
    "space", [Discrete(3), Box((-2.0, -2.0), (2.0, 2.0))], ids=["Discrete", "Box"]
)
def test_scan_and_host_collect_the_same_bits(space):
    env = exact(space)
    act = random_policy(space, size(env.spec.observation))
    key_start, key_first, key_second = jax.random.split(jax.random.key(1), 3)

    def both(obs, first, carry, keys, t):
        action, carry = act(obs, first, carry, keys[t])
        return action, to_environment(space, action), carry

    carry = np.full((BATCH, 4), 7.0, np.float32)  # of another episode: to be forgotten
    native_state = jax.jit(lambda key: start_native(env, BATCH, carry, key))(key_start)
    collect, both = collector(env, act, HORIZON), jax.jit(both)
    twin = HostTwin(env, BATCH, key_start)
    host_state = start_host(twin, np.zeros(BATCH, np.int64), carry)
    ends = np.zeros(2, int)
    for key in (key_first, key_second):  # the second goes on in the middle of episodes
        native_state, by_scan = collect(native_state, key)
        twin.next_rollout(key, HORIZON)
        host_state, by_host = collect_host(twin, both, host_state, action_keys(key, HORIZON))
        for name in Transition._fields:
            scanned, hosted = getattr(by_scan, name), getattr(by_host, name)
            if scanned is None:
                assert hosted is None and name in ("log_prob", "teacher")
                continue
            scanned = np.asarray(scanned)
            assert scanned.dtype == hosted.dtype and scanned.shape == hosted.shape, name
            assert np.array_equal(scanned, hosted), name
        assert np.array_equal(native_state.obs, host_state.obs)
        assert np.array_equal(native_state.step, host_state.step)
        assert np.array_equal(native_state.carry, host_state.carry)
        ends += [int(by_scan.terminated.sum()), int(by_scan.truncated.sum())]
    assert (ends >= 3).all()  # the comparison crosses resets of both kinds


def test_the_step_counter_starts_anew_with_every_episode(key):
    env = counting()
    state, rollout = collector(env, idle, 20)(start_native(env, BATCH, nothing(BATCH), key), key)
    expected = np.arange(20)[:, None] % np.array(LENGTHS)
    np.testing.assert_array_equal(rollout.step, expected)
    np.testing.assert_array_equal(rollout.obs[..., 1], expected)
    np.testing.assert_array_equal(rollout.next_obs[..., 1], expected + 1)  # before any reset
    np.testing.assert_array_equal(state.step, 20 % np.array(LENGTHS))
    # What is carried was forgotten where an episode began: it has counted the steps of the last
    # one.
    np.testing.assert_array_equal(state.carry, 19 % np.array(LENGTHS) + 1)
    # The next rollout goes on where this one stopped.
    _, rollout = collector(env, idle, 20)(state, key)
    np.testing.assert_array_equal(rollout.step, (20 + np.arange(20)[:, None]) % np.array(LENGTHS))


def test_a_timed_out_episode_is_not_spliced_to_the_next():
    # A limit of 200 is 200 steps, with indices 0 … 199; the next episode starts from 0 again.
    env = native.make("MountainCar-v0", None)
    coast = lambda obs, first, carry, key: (jnp.ones(obs.shape[0], jnp.int32), carry)  # noqa: E731
    start = jax.jit(lambda key: start_native(env, 2, (), key))(jax.random.key(0))
    _, rollout = collector(env, coast, 410)(start, jax.random.key(0))
    np.testing.assert_array_equal(rollout.step, np.tile(np.arange(410)[:, None] % 200, (1, 2)))
    ends = np.asarray(rollout.truncated)
    np.testing.assert_array_equal(np.flatnonzero(ends.all(1)), [199, 399])
    assert ends.sum() == 4 and not rollout.terminated.any()
    # Every transition is one of the car's: it moves by its own new speed, and starts at rest after
    # an end.
    moved = rollout.next_obs[..., 0] - rollout.obs[..., 0]
    np.testing.assert_allclose(moved, rollout.next_obs[..., 1], atol=1e-6)
    np.testing.assert_array_equal(rollout.obs[200, :, 1], [0.0, 0.0])


def plain_statistics(so_far, reward, ended, step):
    """Finished episodes' returns and lengths, and what runs on, by a loop."""
    so_far, returns, lengths = so_far.copy(), [], []
    for t in range(len(reward)):
        for i in range(reward.shape[1]):
            so_far[i] += reward[t, i]
            if ended[t, i]:
                returns.append(so_far[i])
                lengths.append(step[t, i] + 1)
                so_far[i] = 0.0
    return so_far, returns, lengths


def test_episode_statistics_against_a_loop(rng):
    # Random ends in three rollouts in a row, so that episodes begin in one and end in another.
    shape = (15, 3)
    so_far, step, running = np.zeros(3, np.float32), np.zeros(3, int), jnp.zeros(3)
    statistics = jax.jit(episode_statistics)
    spanning = 0
    for part in range(3):
        reward = rng.normal(size=shape).astype(np.float32)
        terminated, truncated = rng.random(shape) < 0.1, rng.random(shape) < 0.1
        truncated[0, 0] = terminated[0, 0] = True  # both at once is one end
        steps = np.zeros(shape, np.int32)
        for t in range(shape[0]):
            steps[t] = step
            step = np.where(terminated[t] | truncated[t], 0, step + 1)
        spanning += int((steps[0] > 0).sum())
        obs = np.zeros((*shape, 1), np.float32)
        rollout = Transition(
            obs, np.zeros(shape, np.int32), obs, reward, terminated, truncated, steps
        )
        so_far, returns, lengths = plain_statistics(so_far, reward, terminated | truncated, steps)
        running, metrics = statistics(running, rollout)
        assert part == 0 or returns
        np.testing.assert_allclose(running, so_far, rtol=1e-5, atol=1e-5)
        assert metrics["episodes"] == len(returns)
        np.testing.assert_allclose(
            metrics["episode_return"], np.mean(returns), rtol=1e-4, atol=1e-5
        )
        np.testing.assert_allclose(metrics["episode_length"], np.mean(lengths), rtol=1e-6)
    assert spanning > 0


def test_no_finished_episode_has_no_mean(key):
    env = counting()
    _, rollout = collector(env, idle, 1)(start_native(env, BATCH, nothing(BATCH), key), key)
    running, metrics = episode_statistics(jnp.array([1.0, 2.0, 3.0, 4.0]), rollout)
    # with the rewards 10 · column + 1
    np.testing.assert_array_equal(running, [2.0, 13.0, 24.0, 35.0])
    assert metrics["episodes"] == 0
    assert np.isnan(metrics["episode_return"]) and np.isnan(metrics["episode_length"])


def assert_first_episodes(played: Episodes, columns: int):
    lengths = np.array([LENGTHS[i % 4] for i in range(columns)])
    np.testing.assert_array_equal(played.lengths, lengths)
    # Σ_{t=1}^{L} (10 · column + t) = 10 · column · L + L (L + 1) / 2: nothing of the episodes that
    # follow.
    column = np.arange(columns)
    np.testing.assert_array_equal(
        played.returns, 10 * column * lengths + lengths * (lengths + 1) / 2
    )
    assert played.returns.dtype == np.float64
    horizon = np.asarray(played.alive).shape[0]
    np.testing.assert_array_equal(played.alive, np.arange(horizon)[:, None] < lengths)
    steps = np.asarray(played.rollout.step)
    for i, n in enumerate(lengths):
        np.testing.assert_array_equal(steps[:n, i], np.arange(n))


def test_play_native_takes_the_first_episode_of_each():
    played = play_native(counting(), idle, 6, nothing(6), jax.random.key(0))
    assert_first_episodes(played, 6)
    assert played.alive.shape == (COUNTING.time_limit, 6)


def test_play_host_takes_the_first_episode_of_each():
    env = counting()
    twin = HostTwin(env, 6, jax.random.key(0))
    twin.next_rollout(jax.random.key(1), 50)

    def act(obs, first, carry, keys, t):
        action, carry = idle(obs, first, carry, keys[t])
        return action, action, carry

    played = play_host(twin, act, np.arange(6), 50, nothing(6), jax.random.key(0))
    assert_first_episodes(played, 6)
    assert played.alive.shape == (max(LENGTHS), 6)  # it stops when the last has ended
