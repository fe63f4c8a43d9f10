"""`imitax demos record`: what it refuses, what survives a kill, and how it resumes."""

import itertools
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from imitax import recording
from imitax.cli import demos
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.formats import load, save

COMMAND = [sys.executable, "-c", "from imitax.cli import main; main()", "demos", "record"]


class Recording:
    """The command in a process of its own, and a page that plays through it (without a
    browser).
    """

    def __init__(self, folder, *arguments):
        self.process = subprocess.Popen(
            [*COMMAND, *arguments, "--browser", "--no-open"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.first_line = self.process.stderr.readline().strip()
        self.address = re.search(r"http://\S+/", self.process.stderr.readline()).group()
        self.stream = urllib.request.urlopen(f"{self.address}events?page=one", timeout=60)
        self.part = itertools.count()

    def act(self, *acts):
        self._post({"page": "one", "part": next(self.part), "acts": acts})

    def _post(self, data):
        urllib.request.urlopen(
            self.address + "input", json.dumps(data).encode(), timeout=60
        ).close()

    def until(self, **wanted):
        """Reads the stream until the view is as wanted."""
        end = time.monotonic() + 60
        for line in self.stream:
            assert time.monotonic() < end, f"never {wanted}"
            if line.startswith(b"data: ") and "view" in (message := json.loads(line[6:])):
                self._post({"page": "one", "acknowledged": message["number"]})
                if wanted.items() <= message["view"].items():
                    return message["view"]
        raise AssertionError("the stream ended")

    def play_episode(self):
        self.act(["press", "right"])
        view = self.until(phase="deciding")
        self.act(["release", "right"])
        return view

    def close(self):
        self.stream.close()
        self.process.kill()
        return self.process.communicate()


@pytest.fixture
def record(tmp_path):
    """Starts recordings in `tmp_path`."""
    started = []

    def start(*arguments):
        started.append(Recording(tmp_path, *arguments))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process so")
def test_what_was_kept_survives_a_kill_and_the_next_recording_adds_to_it(record, tmp_path):
    arguments = ("CartPole-v1", "--out", "new/mine.npz", "--fps", "200", "--seed", "3")
    first = record(*arguments)
    assert first.first_line == "Kept episodes go to new/mine.npz."
    view = first.play_episode()
    first.act(["command", "keep"])
    assert first.until(phase="paused", kept=1)["episode"] == 2
    first.act(["press", "left"])
    first.until(phase="playing", steps=1)
    first.process.kill()  # in the middle of the second episode
    first.process.wait()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.npz"]
    kept = load(tmp_path / "new" / "mine.npz")
    assert kept.returns.tolist() == [view["total"]] and kept.terminated.tolist() == [True]

    second = record(*arguments)
    assert second.first_line == "Kept episodes go to new/mine.npz, which holds 1."
    second.play_episode()
    second.act(["command", "keep"])
    second.until(phase="paused", kept=1)
    second.play_episode()  # neither kept nor discarded
    second.process.send_signal(signal.SIGINT)
    out, err = second.process.communicate(timeout=60)
    both = load(tmp_path / "new" / "mine.npz")
    assert (second.process.returncode, err) == (0, "")
    assert out == f"Kept 1 episode(s), {both.lengths[1]} pairs: new/mine.npz holds 2.\n"
    assert both.choose(1).fingerprint() == kept.fingerprint()
    starts = both.observations[both.starts]
    # other first states, though the seed is the same
    assert not np.array_equal(starts[0], starts[1])


def test_seeds_depend_on_the_number_of_episodes_on_file():
    take = lambda seed, on_file: list(itertools.islice(recording._seeds(seed, on_file), 20))  # noqa: E731
    assert take(0, 0) == take(0, 0)
    drawn = [
        value for seed, on_file in ((0, 0), (0, 1), (1, 0), (1, 1)) for value in take(seed, on_file)
    ]
    assert len(set(drawn)) == 80


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder with a demonstrations file of Acrobot-v1, and no display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pairs = [(np.zeros((3, 6), np.float32), np.zeros(3, int))]
    save(Demonstrations.from_episodes(pairs, terminated=True, env_id="Acrobot-v1"), "acrobot.npz")
    save(Demonstrations.from_episodes(pairs, terminated=True), "unnamed.npz")
    (tmp_path / "bad.toml").write_text("[keys]\nleft = 7")
    return tmp_path


REFUSED = {
    "environment": ({"env_id": "Cartpole-v1"}, "did you mean CartPole-v1"),
    "file of another environment": (
        {"out": "acrobot.npz"},
        "found demonstrations of Acrobot-v1|have size 4",
    ),
    "file of other spaces": ({"out": "unnamed.npz"}, "have size 4, found size 6"),
    "another format": ({"out": "mine.json"}, "suffix '.json'; expected .npz"),
    "no folder": ({"out": "bad.toml/mine.npz"}, "is not a writable folder"),
    "mapping": ({"keys": "bad.toml"}, "In 'bad.toml': key 'left' is 7"),
    "no mapping": ({"keys": "none.toml"}, "Mapping file 'none.toml' cannot be read"),
    "episodes": ({"episodes": 0}, "Option episodes is 0: expected at least 1"),
    "seed": ({"seed": -1}, "Option seed is -1"),
    "fps": ({"fps": 0.0}, "Option fps is 0.0: expected steps per second"),
    "fps nan": ({"fps": float("nan")}, "Option fps is nan"),
    "port": ({"page": recording.Page(70000)}, "Option port is 70000: expected 0 … 65535"),
    "time limit": ({"time_limit": 0}, "Option time-limit is 0: expected at least 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_options_are_refused_before_anyone_plays(elsewhere, case):
    options, message = REFUSED[case]
    options = {"env_id": "CartPole-v1"} | options
    for name in ("out", "keys"):
        if name in options:
            options[name] = Path(options[name])
    before = {path: path.read_bytes() for path in elsewhere.iterdir()}
    sentences = []
    with pytest.raises(ImitaxError, match=message) as error:
        recording.record(**options, tell=sentences.append)
    assert "\n" not in str(error.value) and sentences == []
    assert {path: path.read_bytes() for path in elsewhere.iterdir()} == before


@pytest.mark.parametrize(
    "options, name", [({"port": 8000}, "port"), ({"no_open": True}, "no-open")]
)
def test_options_of_the_page_need_browser(elsewhere, options, name):
    with pytest.raises(
        ImitaxError, match=f"Option {name} is for the browser: expected --browser with it."
    ):
        demos.Record("CartPole-v1", **options)()


def test_a_window_needs_a_display(elsewhere, monkeypatch):
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ImitaxError, match="--browser"):
        recording.record("CartPole-v1")


def test_a_window_is_played_in_by_default(elsewhere):
    import pygame

    def press_escape(sentence):
        pygame.display.init()
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE))

    result = recording.record("CartPole-v1", tell=press_escape)
    file = "demos/CartPole-v1-by-hand.npz"
    assert result == {"file": file, "kept": 0, "pairs": 0, "returns": [], "episodes": 0}
    assert not (elsewhere / "demos").exists()


def test_file_names_of_any_environment():
    assert (
        recording.default_file("my.module:Thing/Box-v0").name
        == "my.module_Thing_Box-v0-by-hand.npz"
    )
