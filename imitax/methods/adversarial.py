"""The one training loop: a policy, an agent, a reward model and a memory, joined.

    rollout ─ Memory.add ─ RewardModel.update ─ Agent.update (which asks for rewards)

With `rewards.gail` it is GAIL, with `rewards.true_reward` reinforcement learning on the true
reward, with `rewards.constant` the control. `learn` does not know where a rollout came from.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from imitax.core.acting import log_prob
from imitax.core.memory import draw_rows
from imitax.core.normaliser import empty_normaliser, merge_observations, normalise_observation
from imitax.core.returns import absorbing_mass
from imitax.core.settings import setting, settings
from imitax.core.spaces import blank
from imitax.errors import ImitaxError
from imitax.types import (
    Agent,
    Carry,
    Draw,
    EnvSpec,
    Experience,
    Learner,
    Memory,
    Metrics,
    Policy,
    RewardModel,
    Sample,
    Scalar,
    Transition,
)


@settings
class LoopConfig:
    """Settings of the loop."""

    iterations: int = setting(100, "cycles of collecting and updating")
    env_steps: int = setting(5120, "environment steps (pairs) per iteration")
    max_envs: int = setting(
        64, "environments side by side; the largest divisor of env_steps up to this is used"
    )
    pretrain: int = setting(
        0, "iterations in which only the reward model learns, before the first policy update", low=0
    )
    warm_up: int = setting(
        10,
        "iterations after those in which a policy that starts from a clone waits for its value",
        low=0,
    )

    @property
    def envs(self) -> int:
        """Environments side by side."""
        return max(
            n for n in range(1, min(self.max_envs, self.env_steps) + 1) if self.env_steps % n == 0
        )


class Cycle(NamedTuple):
    """What one cycle of the loop learns from. Observations are raw."""

    expert: Sample | None  # [N]
    rollout: Transition  # [T, B]
    carry: Carry  # of the policy at the rollout's first step
    progress: Scalar  # share of the training that is done


Update = Callable[[Learner, Cycle, Key[Array, ""]], tuple[Learner, Metrics]]


class Loop(NamedTuple):
    """A method of the loop as pure functions."""

    policy: Policy
    init: Callable[[Key[Array, ""], Sample | None], Learner]
    learn: Update
    pretrain: Update  # only the reward model learns
    warm_up: Update  # the policy waits


def as_learnt_from(
    spec: EnvSpec, policy: Policy, asks: frozenset[str], learner: Learner, t: Transition
) -> Transition:
    """Transitions with raw observations as agents and reward models read them: normalised, and log
    π where asked.
    """

    def normalised(obs):
        return normalise_observation(spec.observation, learner.normaliser, obs)

    next_obs = None if t.next_obs is None else normalised(t.next_obs)
    t = t._replace(obs=normalised(t.obs), next_obs=next_obs)
    if "log_prob" in asks and t.action is not None:
        t = t._replace(log_prob=log_prob(policy, learner.policy, t))
    return t


class _Method(NamedTuple):
    """The values that a loop joins."""

    spec: EnvSpec
    policy: Policy
    agent: Agent
    model: RewardModel
    memory: Memory


def adversarial(
    spec: EnvSpec, policy: Policy, agent: Agent, model: RewardModel, memory: Memory
) -> Loop:
    """The loop's body for `spec`; raw observations and demonstrations come in, and are normalised
    here.

    The normaliser is shared by expert and policy, fed by both, and changes only after a whole
    cycle, so that the first surrogate ratio of every cycle is 1. Of the demonstrations a cycle
    draws as many as the policy has transitions, or takes all where there are fewer, so that its
    cost does not grow with their number.
    """
    method = _Method(spec, policy, agent, model, memory)

    def init(key, expert):
        return _init(method, key, expert)

    def learn(learner, cycle: Cycle, key):
        return _cycle(method, agent.update, learner, cycle, key)

    def pretrain(learner, cycle: Cycle, key):
        learner, _, expert, own = _samples(method, learner, cycle, jax.random.fold_in(key, 2))
        state, metrics = model.update(learner.reward_model, expert, own, key)
        return learner._replace(reward_model=state), metrics

    def warm_up(learner, cycle: Cycle, key):
        if policy.rebase is None:
            raise ImitaxError(
                "A policy that starts from a clone must follow the normaliser while it waits, but "
                "this one has no `rebase`: set loop.warm_up=0."
            )
        old = learner.normaliser
        learner, metrics = _cycle(method, agent.wait, learner, cycle, key)
        # It knows the observations as they were normalised where it comes from, and during the
        # first cycles the statistics move far.
        params = policy.rebase(learner.policy, old, learner.normaliser)
        return learner._replace(policy=params), metrics

    return Loop(policy, init, learn, pretrain, warm_up)


def _init(method: _Method, key: Key[Array, ""], expert: Sample | None) -> Learner:
    """The learner before its first cycle."""
    # The policy's key does not depend on the model: the same seed starts from the same policy.
    key_agent, key_model = jax.random.split(key)
    key_policy, key_value = jax.random.split(key_agent)
    space = method.spec.observation
    normaliser = empty_normaliser(space)
    if expert is not None:
        normaliser = merge_observations(space, normaliser, expert.transitions.obs)
    params = method.policy.init(key_policy)
    return Learner(
        params,
        method.agent.init(params, key_value),
        method.model.init(key_model),
        method.memory.init(blank(method.spec, (1,))),
        normaliser,
    )


def _samples(
    method: _Method, learner: Learner, cycle: Cycle, key: Key[Array, ""]
) -> tuple[Learner, Draw, Sample | None, Sample]:
    """(learner that remembers the rollout, `Draw` for the agent, the expert's sample, the
    policy's).
    """

    def look(t: Transition) -> Transition:
        return as_learnt_from(method.spec, method.policy, method.model.asks, learner, t)

    state, draw = method.memory.add(learner.memory, cycle.rollout)
    n = cycle.rollout.step.size
    own = draw(key, n)
    mass = absorbing_mass(own.terminated, own.step, method.spec.time_limit)
    expert = cycle.expert
    if expert is not None:
        rows = draw_rows(expert.transitions, jax.random.fold_in(key, 1), n)
        expert = Sample(look(rows), expert.absorbing_mass)

    def redraw(key, n):
        return look(draw(key, n))

    return learner._replace(memory=state), redraw, expert, Sample(look(own), mass)


def _cycle(
    method: _Method, agent_step: Callable, learner: Learner, cycle: Cycle, key: Key[Array, ""]
) -> tuple[Learner, Metrics]:
    """The reward model learns, then the policy, or what `agent_step` leaves it to."""
    spec, policy, _, model, _ = method
    key_model, key_agent = jax.random.split(key)
    learner, draw, expert, own = _samples(method, learner, cycle, jax.random.fold_in(key, 2))
    state, model_metrics = model.update(learner.reward_model, expert, own, key_model)

    def reward_of(t: Transition):
        return model.reward(state, t)

    rollout = as_learnt_from(spec, policy, model.asks, learner, cycle.rollout)
    x = Experience(rollout, cycle.carry, draw, expert, reward_of, cycle.progress)
    params, agent_state, agent_metrics = agent_step(learner.policy, learner.agent, x, key_agent)
    reward = reward_of(rollout)
    rewards = {"reward_mean": jnp.mean(reward), "reward_std": jnp.std(reward)}
    learner = Learner(
        params,
        agent_state,
        state,
        learner.memory,
        merge_observations(spec.observation, learner.normaliser, cycle.rollout.obs),
    )
    return learner, model_metrics | rewards | agent_metrics
