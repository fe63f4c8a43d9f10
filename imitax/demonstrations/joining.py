"""Whole episodes become arrays of pairs, one episode after another.

Shapes: T steps of an episode, O observation size, A action dimensions.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from imitax.demonstrations.checks import Actions, check_actions, check_observations, check_same_rows
from imitax.errors import ImitaxError
from imitax.files.arrays import as_array


class _Episode(NamedTuple):
    observations: Float32[np.ndarray, "T O"]
    actions: Actions
    last_observation: Float32[np.ndarray, "O"]  # where the last action led; NaN where unknown


def join_episodes(episodes: Sequence[tuple[Any, Any]]) -> dict[str, Any]:
    """Fields of `Demonstrations` from pairs (observations, actions), as for `from_episodes`.

    Raises:
        ImitaxError: an episode is not as it should be, or not like the first; its index is named.
    """
    if not len(episodes):
        raise ImitaxError("Demonstrations need at least one episode, found none.")
    checked: list[_Episode] = []
    for index, episode in enumerate(episodes):
        try:
            checked.append(_check_episode(*episode))
        except ImitaxError as error:
            raise ImitaxError(f"In episode {index}: {error}") from error
        for name in ("observations", "actions"):
            first, latest = getattr(checked[0], name), getattr(checked[-1], name)
            check_same_rows(name, f"episode {index}", first, latest)
    observations, actions, last_observations = zip(*checked, strict=True)
    lengths = np.array([len(rows) for rows in observations])
    return {
        "observations": np.concatenate(observations),
        "actions": None if actions[0] is None else np.concatenate(actions),
        "lengths": lengths,
        "episode_steps": lengths,
        "last_observations": np.stack(last_observations),
    }


def _check_episode(observations: Any, actions: Any) -> _Episode:
    """An episode of T steps with T or T + 1 observations; without actions, always with T + 1."""
    rows = check_observations(observations)
    if actions is None:
        steps = len(rows) - 1
        if not steps:
            raise ImitaxError("observations without actions must be at least two, found one.")
    else:
        steps = len(as_array("actions", actions, "fiu", "numbers", ("T",), ("T", "A")))
        if steps not in (len(rows), len(rows) - 1):
            raise ImitaxError(
                f"actions must be as many as the observations, or one fewer, found {steps} "
                f"actions and {len(rows)} observations."
            )
        actions = check_actions(actions, steps)
    unknown = np.full(rows.shape[1], np.nan, np.float32)
    return _Episode(rows[:steps], actions, rows[steps] if len(rows) > steps else unknown)
