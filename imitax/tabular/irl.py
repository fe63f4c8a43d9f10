"""Maximum causal entropy IRL: a reward under which the soft-optimal policy matches the expert.

    max over θ of  E_E[r_θ] − V_θ(μ₀) − (l2 / 2) ‖θ‖²
    gradient       Σ (ρ_E − ρ_θ) ∂r_θ/∂θ − l2 · θ

with V_θ the soft value and ρ_θ the occupancy measure of the soft-optimal policy of r_θ. For
rewards linear in θ the problem is concave, and the gradient is the gap in feature expectations.
Source: Ziebart 2010; Gleave & Toyer 2022.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import sparse

from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.solve import expectation, occupancy, soft_policy_iteration


class RewardClass(NamedTuple):
    """Rewards r_θ [S, A] with parameters θ [P]."""

    initial: Float[np.ndarray, "P"]
    reward: Callable[[np.ndarray], np.ndarray]  # θ -> [S, A]
    pullback: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (θ, w [S, A]) -> Σ w · ∂r/∂θ  [P]


class Learnt(NamedTuple):
    """A fitted reward, its soft-optimal policy, and the course of the fit over I iterations."""

    parameters: Float[np.ndarray, "P"]
    reward: Float[np.ndarray, "S A"]
    policy: Float[np.ndarray, "S A"]
    rho: Float[np.ndarray, "S A"]
    gaps: Float[np.ndarray, "I"]  # max |Σ (ρ − ρ_E) ∂r/∂θ|, from the start
    objective: Float[np.ndarray, "I"]


def linear(features: Float[np.ndarray, "S A F"]) -> RewardClass:
    """r = θ·φ(s, a)."""
    return RewardClass(
        np.zeros(features.shape[-1]),
        lambda theta: features @ theta,
        lambda theta, weights: expectation(weights, features),
    )


def tabular(mdp: TabularMDP, of_state: bool = False) -> RewardClass:
    """A reward for each pair (P = S·A), or for each state (P = S)."""
    shape = mdp.states, mdp.actions

    def reward(theta: np.ndarray) -> np.ndarray:
        return np.repeat(theta[:, None], mdp.actions, axis=1) if of_state else theta.reshape(shape)

    def pullback(theta: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return weights.sum(axis=1) if of_state else weights.reshape(-1)

    return RewardClass(
        np.zeros(mdp.states if of_state else mdp.states * mdp.actions), reward, pullback
    )


def neural(
    features: Float[np.ndarray, "S A F"], hidden: tuple[int, ...] = (32,), seed: int = 0
) -> RewardClass:
    """A small tanh network of φ(s, a) in double precision, with its gradient written out."""
    rng, sizes = np.random.default_rng(seed), (features.shape[-1], *hidden, 1)
    shapes = [(m + 1, n) for m, n in pairwise(sizes)]  # the last row is the bias
    ends = np.cumsum([m * n for m, n in shapes])
    flat = features.reshape(-1, features.shape[-1])

    def layers(theta: np.ndarray) -> list[np.ndarray]:
        return [
            part.reshape(shape)
            for part, shape in zip(np.split(theta, ends[:-1]), shapes, strict=True)
        ]

    def forward(theta: np.ndarray) -> list[np.ndarray]:
        activations = [flat]
        for index, layer in enumerate(layers(theta)):
            z = activations[-1] @ layer[:-1] + layer[-1]
            activations.append(np.tanh(z) if index < len(shapes) - 1 else z)
        return activations

    def pullback(theta: np.ndarray, weights: np.ndarray) -> np.ndarray:
        activations, gradients = forward(theta), []
        signal = weights.reshape(-1, 1)
        for index, layer in reversed(list(enumerate(layers(theta)))):
            if index < len(shapes) - 1:
                signal = signal * (1 - activations[index + 1] ** 2)
            gradients.append(
                np.vstack([activations[index].T @ signal, signal.sum(axis=0)]).reshape(-1)
            )
            signal = signal @ layer[:-1].T
        return np.concatenate(gradients[::-1])

    initial = np.concatenate(
        [(rng.normal(size=(m, n)) / np.sqrt(m)).reshape(-1) for m, n in shapes]
    )
    return RewardClass(
        initial, lambda theta: forward(theta)[-1].reshape(features.shape[:2]), pullback
    )


def mce_irl(
    mdp: TabularMDP,
    expert: Float[np.ndarray, "S A"],
    rewards: RewardClass,
    l2: float = 0.0,
    iterations: int = 500,
    tolerance: float = 1e-8,
) -> Learnt:
    """Fit `rewards` to the expert's occupancy measure by L-BFGS, without the reward of `mdp`.

    Args:
        l2: weight of ½ ‖θ‖²; keeps parameters finite where only an infinite reward would match the
            demonstrations (actions that they never take)
        tolerance: on the largest entry of the gradient

    Raises:
        ImitaxError: `expert` has another shape than [S, A], or `l2` is negative.
    """
    from scipy.optimize import minimize  # 0.3 s that every other method would wait for

    if expert.shape != (mdp.states, mdp.actions):
        raise ImitaxError(
            f"The expert's occupancy has shape {expert.shape}: expected [{mdp.states}, "
            f"{mdp.actions}]."
        )
    if l2 < 0:
        raise ImitaxError(f"Setting l2 is {l2}: expected at least 0.")
    start: np.ndarray | None = None  # values of the last reward
    last_gap, last_value = 0.0, 0.0
    gaps, objective = [], []

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal start, last_gap, last_value
        reward = rewards.reward(theta)
        solution = soft_policy_iteration(mdp, reward, start=start)
        start = solution.values
        rho = occupancy(mdp, solution.policy)
        gap = rewards.pullback(theta, rho - expert)
        last_gap = float(np.max(abs(gap)))
        value = (
            mdp.initial @ solution.values - expectation(expert, reward) + 0.5 * l2 * theta @ theta
        )
        last_value = float(value)
        return last_value, gap + l2 * theta

    def log(theta: np.ndarray) -> None:
        gaps.append(last_gap)
        objective.append(-last_value)

    options = {"maxiter": iterations, "gtol": tolerance, "ftol": 1e-15, "maxcor": 20, "maxls": 50}
    loss(rewards.initial)
    log(rewards.initial)
    optimum = minimize(
        loss, rewards.initial, jac=True, method="L-BFGS-B", callback=log, options=options
    )
    reward = rewards.reward(optimum.x)
    solution = soft_policy_iteration(mdp, reward, start=start)
    rho = occupancy(mdp, solution.policy)
    return Learnt(optimum.x, reward, solution.policy, rho, np.array(gaps), np.array(objective))


def shaping_residual(mdp: TabularMDP, reward: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S A"]:
    """r up to shaping: the residual of r ≈ γ E[Φ(s')] − Φ(s), a least-squares fit over Φ.

    Rewards with equal residuals have the same soft-optimal policy. Unreachable states are left out
    and get 0. Source: Ng et al. 1999; Cao et al. 2021.
    """
    identity = np.repeat(np.arange(mdp.states), mdp.actions)
    stay = sparse.csr_array((np.ones(len(identity)), (np.arange(len(identity)), identity)))
    counted = np.repeat(mdp.reachable(), mdp.actions)
    shaping = sparse.csr_array(mdp.discount * mdp.transition - stay)[np.flatnonzero(counted)]
    flat, residual = reward.reshape(-1)[counted], np.zeros(reward.size)
    potential = sparse.linalg.lsqr(shaping, flat, atol=1e-14, btol=1e-14)[0]
    residual[counted] = flat - shaping @ potential
    return residual.reshape(reward.shape)


def shaping_distance(mdp: TabularMDP, reward: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the residual of reward − other, over reachable pairs."""
    squares = shaping_residual(mdp, reward - other) ** 2
    return float(np.sqrt(np.mean(squares[mdp.reachable()])))


def shaping_correlation(mdp: TabularMDP, reward: np.ndarray, other: np.ndarray) -> float:
    """Cosine of the residuals: 1 for rewards equal up to shaping and scale; NaN if one is 0."""
    a, b = (shaping_residual(mdp, x).reshape(-1) for x in (reward, other))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size > 1e-12 else float("nan")
