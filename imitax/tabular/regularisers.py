"""Cost regularisers ψ and their conjugates ψ*(ρ_π − ρ_E): what "close to the expert" means.

    RL ∘ IRL_ψ(π_E) = argmin over π of  −H(π) + ψ*(ρ_π − ρ_E)        (Ho & Ermon 2016, prop. 3.2)

As in the paper, learners minimise a cost c; the package's reward is −c. Every regulariser has ψ(c)
and its conjugate ψ*(x) = sup over c of Σ c x − ψ(c), with a subgradient: the maximising cost.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.special import xlogy


class Regulariser(NamedTuple):
    """A convex function of costs [S, A] and its conjugate as a function of (ρ_π, ρ_E)."""

    name: str
    cost: Callable[[np.ndarray], float]  # ψ(c); infinity outside its domain
    conjugate: Callable[[np.ndarray, np.ndarray], float]  # ψ*(ρ_π − ρ_E)
    best_cost: Callable[[np.ndarray, np.ndarray], np.ndarray]  # the c that attains the conjugate


def constant() -> Regulariser:
    """ψ = 0: ψ* is 0 at ρ_π = ρ_E and infinite elsewhere, exact matching (corollary 3.2.1)."""

    def conjugate(rho: np.ndarray, expert: np.ndarray) -> float:
        return 0.0 if np.allclose(rho, expert, rtol=0, atol=1e-9) else np.inf

    return Regulariser("constant", lambda c: 0.0, conjugate, lambda rho, expert: np.zeros_like(rho))


def ridge(weight: float = 1.0) -> Regulariser:
    """ψ(c) = weight/2 · ‖c‖²: ψ*(x) = ‖x‖² / (2 weight). Not in the paper; smooth, for tests."""
    return Regulariser(
        "ridge",
        lambda c: 0.5 * weight * float(np.sum(c**2)),
        lambda rho, expert: float(np.sum((rho - expert) ** 2)) / (2 * weight),
        lambda rho, expert: (rho - expert) / weight,
    )


def linear_ball(features: Float[np.ndarray, "S A F"]) -> Regulariser:
    """Costs w·φ with ‖w‖₂ ≤ 1 (FEM): ψ* is the distance ‖E_π φ − E_E φ‖₂."""

    def gap(rho: np.ndarray, expert: np.ndarray) -> np.ndarray:
        return np.tensordot(rho - expert, features, axes=([0, 1], [0, 1]))

    def best_cost(rho: np.ndarray, expert: np.ndarray) -> np.ndarray:
        difference = gap(rho, expert)
        return features @ (difference / max(np.linalg.norm(difference), 1e-300))

    def cost(c: np.ndarray) -> float:
        return _indicator(c, features, lambda w: bool(np.linalg.norm(w) <= 1 + 1e-9))

    return Regulariser("FEM", cost, lambda r, e: float(np.linalg.norm(gap(r, e))), best_cost)


def convex_hull(features: Float[np.ndarray, "S A F"]) -> Regulariser:
    """Costs w·φ with ‖w‖₁ ≤ 1 (GTAL, both signs): ψ* is the largest |E_π φ_j − E_E φ_j|."""

    def gap(rho: np.ndarray, expert: np.ndarray) -> np.ndarray:
        return np.tensordot(rho - expert, features, axes=([0, 1], [0, 1]))

    def best_cost(rho: np.ndarray, expert: np.ndarray) -> np.ndarray:
        difference = gap(rho, expert)
        j = int(np.argmax(abs(difference)))
        return np.sign(difference[j]) * features[..., j]

    def cost(c: np.ndarray) -> float:
        return _indicator(c, features, lambda w: bool(abs(w).sum() <= 1 + 1e-9))

    return Regulariser("GTAL", cost, lambda r, e: float(np.max(abs(gap(r, e)))), best_cost)


def gail(expert: Float[np.ndarray, "S A"]) -> Regulariser:
    """ψ_GA: E_E[g(c)] with g(x) = −x − log(1 − eˣ) for x < 0, infinite otherwise (eq. 13).

    The conjugate is the negative of the classifier's minimum loss, with D = ρ_π / (ρ_π + ρ_E) high
    for the *policy* as in the paper: ψ*(ρ_π − ρ_E) = Σ ρ_π log D + ρ_E log(1 − D). That is
    D_JS(ρ_π, ρ_E) − 2 M log 2 for measures of mass M, and the maximising cost is c = log D.
    """

    def cost(c: np.ndarray) -> float:
        if np.any(c[expert > 0] >= 0):
            return np.inf
        inside = expert > 0
        return float(np.sum(expert[inside] * (-c[inside] - np.log(-np.expm1(c[inside])))))

    def conjugate(rho: np.ndarray, expert: np.ndarray) -> float:
        both = rho + expert
        return float(
            xlogy(rho, _share(rho, both)).sum() + xlogy(expert, _share(expert, both)).sum()
        )

    def best_cost(rho: np.ndarray, expert: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(_share(rho, rho + expert))

    return Regulariser("GAIL", cost, conjugate, best_cost)


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    """D_KL(p ‖ (p + q) / 2) + D_KL(q ‖ (p + q) / 2) in nats, for equal masses; the paper's
    D_JS.
    """
    middle = 0.5 * (p + q)
    return float(xlogy(p, _share(p, middle)).sum() + xlogy(q, _share(q, middle)).sum())


def _share(part: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.divide(part, total, out=np.full_like(part, 0.5), where=total > 0)


def _indicator(
    cost: np.ndarray, features: np.ndarray, inside: Callable[[np.ndarray], bool]
) -> float:
    """0 if `cost` is w·φ with w `inside`, else infinity; of several w, the smallest counts."""
    flat = features.reshape(-1, features.shape[-1])
    weights, *_ = np.linalg.lstsq(flat, cost.reshape(-1), rcond=None)
    fits = np.allclose(flat @ weights, cost.reshape(-1), atol=1e-8)
    return 0.0 if fits and inside(weights) else np.inf
