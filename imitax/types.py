"""The records that every layer shares, and the contract that a method is made of.

A method is a `Policy` (how parameters act), an `Agent` (what improves them), a `RewardModel` (what
is learnt about the expert) and a `Memory` (what may be looked back at), joined by one loop.

Shapes: T steps of time, B environments side by side, N transitions, *n any leading axes.
Observations, actions and carries are pytrees as their space or policy says; where an annotation
names O or A they are vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

Scalar = Float[Array, ""]
Number = float | Scalar  # a setting: a Python number, or traced
Metrics = dict[str, Scalar]
HostOrDevice = Array | np.ndarray  # NumPy's where Python steps the environments
Observation = Action = Params = Carry = PyTree
State = Any  # of an agent, a reward model or a memory: a record that each declares


@dataclass(frozen=True)
class Discrete:
    """The whole numbers 0 … n − 1."""

    n: int


@dataclass(frozen=True)
class MultiDiscrete:
    """A vector of whole numbers, the i-th of them in 0 … n[i] − 1."""

    n: tuple[int, ...]


@dataclass(frozen=True)
class MultiBinary:
    """A vector of n numbers that are 0 or 1."""

    n: int


@dataclass(frozen=True)
class Box:
    """Arrays of numbers between `low` and `high`, in the environment's units.

    Bounds are one number for all entries, or one for each in C order; without a shape they are a
    vector's. Bytes (`uint8`) are an image.
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]
    shape: tuple[int, ...] = ()
    dtype: str = "float32"

    def __post_init__(self):
        for name in ("low", "high"):
            bound = getattr(self, name)
            if isinstance(bound, tuple):
                if not self.shape:
                    object.__setattr__(self, "shape", (len(bound),))
                if len(set(bound)) == 1:  # one form for equal spaces
                    object.__setattr__(self, name, bound[0])


@dataclass(frozen=True)
class Dict:
    """Named parts; values are dicts."""

    parts: "tuple[tuple[str, Space], ...]"


@dataclass(frozen=True)
class Tuple:
    """Parts in order; values are tuples."""

    parts: "tuple[Space, ...]"


Space = Discrete | MultiDiscrete | MultiBinary | Box | Dict | Tuple


@dataclass(frozen=True)
class EnvSpec:
    """What a method may know of an environment. Hashable, so that it can be static under `jit`."""

    id: str
    observation: Space
    action: Space
    time_limit: int  # steps after which an episode is truncated


class Step(NamedTuple):
    """What a batch of environments answers to a batch of actions."""

    next_obs: Observation  # [B, …]; where the action led, before any reset
    obs: Observation  # [B, …]; where the next action is taken: next_obs, or a fresh start
    reward: Float[HostOrDevice, "B"]  # the true reward
    terminated: Bool[HostOrDevice, "B"]  # the task ended the episode
    truncated: Bool[HostOrDevice, "B"]  # the time limit ended it


class Transition(NamedTuple):
    """Experience of a policy or of the expert: [T, B] in a rollout, episodes one after another;
    [N] in a sample.

    Actions are in the agent's units: indices, or a Box action scaled to [−1, 1] and not yet
    clipped. Observations are raw where environments and demonstrations hand them out and in
    memories, and normalised where agents and reward models read them.
    """

    obs: Observation
    action: Action | None  # None: demonstrations of states alone
    # before any reset; None: demonstrations, unless a reward model asks for it
    next_obs: Observation | None
    reward: Float[HostOrDevice, "*n"]  # the true one; NaN in demonstrations
    terminated: Bool[HostOrDevice, "*n"]
    truncated: Bool[HostOrDevice, "*n"]
    # index within its episode, from 0; 0 also says: forget what you remember
    step: Int[HostOrDevice, "*n"]
    # of the policy as it is now, where a reward model asks for it
    log_prob: Float[HostOrDevice, "*n"] | None = None
    teacher: Action | None = None  # what a teacher would have done here


class Sample(NamedTuple):
    """One side of the comparison, expert or policy: transitions [N], and how long their episodes
    were absorbed.

    `absorbing_mass` is the share of the occupancy that lies in the absorbing state: over whole
    episodes, Σ (time limit − length) of those that terminated, divided by that sum plus the number
    of live steps.
    """

    transitions: Transition
    absorbing_mass: Scalar


@runtime_checkable
class Draw(Protocol):
    """Draws remembered transitions."""

    def __call__(self, key: Key[Array, ""], n: int) -> Transition:
        """`n` of them; a memory of no more than that may give all it has, in order."""
        ...


class Experience(NamedTuple):
    """What an agent may learn from in one cycle. Observations are normalised."""

    rollout: Transition  # [T, B], in order
    carry: Carry  # of the policy at the rollout's first step
    draw: Draw
    expert: Sample | None
    # what is rewarded now: a function, not a column
    reward: Callable[[Transition], Float[Array, "*n"]]
    progress: Scalar  # share of the training that is done, in [0, 1)


class Distribution(NamedTuple):
    """A family of distributions over agent-unit actions; functions act on the last axis of their
    parameters.
    """

    sample: Callable  # (parameters, key) -> action
    mode: Callable  # parameters -> action
    log_prob: Callable  # (parameters, action) -> [*n]
    entropy: Callable  # parameters -> [*n]
    kl: Callable  # KL(p ‖ q) from the parameters of p and q
    parameters: tuple[str, ...]  # their names; more than one: the parameters are a tuple


class Policy(NamedTuple):
    """A family of policies: how parameters, a pytree of arrays, act. The loop, cloning, files and
    export use the same.

    `unroll` reads observations [T, B, …] and whether each is the first of its episode, and returns
    the distribution's parameters [T, B, …] and the carry after the last step; acting is `unroll`
    with T = 1.
    """

    distribution: Distribution
    init: Callable[[Key[Array, ""]], Params]
    # batch size -> the memory at the start of an episode; () unless recurrent
    carry: Callable[[int], Carry]
    unroll: Callable[[Params, Observation, Bool[Array, "T B"], Carry], tuple[Any, Carry]]
    # The parameters that do with observations normalised by `new` what `params` do with those by
    # `old`.
    rebase: Callable[[Params, State, State], Params] | None = None


class RewardModel(NamedTuple):
    """What the agent is rewarded with: a learnt discriminator, a cost class, a constant, or the
    true reward.
    """

    init: Callable[[Key[Array, ""]], State]
    update: Callable[
        [State, Sample | None, Sample, Key[Array, ""]], tuple[State, Metrics]
    ]  # (…, expert, policy, …)
    reward: Callable[[State, Transition], Float[Array, "*n"]]
    # Optional fields that it reads of transitions: "next_obs", "log_prob".
    asks: frozenset[str] = frozenset()


class Agent(NamedTuple):
    """Improves the parameters of a policy, which are not its own: PPO, TRPO, …"""

    init: Callable[[Params, Key[Array, ""]], State]
    update: Callable[[Params, State, Experience, Key[Array, ""]], tuple[Params, State, Metrics]]
    wait: Callable[
        [Params, State, Experience, Key[Array, ""]], tuple[Params, State, Metrics]
    ]  # the policy stays


class Memory(NamedTuple):
    """What may be looked back at: the last rollout, or a replay buffer. Holds raw observations."""

    init: Callable[[Transition], State]  # from one transition [1] with the shapes of all
    add: Callable[[State, Transition], tuple[State, Draw]]  # a rollout [T, B]; `Draw` includes it


class Learner(NamedTuple):
    """Everything that training changes; a pytree."""

    policy: Params
    agent: State
    reward_model: State
    memory: State
    normaliser: State  # `core.normaliser`; shared by expert and policy
