"""Environments that Python steps: Gymnasium's vector environments. The only place that imports gymnasium."""

from collections.abc import Callable, Sequence

import numpy as np

from imitax.envs.base import HostBatch, HostEnv
from imitax.errors import ImitaxError, unknown
from imitax.types import Box, Discrete, EnvSpec, Step


def make(env: str | Callable, time_limit: int | None = None) -> HostEnv:
    """A Gymnasium environment by id, or from a function that makes one.

    `time_limit` in steps replaces the registered one. Errors: unknown id, no time limit, a space that is
    not Box (observations) or bounded Box or Discrete starting at 0 (actions).
    """
    env_id, make_one = _maker(env, time_limit)
    probe = make_one()
    try:
        limit = _time_limit(probe)
        if limit is None:
            raise ImitaxError(
                f"Environment '{env_id}' has no time limit; give one with time_limit (--time-limit STEPS)."
            )
        spec = EnvSpec(
            env_id,
            _observation_size(env_id, probe.observation_space),
            _action_space(env_id, probe.action_space),
            limit,
        )
    finally:
        probe.close()
    return HostEnv(spec, lambda batch: _GymnasiumBatch(make_one, batch))


def ids() -> list[str]:
    """Ids that Gymnasium knows."""
    import gymnasium

    return sorted(gymnasium.registry)


class _GymnasiumBatch(HostBatch):
    """Gymnasium's own vector environment, reset by hand after the step that ends an episode."""

    def __init__(self, make_one: Callable, batch: int):
        from gymnasium.vector import AutoresetMode, SyncVectorEnv

        # With its own resets the last observation is kept by reference only, and an environment that writes
        # every observation into one buffer would lose it.
        self._envs = SyncVectorEnv([make_one] * batch, copy=False, autoreset_mode=AutoresetMode.DISABLED)
        self._discrete = hasattr(self._envs.single_action_space, "n")
        self._shape = self._envs.single_action_space.shape

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return self._flat(self._envs.reset(seed=[int(seed) for seed in seeds])[0])

    def step(self, action: np.ndarray) -> Step:
        if not self._discrete:
            action = action.reshape(len(action), *self._shape)
        obs, reward, terminated, truncated, _ = self._envs.step(action)
        obs = next_obs = self._flat(obs)
        ended = terminated | truncated
        if ended.any():
            obs = self._flat(self._envs.reset(options={"reset_mask": ended})[0])
        return Step(next_obs, obs, reward.astype(np.float32), terminated, truncated)

    def close(self) -> None:
        self._envs.close()

    def _flat(self, obs: np.ndarray) -> np.ndarray:
        # A copy: the vector environment overwrites its buffer on the next step.
        return np.array(obs, np.float32).reshape(len(obs), -1)


def _maker(env: str | Callable, time_limit: int | None) -> tuple[str, Callable]:
    import gymnasium
    from gymnasium.wrappers import TimeLimit

    if callable(env):
        probe = env()
        env_id = probe.spec.id if getattr(probe, "spec", None) else type(probe.unwrapped).__name__
        probe.close()
        if time_limit is None:
            return env_id, env
        return env_id, lambda: TimeLimit(env(), time_limit)
    try:
        gymnasium.spec(env)
    except gymnasium.error.Error as error:
        if env in gymnasium.registry or ":" in env:
            raise ImitaxError(f"Environment '{env}' cannot be made: {error}") from error
        raise unknown("environment", env, gymnasium.registry) from error
    options = {} if time_limit is None else {"max_episode_steps": time_limit}

    def make_one():
        try:
            return gymnasium.make(env, **options)
        except (gymnasium.error.Error, ImportError) as error:
            raise ImitaxError(f"Environment '{env}' cannot be made: {error}") from error

    return env, make_one


def _time_limit(env) -> int | None:
    """The shortest of the limits that truncate: those of TimeLimit wrappers, put on by whom ever."""
    limits = []
    while env is not env.unwrapped:
        if "_max_episode_steps" in vars(env):
            limits.append(env._max_episode_steps)
        env = env.env
    return min(limits, default=None)


def _observation_size(env_id: str, space) -> int:
    from gymnasium import spaces

    if not isinstance(space, spaces.Box) or space.dtype == np.uint8:
        kind = "image" if isinstance(space, spaces.Box) else type(space).__name__
        raise ImitaxError(
            f"Observations of '{env_id}' are {space} ({kind}): only a Box of numbers is supported yet."
        )
    return int(np.prod(space.shape))


def _action_space(env_id: str, space) -> Discrete | Box:
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete) and space.start == 0:
        return Discrete(int(space.n))
    if isinstance(space, spaces.Box) and space.is_bounded():
        return Box(
            tuple(space.low.astype(float).reshape(-1).tolist()),
            tuple(space.high.astype(float).reshape(-1).tolist()),
        )
    raise ImitaxError(
        f"Actions of '{env_id}' are {space}: only Discrete from 0 and bounded Box are supported yet."
    )
