"""Policy distributions as records of functions: categorical, several categoricals, diagonal
Gaussian.

Parameters are what a policy network returns: logits [..., n], or (mean [..., A], log_std [...,
A]).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from imitax.types import Distribution


def _categorical_sample(logits: Float[Array, "*b n"], key: Key[Array, ""]) -> Int[Array, "*b"]:
    return jax.random.categorical(key, logits).astype(jnp.int32)


def _categorical_mode(logits: Float[Array, "*b n"]) -> Int[Array, "*b"]:
    return jnp.argmax(logits, axis=-1).astype(jnp.int32)


def _categorical_log_prob(
    logits: Float[Array, "*b n"], action: Int[Array, "*b"]
) -> Float[Array, "*b"]:
    # A one-hot product instead of a gather: its gradient is a product too, not a scatter.
    return jnp.sum(jax.nn.log_softmax(logits) * jax.nn.one_hot(action, logits.shape[-1]), axis=-1)


def _categorical_entropy(logits: Float[Array, "*b n"]) -> Float[Array, "*b"]:
    log_p = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log_p) * log_p, axis=-1)


def _categorical_kl(p: Float[Array, "*b n"], q: Float[Array, "*b n"]) -> Float[Array, "*b"]:
    log_p, log_q = jax.nn.log_softmax(p), jax.nn.log_softmax(q)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)


Gaussian = tuple[Float[Array, "*b A"], Float[Array, "*b A"]]
_HALF_LOG_2PI = 0.5 * jnp.log(2.0 * jnp.pi).item()


def _gaussian_sample(params: Gaussian, key: Key[Array, ""]) -> Float[Array, "*b A"]:
    mean, log_std = params
    return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)


def _gaussian_log_prob(params: Gaussian, action: Float[Array, "*b A"]) -> Float[Array, "*b"]:
    mean, log_std = params
    z = (action - mean) * jnp.exp(-log_std)
    return jnp.sum(-0.5 * z**2 - log_std - _HALF_LOG_2PI, axis=-1)


def _gaussian_entropy(params: Gaussian) -> Float[Array, "*b"]:
    return jnp.sum(params[1] + 0.5 + _HALF_LOG_2PI, axis=-1)


def _gaussian_kl(p: Gaussian, q: Gaussian) -> Float[Array, "*b"]:
    variance_ratio = jnp.exp(2.0 * (p[1] - q[1]))
    z = (p[0] - q[0]) * jnp.exp(-q[1])
    return jnp.sum(q[1] - p[1] + 0.5 * (variance_ratio + z**2 - 1.0), axis=-1)


categorical = Distribution(
    _categorical_sample,
    _categorical_mode,
    _categorical_log_prob,
    _categorical_entropy,
    _categorical_kl,
    ("logits",),
)
diagonal_gaussian = Distribution(
    _gaussian_sample,
    lambda params: params[0],
    _gaussian_log_prob,
    _gaussian_entropy,
    _gaussian_kl,
    ("mean", "log_std"),
)


def independent_categoricals(n: tuple[int, ...]) -> Distribution:
    """Vectors of independent whole numbers, the i-th from n[i] logits; parameters are all logits
    [..., Σ n].
    """
    borders = [sum(n[: i + 1]) for i in range(len(n) - 1)]

    def parts(logits):
        return jnp.split(logits, borders, axis=-1)

    def total(function, *arguments):
        return sum(function(*part) for part in zip(*arguments, strict=True))

    def sample(logits, key):
        keys = jax.random.split(key, len(n))
        drawn = [categorical.sample(part, k) for part, k in zip(parts(logits), keys, strict=True)]
        return jnp.stack(drawn, axis=-1)

    def mode(logits):
        return jnp.stack([categorical.mode(part) for part in parts(logits)], axis=-1)

    def log_prob(logits, action):
        return total(categorical.log_prob, parts(logits), jnp.moveaxis(action, -1, 0))

    def entropy(logits):
        return total(categorical.entropy, parts(logits))

    def kl(p, q):
        return total(categorical.kl, parts(p), parts(q))

    return Distribution(sample, mode, log_prob, entropy, kl, ("logits",))
