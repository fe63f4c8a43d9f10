"""Next observations as JSON, for formats that have no place for them between pairs."""

import math
from typing import Any

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, brief

KEYS = ("last_observations", "stored_steps")


def to_json(demonstrations: Demonstrations) -> dict[str, list]:
    """Those of the fields `KEYS` that are not None; an unknown observation is null."""
    content: dict[str, list] = {}
    if demonstrations.last_observations is not None:
        rows = demonstrations.last_observations.tolist()
        content["last_observations"] = [None if math.isnan(row[0]) else row for row in rows]
    if demonstrations.stored_steps is not None:
        content["stored_steps"] = demonstrations.stored_steps.tolist()
    return content


def from_json(content: dict[str, Any], size: int) -> dict[str, list]:
    """Fields of `Demonstrations`, unchecked; an observation has `size` numbers."""
    lists = {key: content[key] for key in KEYS if key in content}
    for key, value in lists.items():
        if not isinstance(value, list):
            raise ImitaxError(f"found {key} = {brief(value)}; expected a list.")
    if "last_observations" in lists:
        unknown = [math.nan] * size
        rows = [unknown if row is None else row for row in lists["last_observations"]]
        lists["last_observations"] = rows
    return lists
