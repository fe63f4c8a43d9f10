"""The trust-region step against explicit Hessians and dense solves on a small network."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from imitax.core import trust_region
from imitax.core.distributions import categorical, diagonal_gaussian
from imitax.core.trust_region import dot, fisher_vector_product, natural_step

# Compiled, as in training.
line_search = jax.jit(
    trust_region.line_search, static_argnames=("objective", "kl", "max_kl", "tries")
)

DAMPING, MAX_KL = 0.1, 0.01
# iterations of conjugate gradient, far beyond the number of parameters: it must also stop well
MANY = 1000


def network(params, obs):
    """Two inputs, three tanh units, two outputs; a Gaussian's deviations are parameters of their
    own.
    """
    hidden = jnp.tanh(obs @ params["w1"] + params["b1"][None])
    return hidden @ params["w2"] + params["b2"][None]


def categorical_policy(params, obs):
    return network(params, obs)


def gaussian_policy(params, obs):
    mean = network(params, obs)
    return mean, jnp.broadcast_to(params["log_std"][None], mean.shape)


class Problem(NamedTuple):
    """What the tests share, made once for each kind of policy."""

    kl: Callable  # mean KL(old policy ‖ policy of the parameters) over 16 observations
    params: dict  # the old parameters
    gradient: dict  # of a linear objective
    fisher: np.ndarray  # the explicit Hessian of the KL at the old parameters, without damping
    natural_step: Callable  # (gradient, iterations) -> flat step, compiled


@pytest.fixture(scope="module", params=["categorical", "gaussian"])
def problem(request):
    rng = np.random.default_rng(0)
    shapes = {"w1": (2, 3), "b1": (3,), "w2": (3, 2), "b2": (2,)}
    if request.param == "gaussian":
        shapes["log_std"] = (2,)
    params, gradient = (
        {name: jnp.asarray(rng.normal(size=s), jnp.float32) for name, s in shapes.items()}
        for _ in range(2)
    )
    obs = jnp.asarray(rng.normal(size=(16, 2)), jnp.float32)
    functions, policy = {
        "categorical": (categorical, categorical_policy),
        "gaussian": (diagonal_gaussian, gaussian_policy),
    }[request.param]
    old = policy(params, obs)

    def kl(p):
        return jnp.mean(functions.kl(old, policy(p, obs)))

    def step(g, iterations):
        return natural_step(kl, params, g, MAX_KL, DAMPING, iterations)

    vector, unravel = ravel_pytree(params)
    fisher = jax.jit(jax.hessian(lambda x: kl(unravel(x))))(vector)
    compiled = jax.jit(step, static_argnums=1)
    return Problem(
        kl, params, gradient, np.asarray(fisher, np.float64), lambda g, n: flat(compiled(g, n))
    )


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0], np.float64)


def test_dot_is_the_inner_product(problem):
    expected = flat(problem.gradient) @ flat(problem.params)
    np.testing.assert_allclose(dot(problem.gradient, problem.params), expected, rtol=1e-5)


def test_kl_is_zero_and_flat_at_the_start(problem):
    value, slope = jax.jit(jax.value_and_grad(problem.kl))(problem.params)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    np.testing.assert_allclose(flat(slope), 0.0, atol=1e-6)


def test_fisher_vector_product_is_the_hessian(problem):
    def product(vector, damping):
        return fisher_vector_product(problem.kl, problem.params, vector, damping)

    g, compiled = flat(problem.gradient), jax.jit(product, static_argnums=1)
    for damping in (0.0, DAMPING):
        expected = problem.fisher @ g + damping * g
        np.testing.assert_allclose(
            flat(compiled(problem.gradient, damping)), expected, rtol=1e-4, atol=1e-5
        )


def test_fisher_is_the_covariance_of_the_score():
    # For softmax logits the Fisher information E[∇log p ∇log pᵀ] is diag(p) − ppᵀ.
    logits = jnp.asarray([0.5, -1.0, 2.0])
    p = np.asarray(jax.nn.softmax(logits), np.float64)
    product = jax.jit(
        lambda v: fisher_vector_product(lambda q: categorical.kl(logits, q), logits, v, 0.0)
    )
    columns = [product(v) for v in jnp.eye(3)]
    np.testing.assert_allclose(columns, np.diag(p) - np.outer(p, p), atol=1e-6)


def test_natural_step_is_the_dense_solution(problem):
    # Maximise gᵀs subject to ½ sᵀFs = δ:  s = sqrt(2δ / gᵀF⁻¹g) F⁻¹g, with F damped.
    g = flat(problem.gradient)
    direction = np.linalg.solve(problem.fisher + DAMPING * np.eye(g.size), g)
    expected = np.sqrt(2.0 * MAX_KL / (g @ direction)) * direction
    np.testing.assert_allclose(
        problem.natural_step(problem.gradient, MANY), expected, rtol=1e-3, atol=1e-5
    )


def test_quadratic_model_of_the_kl_is_max_kl(problem):
    step = problem.natural_step(problem.gradient, MANY)
    damped = problem.fisher + DAMPING * np.eye(step.size)
    np.testing.assert_allclose(0.5 * step @ damped @ step, MAX_KL, rtol=1e-3)
    assert step @ flat(problem.gradient) > 0.0


def test_natural_step_by_hand():
    # F = diag(1, 4), g = (1, 1), 2 · max_kl = 5, no damping. One iteration stays on the line of g,
    # where gᵀFg = 5: s = (1, 1). Two are exact: F⁻¹g = (1, ¼), gᵀF⁻¹g = 5/4, s = sqrt(5 / (5/4))
    # (1, ¼) = (2, ½). Both have ½ sᵀFs = max_kl, however far conjugate gradient got.
    def kl(p):
        return 0.5 * p[0] ** 2 + 2.0 * p[1] ** 2

    step = jax.jit(
        lambda n: natural_step(kl, jnp.zeros(2), jnp.ones(2), 2.5, 0.0, n), static_argnums=0
    )
    np.testing.assert_allclose(step(1), [1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(step(2), [2.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize("factor", [2.0**-10, 64.0])
def test_natural_step_ignores_the_length_of_the_gradient(problem, factor):
    scaled = jax.tree.map(lambda g: factor * g, problem.gradient)
    one, other = (problem.natural_step(g, MANY) for g in (problem.gradient, scaled))
    np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def test_natural_step_of_a_zero_gradient_is_zero(problem):
    zero = jax.tree.map(jnp.zeros_like, problem.params)
    np.testing.assert_array_equal(problem.natural_step(zero, MANY), 0.0)


# Line search
# --------------------------------------------------------------------------------------------


def scalar(x):
    return jnp.asarray(x, jnp.float32)


def identity(p):
    return p


def square(p):
    """A KL with p = 0 as its old parameter."""
    return p**2


def test_full_step_of_a_concave_objective():
    # −(p − 2)² rises from −4 to −1 on the way from 0 to 1, where the KL is exactly the limit.
    found = line_search(lambda p: -((p - 2.0) ** 2), square, scalar(0), scalar(1), 1.0, 10)
    assert found.accepted and found.fraction == 1.0 and found.params == 1.0


@pytest.mark.parametrize(
    "step, fraction", [(1.0, 1.0), (1.01, 0.5), (2.0, 0.5), (2.1, 0.25), (10.0, 0.0625)]
)
def test_halves_until_the_kl_is_within_the_limit(step, fraction):
    # The KL is (fraction · step)², the limit 1: the first fraction of at most 1 / step.
    found = line_search(identity, square, scalar(0), scalar(step), 1.0, 10)
    assert found.accepted and found.fraction == fraction
    np.testing.assert_allclose(found.params, fraction * step, rtol=1e-6)


def test_halves_until_the_objective_rises():
    # p(1 − 3p) is −2 at 1, −1/4 at 1/2, 1/16 at 1/4
    found = line_search(lambda p: p * (1.0 - 3.0 * p), square, scalar(0), scalar(1), 10.0, 10)
    assert found.accepted and found.fraction == 0.25


def test_number_of_tries():
    # 1/16 ≤ max_kl needs the third try: 1, 1/2, 1/4
    for tries, accepted in [(2, False), (3, True)]:
        found = line_search(identity, square, scalar(0), scalar(1), 0.1, tries)
        assert found.accepted == accepted


NAN = float("nan")
HOPELESS = {
    "objective falls": (lambda p: -p, square),
    "objective is flat": (lambda p: 0.0 * p, square),
    "kl is exceeded": (identity, lambda p: jnp.where(p == 0.1, 0.0, 1e3)),
    "objective is nan": (lambda p: jnp.where(p == 0.1, 0.0, NAN), square),
    "objective is nan at the start": (lambda p: jnp.where(p == 0.1, NAN, 1.0), square),
    "objective is -inf": (lambda p: jnp.where(p == 0.1, 0.0, -jnp.inf), square),
    "kl is nan": (identity, lambda p: NAN * p),
    "kl is inf": (identity, lambda p: jnp.where(p == 0.1, 0.0, jnp.inf)),
}
TOO_GOOD = {
    "objective is inf": (lambda p: jnp.where(p == 0.1, 0.0, jnp.inf), square),
    "kl is -inf": (identity, lambda p: jnp.where(p == 0.1, 0.0, -jnp.inf)),
}


def assert_unchanged(objective, kl):
    # −0.0: the sign bit counts too
    params, step = jnp.asarray([0.1, -0.0]), jnp.asarray([0.7, 1.0])
    found = line_search(lambda p: objective(p[0]), lambda p: kl(p[0]), params, step, 1.0, 6)
    assert not found.accepted and found.fraction == 0.0
    assert np.asarray(found.params).tobytes() == np.asarray(params).tobytes()


@pytest.mark.parametrize("case", HOPELESS)
def test_parameters_stay_when_nothing_is_good(case):
    assert_unchanged(*HOPELESS[case])


@pytest.mark.parametrize("case", TOO_GOOD)
def test_parameters_stay_when_a_value_is_infinitely_good(case):
    assert_unchanged(*TOO_GOOD[case])


def total(tree):
    return sum(map(jnp.sum, jax.tree.leaves(tree)))


def total_square(tree):
    return total(jax.tree.map(jnp.square, tree))


@pytest.mark.parametrize("bad", [NAN, np.inf])
def test_parameters_stay_when_the_step_is_not_finite(bad):
    params = {"w": jnp.asarray([0.1, -0.0]), "b": scalar(0.3)}
    step = {"w": jnp.asarray([1.0, bad], jnp.float32), "b": scalar(0.5)}
    found = line_search(total, total_square, params, step, 1.0, 6)
    assert not found.accepted
    for name in params:
        assert np.asarray(found.params[name]).tobytes() == np.asarray(params[name]).tobytes()


def test_nan_of_a_long_step_is_only_halved():
    found = line_search(lambda p: jnp.where(p > 0.6, NAN, p), square, scalar(0), scalar(1), 1.0, 6)
    assert found.accepted and found.fraction == 0.5


def test_line_search_under_vmap():
    # Lanes end at different tries, one without success; each is as if alone.
    def search(step):
        return line_search(identity, square, scalar(0), step, 1.0, 3)

    found = jax.jit(jax.vmap(search))(jnp.asarray([1.0, 1.5, 4.0, 100.0]))
    np.testing.assert_array_equal(found.accepted, [True, True, True, False])
    np.testing.assert_array_equal(found.fraction, [1.0, 0.5, 0.25, 0.0])
    np.testing.assert_array_equal(found.params, [1.0, 0.75, 1.0, 0.0])


def test_line_search_takes_the_natural_step(problem):
    # The two together: a linear objective rises, and the true KL is within the limit.
    kl, params, gradient = problem.kl, problem.params, problem.gradient

    @jax.jit
    def update(step):
        found = line_search(lambda p: dot(gradient, p), kl, params, step, MAX_KL, 10)
        return found.accepted, kl(found.params), dot(gradient, found.params) - dot(gradient, params)

    step = ravel_pytree(params)[1](jnp.asarray(problem.natural_step(gradient, MANY), jnp.float32))
    accepted, moved, gain = update(step)
    assert accepted and gain > 0.0
    assert 0.0 < moved <= MAX_KL * (1.0 + 1e-5)
