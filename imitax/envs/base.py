"""The environment contract: a batch of environments that reset themselves and say how episodes
end.

Actions are in environment units. `Step.next_obs` is where an action led and `Step.obs` where the
next one starts, so no transition crosses an episode border. An episode may terminate and be
truncated on the same step.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from imitax.core.compiling import jit
from imitax.tabular.mdp import TabularMDP
from imitax.types import EnvSpec, Step

Model = Callable[[float], TabularMDP]  # discount -> the environment as explicit arrays


class NativeEnv(NamedTuple):
    """An environment in JAX: pure functions that can be compiled together with the learner."""

    spec: EnvSpec
    reset: Callable[[Key[Array, ""], int], tuple[PyTree, Float[Array, "B O"]]]  # (key, batch size)
    # (state, action [B, …], key)
    step: Callable[[PyTree, Array, Key[Array, ""]], tuple[PyTree, Step]]
    model: Model | None = None  # where it is tabular

    @property
    def backend(self) -> str:
        """The name that `envs.make` knows it by."""
        return "native"


@runtime_checkable
class HostBatch(Protocol):
    """Environments that are stepped by Python."""

    def reset(self, seeds: Sequence[int] | np.ndarray) -> np.ndarray:
        """Start every environment anew, each with its own seed; observations [B, O]."""
        ...

    def step(self, action: np.ndarray) -> Step:
        """Act in every environment; the arrays may be overwritten by the next call."""
        ...

    def close(self) -> None:
        """Release what the environments hold."""
        ...


class HostEnv(NamedTuple):
    """An environment outside JAX, opened in batches of any size."""

    spec: EnvSpec
    open: Callable[[int], HostBatch]
    model: Model | None = None  # where it is tabular
    backend: str = "gymnasium"  # the name that `envs.make` knows it by


Env = NativeEnv | HostEnv


def stepped_by_host(env: NativeEnv) -> HostEnv:
    """The same environment for callers in Python, such as experts that JAX cannot compile."""
    return HostEnv(env.spec, lambda batch: _NativeBatch(env), env.model, env.backend)


class _NativeBatch(HostBatch):
    """A batch of native environments behind the interface of the others."""

    def __init__(self, env: NativeEnv):
        self._reset = jit(env.reset, static_argnums=1)
        self._step = jit(env.step)
        self._state: Any = None

    def reset(self, seeds: Sequence[int] | np.ndarray) -> np.ndarray:
        # One stream of randomness for the batch, made of all seeds.
        self._key = jax.random.key(int(np.random.default_rng(list(seeds)).integers(2**31 - 1)))
        self._key, key = jax.random.split(self._key)
        self._state, obs = self._reset(key, len(seeds))
        return jax.tree.map(np.array, obs)

    def step(self, action: np.ndarray) -> Step:
        self._key, key = jax.random.split(self._key)
        self._state, answer = self._step(self._state, action, key)
        return Step(*jax.tree.map(np.array, tuple(answer)))

    def close(self) -> None:
        self._state = None
