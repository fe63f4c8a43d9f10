"""Trust region policy optimisation (Schulman et al. 2015, arXiv 1502.05477), the generator of Ho & Ermon."""

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
from imitax.core.losses import standardise
from imitax.core.sampling import minibatches
from imitax.core.trust_region import line_search, natural_step
from imitax.networks import policy_network
from imitax.types import Agent, EnvSpec, Rollout


@dataclass(frozen=True)
class TRPOConfig:
    """Settings of TRPO."""

    hidden: tuple[int, ...] = (100, 100)  # units per tanh layer, policy and value alike (Ho & Ermon 2016)
    max_kl: float = 0.01  # nats, mean over states (Ho & Ermon 2016)
    damping: float = 0.1  # added to the Fisher matrix (Ho & Ermon 2016)
    cg_iterations: int = 10  # conjugate gradient steps (Schulman et al. 2015)
    line_search_tries: int = 10  # halvings of the step
    fisher_every: int = 5  # every how many states the Fisher matrix is averaged over
    value_learning_rate: float = 1e-3  # Adam
    value_epochs: int = 4  # passes of the value network over a rollout
    value_minibatches: int = 4  # per pass
    discount: float = 0.995  # γ per step (Ho & Ermon 2016)
    trace: float = 0.97  # λ of GAE (Ho & Ermon 2016)
    entropy: float = 0.0  # weight of the policy's entropy in nats (Ho & Ermon 2016)
    advantage_floor: float = 0.05  # least deviation that advantages are divided by, in units of reward


class TRPOState(NamedTuple):
    """Parameters, and the optimiser of the value network."""

    policy: Any
    critic: Critic
    optimiser: Any


def trpo(spec: EnvSpec, config: TRPOConfig = TRPOConfig()) -> Agent:
    """TRPO for the observations and actions of `spec`."""
    pi = distribution(spec.action_space)
    optimiser = optax.adam(config.value_learning_rate)

    def init(key):
        key_policy, key_value = jax.random.split(key)
        policy = policy_network(key_policy, spec.observation_size, spec.action_space, config.hidden)
        critic = init_critic(key_value, spec.observation_size, config.hidden)
        return TRPOState(policy, critic, optimiser.init(critic.network))

    def policy_step(policy, obs, action, advantage):
        old = jax.lax.stop_gradient(policy(obs))
        old_log_prob = pi.log_prob(old, action)
        some, old_some = obs[:: config.fisher_every], jax.tree.map(lambda x: x[:: config.fisher_every], old)

        def objective(p):
            params = p(obs)
            ratio = jnp.exp(pi.log_prob(params, action) - old_log_prob)
            return jnp.mean(ratio * advantage) + config.entropy * jnp.mean(pi.entropy(params))

        def kl(p):
            return jnp.mean(pi.kl(old, p(obs)))

        def kl_on_some(p):
            return jnp.mean(pi.kl(old_some, p(some)))

        start, gradient = jax.value_and_grad(objective)(policy)
        full = natural_step(kl_on_some, policy, gradient, config.max_kl, config.damping, config.cg_iterations)
        found = line_search(objective, kl, policy, full, config.max_kl, config.line_search_tries)
        return found.params, {
            "policy_loss": -start,
            "kl": kl(found.params),
            "entropy": jnp.mean(pi.entropy(found.params(obs))),
            "step_fraction": found.fraction,
        }

    def descend(network, opt, obs, target, key):
        def step(carry, index):
            network, opt = carry
            error, gradient = jax.value_and_grad(value_loss)(network, obs[index], target[index])
            updates, opt = optimiser.update(gradient, opt)
            return (optax.apply_updates(network, updates), opt), error

        index = minibatches(key, target.shape[0], config.value_minibatches, config.value_epochs)
        (network, opt), errors = jax.lax.scan(step, (network, opt), index)
        return network, opt, errors[-1]

    def update_with(step, state: TRPOState, rollout: Rollout, key):
        advantage, target, critic = advantages_and_targets(
            state.critic, rollout, config.discount, config.trace
        )
        fit = explained_variance(critic.network(rollout.obs)[..., 0], target)
        obs, action, advantage, target = jax.tree.map(
            lambda x: x.reshape(-1, *x.shape[2:]),
            (rollout.obs, rollout.action, standardise(advantage, config.advantage_floor), target),
        )
        policy, metrics = step(state.policy, obs, action, advantage)
        value, opt, error = descend(critic.network, state.optimiser, obs, target, key)
        metrics |= {"value_loss": error, "explained_variance": fit}
        return TRPOState(policy, critic._replace(network=value), opt), metrics

    def update(state: TRPOState, rollout: Rollout, key):
        return update_with(policy_step, state, rollout, key)

    def fit_value(state: TRPOState, rollout: Rollout, key):
        return update_with(lambda policy, *_: (policy, {}), state, rollout, key)

    return Agent(init, lambda state, obs, key: pi.sample(state.policy(obs), key), update, fit_value)
