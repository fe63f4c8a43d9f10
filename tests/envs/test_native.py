"""Native environments against Gymnasium's, step by step from the same physical state."""

from functools import cache

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.spaces import bounds, is_box, is_index, size
from imitax.envs import host, native

BATCH = 8
# The names of the physical state in gymnax, in the order of Gymnasium's `unwrapped.state`, and
# where to draw them: everywhere an episode can go, both ends included. A car right of its goal
# would have ended its episode.
STATE = {
    "Acrobot-v1": {
        "joint_angle1": (-np.pi, np.pi),
        "joint_angle2": (-np.pi, np.pi),
        "velocity_1": (-4 * np.pi, 4 * np.pi),
        "velocity_2": (-9 * np.pi, 9 * np.pi),
    },
    "CartPole-v1": {
        "x": (-2.4, 2.4),
        "x_dot": (-3, 3),
        "theta": (-0.209, 0.209),
        "theta_dot": (-3, 3),
    },
    "MountainCar-v0": {"position": (-1.2, 0.5), "velocity": (-0.07, 0.07)},
    "MountainCarContinuous-v0": {"position": (-1.2, 0.45), "velocity": (-0.07, 0.07)},
    "Pendulum-v1": {"theta": (-3 * np.pi, 3 * np.pi), "theta_dot": (-8, 8)},
}
# Where episodes start: lowest and highest observation, as Gymnasium documents them.
STARTS = {
    "CartPole-v1": (np.full(4, -0.05), np.full(4, 0.05)),
    "MountainCar-v0": (np.array([-0.6, 0.0]), np.array([-0.4, 0.0])),
    "MountainCarContinuous-v0": (np.array([-0.6, 0.0]), np.array([-0.4, 0.0])),
    "Acrobot-v1": (
        np.array([np.cos(0.1), -np.sin(0.1), np.cos(0.1), -np.sin(0.1), -0.1, -0.1]),
        np.array([1.0, np.sin(0.1), 1.0, np.sin(0.1), 0.1, 0.1]),
    ),
    "Pendulum-v1": (-np.ones(3), np.ones(3)),
}
every_id = pytest.mark.parametrize("env_id", native.IDS)


@cache
def stepper(env_id, time_limit=None):
    """The compiled step for `BATCH` environments."""
    return jax.jit(native.make(env_id, time_limit).step)


@cache
def resetter(env_id):
    """The compiled reset of 512 environments."""
    env = native.make(env_id, None)
    return jax.jit(lambda key: env.reset(key, 512))


@cache
def fresh(env_id):
    """The state of `BATCH` environments at the start of an episode."""
    return jax.tree.map(lambda x: x[:BATCH], resetter(env_id)(jax.random.key(0))[0])


def at(env_id, **fields):
    """`BATCH` environments in the given state; fields are numbers or arrays [BATCH]."""
    state = fresh(env_id)
    return state.replace(
        **{
            name: jnp.asarray(np.broadcast_to(value, (BATCH,)), getattr(state, name).dtype)
            for name, value in fields.items()
        }
    )


def random_actions(space, rng, batch=BATCH):
    if is_index(space):
        return rng.integers(space.n, size=batch).astype(np.int32)
    low, high = bounds(space)
    actions = rng.uniform(low, high, size=(batch, size(space))).astype(np.float32)
    actions[0], actions[1] = low, high
    return actions


def passive(space):
    """An action that leads nowhere: no torque, no force; for CartPole a push to the left."""
    if is_box(space):
        return np.zeros((BATCH, size(space)), np.float32)
    return np.full(BATCH, 0 if space.n == 2 else 1, np.int32)


def assert_same_step(env_id, peer, state, action, step):
    """Each of the batch, alone, through Gymnasium from the same state."""
    physical = np.stack([np.asarray(getattr(state, name)) for name in STATE[env_id]], -1)
    for i, start in enumerate(physical):
        peer.reset()
        # float64, so that Gymnasium computes as usual; MountainCar unpacks its state as Python
        # numbers.
        peer.unwrapped.state = start.astype(np.float64)
        chosen = action[i] if action.ndim == 2 else int(action[i])
        obs, reward, terminated, truncated, _ = peer.step(chosen)
        # Largest observations are about 30; one float32 step of Acrobot's four-stage integrator
        # errs by some tens of roundings.
        np.testing.assert_allclose(step.next_obs[i], obs, rtol=1e-4, atol=3e-5)
        np.testing.assert_allclose(step.reward[i], reward, rtol=1e-5, atol=1e-5)
        assert bool(step.terminated[i]) == terminated
        assert not truncated


@every_id
def test_the_description_agrees_with_gymnasium(env_id):
    assert native.make(env_id, None).spec == host.make(env_id).spec


@every_id
def test_one_step_from_any_state_agrees_with_gymnasium(env_id, rng):
    step = stepper(env_id)
    peer = gymnasium.make(env_id)
    ended = 0
    for round_ in range(12):
        fields = {
            name: rng.uniform(low, high, BATCH) for name, (low, high) in STATE[env_id].items()
        }
        state = at(env_id, **fields)
        action = random_actions(native.make(env_id, None).spec.action, rng)
        _, result = step(state, action, jax.random.key(round_))
        assert_same_step(env_id, peer, state, action, result)
        ended += int(result.terminated.sum())
    peer.close()
    # The comparison reaches the ends of episodes too; a pendulum's never end by themselves.
    assert ended > 0 or env_id == "Pendulum-v1"


@every_id
def test_episodes_agree_with_gymnasium_step_by_step(env_id, rng):
    step, state = stepper(env_id), fresh(env_id)
    peer = gymnasium.make(env_id)
    space = native.make(env_id, None).spec.action
    for t in range(40):
        action = random_actions(space, rng)
        before = state
        state, result = step(before, action, jax.random.key(t))
        assert_same_step(env_id, peer, before, action, result)
        # What follows starts where this step led, or afresh.
        ended = np.asarray(result.terminated | result.truncated)
        np.testing.assert_array_equal(
            np.asarray(result.obs)[~ended], np.asarray(result.next_obs)[~ended]
        )
        np.testing.assert_array_equal(state.time, np.where(ended, 0, np.asarray(before.time) + 1))
    peer.close()


@pytest.mark.parametrize("env_id", ["MountainCar-v0", "MountainCarContinuous-v0"])
def test_a_car_stops_at_the_left_wall(env_id, rng):
    # Pushed to the left from just beside the wall, every car hits it: position −1.2 and speed 0
    # exactly, and the next step starts from there.
    state = at(env_id, position=rng.uniform(-1.2, -1.15, BATCH), velocity=-0.06)
    space = native.make(env_id, None).spec.action
    left = np.zeros(BATCH, np.int32) if is_index(space) else -np.ones((BATCH, 1), np.float32)
    peer = gymnasium.make(env_id)
    step = stepper(env_id)
    state_at_wall, result = step(state, left, jax.random.key(0))
    assert_same_step(env_id, peer, state, left, result)
    np.testing.assert_array_equal(result.next_obs, np.tile(np.float32([-1.2, 0.0]), (BATCH, 1)))
    for t in range(5):  # and it can lean on the wall, or drive away
        action = random_actions(space, rng)
        before = state_at_wall
        state_at_wall, result = step(before, action, jax.random.key(t))
        assert_same_step(env_id, peer, before, action, result)
    peer.close()


@every_id
def test_truncated_exactly_at_the_registered_limit(env_id):
    step, limit = stepper(env_id), native.make(env_id, None).spec.time_limit
    state = at(env_id, time=limit - 3)
    action = passive(native.make(env_id, None).spec.action)
    truncated = []
    for t in range(4):
        state, result = step(state, action, jax.random.key(t))
        truncated.append(np.asarray(result.truncated))
        assert not result.terminated.any()
    expected = np.array([False, False, True, False])
    np.testing.assert_array_equal(np.stack(truncated, 1), np.tile(expected, (BATCH, 1)))


def test_an_episode_from_its_start_lasts_200_steps():
    step, state = stepper("MountainCar-v0"), fresh("MountainCar-v0")
    coast = np.ones(BATCH, np.int32)
    truncated = []
    for t in range(203):
        state, result = step(state, coast, jax.random.key(t))
        truncated.append(np.asarray(result.truncated))
    np.testing.assert_array_equal(np.flatnonzero(np.stack(truncated).any(1)), [199])
    assert np.stack(truncated)[199].all()


@pytest.mark.parametrize("env_id", ["MountainCar-v0", "Pendulum-v1"])
def test_time_limit_option(env_id):
    env = native.make(env_id, 7)
    assert env.spec.time_limit == 7
    step, state = stepper(env_id, 7), fresh(env_id)
    truncated, starts = [], []
    for t in range(22):
        state, result = step(state, passive(env.spec.action), jax.random.key(t))
        truncated.append(np.asarray(result.truncated))
        starts.append(np.asarray(result.obs))
    ends = np.flatnonzero(np.stack(truncated).all(1))
    np.testing.assert_array_equal(ends, [6, 13, 20])
    assert np.stack(truncated).sum() == 3 * BATCH
    assert len({starts[t].tobytes() for t in ends}) == 3  # every episode starts elsewhere


def test_terminated_and_truncated_are_kept_apart():
    # Poles that fall at the next step or never, in episodes at their last step or not.
    limit = native.make("CartPole-v1", None).spec.time_limit
    falls = np.array([1, 1, 0, 0] * 2, bool)
    last = np.array([1, 0, 1, 0] * 2, bool)
    state = at(
        "CartPole-v1",
        theta=np.where(falls, 0.2, 0.0),
        theta_dot=np.where(falls, 2.0, 0.0),
        time=np.where(last, limit - 1, 5),
    )
    _, result = stepper("CartPole-v1")(state, np.zeros(BATCH, np.int32), jax.random.key(0))
    np.testing.assert_array_equal(result.terminated, falls)
    np.testing.assert_array_equal(result.truncated, last)


def test_reset_keeps_the_true_last_observation():
    falls = np.arange(BATCH) % 2 == 0
    before = at(
        "CartPole-v1", theta=np.where(falls, 0.2, 0.0), theta_dot=np.where(falls, 2.0, 0.0), time=9
    )
    state, result = stepper("CartPole-v1")(before, np.zeros(BATCH, np.int32), jax.random.key(0))
    next_obs, obs = np.asarray(result.next_obs), np.asarray(result.obs)
    # Euler's angle after one step of 0.02 s is 0.2 + 0.02 · 2 = 0.24, beyond 12° = 0.209.
    np.testing.assert_allclose(next_obs[falls, 2], 0.24, rtol=1e-5)
    assert (np.abs(obs[falls]) <= 0.05).all()  # a fresh start
    np.testing.assert_array_equal(obs[~falls], next_obs[~falls])
    np.testing.assert_array_equal(state.time, np.where(falls, 0, 10))
    physical = np.stack([np.asarray(getattr(state, name)) for name in STATE["CartPole-v1"]], -1)
    # the state that goes on is the one that was shown
    np.testing.assert_array_equal(physical, obs)
    # every environment restarts by itself
    assert len(np.unique(obs[falls], axis=0)) == falls.sum()


@every_id
def test_starts_are_drawn_as_in_gymnasium(env_id):
    low, high = STARTS[env_id]
    obs = np.asarray(resetter(env_id)(jax.random.key(1))[1])
    assert (obs >= low - 1e-6).all() and (obs <= high + 1e-6).all()
    # 512 draws leave a gap of 5 % at an end with probability < 1e-11.
    extent = high - low
    assert (obs.min(0) <= low + 0.05 * extent).all() and (obs.max(0) >= high - 0.05 * extent).all()


def test_the_same_key_gives_the_same_bits():
    one, two, other = (
        np.asarray(resetter("CartPole-v1")(jax.random.key(seed))[1]) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, two)
    assert len(np.unique(np.concatenate([one, other]), axis=0)) == 1024  # no start twice


def test_a_step_returns_the_types_it_was_given():
    # Otherwise the second call of a compiled collector would be another program.
    for env_id in native.IDS:
        env = native.make(env_id, None)
        state, _ = jax.eval_shape(lambda key: env.reset(key, BATCH), jax.random.key(0))
        action = passive(env.spec.action)
        after, _ = jax.eval_shape(env.step, state, action, jax.random.key(0))
        before, after = (
            [(leaf.shape, leaf.dtype, leaf.weak_type) for leaf in jax.tree.leaves(tree)]
            for tree in (state, after)
        )
        assert before == after, env_id
