"""The one training loop: a reward model and an agent, joined.

    rollout ─ RewardModel.update ─ reward(rollout) ─ Agent.update

With `rewards.gail` it is GAIL, with `rewards.environment` reinforcement learning on the true reward,
with `rewards.constant` the control. `learn` does not know where a rollout came from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from imitax.core.statistics import empty_moments, merge_moments, normalise
from imitax.networks import rebased
from imitax.types import Agent, EnvSpec, ExpertPairs, Learner, Metrics, RewardModel, Rollout


@dataclass(frozen=True)
class LoopConfig:
    """Settings of the loop."""

    iterations: int = 100  # cycles of collecting and updating
    steps: int = 5120  # environment steps (pairs) per iteration
    envs: int = 64  # environments side by side, at most; the largest divisor of `steps` is taken
    pretrain: int = 0  # iterations in which only the reward model learns, before the first policy update
    warm_up: int = 10  # iterations after those in which a policy that starts from a clone waits for its value


class Method(NamedTuple):
    """A method of the loop as pure functions."""

    agent: Agent
    init: Callable[[Key[Array, ""], ExpertPairs | None], Learner]
    learn: Callable[[Learner, ExpertPairs | None, Rollout, Key[Array, ""]], tuple[Learner, Metrics]]
    pretrain: Callable[[Learner, ExpertPairs | None, Rollout, Key[Array, ""]], tuple[Learner, Metrics]]
    warm_up: Callable[[Learner, ExpertPairs | None, Rollout, Key[Array, ""]], tuple[Learner, Metrics]]


def adversarial(spec: EnvSpec, agent: Agent, model: RewardModel) -> Method:
    """The loop's body for `spec`; raw observations and demonstrations come in, and are normalised here.

    The normaliser is shared by expert and policy, fed by both, and changes only after a whole cycle, so
    that the first surrogate ratio of every cycle is 1.
    """

    def init(key, expert):
        # The agent's key does not depend on the model: the same seed starts from the same policy.
        key_agent, key_model = jax.random.split(key)
        normaliser = empty_moments((spec.observation_size,))
        if expert is not None:
            normaliser = merge_moments(normaliser, expert.obs)
        return Learner(agent.init(key_agent), model.init(key_model), normaliser)

    def normalised(learner, expert, rollout):
        def apply(x):
            return normalise(learner.normaliser, x)

        if expert is not None:
            expert = expert._replace(obs=apply(expert.obs))
        return expert, rollout._replace(obs=apply(rollout.obs), next_obs=apply(rollout.next_obs))

    def pretrain(learner, expert, rollout, key):
        seen, done = normalised(learner, expert, rollout)
        state, metrics = model.update(learner.reward, seen, done, key)
        return learner._replace(reward=state), metrics

    def cycle(agent_step, learner, expert, rollout, key):
        key_model, key_agent = jax.random.split(key)
        seen, done = normalised(learner, expert, rollout)
        model_state, model_metrics = model.update(learner.reward, seen, done, key_model)
        reward = model.reward(model_state, done)
        agent_state, agent_metrics = agent_step(learner.agent, done._replace(reward=reward), key_agent)
        normaliser = merge_moments(learner.normaliser, rollout.obs.reshape(-1, spec.observation_size))
        paid = {"reward_mean": jnp.mean(reward), "reward_std": jnp.std(reward)}
        return Learner(agent_state, model_state, normaliser), model_metrics | paid | agent_metrics

    def learn(learner, expert, rollout, key):
        return cycle(agent.update, learner, expert, rollout, key)

    def warm_up(learner, expert, rollout, key):
        old = learner.normaliser
        learner, metrics = cycle(agent.fit_value, learner, expert, rollout, key)
        # It knows the observations as they were normalised where it comes from: here the statistics move far.
        policy = rebased(learner.agent.policy, old, learner.normaliser)
        return learner._replace(agent=learner.agent._replace(policy=policy)), metrics

    return Method(agent, init, learn, pretrain, warm_up)


def act(agent: Agent, learner: Learner, obs: Float[Array, "B O"], key: Key[Array, ""]) -> Array:
    """Sampled agent-unit actions [B, …] for raw observations."""
    return agent.act(learner.agent, normalise(learner.normaliser, obs), key)
