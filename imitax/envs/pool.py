"""Environments that EnvPool steps, in native threads. The only place that imports envpool."""

import os
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from imitax.core.spaces import bounds, is_box
from imitax.envs.base import HostBatch, HostEnv
from imitax.envs.host import action_space_of, encoder, observation_space_of
from imitax.errors import ImitaxError
from imitax.types import Box, Discrete, EnvSpec, Step

# Gymnasium's MuJoCo tasks, which EnvPool has with the same ids, spaces, rewards and time limits.
IDS = tuple(
    f"{name}-v5"
    for name in (
        "Ant",
        "HalfCheetah",
        "Hopper",
        "Humanoid",
        "HumanoidStandup",
        "InvertedDoublePendulum",
        "InvertedPendulum",
        "Pusher",
        "Reacher",
        "Swimmer",
        "Walker2d",
    )
)


def installed() -> bool:
    """Whether EnvPool can be imported; does not import it."""
    from importlib.util import find_spec

    return find_spec("envpool") is not None


def make(env_id: str, time_limit: int | None = None) -> HostEnv:
    """EnvPool's environment `env_id`; `time_limit` in steps replaces its own.

    Errors: EnvPool is not installed, does not know the id, or the spaces are not supported.
    """
    envpool = _library()
    if env_id not in envpool.list_all_envs():
        raise ImitaxError(
            f"EnvPool has no environment '{env_id}': leave the backend to auto or gymnasium."
        )
    with _quiet():
        own = envpool.make_spec(env_id)
        spec = EnvSpec(
            env_id,
            observation_space_of(env_id, own.gymnasium_observation_space),
            _as_gymnasium(action_space_of(env_id, own.gymnasium_action_space)),
            time_limit or int(own.config.max_episode_steps),
        )
    return HostEnv(spec, lambda batch: _Pool(spec, batch), backend="envpool")


def _library():
    try:
        import envpool
    except ImportError as error:
        raise ImitaxError(
            "The backend 'envpool' needs EnvPool, which is not installed: pip install "
            "'imitax[envpool]'."
        ) from error
    return envpool


@contextmanager
def _quiet():
    """Without the warnings of every pool that its bounds are rounded to single precision."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _cores() -> int:
    """Cores that this process may use, as far as the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _as_gymnasium(space: Discrete | Box) -> Discrete | Box:
    """Bounds rounded to the single precision that they have in Gymnasium, so that policies fit
    both.
    """

    def rounded(box):
        low, high = (bound.astype(np.float32).astype(float).tolist() for bound in bounds(box))
        return Box(tuple(low), tuple(high))

    return rounded(space) if is_box(space) else space


class _Pool(HostBatch):
    """One pool for the whole batch, reset by hand after the step that ends an episode.

    EnvPool itself would spend the step after it on the reset, ignoring the action of that step.
    """

    def __init__(self, spec: EnvSpec, batch: int):
        self._spec, self._batch = spec, batch
        self._envs: Any = None

    def reset(self, seeds: Sequence[int] | np.ndarray) -> np.ndarray:
        self.close()
        with _quiet():
            # A pool takes its seeds when it is made, and only then.
            self._envs = _library().make_gymnasium(
                self._spec.id,
                num_envs=self._batch,
                num_threads=min(self._batch, _cores()),
                seed=[int(seed) for seed in seeds],
                max_episode_steps=self._spec.time_limit,
            )
        self._encode = encoder(self._envs.observation_space)
        self._action_type = self._envs.action_space.dtype
        return self._encode(self._envs.reset()[0])

    def step(self, action: np.ndarray) -> Step:
        obs, reward, terminated, truncated, _ = self._envs.step(action.astype(self._action_type))
        obs = next_obs = self._encode(obs)
        ended = terminated | truncated
        if ended.any():
            which = np.flatnonzero(ended).astype(np.int32)
            fresh, told = self._envs.reset(which)
            obs = next_obs.copy()
            obs[told["env_id"]] = self._encode(fresh)
        return Step(next_obs, obs, reward.astype(np.float32), terminated, truncated)

    def close(self) -> None:
        if self._envs is not None:
            self._envs.close()
            self._envs = None
