"""Maximum causal entropy IRL through the package: train, run folder, transfer, and what is
refused.
"""

import json
import shutil

import numpy as np
import pytest

from imitax.core.spaces import size
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.experts.exact import exact_expert
from imitax.runs.folder import FolderOptions, load_run, train_to_folder
from imitax.training.config import make_config
from imitax.training.evaluation import record
from imitax.training.planning import describe, transfer
from imitax.training.train import train


@pytest.fixture(scope="module")
def grid():
    return make("gridworld")


@pytest.fixture(scope="module")
def shown(grid):
    return record(exact_expert(grid, 0.01), grid, 100)


@pytest.fixture(scope="module")
def linear_run(grid, shown, tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "linear"
    config = make_config("mce_irl", "gridworld", overrides={"mce_irl.reward": "linear"}, seeds=2)
    train_to_folder(config, grid, shown, path, FolderOptions(20))
    return load_run(path)


@pytest.mark.parametrize("reward", ["tabular", "state", "linear", "neural"])
def test_every_class_of_rewards_learns(grid, shown, reward):
    training = train("mce_irl", grid, shown, settings={"mce_irl.reward": reward}, iterations=150)
    found = describe(training, grid)
    score = (found["return_learnt"][0] - found["return_random"]) / (
        found["return_best"] - found["return_random"]
    )
    # A reward of the state alone can not tell the step into the goal from other steps beside it.
    assert score > (0.8 if reward == "state" else 0.93)
    gaps = training.metrics["feature_gap"][0]
    assert gaps[-1] < 0.5 * gaps[0]


def test_a_run_folder_holds_reward_and_figures(linear_run):
    from safetensors.numpy import load_file

    tensors = load_file(linear_run.path / "reward.safetensors")
    assert tensors["seed1.reward"].shape == (42, 4) and tensors["seed1.parameters"].shape == (3,)
    goal, hole, step = tensors["seed0.parameters"]
    assert goal > 0 > step and hole < goal  # what a step and the goal are worth, never told
    irl = linear_run.summary["irl"]
    assert irl["reward_class"] == "linear" and len(irl["feature_gap"]) == 2
    assert irl["reward_correlation"][0] > 0.9
    assert linear_run.summary["env_steps_per_seed"] == 0
    assert (linear_run.path / "figures/learning.png").exists()
    json.dumps(irl)


def test_a_linear_reward_plans_anew_where_the_old_policy_fails(linear_run):
    found = transfer(linear_run, make("gridworld-moved"))
    span = found["return_best"] - found["return_random"]
    for planned, old in zip(found["return_planned_anew"], found["return_old_policy"], strict=True):
        assert (planned - found["return_random"]) / span > 0.8
        assert (old - found["return_random"]) / span < 0.3
    lake = transfer(linear_run, make("FrozenLake-v1"))  # other states, the same features
    assert lake["return_old_policy"] is None
    assert lake["return_planned_anew"][0] > 10 * lake["return_random"]


def test_a_table_of_rewards_needs_its_own_states(grid, shown, tmp_path):
    config = make_config("mce_irl", "gridworld", overrides={"mce_irl.iterations": 5})
    train_to_folder(config, grid, shown, tmp_path / "run", FolderOptions(2))
    run = load_run(tmp_path / "run")
    assert len(transfer(run, make("gridworld-slippery"))["return_planned_anew"]) == 1
    with pytest.raises(ImitaxError, match="has 168 parameters, but 'FrozenLake-v1' needs 64"):
        transfer(run, make("FrozenLake-v1"))


def test_a_damaged_reward_is_told(linear_run, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(linear_run.path, path)
    data = (path / "reward.safetensors").read_bytes()
    for damaged in (data[:40], b"", data.replace(b"seed1.parameters", b"seed7.parameters")):
        (path / "reward.safetensors").write_bytes(damaged)
        with pytest.raises(ImitaxError, match=r"reward.safetensors' is damaged"):
            transfer(load_run(path), make("gridworld-moved"))


def one_episode(observations):
    return Demonstrations.from_episodes(
        [(observations, np.zeros(len(observations), int))], terminated=True
    )


@pytest.mark.parametrize(
    ("env_id", "options", "message"),
    [
        ("CartPole-v1", {}, "'CartPole-v1' has no table of transitions"),
        (
            "gridworld",
            {"settings": {"mce_irl.reward": "linea"}},
            "Unknown reward class 'linea': did you mean linear",
        ),
        ("random-mdp", {"settings": {"mce_irl.reward": "linear"}}, "'random-mdp' has no features"),
        ("gridworld", {"settings": {"mce_irl.discount": 1.0}}, "'mce_irl.discount' is 1.0"),
        (
            "gridworld",
            {"settings": {"mce_irl.l2": -1}},
            "'mce_irl.l2' is -1.0: expected at least 0",
        ),
    ],
)
def test_what_can_not_be_planned_is_told(env_id, options, message):
    env = make(env_id)
    states = np.eye(size(env.spec.observation))
    with pytest.raises(ImitaxError, match=message):
        train("mce_irl", env, one_episode(states[:1]), **options)


def test_demonstrations_that_can_not_be_are_told(grid):
    with pytest.raises(ImitaxError, match="pair 0 is in state 9, which 'gridworld' cannot reach"):
        train("mce_irl", grid, one_episode(np.eye(42)[[9]]))
    with pytest.raises(ImitaxError, match="pair 1 is not in a state"):
        train("mce_irl", grid, one_episode(np.stack([np.eye(42)[0], np.full(42, 0.5)])))


def test_seeds_differ_in_the_neural_reward_alone(grid, shown):
    few = {"iterations": 20, "seeds": 2}
    neural = train("mce_irl", grid, shown, settings={"mce_irl.reward": "neural"}, **few)
    linear = train("mce_irl", grid, shown, settings={"mce_irl.reward": "linear"}, **few)
    assert (neural.learnt[0].reward != neural.learnt[1].reward).any()
    assert (linear.learnt[0].reward == linear.learnt[1].reward).all()
