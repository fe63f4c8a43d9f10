"""Regularisers, their conjugates, and proposition 3.2: both sides computed apart and compared.

Tolerances: both solvers stop at a change of 1e-14 in the objective. Near an optimum the objective
is quadratic, so the occupancies are accurate to about the square root of that times the scale of
curvature: 1e-4 of a total mass of 10 is asked.
"""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_expit

from imitax.tabular.duality import (
    any_cost,
    closest_occupancy,
    discriminator_costs,
    linear_costs,
    rl_after_irl,
)
from imitax.tabular.regularisers import (
    constant,
    convex_hull,
    gail,
    jensen_shannon,
    linear_ball,
    ridge,
)
from imitax.tabular.solve import causal_entropy, occupancy, soft_value_iteration

CLOSE = 1e-4


@pytest.fixture
def expert(small, rng):
    """The soft-optimal policy of a reward that is no member of any class below."""
    return occupancy(small, soft_value_iteration(small, rng.normal(size=(5, 3)) * 2).policy)


@pytest.fixture
def features(rng):
    """Two features of a pair: too few to tell all occupancies apart."""
    return rng.normal(size=(5, 3, 2))


def sides(small, expert, features):
    """name -> (cost class, regulariser)."""
    return {
        "ridge": (any_cost(expert, 0.5), ridge(0.5)),
        "FEM": (linear_costs(features, 2), linear_ball(features)),
        "GTAL": (linear_costs(features, 1), convex_hull(features)),
        "GAIL": (discriminator_costs(expert), gail(expert)),
    }


@pytest.mark.parametrize("name", ["ridge", "FEM", "GTAL", "GAIL"])
def test_proposition_3_2(name, small, expert, features):
    costs, psi = sides(small, expert, features)[name]
    left = rl_after_irl(small, expert, costs)
    right = closest_occupancy(small, expert, psi)
    np.testing.assert_allclose(left.rho, right.rho, atol=CLOSE)
    # Strong duality: max over c of the left's objective is the right's minimum.
    assert left.objective == pytest.approx(right.objective, abs=1e-6)
    assert not np.allclose(
        right.rho, expert, atol=100 * CLOSE
    )  # entropy pulls it away: the test is not empty


@pytest.mark.parametrize("name", ["ridge", "FEM", "GTAL", "GAIL"])
def test_nothing_is_closer(name, small, expert, features, any_policy):
    # The objective of the right side at 200 other policies is larger.
    _, psi = sides(small, expert, features)[name]
    least = closest_occupancy(small, expert, psi).objective
    for _ in range(200):
        rho = occupancy(small, any_policy(small))
        assert -causal_entropy(rho) + psi.conjugate(rho, expert) > least


def test_a_constant_regulariser_matches_exactly(small, expert):
    # Corollary 3.2.1: with ψ constant, RL ∘ IRL returns the expert's own occupancy.
    match = rl_after_irl(small, expert, any_cost(expert))
    np.testing.assert_allclose(match.rho, expert, atol=CLOSE)
    assert constant().conjugate(expert, expert) == 0.0
    assert constant().conjugate(expert + 0.1, expert) == np.inf


@pytest.mark.parametrize("name", ["ridge", "FEM", "GTAL", "GAIL"])
def test_the_conjugate_is_the_supremum(name, small, expert, features, any_policy, rng):
    # ψ*(x) ≥ c·x − ψ(c) for every cost c (Fenchel), with equality at the cost that is said to
    # attain it.
    _, psi = sides(small, expert, features)[name]
    rho = occupancy(small, any_policy(small))
    top = psi.conjugate(rho, expert)
    best = psi.best_cost(rho, expert)
    assert np.sum(best * (rho - expert)) - psi.cost(best) == pytest.approx(top, abs=1e-9)
    for _ in range(300):
        if name in ("FEM", "GTAL"):
            w = rng.normal(size=2)
            cost = features @ (
                w / (np.linalg.norm(w) if name == "FEM" else abs(w).sum()) * rng.random()
            )
        else:
            cost = rng.normal(size=(5, 3)) if name == "ridge" else -rng.exponential(size=(5, 3))
        assert psi.cost(cost) < np.inf
        assert np.sum(cost * (rho - expert)) - psi.cost(cost) <= top + 1e-9


def test_costs_outside_a_class_are_infinitely_dear(features, expert):
    assert linear_ball(features).cost(1.1 * features[..., 0]) == np.inf
    assert convex_hull(features).cost(features @ np.array([0.8, 0.8])) == np.inf
    assert linear_ball(features).cost(features @ np.array([0.6, 0.6])) == 0.0
    assert linear_ball(features).cost(np.arange(15.0).reshape(5, 3)) == np.inf
    assert gail(expert).cost(np.full((5, 3), 0.1)) == np.inf


def test_the_gail_conjugate_is_the_classifiers_least_loss_and_the_jensen_shannon_divergence(
    small, expert, any_policy
):
    # max over D of Σ ρ_π log D + ρ_E log(1 − D), by a numerical optimiser that knows no closed
    # form.
    rho = occupancy(small, any_policy(small))

    def loss(logit):
        return -(rho.reshape(-1) @ log_expit(logit) + expert.reshape(-1) @ log_expit(-logit))

    optimum = minimize(loss, np.zeros(15), method="BFGS", options={"gtol": 1e-9})
    top = gail(expert).conjugate(rho, expert)
    assert -optimum.fun == pytest.approx(top, abs=1e-7)
    # Of measures with mass M: JS(ρ, ρ_E) − 2 M log 2; M = 1 / (1 − γ) = 10. The paper leaves the
    # constant out.
    assert top == pytest.approx(jensen_shannon(rho, expert) - 2 * 10 * np.log(2))
    np.testing.assert_allclose(
        1 / (1 + np.exp(-optimum.x)), (rho / (rho + expert)).reshape(-1), atol=1e-4
    )


def test_jensen_shannon_by_hand():
    # Disjoint measures: log 2 from each side; equal ones: 0.
    assert jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(
        2 * np.log(2)
    )
    assert jensen_shannon(np.array([0.3, 0.7]), np.array([0.3, 0.7])) == 0.0


def test_only_gail_tells_an_expert_whose_cost_is_outside_the_linear_class(
    small, features, any_policy, rng
):
    # A policy with the expert's feature expectations but another occupancy: FEM and GTAL see
    # nothing to correct.
    expert = occupancy(small, any_policy(small))
    flat = features.reshape(-1, 2)
    # Directions that keep flow and features: the null space of both, from a singular value
    # decomposition.
    identity = np.repeat(np.eye(5), 3, axis=1)
    rows = np.vstack([identity - small.discount * small.transition.toarray().T, flat.T])
    direction = np.linalg.svd(rows)[2][-1].reshape(5, 3)
    other = expert + 0.5 * np.min(expert / abs(direction)) * direction
    assert other.min() > 0
    assert abs(other - expert).max() > 0.01
    assert linear_ball(features).conjugate(other, expert) < 1e-10
    assert convex_hull(features).conjugate(other, expert) < 1e-10
    psi = gail(expert)
    assert psi.conjugate(other, expert) > psi.conjugate(expert, expert) + 1e-5


def test_fem_and_gtal_end_away_from_such_an_expert_and_gail_near_it(small, features, expert):
    # ψ* counts 100 times, so that the entropy's pull is of the order of 1 % of the mass of 10, and
    # the class decides.
    distance = {}
    for name, psi in (
        ("FEM", linear_ball(features)),
        ("GTAL", convex_hull(features)),
        ("GAIL", gail(expert)),
    ):
        scaled = psi._replace(
            conjugate=lambda r, e, f=psi.conjugate: 100 * f(r, e),
            best_cost=lambda r, e, f=psi.best_cost: 100 * f(r, e),
        )
        distance[name] = abs(closest_occupancy(small, expert, scaled).rho - expert).sum()
    assert distance["GAIL"] < 0.1
    assert min(distance["FEM"], distance["GTAL"]) > 0.5
