"""Rendering episodes with Gymnasium's own renderer, in a window or to a GIF."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from imitax.errors import ImitaxError
from imitax.experiment.evaluation import check_episodes
from imitax.experiment.policy import Policy
from imitax.experiment.settings import check_seed


def watch(
    policy: Policy, path: Path | None = None, stochastic: bool = False, seed: int = 0, episodes: int = 1
) -> dict[str, Any]:
    """Play episodes and show them, or write them to `path` (.gif), one after the other.

    Returns the returns and lengths of the whole episodes; a window that is closed ends the last one early.
    The first episode has `seed`, each next one the next.
    """
    if path is not None and path.suffix.lower() != ".gif":
        raise ImitaxError(f"File '{path}' has the ending '{path.suffix}': expected .gif.")
    if path is not None and path.exists():
        raise ImitaxError(f"File '{path}' exists: choose another, nothing was written.")
    if path is not None and not path.parent.is_dir():
        raise ImitaxError(f"File '{path}' cannot be written: there is no folder '{path.parent}'.")
    check_seed(seed, episodes)
    check_episodes(episodes)
    env = _open(policy, "human" if path is None else "rgb_array", seed)
    act = policy.sampler(seed) if stochastic else policy
    film, returns, lengths = _Film(), [], []
    try:
        for episode in range(episodes):
            played = _play(env, act, seed + episode, None if path is None else film)
            if played is None:
                break
            returns.append(played[0])
            lengths.append(played[1])
        if path is not None:
            film.save(path, env.metadata.get("render_fps", 30))
    finally:
        env.close()
    return {"returns": returns, "lengths": lengths, "file": None if path is None else str(path)}


def _open(policy: Policy, mode: str, seed: int):
    """The environment, after a first picture: a renderer that does not work raises what it likes."""
    import gymnasium

    if mode == "human" and sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):
        raise ImitaxError("There is no display to open a window on: write a file instead, --save FILE.gif.")
    # No episode has sound, and a machine without a sound card would be complained about.
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        env = gymnasium.make(policy.spec.id, render_mode=mode, max_episode_steps=policy.spec.time_limit)
        env.reset(seed=seed)
        env.render()
    except Exception as error:
        said = " ".join(str(error).split())
        raise ImitaxError(f"Environment '{policy.spec.id}' cannot be rendered: {said}") from error
    return env


_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")  # the last: who sets it knows what he does


def _play(env, act, seed: int, film: "_Film | None") -> tuple[float, int] | None:
    """Return and length of an episode; None if its window was closed."""
    obs, _ = env.reset(seed=seed)
    total, length, over = 0.0, 0, False
    while not over:
        if film is not None:
            film.add(env.render())
        action = act(np.asarray(obs, np.float32).reshape(-1))
        if not isinstance(action, int):
            action = action.reshape(env.action_space.shape).astype(env.action_space.dtype)
        obs, reward, terminated, truncated, _ = env.step(action)
        total, length, over = total + float(reward), length + 1, terminated or truncated
        if film is None and _closed():
            return None
    if film is not None:
        film.add(env.render())
    return total, length


def _closed() -> bool:
    """Whether the user closed a pygame window or pressed Escape; the environments do not look."""
    pygame = sys.modules.get("pygame")
    if pygame is None or not pygame.display.get_init():
        return False
    events = pygame.event.get((pygame.QUIT, pygame.KEYDOWN))
    return any(event.type == pygame.QUIT or event.key == pygame.K_ESCAPE for event in events)


class _Film:
    """Frames with one palette for all, so that colours do not flicker and an hour fits into memory."""

    def __init__(self):
        self._frames: list = []
        self._palette = None

    def add(self, frame: np.ndarray) -> None:
        from PIL import Image

        image = Image.fromarray(frame)
        if self._palette is None:
            self._palette = image.quantize(64)
        self._frames.append(image.quantize(palette=self._palette, dither=Image.Dither.NONE))

    def save(self, path: Path, fps: float) -> None:
        """Whole or not at all."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            self._frames[0].save(
                partial, format="GIF", save_all=True, append_images=self._frames[1:],
                duration=round(1000 / fps), loop=0,
            )  # fmt: skip
            os.rename(partial, path)
        finally:
            partial.unlink(missing_ok=True)
