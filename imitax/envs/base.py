"""The environment contract: a batch of environments that reset themselves and say how episodes end.

Actions are in environment units. `Step.next_obs` is where an action led and `Step.obs` where the next
one starts, so no transition crosses an episode border. An episode may terminate and be truncated on
the same step.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from imitax.tabular.mdp import TabularMDP
from imitax.types import EnvSpec, Step

Model = Callable[[float], TabularMDP]  # discount -> the environment as explicit arrays


class NativeEnv(NamedTuple):
    """An environment in JAX: pure functions that can be compiled together with the learner."""

    spec: EnvSpec
    reset: Callable[[Key[Array, ""], int], tuple[PyTree, Float[Array, "B O"]]]  # (key, batch size)
    step: Callable[[PyTree, Array, Key[Array, ""]], tuple[PyTree, Step]]  # (state, action [B, …], key)
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

    def step(self, action: np.ndarray) -> Step:
        """Act in every environment; the arrays may be overwritten by the next call."""

    def close(self) -> None:
        """Release what the environments hold."""


class HostEnv(NamedTuple):
    """An environment outside JAX, opened in batches of any size."""

    spec: EnvSpec
    open: Callable[[int], HostBatch]
    model: Model | None = None  # where it is tabular
    backend: str = "gymnasium"  # the name that `envs.make` knows it by


Env = NativeEnv | HostEnv
