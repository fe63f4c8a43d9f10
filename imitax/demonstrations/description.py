"""What the arrays of demonstrations hold: numbers in plain JSON types, and a digest."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np


def describe_content(content: dict[str, Any], next_known: int) -> dict[str, Any]:
    """The fields of `Demonstrations` in numbers; `next_known` counts the known next
    observations.
    """
    observations, lengths = content["observations"], content["lengths"]
    return {
        "env_id": content["env_id"],
        "episodes": len(lengths),
        "pairs": len(observations),
        "observations": {"size": observations.shape[1], **_value_range(observations)},
        "actions": _describe_actions(content["actions"]),
        "next_observations": {"known": next_known},
        "pairs_per_episode": _value_range(lengths),
        "episode_steps": _value_range(content["episode_steps"]),
        "terminated": int(content["terminated"].sum()),
        "returns": _describe_returns(content["returns"]),
    }


def _describe_actions(actions: np.ndarray | None) -> dict[str, Any] | None:
    """The kind of actions, and the count of each index or the range of each dimension."""
    if actions is None:
        return None
    if actions.ndim == 1:
        values, counts = np.unique(actions, return_counts=True)
        by_action = dict(zip(map(str, values.tolist()), counts.tolist(), strict=True))
        return {"kind": "Discrete", "counts": by_action}
    return {"kind": "Box", "size": actions.shape[1], **_value_range(actions)}


def _describe_returns(returns: np.ndarray) -> dict[str, Any]:
    """How many are known, with their mean and standard deviation; None without any."""
    known = returns[~np.isnan(returns)]
    return {"known": len(known), "mean": _finite(np.mean, known), "std": _finite(np.std, known)}


def _value_range(array: np.ndarray) -> dict[str, Any]:
    """Minimum, maximum and mean over the first axis, as numbers or lists of numbers."""
    wide = array.astype(np.float64)
    return {
        "min": wide.min(0).tolist(),
        "max": wide.max(0).tolist(),
        "mean": wide.mean(0).tolist(),
    }


def digest_of(content: dict[str, Any]) -> str:
    """SHA-256 of the environment's id and of all arrays but those that are None, in hex."""
    digest = hashlib.sha256(content["env_id"].encode())
    for name, array in content.items():
        if name == "env_id" or array is None:
            continue
        if name in ("returns", "last_observations"):  # NaN has many bit patterns: take one
            array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _finite(statistic: Callable, values: np.ndarray) -> float | None:
    """A statistic of `values`; None without any, or where it is beyond double precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        value = float(statistic(values)) if len(values) else math.inf
    return value if math.isfinite(value) else None
