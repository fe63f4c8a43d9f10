"""Bad input ends with exit code 2, one sentence, and every file as it was."""

import shutil
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from imitax import formats
from imitax.demonstrations import Demonstrations
from imitax.experts.demonstrate import load_demonstrations

GAIL = "train gail Acrobot-v1 --demos Acrobot-v1/1"  # complete, but for what a test adds
CLONING = "train bc Acrobot-v1 --demos Acrobot-v1/1"


def table(rows):
    """Parameters (command, message) of a test, with the command as their name."""
    return pytest.mark.parametrize("command, message", rows, ids=[command for command, _ in rows])


@table(
    [
        ("train gail Acrobt-v1 --demos Acrobot-v1/1", "did you mean Acrobot-v1"),
        ("demos make Acrobt-v1", "did you mean Acrobot-v1"),
        ("expert CartPole-v77", "did you mean CartPole-v1"),
        ("expert nowhere:Cart-v0", "Environment 'nowhere:Cart-v0' cannot be made"),
        ("expert LunarLander-v3 --backend native", "Unknown native environment"),
        ("train gial Acrobot-v1", "Unknown method 'gial': did you mean gtal or gail"),
        (f"{GAIL} --agent pop", "Unknown agent 'pop': did you mean ppo"),
        (f"{GAIL} --preset orignal", "Unknown preset 'orignal': did you mean original"),
        (f"{GAIL} --set reward.fom=logit", "'reward.fom': did you mean reward.form"),
        (f"{GAIL} --set bc.epochs=3", "Unknown setting 'bc.epochs'"),
        (f"{GAIL} --set reward.form=logd", "Unknown reward form 'logd': did you mean log_d"),
        (f"{CLONING} --steps 9", "Unknown setting 'loop.env_steps'"),
        ("study acrobat", "Unknown study 'acrobat': did you mean acrobot"),
        ("study acrobot --only gail-3", "Unknown case 'gail-3': did you mean gail-"),
        ("benchmark clasic", "Unknown benchmark 'clasic': did you mean classic"),
        ("benchmark classic --agent pop", "Unknown agent 'pop': did you mean ppo"),
        ("benchmark classic --only CartPole-v1/bc/2", "Unknown cell 'CartPole-v1/bc/2': did you"),
        ("benchmark classic --report", "paper.jsonl' holds no raw results"),
        ("benchmark mujoco --limit paper", "Option limit is 'paper', but on MuJoCo"),
    ]
)
def test_unknown_names(refuse, command, message):
    refuse(command, message)


@table(
    [
        (f"{GAIL} --seeds 0", "seeds is 0: expected at least 1"),
        (f"{GAIL} --seed -1", "seed is -1: expected at least 0"),
        (f"{GAIL} --iterations 0", "'loop.iterations' is 0: expected at least 1"),
        (f"{CLONING} --iterations 0", "'bc.epochs' is 0: expected at least 1"),
        (f"{GAIL} --steps 0", "'loop.env_steps' is 0: expected at least 1"),
        (f"{GAIL} --steps 3", "'agent.minibatches' is 4: expected at most the 3 steps"),
        (f"{GAIL} --episodes 0", "episodes is 0: expected at least 1"),
        (f"{GAIL} --checkpoint-every -1", "checkpoint-every is -1: expected at least 0"),
        (f"{GAIL} --subsample 0", "subsample is 0: expected at least 1"),
        (f"{CLONING} --subsample 500", "One pair cannot be split"),
        (f"{GAIL} --trajectories 0", "trajectories is 0: expected at least 1"),
        (f"{GAIL} --trajectories 2", "choose 2 trajectories, but these demonstrations hold 1"),
        (f"{GAIL} --time-limit 0", "Time limit is 0: expected at least 1"),
        (f"{GAIL} --time-limit 50", "must not exceed the time limit of 50"),
        (f"{GAIL} --set reward.updates", "'reward.updates' has no '='"),
        (
            f"{GAIL} --set reward.updates=many",
            "'reward.updates' is 'many': expected a whole number",
        ),
        (f"{GAIL} --set loop.max_envs=0", "'loop.max_envs' is 0"),
        (f"{GAIL} --set agent.clip=nan", "'agent.clip' is nan: expected a finite number"),
        (f"{GAIL} --set reward.updates=0 --set loop.max_envs=4", "'reward.updates' is 0"),
        ("demos make Acrobot-v1 --trajectories 1 0", "trajectories is 1 0: expected"),
        ("demos make Acrobot-v1 --trajectories", "trajectories is empty: expected"),
        ("demos make Acrobot-v1 --seed -1", "seed is -1"),
        ("study acrobot --seeds 0", "seeds is 0: expected at least 1"),
        ("study acrobot --iterations 0", "iterations is 0: expected at least 1"),
        ("benchmark classic --workers 0", "Option workers is 0: expected at least 1"),
        ("quickstart --seed -1", "seed is -1"),
    ]
)
def test_numbers_out_of_range(refuse, command, message):
    refuse(command, message)


@pytest.fixture
def files(tmp_path):
    """Demonstrations that cannot be used, and a folder that is taken."""
    good = load_demonstrations("Acrobot-v1/1")
    formats.save(good, tmp_path / "good.npz")
    content = (tmp_path / "good.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.csv").write_text("state,action\n")
    (tmp_path / "folder").mkdir()
    actions = good.actions.copy()
    actions[1] = 7
    formats.save(replace(good, actions=actions), tmp_path / "outside.npz")
    episode = good.observations, np.zeros((good.pairs, 1), np.float32)
    continuous = Demonstrations.from_episodes([episode], terminated=True)
    formats.save(continuous, tmp_path / "box.npz")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/Acrobot-v1-4.npz").write_text("mine")


@table(
    [
        ("train gail Acrobot-v1", "learns from demonstrations"),
        ("train gail Acrobot-v1 --demos none.npz", "In 'none.npz': no such file"),
        ("train gail Acrobot-v1 --demos Acrobot-v1/2", "In 'Acrobot-v1/2': no such file"),
        ("train gail Acrobot-v1 --demos minari:a/b-v0", "no such dataset on this machine"),
        ("train gail Acrobot-v1 --demos cut.npz", "cut off"),
        ("train gail Acrobot-v1 --demos text.csv", "found the suffix '.csv'"),
        ("train gail Acrobot-v1 --demos folder", "without metadata.json"),
        ("train gail CartPole-v1 --demos good.npz", "have size 4, found size 6"),
        ("train constant CartPole-v1 --demos good.npz", "have size 4, found size 6"),
        ("train gail Acrobot-v1 --demos box.npz", "actions of Acrobot-v1 are integers [N]"),
        ("train bc Acrobot-v1 --demos outside.npz", "must lie in 0 … 2, but pair 1 has 7"),
        ("demos inspect cut.npz", "cut off"),
        ("demos convert none.json new.npz", "no such file"),
        ("demos convert good.npz new.pkl", "lacks a known suffix"),
        ("demos convert good.npz new.npz --env CartPole-v1", "have size 4, found size 6"),
    ]
)
def test_demonstrations_that_cannot_be_used(files, refuse, command, message):
    refuse(command, message)


@table(
    [
        (f"{GAIL} --out taken", "Output folder 'taken' exists"),
        (f"{GAIL} --out text.csv/run", "Output folder 'text.csv/run' cannot be made"),
        ("expert Acrobot-v1 --out taken", "Output folder 'taken' exists"),
        ("quickstart --out taken", "Output folder 'taken' exists"),
        ("demos make Acrobot-v1 --out taken", "File 'taken/Acrobot-v1-4.npz' exists"),
        ("demos convert good.npz taken", "exists already and is not written over"),
        ("study acrobot --out text.csv/study", "text.csv"),
    ]
)
def test_nothing_is_overwritten(files, refuse, command, message):
    refuse(command, message)


RUN_FILES = ["config.json", "metrics.jsonl", "policy.safetensors", "policy.json", "summary.json"]


@pytest.mark.parametrize("missing", RUN_FILES)
def test_incomplete_runs(trained, refuse, tmp_path, missing):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    (tmp_path / "run" / missing).unlink()
    message = f"Run folder 'run' is incomplete: {missing} is missing"
    commands = ["evaluate run", "watch run --save a.gif", "demos make Acrobot-v1 --policy run"]
    if not missing.startswith("policy"):  # which a report needs only for its animation
        commands.append("report run")
    for command in commands:
        refuse(command, message)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("config.json", "{", "'run/config.json' cannot be read as JSON"),
        ("config.json", "[]", "'run/config.json' is not of a run"),
        ("config.json", '{"run": {"method": "gail"}}', "configuration is damaged"),
        ("summary.json", "", "'run/summary.json' cannot be read as JSON"),
        ("policy.json", "{}", "cannot be read"),
        ("policy.safetensors", "nonsense", "cannot be read"),
    ],
)
def test_damaged_runs(trained, refuse, tmp_path, name, content, message):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    (tmp_path / "run" / name).write_text(content)
    refuse("evaluate run", message)


@table(
    [
        ("report", "at least one run folder, found none"),
        ("report run none", "Run folder 'none' does not exist"),
        ("report run run", "Run folder 'run' is given twice"),
        ("report run other", "Runs of different tasks cannot be compared: 'run' is of"),
        ("report run --out new.pdf", "has the ending '.pdf': expected .html"),
        ("report run --out old.html", "File 'old.html' exists"),
        ("evaluate none", "Run folder 'none' does not exist"),
        ("evaluate run --episodes 0", "episodes is 0: expected at least 1"),
        ("evaluate run --seed 9999999999", "seed is 9999999999: expected"),
        ("watch run --save new.gif --policy 2", "has seeds 0 … 1, not 2"),
        ("watch run --save new.gif --seed -1", "seed is -1"),
        ("watch run --save new.gif --episodes 0", "episodes is 0: expected at least 1"),
        ("watch run --save new.avi", "has the ending '.avi': expected .gif or .mp4"),
        ("watch run --save old.gif", "File 'old.gif' exists"),
        ("watch run --save none/new.gif", "none/new.gif"),
        ("export run --out old.onnx", "File 'old.onnx' exists"),
        ("export run --out a.pt", "has the ending '.pt': expected .onnx"),
        ("export run --out a.onnx --seed-index 2", "has seeds 0 … 1, not 2"),
        ("export run --out old.gif/a.onnx", "old.gif/a.onnx' cannot be written"),
        ("demos make CartPole-v1 --policy run", "policy is for 'Acrobot-v1'"),
    ]
)
def test_wrong_uses_of_a_run(trained, refuse, tmp_path, command, message):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    shutil.copytree(trained("gymnasium")[0], tmp_path / "other")
    for name in ("old.gif", "old.html", "old.onnx"):
        (tmp_path / name).write_text("mine")
    refuse(command, message)


class Odd(gymnasium.Env):
    """An environment whose spaces are given."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space


VECTOR = spaces.Box(-1.0, 1.0, (2,))
TWO = spaces.Discrete(2)
ODD = {
    "Dict": (spaces.Dict({"x": VECTOR}), TWO, 9, "Observations of"),
    "image": (spaces.Box(0, 255, (8, 8, 3), np.uint8), TWO, 9, "(image)"),
    "MultiDiscrete": (VECTOR, spaces.MultiDiscrete([2, 3]), 9, "Actions of"),
    "Discrete from 1": (VECTOR, spaces.Discrete(2, start=1), 9, "only Discrete from 0 and bounded"),
    "unbounded": (VECTOR, spaces.Box(-np.inf, np.inf, (2,)), 9, "only Discrete from 0 and bounded"),
    "no limit": (VECTOR, TWO, None, "has no time limit"),
}


@pytest.mark.parametrize("observations, actions, limit, message", ODD.values(), ids=ODD.keys())
def test_environments_that_are_not_supported(refuse, observations, actions, limit, message):
    arguments = {"observation_space": observations, "action_space": actions}
    gymnasium.register("ImitaxOdd-v0", Odd, max_episode_steps=limit, kwargs=arguments)
    try:
        refuse("expert ImitaxOdd-v0", message)
        refuse("demos make ImitaxOdd-v0", "'ImitaxOdd-v0'")
    finally:
        del gymnasium.registry["ImitaxOdd-v0"]
