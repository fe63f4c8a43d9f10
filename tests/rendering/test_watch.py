"""Episodes in a window and in a file."""

import os
import sys

import numpy as np
import pytest

from imitax.core.spaces import vector
from imitax.errors import ImitaxError
from imitax.rendering import offscreen
from imitax.rendering.watch import watch
from imitax.types import Box, Discrete, EnvSpec


class Rule:
    """A policy that pushes the cart to one side, and calls `before` with the number of each
    action.
    """

    spec = EnvSpec("CartPole-v1", vector(4), Discrete(2), 500)

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

    result = watch(Rule(), tmp_path / "a.gif", episodes=3)
    assert result["returns"] == result["lengths"] and len(result["returns"]) == 3
    assert all(8 <= length <= 12 for length in result["lengths"])
    with Image.open(tmp_path / "a.gif") as image:
        # Equal frames in a row are stored once, and shown longer.
        assert image.format == "GIF" and 1 < image.n_frames <= sum(result["lengths"]) + 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.gif"]
    again = watch(Rule(), tmp_path / "b.gif", episodes=2, seed=1)  # the seeds count up
    assert again["lengths"] == result["lengths"][1:]


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
    result = watch(rule, episodes=5)
    assert len(result["returns"]) == 1 and rule.calls == 13 and result["file"] is None


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_without_a_display_a_file_is_suggested(monkeypatch):
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        ImitaxError, match="No display to open a window on: write a file instead, --save"
    ):
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
        "a.avi": "expected .gif",
        "old.gif": "exists",
        "none/a.gif": "no folder",
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


# MuJoCo, off-screen
# ----------------------------------------------------------------------------------


class Still:
    """A policy of Hopper that does nothing."""

    spec = EnvSpec("Hopper-v5", vector(11), Box((-1.0,) * 3, (1.0,) * 3), 9)

    def __call__(self, observation):
        return np.zeros(3, np.float32)


@pytest.fixture
def no_display(monkeypatch):
    pytest.importorskip("mujoco")
    for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    offscreen.offscreen_library.cache_clear()
    yield
    offscreen.offscreen_library.cache_clear()


@pytest.mark.parametrize("ending", ["gif", "mp4"])
def test_mujoco_is_drawn_without_a_display(tmp_path, no_display, ending):
    if offscreen.offscreen_library() is None:
        pytest.skip("neither EGL nor OSMesa is here")
    path = tmp_path / f"a.{ending}"
    result = watch(Still(), path)
    assert result["lengths"] == [9] and "MUJOCO_GL" not in os.environ
    if ending == "mp4":
        av = pytest.importorskip("av")
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            # 125 steps per second, every fourth drawn
            assert container.streams.video[0].average_rate == 31
        # at the start and after 4 and 8 steps
        assert len(frames) == 3 and frames[0].shape == (480, 480, 3)
        assert frames[0].std() > 10  # not one colour
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_without_a_library_the_error_says_what_to_install(tmp_path, no_display, monkeypatch):
    monkeypatch.setattr(offscreen, "_LIBRARIES", ("none",))  # a module that does not exist
    with pytest.raises(
        ImitaxError, match=r"since neither EGL nor OSMesa works: .* libegl1, or libosmesa6"
    ):
        watch(Still(), tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_choice_of_library_is_kept(no_display, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "mine")
    assert offscreen.offscreen_library() == "mine"


def test_a_video_without_an_encoder_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImitaxError, match=r"pip install 'imitax\[video\]', or write a .gif"):
        watch(Rule(), tmp_path / "a.mp4")


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ImitaxError, match=r"has the ending '.avi': expected .gif or .mp4"):
        watch(Rule(), tmp_path / "a.avi")
