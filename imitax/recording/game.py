"""One Gymnasium environment that is looked at while it is stepped."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import gymnasium
import numpy as np
from jaxtyping import Float32, UInt8

from imitax.envs import host, make
from imitax.errors import ImitaxError
from imitax.recording.keys import Action

DEFAULT_FPS = 30.0


class Game:
    """An environment by id, drawn after every step.

    It is stepped as training steps it (`envs.host`), so that the observations are those that a policy gets.

    Raises:
        ImitaxError: the environment is unknown, has no time limit, spaces that are not supported, or
            cannot be drawn.
    """

    def __init__(self, env_id: str, time_limit: int | None = None):
        self.spec = make(env_id, "gymnasium", time_limit).spec
        made: list[_Drawn] = []

        def make_one():
            made.append(_Drawn(_make(env_id, time_limit)))
            return made[-1]

        self._batch = host.make(make_one).open(1)
        self._drawn = made[-1]
        self.fps = float(self._drawn.metadata.get("render_fps") or DEFAULT_FPS)
        with _quiet_sdl():
            self.reset(0)  # draws for the first time

    def reset(self, seed: int) -> Float32[np.ndarray, "O"]:
        """Start an episode."""
        return self._batch.reset([seed])[0]

    def step(self, action: Action) -> tuple[Float32[np.ndarray, "O"], float, bool, bool]:
        """Where the action led, its reward, and whether the episode terminated or was truncated."""
        number = np.int64 if isinstance(action, int) else np.float32
        step = self._batch.step(np.array([action], number))
        return step.next_obs[0], float(step.reward[0]), bool(step.terminated[0]), bool(step.truncated[0])

    @property
    def picture(self) -> UInt8[np.ndarray, "H W 3"]:
        """What the player sees: the state after the last step, also where that ended the episode."""
        return self._drawn.picture

    def close(self) -> None:
        """Release what the environment holds."""
        self._batch.close()


def has_display() -> bool:
    """Whether this machine can be expected to show a window."""
    return not sys.platform.startswith("linux") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


@contextmanager
def _quiet_sdl() -> Iterator[None]:
    """Keeps pygame, which draws most environments, from greeting and from looking for what is not there."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if has_display() or "SDL_VIDEODRIVER" in os.environ:
        yield
        return
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        yield
    finally:
        del os.environ["SDL_VIDEODRIVER"]  # so that nobody takes an invisible window for a real one


class _Drawn(gymnasium.Wrapper):
    """Keeps the picture of the last step."""

    picture: np.ndarray

    def reset(self, *, seed=None, options=None):
        answer = self.env.reset(seed=seed, options=options)
        if seed is not None:  # without: the batch resets by itself after an episode, whose end is still shown
            self._draw()
        return answer

    def step(self, action):
        answer = self.env.step(action)
        self._draw()
        return answer

    def _draw(self):
        try:
            picture = self.env.render()
        except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
            raise ImitaxError(f"Environment '{self.spec.id}' cannot be drawn: {error}") from error
        if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3:
            found = f"{type(picture).__name__} {list(np.shape(picture))}"
            raise ImitaxError(f"Environment '{self.spec.id}' draws {found}: expected pictures [H, W, 3].")
        self.picture = picture.astype(np.uint8)  # a copy


def _make(env_id: str, time_limit: int | None) -> gymnasium.Env:
    plain = gymnasium.make(env_id)
    modes = plain.metadata.get("render_modes") or []
    plain.close()
    if "rgb_array" not in modes:
        raise ImitaxError(
            f"Environment '{env_id}' cannot be drawn: it renders {', '.join(modes) or 'nothing'}, "
            "expected rgb_array."
        )
    return gymnasium.make(env_id, render_mode="rgb_array", max_episode_steps=time_limit)
