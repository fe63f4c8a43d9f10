"""Which stored pairs follow one another, from the steps at which they were taken.

A *stretch* is a longest series of pairs of one episode at consecutive steps: the next observation
of each of them but the last is the observation of the pair after it, and need not be stored. A
whole episode is one stretch; where every third pair was kept, each pair is one.

Shapes: N pairs, E episodes, S stretches.
"""

import numpy as np
from jaxtyping import Int64

UNKNOWN = -1  # the step of a pair that was subsampled without its step being kept


def default_steps(
    lengths: Int64[np.ndarray, "E"], episode_steps: Int64[np.ndarray, "E"]
) -> Int64[np.ndarray, "N"]:
    """0, 1, 2, … in episodes that are stored whole, `UNKNOWN` in others."""
    steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    steps[np.repeat(lengths != episode_steps, lengths)] = UNKNOWN
    return steps


def stretch_ends(
    lengths: Int64[np.ndarray, "E"],
    episode_steps: Int64[np.ndarray, "E"],
    stored_steps: Int64[np.ndarray, "N"] | None,
) -> Int64[np.ndarray, "S"]:
    """Index of the last pair of each stretch; without `stored_steps` by the default ones."""
    last = np.cumsum(lengths) - 1
    if stored_steps is None:
        if (lengths == episode_steps).all():  # as most are: without arrays of N numbers
            return last
        stored_steps = default_steps(lengths, episode_steps)
    ends = np.ones(len(stored_steps), bool)
    ends[:-1] = np.diff(stored_steps) != 1  # also between two that are unknown
    ends[last] = True
    return np.flatnonzero(ends)
