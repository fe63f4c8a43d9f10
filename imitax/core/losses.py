"""Losses and reward forms as pure functions. Logits are high for the expert: D =
sigmoid(logit).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from imitax.errors import unknown
from imitax.types import Number

REWARD_FORMS: dict[str, Callable[[Array], Array]] = {
    "log_d": lambda logit: -jax.nn.softplus(-logit),  # log D ≤ 0
    "neg_log_one_minus_d": jax.nn.softplus,  # −log(1 − D) ≥ 0
    "logit": lambda logit: logit,  # log D − log(1 − D)
    "d_minus_one": lambda logit: jax.nn.sigmoid(logit) - 1.0,  # D − 1 ≤ 0
}


def reward_form(name: str) -> Callable[[Array], Array]:
    """The function from logit to reward called `name`; `ImitaxError` if there is none."""
    if name not in REWARD_FORMS:
        raise unknown("reward form", name, REWARD_FORMS)
    return REWARD_FORMS[name]


def clipped_surrogate(
    ratio: Float[Array, "*n"], advantage: Float[Array, "*n"], clip: Number
) -> Float[Array, ""]:
    """−mean min(ρA, clip(ρ, 1 − ε, 1 + ε)A). Source: Schulman et al. 2017, eq. 7."""
    clipped = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    return -jnp.mean(jnp.minimum(ratio * advantage, clipped * advantage))


def cross_entropy(logit: Float[Array, "*b"], target: float) -> Float[Array, "*b"]:
    """−target log D − (1 − target) log(1 − D), without overflow."""
    return jax.nn.softplus(logit) - target * logit


def discriminator_loss(
    expert_live: Float[Array, "n"],
    policy_live: Float[Array, "m"],
    absorbing: Float[Array, ""],
    expert_mass: Float[Array, ""],
    policy_mass: Float[Array, ""],
) -> Float[Array, ""]:
    """−E_expert[log D] − E_policy[log(1 − D)] from logits; 2 ln 2 where every logit is 0.

    Each expectation is over an occupancy that includes the absorbing state: its live part is the
    mean over the given pairs, weighted 1 − mass, and its absorbed part the one logit `absorbing`,
    weighted mass.
    """

    def expectation(live, mass, target):
        absorbed = cross_entropy(absorbing, target)
        return (1.0 - mass) * jnp.mean(cross_entropy(live, target)) + mass * absorbed

    return expectation(expert_live, expert_mass, 1.0) + expectation(policy_live, policy_mass, 0.0)


def bernoulli_entropy(logit: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Entropy of Bernoulli(D) in nats; ln 2 at logit 0."""
    return jax.nn.softplus(logit) - jax.nn.sigmoid(logit) * logit


def gradient_penalty(
    network: Callable, expert: Float[Array, "n F"], policy: Float[Array, "n F"], key: Key[Array, ""]
) -> Float[Array, ""]:
    """mean (‖∇_x logit(x)‖₂ − 1)² on random points between pairs. Source: Gulrajani et al. 2017,
    eq. 3.
    """
    mix = jax.random.uniform(key, (expert.shape[0], 1))
    points = mix * expert + (1.0 - mix) * policy
    slopes = jax.grad(lambda x: jnp.sum(network(x)))(points)
    norms = jnp.sqrt(jnp.sum(slopes**2, axis=-1) + 1e-12)
    return jnp.mean((norms - 1.0) ** 2)


def standardise(x: Float[Array, "*b"], floor: Number) -> Float[Array, "*b"]:
    """(x − mean) / max(standard deviation, floor).

    The floor keeps the numerical noise of a constant reward from being blown up to unit scale.
    """
    x = x - x.reshape(-1)[0]  # so that a constant gives exactly 0, whatever its mean rounds to
    return (x - jnp.mean(x)) / jnp.maximum(jnp.std(x), floor)
