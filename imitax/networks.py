"""Policy, value and discriminator networks: multilayer perceptrons with tanh, as Equinox
modules.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from imitax.core.spaces import distribution, encode, is_box, is_image, size
from imitax.core.statistics import Moments, scale
from imitax.types import Distribution, EnvSpec, Observation, Params, Policy

# a Gaussian keeps at least e⁻⁴ ≈ 2 % of half the action range as standard deviation
LOG_STD_FLOOR = -4.0


class MLP(eqx.Module):
    """tanh hidden layers and a linear output layer, on the last axis of any batch."""

    weights: tuple[Float[Array, "_ _"], ...]  # inputs × outputs of each layer
    biases: tuple[Float[Array, "_"], ...]

    def __call__(self, x: Float[Array | np.ndarray, "*b i"]) -> Float[Array, "*b o"]:
        # One leading axis: for two, XLA copies the transpose of every activation into the
        # gradient's product, which costs a fifth of an iteration (benchmarks/README.md).
        batch, x = x.shape[:-1], x.reshape(-1, x.shape[-1])
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = jnp.tanh(_affine(x, weight, bias))
        y = _affine(x, self.weights[-1], self.biases[-1])
        return y.reshape(*batch, y.shape[-1])


def _affine(
    x: Float[Array | np.ndarray, "n i"], weight: Float[Array, "i o"], bias: Float[Array, "o"]
) -> Float[Array, "n o"]:
    return jnp.matmul(x, weight) + bias[None]


class GaussianPolicy(eqx.Module):
    """Mean from a network, log standard deviation independent of the state and bounded below."""

    mean: MLP
    log_std: Float[Array, "A"]

    def __call__(
        self, obs: Float[Array | np.ndarray, "*b O"]
    ) -> tuple[Float[Array, "*b A"], Float[Array, "*b A"]]:
        mean = self.mean(obs)
        return mean, jnp.broadcast_to(jnp.maximum(self.log_std, LOG_STD_FLOOR), mean.shape)


def mlp(key: Key[Array, ""], sizes: tuple[int, ...], output_scale: float) -> MLP:
    """Columns of every weight matrix are random directions of length 1 (of `output_scale` in the
    last).

    The initialiser of the paper's own code. It needs no QR, unlike an orthogonal one.
    """
    shapes = list(pairwise(sizes))
    borders = np.cumsum([fan_in * fan_out for fan_in, fan_out in shapes])
    # One draw for all layers: a generator in the program for each would take seconds to compile.
    normal = jnp.split(jax.random.normal(key, (int(borders[-1]),)), borders[:-1].tolist())
    weights = [w.reshape(shape) for w, shape in zip(normal, shapes, strict=True)]
    weights = [w / jnp.linalg.norm(w, axis=0, keepdims=True) for w in weights]
    weights[-1] = weights[-1] * output_scale
    return MLP(tuple(weights), tuple(jnp.zeros(n) for n in sizes[1:]))


def feedforward(
    pi: Distribution,
    init: Callable[[Key[Array, ""]], Params],
    apply: Callable[[Params, Observation], Any],
    rebase: Callable[[Params, Any, Any], Params] | None = None,
) -> Policy:
    """A policy without memory from a network.

    `init(key)` makes its parameters, a pytree of arrays; `apply(params, obs)` maps observations
    [*n, …], normalised and structured as their space, to the parameters [*n, …] of the
    distribution `pi`.
    """
    return Policy(
        pi,
        init,
        lambda batch: (),
        lambda params, obs, first, carry: (apply(params, obs), carry),
        rebase,
    )


@lru_cache(maxsize=64)
def mlp_policy(spec: EnvSpec, hidden: tuple[int, ...]) -> Policy:
    """The policy whose network is a multilayer perceptron on encoded observations.

    It starts exactly uniform over whole numbers, and in the middle of a Box with standard
    deviation e^−0.5. (With small random outputs instead, the most likely actions of a policy that
    learnt nothing would be an arbitrary feedback rule, which swings up an Acrobot in some seeds.)
    Equal arguments give the same object, so that methods share the programs that act.
    """
    pi = distribution(spec.action)
    inputs, outputs = size(spec.observation), size(spec.action)

    def init(key):
        network = mlp(key, (inputs, *hidden, outputs), 0.0)
        if "log_std" not in pi.parameters:
            return network
        return GaussianPolicy(network, jnp.full((outputs,), -0.5, jnp.float32))

    def apply(params, obs):
        return params(encode(spec.observation, obs))

    return feedforward(
        pi,
        init,
        apply,
        _rebased if is_box(spec.observation) and not is_image(spec.observation) else None,
    )


def _rebased(
    policy: MLP | GaussianPolicy, old: PyTree[Moments], new: PyTree[Moments]
) -> MLP | GaussianPolicy:
    """The policy that does with observations normalised by `new` what `policy` does with those by
    `old`.

    W' = diag(σ'/σ) W and b' = b + ((μ' − μ)/σ) W in the first layer; exact where nothing is
    clipped.
    """
    network = policy.mean if isinstance(policy, GaussianPolicy) else policy
    (weight, *weights), (bias, *biases) = network.weights, network.biases
    bias = bias + ((new.mean - old.mean) / scale(old)).reshape(-1) @ weight
    weight = (scale(new) / scale(old)).reshape(-1, 1) * weight
    moved = MLP((weight, *weights), (bias, *biases))
    return GaussianPolicy(moved, policy.log_std) if isinstance(policy, GaussianPolicy) else moved


def table_network(policy: Float[np.ndarray, "S A"]) -> MLP:
    """The network without hidden layers whose logits at a one-hot state are log π(a | s), at least
    −30.
    """
    logits = jnp.float32(np.log(np.maximum(policy, np.exp(-30.0))))
    return MLP((logits,), (jnp.zeros(policy.shape[1]),))


def scalar_network(key: Key[Array, ""], input_size: int, hidden: tuple[int, ...]) -> MLP:
    """A network to one number that is exactly 0 everywhere at the start (value, discriminator
    logit).
    """
    return mlp(key, (input_size, *hidden, 1), 0.0)


def parameter_count(params: PyTree) -> int:
    """Number of trainable scalars."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(params, eqx.is_array)))
