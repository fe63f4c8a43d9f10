"""Configurations of version 0.1.0: what their settings are called now, and what they mean."""

import copy
import json

import pytest

from imitax.errors import ImitaxError
from imitax.methods.cloning import schedule
from imitax.methods.registry import default_settings
from imitax.runs.schema import read_config
from imitax.training.config import config_from_dict, make_config, override
from imitax.training.old_settings import RENAMED

# "run" of a config.json that version 0.1.0 wrote.
OLD = json.loads("""
{
  "method": "gail", "env": "Acrobot-v1", "backend": "native", "time_limit": 200, "agent": "ppo", "seed": 3,
  "seeds": 2, "trajectories": 4, "subsample": 10, "preset": null, "init": null,
  "settings": {
    "loop": {"iterations": 37, "steps": 640, "envs": 16, "pretrain": 2, "warm_up": 11},
    "agent": {
      "hidden": [8, 9], "learning_rate": 0.003, "decay_iterations": 0, "epochs": 5, "minibatches": 2,
      "clip": 0.1, "discount": 0.9, "trace": 0.8, "entropy": 0.02, "max_gradient_norm": 0.7,
      "advantage_floor": 0.06
    },
    "reward": {
      "hidden": [7], "learning_rate": 0.01, "steps": 3, "batch_size": -1, "entropy": 0.002,
      "gradient_penalty": 0.5, "label_smoothing": 0.1, "form": "logit", "absorbing": false
    }
  }
}
""")
CLONING = {
    "hidden": [8, 9],
    "learning_rate": 0.002,
    "epochs": 300,
    "patience": 0,
    "batch_size": 64,
    "train_fraction": 0.8,
}


def old(**groups):
    """The configuration with some settings replaced."""
    data = copy.deepcopy(OLD)
    for group, values in groups.items():
        data["settings"].setdefault(group, {}).update(values)
    return data


def test_every_setting_is_read_under_its_new_name():
    config = config_from_dict(old())
    loop, agent, reward = (config.settings[group] for group in ("loop", "agent", "reward"))
    assert (loop.iterations, loop.env_steps, loop.max_envs) == (37, 640, 16)
    assert (loop.pretrain, loop.warm_up) == (2, 11)
    assert (agent.hidden, agent.learning_rate, agent.final_lr_fraction) == ((8, 9), 0.003, 1.0)
    assert (agent.epochs, agent.minibatches, agent.clip) == (5, 2, 0.1)
    assert (agent.discount, agent.gae_lambda, agent.entropy_coef) == (0.9, 0.8, 0.02)
    assert (agent.max_gradient_norm, agent.advantage_floor) == (0.7, 0.06)
    assert (reward.hidden, reward.learning_rate, reward.updates, reward.batch_size) == (
        (7,),
        0.01,
        3,
        -1,
    )
    assert (reward.entropy_coef, reward.gradient_penalty, reward.label_smoothing) == (
        0.002,
        0.5,
        0.1,
    )
    assert (reward.form, reward.absorbing) == ("logit", False)
    assert (config.seed, config.seeds, config.trajectories, config.subsample) == (3, 2, 4, 10)
    # It is written as one of this version, and read again.
    assert config_from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_reports_read_the_same_names(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"run": old(agent={"decay_iterations": 37})}))
    settings = read_config(path)["run"]["settings"]
    config = config_from_dict(old(agent={"decay_iterations": 37})).as_dict()
    assert {group: set(names) for group, names in settings.items()} == {
        group: set(config["settings"][group]) for group in settings
    }
    assert settings["agent"]["final_lr_fraction"] == 0.1 and settings["loop"]["env_steps"] == 640


def test_a_run_that_began_with_a_clone_took_all_its_rounds():
    bc = config_from_dict(old() | {"init": "bc"}).settings["bc"]
    assert (bc.patience, bc.min_updates, bc.max_updates, bc.hidden) == (0, 0, 10**12, (8, 9))


def test_apprenticeship_learning_had_a_step():
    data = old() | {"method": "fem"}
    data["settings"]["reward"] = {"products": True, "step": 0.25, "absorbing": False}
    reward = config_from_dict(data).settings["reward"]
    assert (reward.products, reward.mix, reward.absorbing) == (True, 0.25, False)


def test_a_rate_that_fell_over_the_run_is_one_that_falls_to_a_tenth():
    assert (
        config_from_dict(old(agent={"decay_iterations": 37})).settings["agent"].final_lr_fraction
        == 0.1
    )
    with pytest.raises(
        ImitaxError, match=r"by version 0.1.0 with agent.decay_iterations=20, .* read it with"
    ):
        config_from_dict(old(agent={"decay_iterations": 20}))


def test_cloning_made_whole_passes_and_had_no_patience_of_its_own():
    data = OLD | {"method": "bc", "settings": {"bc": CLONING}}
    clone = config_from_dict(data).settings["bc"]
    assert (clone.hidden, clone.learning_rate, clone.epochs, clone.patience) == (
        (8, 9),
        0.002,
        300,
        0,
    )
    assert (clone.batch_size, clone.train_fraction) == (64, 0.8)
    # However many pairs there are: 300 rounds, each of them a pass.
    assert schedule(1_000_000, clone) == (15_625, 300, 15_625)


def test_a_run_that_began_with_a_clone_had_one_with_the_layers_of_its_policy():
    config = config_from_dict(OLD | {"init": "bc"})
    assert config.settings["bc"].hidden == config.settings["agent"].hidden == (8, 9)
    assert config_from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("key", RENAMED)
def test_an_old_key_is_answered_with_the_new_one(key):
    method = "fem" if key == "reward.step" else "gail"
    with pytest.raises(ImitaxError) as error:
        override(default_settings(method, "ppo"), key, 1)
    new = RENAMED[key]
    assert (
        str(error.value)
        == f"Setting '{key}' is called '{new}' since version 0.2: see `imitax methods`."
    )
    assert make_config(method, "Acrobot-v1", overrides={new: 1})  # there is such a setting


def test_an_old_key_of_another_method_is_unknown():
    with pytest.raises(ImitaxError, match=r"Unknown setting 'agent.decay_iterations'"):
        override(default_settings("gail", "trpo"), "agent.decay_iterations", 5)
