"""Both sides of proposition 3.2 (Ho & Ermon 2016), each computed without the other.

    RL ∘ IRL_ψ(π_E)  =  argmin over ρ of  −H(ρ) + ψ*(ρ − ρ_E)

The left side learns a cost and then a policy; the right side finds an occupancy measure directly,
without a cost. As in the paper, learners minimise a cost c; the package's reward is −c.
General-purpose solvers with dense constraints: for small MDPs.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import LinearConstraint, OptimizeResult, minimize
from scipy.special import expit, log_expit

from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.regularisers import Regulariser
from imitax.tabular.solve import (
    Solution,
    causal_entropy,
    flow_residual,
    occupancy,
    policy_of,
    soft_value_iteration,
)


class CostClass(NamedTuple):
    """Costs c_θ [S, A] with parameters θ [P], and the regulariser ψ as a function of θ."""

    size: int
    cost: Callable[[np.ndarray], np.ndarray]  # θ [P] -> [S, A]
    pullback: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (θ, w [S, A]) -> Σ w · ∂c/∂θ  [P]
    penalty: Callable[[np.ndarray], tuple[float, np.ndarray]]  # θ -> ψ, ∂ψ/∂θ
    constraints: tuple = ()
    bounds: list | None = None


def any_cost(expert: Float[np.ndarray, "S A"], weight: float = 0.0) -> CostClass:
    """All costs, with ψ = weight/2 · ‖c‖²; weight 0 is the constant ψ."""
    shape = expert.shape
    return CostClass(
        expert.size,
        lambda theta: theta.reshape(shape),
        lambda theta, weights: weights.reshape(-1),
        lambda theta: (float(0.5 * weight * theta @ theta), weight * theta),
    )


def linear_costs(features: Float[np.ndarray, "S A F"], norm: int) -> CostClass:
    """c = w·φ with ‖w‖₂ ≤ 1 (norm 2, FEM) or ‖w‖₁ ≤ 1 (norm 1, GTAL).

    For norm 1, w = u − v with u, v ≥ 0 and Σ u + v ≤ 1.
    """
    count = features.shape[-1]

    def gradient(weights: np.ndarray) -> np.ndarray:
        return np.tensordot(weights, features, axes=([0, 1], [0, 1]))

    def no_penalty(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return 0.0, np.zeros_like(theta)

    if norm == 2:
        ball = {"type": "ineq", "fun": lambda w: 1 - w @ w, "jac": lambda w: -2 * w}
        return CostClass(
            count, lambda w: features @ w, lambda w, x: gradient(x), no_penalty, (ball,)
        )
    simplex = {"type": "ineq", "fun": lambda t: 1 - t.sum(), "jac": lambda t: -np.ones_like(t)}

    def both_signs(weights: np.ndarray) -> np.ndarray:
        return np.concatenate([gradient(weights), -gradient(weights)])

    return CostClass(
        2 * count,
        lambda t: features @ (t[:count] - t[count:]),
        lambda t, x: both_signs(x),
        no_penalty,
        (simplex,),
        [(0.0, 1.0)] * (2 * count),
    )


def discriminator_costs(expert: Float[np.ndarray, "S A"]) -> CostClass:
    """c = log D with D = sigmoid(θ), high for the policy, and ψ_GA as in eq. 13.

    With x = log D: g(x) = −x − log(1 − eˣ) = −log D − log(1 − D).
    """
    rho = expert.reshape(-1)

    def penalty(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value = -rho @ (log_expit(theta) + log_expit(-theta))
        return value, -rho * (expit(-theta) - expit(theta))

    return CostClass(
        expert.size,
        lambda theta: log_expit(theta).reshape(expert.shape),
        lambda theta, weights: weights.reshape(-1) * expit(-theta),
        penalty,
    )


class Match(NamedTuple):
    """A solution: its occupancy measure, its policy, and the objective −H + ψ* or its dual."""

    rho: Float[np.ndarray, "S A"]
    policy: Float[np.ndarray, "S A"]
    objective: float


def rl_after_irl(mdp: TabularMDP, expert: Float[np.ndarray, "S A"], costs: CostClass) -> Match:
    """The cost c that maximises −ψ(c) + min_π(−H(π) + E_π c) − E_E c, and its soft-optimal policy.

    The minimum over π is −V(μ₀), the soft value of reward −c, and its gradient in c is that
    policy's occupancy.
    """
    start: np.ndarray | None = None  # values of the last cost

    def solve(cost: np.ndarray) -> tuple[Solution, np.ndarray]:
        nonlocal start
        solution = soft_value_iteration(mdp, -cost, tolerance=1e-12, start=start)
        start = solution.values
        return solution, occupancy(mdp, solution.policy)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        cost = costs.cost(theta)
        solution, rho = solve(cost)
        psi, slope = costs.penalty(theta)
        value = -psi - mdp.initial @ solution.values - np.sum(expert * cost)
        return -value, slope - costs.pullback(theta, rho - expert)

    optimum = _minimise(loss, np.full(costs.size, 0.01), costs.constraints, costs.bounds)
    solution, rho = solve(costs.cost(optimum.x))
    return Match(rho, solution.policy, -optimum.fun)


def closest_occupancy(
    mdp: TabularMDP, expert: Float[np.ndarray, "S A"], psi: Regulariser, entropy: float = 1.0
) -> Match:
    """The occupancy measure that minimises −entropy · H(ρ) + ψ*(ρ − ρ_E)."""
    shape = expert.shape
    identity = np.repeat(np.eye(mdp.states), mdp.actions, axis=1)
    equation = identity - mdp.discount * mdp.transition.toarray().T
    flow = LinearConstraint(equation, mdp.initial, mdp.initial)  # pyright: ignore[reportArgumentType]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        rho = np.maximum(flat.reshape(shape), 1e-12)
        with np.errstate(divide="ignore"):
            slope = entropy * np.log(rho / rho.sum(axis=1, keepdims=True)) + psi.best_cost(
                rho, expert
            )
        return -entropy * causal_entropy(rho) + psi.conjugate(rho, expert), slope.reshape(-1)

    start = occupancy(mdp, np.full(shape, 1.0 / mdp.actions)).reshape(-1)
    optimum = _minimise(loss, start, (flow,), [(0.0, None)] * expert.size)
    rho = np.maximum(optimum.x.reshape(shape), 0.0)
    if np.max(abs(flow_residual(mdp, rho))) > 1e-6:
        raise ImitaxError(
            "The solver found no occupancy measure that satisfies the flow equations."
        )
    return Match(rho, policy_of(rho), optimum.fun)


def _minimise(
    loss: Callable, start: np.ndarray, constraints: tuple, bounds: list | None
) -> OptimizeResult:
    options = {"maxiter": 2000, "ftol": 1e-14}
    return minimize(
        loss,
        start,
        jac=True,
        method="SLSQP",
        constraints=list(constraints),
        bounds=bounds,
        options=options,
    )
