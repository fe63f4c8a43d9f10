"""Every method and agent by name. Tests, the command line and `--set` iterate over these tables."""

from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import NamedTuple

from imitax.agents.ppo import PPOConfig, ppo
from imitax.agents.trpo import TRPOConfig, trpo
from imitax.catalogue import METHODS as INFO
from imitax.catalogue import MethodInfo
from imitax.errors import unknown
from imitax.methods.adversarial import LoopConfig, Method, adversarial
from imitax.methods.cloning import Cloning, CloningConfig, cloning
from imitax.methods.mce_irl import MCEConfig, Planning, mce_irl
from imitax.rewards.apprenticeship import ApprenticeshipConfig, fem, gtal
from imitax.rewards.constant import ConstantConfig, constant
from imitax.rewards.environment import EnvironmentConfig, environment
from imitax.rewards.gail import GAILConfig, gail
from imitax.types import Agent, EnvSpec


class AgentEntry(NamedTuple):
    """A policy optimiser: what it is, its settings, its constructor."""

    summary: str
    config: type
    build: Callable


class Kind(Enum):
    """How a method trains, and the setting that says how long."""

    LOOP = "loop.iterations"  # a reward model and an agent in the adversarial loop
    SUPERVISED = "bc.epochs"  # from demonstrations alone
    PLANNING = "mce_irl.iterations"  # with the environment's model, exactly


class MethodEntry(NamedTuple):
    """A method by its kind: a reward model for the adversarial loop, or one that trains without it."""

    info: MethodInfo
    config: type
    build: Callable
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
    "rl": MethodEntry(INFO["rl"], EnvironmentConfig, environment, Kind.LOOP),
}


def find_method(name: str) -> MethodEntry:
    """The entry called `name`; `ImitaxError` with the nearest names if there is none."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def find_agent(name: str) -> AgentEntry:
    """The entry called `name`; `ImitaxError` with the nearest names if there is none."""
    if name not in AGENTS:
        raise unknown("agent", name, AGENTS)
    return AGENTS[name]


def default_settings(method: str, agent: str) -> dict[str, object]:
    """The groups of settings of a method: its own, and for the loop's methods those of loop and agent."""
    entry = find_method(method)
    if not entry.loop:
        return {method: entry.config()}
    return {"loop": LoopConfig(), "agent": find_agent(agent).config(), "reward": entry.config()}


def build(method: str, agent: str, spec: EnvSpec, settings: dict[str, object]) -> Method | Cloning | Planning:
    """The method's pure functions for `spec`."""
    entry = find_method(method)
    if not entry.loop:
        return entry.build(spec, settings[method])
    return adversarial(spec, _agent(agent, spec, settings["agent"]), entry.build(spec, settings["reward"]))


@cache
def _agent(name: str, spec: EnvSpec, config) -> Agent:
    """One record for equal settings, so that methods with the same agent share the program that collects."""
    return find_agent(name).build(spec, config)
