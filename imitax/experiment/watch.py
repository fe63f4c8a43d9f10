"""Rendering episodes with Gymnasium's own renderer: in a window, to a GIF, as frames for a report."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from imitax.envs.host import encoder
from imitax.errors import ImitaxError
from imitax.experiment.policy import Policy
from imitax.experiment.settings import check_seed

# Environment id -> the state that an observation shows, for those where it shows all of it.
STATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Acrobot-v1": lambda o: np.array([np.arctan2(o[1], o[0]), np.arctan2(o[3], o[2]), o[4], o[5]]),
    "CartPole-v1": lambda o: np.array(o, np.float64),
    "MountainCar-v0": lambda o: np.array(o, np.float64),
    "MountainCarContinuous-v0": lambda o: np.array(o, np.float64),
    "Pendulum-v1": lambda o: np.array([np.arctan2(o[1], o[0]), o[2]]),
}


def watch(policy: Policy, path: Path | None = None, stochastic: bool = False, seed: int = 0) -> dict:
    """Play one episode and show it, or write it to `path` (.gif); returns its length and return."""
    if path is not None and path.suffix.lower() != ".gif":
        raise ImitaxError(f"File '{path}' has the ending '{path.suffix}': expected .gif.")
    if path is not None and path.exists():
        raise ImitaxError(f"File '{path}' exists: choose another, nothing was written.")
    check_seed(seed)
    act = policy.sampler(seed) if stochastic else policy
    frames, total, length = [], 0.0, 0
    with opened(policy.spec.id, policy.spec.time_limit, path is None) as env:
        for length, reward in play(env, act, seed):  # noqa: B007  (the last of them is the answer)
            total += reward
            if path is not None:
                frames.append(env.render())
        if path is not None:
            _write_gif(path, frames, env.metadata.get("render_fps", 30))
    return {"return": total, "length": length, "file": None if path is None else str(path)}


@contextmanager
def opened(env_id: str, time_limit: int | None, window: bool = False) -> Iterator:
    """The Gymnasium environment, ready to be rendered; `ImitaxError` if it cannot be."""
    import gymnasium

    # No episode has sound and only a window needs a screen: machines without them would be complained about.
    quiet = {"PYGAME_HIDE_SUPPORT_PROMPT": "1", "SDL_AUDIODRIVER": "dummy"}
    quiet |= {} if window else {"SDL_VIDEODRIVER": "dummy"}
    added = {name: value for name, value in quiet.items() if name not in os.environ}
    os.environ.update(added)
    mode = "human" if window else "rgb_array"
    env = None
    try:
        env = gymnasium.make(env_id, render_mode=mode, max_episode_steps=time_limit)
        yield env
    except (gymnasium.error.Error, ImportError) as error:
        raise ImitaxError(f"Environment '{env_id}' cannot be rendered: {error}") from error
    finally:
        if env is not None:
            env.close()
        for name in added:
            os.environ.pop(name, None)


def play(env, act: Callable, seed: int, start: np.ndarray | None = None) -> Iterator[tuple[int, float]]:
    """One episode: (steps so far, reward of the last step), first (0, 0.0).

    `start` is an observation to begin with, for environments in `STATES`.
    """
    encode = encoder(env.observation_space)
    obs, _ = env.reset(seed=seed)
    if start is not None:
        obs = start
        env.unwrapped.state = STATES[env.spec.id](start)
    length, over = 0, False
    yield length, 0.0
    while not over:
        action = act(encode([obs])[0])
        if not isinstance(action, int):
            action = action.reshape(env.action_space.shape).astype(env.action_space.dtype)
        obs, reward, terminated, truncated, _ = env.step(action)
        length, over = length + 1, terminated or truncated
        yield length, float(reward)


def replay(env, observations: np.ndarray) -> Iterator[int]:
    """Puts an environment of `STATES` where each of the observations [T, O] was made; yields 0 … T − 1."""
    env.reset(seed=0)
    for step, obs in enumerate(observations):
        env.unwrapped.state = STATES[env.spec.id](obs)
        yield step


def _write_gif(path: Path, frames: list[np.ndarray], fps: float) -> None:
    from PIL import Image

    # One palette for all frames, so that colours do not flicker and the file stays small.
    palette = Image.fromarray(frames[0]).quantize(64)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0)
