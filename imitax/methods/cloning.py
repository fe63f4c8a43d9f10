"""Behaviour cloning: maximum likelihood of the demonstrated actions (Pomerleau 1989).

Validation pairs come from other episodes than training pairs; the parameters with the best validation
loss are kept, as in Ho & Ermon 2016.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from imitax.core.distributions import distribution
from imitax.core.sampling import minibatches
from imitax.core.statistics import empty_moments, merge_moments, normalise
from imitax.networks import policy_network
from imitax.types import EnvSpec, ExpertPairs, Learner, Metrics


@dataclass(frozen=True)
class CloningConfig:
    """Settings of behaviour cloning."""

    hidden: tuple[int, ...] = (100, 100)  # units per tanh layer (Ho & Ermon 2016)
    learning_rate: float = 1e-3  # Adam
    epochs: int = 300  # passes over the training pairs
    batch_size: int = 128  # pairs per step (Ho & Ermon 2016)
    train_fraction: float = 0.7  # of the episodes; the rest validate (Ho & Ermon 2016)


class CloningState(NamedTuple):
    """The policy network."""

    policy: Any


class Cloning(NamedTuple):
    """Cloning as pure functions."""

    init: Callable[[Key[Array, ""], ExpertPairs], Learner]
    fit: Callable[[Learner, ExpertPairs, ExpertPairs, Key[Array, ""]], tuple[Learner, Metrics]]


def cloning(spec: EnvSpec, config: CloningConfig = CloningConfig()) -> Cloning:
    """Behaviour cloning for the observations and actions of `spec`.

    `fit(learner, train, validation, key)` runs all epochs and returns the best policy and, per epoch [E],
    the two losses.
    """
    pi = distribution(spec.action_space)
    optimiser = optax.adam(config.learning_rate)

    def init(key, expert):
        policy = policy_network(key, spec.observation_size, spec.action_space, config.hidden)
        normaliser = merge_moments(empty_moments((spec.observation_size,)), expert.obs)
        return Learner(CloningState(policy), (), normaliser)

    def loss(policy, obs, action):
        return -jnp.mean(pi.log_prob(policy(obs), action))

    def fit(learner, train, validation, key):
        obs, held_out = (normalise(learner.normaliser, pairs.obs) for pairs in (train, validation))
        size = len(train.action)
        count = max(1, size // config.batch_size)

        def step(carry, index):
            policy, opt = carry
            error, gradient = jax.value_and_grad(loss)(policy, obs[index], train.action[index])
            updates, opt = optimiser.update(gradient, opt)
            return (optax.apply_updates(policy, updates), opt), error

        def epoch(carry, key):
            policy, opt, best, least = carry
            (policy, opt), errors = jax.lax.scan(step, (policy, opt), minibatches(key, size, count, 1))
            error = loss(policy, held_out, validation.action)
            best = jax.tree.map(lambda new, old: jnp.where(error < least, new, old), policy, best)
            least = jnp.minimum(least, error)
            metrics = {"train_loss": jnp.mean(errors), "validation_loss": error, "best_loss": least}
            return (policy, opt, best, least), metrics

        policy = learner.agent.policy
        start = (policy, optimiser.init(policy), policy, loss(policy, held_out, validation.action))
        (_, _, best, _), history = jax.lax.scan(epoch, start, jax.random.split(key, config.epochs))
        return learner._replace(agent=CloningState(best)), history

    return Cloning(init, fit)
