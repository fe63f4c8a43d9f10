"""Summaries with intervals. Never imports JAX, so that tables can be made anywhere.

Intervals are 95 % percentile bootstrap intervals with a fixed seed: the same data give the same
numbers.
"""

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 2000


def interquartile_mean(x: ArrayLike, axis: int = -1) -> np.ndarray | np.float64:
    """Mean of the middle half (25 % trimmed on each side); robust to a failed or lucky seed.

    The trimmed share is exact for any size: the values at the borders have fractional weights, so
    that 3 seeds are neither reduced to their median nor simply averaged. Source: Agarwal et al.
    2021.
    """
    x = np.sort(np.asarray(x, np.float64), axis=axis)
    n = x.shape[axis]
    edges = np.arange(n + 1)
    weight = np.clip(np.minimum(edges[1:], 0.75 * n) - np.maximum(edges[:-1], 0.25 * n), 0.0, None)
    return np.average(x, axis=axis, weights=weight)


def bootstrap_interval(
    x: ArrayLike, statistic=np.mean, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic(values, axis=-1)` over the values x [n].

    One value has no interval: it comes back as both ends.
    """
    x = np.asarray(x, np.float64).reshape(-1)
    if len(x) < 2:
        return float(x[0]), float(x[0])
    index = np.random.default_rng(seed).integers(len(x), size=(RESAMPLES, len(x)))
    resampled = statistic(x[index], axis=-1)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def normalised(x, random: float, expert: float):
    """(x − random) / (expert − random): 0 is the random policy, 1 the expert. NaN where they are
    equal.
    """
    span = expert - random
    return (np.asarray(x, np.float64) - random) / span if span else np.full(np.shape(x), np.nan)


def describe_returns(returns: np.ndarray) -> dict[str, float | list[float]]:
    """Mean, standard deviation and interval of returns [N], or of S seeds [S, N].

    The interval is that of the mean over episodes; with several seeds, that of the interquartile
    mean over the means of seeds.
    """
    returns = np.atleast_2d(np.asarray(returns, np.float64))
    seed_means = returns.mean(axis=1)
    many = len(seed_means) > 1
    interval = bootstrap_interval(*((seed_means, interquartile_mean) if many else (returns[0],)))
    return {
        "mean": float(returns.mean()),
        "std": float(returns.std()),
        "interquartile_mean": float(interquartile_mean(seed_means))
        if many
        else float(returns.mean()),
        "interval": list(interval),
        "seed_means": seed_means.tolist(),
        "episodes": int(returns.size),
    }


def band(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interquartile mean over seeds, and its interval, of curves [S, I]: three arrays [I]."""
    curves = np.asarray(curves, np.float64)
    middle = interquartile_mean(curves, axis=0)
    if len(curves) < 2:
        return middle, middle, middle
    index = np.random.default_rng(0).integers(len(curves), size=(500, len(curves)))
    resampled = interquartile_mean(curves[index], axis=1)  # [500, I]
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return middle, low, high


def stratified_interval(
    groups: list[np.ndarray], statistic=interquartile_mean, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of `statistic` over the values of all groups, resampled within each (Agarwal et al.
    2021).

    A group is a task or a cell: the tasks are fixed, the seeds are drawn at random.
    """
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(group, np.float64).reshape(-1) for group in groups]
    resampled = np.concatenate(
        [x[rng.integers(len(x), size=(RESAMPLES, len(x)))] for x in arrays], axis=1
    )
    low, high = np.quantile(statistic(resampled, axis=-1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def performance_profile(groups: list[np.ndarray], thresholds: np.ndarray) -> np.ndarray:
    """Share of runs that score above each threshold, with equal weight for each group (Dolan &
    Moré 2002).
    """
    shares = [(np.asarray(x, np.float64)[:, None] > thresholds).mean(axis=0) for x in groups]
    return np.mean(shares, axis=0)


def profile_band(
    groups: list[np.ndarray], thresholds: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """95 % stratified bootstrap interval of the performance profile at each threshold."""
    rng = np.random.default_rng(seed)
    above = [np.asarray(x, np.float64)[:, None] > thresholds for x in groups]
    # [500, K] each
    resampled = [a[rng.integers(len(a), size=(500, len(a)))].mean(axis=1) for a in above]
    low, high = np.quantile(np.mean(resampled, axis=0), [0.025, 0.975], axis=0)
    return low, high


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """P(a run of x scores higher than a run of y), ties counting half (Mann & Whitney's U /
    nm).
    """
    x, y = np.asarray(x, np.float64)[:, None], np.asarray(y, np.float64)[None, :]
    return float(np.mean((x > y) + 0.5 * (x == y)))
