"""Experts from elsewhere: Python functions, and checkpoints of Stable-Baselines3 (here a stand-in
of it).
"""

import io
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from imitax import make, record
from imitax.core.spaces import vector
from imitax.errors import ImitaxError
from imitax.policies.external import checked, function_of, stable_baselines3
from imitax.types import Box, Discrete, EnvSpec

PENDULUM = EnvSpec("Pendulum-v1", vector(3), Box((-2.0,), (2.0,)), 200)


def balance(obs):
    """A rule that keeps CartPole up for a while."""
    return (obs[:, 2] + 0.5 * obs[:, 3] > 0).astype(int)


@pytest.mark.parametrize("backend", ["native", "gymnasium"])
def test_a_function_is_recorded(backend):
    env = make("CartPole-v1", backend, time_limit=60)
    shown = record(balance, env, 3, seed=4)
    assert len(shown) == 3 and (shown.lengths == 60).all() and not shown.terminated.any()
    np.testing.assert_array_equal(shown.actions, balance(shown.observations))
    again = record(balance, env, 3, seed=4)
    assert shown.fingerprint() == again.fingerprint()


def test_actions_outside_the_bounds_are_recorded_as_they_are_executed():
    shown = record(lambda obs: 5.0 * obs[:, :1], make("Pendulum-v1", time_limit=20), 2)
    np.testing.assert_allclose(
        shown.actions, np.clip(5.0 * shown.observations[:, :1], -2, 2), rtol=1e-5, atol=1e-6
    )
    assert (np.abs(shown.actions) == 2.0).any()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            lambda obs: np.zeros(len(obs) + 1, int),
            r"with int64 \(4,\): expected whole numbers from 0 to 1",
        ),
        (lambda obs: np.zeros(len(obs)), "values such as 0.0: expected whole numbers"),
        (lambda obs: np.full(len(obs), 2), "values such as 2: expected whole numbers from 0 to 1"),
    ],
)
def test_answers_that_are_no_actions_are_refused(answer, told):
    expert = checked(answer, EnvSpec("CartPole-v1", vector(4), Discrete(2), 500))
    with pytest.raises(ImitaxError, match=told):
        expert(np.zeros((3, 4), np.float32))


def test_numbers_that_are_not_finite_are_refused():
    with pytest.raises(
        ImitaxError, match=r"such as \[nan\]: expected finite numbers of shape \(2, 1\)"
    ):
        checked(lambda obs: np.full((2, 1), np.nan), PENDULUM)(np.zeros((2, 3), np.float32))


def test_a_function_is_found_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def act(obs):\n    return obs[:, :1]\n\nnumber = 3\n")
    (tmp_path / "broken.py").write_text("raise ValueError('no\\nweights')\n")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert function_of("mine:act")(np.ones((2, 3))).shape == (2, 1) and sys.path == path
    for name, told in {
        "mine:other": "Module 'mine' has no function 'other'",
        "mine:number": "has no function 'number'",
        "nowhere:act": "Module 'nowhere' of the expert cannot be imported",
        "broken:act": r"cannot be imported \(ValueError: no weights\)",
        "mine": "'python:mine' is not a function's name",
    }.items():
        with pytest.raises(ImitaxError, match=told):
            function_of(name)


# Stable-Baselines3
# -----------------------------------------------------------------------------------


class FakePolicy:
    """As little of a policy as is used: an action that is the first observation times its one
    weight.
    """

    def __init__(self, observation_space, action_space, schedule, **options):
        assert schedule(1.0) == 0.0
        self.options = options

    def load_state_dict(self, state):
        self.weight = state["weight"]

    def set_training_mode(self, mode):
        assert mode is False

    def predict(self, obs, deterministic):
        return self.weight * obs[:, :1] + (not deterministic), None


class Statistics:
    """VecNormalize as it is pickled."""

    obs_rms = types.SimpleNamespace(mean=np.array([1.0, 0, 0]), var=np.array([4.0, 1, 1]))
    epsilon, clip_obs, norm_obs = 0.0, 2.0, True


@pytest.fixture
def library(monkeypatch):
    """A stand-in with the two functions of `stable_baselines3.common.save_util` that are used."""

    def load_from_zip_file(path, device):
        assert device == "cpu"
        with zipfile.ZipFile(path) as file:
            return *pickle.load(io.BytesIO(file.read("all"))), None

    util = types.ModuleType("stable_baselines3.common.save_util")
    util.load_from_zip_file = load_from_zip_file
    util.load_from_pkl = lambda path: pickle.loads(path.read_bytes())
    for name in ("stable_baselines3", "stable_baselines3.common"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, util.__name__, util)


def saved(path, size=3):
    spaces = {
        "observation_space": types.SimpleNamespace(shape=(size,)),
        "action_space": None,
        "policy_class": FakePolicy,
        "policy_kwargs": {"net_arch": [4]},
        "use_sde": False,
    }
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("all", pickle.dumps((spaces, {"policy": {"weight": 3.0}})))
    return path


def test_a_checkpoint_acts_on_normalised_observations(tmp_path, library):
    path, statistics = saved(tmp_path / "a.zip"), tmp_path / "n.pkl"
    statistics.write_bytes(pickle.dumps(Statistics()))
    obs = np.float32([[2.0, 0, 0], [9.0, 0, 0]])
    raw = stable_baselines3(path, None, True, True, PENDULUM)
    np.testing.assert_allclose(raw(obs), [[6.0], [27.0]])
    normalised = stable_baselines3(path, statistics, True, True, PENDULUM)
    # (x − 1) / 2, clipped to 2
    np.testing.assert_allclose(normalised(obs), [[3 * 0.5], [3 * 2.0]])
    sampled = stable_baselines3(path, None, False, True, PENDULUM)
    np.testing.assert_allclose(sampled(obs), [[7.0], [28.0]])


def test_nothing_is_read_without_trust(tmp_path, library):
    path = tmp_path / "a.zip"
    path.write_bytes(pickle.dumps(None))
    with pytest.raises(ImitaxError, match=r"can run any code when it is read.*add --trust"):
        stable_baselines3(path, None, True, False, PENDULUM)


def test_what_cannot_be_used_is_said(tmp_path, library, monkeypatch):
    with pytest.raises(ImitaxError, match="There is no file"):
        stable_baselines3(tmp_path / "none.zip", None, True, True, PENDULUM)
    with pytest.raises(
        ImitaxError, match=r"observations of shape \(5,\), but 'Pendulum-v1' has \(3,\)"
    ):
        stable_baselines3(saved(tmp_path / "b.zip", 5), None, True, True, PENDULUM)
    (tmp_path / "c.zip").write_text("text")
    with pytest.raises(ImitaxError, match="is not a usable checkpoint"):
        stable_baselines3(tmp_path / "c.zip", None, True, True, PENDULUM)
    monkeypatch.setitem(sys.modules, "stable_baselines3.common.save_util", None)
    with pytest.raises(ImitaxError, match="needs Stable-Baselines3, which is not installed"):
        stable_baselines3(saved(tmp_path / "d.zip"), None, True, True, PENDULUM)
