"""Adding episodes to a file: whole or not at all, whoever else does the same, however the process
ends.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.files import write
from imitax.formats import append, load, load_to_append, save
from imitax.types import Box, Discrete, EnvSpec

SPEC = EnvSpec("Thing-v1", vector(2), Discrete(3), 2000)

# Adds episodes without end, and says so of each.
ADDER = """
import sys
from tests.test_append import SPEC, episode
from imitax.formats import append
count = 0
while True:
    count = len(append(episode(count, 1500), sys.argv[1], SPEC))
    print(count, flush=True)
"""


def episode(total=0.0, steps=3, env_id="Thing-v1"):
    """One episode of `SPEC`; its return tells it from others."""
    rng = np.random.default_rng(0)
    pairs = (rng.normal(size=(steps, 2)), np.arange(steps) % 3)
    return Demonstrations.from_episodes([pairs], terminated=True, returns=[total], env_id=env_id)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_made_and_grows(tmp_path):
    path = tmp_path / "new folder" / "mine.npz"
    assert load_to_append(path, SPEC) is None
    for count in range(3):
        whole = append(episode(count, 2 + count), path, SPEC)
        assert load(path).fingerprint() == whole.fingerprint()
        assert load_to_append(path, SPEC).returns.tolist() == [float(i) for i in range(count + 1)]
    assert load(path).lengths.tolist() == [2, 3, 4] and names(path.parent) == ["mine.npz"]


def test_episodes_of_an_unnamed_environment_are_taken(tmp_path):
    save(episode(env_id=""), tmp_path / "mine.npz")
    assert append(episode(1.0), tmp_path / "mine.npz", SPEC).env_id == "Thing-v1"


def test_links_and_permissions_stay(tmp_path):
    save(episode(), tmp_path / "real.npz")
    (tmp_path / "real.npz").chmod(0o640)
    (tmp_path / "link.npz").symlink_to("real.npz")
    append(episode(1.0), tmp_path / "link.npz", SPEC)
    assert (tmp_path / "link.npz").is_symlink() and len(load(tmp_path / "real.npz")) == 2
    assert (tmp_path / "real.npz").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "name, spec, told",
    [
        (
            "mine.npz",
            replace(SPEC, id="Other-v0"),
            "found demonstrations of Thing-v1; expected Other-v0",
        ),
        ("mine.npz", replace(SPEC, observation=vector(4)), "have size 4, found size 2"),
        ("mine.npz", replace(SPEC, action=Discrete(2)), "must lie in 0 … 1"),
        (
            "mine.npz",
            replace(SPEC, action=Box((0.0,), (1.0,))),
            "are floats [N, 1], found integers",
        ),
        ("mine.npz", replace(SPEC, time_limit=2), "exceed the time limit of 2"),
        ("mine.json", SPEC, "suffix '.json'; expected .npz"),
        ("folder.npz", SPEC, "folder.npz"),
        ("damaged.npz", SPEC, "cut off"),
    ],
)
def test_what_does_not_fit_is_refused_and_stays_as_it_was(tmp_path, name, spec, told):
    save(episode(), tmp_path / "mine.npz")
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "mine.npz").read_bytes()[:-30])
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for act in (
        lambda path: append(episode(), path, spec),
        lambda path: load_to_append(path, spec),
    ):
        with pytest.raises(ImitaxError) as error:
            act(tmp_path / name)
        text = str(error.value)
        assert told in text and name in text and not re.search(r"[.?]\s+[A-Z]", text)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_an_episode_that_does_not_fit_is_refused(tmp_path):
    save(episode(), tmp_path / "mine.npz")
    with pytest.raises(ImitaxError, match="exceed the time limit"):
        append(episode(steps=2001), tmp_path / "mine.npz", SPEC)
    assert len(load(tmp_path / "mine.npz")) == 1


def test_a_failure_to_write_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    save(episode(), tmp_path / "mine.npz")
    before = (tmp_path / "mine.npz").read_bytes()

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write.os, "fsync", full)
    with pytest.raises(ImitaxError, match="No space left"):
        append(episode(1.0), tmp_path / "mine.npz", SPEC)
    assert (tmp_path / "mine.npz").read_bytes() == before and names(tmp_path) == ["mine.npz"]


def adder(path):
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    command = [sys.executable, "-c", ADDER, str(path)]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process so")
def test_what_was_told_to_be_kept_survives_a_kill_at_any_moment(tmp_path):
    path, chance, told = tmp_path / "mine.npz", random.Random(0), 0
    for _ in range(4):
        process = adder(path)
        first = int(process.stdout.readline())
        assert first in (told + 1, told + 2)  # the last one may have been stored and not told
        time.sleep(chance.uniform(0.0, 0.2))
        process.kill()
        lines = process.communicate()[0].split("\n")
        told = int(lines[-2]) if len(lines) > 1 else first
        assert len(load(path)) in (told, told + 1)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not locked there")
def test_two_at_a_time_lose_nothing(tmp_path):
    path = tmp_path / "mine.npz"
    processes = [adder(path) for _ in range(2)]
    told = [int(process.stdout.readline()) for _ in range(5) for process in processes]
    for process in processes:
        process.kill()
        told += map(int, process.communicate()[0].split())
    # Had one taken the other's episode away, they would have come to the same number.
    assert len(set(told)) == len(told) and max(told) <= len(load(path)) <= max(told) + 2
