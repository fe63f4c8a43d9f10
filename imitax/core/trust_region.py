"""The pieces of a trust-region step: Fisher-vector product, natural direction, line search.

Everything acts on pytrees of parameters. Source: Schulman et al. 2015, appendix C.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from imitax.types import Number


def dot(x: PyTree, y: PyTree) -> Float[Array, ""]:
    """Inner product of two pytrees."""
    leaves = zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    return sum((jnp.vdot(a, b) for a, b in leaves), jnp.float32(0))


def fisher_vector_product(kl: Callable, params: PyTree, vector: PyTree, damping: Number) -> PyTree:
    """(∇² KL + damping I) vector, at the parameters where KL is 0, by forward over reverse
    mode.
    """
    product = jax.jvp(jax.grad(kl), (params,), (vector,))[1]
    return jax.tree.map(lambda p, v: p + damping * v, product, vector)


_ROUNDING = 1e-7  # of numbers in single precision


def conjugate_gradient(product: Callable, target: PyTree, iterations: int) -> PyTree:
    """x with product(x) ≈ target after so many steps from 0; `product` is symmetric positive
    definite.

    Unlike `jax.scipy.sparse.linalg.cg` it never multiplies by the zero it starts from: with four
    and more seeds side by side, jaxlib 0.10.2 makes infinities of that product on a CPU, and TRPO
    stands still. It stops where the residual is rounding error: squares of smaller and smaller
    residuals end as numbers too small to divide by.
    """
    smallest = _ROUNDING**2 * dot(target, target)

    def step(state, _):
        x, residual, direction, square = state
        image = product(direction)
        curvature = dot(direction, image)
        length = jnp.where((square > smallest) & (curvature > 0), square / curvature, 0.0)
        x = jax.tree.map(lambda a, d: a + length * d, x, direction)
        residual = jax.tree.map(lambda r, i: r - length * i, residual, image)
        left = dot(residual, residual)
        turn = jnp.where(square > 0, left / square, 0.0)
        direction = jax.tree.map(lambda r, d: r + turn * d, residual, direction)
        return (x, residual, direction, left), None

    start = jax.tree.map(jnp.zeros_like, target), target, target, dot(target, target)
    return jax.lax.scan(step, start, None, length=iterations)[0][0]


class Search(NamedTuple):
    """Where a line search ended."""

    params: PyTree
    accepted: Bool[Array, ""]
    fraction: Float[Array, ""]  # of the full step; 0 if none was accepted


def line_search(
    objective: Callable, kl: Callable, params: PyTree, step: PyTree, max_kl: Number, tries: int
) -> Search:
    """The longest of step, step/2, step/4, … that improves the objective (higher is better) within
    max_kl.

    If none of `tries` does, or values are not finite, the parameters come back unchanged.
    """
    start = objective(params)

    def moved(fraction):
        return jax.tree.map(lambda p, s: p + fraction * s, params, step)

    def attempt(state):
        index, fraction, _ = state
        fraction = 0.5 ** index.astype(jnp.float32)
        candidate = moved(fraction)
        reached, moved_by = objective(candidate), kl(candidate)
        good = (
            (reached > start)
            & (moved_by <= max_kl)
            & jnp.isfinite(reached)
            & jnp.isfinite(moved_by)
        )
        return index + 1, fraction, good

    def unfinished(state):
        index, _, good = state
        return (index < tries) & ~good

    state = (jnp.int32(0), jnp.float32(0.0), jnp.bool_(False))
    _, fraction, accepted = jax.lax.while_loop(unfinished, attempt, state)
    fraction = jnp.where(accepted, fraction, 0.0)
    chosen = jax.tree.map(lambda p, q: jnp.where(accepted, q, p), params, moved(fraction))
    return Search(chosen, accepted, fraction)


def natural_step(
    kl: Callable, params: PyTree, gradient: PyTree, max_kl: Number, damping: Number, iterations: int
) -> PyTree:
    """The step along F⁻¹g whose quadratic model of the KL is max_kl: sqrt(2 max_kl / xᵀFx) x."""

    def product(v):
        return fisher_vector_product(kl, params, v, damping)

    direction = conjugate_gradient(product, gradient, iterations)
    curvature = jnp.maximum(dot(direction, product(direction)), 1e-12)
    scale = jnp.sqrt(2.0 * max_kl / curvature)
    return jax.tree.map(lambda d: scale * d, direction)
