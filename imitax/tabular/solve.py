"""Exact quantities of a tabular MDP, in double precision.

Occupancy measures are unnormalised and discounted as in the paper,

    ρ(s, a) = Σ_t γ^t P(s_t = s, a_t = a),

with sum 1 / (1 − γ) if episodes never end. Policies maximise reward plus `temperature` times
causal entropy. Source: Ziebart 2010; Ho & Ermon 2016, sections 2 and 3.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.special import log_softmax, softmax, xlogy

from imitax.errors import ImitaxError
from imitax.tabular.mdp import TabularMDP


class Solution(NamedTuple):
    """Soft values and their optimal policy; N rewards give a leading axis N."""

    values: Float[np.ndarray, "*N S"]
    action_values: Float[np.ndarray, "*N S A"]
    policy: Float[np.ndarray, "*N S A"]
    iterations: int


def soft_value_iteration(
    mdp: TabularMDP,
    reward: Float[np.ndarray, "*N S A"] | None = None,
    temperature: float = 1.0,
    tolerance: float = 1e-10,
    start: Float[np.ndarray, "*N S"] | None = None,
) -> Solution:
    """V = τ log Σ_a exp(Q / τ), Q = r + γ P V and π = exp((Q − V) / τ), for one reward or N at
    once.

    `tolerance` bounds the error of the values. The change Δ of an iteration bounds the remaining
    error from both sides, γ / (1 − γ) · [min Δ, max Δ] (MacQueen 1966; widened to include 0 if
    episodes may terminate), so a common shift of all values costs no iterations. `start`: initial
    values, such as a similar reward's.
    """
    reward = mdp.reward if reward is None else np.asarray(reward, np.float64)
    _check_reward(mdp, reward, temperature)
    batch = reward.shape[:-2]
    # Rewards in the last axis, because a sparse matrix multiplies columns.
    flat = np.moveaxis(reward.reshape(-1, mdp.states * mdp.actions), 0, -1)  # [S·A, N]
    values = np.zeros((mdp.states, flat.shape[1]))
    if start is not None:
        values = np.moveaxis(np.asarray(start, np.float64).reshape(-1, mdp.states), 0, -1).copy()
    weight, ends = mdp.discount / (1 - mdp.discount), bool(mdp.termination.any())
    iterations = 0
    while True:
        iterations += 1
        new = _soft_maximum(_backup(mdp, flat, values), temperature)
        change = new - values
        low, high = weight * change.min(axis=0), weight * change.max(axis=0)
        if ends:
            low, high = np.minimum(low, 0.0), np.maximum(high, 0.0)
        values = new
        if np.all(high - low <= 2 * tolerance):
            break
    action_values = _backup(mdp, flat, values + 0.5 * (low + high))
    values = _soft_maximum(action_values, temperature)
    policy = softmax(action_values / temperature, axis=1)

    def out(x):
        return np.moveaxis(x, -1, 0).reshape(*batch, *x.shape[:-1])

    return Solution(out(values), out(action_values), out(policy), iterations)


def soft_policy_iteration(
    mdp: TabularMDP,
    reward: Float[np.ndarray, "S A"],
    tolerance: float = 1e-10,
    start: Float[np.ndarray, "S"] | None = None,
) -> Solution:
    """The values at temperature 1 by Newton's method: V ← (I − γ P_π)⁻¹ (r_π + H_π), π that of V.

    A handful of sparse solves instead of log(1/tolerance) / (1 − γ) products; stops when a step
    changes the values by less than `tolerance`; the next one would change them by about its
    square.
    """
    _check_reward(mdp, reward, 1.0)
    values, iterations = np.zeros(mdp.states) if start is None else start, 0
    while True:
        iterations += 1
        action_values = reward + mdp.discount * (mdp.transition @ values).reshape(reward.shape)
        log_policy = log_softmax(action_values, axis=1)
        policy = np.exp(log_policy)
        gain = np.sum(policy * (reward - log_policy), axis=1)
        new = sparse.linalg.spsolve(sparse.csc_array(_system(mdp, policy)), gain)
        change, values = np.max(np.abs(new - values)), new
        # Values of 10⁶ have only ten digits behind the point: no step gets smaller than their
        # rounding.
        if change <= max(tolerance, 1e-13 * np.max(np.abs(values))):
            return Solution(values, action_values, policy, iterations)


def soft_backward_induction(
    mdp: TabularMDP,
    horizon: int,
    reward: Float[np.ndarray, "S A"] | None = None,
    temperature: float = 1.0,
) -> tuple[Float[np.ndarray, "T S"], Float[np.ndarray, "T S A"]]:
    """Values and policies of T = `horizon` steps, in order; values after the last step are 0."""
    if horizon < 1:
        raise ImitaxError(f"Horizon is {horizon}: expected at least 1 step.")
    reward = mdp.reward if reward is None else np.asarray(reward, np.float64)
    _check_reward(mdp, reward, temperature)
    values, policies, value = [], [], np.zeros(mdp.states)
    for _ in range(horizon):
        action_values = reward + mdp.discount * (mdp.transition @ value).reshape(reward.shape)
        value = _soft_maximum(action_values, temperature)
        values.append(value)
        policies.append(softmax(action_values / temperature, axis=1))
    return np.stack(values[::-1]), np.stack(policies[::-1])


def value_iteration(
    mdp: TabularMDP, reward: Float[np.ndarray, "S A"] | None = None, tolerance: float = 1e-10
) -> Solution:
    """Optimal values without entropy, and the greedy policy (the first of equally good
    actions).
    """
    reward = mdp.reward if reward is None else np.asarray(reward, np.float64)
    _check_reward(mdp, reward, 1.0)
    values, iterations = np.zeros(mdp.states), 0
    small = tolerance * (1 - mdp.discount) / max(mdp.discount, 1e-12)
    while True:
        iterations += 1
        action_values = reward + mdp.discount * (mdp.transition @ values).reshape(reward.shape)
        new = action_values.max(axis=1)
        change, values = np.max(np.abs(new - values)), new
        if change <= small:
            break
    policy = np.eye(mdp.actions)[action_values.argmax(axis=1)]
    return Solution(values, action_values, policy, iterations)


def occupancy(mdp: TabularMDP, policy: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S A"]:
    """ρ_π by a sparse linear solve of d = μ₀ + γ P_πᵀ d, ρ(s, a) = π(a | s) d(s)."""
    _check_policy(mdp, policy)
    visits = sparse.linalg.spsolve(sparse.csc_array(_system(mdp, policy).T), mdp.initial)
    return np.maximum(visits, 0.0)[:, None] * policy


def occupancy_by_iteration(
    mdp: TabularMDP, policy: Float[np.ndarray, "S A"], tolerance: float = 1e-12
) -> Float[np.ndarray, "S A"]:
    """ρ_π by iterating d ← μ₀ + γ P_πᵀ d until the change is below tolerance · (1 − γ)."""
    _check_policy(mdp, policy)
    step = mdp.discount * mdp.follow(policy).T
    visits = mdp.initial
    while True:
        new = mdp.initial + step @ visits
        change, visits = np.abs(new - visits).sum(), new
        if change <= tolerance * (1 - mdp.discount):
            return visits[:, None] * policy


def occupancy_of_steps(
    mdp: TabularMDP, policies: Float[np.ndarray, "T S A"]
) -> Float[np.ndarray, "T S A"]:
    """γ^t P(s_t = s, a_t = a) of each of T steps, with a policy for each step (finite horizon)."""
    visits, measures = mdp.initial, []
    for policy in policies:
        _check_policy(mdp, policy)
        measures.append(visits[:, None] * policy)
        visits = mdp.discount * (mdp.transition.T @ measures[-1].reshape(-1))
    return np.stack(measures)


def policy_of(rho: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S A"]:
    """π(a | s) = ρ(s, a) / Σ_a ρ(s, a), uniform in unvisited states (proposition 3.1)."""
    visits = rho.sum(axis=1, keepdims=True)
    uniform = np.full_like(rho, 1.0 / rho.shape[1])
    return np.divide(rho, visits, out=uniform, where=visits > 0)


def flow_residual(mdp: TabularMDP, rho: Float[np.ndarray, "S A"]) -> Float[np.ndarray, "S"]:
    """Σ_a ρ(s, a) − μ₀(s) − γ Σ ρ(s', a') P(s | s', a'): zero exactly if ρ ≥ 0 is a policy's."""
    return rho.sum(axis=1) - mdp.initial - mdp.discount * (mdp.transition.T @ rho.reshape(-1))


def causal_entropy(rho: Float[np.ndarray, "S A"]) -> float:
    """H(ρ) = −Σ ρ(s, a) log(ρ(s, a) / Σ_a' ρ(s, a')) in nats; strictly concave in ρ."""
    return float(xlogy(rho.sum(axis=1), rho.sum(axis=1)).sum() - xlogy(rho, rho).sum())


def expectation(
    rho: Float[np.ndarray, "S A"], features: Float[np.ndarray, "S A *F"]
) -> Float[np.ndarray, "*F"]:
    """E[Σ_t γ^t φ(s_t, a_t)] = Σ ρ(s, a) φ(s, a); with φ the reward, the expected return."""
    return np.tensordot(rho, features, axes=([0, 1], [0, 1]))


def _system(mdp: TabularMDP, policy: np.ndarray) -> sparse.csr_array:
    return sparse.csr_array(sparse.eye_array(mdp.states) - mdp.discount * mdp.follow(policy))


def _backup(mdp: TabularMDP, reward: np.ndarray, values: np.ndarray) -> np.ndarray:
    """r + γ P V of N rewards [S·A, N] and values [S, N], as [S, A, N]."""
    return (reward + mdp.discount * (mdp.transition @ values)).reshape(mdp.states, mdp.actions, -1)


def _soft_maximum(action_values: np.ndarray, temperature: float) -> np.ndarray:
    """τ log Σ_a exp(Q / τ) over axis 1; twice as fast as SciPy's more general `logsumexp`."""
    top = action_values.max(axis=1)
    share = action_values - top[:, None]
    share /= temperature
    np.exp(share, out=share)
    return top + temperature * np.log(share.sum(axis=1))


def _check_reward(mdp: TabularMDP, reward: np.ndarray, temperature: float) -> None:
    if reward.shape[-2:] != (mdp.states, mdp.actions):
        raise ImitaxError(
            f"Reward has shape {reward.shape}: expected [{mdp.states}, {mdp.actions}] for "
            f"'{mdp.name}'."
        )
    if not np.all(np.isfinite(reward)):
        raise ImitaxError("Rewards must be finite.")
    if not temperature > 0:
        raise ImitaxError(f"Temperature is {temperature}: expected above 0.")


def _check_policy(mdp: TabularMDP, policy: np.ndarray) -> None:
    if policy.shape != (mdp.states, mdp.actions):
        raise ImitaxError(
            f"Policy has shape {policy.shape}: expected [{mdp.states}, {mdp.actions}] for "
            f"'{mdp.name}'."
        )
    if np.any(policy < 0) or np.any(abs(policy.sum(axis=1) - 1) > 1e-8):
        raise ImitaxError("A policy's rows must be probabilities that sum to 1.")
