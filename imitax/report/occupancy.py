"""Occupancy: the observations of expert and policy on any two axes. Never imports JAX.

The axes are observation dimensions, and the two principal components of all observations together.
Coordinates are stored as 16-bit fractions of their axis. Shapes as in `runs.samples`; D axes.
"""

import base64
from typing import Any

import numpy as np

from imitax.runs.read import RunData
from imitax.runs.samples import ObservationSamples

MAX_DIMENSIONS = 12  # on offer: those in which expert and policy differ most
MAX_BYTES = 1_500_000  # of all points of a report, roughly
_CAR = ("position", "velocity")
NAMES = {
    "Acrobot-v1": ("cos θ₁", "sin θ₁", "cos θ₂", "sin θ₂", "velocity of θ₁", "velocity of θ₂"),
    "CartPole-v1": ("cart position", "cart velocity", "pole angle", "pole velocity"),
    "MountainCar-v0": _CAR,
    "MountainCarContinuous-v0": _CAR,
    "Pendulum-v1": ("cos θ", "sin θ", "velocity of θ"),
}
# Initial pairs of axes; elsewhere the principal components.
START = {"Acrobot-v1": (4, 5), "CartPole-v1": (0, 2), "Pendulum-v1": (1, 2)}


def occupancy_of(runs: list[RunData], lead: int) -> dict[str, Any] | None:
    """The figure's data, None if no run kept any. A run without demonstrations uses another's."""
    kept = {
        i: run.visits for i, run in enumerate(runs) if run.visits and len(_rows(run.visits.policy))
    }
    if not kept:
        return None
    experts = [visits.demonstrations for visits in kept.values() if len(visits.demonstrations)]
    dimensions = _dimensions(kept.get(lead, next(iter(kept.values()))), experts)
    project = _projection([*experts, *(visits.policy for visits in kept.values())], dimensions)
    low, high = _extent(
        [project(_rows(x)) for v in kept.values() for x in (v.policy, v.demonstrations)]
    )
    names = NAMES.get(runs[0].run["env"], ())
    labels = [names[d] if d < len(names) else f"observation {d}" for d in dimensions]
    rows = sum(visits.policy[..., 0].size + len(visits.demonstrations) for visits in kept.values())
    share = min(1.0, MAX_BYTES / (rows * len(low) * 2 * 4 / 3))

    def encode(points: np.ndarray) -> str:
        points = points[
            np.linspace(0, len(points) - 1, max(1, round(share * len(points)))).astype(int)
        ]
        inside = (project(_rows(points)) - low) / (high - low)
        return base64.b64encode((inside * 65535).round().astype("<u2").tobytes()).decode()

    def one(index: int, visits: ObservationSamples) -> dict[str, Any]:
        expert = visits.demonstrations if len(visits.demonstrations) else (experts or [None])[0]
        return {
            "iterations": (visits.iterations + 1).tolist(),
            "seeds": runs[index].seeds[: visits.policy.shape[1]],
            "policy": [[encode(points) for points in moment] for moment in visits.policy],
            "expert": None if expert is None else encode(expert),
            "distances": None if expert is None else _distances(visits.policy, expert),
        }

    return {
        "axes": [*labels, "1st principal component", "2nd principal component"],
        "ranges": np.stack([low, high], axis=1).tolist(),
        "start": _start(runs[0].run["env"], dimensions),
        "runs": [one(index, kept[index]) if index in kept else None for index in range(len(runs))],
    }


def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Wasserstein-1 distance between the columns of x [N, O] and y [M, O], in standard deviations
    of y: [O].

    NaN in columns in which y does not vary.
    """
    levels = np.linspace(0.005, 0.995, 100)
    gap = np.abs(np.quantile(x, levels, axis=0) - np.quantile(y, levels, axis=0)).mean(axis=0)
    std = y.std(axis=0)
    return np.divide(gap, std, out=np.full(gap.shape, np.nan), where=std > 1e-6)


def _distances(policy: np.ndarray, expert: np.ndarray) -> list[list[float | None]]:
    """Mean distance over dimensions of each moment and seed, [K][S]."""
    result = []
    for moment in policy:
        each = [distance(rows, expert) if len(rows := _rows(x)) else np.zeros(0) for x in moment]
        varying = [d[np.isfinite(d)] for d in each]
        result.append([round(float(d.mean()), 4) if d.size else None for d in varying])
    return result


def _dimensions(visits: ObservationSamples, experts: list[np.ndarray]) -> list[int]:
    size = visits.policy.shape[-1]
    if size <= MAX_DIMENSIONS or not experts:
        return list(range(min(size, MAX_DIMENSIONS)))
    apart = np.nan_to_num(distance(visits.policy[0].reshape(-1, size), experts[0]))
    return sorted(np.argsort(-apart, kind="stable")[:MAX_DIMENSIONS].tolist())


def _start(env: str, dimensions: list[int]) -> tuple[int, int]:
    if env in START:
        return START[env]
    return (0, 1) if len(dimensions) == 2 else (len(dimensions), len(dimensions) + 1)


def _projection(parts: list[np.ndarray], dimensions: list[int]):
    """Observations [N, O] -> coordinates [N, D]: some dimensions, then two principal
    components.
    """
    rows = np.concatenate([_rows(part) for part in parts])
    mean, std = rows.mean(axis=0), rows.std(axis=0)
    std[std < 1e-9] = 1.0
    scaled = (rows - mean) / std
    directions = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, :2]  # [O, 2]; O may be 1
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(np.take_along_axis(directions, largest[None], axis=0))

    def project(points: np.ndarray) -> np.ndarray:
        components = (points - mean) / std @ directions
        if components.shape[1] < 2:
            components = np.concatenate([components, np.zeros_like(components)], axis=1)
        return np.concatenate([points[:, dimensions], components], axis=1)

    return project


def _extent(parts: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Minima and maxima of coordinates [D], with a margin."""
    rows = np.concatenate(parts)
    low, high = rows.min(axis=0), rows.max(axis=0)
    margin = np.where(high > low, 0.03 * (high - low), 1.0)
    return low - margin, high + margin


def _rows(points: np.ndarray) -> np.ndarray:
    """Observations [..., O] as rows [N, O], without those that are not finite."""
    rows = points.reshape(-1, points.shape[-1]).astype(np.float64)
    return rows[np.isfinite(rows).all(axis=1)]
