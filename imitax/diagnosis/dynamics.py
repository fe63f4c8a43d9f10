"""Exchanged columns of observations show in how observations follow one another. Never imports
JAX.

Positions move by velocities, whoever acts. A linear model of the difference to the next
observation, fitted to a random policy's steps, therefore fits an expert's as well in the
dimensions that it explains; with columns exchanged it is far off. Shapes: N steps, O observation
size, A action features.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from imitax.core.spaces import size
from imitax.demonstrations import Demonstrations
from imitax.findings import Finding
from imitax.types import EnvSpec

# Errors are relative: root mean square error over root mean square change; 1 is that of predicting
# no change.
EXPLAINED = 0.1  # error on the random policy's steps, below which the model explains a dimension
GOOD_FIT = 0.3  # error of a dimension in the right order: where experts go, the fit is rough
BAD_FIT = 1.0  # error of a dimension in a wrong order
MAX_ERROR = 10.0  # larger errors are cut to this, so that one dimension does not hide all others
MAX_DIMENSIONS = 30  # since all pairs of them are tried
MAX_STEPS = 2000  # of the demonstrations
MIN_STEPS = 10


class Steps(NamedTuple):
    """Observations, encoded actions, and the change to the next observation."""

    obs: Float[np.ndarray, "N O"]
    action: Float[np.ndarray, "N A"]
    change: Float[np.ndarray, "N O"]


def steps_of(demonstrations: Demonstrations, spec: EnvSpec) -> Steps:
    """All steps whose next observation is known: those within episodes that were stored
    completely.
    """
    complete = demonstrations.lengths == demonstrations.episode_steps
    has_next = np.repeat(complete, demonstrations.lengths)
    has_next[np.cumsum(demonstrations.lengths) - 1] = False
    index = np.flatnonzero(has_next)
    obs = demonstrations.observations.astype(np.float64)
    action = demonstrations.actions
    features = np.eye(size(spec.action))[action] if action.ndim == 1 else action.astype(np.float64)
    return Steps(obs[index], features[index], obs[index + 1] - obs[index])


def order(demonstrated: Steps, random: Steps) -> Finding | None:
    """A problem if the demonstrations fit the environment's steps only with their columns
    exchanged.
    """
    size = demonstrated.obs.shape[1]
    enough = len(demonstrated.obs) >= MIN_STEPS and len(random.obs) >= MIN_STEPS * size
    if not 1 < size <= MAX_DIMENSIONS or not enough:
        return None
    model = _fit(random)
    explained = _errors(model, random) < EXPLAINED
    if not explained.any():
        return None
    every = -(-len(demonstrated.obs) // MAX_STEPS)
    obs, action, change = (x[::every] for x in demonstrated)

    def errors(columns: Int[np.ndarray, "O"]) -> Float[np.ndarray, "_"]:
        exchanged = Steps(obs[:, columns], action, change[:, columns])
        return np.minimum(_errors(model, exchanged), MAX_ERROR)[explained]

    given = errors(np.arange(size))
    if given.max() < BAD_FIT:
        return None
    columns = _search(lambda columns: errors(columns).sum(), size)
    best = errors(columns)
    if best.max() > GOOD_FIT:
        return None
    worst = int(np.flatnonzero(explained)[given.argmax()])
    return Finding(
        "problem",
        "Observation dimensions seem to be in a different order",
        f"in dimension {worst} of the demonstrations a model of the environment's steps errs by "
        f"{given.max():.2g} times the size of a step (1 is no better than no model), and by at "
        f"most {best.max():.2g} in all dimensions with the columns in the order "
        f"{', '.join(map(str, columns))}.",
        f"the order of the environment: in NumPy, observations[:, {columns.tolist()}].",
    )


def _search(cost: Callable[[Int[np.ndarray, "O"]], float], size: int) -> Int[np.ndarray, "O"]:
    """An order of columns that no exchange of two makes better."""
    best = np.arange(size)
    lowest = cost(best)
    while True:
        candidates = []
        for i in range(size):
            for j in range(i):
                columns = best.copy()
                columns[[i, j]] = columns[[j, i]]
                candidates.append((cost(columns), i, j))
        candidate, i, j = min(candidates)
        if candidate >= lowest - 1e-9:
            return best
        best[[i, j]], lowest = best[[j, i]], candidate


def _inputs(steps: Steps) -> Float[np.ndarray, "N _"]:
    return np.concatenate([steps.obs, steps.action, np.ones((len(steps.obs), 1))], axis=1)


def _fit(steps: Steps) -> Float[np.ndarray, "_ O"]:
    """Coefficients [O + A + 1, O], by least squares with every input scaled to a maximum of 1."""
    inputs = _inputs(steps)
    scale = np.maximum(np.abs(inputs).max(axis=0), 1e-12)
    return np.linalg.lstsq(inputs / scale, steps.change, rcond=1e-8)[0] / scale[:, None]


def _errors(model: Float[np.ndarray, "_ O"], steps: Steps) -> Float[np.ndarray, "O"]:
    """Relative error of each dimension; 0 where nothing changes."""
    error = ((_inputs(steps) @ model - steps.change) ** 2).mean(axis=0)
    size = (steps.change**2).mean(axis=0)
    return np.sqrt(np.where(size > 1e-16, error / np.maximum(size, 1e-16), 0.0))
