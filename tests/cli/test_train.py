"""Commands that train: what a run folder holds, what is printed, and that a run can be
repeated.
"""

import itertools
import json
import shlex
import xml.etree.ElementTree
from dataclasses import replace

import numpy as np
import pytest

from imitax import formats
from imitax.envs import make
from imitax.experts.demonstrate import load_demonstrations
from imitax.policies.policy import save_policies
from imitax.runs.command import repeat_command
from imitax.runs.read import read_run
from imitax.runs.samples import load_samples
from imitax.training.config import config_from_dict
from imitax.training.fit import fit

RUN_FILES = {
    *("config.json", "metrics.jsonl", "policy.safetensors", "policy.json", "summary.json"),
    *("visits.npz", "report.html", "figures/learning.png", "figures/learning.svg"),
}
CHECKPOINTS = {"checkpoints/best.safetensors", "checkpoints/iteration-00000002.safetensors"}
LOOP_METRICS = {"episode_return", "episode_length", "reward_mean", "policy_loss", "entropy"}
GAIL_METRICS = LOOP_METRICS | {"discriminator_loss", "expert_score"}


def load(path):
    return json.loads(path.read_text())


def metrics_of(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def check_folder(path, summary, files, iterations, metrics, steps):
    """A run folder of two seeds and two episodes for each: its files and what they hold."""
    assert {str(f.relative_to(path)) for f in path.rglob("*") if f.is_file()} == RUN_FILES | files
    config = load(path / "config.json")
    assert config["run"]["seeds"] == 2
    assert set(config["versions"]) > {"python", "imitax", "jax", "gymnasium"}

    lines, first = metrics_of(path), config["run"]["seed"]
    expected = itertools.product(range(iterations), (first, first + 1))
    assert [(line["iteration"], line["seed"]) for line in lines] == list(expected)
    assert len({tuple(line) for line in lines}) == 1 and set(lines[0]) >= metrics
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds) and 0 < seconds[0]
    assert seconds[-1] <= summary["seconds"] + 0.5

    assert load(path / "summary.json") == summary
    assert summary["deterministic"]["episodes"] == summary["sampled"]["episodes"] == 4
    assert len(summary["sampled"]["seed_means"]) == 2
    assert summary["env_steps_per_seed"] == steps
    assert load(path / "policy.json")["seeds"] == 2
    assert (path / "figures/learning.png").read_bytes().startswith(b"\x89PNG")
    root = xml.etree.ElementTree.parse(path / "figures/learning.svg").getroot()
    assert root.tag.endswith("svg")
    assert (path / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("name", ["expert", "gymnasium"])
def test_run_folder_without_demonstrations(trained, name):
    check_folder(*trained(name), CHECKPOINTS, 2, LOOP_METRICS, 128)


def test_run_folder_of_gail(trained):
    files = CHECKPOINTS | {"demonstrations.npz"}
    check_folder(*trained("gail"), files, 2, GAIL_METRICS, 128)


def test_run_folder_of_cloning(trained):
    losses = {"validation_loss", "train_loss"}
    check_folder(*trained("bc"), {"demonstrations.npz"}, 3, losses, 0)


def test_options_reach_the_run(trained):
    path = trained("gail")[0]
    config = load(path / "config.json")
    assert config["demonstrations"]["source"] == "Acrobot-v1/4"
    assert config["demonstrations"]["trajectories"] == 4
    assert [config["run"][key] for key in ("seed", "trajectories", "subsample")] == [3, 2, 5]
    loss = metrics_of(path)[0]["discriminator_loss"]
    assert loss == pytest.approx(2 * np.log(2), rel=1e-5)
    assert {line["reward_mean"] for line in metrics_of(trained("constant")[0])} == {0.0}


def test_presets_reach_the_run(trained):
    original = load(trained("original")[0] / "config.json")["run"]
    assert original["preset"] == "original"
    assert original["settings"]["reward"]["form"] == "d_minus_one"
    # A second --set adds to the first.
    assert (
        original["settings"]["agent"]["hidden"] == original["settings"]["reward"]["hidden"] == [8]
    )
    paper = load(trained("paper")[0] / "config.json")["run"]
    assert paper["agent"] == "trpo" and paper["settings"]["reward"]["form"] == "log_d"


@pytest.mark.parametrize("name", ["expert", "gail", "bc"])
def test_configuration_is_enough_to_repeat_a_run(trained, tmp_path, name):
    path, _ = trained(name)
    written = load(path / "config.json")
    config = config_from_dict(written["run"])
    env = make(config.env, config.backend, config.time_limit)
    demonstrations = None
    if written["demonstrations"] is not None:
        demonstrations = load_demonstrations(written["demonstrations"]["source"], env.spec)
        assert demonstrations.fingerprint() == written["demonstrations"]["fingerprint"]
    save_policies(fit(config, env, demonstrations).policies, tmp_path / "again.safetensors")
    again = (tmp_path / "again.safetensors").read_bytes()
    assert again == (path / "policy.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["gail", "paper", "gymnasium"])
def test_the_command_of_a_report_repeats_the_run(trained, read, tmp_path, name):
    path, _ = trained(name)
    command = shlex.split(repeat_command(read_run(path)).replace("\\\n", " "))
    assert command[0] == "imitax"
    read(*command[1:], "--out", "again")
    again = (tmp_path / "again/policy.safetensors").read_bytes()
    assert again == (path / "policy.safetensors").read_bytes()
    before, after = load(path / "config.json"), load(tmp_path / "again/config.json")
    assert before["run"] == after["run"] and before["demonstrations"] == after["demonstrations"]


def test_runs_keep_samples_of_observations(trained):
    samples = load_samples(trained("gail")[0] / "visits.npz")
    assert samples.iterations.tolist() == [0, 1] and samples.policy.shape == (2, 2, 64, 6)
    demonstrations = load_demonstrations("Acrobot-v1/4")
    first = demonstrations.observations[: demonstrations.lengths[0]]
    np.testing.assert_array_equal(samples.episode, first)
    # Two of the four trajectories, and every fifth pair of them.
    assert 0 < len(samples.demonstrations) < demonstrations.pairs / 5
    assert load_samples(trained("bc")[0] / "visits.npz").policy.shape[:2] == (1, 2)
    assert load_samples(trained("expert")[0] / "visits.npz").demonstrations.shape == (0, 6)


def test_answer_in_words(imitax, commands, tmp_path):
    answer = imitax(*commands["bc"], "--out", "run")
    assert answer.code == 0 and "Written to run/" in answer.out
    for word in ("deterministic", "sampled", "expert", "random"):
        assert word in answer.out
    assert "bc: 3/3" in answer.err  # progress in plain lines, on stderr
    assert imitax(*commands["bc"]).code == 0 and len(list((tmp_path / "runs").iterdir())) == 1


def test_quiet_and_verbose(imitax, commands):
    assert imitax(*commands["bc"], "--out", "run", "--quiet") == (0, "run\n", "")
    answer = imitax(*commands["bc"], "--out", "again", "-v")
    assert [f"bc: {i}/3" in answer.err for i in (1, 2, 3)] == [True] * 3
    assert "hidden=(8,)" in answer.err and "Written to again/" in answer.out
    with_json = imitax(*commands["bc"], "--out", "third", "-q", "--json")
    assert json.loads(with_json.out)["method"] == "bc" and with_json.err == ""


@pytest.mark.parametrize(
    "command", ["expert Acrobot-v1", "resume run", "quickstart", "study acrobot"]
)
def test_quiet_and_verbose_at_once_are_refused(refuse, command):
    refuse(f"{command} --quiet --verbose", "contradict each other")


def test_logging(imitax, commands, tmp_path):
    twice = ["--log", "tensorboard", "--log", "tensorboard"]
    answer = imitax(*commands["bc"], "--out", "run", *twice, "--json")
    assert answer.code == 0 and json.loads(answer.out)["method"] == "bc"
    folders = {str(f.parent.relative_to(tmp_path)) for f in tmp_path.rglob("events.out.tfevents.*")}
    assert folders == {f"run/tensorboard/{name}" for name in ("mean", "seed0", "seed1")}


def test_demonstrations_are_checked_first(refuse, tmp_path):
    demonstrations = load_demonstrations("Acrobot-v1/4")
    wrong = replace(demonstrations, observations=100 * demonstrations.observations)
    formats.save(wrong, tmp_path / "wrong.npz")
    command = "train gail Acrobot-v1 --demos wrong.npz --check --out run"
    refuse(command, "Demonstrated episodes start where the environment does not")


def test_a_report_that_cannot_be_written_does_not_end_a_run(
    imitax, commands, tmp_path, monkeypatch
):
    def fail(*arguments):
        raise OSError("no room")

    monkeypatch.setattr("imitax.report.write.page", fail)
    answer = imitax(*commands["bc"], "--out", "run")
    assert answer.code == 0 and "no report was written: no room" in answer.err
    assert "Report:" not in answer.out
    assert not (tmp_path / "run/report.html").exists() and (tmp_path / "run/summary.json").exists()
