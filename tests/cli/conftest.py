"""Commands run in this process at tiny sizes, in an empty folder, and the runs that tests
share.
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import NamedTuple

import jax
import pytest

from imitax import cli
from imitax.report import animation

# Compiling is nearly all of the time these tests take, so the runs share sizes, seeds and
# episodes.
_SIZE = "--seeds 2 --iterations 2 --steps 64 --episodes 2 --set loop.max_envs=4 agent.hidden=8"
_ONE = f"Acrobot-v1 --demos Acrobot-v1/1 {_SIZE}"
_FOUR = "Acrobot-v1 --demos Acrobot-v1/4"
RUNS = {
    "expert": f"expert Acrobot-v1 {_SIZE}",
    "gail": f"train gail {_FOUR} --trajectories 2 --subsample 5 {_SIZE} reward.hidden=8 --seed 3",
    "original": f"train gail {_ONE} --preset original --set reward.hidden=8",
    "paper": f"train gail {_ONE} reward.hidden=8 --preset paper",
    "constant": f"train constant Acrobot-v1 {_SIZE}",
    "gymnasium": f"train constant CartPole-v1 --agent trpo --backend gymnasium {_SIZE}",
    "bc": f"train bc {_FOUR} --seeds 2 --iterations 3 --episodes 2 --subsample 2 --set bc.hidden=8",
}


class Answer(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


def _imitax(*arguments) -> Answer:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["imitax", *map(str, arguments)])
        try:
            cli.main()
        except SystemExit as end:
            code = end.code or 0
    return Answer(code, out.getvalue(), err.getvalue())


def _read(*arguments):
    answer = _imitax(*arguments, "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


def _contents(folder):
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.fixture(scope="session")
def imitax():
    """imitax(*arguments) runs the command line; returns its `Answer`."""
    return _imitax


@pytest.fixture(scope="session")
def read():
    """read(*arguments) is the answer of a command with --json."""
    return _read


@pytest.fixture
def refuse(tmp_path):
    """refuse(command, message) checks that the command ends with exit code 2, one sentence that
    holds `message`, and every file below the test's folder as it was."""

    def check(command, message):
        before = _contents(tmp_path)
        code, out, err = _imitax(*(command.split() if isinstance(command, str) else command))
        assert (code, out) == (2, "")
        assert err.startswith("imitax: ") and err.endswith("\n") and err.count("\n") == 1, err
        assert message in err and "Traceback" not in err
        assert _contents(tmp_path) == before

    return check


@pytest.fixture(scope="session")
def commands():
    """Name -> arguments of the runs that `trained` trains."""
    return {name: command.split() for name, command in RUNS.items()}


@pytest.fixture(scope="session")
def trained(tmp_path_factory, commands):
    """trained(name) is the run folder and the summary of one of `RUNS`, trained when first asked
    for.
    """
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def train(name):
        return folder / name, _read(*commands[name], "--out", folder / name)

    return train


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder, without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
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
