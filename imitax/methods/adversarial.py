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
    space = spec.observation

    def init(key, expert):
        # The policy's key does not depend on the model: the same seed starts from the same policy.
        key_agent, key_model = jax.random.split(key)
        key_policy, key_value = jax.random.split(key_agent)
        normaliser = empty_normaliser(space)
        if expert is not None:
            normaliser = merge_observations(space, normaliser, expert.transitions.obs)
        params = policy.init(key_policy)
        return Learner(
            params,
            agent.init(params, key_value),
            model.init(key_model),
            memory.init(blank(spec, (1,))),
            normaliser,
        )

    def prepared(learner, cycle: Cycle, key):
        """(learner that remembers the rollout, how it sees transitions, `Draw`, both sides as
        samples).
        """

        def look(t: Transition) -> Transition:
            return as_learnt_from(spec, policy, model.asks, learner, t)

        store, draw = memory.add(learner.memory, cycle.rollout)
        n = cycle.rollout.step.size
        own = draw(key, n)
        side = Sample(look(own), absorbing_mass(own.terminated, own.step, spec.time_limit))
        expert = cycle.expert
        if expert is not None:
            rows = draw_rows(expert.transitions, jax.random.fold_in(key, 1), n)
            expert = Sample(look(rows), expert.absorbing_mass)
        return learner._replace(memory=store), look, lambda k, n: look(draw(k, n)), expert, side

    def pretrain(learner, cycle: Cycle, key):
        learner, _, _, expert, side = prepared(learner, cycle, jax.random.fold_in(key, 2))
        state, metrics = model.update(learner.reward_model, expert, side, key)
        return learner._replace(reward_model=state), metrics

    def run(agent_step, learner, cycle: Cycle, key):
        key_model, key_agent = jax.random.split(key)
        learner, look, draw, expert, side = prepared(learner, cycle, jax.random.fold_in(key, 2))
        model_state, model_metrics = model.update(learner.reward_model, expert, side, key_model)

        def reward_of(t):
            return model.reward(model_state, t)

        rollout = look(cycle.rollout)
        x = Experience(rollout, cycle.carry, draw, expert, reward_of, cycle.progress)
        params, agent_state, agent_metrics = agent_step(learner.policy, learner.agent, x, key_agent)
        reward = reward_of(rollout)
        rewards = {"reward_mean": jnp.mean(reward), "reward_std": jnp.std(reward)}
        learner = Learner(
            params,
            agent_state,
            model_state,
            learner.memory,
            merge_observations(space, learner.normaliser, cycle.rollout.obs),
        )
        return learner, model_metrics | rewards | agent_metrics

    def learn(learner, cycle: Cycle, key):
        return run(agent.update, learner, cycle, key)

    def warm_up(learner, cycle: Cycle, key):
        if policy.rebase is None:
            raise ImitaxError(
                "A policy that starts from a clone must be able to follow the normaliser while it "
                "waits, but this "
                "one has no `rebase`: set loop.warm_up=0."
            )
        old = learner.normaliser
        learner, metrics = run(agent.wait, learner, cycle, key)
        # It knows the observations as they were normalised where it comes from: here the
        # statistics move far.
        return learner._replace(
            policy=policy.rebase(learner.policy, old, learner.normaliser)
        ), metrics

    return Loop(policy, init, learn, pretrain, warm_up)
