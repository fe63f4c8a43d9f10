"""One Gymnasium environment that is rendered after every step."""

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

    Training steps it the same way (`envs.host`), so a policy gets the same observations.

    Raises:
        ImitaxError: the environment is unknown, has no time limit or unsupported spaces, or cannot
            be rendered.
    """

    def __init__(self, env_id: str, time_limit: int | None = None):
        self.spec = make(env_id, "gymnasium", time_limit).spec
        renderers: list[_Renderer] = []

        def make_one() -> gymnasium.Env:
            renderers.append(_Renderer(_make(env_id, time_limit), env_id))
            return renderers[-1]

        self._batch = host.make(make_one).open(1)
        self._renderer = renderers[-1]
        self.fps = float(self._renderer.metadata.get("render_fps") or DEFAULT_FPS)
        with _quiet_sdl():
            self.reset(0)  # renders for the first time

    def reset(self, seed: int) -> Float32[np.ndarray, "O"]:
        """Start an episode."""
        return self._batch.reset([seed])[0]

    def step(self, action: Action) -> tuple[Float32[np.ndarray, "O"], float, bool, bool]:
        """Next observation [O], reward, terminated, truncated."""
        number = np.int64 if isinstance(action, int) else np.float32
        step = self._batch.step(np.array([action], number))
        return (
            np.asarray(step.next_obs[0]),
            float(step.reward[0]),
            bool(step.terminated[0]),
            bool(step.truncated[0]),
        )

    @property
    def picture(self) -> UInt8[np.ndarray, "H W 3"]:
        """The state after the last step, even if that step ended the episode."""
        return self._renderer.picture

    def close(self) -> None:
        """Close the environment."""
        self._batch.close()


def has_display() -> bool:
    """Whether this machine has a screen to open a window on."""
    return not sys.platform.startswith("linux") or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )


@contextmanager
def _quiet_sdl() -> Iterator[None]:
    """Stop pygame, which renders most environments, from printing or using screen or sound."""
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if has_display() or "SDL_VIDEODRIVER" in os.environ:
        yield
        return
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        yield
    finally:
        del os.environ["SDL_VIDEODRIVER"]  # else `window.check` would expect a window


class _Renderer(gymnasium.Wrapper):
    """Renders after each step and each reset with a seed."""

    picture: np.ndarray

    def __init__(self, env: gymnasium.Env, env_id: str):
        super().__init__(env)
        self._id = env_id

    def reset(self, *, seed=None, options=None):
        observation, info = self.env.reset(seed=seed, options=options)
        # Without a seed, the batch resets itself after an episode, whose end stays on the screen.
        if seed is not None:
            self._render()
        return observation, info

    def step(self, action):
        transition = self.env.step(action)
        self._render()
        return transition

    def _render(self) -> None:
        try:
            picture = self.env.render()
        except (gymnasium.error.DependencyNotInstalled, ImportError) as error:
            raise ImitaxError(f"Environment '{self._id}' cannot be rendered: {error}") from error
        if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3:
            kind = f"{type(picture).__name__} {list(np.shape(picture))}"
            raise ImitaxError(
                f"Environment '{self._id}' renders {kind}: expected pictures [H, W, 3]."
            )
        self.picture = picture.astype(np.uint8)  # a copy


def _make(env_id: str, time_limit: int | None) -> gymnasium.Env:
    env = gymnasium.make(env_id)
    modes = env.metadata.get("render_modes") or []
    env.close()
    if "rgb_array" not in modes:
        raise ImitaxError(
            f"Environment '{env_id}' cannot be rendered: it offers "
            f"{', '.join(modes) or 'no mode'}, "
            "expected rgb_array."
        )
    return gymnasium.make(env_id, render_mode="rgb_array", max_episode_steps=time_limit)
