"""Runs that are interrupted and taken up again end as if nothing had happened."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from imitax.envs import make
from imitax.errors import ImitaxError, Interrupted
from imitax.experts.demonstrate import load_demonstrations
from imitax.files import write as files
from imitax.runs import checkpoint
from imitax.runs import folder as runs
from imitax.training.config import make_config
from imitax.training.fit import fit
from imitax.training.loop import nonfinite

TINY = {
    "loop.env_steps": 64,
    "loop.max_envs": 4,
    "loop.iterations": 6,
    "loop.pretrain": 2,
    "agent.hidden": (8,),
    "reward.hidden": (8,),
}


class Crash(BaseException):
    """Stands for a killed process: nothing in the package catches it."""


def begin(path, *callbacks, backend="native", every=2, init=None, falling=True):
    """A run, whose learning rate falls with the share of the training if `falling`."""
    overrides = TINY | {"loop.warm_up": 3, "agent.final_lr_fraction": 0.2 if falling else 1.0}
    config = make_config(
        "gail", "Acrobot-v1", overrides=overrides, seeds=2, backend=backend, init=init
    )
    env = make("Acrobot-v1", backend)
    shown = load_demonstrations("Acrobot-v1/4", env.spec)
    options = runs.FolderOptions(2, checkpoint_every=every)
    return runs.train_to_folder(config, env, shown, path, options, callbacks)


def crash_in(number):
    """A callback that ends the process, as it were, in iteration `number`."""

    def callback(moment):
        if moment.iteration == number:
            raise Crash

    return callback


def outcome(path):
    """Everything a run says, but times."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    summary = json.loads((path / "summary.json").read_text())
    kept = {
        name: (path / name).read_bytes() for name in ("policy.safetensors", "figures/learning.svg")
    }
    with np.load(path / "visits.npz") as data:
        kept |= {f"visits {name}": data[name].tobytes() for name in data.files}
    kept["state"] = checkpoint.newest(path / "checkpoints", pytest.fail).tensors
    kept["state"] = {k: v.tobytes() for k, v in kept["state"].items() if k != "seconds"}
    return kept | {
        "lines": [{k: v for k, v in line.items() if k != "seconds"} for line in lines],
        "summary": {k: v for k, v in summary.items() if k != "seconds"},
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    begin(path)
    return outcome(path)


@pytest.mark.parametrize("number", range(8))
def test_a_run_that_crashed_ends_like_one_that_did_not(tmp_path, whole, number):
    with pytest.raises(Crash):
        begin(tmp_path / "run", crash_in(number))
    assert not (tmp_path / "run/summary.json").exists()
    runs.resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == whole


def test_a_run_that_began_with_a_clone_is_taken_up_in_each_of_its_phases(tmp_path):
    begin(tmp_path / "whole", init="bc")
    before = outcome(tmp_path / "whole")
    # two iterations of pre-training, three of warming up, then it learns
    for number in (1, 3, 5, 8):
        path = tmp_path / f"crash-{number}"
        with pytest.raises(Crash):
            begin(path, crash_in(number), init="bc")
        runs.resume(path)
        assert outcome(path) == before


def test_a_run_may_crash_again_and_again(tmp_path, whole):
    with pytest.raises(Crash):
        begin(tmp_path / "run", crash_in(3))
    for number in (3, 4, 6, 7):
        with pytest.raises(Crash):
            runs.resume(tmp_path / "run", callbacks=[crash_in(number)])
    runs.resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == whole


@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_a_crash_while_a_file_is_written(tmp_path, whole, monkeypatch, call, moment):
    # Of every file that is put in place (config, best, checkpoints, …) before its bytes or its
    # name are safe.
    count, real = iter(range(1000)), getattr(os, moment)

    def last_words(*arguments):
        # before, there is no run yet
        if (tmp_path / "run/config.json").exists() and next(count) == call:
            raise Crash
        return real(*arguments)

    monkeypatch.setattr(files.os, moment, last_words)
    try:
        begin(tmp_path / "run")
    except Crash:
        monkeypatch.undo()
        runs.resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == whole


def test_damaged_checkpoints_are_told_and_passed_over(tmp_path, whole, capsys):
    with pytest.raises(Crash):
        begin(tmp_path / "run", crash_in(7))
    newest = checkpoint.files(tmp_path / "run/checkpoints")[-1]
    newest.write_bytes(newest.read_bytes()[:-1])
    runs.resume(tmp_path / "run")
    assert "is damaged" in capsys.readouterr().err
    assert outcome(tmp_path / "run") == whole


def test_without_any_checkpoint_it_begins_anew(tmp_path, whole):
    with pytest.raises(Crash):
        begin(tmp_path / "run", crash_in(5))
    shutil.rmtree(tmp_path / "run/checkpoints")
    runs.resume(tmp_path / "run")
    assert outcome(tmp_path / "run") == whole


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_finishes_the_iteration_and_saves(tmp_path, whole, number):
    def ask(moment):
        if moment.iteration == 4:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with pytest.raises(
        Interrupted, match=f"{number.name} after iteration 5 of 8; resume with: imitax resume"
    ):
        begin(tmp_path / "run", ask, every=0)
    assert signal.getsignal(number) is before
    assert checkpoint.newest(tmp_path / "run/checkpoints", pytest.fail).iteration == 5
    runs.resume(tmp_path / "run")
    assert outcome(tmp_path / "run")["lines"] == whole["lines"]
    assert outcome(tmp_path / "run")["policy.safetensors"] == whole["policy.safetensors"]


def test_a_finished_run_goes_further(tmp_path):
    begin(tmp_path / "run", falling=False)
    with pytest.raises(ImitaxError, match="is finished: give more iterations"):
        runs.resume(tmp_path / "run")
    with pytest.raises(ImitaxError, match="iterations is 5: expected at least the run's own 6"):
        runs.resume(tmp_path / "run", iterations=5)
    longer, _ = runs.resume(tmp_path / "run", iterations=9)
    config = make_config("gail", "Acrobot-v1", overrides=TINY | {"loop.iterations": 9}, seeds=2)
    env = make("Acrobot-v1")
    at_once = fit(config, env, load_demonstrations("Acrobot-v1/4", env.spec))
    for name, values in at_once.metrics.items():
        np.testing.assert_array_equal(longer.metrics[name], values)
    assert runs.load_run(tmp_path / "run").config.settings["loop"].iterations == 9


def test_python_environments_go_on_with_new_episodes(tmp_path):
    with pytest.raises(Crash):
        begin(tmp_path / "run", crash_in(5), backend="gymnasium")
    kept = checkpoint.newest(tmp_path / "run/checkpoints", pytest.fail)
    assert kept.iteration == 4 and not any("state.envs." in name for name in kept.tensors)
    training, _ = runs.resume(tmp_path / "run")
    assert training.metrics["episodes"].shape == (2, 6)
    again = tmp_path / "again"
    shutil.copytree(tmp_path / "run", again)
    (again / "summary.json").unlink()
    runs.resume(again)  # from the last state: only the evaluation is made again
    assert outcome(again) == outcome(tmp_path / "run")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: shutil.rmtree(path), "does not exist"),
        (lambda path: (path / "config.json").unlink(), "config.json is missing"),
        (lambda path: (path / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda path: (path / "config.json").write_text("[]"), "is not of a run"),
        (lambda path: (path / "demonstrations.npz").unlink(), "no such file"),
        (lambda path: (path / "demonstrations.npz").write_bytes(b"x"), "no zip archive"),
    ],
)
def test_what_can_not_be_resumed_is_told(tmp_path, damage, message):
    with pytest.raises(Crash):
        begin(tmp_path / "run", crash_in(0))
    damage(tmp_path / "run")
    with pytest.raises(ImitaxError, match=message):
        runs.resume(tmp_path / "run")


# Names of some tensors of version 0.1.0: of a run on a native environment, and on one of Python.
OLD_STATE = (
    "state.learner.agent.policy.weights.0",
    "state.learner.normaliser.mean",
    "history.entropy",
)
OLD_ACTORS = ("state.actors.obs", "state.actors.episode_return")


@pytest.mark.parametrize("names", [OLD_STATE + OLD_ACTORS, OLD_STATE], ids=["native", "host"])
def test_a_checkpoint_of_version_0_1_0_is_refused_and_its_run_stays_as_it_is(tmp_path, names):
    path = tmp_path / "run"
    with pytest.raises(Crash):
        begin(path, crash_in(0))
    checkpoint.save(
        path / "checkpoints", 3, {name: np.zeros((2, 3), np.float32) for name in names}, best=True
    )
    (path / "summary.json").write_text("{}")
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(ImitaxError) as error:
        runs.resume(path, iterations=9)
    assert str(error.value) == (
        f"Run '{path}' was checkpointed by imitax 0.1.0, whose checkpoints this version cannot "
        "resume: "
        "resume it with that version, or train it anew."
    )
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before


def test_numbers_that_are_not_finite_stop_the_run(tmp_path):
    # A reward beyond every float32: of the environment, so the policy's gradient follows.
    env = make("Acrobot-v1")

    def step(state, action, key):
        state, result = env.step(state, action, key)
        return state, result._replace(reward=result.reward * np.float32(np.inf))

    config = make_config(
        "rl", "Acrobot-v1", overrides={k: v for k, v in TINY.items() if k[0] != "r"}, seed=5
    )
    with pytest.raises(
        ImitaxError, match="broke down in iteration 1, seed 5: no longer finite are rewards"
    ):
        fit(config, env._replace(step=step))


def test_marks_tell_what_is_not_finite(whole, tmp_path):
    import jax.numpy as jnp

    from imitax.types import Learner, Transition

    fine = Transition(*[jnp.zeros((2, 3))] * 7)
    good, bad = {"w": jnp.ones(2), "n": jnp.int32(1)}, {"w": jnp.array([1.0, jnp.nan])}
    learner = Learner(good, (), good, (), good)
    assert nonfinite(learner, fine) == 0
    assert nonfinite(learner, fine._replace(obs=fine.obs / 0)) == 1
    assert nonfinite(learner, fine._replace(reward=fine.reward / 0)) == 2
    assert nonfinite(learner._replace(policy=bad), fine) == 4
    assert nonfinite(learner._replace(agent=bad), fine) == 8
    # what is in there came from rollouts
    assert nonfinite(learner._replace(memory=bad), fine) == 0
    broken = learner._replace(reward_model=bad, normaliser=bad)
    assert nonfinite(broken, fine._replace(next_obs=fine.obs / 0)) == 1 + 16 + 32


def test_two_runs_leave_the_same_files(tmp_path, whole):
    begin(tmp_path / "again")
    assert outcome(tmp_path / "again") == whole
    begin(tmp_path / "third")
    names = [
        {str(file.relative_to(tmp_path / name)) for file in (tmp_path / name).rglob("*")}
        for name in ("again", "third")
    ]
    assert names[0] == names[1]
    configs = [
        json.loads((tmp_path / name / "config.json").read_text()) for name in ("again", "third")
    ]
    assert [{k: v for k, v in c.items() if k != "started"} for c in configs] == [
        {k: v for k, v in configs[0].items() if k != "started"}
    ] * 2


@pytest.mark.slow
def test_two_processes_share_a_cache_and_a_folder(tmp_path):
    overrides = [
        f"{key}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for key, v in TINY.items()
    ]
    command = "train gail Acrobot-v1 --demos Acrobot-v1/4 --episodes 2 --set".split() + overrides
    environment = os.environ | {"IMITAX_CACHE": str(tmp_path / "cache")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", KILLED, *command, "--out", f"runs/{name}"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    for process in processes:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
    one, two = (
        (tmp_path / "runs" / name / "policy.safetensors").read_bytes() for name in ("one", "two")
    )
    assert one == two


# However fast the disk is, writing takes long enough that some of the kills fall into it.
KILLED = """
import os, sys, time
flush = os.fsync
os.fsync = lambda file: (time.sleep(0.01), flush(file))[1]
sys.argv = ["imitax", *sys.argv[1:]]
from imitax.cli import main
main()
"""


@pytest.mark.slow
def test_killed_at_thirty_random_moments(tmp_path):
    """SIGKILL, wherever the process is; the run goes on each time and ends as if nothing had
    happened.
    """
    overrides = [
        f"{key}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for key, v in TINY.items()
    ]
    overrides[overrides.index("loop.iterations=6")] = "loop.iterations=400"
    command = [
        *"train gail Acrobot-v1 --demos Acrobot-v1/4 --seeds 2 --episodes 2 --checkpoint-every 1".split(),
        "--set",
        *overrides,
    ]

    def run(*arguments):
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, *arguments],
            cwd=tmp_path,
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    assert run(*command, "--out", "whole").wait(300) == 0
    rng, kills, writing = random.Random(0), 0, 0
    process, path = run(*command, "--out", "killed"), tmp_path / "killed"
    while kills < 30:
        seen = checkpoint.files(path / "checkpoints")
        half = f".*.{process.pid}.partial"
        # Every second kill aims at a file that is being written, the others come at random.
        aimed = kills % 2 == 1
        deadline = time.time() + 120
        while time.time() < deadline and process.poll() is None:
            if list(path.rglob(half)) if aimed else checkpoint.files(path / "checkpoints") != seen:
                break
            time.sleep(0.001)
        time.sleep(0 if aimed else rng.uniform(0, 0.1))
        if process.poll() is not None:
            break  # it was quicker
        process.kill()
        process.wait()
        kills += 1
        writing += bool(list(path.rglob(half)))
        process = run("resume", "killed")
    assert process.wait(300) == 0 and kills >= 20
    assert outcome(path) == outcome(tmp_path / "whole")
    assert 5 <= writing < kills  # some of them while a checkpoint was written
