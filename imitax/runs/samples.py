"""Where a policy went while it learnt: samples of its observations, for the report. Never imports JAX.

Shapes: K moments of training, S seeds, N and M observations, T steps of an episode, O observation size.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from imitax.errors import ImitaxError, one_line
from imitax.files.read import check_file, read_arrays
from imitax.files.write import write_arrays

if TYPE_CHECKING:  # its shapes are written with JAX's array type
    from imitax.demonstrations import Demonstrations

MOMENTS = 8  # of training
SEEDS = 3  # at most
POINTS = 1000  # observations of each moment and seed, at most
NUMBERS = 2_000_000  # in a file, at most: wide observations are sampled more thinly


class Visits(NamedTuple):
    """What visits.npz holds; raw observations, as the environment hands them out."""

    iterations: Int64[np.ndarray, "K"]  # from 0; the policy that acted in this iteration
    policy: Float32[np.ndarray, "K S N O"]
    demonstrations: Float32[np.ndarray, "M O"]  # what the method was shown; M is 0 without any
    episode: Float32[np.ndarray, "T O"]  # one whole demonstrated episode; T is 0 if there is none


class VisitLog:
    """Called after every iteration, it keeps a sample of the rollout at a few of them."""

    def __init__(self) -> None:
        self._kept: dict[int, np.ndarray] = {}

    def __call__(self, iteration: int, iterations: int, rollout: Any) -> None:
        """`rollout.obs` is [S, T, B, O]."""
        if iteration in np.linspace(0, iterations - 1, MOMENTS).round():
            self.keep(iteration, list(np.asarray(rollout.obs)[:SEEDS]))

    def keep(self, iteration: int, observations: list[np.ndarray]) -> None:
        """Keep a sample of the observations [..., O] of each seed."""
        rows = [x.reshape(-1, x.shape[-1]) for x in observations[:SEEDS]]
        points = min(_points(rows[0].shape[1]), *map(len, rows))
        self._kept[iteration] = np.stack([_sample(x, points) for x in rows])

    def kept(self) -> dict[int, Float32[np.ndarray, "S N O"]]:
        """Iteration -> what was kept of it."""
        return dict(self._kept)

    def restore(self, kept: dict[str, np.ndarray]) -> None:
        """Take up what an interrupted run had kept."""
        self._kept = {int(iteration): observations for iteration, observations in kept.items()}

    def visits(self, shown: "Demonstrations | None", whole: "Demonstrations | None") -> Visits:
        """What was kept, beside the demonstrations as the method saw them and as they were before."""
        iterations = sorted(self._kept)
        policy = np.stack([self._kept[i] for i in iterations]).astype(np.float32)
        size = policy.shape[-1]
        demonstrations = episode = np.zeros((0, size), np.float32)
        if shown is not None:
            demonstrations = _sample(shown.observations, _points(size))
        if whole is not None:
            episode = _whole_episode(whole)
        return Visits(np.array(iterations, np.int64), policy, demonstrations, episode)


def save_visits(visits: Visits, path: Path) -> None:
    """Write `path` (.npz)."""
    write_arrays(path, visits._asdict())


def load_visits(path: Path) -> Visits | None:
    """The inverse of `save_visits`; None if there is no such file, `ImitaxError` if it is damaged."""
    if not path.exists():
        return None
    try:
        check_file(path)
        with path.open("rb") as file:
            data = read_arrays(file)
        visits = Visits(*(data[name] for name in Visits._fields))
        moments, seeds, points, size = visits.policy.shape
        fits = visits.iterations.shape == (moments,) and min(moments, seeds, points, size) > 0
        fits &= visits.iterations.dtype == np.int64
        # Numbers that are not finite may be in there: a policy can go astray, and the report leaves them out.
        fits &= all(x.dtype == np.float32 for x in visits[1:])
        fits &= visits.demonstrations.shape[1:] == visits.episode.shape[1:] == (size,)
        if not fits:
            raise ValueError("arrays that do not fit one another")
    except Exception as error:
        raise ImitaxError(
            f"File '{path}' is damaged ({one_line(error)}): remove it to do without."
        ) from error
    return visits


def _points(size: int) -> int:
    return max(1, min(POINTS, NUMBERS // (MOMENTS * SEEDS * size)))


def _sample(rows: np.ndarray, points: int) -> np.ndarray:
    """At most `points` of the rows, in their order; the same ones each time."""
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:points])]


def _whole_episode(demonstrations: "Demonstrations") -> np.ndarray:
    """Observations of the first episode of which every step is there, or none of them."""
    whole = np.flatnonzero(demonstrations.lengths == demonstrations.episode_steps)
    episode = next((list(demonstrations.episodes())[i] for i in whole), slice(0, 0))
    observations = demonstrations.observations[episode]
    return observations[: NUMBERS // (MOMENTS * observations.shape[1])]
