"""Trust region policy optimisation (Schulman et al. 2015, arXiv 1502.05477), the generator of Ho &
Ermon.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from imitax.agents.critic import (
    Critic,
    advantages_and_targets,
    explained_variance,
    init_critic,
    normalised_value,
    value_loss,
)
from imitax.core.acting import sequences
from imitax.core.losses import standardise
from imitax.core.sampling import minibatches
from imitax.core.settings import is_on, setting, settings
from imitax.core.trust_region import line_search, natural_step
from imitax.types import Agent, EnvSpec, Experience, Policy


@settings
class TRPOConfig:
    """Settings of TRPO."""

    hidden: tuple[int, ...] = setting(
        (100, 100), "units per tanh layer, policy and value alike (Ho & Ermon 2016)"
    )
    max_kl: float = setting(0.01, "nats, mean over states (Ho & Ermon 2016)")
    damping: float = setting(0.1, "added to the Fisher matrix (Ho & Ermon 2016)")
    cg_iterations: int = setting(10, "conjugate gradient steps (Schulman et al. 2015)")
    line_search_tries: int = setting(10, "halvings of the step")
    fisher_every: int = setting(5, "the Fisher matrix is averaged over every n-th state")
    value_learning_rate: float = setting(1e-3, "Adam")
    value_epochs: int = setting(4, "passes of the value network over a rollout")
    value_minibatches: int = setting(4, "per pass")
    discount: float = setting(0.995, "γ per step (Ho & Ermon 2016)", high=1.0)
    gae_lambda: float = setting(0.97, "λ of GAE (Ho & Ermon 2016)", high=1.0)
    entropy_coef: float = setting(
        0.0, "weight of the policy's entropy in nats (Ho & Ermon 2016)", off_at_zero=True
    )
    advantage_floor: float = setting(
        0.05, "least standard deviation that advantages are divided by, in units of reward"
    )


class TRPOState(NamedTuple):
    """What TRPO keeps besides the policy's parameters."""

    critic: Critic
    optimiser: optax.OptState  # of critic.network: Adam's two moments, and a count


def trpo(spec: EnvSpec, policy: Policy, config: TRPOConfig = TRPOConfig()) -> Agent:
    """TRPO for policies of the family `policy` in `spec`."""
    space = spec.observation
    optimiser = optax.scale_by_adam()

    def init(params, key):
        critic = init_critic(key, space, config.hidden)
        return TRPOState(critic, optimiser.init(eqx.filter(critic.network, eqx.is_array)))

    def descend(network, opt, obs, target, key):
        def step(carry, index):
            network, opt = carry
            batch = jax.tree.map(lambda x: x[:, index], (obs, target))
            error, gradient = jax.value_and_grad(value_loss)(network, space, *batch)
            updates, opt = optimiser.update(gradient, opt)
            rate = config.value_learning_rate
            return (jax.tree.map(lambda p, u: p - rate * u, network, updates), opt), error

        index = minibatches(key, target.shape[1], config.value_minibatches, config.value_epochs)
        (network, opt), errors = jax.lax.scan(step, (network, opt), index)
        return network, opt, errors[-1]

    def update_with(policy_step, params, state: TRPOState, x: Experience, key):
        advantage, target, critic = advantages_and_targets(
            state.critic, space, x.rollout, x.reward(x.rollout), config.discount, config.gae_lambda
        )
        fit = explained_variance(normalised_value(critic.network, space, x.rollout.obs), target)
        params, metrics = policy_step(params, x, standardise(advantage, config.advantage_floor))
        # The critic has no memory: single transitions, whatever the policy.
        obs, target = jax.tree.map(
            lambda a: a.reshape(1, -1, *a.shape[2:]), (x.rollout.obs, target)
        )
        value, opt, error = descend(critic.network, state.optimiser, obs, target, key)
        metrics |= {"value_loss": error, "explained_variance": fit}
        return params, TRPOState(critic._replace(network=value), opt), metrics

    def update(params, state: TRPOState, x: Experience, key):
        return update_with(_policy_step(policy, config), params, state, x, key)

    def wait(params, state: TRPOState, x: Experience, key):
        return update_with(lambda params, x, advantage: (params, {}), params, state, x, key)

    return Agent(init, update, wait)


def _policy_step(policy: Policy, config: TRPOConfig) -> Callable:
    """(params, experience, standardised advantages [T, B]) -> (params after one trust-region step,
    metrics).
    """
    pi = policy.distribution

    def policy_step(params, x: Experience, advantage):
        columns = x.rollout.obs, x.rollout.step == 0, x.rollout.action, advantage
        obs, first, action, advantage = sequences(policy, columns)

        def output_of(p):
            return policy.unroll(p, obs, first, x.carry)[0]

        def thinned(output):
            # Along the axis that feed-forward policies have, or all environments of a recurrent
            # one.
            return jax.tree.map(lambda a: a[:, :: config.fisher_every], output)

        old = jax.lax.stop_gradient(output_of(params))
        old_log_prob = pi.log_prob(old, action)
        some_obs, some_first = thinned((obs, first))
        some_carry = jax.tree.map(lambda a: a[:: config.fisher_every], x.carry)

        def objective(p):
            output = output_of(p)
            ratio = jnp.exp(pi.log_prob(output, action) - old_log_prob)
            surrogate = jnp.mean(ratio * advantage)
            if is_on(config.entropy_coef):
                surrogate = surrogate + config.entropy_coef * jnp.mean(pi.entropy(output))
            return surrogate

        def kl(p):
            return jnp.mean(pi.kl(old, output_of(p)))

        def kl_on_some(p):
            return jnp.mean(
                pi.kl(thinned(old), policy.unroll(p, some_obs, some_first, some_carry)[0])
            )

        start, gradient = jax.value_and_grad(objective)(params)
        full = natural_step(
            kl_on_some, params, gradient, config.max_kl, config.damping, config.cg_iterations
        )
        search = line_search(objective, kl, params, full, config.max_kl, config.line_search_tries)
        return search.params, {
            "policy_loss": -start,
            "kl": kl(search.params),
            "entropy": jnp.mean(pi.entropy(output_of(search.params))),
            "step_fraction": search.fraction,
        }

    return policy_step
