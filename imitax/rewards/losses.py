"""Losses of a discriminator, as functions that wrap functions.

A *criterion* compares logits; `cross_entropy` is GAIL's, and `with_label_smoothing` wraps one. A
*loss* is what a network is trained on: `on_logits` makes one of a criterion, and
`without_absorbing`, `with_entropy_bonus` and `with_gradient_penalty` wrap one.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from imitax.core.losses import bernoulli_entropy, discriminator_loss, gradient_penalty
from imitax.types import Number, Scalar


class Batch(NamedTuple):
    """What a discriminator is trained on: features of both sides and of the absorbing state."""

    expert: Float[Array, "n F"]
    policy: Float[Array, "m F"]
    absorbing: Float[Array, "1 F"]
    expert_mass: Scalar  # share of the occupancy that is absorbed
    policy_mass: Scalar


class Logits(NamedTuple):
    """Scores of a batch, high for the expert."""

    expert: Float[Array, "n"]
    policy: Float[Array, "m"]
    absorbing: Scalar


class Value(NamedTuple):
    """A loss, and what it was made of."""

    total: Scalar
    criterion: Scalar  # before penalties and bonuses
    logits: Logits


Network = Callable[[Float[Array, "*n F"]], Float[Array, "*n 1"]]
Criterion = Callable[[Logits, Batch], Scalar]
Loss = Callable[[Network, Batch, Key[Array, ""]], Value]


def cross_entropy(logits: Logits, batch: Batch) -> Scalar:
    """−E_expert[log D] − E_policy[log(1 − D)], absorbing states included; 2 ln 2 where every logit
    is 0.
    """
    return discriminator_loss(*logits, batch.expert_mass, batch.policy_mass)


def with_label_smoothing(criterion: Criterion, smoothing: Number) -> Criterion:
    """Expert label 1 − s and policy label s: (1 − s) times the criterion plus s times it with
    labels exchanged.

    To exchange labels is to change the sign of every logit, since 1 − sigmoid(x) = sigmoid(−x).
    """

    def smoothed(logits, batch):
        exchanged = jax.tree.map(jnp.negative, logits)
        return (1.0 - smoothing) * criterion(logits, batch) + smoothing * criterion(
            exchanged, batch
        )

    return smoothed


def on_logits(criterion: Criterion) -> Loss:
    """The loss of a network by what its logits are worth."""

    def loss(network, batch, key):
        del key
        logit = network(jnp.concatenate([batch.expert, batch.policy, batch.absorbing]))[:, 0]
        n = len(batch.expert)
        logits = Logits(logit[:n], logit[n:-1], logit[-1])
        value = criterion(logits, batch)
        return Value(value, value, logits)

    return loss


def without_absorbing(loss: Loss) -> Loss:
    """Each side is its live transitions alone, whatever followed termination."""

    def live(network, batch, key):
        nothing = jnp.zeros(())
        return loss(network, batch._replace(expert_mass=nothing, policy_mass=nothing), key)

    return live


def with_entropy_bonus(loss: Loss, coef: Number) -> Loss:
    """Less `coef` times the mean entropy of D on the live transitions, so that D does not become
    too sure.
    """

    def rewarded(network, batch, key):
        value = loss(network, batch, key)
        entropy = jnp.mean(bernoulli_entropy(jnp.concatenate(value.logits[:2])))
        return value._replace(total=value.total - coef * entropy)

    return rewarded


def with_gradient_penalty(loss: Loss, coef: Number) -> Loss:
    """Plus `coef` times (‖∇ logit‖ − 1)² on points between pairs. Source: Gulrajani et al. 2017,
    eq. 3.
    """

    def penalised(network, batch, key):
        value = loss(network, batch, key)
        key_partner, key_mix = jax.random.split(key)
        partner = jax.random.randint(key_partner, (len(batch.expert),), 0, len(batch.policy))
        penalty = gradient_penalty(network, batch.expert, batch.policy[partner], key_mix)
        return value._replace(total=value.total + coef * penalty)

    return penalised
