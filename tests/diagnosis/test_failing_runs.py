"""Runs that are made to fail are diagnosed."""

from dataclasses import replace
from pathlib import Path

from imitax.diagnosis.data import check_data
from imitax.diagnosis.run import diagnose
from imitax.envs import make
from imitax.experts.demonstrate import load_demonstrations
from imitax.runs.folder import FolderOptions, train_to_folder
from imitax.runs.read import read_run
from imitax.training.config import make_config


def findings_of(path, settings):
    """Severity and title of the findings about a short run of GAIL with these settings."""
    env = make("CartPole-v1")
    source = (
        Path(__file__).parents[2] / "docs/results/classic/demonstrations/CartPole-v1-native.npz"
    )
    demonstrations = load_demonstrations(source, env.spec).choose(4)
    config = make_config(
        "gail", "CartPole-v1", overrides={"loop.iterations": 12, "loop.env_steps": 1280} | settings
    )
    train_to_folder(config, env, demonstrations, path, FolderOptions(5))
    return [(f.severity, f.title) for f in diagnose(read_run(path))]


def test_a_reward_for_living_is_found(tmp_path):
    findings = findings_of(
        tmp_path / "run",
        {
            "reward.absorbing": False,
            "reward.form": "neg_log_one_minus_d",
            "reward.learning_rate": 1e-5,
        },
    )
    assert ("problem", "The reward favours staying alive") in findings


def test_an_absurd_learning_rate_is_found(tmp_path):
    findings = findings_of(tmp_path / "run", {"agent.learning_rate": 1.0})
    assert {"The policy's steps are too large", "The policy has collapsed"} & {
        title for _, title in findings
    }


def test_an_overwhelming_discriminator_is_found(tmp_path):
    findings = findings_of(
        tmp_path / "run",
        {"reward.updates": 100, "reward.learning_rate": 0.03, "agent.learning_rate": 1e-6},
    )
    assert ("problem", "The discriminator has won") in findings


def test_observations_of_another_task_are_found(tmp_path):
    env = make("CartPole-v1")
    other = load_demonstrations("Acrobot-v1/4")  # of another task altogether: four of its numbers
    mixed = replace(
        other, observations=100 * other.observations[:, [4, 1, 5, 0]], actions=other.actions % 2
    )
    findings = check_data(mixed, env)
    assert findings[0][:2] == (
        "problem",
        "Demonstrated episodes start where the environment does not",
    )
