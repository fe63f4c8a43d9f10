"""Another order of dimensions shows in how observations follow one another. Never imports JAX.

Positions move by velocities, whoever acts. A linear model of the next difference, fitted to a random policy's
steps, therefore fits an expert's as well in the dimensions that it describes; with columns exchanged it is
far off. Shapes: N steps, O observation size, A action features.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from imitax.demonstrations import Demonstrations
from imitax.diagnosis.findings import Finding
from imitax.types import EnvSpec

DESCRIBED = 0.1  # relative error on the random policy's steps, below which a dimension counts as described
FITS = 0.3  # relative error of a dimension with the right order: experts go where the fit is a rough one
OFF = 1.0  # relative error of a wrong one: worse than to predict no change at all
CAP = 10.0  # relative error of one dimension, at most, so that one does not hide all others
MOST = 30  # dimensions: pairs of them are tried
STEPS = 2000  # of the demonstrations, at most


class Steps(NamedTuple):
    """Observations, encoded actions, and what changed."""

    obs: Float[np.ndarray, "N O"]
    action: Float[np.ndarray, "N A"]
    change: Float[np.ndarray, "N O"]


def steps_of(demonstrations: Demonstrations, spec: EnvSpec) -> Steps:
    """All steps whose next observation is there: within episodes that were stored whole."""
    whole = demonstrations.lengths == demonstrations.episode_steps
    kept = np.repeat(whole, demonstrations.lengths)
    kept[np.cumsum(demonstrations.lengths) - 1] = False
    index = np.flatnonzero(kept)
    obs = demonstrations.observations.astype(np.float64)
    action = demonstrations.actions
    features = np.eye(spec.action_space.size)[action] if action.ndim == 1 else action.astype(np.float64)
    return Steps(obs[index], features[index], obs[index + 1] - obs[index])


def order(shown: Steps, random: Steps) -> Finding | None:
    """Whether the demonstrations fit the environment's steps only with their columns exchanged."""
    size = shown.obs.shape[1]
    if not 1 < size <= MOST or len(shown.obs) < 10 or len(random.obs) < 10 * size:
        return None
    model = _fit(random)
    described = _errors(model, random) < DESCRIBED
    if not described.any():
        return None
    shown = Steps(*(x[:: -(-len(x) // STEPS)] for x in shown))

    def errors(columns):
        exchanged = Steps(shown.obs[:, columns], shown.action, shown.change[:, columns])
        return np.minimum(_errors(model, exchanged), CAP)[described]

    now = errors(np.arange(size))
    if now.max() < OFF:
        return None
    best = _search(lambda columns: errors(columns).sum(), size)
    then = errors(best)
    if then.max() > FITS:
        return None
    worst = int(np.flatnonzero(described)[now.argmax()])
    return Finding(
        "problem",
        "Observation dimensions seem to be in another order",
        f"in dimension {worst} of the demonstrations a model of the environment's steps errs by "
        f"{now.max():.2g} times the size of a step (1 is no better than no model), and by at most "
        f"{then.max():.2g} in all dimensions with the columns in the order {', '.join(map(str, best))}.",
        f"the order of the environment: in NumPy, observations[:, {best.tolist()}].",
    )


def _search(cost, size: int) -> np.ndarray:
    """An order that no exchange of two columns makes better."""
    best = np.arange(size)
    least = cost(best)
    while True:
        tried = []
        for i in range(size):
            for j in range(i):
                columns = best.copy()
                columns[[i, j]] = columns[[j, i]]
                tried.append((cost(columns), i, j))
        smallest, i, j = min(tried)
        if smallest >= least - 1e-9:
            return best
        best[[i, j]], least = best[[j, i]], smallest


def _inputs(steps: Steps) -> np.ndarray:
    return np.concatenate([steps.obs, steps.action, np.ones((len(steps.obs), 1))], axis=1)


def _fit(steps: Steps) -> np.ndarray:
    """[O + A + 1, O], by least squares in units of each column's deviation."""
    inputs = _inputs(steps)
    scale = np.maximum(np.abs(inputs).max(axis=0), 1e-12)
    return np.linalg.lstsq(inputs / scale, steps.change, rcond=1e-8)[0] / scale[:, None]


def _errors(model: np.ndarray, steps: Steps) -> np.ndarray:
    """Root mean square error over root mean square change, for each dimension; 0 where nothing changes."""
    error = ((_inputs(steps) @ model - steps.change) ** 2).mean(axis=0)
    size = (steps.change**2).mean(axis=0)
    return np.sqrt(np.where(size > 1e-16, error / np.maximum(size, 1e-16), 0.0))
