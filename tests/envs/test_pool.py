"""EnvPool's environments: the same tasks as Gymnasium's, and no transition across an episode
border.
"""

import numpy as np
import pytest

from imitax import envs
from imitax.core.spaces import bounds, size
from imitax.envs import host, pool
from imitax.errors import ImitaxError

pytest.importorskip("envpool")
gymnasium = pytest.importorskip("gymnasium")
pytest.importorskip("mujoco")

# starts within ±0.01 and terminates beyond ±0.2 of the pole's angle
PENDULUM = "InvertedPendulum-v5"


def played(env, seeds, count, seed=0):
    """First observations, and (action, `Step`) of uniformly random actions."""
    batch = env.open(len(seeds))
    first = batch.reset(seeds)
    rng, space = np.random.default_rng(seed), env.spec.action
    steps = []
    for _ in range(count):
        action = rng.uniform(*bounds(space), (len(seeds), size(space))).astype(np.float32)
        steps.append((action, batch.step(action)))
    batch.close()
    return first, steps


@pytest.mark.parametrize("env_id", pool.IDS)
def test_the_spec_is_that_of_gymnasium(env_id):
    assert pool.make(env_id).spec == host.make(env_id).spec


def test_no_transition_crosses_a_termination():
    env = pool.make(PENDULUM)
    first, steps = played(env, range(5), 60)
    starts, obs = np.abs(first).max(axis=1) <= 0.01, first
    assert starts.all()
    seen = 0
    for _, step in steps:
        ended = np.abs(step.next_obs[:, 1]) > 0.2
        np.testing.assert_array_equal(step.terminated, ended)
        assert not step.truncated.any()
        # where the next episode starts, on the same step
        assert (np.abs(step.obs[ended]) <= 0.01).all()
        np.testing.assert_array_equal(step.obs[~ended], step.next_obs[~ended])
        assert (np.abs(step.next_obs[:, :2] - obs[:, :2]).max(axis=1) < 0.2).all()  # never a jump
        obs, seen = step.obs, seen + ended.sum()
    assert seen >= 10


def test_the_time_limit_truncates_and_is_told_from_termination():
    env = pool.make(PENDULUM, time_limit=4)
    _, steps = played(env, range(40), 12)
    truncated = np.stack([step.truncated for _, step in steps])
    terminated = np.stack([step.terminated for _, step in steps])
    assert terminated.any() and truncated.any()
    age = np.zeros(40, int)
    for now, (over, out) in enumerate(zip(terminated, truncated, strict=True)):
        age += 1
        np.testing.assert_array_equal(out, age == 4, err_msg=str(now))
        age[over | out] = 0


def test_seeds_give_the_same_bits_whatever_the_threads_do():
    env = pool.make("Hopper-v5")
    (first, steps), (again, same) = (played(env, [7, 8, 9, 7], 80) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[0], first[3])
    assert not np.array_equal(first[0], first[1])
    for (_, one), (_, two) in zip(steps, same, strict=True):
        for x, y in zip(one, two, strict=True):
            np.testing.assert_array_equal(x, y)
    assert any(step.terminated.any() for _, step in steps)  # through the ends of episodes
    # A batch can be reset again, to the same beginning.
    batch = env.open(2)
    np.testing.assert_array_equal(batch.reset([7, 8]), first[:2])
    batch.step(np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(batch.reset([7, 8]), first[:2])
    batch.close()


@pytest.mark.parametrize(
    ("env_id", "positions", "fastest"),
    [("HalfCheetah-v5", 8, np.inf), ("Hopper-v5", 5, 10), ("Walker2d-v5", 8, 10)],
)
def test_dynamics_and_rewards_are_those_of_gymnasium(env_id, positions, fastest):
    """Gymnasium's environment, put where EnvPool's was, goes where EnvPool's went.

    An observation tells everything but the place on the track, which does not matter, and
    velocities beyond the `fastest` that it shows: such steps are left out.
    """
    single = gymnasium.make(env_id).unwrapped
    single.reset(seed=0)
    first, steps = played(pool.make(env_id), range(3), 60)
    obs, compared = first, 0
    for action, step in steps:
        for i in range(3):
            qpos = np.concatenate([[0.0], obs[i, :positions]])
            qvel = obs[i, positions:].astype(np.float64)
            if np.abs(qvel).max() >= fastest:
                continue
            single.set_state(qpos, qvel)
            there, reward, terminated, _, _ = single.step(action[i])
            np.testing.assert_allclose(step.next_obs[i], there, atol=2e-3, rtol=2e-3)
            assert abs(step.reward[i] - reward) < 2e-3 and step.terminated[i] == terminated
            compared += 1
        obs = step.obs
    single.close()
    assert compared >= 30


def test_it_is_chosen_where_it_is_installed_and_only_for_the_same_tasks(monkeypatch):
    assert envs.make("Hopper-v5").backend == "envpool"
    assert envs.make("Hopper-v5", "gymnasium").backend == "gymnasium"
    assert envs.make("CartPole-v1").backend == "native"
    assert envs.make("CartPole-v1", "envpool").backend == "envpool"
    monkeypatch.setattr(pool, "installed", lambda: False)
    assert envs.make("Hopper-v5").backend == "gymnasium"


def test_what_it_does_not_have_is_refused_in_one_sentence(monkeypatch):
    with pytest.raises(ImitaxError, match="EnvPool has no environment 'Hopper-v9'"):
        envs.make("Hopper-v9", "envpool")
    monkeypatch.setitem(__import__("sys").modules, "envpool", None)  # as if it were not installed
    with pytest.raises(ImitaxError, match=r"pip install 'imitax\[envpool\]'"):
        envs.make("Hopper-v5", "envpool")
