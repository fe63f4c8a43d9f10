"""Proximal policy optimisation with a clipped surrogate (Schulman et al. 2017, arXiv
1707.06347).
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from imitax.agents.critic import (
    Critic,
    advantages_and_targets,
    explained_variance,
    init_critic,
    normalised_value,
    value_loss,
)
from imitax.core.acting import sequences
from imitax.core.losses import clipped_surrogate, standardise
from imitax.core.sampling import minibatches
from imitax.core.settings import is_on, setting, settings
from imitax.types import (
    Action,
    Agent,
    Carry,
    EnvSpec,
    Experience,
    Observation,
    Params,
    Policy,
    Scalar,
    Space,
)


@settings
class PPOConfig:
    """Settings of PPO."""

    hidden: tuple[int, ...] = setting(
        (100, 100), "units per tanh layer, policy and value alike (Ho & Ermon 2016)"
    )
    learning_rate: float = setting(1e-3, "Adam, policy and value")
    final_lr_fraction: float = setting(
        1.0,
        "learning rate at the end of training as a fraction of the first; it falls linearly",
        high=1.0,
    )
    epochs: int = setting(4, "passes over a rollout")
    minibatches: int = setting(4, "per pass")
    clip: float = setting(0.2, "ε of the surrogate (Schulman et al. 2017)")
    discount: float = setting(0.995, "γ per step (Ho & Ermon 2016)", high=1.0)
    gae_lambda: float = setting(0.97, "λ of GAE (Ho & Ermon 2016)", high=1.0)
    entropy_coef: float = setting(
        0.0, "weight of the policy's entropy in nats (Ho & Ermon 2016)", off_at_zero=True
    )
    max_gradient_norm: float = setting(0.5, "global, per minibatch")
    advantage_floor: float = setting(
        0.05, "least standard deviation that advantages are divided by, in units of reward"
    )


class PPOState(NamedTuple):
    """What PPO keeps besides the policy's parameters."""

    critic: Critic
    # of (policy parameters, critic.network): Adam's two moments of each, and a count
    optimiser: optax.OptState


class Batch(NamedTuple):
    """A minibatch of M sequences of length L (1 without a carry), with what does not change within
    an update.
    """

    obs: Observation  # [L, M, …]
    action: Action  # [L, M, …]
    first: Bool[Array, "L M"]  # whether an episode begins here
    old_log_prob: Float[Array, "L M"]
    advantage: Float[Array, "L M"]  # standardised
    target: Float[Array, "L M"]  # normalised returns
    carry: Carry  # [M, …] at the first step


def ppo(spec: EnvSpec, policy: Policy, config: PPOConfig = PPOConfig()) -> Agent:
    """PPO for policies of the family `policy` in `spec`."""
    space = spec.observation
    optimiser = optax.chain(
        optax.clip_by_global_norm(config.max_gradient_norm), optax.scale_by_adam(eps=1e-5)
    )
    loss, value_only = _losses(space, policy, config)

    def init(params, key):
        critic = init_critic(key, space, config.hidden)
        return PPOState(critic, optimiser.init((params, eqx.filter(critic.network, eqx.is_array))))

    def descend(loss, params, state: PPOState, x: Experience, key):
        data, critic, fit = _prepare(space, policy, config, params, state.critic, x)
        rate = config.learning_rate * (1.0 - (1.0 - config.final_lr_fraction) * x.progress)

        def step(carry, index):
            networks, opt = carry
            gradient, metrics = jax.grad(loss, has_aux=True)(networks, _take(data, index))
            updates, opt = optimiser.update(gradient, opt)
            networks = jax.tree.map(lambda p, u: p - rate * u, networks, updates)
            return (networks, opt), metrics

        index = minibatches(key, data.target.shape[1], config.minibatches, config.epochs)
        start = ((params, critic.network), state.optimiser)
        ((params, value), opt), history = jax.lax.scan(step, start, index)
        metrics = {"explained_variance": fit} | jax.tree.map(lambda m: m[-1], history)
        return params, PPOState(critic._replace(network=value), opt), metrics, history

    def update(params, state: PPOState, x: Experience, key):
        params, state, metrics, history = descend(loss, params, state, x, key)
        return params, state, metrics | {"first_ratio_deviation": history["ratio_deviation"][0]}

    def wait(params, state: PPOState, x: Experience, key):
        # The policy's gradient is exactly 0: it does not move, and Adam keeps no momentum of it.
        return descend(value_only, params, state, x, key)[:3]

    return Agent(init, update, wait)


def _prepare(
    space: Space, policy: Policy, config: PPOConfig, params: Params, critic: Critic, x: Experience
) -> tuple[Batch, Critic, Scalar]:
    """(the experience as one batch of sequences, the critic with new moments, how well it had
    predicted).
    """
    pi, rollout = policy.distribution, x.rollout
    advantage, target, critic = advantages_and_targets(
        critic, space, rollout, x.reward(rollout), config.discount, config.gae_lambda
    )
    fit = explained_variance(normalised_value(critic.network, space, rollout.obs), target)
    first = rollout.step == 0
    output, _ = policy.unroll(params, rollout.obs, first, x.carry)
    old_log_prob = pi.log_prob(output, rollout.action)
    standardised = standardise(advantage, config.advantage_floor)
    columns = (rollout.obs, rollout.action, first, old_log_prob, standardised, target)
    return Batch(*sequences(policy, columns), carry=x.carry), critic, fit


def _losses(space: Space, policy: Policy, config: PPOConfig) -> tuple[Callable, Callable]:
    """(loss, loss of the value network alone): ((policy parameters, value network), batch) ->
    (loss, metrics).
    """
    pi = policy.distribution

    def loss(networks, batch: Batch):
        params, value = networks
        output, _ = policy.unroll(params, batch.obs, batch.first, batch.carry)
        ratio = jnp.exp(pi.log_prob(output, batch.action) - batch.old_log_prob)
        surrogate = clipped_surrogate(ratio, batch.advantage, config.clip)
        entropy = jnp.mean(pi.entropy(output))
        error = value_loss(value, space, batch.obs, batch.target)
        metrics = {
            "policy_loss": surrogate,
            "value_loss": error,
            "entropy": entropy,
            # Unbiased estimate of KL(old ‖ new), never negative.
            "kl": jnp.mean(ratio - 1.0 - jnp.log(ratio)),
            "clip_fraction": jnp.mean(jnp.abs(ratio - 1.0) > config.clip, dtype=jnp.float32),
            "ratio_deviation": jnp.max(jnp.abs(ratio - 1.0)),
        }
        total = surrogate + error
        if is_on(config.entropy_coef):
            total = total - config.entropy_coef * entropy
        return total, metrics

    def value_only(networks, batch: Batch):
        error = value_loss(networks[1], space, batch.obs, batch.target)
        return error, {"value_loss": error}

    return loss, value_only


def _take(batch: Batch, index: Int[Array, "m"]) -> Batch:
    """The sequences with these indices."""
    columns = jax.tree.map(lambda x: x[:, index], batch._replace(carry=()))
    return columns._replace(carry=jax.tree.map(lambda x: x[index], batch.carry))
