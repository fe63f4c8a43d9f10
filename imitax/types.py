"""The records that every layer shares, and the two interfaces that a method is made of.

Shapes: T steps of time, B environments side by side, N pairs, O observation size, F feature size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int, Key, PyTree

Metrics = dict[str, Float[Array, ""]]


@dataclass(frozen=True)
class Discrete:
    """Actions 0 … n − 1."""

    n: int

    @property
    def size(self) -> int:
        """Length of an encoded action (one-hot)."""
        return self.n


@dataclass(frozen=True)
class Box:
    """Actions in a bounded box, in the environment's units."""

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def size(self) -> int:
        """Length of an encoded action (each dimension scaled to [−1, 1])."""
        return len(self.low)


@dataclass(frozen=True)
class EnvSpec:
    """What a method may know of an environment. Hashable, so that it can be static under `jit`."""

    id: str
    observation_size: int
    action_space: Discrete | Box
    time_limit: int  # steps after which an episode is truncated


class Step(NamedTuple):
    """What a batch of environments answers to a batch of actions."""

    next_obs: Float[Array, "B O"]  # where the action led, before any reset
    obs: Float[Array, "B O"]  # where the next action is taken: next_obs, or a fresh start
    reward: Float[Array, "B"]  # the true reward
    terminated: Bool[Array, "B"]  # the task ended the episode
    truncated: Bool[Array, "B"]  # the time limit ended it


class Rollout(NamedTuple):
    """Experience of one policy, T steps in each of B environments, episodes one after another.

    Actions are in the agent's units: an index, or a Box action scaled to [−1, 1] and not yet clipped.
    Observations are raw where environments hand them out and normalised where agents and reward
    models read them.
    """

    obs: Float[Array, "T B O"]
    action: Int[Array, "T B"] | Float[Array, "T B A"]
    reward: Float[Array, "T B"]
    next_obs: Float[Array, "T B O"]  # before any reset
    terminated: Bool[Array, "T B"]
    truncated: Bool[Array, "T B"]
    step: Int[Array, "T B"]  # index of this transition within its episode, from 0


class ExpertPairs(NamedTuple):
    """Demonstrations as a method sees them: pairs, and how long their episodes were absorbed.

    `absorbing_mass` is the share of the expert's occupancy that lies in the absorbing state: over
    whole episodes, Σ (time limit − length) of those that terminated, divided by that sum plus the
    number of live steps.
    """

    obs: Float[Array, "N O"]
    action: Int[Array, "N"] | Float[Array, "N A"]
    absorbing_mass: Float[Array, ""]


class Agent(NamedTuple):
    """A policy optimiser: PPO, TRPO, … Observations are normalised by the caller.

    Its state has a field `policy`: the network from observations to distribution parameters.
    """

    init: Callable[[Key[Array, ""]], PyTree]
    act: Callable[[PyTree, Float[Array, "B O"], Key[Array, ""]], Array]  # sampled actions [B, …]
    update: Callable[[PyTree, Rollout, Key[Array, ""]], tuple[PyTree, Metrics]]
    fit_value: Callable[[PyTree, Rollout, Key[Array, ""]], tuple[PyTree, Metrics]]  # the policy stays


class RewardModel(NamedTuple):
    """What the agent is paid with: a learnt discriminator, a cost class, a constant, or the truth."""

    init: Callable[[Key[Array, ""]], PyTree]
    update: Callable[[PyTree, ExpertPairs, Rollout, Key[Array, ""]], tuple[PyTree, Metrics]]
    reward: Callable[[PyTree, Rollout], Float[Array, "T B"]]


class Learner(NamedTuple):
    """Everything that training changes; a pytree."""

    agent: Any
    reward: Any
    normaliser: Any
