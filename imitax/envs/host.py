"""Environments that Python steps: Gymnasium's vector environments."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from imitax.core.spaces import vector
from imitax.envs.base import HostBatch, HostEnv
from imitax.errors import ImitaxError
from imitax.tabular.worlds import from_table
from imitax.types import Box, Discrete, EnvSpec, Step


def make(env: str | Callable, time_limit: int | None = None) -> HostEnv:
    """A Gymnasium environment by id, or from a function that makes one.

    `time_limit` in steps replaces the registered one. Errors: unknown id, no time limit, a space
    that is not Box or Discrete from 0 (observations), or bounded Box or Discrete from 0 (actions).
    Where the environment has a table of its transitions, as Gymnasium's toy texts do, it gets a
    model.
    """
    env_id, make_one = _maker(env, time_limit)
    probe = make_one()
    try:
        limit = _time_limit(probe)
        if limit is None:
            raise ImitaxError(
                f"Environment '{env_id}' has no time limit; give one with time_limit "
                "(--time-limit STEPS)."
            )
        spec = EnvSpec(
            env_id,
            observation_space_of(env_id, probe.observation_space),
            action_space_of(env_id, probe.action_space),
            limit,
        )
        toy = probe.unwrapped
    finally:
        probe.close()
    model = partial(from_table, toy, name=env_id) if hasattr(toy, "P") else None
    return HostEnv(spec, lambda batch: _GymnasiumBatch(make_one, batch), model)


def ids() -> list[str]:
    """Ids that Gymnasium knows."""
    import gymnasium

    return sorted(gymnasium.registry)


def is_registered(env_id: str) -> bool:
    """Whether Gymnasium has such an environment, or names a module that may register it
    ("module:id").
    """
    import gymnasium

    if ":" in env_id or env_id in gymnasium.registry:
        return True
    try:
        gymnasium.spec(env_id)  # an id without a version means the latest one
    except gymnasium.error.Error:
        return False
    return True


def encoder(space) -> Callable[[np.ndarray], np.ndarray]:
    """Observations [B, …] of `space` -> new float32 rows [B, O]: Box flattened, Discrete
    one-hot.
    """
    if hasattr(space, "n"):
        rows = np.eye(int(space.n), dtype=np.float32)
        return lambda obs: rows[np.asarray(obs)]
    return lambda obs: np.array(obs, np.float32).reshape(len(obs), -1)


class _GymnasiumBatch(HostBatch):
    """Gymnasium's own vector environment, reset by hand after the step that ends an episode."""

    def __init__(self, make_one: Callable, batch: int):
        from gymnasium.vector import AutoresetMode, SyncVectorEnv

        # With its own resets the last observation is kept by reference only, and an environment
        # that writes every observation into one buffer would lose it.
        self._envs = SyncVectorEnv(
            [make_one] * batch, copy=False, autoreset_mode=AutoresetMode.DISABLED
        )
        self._discrete = hasattr(self._envs.single_action_space, "n")
        self._shape = self._envs.single_action_space.shape or ()
        # It copies: the vector environment overwrites its buffer on the next step.
        self._encode = encoder(self._envs.single_observation_space)

    def reset(self, seeds: Sequence[int] | np.ndarray) -> np.ndarray:
        return self._encode(self._envs.reset(seed=[int(seed) for seed in seeds])[0])

    def step(self, action: np.ndarray) -> Step:
        if not self._discrete:
            action = action.reshape(len(action), *self._shape)
        obs, reward, terminated, truncated, _ = self._envs.step(action)
        obs = next_obs = self._encode(obs)
        ended = terminated | truncated
        if ended.any():
            obs = self._encode(self._envs.reset(options={"reset_mask": ended})[0])
        return Step(next_obs, obs, reward.astype(np.float32), terminated, truncated)

    def close(self) -> None:
        self._envs.close()


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

    def make_one():
        try:
            return gymnasium.make(env, max_episode_steps=time_limit)
        except gymnasium.error.DependencyNotInstalled as error:
            advice = (
                "pip install 'imitax[mujoco]'" if "mujoco" in str(error).lower() else str(error)
            )
            raise ImitaxError(
                f"Environment '{env}' needs a library that is not installed: {advice}"
            ) from error
        except (gymnasium.error.Error, ImportError) as error:
            raise ImitaxError(f"Environment '{env}' cannot be made: {error}") from error

    return env, make_one


def _time_limit(env) -> int | None:
    """The shortest of the limits that truncate: those of TimeLimit wrappers, whoever added
    them.
    """
    limits = []
    while env is not env.unwrapped:
        if "_max_episode_steps" in vars(env):
            limits.append(env._max_episode_steps)
        env = env.env
    return min(limits, default=None)


def observation_space_of(env_id: str, space) -> Box:
    """The vectors that `encoder` makes of Gymnasium's observations; `ImitaxError` if it is not
    supported.
    """
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete) and space.start == 0:
        return vector(int(space.n))
    if not isinstance(space, spaces.Box) or space.dtype == np.uint8:
        kind = "image" if isinstance(space, spaces.Box) else type(space).__name__
        raise ImitaxError(
            f"Observations of '{env_id}' are {space} ({kind}): only a Box of numbers, or Discrete "
            "from 0, is supported yet."
        )
    return vector(int(np.prod(space.shape)))


def action_space_of(env_id: str, space) -> Discrete | Box:
    """Gymnasium's action space as ours; `ImitaxError` if it is not supported."""
    from gymnasium import spaces

    if isinstance(space, spaces.Discrete) and space.start == 0:
        return Discrete(int(space.n))
    if isinstance(space, spaces.Box) and space.is_bounded():
        return Box(
            tuple(space.low.astype(float).reshape(-1).tolist()),
            tuple(space.high.astype(float).reshape(-1).tolist()),
        )
    raise ImitaxError(
        f"Actions of '{env_id}' are {space}: only Discrete from 0 and bounded Box are supported "
        "yet."
    )
