"""The observation normaliser: running moments of every array of numbers in an observation.

Whole numbers and images stay as they are; networks encode them. A normaliser is a pytree shaped as
the observation space, with `Moments` for each Box of floats and () elsewhere.
"""

from jaxtyping import PyTree

from imitax.core.spaces import transform, zeros
from imitax.core.statistics import Moments, empty_moments, merge_moments, normalise
from imitax.types import Observation, Space


def empty_normaliser(space: Space) -> PyTree[Moments]:
    """Nothing seen: normalising changes nothing but values beyond the limit."""
    return transform(
        space, lambda box, x: empty_moments(box.shape), lambda part, x: (), zeros(space)
    )


def merge_observations(
    space: Space, normaliser: PyTree[Moments], obs: Observation
) -> PyTree[Moments]:
    """Moments of the old and of the observations [*n, …] together."""

    def merge(box, moments, x):
        return merge_moments(moments, x.reshape(-1, *box.shape))

    return transform(space, merge, lambda part, moments, x: (), normaliser, obs)


def normalise_observation(
    space: Space, normaliser: PyTree[Moments], obs: Observation
) -> Observation:
    """Observations [*n, …] with zero mean and unit variance, clipped to ±`statistics.LIMIT`."""
    return transform(
        space,
        lambda box, moments, x: normalise(moments, x),
        lambda part, moments, x: x,
        normaliser,
        obs,
    )
