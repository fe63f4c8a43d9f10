"""Renders episodes with Gymnasium's renderer: in a window, to a file, or as frames."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from imitax.envs.host import encoder
from imitax.errors import ImitaxError
from imitax.policies.policy import TrainedPolicy
from imitax.rendering.film import film
from imitax.rendering.offscreen import is_mujoco, offscreen_library
from imitax.training.config import check_seed
from imitax.training.evaluation import check_episodes
from imitax.types import EnvSpec

# Environment id -> the state as a function of the observation, for environments where it
# determines it.
STATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Acrobot-v1": lambda o: np.array([np.arctan2(o[1], o[0]), np.arctan2(o[3], o[2]), o[4], o[5]]),
    "CartPole-v1": lambda o: np.array(o, np.float64),
    "MountainCar-v0": lambda o: np.array(o, np.float64),
    "MountainCarContinuous-v0": lambda o: np.array(o, np.float64),
    "Pendulum-v1": lambda o: np.array([np.arctan2(o[1], o[0]), o[2]]),
}
_MAX_FPS = 30  # of a file; Hopper, with 125 steps per second, would need four times the space
# Any of them gives a window; users who set the last one know what they chose.
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")


@runtime_checkable
class Actor(Protocol):
    """What can be watched: a trained policy, or anything that acts on single observations."""

    spec: EnvSpec

    def __call__(self, observation: np.ndarray) -> np.ndarray | int:
        """The action for an observation [O], in the environment's units."""
        ...


def watch(
    policy: TrainedPolicy | Actor,
    path: Path | None = None,
    stochastic: bool = False,
    seed: int = 0,
    episodes: int = 1,
) -> dict[str, Any]:
    """Play episodes in a window, or write them to `path` (.gif or .mp4), one after the other.

    Episode k has seed `seed` + k. Returns "returns" and "lengths" of the complete episodes, and
    "file". Closing the window cuts the last episode off, which is then left out.

    Raises:
        ImitaxError: `path` exists, has another ending or no folder, or the environment cannot be
            rendered.
    """
    movie = None if path is None else film(path)
    if path is not None and not path.parent.is_dir():
        raise ImitaxError(f"File '{path}' cannot be written: no folder '{path.parent}'.")
    check_seed(seed, episodes)
    check_episodes(episodes)
    act = policy.sampler(seed) if stochastic and isinstance(policy, TrainedPolicy) else policy
    returns, lengths = [], []
    with opened(policy.spec.id, policy.spec.time_limit, path is None) as env:
        fps = env.metadata.get("render_fps", 30)
        every = max(1, int(fps / _MAX_FPS))  # steps per frame of the file
        for episode in range(episodes):
            total, length = 0.0, 0
            for length, reward in play(env, act, seed + episode):
                total += reward
                if movie is not None:
                    if length % every == 0:
                        movie.add(env.render())
                elif _closed():
                    return {"returns": returns, "lengths": lengths, "file": None}
            returns.append(total)
            lengths.append(length)
        if movie is not None and path is not None:
            movie.save(path, fps / every)
    return {"returns": returns, "lengths": lengths, "file": None if path is None else str(path)}


@contextmanager
def opened(env_id: str, time_limit: int | None, window: bool = False) -> Iterator:
    """The Gymnasium environment, checked to render; `ImitaxError` if it does not."""
    import gymnasium

    if window and sys.platform == "linux" and not any(map(os.environ.get, _DISPLAYS)):
        raise ImitaxError("No display to open a window on: write a file instead, --save FILE.gif.")
    # Episodes have no sound and only windows need a screen: machines without them would log
    # warnings.
    quiet = {"PYGAME_HIDE_SUPPORT_PROMPT": "1", "SDL_AUDIODRIVER": "dummy"}
    quiet |= {} if window else {"SDL_VIDEODRIVER": "dummy"}
    added = {name: value for name, value in quiet.items() if name not in os.environ}
    os.environ.update(added)
    env = None
    try:
        try:  # a broken renderer raises any exception, at the first frame at the latest
            env = gymnasium.make(
                env_id, render_mode="human" if window else "rgb_array", max_episode_steps=time_limit
            )
            if not window and is_mujoco(env) and "MUJOCO_GL" not in os.environ:
                added |= _render_offscreen(env_id)
            env.reset(seed=0)
            env.render()
        except ImitaxError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())
            raise ImitaxError(f"Environment '{env_id}' cannot be rendered: {reason}") from error
        yield env
    finally:
        if env is not None:
            env.close()
        for name in added:
            os.environ.pop(name, None)


def _render_offscreen(env_id: str) -> dict[str, str]:
    """Set and return the environment variables with which MuJoCo renders without a display."""
    library = offscreen_library()
    if library is None:
        raise ImitaxError(
            f"Environment '{env_id}' cannot be rendered without a display, since neither EGL nor "
            "OSMesa works: install one of them (on Debian and Ubuntu: apt-get install libegl1, or "
            "libosmesa6)."
        )
    os.environ["MUJOCO_GL"] = library
    return {"MUJOCO_GL": library}


def play(
    env: Any, act: Callable, seed: int, start: np.ndarray | None = None
) -> Iterator[tuple[int, float]]:
    """Play one episode; yields (steps so far, reward of the last step), at first (0, 0.0).

    `start`: the first observation [O], for environments in `STATES`.
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


def replay(env: Any, observations: np.ndarray) -> Iterator[int]:
    """Put an environment of `STATES` into each observed state [T, O]; yields 0 … T − 1."""
    env.reset(seed=0)
    for step, obs in enumerate(observations):
        env.unwrapped.state = STATES[env.spec.id](obs)
        yield step


def _closed() -> bool:
    """Whether the user closed the window or pressed Escape, which environments ignore."""
    pygame = sys.modules.get("pygame")
    if pygame is None or not pygame.display.get_init():
        return False
    events = pygame.event.get((pygame.QUIT, pygame.KEYDOWN))
    return any(event.type == pygame.QUIT or event.key == pygame.K_ESCAPE for event in events)
