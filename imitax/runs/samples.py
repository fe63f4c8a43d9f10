"""Where a policy went while it learnt: samples of its observations, for the report. Never imports
JAX.

Shapes: K moments of training, S seeds, N and M observations, T steps of an episode, O observation
size.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from imitax.errors import ImitaxError, one_line
from imitax.files.read import check_file, read_arrays
from imitax.files.write import write_arrays

MOMENTS = 8  # of training
SEEDS = 3  # at most
POINTS = 1000  # observations of each moment and seed, at most
NUMBERS = 2_000_000  # in a file, at most: wide observations are sampled more thinly


class ObservationSamples(NamedTuple):
    """What visits.npz holds; raw observations, as the environment hands them out."""

    iterations: Int64[np.ndarray, "K"]  # from 0; the policy that acted in this iteration
    policy: Float32[np.ndarray, "K S N O"]
    demonstrations: Float32[np.ndarray, "M O"]  # what the method was given; M is 0 without any
    episode: Float32[np.ndarray, "T O"]  # one whole demonstrated episode; T is 0 if there is none


class SampleLog:
    """Called after every iteration, it keeps a sample of the rollout at a few of them."""

    def __init__(self) -> None:
        self._samples: dict[int, np.ndarray] = {}

    def __call__(self, iteration: int, iterations: int, rollout: Any) -> None:
        """`rollout.obs` is [S, T, B, O]."""
        if iteration in np.linspace(0, iterations - 1, MOMENTS).round():
            self.keep(iteration, list(np.asarray(rollout.obs)[:SEEDS]))

    def keep(self, iteration: int, observations: list[np.ndarray]) -> None:
        """Keep a sample of the observations [..., O] of each seed."""
        rows = [x.reshape(-1, x.shape[-1]) for x in observations[:SEEDS]]
        points = min(_points(rows[0].shape[1]), *map(len, rows))
        self._samples[iteration] = np.stack([_sample(x, points) for x in rows])

    def samples(self) -> dict[int, Float32[np.ndarray, "S N O"]]:
        """Iteration -> what was kept of it."""
        return dict(self._samples)

    def restore(self, samples: dict[str, np.ndarray]) -> None:
        """Take over what an interrupted run had kept."""
        self._samples = {
            int(iteration): observations for iteration, observations in samples.items()
        }

    def beside(
        self, demonstrations: np.ndarray | None, episode: np.ndarray | None
    ) -> ObservationSamples:
        """What was kept, beside observations [M, O] of the demonstrations and of one of their
        episodes [T, O].
        """
        iterations = sorted(self._samples)
        policy = np.stack([self._samples[i] for i in iterations]).astype(np.float32)
        size = policy.shape[-1]
        none = np.zeros((0, size), np.float32)
        expert = none if demonstrations is None else _sample(demonstrations, _points(size))
        whole = none if episode is None else episode[: NUMBERS // (MOMENTS * size)]
        return ObservationSamples(np.array(iterations, np.int64), policy, expert, whole)


def save_samples(samples: ObservationSamples, path: Path) -> None:
    """Write `path` (.npz)."""
    write_arrays(path, samples._asdict())


def load_samples(path: Path) -> ObservationSamples | None:
    """The inverse of `save_samples`; None if there is no such file, `ImitaxError` if it is
    damaged.
    """
    if not path.exists():
        return None
    try:
        check_file(path)
        with path.open("rb") as file:
            data = read_arrays(file)
        samples = ObservationSamples(*(data[name] for name in ObservationSamples._fields))
        moments, seeds, points, size = samples.policy.shape
        fits = samples.iterations.shape == (moments,) and min(moments, seeds, points, size) > 0
        fits &= samples.iterations.dtype == np.int64
        # Numbers that are not finite may be in there: a policy can go astray, and the report
        # leaves them out.
        fits &= all(x.dtype == np.float32 for x in samples[1:])
        fits &= samples.demonstrations.shape[1:] == samples.episode.shape[1:] == (size,)
        if not fits:
            raise ValueError("arrays that do not fit one another")
    except Exception as error:
        raise ImitaxError(
            f"File '{path}' is damaged ({one_line(error)}): remove it to do without."
        ) from error
    return samples


def _points(size: int) -> int:
    return max(1, min(POINTS, NUMBERS // (MOMENTS * SEEDS * size)))


def _sample(rows: np.ndarray, points: int) -> np.ndarray:
    """At most `points` of the rows, in their order; the same ones each time."""
    return rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:points])]
