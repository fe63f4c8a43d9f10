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
from jaxtyping import Array, Int, Key

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
    epochs: int = 300  # passes over the training pairs, at most
    patience: int = 0  # epochs without a better validation loss after which it stops; 0: it does not
    batch_size: int = 128  # pairs per step (Ho & Ermon 2016)
    train_fraction: float = 0.7  # of the episodes; the rest validate (Ho & Ermon 2016)


class CloningState(NamedTuple):
    """The policy network."""

    policy: Any


class Cloning(NamedTuple):
    """Cloning as pure functions."""

    init: Callable[[Key[Array, ""], ExpertPairs], Learner]
    fit: Callable[
        [Learner, ExpertPairs, ExpertPairs, Key[Array, ""]], tuple[Learner, Metrics, Int[Array, ""]]
    ]


def cloning(spec: EnvSpec, config: CloningConfig = CloningConfig()) -> Cloning:
    """Behaviour cloning for the observations and actions of `spec`.

    `fit(learner, train, validation, key)` returns the best policy, the losses of each epoch [E], and how many
    epochs it took; the losses of epochs after those are the last ones.
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

        keys = jax.random.split(key, config.epochs)
        policy = learner.agent.policy
        start = (policy, optimiser.init(policy), policy, loss(policy, held_out, validation.action))
        if config.patience:
            (_, _, best, _), history, epochs = _until_stale(epoch, start, keys, config.patience)
        else:
            (_, _, best, _), history = jax.lax.scan(epoch, start, keys)
            epochs = jnp.int32(config.epochs)
        return learner._replace(agent=CloningState(best)), history, epochs

    return Cloning(init, fit)


def _until_stale(epoch, start, keys, patience: int):
    """`scan(epoch, start, keys)` until the best loss is `patience` epochs old: (carry, history, epochs)."""
    shapes = jax.eval_shape(epoch, start, keys[0])[1]
    empty = jax.tree.map(lambda x: jnp.zeros((len(keys), *x.shape), x.dtype), shapes)

    def going_on(state):
        i, since, *_ = state
        return (i < len(keys)) & (since < patience)

    def one(state):
        i, since, carry, history = state
        least = carry[-1]
        carry, metrics = epoch(carry, keys[i])
        # From here to the end: what is never reached repeats the last epoch.
        written = jnp.arange(len(keys)) >= i
        history = jax.tree.map(lambda h, m: jnp.where(written, m, h), history, metrics)
        return i + 1, jnp.where(carry[-1] < least, 0, since + 1), carry, history

    i, _, carry, history = jax.lax.while_loop(going_on, one, (jnp.int32(0), jnp.int32(0), start, empty))
    return carry, history, i
