"""Gymnasium environments in batches: episode borders, seeds, and what is refused."""

import re

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from imitax.core.spaces import vector
from imitax.envs import host, make, native
from imitax.envs.base import HostEnv, NativeEnv
from imitax.errors import ImitaxError
from imitax.training.rollout import collect_host, start_host
from imitax.types import Box, Discrete


class Marked(gymnasium.Env):
    """Observations name themselves: (seed of the last seeded reset, episode, step within it).

    Episode e lasts 2 + e % 3 steps; even episodes terminate there, odd ones are truncated, and
    every sixth is both. Reward is 100 · episode + step.
    """

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = spaces.Discrete(2)

    def __init__(self):
        self._seed, self._episode = -1, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self._seed, self._episode = seed, -1
        self._episode += 1
        self._step = 0
        return self._look(), {}

    def step(self, action):
        assert self._step < length(self._episode), "stepped beyond the end of an episode"
        self._step += 1
        ended = self._step == length(self._episode)
        terminated = ended and self._episode % 2 == 0
        truncated = ended and (self._episode % 2 == 1 or self._episode % 6 == 0)
        return self._look(), 100.0 * self._episode + self._step, terminated, truncated, {}

    def _look(self):
        return np.array([self._seed, self._episode, self._step], np.float64)


class Reusing(Marked):
    """The same, but every observation is one buffer that the environment writes over."""

    def __init__(self):
        super().__init__()
        self._buffer = np.zeros(3)

    def _look(self):
        self._buffer[:] = super()._look()
        return self._buffer


class Spaces(gymnasium.Env):
    """Only spaces, and nothing behind them."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space


def length(episode):
    return 2 + np.asarray(episode) % 3


VECTOR = spaces.Box(-1.0, 1.0, (2,), np.float32)
SEEDS = np.array([11, 22, 33])


def steps_of(make_one, seeds, count, time_limit=20):
    """Every `Step` of a batch, copied, and the first observations."""
    batch = host.make(make_one, time_limit).open(len(seeds))
    first = batch.reset(seeds).copy()
    steps = [batch.step(np.zeros(len(seeds), np.int32)) for _ in range(count)]
    batch.close()
    return first, [type(s)(*(np.array(x) for x in s)) for s in steps]


def message(error) -> str:
    """The message, after checking that it is one sentence."""
    text = str(error.value)
    assert text[-1] in ".?" and "\n" not in text
    assert not re.search(r"[.!?]\s+[A-Z]", text), f"more than one sentence: {text}"
    return text


@pytest.mark.parametrize("kind", [Marked, Reusing])
def test_no_transition_crosses_an_episode_border(kind):
    first, steps = steps_of(kind, SEEDS, 24)
    np.testing.assert_array_equal(first, [[s, 0, 0] for s in SEEDS])
    obs = first
    for step in steps:
        # Same environment, same episode, one step later: also where the environment has been reset
        # since.
        np.testing.assert_array_equal(step.next_obs - obs, np.tile([0, 0, 1], (3, 1)))
        episode = obs[:, 1]
        ended = step.next_obs[:, 2] == length(episode)
        np.testing.assert_array_equal(step.reward, 100 * episode + step.next_obs[:, 2])
        np.testing.assert_array_equal(step.terminated, ended & (episode % 2 == 0))
        np.testing.assert_array_equal(
            step.truncated, ended & ((episode % 2 == 1) | (episode % 6 == 0))
        )
        # The same step already shows where the next episode starts: no step is spent on a reset.
        fresh = np.stack([SEEDS, episode + 1, np.zeros(3)], -1)
        np.testing.assert_array_equal(step.obs, np.where(ended[:, None], fresh, step.next_obs))
        obs = step.obs
    assert obs[:, 1].min() >= 7  # several episodes of every kind were seen


def test_steps_have_single_precision_and_survive_the_next_step():
    batch = host.make(Marked, 20).open(2)
    first = batch.reset([1, 2])
    kept = [batch.step(np.zeros(2, np.int32)) for _ in range(3)]
    np.testing.assert_array_equal(first[:, 2], [0, 0])
    for step in kept:
        assert step.obs.dtype == step.next_obs.dtype == step.reward.dtype == np.float32
        assert step.terminated.dtype == step.truncated.dtype == np.bool_
    np.testing.assert_array_equal([step.next_obs[0, 2] for step in kept], [1, 2, 1])
    np.testing.assert_array_equal([step.reward[0] for step in kept], [1, 2, 101])
    batch.close()


def test_a_collected_rollout_keeps_episodes_apart():
    batch = host.make(Marked, 20).open(4)

    asked = []

    def act(obs, first, carry, keys, t):
        asked.append(first)
        return np.zeros((2, 2), np.int32), np.zeros((2, 2), np.int32), carry + obs[..., 2]

    # any layout of environments
    state = start_host(batch, np.array([[1, 2], [3, 4]]), np.zeros((2, 2)))
    parts = []
    for _ in range(2):  # in two parts: an episode may begin in one rollout and end in the next
        keys = jax.random.split(jax.random.key(0), 7)
        state, rollout = collect_host(batch, act, state, keys)
        parts.append(rollout)
    batch.close()
    rollout = jax.tree.map(lambda *fields: np.concatenate(fields), *parts)
    # The policy is told where episodes begin; what it carries goes from step to step, and to the
    # next part.
    np.testing.assert_array_equal(np.stack(asked), rollout.step == 0)
    np.testing.assert_array_equal(state.carry, rollout.step.sum(axis=0))
    assert rollout.obs.shape == (14, 2, 2, 3) and rollout.reward.shape == (14, 2, 2)
    np.testing.assert_array_equal(rollout.obs[0, :, :, 0], [[1, 2], [3, 4]])
    # the index within the episode
    np.testing.assert_array_equal(rollout.step, rollout.obs[..., 2])
    np.testing.assert_array_equal(rollout.next_obs[..., 1], rollout.obs[..., 1])
    np.testing.assert_array_equal(rollout.next_obs[..., 2], rollout.step + 1)


class Breaking(Marked):
    """Observes NaN in dimension 1 at the third step of its second episode."""

    def _look(self):
        found = super()._look()
        if self._episode == 1 and self._step == 3:
            found[1] = np.nan
        return found


def test_what_is_not_finite_names_environment_and_step():
    batch = host.make(Breaking, 20).open(2)
    state = start_host(batch, np.array([1, 2]), ())
    nothing = np.zeros(2, np.int32)
    with pytest.raises(ImitaxError) as error:
        collect_host(
            batch,
            lambda obs, first, carry, keys, t: (nothing, nothing, carry),
            state,
            jax.random.split(jax.random.key(0), 9),
        )
    batch.close()
    assert message(error) == (
        "Environment 1 of 2 observed nan in dimension 1 at step 3 of its episode: expected finite "
        "numbers."
    )


def test_seeds_reach_each_environment_and_repeat():
    env = host.make("CartPole-v1")
    batches = [env.open(3) for _ in range(2)]
    one, two = (batch.reset([5, 6, 5]).copy() for batch in batches)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one[0], one[2])
    assert not np.array_equal(one[0], one[1])
    alone = gymnasium.make("CartPole-v1")
    np.testing.assert_array_equal(one[1], alone.reset(seed=6)[0])
    alone.close()
    # The same actions then give the same bits, through the ends of episodes.
    for _ in range(40):
        steps = [batch.step(np.ones(3, np.int32)) for batch in batches]
        for a, b in zip(*steps, strict=True):
            np.testing.assert_array_equal(a, b)
    for batch in batches:
        batch.close()


def test_actions_keep_the_shape_of_their_space():
    class Matrix(Spaces):
        def reset(self, *, seed=None, options=None):
            return np.zeros((2, 2), np.float32), {}

        def step(self, action):
            assert action.shape == (2, 1)
            return np.array([[1, 2], [3, 4]], np.float32), float(action.sum()), False, False, {}

    grid = spaces.Box(-9.0, 9.0, (2, 2), np.float32)
    env = host.make(lambda: Matrix(grid, spaces.Box(-1.0, 1.0, (2, 1), np.float32)), 5)
    assert env.spec.observation == vector(4) and env.spec.action == Box((-1.0, -1.0), (1.0, 1.0))
    batch = env.open(2)
    assert batch.reset([0, 1]).shape == (2, 4)
    step = batch.step(np.array([[0.5, 0.25], [1.0, -1.0]], np.float32))
    np.testing.assert_array_equal(step.next_obs, [[1, 2, 3, 4]] * 2)
    np.testing.assert_array_equal(step.reward, [0.75, 0.0])
    batch.close()


def test_time_limit_truncates_and_is_told():
    env = host.make("Pendulum-v1", 7)
    assert env.spec.time_limit == 7
    batch = env.open(2)
    batch.reset([0, 1])
    truncated = [batch.step(np.zeros((2, 1), np.float32)).truncated.copy() for _ in range(15)]
    batch.close()
    np.testing.assert_array_equal(np.flatnonzero(np.all(truncated, axis=1)), [6, 13])
    assert np.sum(truncated) == 4


def test_time_limits_are_found():
    assert host.make("MountainCar-v0").spec.time_limit == 200  # registered
    assert host.make(lambda: gymnasium.make("MountainCar-v0")).spec.time_limit == 200
    assert (
        host.make(lambda: gymnasium.make("MountainCar-v0", max_episode_steps=9)).spec.time_limit
        == 9
    )
    assert host.make(lambda: TimeLimit(Marked(), 6)).spec.time_limit == 6  # put on by hand
    assert host.make(Marked, 8).spec.time_limit == 8


def test_the_limit_that_is_told_is_the_one_that_truncates():
    # Where the function's own environments have a shorter one too: the absorbing mass counts from
    # it.
    env = host.make(lambda: gymnasium.make("MountainCar-v0", max_episode_steps=3), 5)
    batch = env.open(1)
    batch.reset([0])
    truncated = [bool(batch.step(np.ones(1, np.int32)).truncated[0]) for _ in range(5)]
    batch.close()
    assert truncated.index(True) + 1 == env.spec.time_limit


def test_make_from_a_function():
    env = host.make(Marked, 20)
    assert env.spec.id == "Marked" and env.spec.observation == vector(3)
    assert env.spec.action == Discrete(2)
    assert host.make(lambda: gymnasium.make("CartPole-v1")).spec == host.make("CartPole-v1").spec


@pytest.mark.parametrize(
    "observation_space, action_space, named",
    [
        (spaces.Dict({"x": VECTOR}), spaces.Discrete(2), "Dict"),
        (spaces.Discrete(5, start=1), spaces.Discrete(2), "Discrete"),
        (spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Discrete(2), "image"),
        (VECTOR, spaces.MultiDiscrete([2, 3]), "MultiDiscrete"),
        (VECTOR, spaces.Discrete(3, start=1), "start=1"),
        (VECTOR, spaces.Box(-np.inf, np.inf, (2,), np.float32), "inf"),
        (
            VECTOR,
            spaces.Box(np.float32([-1, -1]), np.float32([1, np.inf]), (2,), np.float32),
            "inf",
        ),
        (VECTOR, spaces.Tuple([spaces.Discrete(2)]), "Tuple"),
    ],
    ids=lambda x: x if isinstance(x, str) else type(x).__name__,
)
def test_spaces_that_are_refused_are_named(observation_space, action_space, named):
    with pytest.raises(ImitaxError) as error:
        host.make(lambda: Spaces(observation_space, action_space), 10)
    assert named in message(error) and "Spaces" in message(error)


def test_no_time_limit_is_refused():
    with pytest.raises(ImitaxError, match="no time limit"):
        host.make(Marked)
    with pytest.raises(ImitaxError) as error:
        host.make(Marked)
    assert "time_limit" in message(error)


def test_unknown_ids_get_the_nearest_names():
    with pytest.raises(ImitaxError) as error:
        make("Acrobat-v1")
    assert "'Acrobat-v1'" in message(error) and "Acrobot-v1" in message(error)
    with pytest.raises(ImitaxError) as error:
        make("MountinCar-v0", backend="gymnasium")
    assert "MountainCar-v0" in message(error)
    with pytest.raises(ImitaxError) as error:
        make("qqqqqqqq")
    message(error)


def test_unknown_backends_get_the_nearest_names():
    with pytest.raises(ImitaxError) as error:
        make("CartPole-v1", backend="gymnasum")
    assert "gymnasium" in message(error)


def test_native_backend_refuses_what_it_has_not():
    with pytest.raises(ImitaxError) as error:
        make("Blackjack-v1", backend="native")
    assert all(env_id in message(error) for env_id in native.IDS)
    with pytest.raises(ImitaxError) as error:
        make(Marked, backend="native")
    message(error)


@pytest.mark.parametrize("name", ["gridworld", "FrozenLak-v1"])
def test_the_gymnasium_backend_gives_nothing_but_gymnasiums_environments(name):
    with pytest.raises(ImitaxError) as error:
        make(name, backend="gymnasium")  # never the native one of that name
    assert message(error).startswith(
        f"Unknown environment '{name}'"
    ) and "gridworld-" not in message(error)
    with pytest.raises(ImitaxError):
        make(name, backend="envpool")


@pytest.mark.parametrize("limit", [0, -3])
@pytest.mark.parametrize("backend", ["native", "gymnasium"])
def test_time_limits_below_one_are_refused(backend, limit):
    with pytest.raises(ImitaxError) as error:
        make("CartPole-v1", backend=backend, time_limit=limit)
    assert str(limit) in message(error)


def test_auto_prefers_native():
    assert isinstance(make("CartPole-v1"), NativeEnv)
    assert isinstance(make("CartPole-v1", backend="native"), NativeEnv)
    assert isinstance(make("CartPole-v1", backend="gymnasium"), HostEnv)
    assert isinstance(make(Marked, time_limit=20), HostEnv)
    assert isinstance(make(lambda: gymnasium.make("CartPole-v1")), HostEnv)
    # so that programs compiled for it are found again
    assert make("CartPole-v1") is make("CartPole-v1")
    assert make("CartPole-v1", time_limit=9).spec == make("CartPole-v1", "gymnasium", 9).spec


def test_states_are_one_hot_and_the_table_is_the_model():
    env = make("FrozenLake-v1")
    assert env.spec.observation == vector(16) and env.spec.action == Discrete(4)
    batch = env.open(3)
    try:
        assert (batch.reset([0, 1, 2]) == np.eye(16)[[0, 0, 0]]).all()
        step = batch.step(np.array([1, 1, 1]))
        assert (step.next_obs.sum(axis=1) == 1).all() and step.next_obs.dtype == np.float32
    finally:
        batch.close()
    assert env.model(0.9).discount == 0.9 and env.model(0.9).name == "FrozenLake-v1"
    # A map of the user's own.
    own = make(lambda: gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=False))
    assert own.model(0.9).states == 64 and own.model(0.9).transition.data.min() == 1.0
    assert make("CartPole-v1", "gymnasium").model is None


@pytest.mark.parametrize(
    "name, near", [("gridwrld", "gridworld"), ("FrozenLak-v1", "FrozenLake-v1")]
)
def test_unknown_environments_name_the_nearest_of_every_kind(name, near):
    with pytest.raises(ImitaxError, match=f"did you mean {near}"):
        make(name)


def test_a_missing_mujoco_names_the_extra(monkeypatch):
    def fail(*arguments, **options):
        raise gymnasium.error.DependencyNotInstalled(
            "MuJoCo is not installed, run `pip install ...`"
        )

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(
        ImitaxError, match=r"'Hopper-v5' needs .* not installed: pip install 'imitax\[mujoco\]'"
    ):
        make("Hopper-v5", "gymnasium")
