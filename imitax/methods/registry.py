"""Every method and agent by name. Tests, the command line and `--set` iterate over these
tables.
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from imitax.agents.ppo import PPOConfig, ppo
from imitax.agents.trpo import TRPOConfig, trpo
from imitax.catalogue import METHODS as INFO
from imitax.catalogue import MethodInfo
from imitax.core.memory import last_rollout
from imitax.core.settings import setting, settings
from imitax.errors import unknown
from imitax.methods.adversarial import Loop, LoopConfig, adversarial
from imitax.methods.cloning import Cloning, CloningConfig, cloning
from imitax.methods.mce_irl import MCEConfig, Planning, mce_irl
from imitax.networks import mlp_policy
from imitax.rewards.apprenticeship import ApprenticeshipConfig, fem, gtal
from imitax.rewards.constant import ConstantConfig, constant
from imitax.rewards.gail import GAILConfig, gail
from imitax.rewards.true_reward import TrueRewardConfig, true_reward
from imitax.types import Agent, EnvSpec, Memory, Policy, RewardModel

Settings = dict[str, Any]  # group -> settings object


class AgentEntry(NamedTuple):
    """A policy optimiser: what it is, its settings, its constructor."""

    summary: str
    config: type
    build: Callable | None  # (spec, policy, settings) -> Agent


class Kind(Enum):
    """How a method trains, and the setting that says how long."""

    LOOP = "loop.iterations"  # a reward model and an agent in the adversarial loop
    SUPERVISED = "bc.epochs"  # from demonstrations alone
    PLANNING = "mce_irl.iterations"  # with the environment's model, exactly

    @property
    def length_setting(self) -> str:
        """The key of the setting that says how long it trains."""
        return self.value


class MethodEntry(NamedTuple):
    """A method by its kind: a reward model for the adversarial loop, or one that trains without
    it.
    """

    info: MethodInfo
    config: type
    # (spec, settings) -> RewardModel or Planning; (spec, policy, settings) -> Cloning
    build: Callable | None
    kind: Kind

    @property
    def summary(self) -> str:
        """What it is, in one line."""
        return self.info.summary

    @property
    def demonstrations(self) -> bool:
        """Whether it learns from them."""
        return self.info.demonstrations

    @property
    def loop(self) -> bool:
        """Whether it runs the adversarial loop, with an agent."""
        return self.kind is Kind.LOOP


@settings
class CustomConfig:
    """Settings of a user's own reward model or agent."""

    hidden: tuple[int, ...] = setting(
        (100, 100), "units per tanh layer of the policy, where none is given"
    )


class Parts(NamedTuple):
    """Values that take the place of what a configuration names."""

    reward_model: RewardModel | None = None
    agent: Callable[[EnvSpec, Policy], Agent] | None = None  # a constructor
    policy: Policy | None = None
    memory: Memory | None = None


CUSTOM = "custom"  # the name of a method or an agent that is given as a value

AGENTS = {
    "ppo": AgentEntry("proximal policy optimisation, clipped surrogate", PPOConfig, ppo),
    "trpo": AgentEntry("trust region policy optimisation", TRPOConfig, trpo),
}

METHODS = {
    "bc": MethodEntry(INFO["bc"], CloningConfig, cloning, Kind.SUPERVISED),
    "gail": MethodEntry(INFO["gail"], GAILConfig, gail, Kind.LOOP),
    "fem": MethodEntry(INFO["fem"], ApprenticeshipConfig, fem, Kind.LOOP),
    "gtal": MethodEntry(INFO["gtal"], ApprenticeshipConfig, gtal, Kind.LOOP),
    "mce_irl": MethodEntry(INFO["mce_irl"], MCEConfig, mce_irl, Kind.PLANNING),
    "constant": MethodEntry(INFO["constant"], ConstantConfig, constant, Kind.LOOP),
    "rl": MethodEntry(INFO["rl"], TrueRewardConfig, true_reward, Kind.LOOP),
}
OWN = MethodEntry(
    MethodInfo(
        "own reward model", "a reward model of your own", demonstrations=True, reward="learnt"
    ),
    CustomConfig,
    None,
    Kind.LOOP,
)


def find_method(name: str) -> MethodEntry:
    """The entry called `name`; `ImitaxError` with the nearest names if there is none."""
    if name == CUSTOM:
        return OWN
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def find_agent(name: str) -> AgentEntry:
    """The entry called `name`; `ImitaxError` with the nearest names if there is none."""
    if name == CUSTOM:
        return AgentEntry("an agent of your own", CustomConfig, None)
    if name not in AGENTS:
        raise unknown("agent", name, AGENTS)
    return AGENTS[name]


def default_settings(method: str, agent: str, init: str | None = None) -> Settings:
    """The groups of settings of a method: its own, or for the loop's methods those of loop, agent
    and reward.

    A policy that starts from a clone (`init`) has the clone's as well.
    """
    entry = find_method(method)
    if not entry.loop:
        return {method: entry.config()}
    groups = {"loop": LoopConfig(), "agent": find_agent(agent).config(), "reward": entry.config()}
    return groups | ({init: find_method(init).config()} if init else {})


def policy_of(method: str, spec: EnvSpec, settings: Settings, parts: Parts = Parts()) -> Policy:
    """The family of policies that a method trains; equal hidden layers give the same object."""
    group = "agent" if find_method(method).loop else method
    return parts.policy or mlp_policy(spec, settings[group].hidden)


def reward_model_of(
    method: str, spec: EnvSpec, settings: Settings, parts: Parts = Parts()
) -> RewardModel:
    """The reward model of a method of the loop; numbers in `settings` may be traced."""
    if parts.reward_model is not None:
        return parts.reward_model
    build = find_method(method).build
    if build is None:  # a name that stands for a value, and none was given
        raise unknown("method", method, METHODS)
    return build(spec, settings["reward"])


def agent_of(
    agent: str, spec: EnvSpec, policy: Policy, settings: Settings, parts: Parts = Parts()
) -> Agent:
    """The agent of a method of the loop; numbers in `settings` may be traced."""
    if parts.agent is not None:
        return parts.agent(spec, policy)
    build = find_agent(agent).build
    if build is None:
        raise unknown("agent", agent, AGENTS)
    return build(spec, policy, settings["agent"])


def build_loop(
    method: str, agent: str, spec: EnvSpec, settings: Settings, parts: Parts = Parts()
) -> Loop:
    """The pure functions of a method of the loop; numbers in `settings` may be traced."""
    policy = policy_of(method, spec, settings, parts)
    model = reward_model_of(method, spec, settings, parts)
    optimiser = agent_of(agent, spec, policy, settings, parts)
    return adversarial(spec, policy, optimiser, model, parts.memory or last_rollout())


def build_cloning(spec: EnvSpec, policy: Policy, settings: Settings) -> Cloning:
    """The pure functions of behaviour cloning; numbers in `settings` may be traced."""
    return cloning(spec, policy, settings["bc"])


def build_planning(method: str, spec: EnvSpec, settings: Settings) -> Planning:
    """The functions of a method that plans."""
    build = find_method(method).build
    assert build is not None  # every method that plans has its constructor
    return build(spec, settings[method])
