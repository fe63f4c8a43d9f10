"""Rendering episodes with Gymnasium's own renderer: in a window, to a file, as frames for a report."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imitax.envs.host import encoder
from imitax.errors import ImitaxError
from imitax.policies.policy import TrainedPolicy
from imitax.rendering.film import film
from imitax.rendering.offscreen import is_mujoco, offscreen_library
from imitax.training.config import check_seed
from imitax.training.evaluation import check_episodes

# Environment id -> the state that an observation shows, for those where it shows all of it.
STATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Acrobot-v1": lambda o: np.array([np.arctan2(o[1], o[0]), np.arctan2(o[3], o[2]), o[4], o[5]]),
    "CartPole-v1": lambda o: np.array(o, np.float64),
    "MountainCar-v0": lambda o: np.array(o, np.float64),
    "MountainCarContinuous-v0": lambda o: np.array(o, np.float64),
    "Pendulum-v1": lambda o: np.array([np.arctan2(o[1], o[0]), o[2]]),
}


_FPS = 30  # a file of Hopper, which makes 125 steps a second, would be four times as large


def watch(
    policy: TrainedPolicy,
    path: Path | None = None,
    stochastic: bool = False,
    seed: int = 0,
    episodes: int = 1,
) -> dict[str, Any]:
    """Play episodes and show them, or write them to `path` (.gif or .mp4), one after the other.

    Returns the returns and lengths of the whole episodes; a window that is closed ends the last one early.
    The first episode has `seed`, each next one the next.
    """
    shown = None if path is None else film(path)
    if path is not None and not path.parent.is_dir():
        raise ImitaxError(f"File '{path}' cannot be written: there is no folder '{path.parent}'.")
    check_seed(seed, episodes)
    check_episodes(episodes)
    act = policy.sampler(seed) if stochastic else policy
    returns, lengths = [], []
    with opened(policy.spec.id, policy.spec.time_limit, path is None) as env:
        fps = env.metadata.get("render_fps", 30)
        every = max(1, int(fps / _FPS))  # steps from one frame of the file to the next
        for episode in range(episodes):
            total, length = 0.0, 0
            for length, reward in play(env, act, seed + episode):
                total += reward
                if shown is not None:
                    if length % every == 0:
                        shown.add(env.render())
                elif _closed():
                    return {"returns": returns, "lengths": lengths, "file": None}
            returns.append(total)
            lengths.append(length)
        if shown is not None:
            shown.save(path, fps / every)
    return {"returns": returns, "lengths": lengths, "file": None if path is None else str(path)}


@contextmanager
def opened(env_id: str, time_limit: int | None, window: bool = False) -> Iterator:
    """The Gymnasium environment, ready to be rendered; `ImitaxError` if it cannot be."""
    import gymnasium

    if window and sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):
        raise ImitaxError("There is no display to open a window on: write a file instead, --save FILE.gif.")
    # No episode has sound and only a window needs a screen: machines without them would be complained about.
    quiet = {"PYGAME_HIDE_SUPPORT_PROMPT": "1", "SDL_AUDIODRIVER": "dummy"}
    quiet |= {} if window else {"SDL_VIDEODRIVER": "dummy"}
    added = {name: value for name, value in quiet.items() if name not in os.environ}
    os.environ.update(added)
    env = None
    try:
        try:  # a renderer that does not work raises what it likes, at the first picture at the latest
            env = gymnasium.make(
                env_id, render_mode="human" if window else "rgb_array", max_episode_steps=time_limit
            )
            if not window and is_mujoco(env) and "MUJOCO_GL" not in os.environ:
                added |= _drawing_without_display(env_id)
            env.reset(seed=0)
            env.render()
        except ImitaxError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())
            raise ImitaxError(f"Environment '{env_id}' cannot be rendered: {said}") from error
        yield env
    finally:
        if env is not None:
            env.close()
        for name in added:
            os.environ.pop(name, None)


def _drawing_without_display(env_id: str) -> dict[str, str]:
    """Environment variables, already set, with which MuJoCo draws."""
    library = offscreen_library()
    if library is None:
        raise ImitaxError(
            f"Environment '{env_id}' cannot be rendered without a display, for neither EGL nor OSMesa works: "
            "install one of them (on Debian and Ubuntu apt-get install libegl1, or libosmesa6)."
        )
    os.environ["MUJOCO_GL"] = library
    return {"MUJOCO_GL": library}


_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")  # the last: who sets it knows what he does


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


def _closed() -> bool:
    """Whether the user closed a pygame window or pressed Escape; the environments do not look."""
    pygame = sys.modules.get("pygame")
    if pygame is None or not pygame.display.get_init():
        return False
    events = pygame.event.get((pygame.QUIT, pygame.KEYDOWN))
    return any(event.type == pygame.QUIT or event.key == pygame.K_ESCAPE for event in events)
