"""Episodes in a window and in a file."""

import sys

import numpy as np
import pytest

from imitax.errors import ImitaxError
from imitax.experiment.watch import watch
from imitax.types import Discrete, EnvSpec


class Rule:
    """In place of a policy: pushes the cart to one side; may do something before its n-th action."""

    spec = EnvSpec("CartPole-v1", 4, Discrete(2), 500)

    def __init__(self, before=lambda n: None):
        self.before, self.calls = before, 0

    def __call__(self, observation):
        assert observation.shape == (4,) and observation.dtype == np.float32
        self.calls += 1
        self.before(self.calls)
        return 1


@pytest.fixture(autouse=True)
def dummy_display(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def test_episodes_follow_each_other_in_a_file(tmp_path):
    from PIL import Image

    told = watch(Rule(), tmp_path / "a.gif", episodes=3)
    assert told["returns"] == told["lengths"] and len(told["returns"]) == 3
    assert all(8 <= length <= 12 for length in told["lengths"])
    with Image.open(tmp_path / "a.gif") as image:
        # Equal frames in a row are stored once, and shown longer.
        assert image.format == "GIF" and 1 < image.n_frames <= sum(told["lengths"]) + 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
    again = watch(Rule(), tmp_path / "b.gif", episodes=2, seed=1)  # the seeds count up
    assert again["lengths"] == told["lengths"][1:]


@pytest.mark.parametrize("kind", ["QUIT", "K_ESCAPE"])
def test_a_closed_window_ends_it(kind):
    import pygame

    def close(n):
        if n == 13:  # in the second episode
            event = pygame.event.Event(pygame.QUIT)
            if kind == "K_ESCAPE":
                event = pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE)
            pygame.event.post(event)

    rule = Rule(close)
    told = watch(rule, episodes=5)
    assert len(told["returns"]) == 1 and rule.calls == 13 and told["file"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_a_file_is_suggested(monkeypatch):
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ImitaxError, match="no display to open a window on: write a file instead, --save"):
        watch(Rule())


def test_a_renderer_that_fails_is_one_sentence(monkeypatch, tmp_path):
    import gymnasium

    def fail(*arguments, **options):
        raise RuntimeError("no GL\ncontext")

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(ImitaxError, match="'CartPole-v1' cannot be rendered: no GL context"):
        watch(Rule(), tmp_path / "a.gif")


def test_bad_files_are_refused_before_anything_is_played(tmp_path):
    (tmp_path / "old.gif").write_text("mine")
    rule = Rule()
    for name, message in {
        "a.mp4": "expected .gif",
        "old.gif": "exists",
        "none/a.gif": "there is no folder",
    }.items():
        with pytest.raises(ImitaxError, match=message):
            watch(rule, tmp_path / name)
    with pytest.raises(ImitaxError, match="episodes is 0"):
        watch(rule, tmp_path / "a.gif", episodes=0)
    assert rule.calls == 0 and (tmp_path / "old.gif").read_text() == "mine"


def test_nothing_is_left_of_a_film_that_was_interrupted(tmp_path):
    def stop(n):
        if n == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(Rule(stop), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []
