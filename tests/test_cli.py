"""Every command in this process, at tiny sizes: what it answers, what it writes, what it refuses."""

import inspect
import io
import itertools
import json
import shlex
import shutil
import sys
import xml.etree.ElementTree
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import NamedTuple

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

from imitax import cli, formats
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.experts.demonstrate import load_demonstrations
from imitax.policies.policy import save_policies
from imitax.report import animation
from imitax.runs import folder as runs
from imitax.runs.command import repeat_command
from imitax.runs.read import read_run
from imitax.runs.samples import load_visits
from imitax.studies import acrobot, quickstart
from imitax.training.config import config_from_dict, make_config
from imitax.training.fit import fit

# Compiling is nearly all of the time these tests take, so runs share what they can: sizes, seeds, episodes.
TINY = "--seeds 2 --iterations 2 --steps 64 --episodes 2 --set loop.envs=4 agent.hidden=8".split()
RUNS = {
    "expert": ["expert", "Acrobot-v1", *TINY],
    "gail": [*"train gail Acrobot-v1 --demos Acrobot-v1/4 --trajectories 2 --subsample 5".split(),
             *TINY, "reward.hidden=8", "--seed", "3"],
    "original": [*"train gail Acrobot-v1 --demos Acrobot-v1/1 --preset original".split(), *TINY,
                 "--set", "reward.hidden=8"],
    "paper": [*"train gail Acrobot-v1 --demos Acrobot-v1/1 --preset paper".split(), *TINY,
              "reward.hidden=8"],
    "constant": [*"train constant Acrobot-v1".split(), *TINY],
    "gymnasium": [*"train constant CartPole-v1 --agent trpo --backend gymnasium".split(), *TINY],
    "bc": [*"train bc Acrobot-v1 --demos Acrobot-v1/4 --seeds 2 --iterations 3 --episodes 2".split(),
           *"--subsample 2 --set bc.hidden=8".split()],
}  # fmt: skip
GAIL = "train gail Acrobot-v1 --demos Acrobot-v1/1"  # complete, but for what a test adds


class Answer(NamedTuple):
    """What a command leaves behind in a terminal."""

    code: int
    out: str
    err: str


def imitax(*arguments) -> Answer:
    """Runs `imitax ARGUMENTS`."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["imitax", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
    return Answer(code, out.getvalue(), err.getvalue())


def read(*arguments):
    """What the command answers with --json."""
    answer = imitax(*arguments, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder, without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


@pytest.fixture(scope="module", autouse=True)
def compile_quickly():
    """Programs run for less time here than it takes to optimise them."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module", autouse=True)
def short_films():
    """Every run ends with a report; a few frames of its long episodes are rendered quickly."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(animation, "MAX_FRAMES", 4)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """name -> run folder and summary of one of `RUNS`, trained when it is first asked for."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def train(name):
        return folder / name, read(*RUNS[name], "--out", folder / name)

    return train


# Asking


COMMANDS = {
    "quickstart": cli.training.quickstart,
    "expert": cli.training.expert,
    "train": cli.training.train,
    "evaluate": cli.looking.evaluate,
    "watch": cli.looking.watch,
    "transfer": cli.looking.transfer,
    "report": cli.looking.report,
    "methods": cli.looking.methods,
    "envs": cli.looking.envs,
    "study": cli.training.study,
    "export": cli.exporting.export,
    "doctor": cli.helping.doctor,
    "diagnose": cli.checking.diagnose,
    "control": cli.checking.control,
    "resume": cli.training.resume,
    "demos list": cli.datasets.list_demonstrations,
    "demos make": cli.demos.make,
    "demos record": cli.demos.record,
    "demos inspect": cli.demos.inspect,
    "demos convert": cli.demos.convert,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_option_with_its_default(command):
    answer = imitax(*command.split(), "--help")
    assert answer.code == 0 and answer.err == ""
    text = " ".join(answer.out.replace("│", " ").split())
    for name, parameter in inspect.signature(COMMANDS[command]).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            assert "(required)" in text
        else:
            assert f"--{name.replace('_', '-')}" in text
            if isinstance(parameter.default, int):
                assert f"(default: {parameter.default})" in text
    assert "--json" in text


@pytest.mark.parametrize("command", ["", "demos"])
def test_help_lists_the_commands(command):
    answer = imitax(*command.split(), "--help")
    assert answer.code == 0
    for name in COMMANDS:
        if name.startswith(command):
            assert name.removeprefix(command).split()[0] in answer.out


def test_version():
    from importlib.metadata import version

    assert imitax("--version") == Answer(0, f"imitax {version('imitax')}\n", "")


def test_methods():
    text, data = imitax("methods").out, read("methods")
    assert data["presets"] == ["original", "paper"]
    assert data["method gail"]["settings"]["reward.learning_rate"]["default"] == 0.003
    assert data["agent ppo"]["settings"]["agent.hidden"]["default"] == [100, 100]
    assert data["loop"]["settings"]["loop.steps"]["default"] == 5120
    for group in data.values():
        for key in group.get("settings", ()) if isinstance(group, dict) else ():
            assert key in text
    assert {f"method {name}" for name in ("bc", "gail", "constant", "rl")} < set(data)


def test_envs():
    data = read("envs")
    assert "Acrobot-v1" in data["native"] and "LunarLander-v3" in data["gymnasium"]
    assert data["demonstrations"] == [f"Acrobot-v1/{count}" for count in (1, 4, 7, 10)]
    assert "Acrobot-v1/10" in imitax("envs").out


# Runs


def metrics_of(path):
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", RUNS)
def test_run_folder_holds_everything(trained, name):
    path, summary = trained(name)
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    wanted = {"config.json", "metrics.jsonl", "policy.safetensors", "policy.json", "summary.json",
              "visits.npz", "report.html", "figures/learning.png", "figures/learning.svg"}  # fmt: skip
    if "--demos" in RUNS[name]:
        wanted.add("demonstrations.npz")
    if name != "bc":
        wanted |= {"checkpoints/best.safetensors", "checkpoints/iteration-00000002.safetensors"}
    assert files == wanted
    config = json.loads((path / "config.json").read_text())
    run = config["run"]
    iterations = run["settings"]["bc"]["epochs"] if name == "bc" else run["settings"]["loop"]["iterations"]
    assert run["seeds"] == 2 and iterations == (3 if name == "bc" else 2)
    assert set(config["versions"]) > {"python", "imitax", "jax", "gymnasium"}

    lines = metrics_of(path)
    wanted = itertools.product(range(iterations), range(run["seed"], run["seed"] + run["seeds"]))
    assert [(line["iteration"], line["seed"]) for line in lines] == list(wanted)
    assert len({tuple(line) for line in lines}) == 1
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds) and 0 < seconds[0] and seconds[-1] <= summary["seconds"] + 0.5
    own = {"bc": {"validation_loss", "train_loss"}, "gail": {"discriminator_loss", "expert_score"}}
    loop = {"episode_return", "episode_length", "reward_mean", "policy_loss", "entropy"}
    assert set(lines[0]) >= own.get(run["method"], set()) | (set() if name == "bc" else loop)

    assert json.loads((path / "summary.json").read_text()) == summary
    assert summary["deterministic"]["episodes"] == summary["sampled"]["episodes"] == 2 * run["seeds"]
    assert len(summary["sampled"]["seed_means"]) == run["seeds"]
    assert summary["env_steps_per_seed"] == (0 if name == "bc" else 128)
    assert json.loads((path / "policy.json").read_text())["seeds"] == run["seeds"]
    assert (path / "figures/learning.png").read_bytes().startswith(b"\x89PNG")
    assert (path / "report.html").read_text().startswith("<!doctype html>")
    assert xml.etree.ElementTree.parse(path / "figures/learning.svg").getroot().tag.endswith("svg")


def test_options_reach_the_run(trained):
    config = json.loads((trained("gail")[0] / "config.json").read_text())
    assert config["demonstrations"]["source"] == "Acrobot-v1/4"
    assert config["demonstrations"]["trajectories"] == 4
    assert [config["run"][key] for key in ("seed", "trajectories", "subsample")] == [3, 2, 5]
    assert metrics_of(trained("gail")[0])[0]["discriminator_loss"] == pytest.approx(2 * np.log(2), rel=1e-5)
    original = json.loads((trained("original")[0] / "config.json").read_text())["run"]
    assert original["preset"] == "original" and original["settings"]["reward"]["form"] == "d_minus_one"
    # A second --set adds to the first.
    assert original["settings"]["agent"]["hidden"] == original["settings"]["reward"]["hidden"] == [8]
    paper = json.loads((trained("paper")[0] / "config.json").read_text())["run"]
    assert paper["agent"] == "trpo" and paper["settings"]["reward"]["form"] == "log_d"
    assert {line["reward_mean"] for line in metrics_of(trained("constant")[0])} == {0.0}


@pytest.mark.parametrize("name", RUNS)
def test_configuration_is_enough_to_repeat_a_run(trained, tmp_path, name):
    path, _ = trained(name)
    written = json.loads((path / "config.json").read_text())
    config = config_from_dict(written["run"])
    env = make(config.env, config.backend, config.time_limit)
    demonstrations = None
    if written["demonstrations"] is not None:
        demonstrations = load_demonstrations(written["demonstrations"]["source"], env.spec)
        assert demonstrations.fingerprint() == written["demonstrations"]["fingerprint"]
    save_policies(fit(config, env, demonstrations).policies, tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (path / "policy.safetensors").read_bytes()


def test_answer_in_words(tmp_path):
    answer = imitax(*RUNS["bc"], "--out", "run")
    assert answer.code == 0 and "Written to run/" in answer.out
    for word in ("deterministic", "sampled", "expert", "random"):
        assert word in answer.out
    assert "bc: 3/3" in answer.err  # progress in plain lines, on stderr
    assert imitax(*RUNS["bc"]).code == 0 and len(list((tmp_path / "runs").iterdir())) == 1


def test_evaluate(trained):
    path, _ = trained("gymnasium")
    told = read("evaluate", path, "--episodes", 2)
    assert np.shape(told["lengths"]) == np.shape(told["returns"]) == (2, 2)
    assert told["lengths"] == told["returns"]  # CartPole pays 1 per step
    assert told["episodes"] == 4 and told["mean"] == pytest.approx(np.mean(told["returns"]))
    assert read("evaluate", path, "--episodes", 2) == told
    assert read("evaluate", path, "--episodes", 2, "--seed", 1)["lengths"] != told["lengths"]
    assert read("evaluate", path, "--episodes", 2, "--stochastic")["lengths"] != told["lengths"]
    text = imitax("evaluate", path, "--episodes", 2).out
    assert all(word in text for word in ("all seeds", "seed 0", "seed 1", "95 % interval"))
    assert np.shape(read("evaluate", trained("gail")[0], "--episodes", 2)["lengths"]) == (2, 2)


def test_watch_writes_a_moving_picture(trained, tmp_path):
    from PIL import Image

    path, _ = trained("gymnasium")
    told = read("watch", path, "--save", "episode.gif", "--policy", 1)
    assert told["file"] == "episode.gif" and told["lengths"] == told["returns"] and told["lengths"][0] > 1
    with Image.open(tmp_path / "episode.gif") as image:
        assert image.format == "GIF" and 1 < image.n_frames <= told["lengths"][0] + 1
    answer = imitax("watch", path, "--save", "other.gif", "--stochastic", "--episodes", 2)
    assert answer.code == 0 and answer.out.count("Return") == 2
    assert answer.out.endswith("Written to other.gif\n")


def test_watch_in_a_window(trained):
    told = read("watch", trained("gymnasium")[0])  # a window that nobody sees
    assert told["file"] is None and told["lengths"] == told["returns"]


def test_export(trained, tmp_path):
    import onnxruntime

    path, _ = trained("gymnasium")
    told = read("export", path, "--out", "policy.onnx", "--seed-index", 1)
    assert told["file"] == "policy.onnx" and told["observations"] > 512 and told["ties"] == 0
    assert told["largest_difference"]["logits"] < 1e-4
    observations = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession("policy.onnx")
    (actions,) = session.run(["action"], {"observation": observations})
    np.testing.assert_array_equal(actions, runs.load_policy(path, 1)(observations))
    assert "checked on" in imitax("export", path, "--out", "first.onnx").out

    assert read("export", path, "--format", "safetensors", "--out", "all.safetensors")["policies"] == 2
    answer = imitax("export", path, "--format", "safetensors", "--out", "b.safetensors", "--seed-index", 1)
    assert answer.code == 0 and "1 of 2 policies" in answer.out
    same = runs.load_policy("b.safetensors")(observations)
    np.testing.assert_array_equal(same, runs.load_policy("all.safetensors", 1)(observations))


def test_export_where_the_environment_is_missing(trained, tmp_path):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    for name in ("config.json", "policy.json"):
        text = (tmp_path / "run" / name).read_text()
        (tmp_path / "run" / name).write_text(text.replace("Acrobot-v1", "Elsewhere-v0"))
    assert read("export", "run", "--out", "policy.onnx")["observations"] == 512
    assert "0 of them from episodes" in imitax("export", "run", "--out", "other.onnx").out


# Logging and levels


def test_logging(tmp_path):
    answer = imitax(*RUNS["bc"], "--out", "run", "--log", "tensorboard", "--log", "tensorboard", "--json")
    assert answer.code == 0 and json.loads(answer.out)["method"] == "bc"
    found = sorted(str(f.parent.relative_to(tmp_path)) for f in tmp_path.rglob("events.out.tfevents.*"))
    assert found == [f"run/tensorboard/{name}" for name in ("mean", "seed0", "seed1")]


def test_quiet_and_verbose(tmp_path):
    assert imitax(*RUNS["bc"], "--out", "run", "--quiet") == Answer(0, "run\n", "")
    answer = imitax(*RUNS["bc"], "--out", "again", "-v")
    assert [f"bc: {i}/3" in answer.err for i in (1, 2, 3)] == [True] * 3
    assert "hidden=(8,)" in answer.err and "Written to again/" in answer.out
    with_json = imitax(*RUNS["bc"], "--out", "third", "-q", "--json")
    assert json.loads(with_json.out)["method"] == "bc" and with_json.err == ""


@pytest.mark.parametrize("command", [GAIL, "expert Acrobot-v1", "quickstart", "study acrobot"])
def test_both_levels_at_once_are_refused(tmp_path, command):
    refused(tmp_path, f"{command} --quiet --verbose", "contradict each other")


# The installation


def test_doctor(monkeypatch):
    from imitax.doctor import judge as doctor

    data = read("doctor")
    assert data["works"] and {"versions", "extras", "machine", "cache", "renderers", "minari"} < set(data)
    monkeypatch.setattr(doctor, "probe", lambda: [{"stage": "JAX", "error": "it [exploded]"}])
    answer = imitax("doctor")
    assert answer.code == 1 and "it [exploded]" in answer.out and "cannot run" in answer.out
    monkeypatch.setattr(doctor, "probe", lambda: [])
    assert imitax("doctor").code == 0


def test_completion():
    answer = imitax("completion", "bash")
    assert answer.code == 0 and answer.err == ""
    assert answer.out.rstrip().endswith("complete -o default -F _imitax imitax")
    assert imitax("completion", "powershell").code == 2


def test_demonstrations_are_listed(monkeypatch, tmp_path):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    data = read("demos", "list")
    assert data["local"] == [] and "remote" not in data
    assert data["shipped"]["Acrobot-v1/4"]["episodes"] == 4
    shutil.copytree(_minari_dataset(tmp_path), tmp_path / "minari/imitax/acrobot-v1-v0/data")
    assert read("demos", "list")["local"][0]["id"] == "imitax/acrobot-v1-v0"
    text = imitax("demos", "list").out
    assert "Acrobot-v1/10" in text and "minari:imitax/acrobot-v1-v0" in text
    assert read("demos", "inspect", "minari:imitax/acrobot-v1-v0")["episodes"] == 4


def _minari_dataset(folder):
    formats.save(load_demonstrations("Acrobot-v1/4"), folder / "shown")
    return folder / "shown"


# What a result is worth


def test_diagnose_and_control(trained, tmp_path):
    path, summary = trained("gail")
    found = read("diagnose", path)
    assert {"severity", "title", "evidence", "advice"} == set(found[0])
    assert "Few seeds" in {finding["title"] for finding in found}
    text = imitax("diagnose", path).out
    assert "Try: --seeds 5" in text and "Looked for: result, discriminator won" in text
    told = read("control", path, "--out", "controls")
    assert told["run"]["return"] == summary["sampled"]["mean"] and told["verdict"].startswith(
        "The run scores"
    )
    refused(tmp_path, ["control", trained("bc")[0]], "controls are for gail, fem and gtal")


def test_data_is_checked_first(tmp_path):
    shown = load_demonstrations("Acrobot-v1/4")
    wrong = replace(shown, observations=100 * shown.observations)
    formats.save(wrong, tmp_path / "wrong.npz")
    command = "train gail Acrobot-v1 --demos wrong.npz --check --out run"
    refused(tmp_path, command, "Demonstrated episodes start where the environment does not")


# Reports


def test_report_compares_runs(trained, tmp_path):
    paths = [trained(name)[0] for name in ("gail", "bc", "constant", "expert")]
    told = read("report", *paths, "--out", "all.html")
    assert told == {"file": "all.html", "bytes": (tmp_path / "all.html").stat().st_size}
    text = (tmp_path / "all.html").read_text()
    assert text.startswith("<!doctype html>") and "GAIL on Acrobot-v1" in text and 'id="films"' in text
    answer = imitax("report", paths[1], "--still")
    assert answer.code == 0 and answer.out.startswith("Written to report.html (0.")
    assert 'id="films"' not in (tmp_path / "report.html").read_text()


def test_a_report_that_cannot_be_made_takes_nothing_from_a_run(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no room")

    monkeypatch.setattr("imitax.report.write.page", fail)
    answer = imitax(*RUNS["bc"], "--out", "run")
    assert answer.code == 0 and "no report was written: no room" in answer.err and "Report:" not in answer.out
    assert not (tmp_path / "run/report.html").exists() and (tmp_path / "run/summary.json").exists()


@pytest.mark.parametrize("name", ["gail", "paper", "gymnasium", "expert", "bc"])
def test_the_command_of_a_report_repeats_the_run(trained, tmp_path, name):
    path, _ = trained(name)
    command = shlex.split(repeat_command(read_run(path)).replace("\\\n", " "))
    assert command[0] == "imitax"
    read(*command[1:], "--out", "again")
    assert (tmp_path / "again/policy.safetensors").read_bytes() == (path / "policy.safetensors").read_bytes()
    first, again = (json.loads((p / "config.json").read_text()) for p in (path, tmp_path / "again"))
    assert first["run"] == again["run"] and first["demonstrations"] == again["demonstrations"]


def test_runs_keep_where_they_went(trained):
    visits = load_visits(trained("gail")[0] / "visits.npz")
    assert visits.iterations.tolist() == [0, 1] and visits.policy.shape == (2, 2, 64, 6)
    first = load_demonstrations("Acrobot-v1/4")
    np.testing.assert_array_equal(visits.episode, first.observations[: first.lengths[0]])
    assert 0 < len(visits.demonstrations) < first.pairs / 5  # what it saw: 2 trajectories, every 5th pair
    assert load_visits(trained("bc")[0] / "visits.npz").policy.shape[:2] == (1, 2)
    assert load_visits(trained("expert")[0] / "visits.npz").demonstrations.shape == (0, 6)


# Demonstrations


@pytest.mark.parametrize("format, suffix", [("npz", ".npz"), ("json", ".json"), ("minari", "")])
def test_demonstrations_are_made_inspected_and_converted(trained, tmp_path, format, suffix):
    path, _ = trained("expert")
    make_them = ["demos", "make", "Acrobot-v1", "--policy", path, "--trajectories", 1, 2]
    told = read(*make_them, "--format", format, "--out", "shown")
    files = [f"shown/Acrobot-v1-{count}{suffix}" for count in (1, 2)]
    assert list(told) == files
    assert [told[file]["episodes"] for file in files] == [1, 2]
    assert sorted(entry.name for entry in (tmp_path / "shown").iterdir()) == [file[6:] for file in files]
    one, two = (load_demonstrations(file) for file in files)
    assert two.choose(1).fingerprint() == one.fingerprint()
    assert read("demos", "inspect", files[1]) == told[files[1]]
    assert two.env_id == "Acrobot-v1" and np.isfinite(two.returns).all()

    # The same episodes in every format, and there and back.
    for index, target in enumerate(("a.npz", "b.json", "c")):
        converted = read("demos", "convert", files[1], target, "--env", "Acrobot-v1")
        assert converted["file"] == target and converted["fingerprint"] == two.fingerprint()
        assert read("demos", "convert", target, f"back{index}{suffix}")["pairs"] == two.pairs
        assert load_demonstrations(f"back{index}{suffix}").fingerprint() == two.fingerprint()


def test_keys_are_shown_as_the_file_that_changes_them(tmp_path):
    shown = imitax("demos", "record", "Pendulum-v1", "--show-keys")
    assert shown.code == 0 and "gamepad-0" in shown.out and shown.err == ""
    (tmp_path / "mine.toml").write_text(shown.out.replace("fps = 20", "fps = 7"))
    assert read("demos", "record", "Pendulum-v1", "--show-keys", "--keys", "mine.toml")["fps"] == 7
    (tmp_path / "mine.toml").write_text("[keys]\nleft = 3.0")
    bad = "demos record Pendulum-v1 --browser --no-open --keys mine.toml"
    refused(tmp_path, bad, "In 'mine.toml': key 'left' is 3.0: expected 1 number(s) within [-2] … [2]")
    refused(tmp_path, f"{bad} --show-keys", "In 'mine.toml': key 'left' is 3.0")


def test_demonstrations_in_words(tmp_path):
    assert "episodes: 4" in imitax("demos", "inspect", "Acrobot-v1/4").out
    answer = imitax("demos", "convert", "Acrobot-v1/4", "four.json")
    pairs = load_demonstrations("four.json").pairs
    assert answer == Answer(0, f"four.json: 4 trajectories, {pairs} pairs\n", "")


def test_demonstrations_without_a_policy_come_from_an_expert_trained_for_them(trained, monkeypatch):
    asked = []

    def instead(method, env, progress):
        asked.append((method, env.spec.id))
        return SimpleNamespace(policy=runs.load_policy(trained("expert")[0]))

    monkeypatch.setattr(runs, "train", instead)
    told = read("demos", "make", "Acrobot-v1", "--trajectories", 2, "--deterministic", "--seed", 5)
    assert asked == [("rl", "Acrobot-v1")] and list(told) == ["demos/Acrobot-v1-2.npz"]


# The study and the quick start


def times(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*.npz")}


SMALL = {"loop.steps": 64, "loop.envs": 4, "agent.hidden": (8,)}  # with 2 iterations, the programs of `RUNS`


def test_study_runs_only_what_is_missing(tmp_path, monkeypatch):
    def small(*arguments, settings, **options):
        return train(*arguments, settings=SMALL, **options)

    train = runs.train
    monkeypatch.setattr(runs, "train", small)
    monkeypatch.setattr(acrobot, "EPISODES", 2)
    command = "study acrobot --seeds 2 --iterations 2 --out s".split()
    told = read(*command, "--only", "constant")
    assert list(told) == ["constant"] and len(told["constant"]["return_sampled"]["seed_means"]) == 2
    before = times(tmp_path / "s")
    assert [file.name for file in before] == ["constant.npz"]

    with np.load(tmp_path / "s/raw/constant.npz") as data:
        result = dict(data)
    curves = {f"curve_{key}": np.linspace(0.2, 0.8, 4).reshape(2, 2) for key in acrobot.KEPT}
    called = []

    def instead(case, seeds, iterations, progress):
        called.append(case)
        assert (seeds, iterations) == (2, 2)
        return curves | result

    monkeypatch.setattr(acrobot, "STUDY", acrobot.STUDY._replace(run=instead))
    assert list(read(*command)) == list(acrobot.CASES)
    assert called == [key for key in acrobot.CASES if key != "constant"]
    figures = {file.name for file in (tmp_path / "s/figures").iterdir()}
    assert figures == {f"{name}{suffix}" for name, *_ in acrobot.FIGURES for suffix in (".png", ".svg")}
    assert times(tmp_path / "s").items() >= before.items()

    everything = times(tmp_path / "s")
    answer = imitax(*command)
    assert answer.code == 0 and all(key in answer.out for key in acrobot.CASES)
    assert len(called) == len(acrobot.CASES) - 1 and times(tmp_path / "s") == everything
    refused(tmp_path, "study acrobot --seeds 3 --iterations 2 --out s", "of another study")
    refused(tmp_path, "study acrobot --seeds 2 --iterations 3 --out s", "of another study")


def test_the_exact_part_of_the_theory_study(tmp_path):
    told = read(*"study theory --seeds 1 --only propositions conjugates --out s".split())
    apart = [entry["value"] for label, entry in told.items() if "proposition 3.2" in label]
    assert len(apart) == 5 and max(apart) < 1e-4
    figures = {file.name for file in (tmp_path / "s/figures").iterdir()}
    assert figures == {f"{n}{s}" for n in ("d-conjugates", "e-propositions") for s in (".png", ".svg")}
    assert "proposition 3.2, GAIL" in (tmp_path / "s/results.md").read_text()


def test_irl_from_demonstrations_to_transfer(tmp_path):
    made = read(*"demos make gridworld --trajectories 30 --out shown".split())
    assert made["shown/gridworld-30.npz"]["returns"]["mean"] > 0.4
    train = "train mce_irl gridworld --demos shown/gridworld-30.npz --episodes 5 --set mce_irl.reward=linear"
    answer = imitax(*train.split(), "--out", "run")
    assert (
        answer.code == 0
        and "learnt policy" in answer.out
        and "up to shaping and scale" in " ".join(answer.out.split())
    )
    assert "mce_irl: " in answer.err
    told = read("transfer", "run", "gridworld-moved")
    assert told["return_planned_anew"][0] > told["return_old_policy"][0]
    assert "planned anew with the learnt reward" in imitax("transfer", "run", "gridworld-slippery").out
    assert read("evaluate", "run", "--episodes", 3)["episodes"] == 3
    refused(tmp_path, "transfer run CartPole-v1", "has no table of transitions")
    refused(tmp_path, "watch run --save a.gif", "Environment 'gridworld' cannot be rendered")
    refused(
        tmp_path, "train mce_irl CartPole-v1 --demos shown/gridworld-30.npz", "observations of CartPole-v1"
    )


def test_transfer_needs_a_learnt_reward(trained, tmp_path):
    refused(tmp_path, ["transfer", trained("bc")[0], "gridworld"], "only mce_irl leaves one")


def small_config(method, env, **options):
    loop = SMALL | {"loop.iterations": 2}
    special = {"bc": {"bc.hidden": (8,), "bc.epochs": 3}, "gail": loop | {"reward.hidden": (8,)}}
    return make_config(method, env, overrides=special.get(method, loop), seeds=2, **options)


@pytest.fixture
def small_quickstart(monkeypatch):
    monkeypatch.setattr(quickstart, "make_config", small_config)
    monkeypatch.setattr(quickstart, "EPISODES", 2)
    monkeypatch.setattr(quickstart, "TRAJECTORIES", 2)


def test_quickstart(small_quickstart, tmp_path):
    told = read("quickstart", "--out", "quick", "--seed", 1)
    assert told == json.loads((tmp_path / "quick/summary.json").read_text())
    assert list(told["policies"]) == ["random", "expert", "bc", "gail", "constant"]
    for name, entry in told["policies"].items():
        assert entry["sampled"]["episodes"] == 2
        assert (entry["deterministic"] is None) == (name == "random")
    assert load_demonstrations("quick/demonstrations.npz").lengths.size == 2
    assert {"quickstart.png", "quickstart.svg"} == {f.name for f in (tmp_path / "quick/figures").iterdir()}
    page = (tmp_path / "quick/report.html").read_text()
    for label in ("GAIL on Acrobot-v1", "Behaviour cloning", "Constant reward (control)", "PPO on the true"):
        assert label in page
    for name in ("bc", "gail", "constant", "expert"):
        assert read("evaluate", f"quick/{name}", "--episodes", 2)["episodes"] == 4
    refused(tmp_path, "quickstart --out quick", "Output folder 'quick' exists")
    _, columns, rows = quickstart.comparison_table(told)
    assert [row[0] for row in rows] == ["random", "expert", "", "bc", "", "gail", "", "constant", ""]
    assert {len(row) for row in rows} == {len(columns)} and rows[0][1] == "sampled"


# Bad input


def contents(folder):
    """path -> bytes of everything below a folder."""
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def refused(folder, command, message):
    """The command ends with code 2, one sentence that holds `message`, and every file as it was."""
    before = contents(folder)
    arguments = command.split() if isinstance(command, str) else command
    code, out, err = imitax(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("imitax: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert message in err and "Traceback" not in err
    assert contents(folder) == before


BAD_NAMES = {
    "environment": ("train gail Acrobt-v1 --demos Acrobot-v1/1", "did you mean Acrobot-v1"),
    "environment of expert": ("expert Acrobt-v1", "did you mean Acrobot-v1"),
    "environment of demos": ("demos make Acrobt-v1", "did you mean Acrobot-v1"),
    "version of an environment": ("expert CartPole-v77", "did you mean CartPole-v1"),
    "module of an environment": ("expert nowhere:Cart-v0", "Environment 'nowhere:Cart-v0' cannot be made"),
    "native environment": ("expert LunarLander-v3 --backend native", "Unknown native environment"),
    "method": (
        "train gial Acrobot-v1 --demos Acrobot-v1/1",
        "Unknown method 'gial': did you mean gtal or gail",
    ),
    "preset": (f"{GAIL} --preset orignal", "Unknown preset 'orignal': did you mean original"),
    "setting": (f"{GAIL} --set reward.fom=logit", "Unknown setting 'reward.fom': did you mean reward.form"),
    "setting of another method": (f"{GAIL} --set bc.epochs=3", "Unknown setting 'bc.epochs'"),
    "reward form": (f"{GAIL} --set reward.form=logd", "Unknown reward form 'logd': did you mean log_d"),
    "steps of cloning": (f"{GAIL.replace('gail', 'bc')} --steps 9", "Unknown setting 'loop.steps'"),
    "study": ("study acrobat", "Unknown study 'acrobat': did you mean acrobot"),
    "benchmark": ("benchmark clasic", "Unknown benchmark 'clasic': did you mean classic"),
    "cell": ("benchmark classic --only CartPole-v1/bc/2", "Unknown cell 'CartPole-v1/bc/2': did you mean"),
    "no workers": ("benchmark classic --workers 0", "Option workers is 0: expected at least 1"),
    "no raw results": ("benchmark classic --report", "paper.jsonl' holds no raw results"),
    "case": ("study acrobot --only gail-3", "Unknown case 'gail-3': did you mean gail-"),
}
BAD_NUMBERS = {
    "seeds": (f"{GAIL} --seeds 0", "seeds is 0: expected at least 1"),
    "seed": (f"{GAIL} --seed -1", "seed is -1: expected at least 0"),
    "iterations": (f"{GAIL} --iterations 0", "'loop.iterations' is 0: expected at least 1"),
    "epochs": (f"{GAIL.replace('gail', 'bc')} --iterations 0", "'bc.epochs' is 0: expected at least 1"),
    "steps": (f"{GAIL} --steps 0", "'loop.steps' is 0: expected at least 1"),
    "too few steps": (f"{GAIL} --steps 3", "'agent.minibatches' is 4: expected at most the 3 steps"),
    "episodes": (f"{GAIL} --episodes 0", "episodes is 0: expected at least 1"),
    "subsample": (f"{GAIL} --subsample 0", "subsample is 0: expected at least 1"),
    "negative subsample": (f"{GAIL} --subsample -2", "subsample is -2"),
    "negative trajectories": (f"{GAIL} --trajectories -1", "trajectories is -1: expected at least 1"),
    "no trajectories": (f"{GAIL} --trajectories 0", "trajectories is 0: expected at least 1"),
    "too many trajectories": (
        f"{GAIL} --trajectories 2",
        "choose 2 trajectories, but these demonstrations hold 1",
    ),
    "time limit": (f"{GAIL} --time-limit 0", "Time limit is 0: expected at least 1"),
    "short time limit": (f"{GAIL} --time-limit 50", "must not exceed the time limit of 50"),
    "no equals sign": (f"{GAIL} --set reward.steps", "'reward.steps' has no '='"),
    "type": (f"{GAIL} --set reward.steps=many", "'reward.steps' is 'many': expected a whole number"),
    "range": (f"{GAIL} --set loop.envs=0", "'loop.envs' is 0"),
    "not a number": (f"{GAIL} --set agent.clip=nan", "'agent.clip' is nan: expected a finite number"),
    "first of two": (f"{GAIL} --set reward.steps=0 --set loop.envs=4", "'reward.steps' is 0"),
    "one pair": (f"{GAIL.replace('gail', 'bc')} --subsample 500", "One pair cannot be split"),
    "expert's iterations": ("expert Acrobot-v1 --iterations 0", "'loop.iterations' is 0"),
    "expert's episodes": ("expert Acrobot-v1 --episodes -1", "episodes is -1"),
    "trajectories to make": ("demos make Acrobot-v1 --trajectories 1 0", "trajectories is 1 0: expected"),
    "none to make": ("demos make Acrobot-v1 --trajectories", "trajectories is empty: expected"),
    "seed of demos": ("demos make Acrobot-v1 --seed -1", "seed is -1"),
    "seeds of a study": ("study acrobot --seeds 0", "seeds is 0: expected at least 1"),
    "iterations of a study": ("study acrobot --iterations 0", "iterations is 0: expected at least 1"),
    "seed of the quick start": ("quickstart --seed -1", "seed is -1"),
}
BAD_DEMONSTRATIONS = {
    "none for gail": ("train gail Acrobot-v1", "learns from demonstrations"),
    "none for bc": ("train bc Acrobot-v1", "learns from demonstrations"),
    "missing": ("train gail Acrobot-v1 --demos none.npz", "In 'none.npz': there is no such file"),
    "not shipped": ("train gail Acrobot-v1 --demos Acrobot-v1/2", "In 'Acrobot-v1/2': there is no such"),
    "not of Minari": ("train gail Acrobot-v1 --demos minari:a/b-v0", "no such dataset on this machine"),
    "empty": ("train gail Acrobot-v1 --demos empty.npz", "found an empty"),
    "cut off": ("train gail Acrobot-v1 --demos cut.npz", "cut off"),
    "cut off JSON": ("train gail Acrobot-v1 --demos cut.json", "found damaged data"),
    "text": ("train gail Acrobot-v1 --demos text.npz", "found no zip archive"),
    "suffix": ("train gail Acrobot-v1 --demos text.csv", "found the suffix '.csv'"),
    "folder": ("train gail Acrobot-v1 --demos folder", "without metadata.json"),
    "not finite": ("train gail Acrobot-v1 --demos nan.npz", "must be finite"),
    "shapes": (
        "train gail CartPole-v1 --demos good.npz",
        "observations of CartPole-v1 have size 4, found size 6",
    ),
    "kind of actions": ("train gail Acrobot-v1 --demos box.npz", "actions of Acrobot-v1 are integers [N]"),
    "actions outside": ("train bc Acrobot-v1 --demos outside.npz", "must lie in 0 … 2, but pair 1 has 7"),
    "for a control": ("train constant CartPole-v1 --demos good.npz", "have size 4, found size 6"),
    "inspect": ("demos inspect cut.npz", "cut off"),
    "convert": ("demos convert none.json new.npz", "no such file"),
    "convert to something else": ("demos convert good.npz new.pkl", "lacks a known suffix"),
    "convert for another": ("demos convert good.npz new.npz --env CartPole-v1", "have size 4, found size 6"),
}
EXISTING = {
    "run": (f"{GAIL} --out taken", "Output folder 'taken' exists"),
    "run below a file": (f"{GAIL} --out text.npz/run", "Output folder 'text.npz/run' cannot be made"),
    "expert": ("expert Acrobot-v1 --out taken", "Output folder 'taken' exists"),
    "quickstart": ("quickstart --out taken", "Output folder 'taken' exists"),
    "demos": ("demos make Acrobot-v1 --out taken", "File 'taken/Acrobot-v1-4.npz' exists"),
    "convert": ("demos convert good.npz taken/Acrobot-v1-4.npz", "exists already and is not written over"),
    "convert to a folder": ("demos convert good.npz taken", "exists already and is not written over"),
    "study below a file": ("study acrobot --out text.npz/study", "text.npz"),
}


@pytest.fixture
def files(tmp_path):
    """Demonstrations of every kind that cannot be used, and a folder that is taken."""
    good = load_demonstrations("Acrobot-v1/1")
    formats.save(good, tmp_path / "good.npz")
    formats.save(good, tmp_path / "good.json")
    for name in ("good.npz", "good.json"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name.replace("good", "cut")).write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npz").touch()
    for name in ("text.npz", "text.csv"):
        (tmp_path / name).write_text("state,action\n")
    (tmp_path / "folder").mkdir()
    actions = good.actions.copy()
    actions[1] = 7
    formats.save(replace(good, actions=actions), tmp_path / "outside.npz")
    episode = good.observations, np.zeros((good.pairs, 1), np.float32)
    formats.save(Demonstrations.from_episodes([episode], terminated=True), tmp_path / "box.npz")
    with np.load(tmp_path / "good.npz") as arrays:
        damaged = {**arrays, "observations": np.full_like(arrays["observations"], np.nan)}
    np.savez(tmp_path / "nan.npz", **damaged)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/Acrobot-v1-4.npz").write_text("mine")
    return tmp_path


BAD = BAD_NAMES | BAD_NUMBERS


@pytest.mark.parametrize("command, message", BAD.values(), ids=BAD.keys())
def test_bad_options_are_refused_before_anything_is_written(tmp_path, command, message):
    refused(tmp_path, command, message)


@pytest.mark.parametrize("command, message", BAD_DEMONSTRATIONS.values(), ids=BAD_DEMONSTRATIONS.keys())
def test_bad_demonstrations_are_refused_before_anything_is_written(files, command, message):
    refused(files, command, message)


@pytest.mark.parametrize("command, message", EXISTING.values(), ids=EXISTING.keys())
def test_nothing_is_written_over(files, command, message):
    refused(files, command, message)


@pytest.mark.parametrize(
    "command",
    [
        f"{GAIL} --backend jax",
        f"{GAIL} --agent pop",
        f"{GAIL} --seeds two",
        f"{GAIL} --colour red",
        "demos make Acrobot-v1 --format pickle",
        "demos",
        "trane gail Acrobot-v1",
        "train gail",
        "",
    ],
)
def test_what_the_parser_refuses(tmp_path, command):
    code, out, err = imitax(*command.split())
    assert code == 2 and "Traceback" not in err and contents(tmp_path) == {}
    assert err if command not in ("", "demos") else err or out


@pytest.mark.parametrize(
    "missing", ["config.json", "metrics.jsonl", "policy.safetensors", "policy.json", "summary.json"]
)
def test_incomplete_runs_are_refused(trained, tmp_path, missing):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    (tmp_path / "run" / missing).unlink()
    if not missing.startswith("policy"):  # of which a report only makes moving pictures
        refused(tmp_path, "report run", f"Run folder 'run' is incomplete: {missing} is missing")
    for command in ("evaluate run", "watch run --save new.gif", "demos make Acrobot-v1 --policy run"):
        refused(tmp_path, command, f"Run folder 'run' is incomplete: {missing} is missing")


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
def test_damaged_runs_are_refused(trained, tmp_path, name, content, message):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    (tmp_path / "run" / name).write_text(content)
    refused(tmp_path, "evaluate run", message)


BAD_USES = {
    "nothing to report": ("report", "at least one run folder, found none"),
    "no such run to report": ("report run none", "Run folder 'none' does not exist"),
    "the same run twice": ("report run run", "Run folder 'run' is given twice"),
    "other environments": ("report run other", "Runs of different tasks cannot be compared: 'run' is of"),
    "not HTML": ("report run --out new.pdf", "has the ending '.pdf': expected .html"),
    "existing HTML": ("report run --out old.html", "File 'old.html' exists"),
    "no such run": ("evaluate none", "Run folder 'none' does not exist"),
    "episodes": ("evaluate run --episodes 0", "episodes is 0: expected at least 1"),
    "seed": ("evaluate run --seed -1", "seed is -1"),
    "large seed": ("evaluate run --seed 9999999999", "seed is 9999999999: expected"),
    "no such policy": ("watch run --save new.gif --policy 2", "has seeds 0 … 1, not 2"),
    "seed to watch": ("watch run --save new.gif --seed -1", "seed is -1"),
    "not a film": ("watch run --save new.avi", "has the ending '.avi': expected .gif or .mp4"),
    "existing GIF": ("watch run --save old.gif", "File 'old.gif' exists"),
    "export that exists": ("export run --out old.onnx", "File 'old.onnx' exists"),
    "export to a wrong ending": ("export run --out a.pt", "has the ending '.pt': expected .onnx"),
    "no such seed to export": ("export run --out a.onnx --seed-index 2", "has seeds 0 … 1, not 2"),
    "export to nowhere": ("export run --out old.gif/a.onnx", "old.gif/a.onnx' cannot be written"),
    "no episodes to watch": ("watch run --save new.gif --episodes 0", "episodes is 0: expected at least 1"),
    "another environment": ("demos make CartPole-v1 --policy run", "policy is for 'Acrobot-v1'"),
}


@pytest.mark.parametrize("command, message", BAD_USES.values(), ids=BAD_USES.keys())
def test_bad_uses_of_a_run_are_refused(trained, tmp_path, command, message):
    shutil.copytree(trained("expert")[0], tmp_path / "run")
    shutil.copytree(trained("gymnasium")[0], tmp_path / "other")
    for name in ("old.gif", "old.html", "old.onnx"):
        (tmp_path / name).write_text("mine")
    refused(tmp_path, command, message)


class Odd(gymnasium.Env):
    """An environment whose spaces are given."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space


VECTOR = spaces.Box(-1.0, 1.0, (2,))
ODD = {
    "Dict": (spaces.Dict({"x": VECTOR}), spaces.Discrete(2), 9, "Observations of"),
    "image": (spaces.Box(0, 255, (8, 8, 3), np.uint8), spaces.Discrete(2), 9, "(image)"),
    "MultiDiscrete": (VECTOR, spaces.MultiDiscrete([2, 3]), 9, "Actions of"),
    "Discrete from 1": (
        VECTOR,
        spaces.Discrete(2, start=1),
        9,
        "only Discrete from 0 and bounded Box",
    ),
    "unbounded": (VECTOR, spaces.Box(-np.inf, np.inf, (2,)), 9, "only Discrete from 0 and bounded"),
    "no limit": (VECTOR, spaces.Discrete(2), None, "has no time limit"),
}


@pytest.mark.parametrize("observations, actions, limit, message", ODD.values(), ids=ODD.keys())
def test_environments_that_are_not_supported_are_named(tmp_path, observations, actions, limit, message):
    arguments = {"observation_space": observations, "action_space": actions}
    gymnasium.register("ImitaxOdd-v0", Odd, max_episode_steps=limit, kwargs=arguments)
    try:
        for command in ("expert ImitaxOdd-v0", "train gail ImitaxOdd-v0 --demos Acrobot-v1/1"):
            refused(tmp_path, command, message)
        refused(tmp_path, "demos make ImitaxOdd-v0", "'ImitaxOdd-v0'")
    finally:
        del gymnasium.registry["ImitaxOdd-v0"]


def test_a_disk_that_cannot_be_written_ends_in_one_sentence(trained, tmp_path):
    path, _ = trained("gymnasium")
    refused(tmp_path, ["watch", path, "--save", "none/new.gif"], "none/new.gif")
