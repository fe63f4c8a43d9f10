"""Proximal policy optimisation with a clipped surrogate (Schulman et al. 2017, arXiv 1707.06347)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from imitax.agents.critic import (
    Critic,
    advantages_and_targets,
    explained_variance,
    init_critic,
    value_loss,
)
from imitax.core.distributions import distribution
from imitax.core.losses import clipped_surrogate, standardise
from imitax.core.sampling import minibatches
from imitax.networks import policy_network
from imitax.types import Agent, EnvSpec, Rollout


@dataclass(frozen=True)
class PPOConfig:
    """Settings of PPO."""

    hidden: tuple[int, ...] = (100, 100)  # units per tanh layer, policy and value alike (Ho & Ermon 2016)
    learning_rate: float = 1e-3  # Adam, policy and value
    decay_iterations: int = 0  # in which the learning rate falls to a tenth; 0: never; −1: the loop's
    epochs: int = 4  # passes over a rollout
    minibatches: int = 4  # per pass
    clip: float = 0.2  # ε of the surrogate (Schulman et al. 2017)
    discount: float = 0.995  # γ per step (Ho & Ermon 2016)
    trace: float = 0.97  # λ of GAE (Ho & Ermon 2016)
    entropy: float = 0.0  # weight of the policy's entropy in nats (Ho & Ermon 2016)
    max_gradient_norm: float = 0.5  # global, per minibatch
    advantage_floor: float = 0.05  # least deviation that advantages are divided by, in units of reward


class PPOState(NamedTuple):
    """Parameters and optimiser."""

    policy: Any
    critic: Critic
    optimiser: Any


def ppo(spec: EnvSpec, config: PPOConfig = PPOConfig()) -> Agent:
    """PPO for the observations and actions of `spec`."""
    pi = distribution(spec.action_space)
    rate = config.learning_rate
    if config.decay_iterations:
        updates = config.decay_iterations * config.epochs * config.minibatches
        rate = optax.linear_schedule(config.learning_rate, 0.1 * config.learning_rate, updates)
    optimiser = optax.chain(optax.clip_by_global_norm(config.max_gradient_norm), optax.adam(rate, eps=1e-5))

    def init(key):
        key_policy, key_value = jax.random.split(key)
        policy = policy_network(key_policy, spec.observation_size, spec.action_space, config.hidden)
        critic = init_critic(key_value, spec.observation_size, config.hidden)
        return PPOState(policy, critic, optimiser.init((policy, critic.network)))

    def loss(networks, batch):
        policy, value = networks
        obs, action, old_log_prob, advantage, target = batch
        params = policy(obs)
        ratio = jnp.exp(pi.log_prob(params, action) - old_log_prob)
        surrogate = clipped_surrogate(ratio, advantage, config.clip)
        entropy = jnp.mean(pi.entropy(params))
        error = value_loss(value, obs, target)
        metrics = {
            "policy_loss": surrogate,
            "value_loss": error,
            "entropy": entropy,
            "kl": jnp.mean(
                ratio - 1.0 - jnp.log(ratio)
            ),  # unbiased estimate of KL(old ‖ new), never negative
            "clip_fraction": jnp.mean(jnp.abs(ratio - 1.0) > config.clip, dtype=jnp.float32),
            "ratio_deviation": jnp.max(jnp.abs(ratio - 1.0)),
        }
        return surrogate + error - config.entropy * entropy, metrics

    def value_only(networks, batch):
        obs, _, _, _, target = batch
        error = value_loss(networks[1], obs, target)
        return error, {"value_loss": error}

    def descend(loss, state: PPOState, rollout: Rollout, key):
        advantage, target, critic = advantages_and_targets(
            state.critic, rollout, config.discount, config.trace
        )
        fit = explained_variance(critic.network(rollout.obs)[..., 0], target)
        old_log_prob = pi.log_prob(state.policy(rollout.obs), rollout.action)
        standardised = standardise(advantage, config.advantage_floor)
        data = jax.tree.map(
            lambda x: x.reshape(-1, *x.shape[2:]),
            (rollout.obs, rollout.action, old_log_prob, standardised, target),
        )

        def step(carry, index):
            networks, opt = carry
            batch = jax.tree.map(lambda x: x[index], data)
            gradient, metrics = jax.grad(loss, has_aux=True)(networks, batch)
            updates, opt = optimiser.update(gradient, opt)
            return (optax.apply_updates(networks, updates), opt), metrics

        index = minibatches(key, rollout.reward.size, config.minibatches, config.epochs)
        start = ((state.policy, critic.network), state.optimiser)
        ((policy, value), opt), history = jax.lax.scan(step, start, index)
        metrics = {"explained_variance": fit} | jax.tree.map(lambda x: x[-1], history)
        return PPOState(policy, critic._replace(network=value), opt), metrics, history

    def update(state: PPOState, rollout: Rollout, key):
        state, metrics, history = descend(loss, state, rollout, key)
        return state, metrics | {"first_ratio_deviation": history["ratio_deviation"][0]}

    def fit_value(state: PPOState, rollout: Rollout, key):
        # The policy's gradient is exactly 0: it does not move, and Adam keeps no momentum of it.
        return descend(value_only, state, rollout, key)[:2]

    return Agent(init, lambda state, obs, key: pi.sample(state.policy(obs), key), update, fit_value)
