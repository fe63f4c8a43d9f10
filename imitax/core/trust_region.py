"""The pieces of a trust-region step: Fisher-vector product, natural direction, line search.

Everything acts on pytrees of parameters. Source: Schulman et al. 2015, appendix C.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree


def dot(x: PyTree, y: PyTree) -> Float[Array, ""]:
    """Inner product of two pytrees."""
    return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True))


def fisher_vector_product(kl: Callable, params: PyTree, vector: PyTree, damping: float) -> PyTree:
    """(∇² KL + damping I) vector, at the parameters where KL is 0, by forward over reverse mode."""
    product = jax.jvp(jax.grad(kl), (params,), (vector,))[1]
    return jax.tree.map(lambda p, v: p + damping * v, product, vector)


class Search(NamedTuple):
    """Where a line search ended."""

    params: PyTree
    accepted: Bool[Array, ""]
    fraction: Float[Array, ""]  # of the full step; 0 if none was accepted


def line_search(
    objective: Callable, kl: Callable, params: PyTree, step: PyTree, max_kl: float, tries: int
) -> Search:
    """The longest of step, step/2, step/4, … that improves the objective (higher is better) within max_kl.

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
        good = (reached > start) & (moved_by <= max_kl) & jnp.isfinite(reached) & jnp.isfinite(moved_by)
        return index + 1, fraction, good

    def go_on(state):
        index, _, good = state
        return (index < tries) & ~good

    state = (jnp.int32(0), jnp.float32(0.0), jnp.bool_(False))
    _, fraction, accepted = jax.lax.while_loop(go_on, attempt, state)
    fraction = jnp.where(accepted, fraction, 0.0)
    chosen = jax.tree.map(lambda p, q: jnp.where(accepted, q, p), params, moved(fraction))
    return Search(chosen, accepted, fraction)


def natural_step(
    kl: Callable, params: PyTree, gradient: PyTree, max_kl: float, damping: float, iterations: int
) -> PyTree:
    """The step along F⁻¹g whose quadratic model of the KL is max_kl: sqrt(2 max_kl / xᵀFx) x."""

    def product(v):
        return fisher_vector_product(kl, params, v, damping)

    direction, _ = jax.scipy.sparse.linalg.cg(product, gradient, tol=1e-10, maxiter=iterations)
    curvature = jnp.maximum(dot(direction, product(direction)), 1e-12)
    scale = jnp.sqrt(2.0 * max_kl / curvature)
    return jax.tree.map(lambda d: scale * d, direction)
