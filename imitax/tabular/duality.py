"""Both sides of proposition 3.2 (Ho & Ermon 2016), each computed without the other.

    RL ∘ IRL_ψ(π_E)  =  argmin over ρ of  −H(ρ) + ψ*(ρ − ρ_E)

On the left a cost is learnt and then a policy; on the right an occupancy measure is found directly, and no
cost occurs.
Costs are what a learner pays; the package's reward is −c. For small MDPs: general-purpose solvers, dense
constraints.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import LinearConstraint, minimize
from scipy.special import expit, log_expit

from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.regularisers import Regulariser
from imitax.tabular.solve import causal_entropy, flow_residual, occupancy, policy_of, soft_value_iteration


class CostClass(NamedTuple):
    """Costs with parameters θ, and the regulariser as a function of them."""

    size: int
    cost: Callable[[np.ndarray], np.ndarray]  # θ [P] -> [S, A]
    pull: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (θ, weights [S, A]) -> Σ weights · ∂c/∂θ
    penalty: Callable[[np.ndarray], tuple[float, np.ndarray]]  # θ -> ψ, ∂ψ/∂θ
    constraints: tuple = ()
    bounds: list | None = None


def any_cost(expert: Float[np.ndarray, "S A"], weight: float = 0.0) -> CostClass:
    """Every cost, with ψ = weight/2 · ‖c‖²; weight 0 is the constant ψ."""
    shape = expert.shape
    return CostClass(
        expert.size,
        lambda theta: theta.reshape(shape),
        lambda theta, weights: weights.reshape(-1),
        lambda theta: (0.5 * weight * theta @ theta, weight * theta),
    )


def linear_costs(features: Float[np.ndarray, "S A F"], norm: int) -> CostClass:
    """c = w·φ with ‖w‖₂ ≤ 1 (norm 2, FEM) or ‖w‖₁ ≤ 1 (norm 1, GTAL: w = u − v, u, v ≥ 0, Σ u + v ≤ 1)."""
    count = features.shape[-1]

    def pulled(weights):
        return np.tensordot(weights, features, axes=([0, 1], [0, 1]))

    def free(theta):
        return 0.0, np.zeros_like(theta)

    if norm == 2:
        ball = {"type": "ineq", "fun": lambda w: 1 - w @ w, "jac": lambda w: -2 * w}
        return CostClass(count, lambda w: features @ w, lambda w, x: pulled(x), free, (ball,))
    simplex = {"type": "ineq", "fun": lambda t: 1 - t.sum(), "jac": lambda t: -np.ones_like(t)}

    def both_signs(weights):
        one = pulled(weights)
        return np.concatenate([one, -one])

    return CostClass(
        2 * count,
        lambda t: features @ (t[:count] - t[count:]),
        lambda t, x: both_signs(x),
        free,
        (simplex,),
        [(0.0, 1.0)] * (2 * count),
    )


def discriminator_costs(expert: Float[np.ndarray, "S A"]) -> CostClass:
    """c = log D with D = sigmoid(θ), high for the policy, and ψ_GA(c) = −E_E[log(1 − D) + …] as in eq. 13.

    With x = log D: g(x) = −x − log(1 − eˣ) = −log D − log(1 − D).
    """
    rho = expert.reshape(-1)

    def penalty(theta):
        value = -rho @ (log_expit(theta) + log_expit(-theta))
        return value, -rho * (expit(-theta) - expit(theta))

    return CostClass(
        expert.size,
        lambda theta: log_expit(theta).reshape(expert.shape),
        lambda theta, weights: weights.reshape(-1) * expit(-theta),
        penalty,
    )


class Matched(NamedTuple):
    """An occupancy measure that was found, its policy, and the objective −H + ψ* or its dual."""

    rho: Float[np.ndarray, "S A"]
    policy: Float[np.ndarray, "S A"]
    objective: float


def rl_after_irl(mdp: TabularMDP, expert: Float[np.ndarray, "S A"], costs: CostClass) -> Matched:
    """IRL: the cost c that maximises −ψ(c) + min_π(−H(π) + E_π c) − E_E c. RL: the soft-optimal policy of −c.

    The minimum over π is −V(μ₀), the soft value of reward −c, and its gradient in c is that policy's
    occupancy.
    """
    last = {"start": None}

    def solve(cost):
        solution = soft_value_iteration(mdp, -cost, tolerance=1e-12, start=last["start"])
        last["start"] = solution.values
        return solution, occupancy(mdp, solution.policy)

    def loss(theta):
        cost = costs.cost(theta)
        solution, rho = solve(cost)
        psi, slope = costs.penalty(theta)
        value = -psi - mdp.initial @ solution.values - np.sum(expert * cost)
        return -value, slope - costs.pull(theta, rho - expert)

    found = _minimise(loss, np.full(costs.size, 0.01), costs.constraints, costs.bounds)
    solution, rho = solve(costs.cost(found.x))
    return Matched(rho, solution.policy, -found.fun)


def closest_occupancy(
    mdp: TabularMDP, expert: Float[np.ndarray, "S A"], psi: Regulariser, entropy: float = 1.0
) -> Matched:
    """The occupancy measure that minimises −entropy · H(ρ) + ψ*(ρ − ρ_E) under the flow equations."""
    shape = expert.shape
    identity = np.repeat(np.eye(mdp.states), mdp.actions, axis=1)
    flow = LinearConstraint(identity - mdp.discount * mdp.transition.toarray().T, mdp.initial, mdp.initial)

    def loss(flat):
        rho = np.maximum(flat.reshape(shape), 1e-12)
        with np.errstate(divide="ignore"):
            slope = entropy * np.log(rho / rho.sum(axis=1, keepdims=True)) + psi.best_cost(rho, expert)
        return -entropy * causal_entropy(rho) + psi.conjugate(rho, expert), slope.reshape(-1)

    start = occupancy(mdp, np.full(shape, 1.0 / mdp.actions)).reshape(-1)
    found = _minimise(loss, start, (flow,), [(0.0, None)] * expert.size)
    rho = np.maximum(found.x.reshape(shape), 0.0)
    if np.max(abs(flow_residual(mdp, rho))) > 1e-6:
        raise ImitaxError("No occupancy measure was found that satisfies the flow equations.")
    return Matched(rho, policy_of(rho), found.fun)


def _minimise(loss, start, constraints, bounds):
    options = {"maxiter": 2000, "ftol": 1e-14}
    return minimize(
        loss, start, jac=True, method="SLSQP", constraints=list(constraints), bounds=bounds, options=options
    )
