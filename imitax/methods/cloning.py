"""Behaviour cloning: maximum likelihood of the demonstrated actions (Pomerleau 1989).

Validation pairs come from other episodes than training pairs; the parameters with the best
validation loss are kept, as in Ho & Ermon 2016. A round ends with a look at the validation loss:
it is one pass over the training pairs, or a part of one where `max_updates` would not suffice for
whole passes.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key

from imitax.core.acting import memoryless_output
from imitax.core.normaliser import empty_normaliser, merge_observations, normalise_observation
from imitax.core.sampling import minibatches
from imitax.core.settings import setting, settings
from imitax.types import (
    Action,
    EnvSpec,
    Learner,
    Metrics,
    Observation,
    Params,
    Policy,
    Sample,
    Scalar,
)


@settings
class CloningConfig:
    """Settings of behaviour cloning."""

    hidden: tuple[int, ...] = setting((100, 100), "units per tanh layer (Ho & Ermon 2016)")
    learning_rate: float = setting(1e-3, "Adam")
    epochs: int = setting(
        300, "rounds at most: passes over the training pairs, or parts of one (see max_updates)"
    )
    max_updates: int = setting(
        30_000, "gradient steps at most; with many pairs a round is then a part of a pass"
    )
    patience: int = setting(
        100, "rounds without a better validation loss after which it stops; 0: it does not", low=0
    )
    min_updates: int = setting(
        3_000, "gradient steps before which it does not stop for want of patience", low=0
    )
    batch_size: int = setting(128, "pairs per step (Ho & Ermon 2016)")
    train_fraction: float = setting(
        0.7, "of the episodes; the rest validate (Ho & Ermon 2016)", high=1.0, static=True
    )


class Cloning(NamedTuple):
    """Cloning as pure functions."""

    init: Callable[[Key[Array, ""], Sample], Learner]
    fit: Callable[
        [Learner, Sample, Sample, Key[Array, ""]], tuple[Learner, Metrics, Int[Array, ""]]
    ]


def cloning(spec: EnvSpec, policy: Policy, config: CloningConfig = CloningConfig()) -> Cloning:
    """Behaviour cloning for policies of the family `policy` in `spec`.

    `fit(learner, train, validation, key)` returns the best policy, the losses of each round [E],
    and how many rounds it took; the losses of rounds after those are the last ones. A recurrent
    policy is trained on single pairs, without its memory.
    """
    optimiser, loss = optax.scale_by_adam(), partial(_loss, policy)

    def init(key, expert):
        normaliser = merge_observations(
            spec.observation, empty_normaliser(spec.observation), expert.transitions.obs
        )
        return Learner(policy.init(key), (), (), (), normaliser)

    def fit(learner, train, validation, key):
        pairs, held_out = (_pairs(spec, learner, sample) for sample in (train, validation))
        size = train.transitions.step.size
        count, rounds, steps = schedule(size, config)

        def step(carry, index):
            params, opt = carry
            batch = jax.tree.map(lambda x: x[index], pairs)
            error, gradient = jax.value_and_grad(loss)(params, batch)
            updates, opt = optimiser.update(gradient, opt)
            params = jax.tree.map(lambda p, u: p - config.learning_rate * u, params, updates)
            return (params, opt), error

        def one_round(carry, key):
            params, opt, best, least = carry
            if steps == count:
                index = minibatches(key, size, count, 1)
            else:
                index = jax.random.randint(key, (steps, config.batch_size), 0, size)
            (params, opt), errors = jax.lax.scan(step, (params, opt), index)
            error = loss(params, held_out)
            best = jax.tree.map(lambda new, old: jnp.where(error < least, new, old), params, best)
            least = jnp.minimum(least, error)
            metrics = {"train_loss": jnp.mean(errors), "validation_loss": error, "best_loss": least}
            return (params, opt, best, least), metrics

        keys = jax.random.split(key, rounds)
        params = learner.policy
        start = (params, optimiser.init(params), params, loss(params, held_out))
        first = -(-config.min_updates // steps)  # round at which patience begins to count
        if config.patience:
            (_, _, best, _), history, taken = _until_stale(
                one_round, start, keys, config.patience, first
            )
        else:
            (_, _, best, _), history = jax.lax.scan(one_round, start, keys)
            taken = jnp.int32(rounds)
        return learner._replace(policy=best), history, taken

    return Cloning(init, fit)


def _pairs(spec: EnvSpec, learner: Learner, sample: Sample) -> tuple[Observation, Action]:
    """(normalised observations, actions) of a sample."""
    t = sample.transitions
    return normalise_observation(spec.observation, learner.normaliser, t.obs), t.action


def _loss(policy: Policy, params: Params, pairs: tuple[Observation, Action]) -> Scalar:
    """−mean log π(a | s)."""
    obs, action = pairs
    output = memoryless_output(policy, params, obs, jax.tree.leaves(action)[0].shape[0])
    return -jnp.mean(policy.distribution.log_prob(output, action))


def schedule(size: int, config: CloningConfig) -> tuple[int, int, int]:
    """(minibatches of a pass over `size` pairs, rounds, gradient steps of a round)."""
    count = max(1, size // config.batch_size)
    steps = min(count, max(1, config.max_updates // config.epochs))
    return count, min(config.epochs, max(1, config.max_updates // steps)), steps


def _until_stale(one_round, start, keys, patience: int, first: int):
    """`scan(one_round, start, keys)` until the best loss is `patience` rounds old, but at least for
    `first` rounds: (carry, history, rounds).
    """
    shapes = jax.eval_shape(one_round, start, keys[0])[1]
    empty = jax.tree.map(lambda x: jnp.zeros((len(keys), *x.shape), x.dtype), shapes)

    def unfinished(state):
        i, since, *_ = state
        return (i < len(keys)) & ((since < patience) | (i < first))

    def advance(state):
        i, since, carry, history = state
        least = carry[-1]
        carry, metrics = one_round(carry, keys[i])
        # From here to the end: what is never reached repeats the last round.
        remaining = jnp.arange(len(keys)) >= i
        history = jax.tree.map(lambda h, m: jnp.where(remaining, m, h), history, metrics)
        return i + 1, jnp.where(carry[-1] < least, 0, since + 1), carry, history

    state = jnp.int32(0), jnp.int32(0), start, empty
    i, _, carry, history = jax.lax.while_loop(unfinished, advance, state)
    return carry, history, i
