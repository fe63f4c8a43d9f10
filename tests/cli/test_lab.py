"""Commands that run experiments: quickstart, transfer, study."""

import json

import numpy as np
import pytest

from imitax.experts.demonstrate import load_demonstrations
from imitax.studies import acrobot, quickstart
from imitax.training import train as training
from imitax.training.config import make_config

# programs of the trained runs
SMALL = {"loop.env_steps": 64, "loop.max_envs": 4, "agent.hidden": (8,)}


def times(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*.npz")}


def test_study_runs_only_what_is_missing(imitax, read, refuse, tmp_path, monkeypatch):
    def small(*arguments, settings, **options):
        return train(*arguments, settings=SMALL, **options)

    train = training.train
    monkeypatch.setattr(training, "train", small)
    monkeypatch.setattr(acrobot, "EPISODES", 2)
    command = "study acrobot --seeds 2 --iterations 2 --out s".split()
    summary = read(*command, "--only", "constant")
    assert list(summary) == ["constant"]
    assert len(summary["constant"]["return_sampled"]["seed_means"]) == 2
    before = times(tmp_path / "s")
    assert [file.name for file in before] == ["constant.npz"]

    with np.load(tmp_path / "s/raw/constant.npz") as data:
        result = dict(data)
    curves = {f"curve_{key}": np.linspace(0.2, 0.8, 4).reshape(2, 2) for key in acrobot.METRICS}
    calls = []

    def run(case, seeds, iterations, progress):
        calls.append(case)
        assert (seeds, iterations) == (2, 2)
        return curves | result

    monkeypatch.setattr(acrobot, "STUDY", acrobot.STUDY._replace(run=run))
    assert list(read(*command)) == list(acrobot.CASES)
    assert calls == [key for key in acrobot.CASES if key != "constant"]
    figures = {file.name for file in (tmp_path / "s/figures").iterdir()}
    names = [name for name, *_ in acrobot.FIGURES]
    assert figures == {f"{name}{suffix}" for name in names for suffix in (".png", ".svg")}
    after = times(tmp_path / "s")
    assert after.items() >= before.items()

    answer = imitax(*command)
    assert answer.code == 0 and all(key in answer.out for key in acrobot.CASES)
    assert len(calls) == len(acrobot.CASES) - 1 and times(tmp_path / "s") == after
    refuse("study acrobot --seeds 3 --iterations 2 --out s", "of another study")
    refuse("study acrobot --seeds 2 --iterations 3 --out s", "of another study")


def test_the_exact_part_of_the_theory_study(read, tmp_path):
    summary = read(*"study theory --seeds 1 --only propositions conjugates --out s".split())
    gaps = [entry["value"] for label, entry in summary.items() if "proposition 3.2" in label]
    assert len(gaps) == 5 and max(gaps) < 1e-4
    figures = {file.name for file in (tmp_path / "s/figures").iterdir()}
    names = ("d-conjugates", "e-propositions")
    assert figures == {f"{name}{suffix}" for name in names for suffix in (".png", ".svg")}
    assert "proposition 3.2, GAIL" in (tmp_path / "s/results.md").read_text()


def test_irl_from_demonstrations_to_transfer(imitax, read, refuse):
    description = read(*"demos make gridworld --trajectories 30 --out sets".split())
    assert description["sets/gridworld-30.npz"]["returns"]["mean"] > 0.4
    train = "train mce_irl gridworld --demos sets/gridworld-30.npz --episodes 5 --out run"
    answer = imitax(*train.split(), "--set", "mce_irl.reward=linear")
    assert answer.code == 0 and "learnt policy" in answer.out
    assert "up to shaping and scale" in " ".join(answer.out.split())
    assert "mce_irl: " in answer.err
    result = read("transfer", "run", "gridworld-moved")
    assert result["return_planned_anew"][0] > result["return_old_policy"][0]
    text = imitax("transfer", "run", "gridworld-slippery").out
    assert "planned with the learnt reward" in text
    assert read("evaluate", "run", "--episodes", 3)["episodes"] == 3
    refuse("transfer run CartPole-v1", "has no table of transitions")
    refuse("watch run --save a.gif", "Environment 'gridworld' cannot be rendered")
    command = "train mce_irl CartPole-v1 --demos sets/gridworld-30.npz"
    refuse(command, "observations of CartPole-v1")


def test_transfer_needs_a_learnt_reward(trained, refuse):
    refuse(["transfer", trained("bc")[0], "gridworld"], "only mce_irl leaves one")


@pytest.fixture
def small_quickstart(monkeypatch):
    """The quick start with the programs of the trained runs."""

    def small_config(method, env, **options):
        loop = SMALL | {"loop.iterations": 2}
        special = {
            "bc": {"bc.hidden": (8,), "bc.epochs": 3},
            "gail": loop | {"reward.hidden": (8,)},
        }
        overrides = special.get(method, loop)
        return make_config(method, env, overrides=overrides, seeds=2, **options)

    monkeypatch.setattr(quickstart, "make_config", small_config)
    monkeypatch.setattr(quickstart, "EPISODES", 2)
    monkeypatch.setattr(quickstart, "TRAJECTORIES", 2)


def test_quickstart(small_quickstart, read, refuse, tmp_path):
    summary = read("quickstart", "--out", "quick", "--seed", 1)
    assert summary == json.loads((tmp_path / "quick/summary.json").read_text())
    assert list(summary["policies"]) == ["random", "expert", "bc", "gail", "constant"]
    for name, entry in summary["policies"].items():
        assert entry["sampled"]["episodes"] == 2
        assert (entry["deterministic"] is None) == (name == "random")
    assert load_demonstrations("quick/demonstrations.npz").lengths.size == 2
    figures = {file.name for file in (tmp_path / "quick/figures").iterdir()}
    assert figures == {"quickstart.png", "quickstart.svg"}
    page = (tmp_path / "quick/report.html").read_text()
    labels = ("GAIL on Acrobot-v1", "Behaviour cloning", "Constant reward (control)")
    for label in (*labels, "PPO on the true"):
        assert label in page
    for name in ("bc", "gail", "constant", "expert"):
        assert read("evaluate", f"quick/{name}", "--episodes", 2)["episodes"] == 4
    refuse("quickstart --out quick", "Output folder 'quick' exists")
    _, columns, rows = quickstart.comparison_table(summary)
    names = ["random", "expert", "", "bc", "", "gail", "", "constant", ""]
    assert [row[0] for row in rows] == names
    assert {len(row) for row in rows} == {len(columns)} and rows[0][1] == "sampled"
