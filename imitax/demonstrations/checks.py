"""Checks of what `Demonstrations` are made of: each returns what the container holds, or raises.

Shapes: N pairs, E episodes, S stretches (see `order`), O observation size, A action dimensions.
"""

from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int64

from imitax.core.spaces import outside, range_text, row_form, size
from imitax.demonstrations.order import UNKNOWN, default_steps, stretch_ends
from imitax.errors import ImitaxError, brief
from imitax.files.arrays import as_array, as_float32, as_integers, first_true
from imitax.types import EnvSpec

Actions = Int64[np.ndarray, "N"] | Float32[np.ndarray, "N A"] | None


def check_content(content: dict[str, Any]) -> dict[str, Any]:
    """All fields of `Demonstrations`, converted and checked; arrays are copies and read-only.

    Raises:
        ImitaxError: as the constructor of `Demonstrations`.
    """
    observations = check_observations(content["observations"])
    pairs, size = observations.shape
    lengths = check_lengths(content["lengths"], pairs)
    episodes = len(lengths)
    episode_steps = as_integers("episode_steps", content["episode_steps"], episodes)
    if (bad := first_true(episode_steps < lengths)) is not None:
        raise ImitaxError(
            f"episode_steps must be at least the stored pairs, but episode {bad} took "
            f"{episode_steps[bad]} steps and stores {lengths[bad]} pairs."
        )
    terminated = as_array("terminated", content["terminated"], "b", "booleans", (episodes,))
    env_id = content["env_id"]
    if not isinstance(env_id, str) or not env_id.isprintable():
        raise ImitaxError(f"env_id must be printable text, found {brief(env_id)}.")
    actions = content["actions"]
    stored_steps = check_stored_steps(content["stored_steps"], lengths, episode_steps)
    stretches = len(stretch_ends(lengths, episode_steps, stored_steps))
    checked = {
        "observations": observations,
        "actions": None if actions is None else check_actions(actions, pairs),
        "lengths": lengths,
        "episode_steps": episode_steps,
        "terminated": terminated.astype(bool),
        "returns": check_returns(content["returns"], episodes),
        "env_id": env_id,
        "last_observations": check_last_observations(content["last_observations"], stretches, size),
        "stored_steps": stored_steps,
    }
    for value in checked.values():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False  # a copy, so the caller's array stays as it was
    return checked


def check_observations(value: Any) -> Float32[np.ndarray, "N O"]:
    """Finite numbers, one row for each pair."""
    return as_float32("observations", as_array("observations", value, "fiu", "numbers", ("N", "O")))


def check_actions(value: Any, pairs: int) -> Actions:
    """Integers from 0 (Discrete), or finite rows of floats (Box), as many as `pairs`."""
    array = as_array("actions", value, "fiu", "numbers", (pairs,), (pairs, "A"))
    if (array.ndim == 1) != (array.dtype.kind in "iu"):
        found = f"{array.dtype} {list(array.shape)}"
        raise ImitaxError(
            f"actions must be integers [N] (Discrete) or floats [N, A] (Box), found {found}."
        )
    if array.ndim == 2:
        return as_float32("actions", array)
    if (bad := first_true(array < 0)) is not None:
        raise ImitaxError(
            f"actions that are integers count from 0, but pair {bad} has {array[bad]}."
        )
    return as_integers("actions", array, pairs)


def check_lengths(value: Any, pairs: int) -> Int64[np.ndarray, "E"]:
    """Positive integers that add up to `pairs`."""
    lengths = as_integers("lengths", value, "E")
    if (bad := first_true(lengths < 1)) is not None:
        raise ImitaxError(f"lengths must be positive, but episode {bad} has {lengths[bad]}.")
    if (total := sum(lengths.tolist())) != pairs:
        raise ImitaxError(
            f"lengths must add up to the number of observations, {pairs}, found {total}."
        )
    return lengths


def check_returns(value: Any, episodes: int) -> Float64[np.ndarray, "E"]:
    """Finite numbers, or NaN where unknown."""
    returns = as_array("returns", value, "fiu", "numbers", (episodes,)).astype(np.float64)
    returns = returns + 0.0  # −0 becomes 0: they are equal, but have different bits
    if (bad := first_true(np.isinf(returns))) is not None:
        raise ImitaxError(
            f"returns must be finite, or NaN where unknown, but episode {bad} has {returns[bad]}."
        )
    return returns


def check_stored_steps(
    value: Any, lengths: Int64[np.ndarray, "E"], episode_steps: Int64[np.ndarray, "E"]
) -> Int64[np.ndarray, "N"] | None:
    """Increasing steps within each episode, or all `UNKNOWN`; None where they are the default."""
    if value is None:
        return None
    steps = as_integers("stored_steps", value, int(lengths.sum()))
    default = default_steps(lengths, episode_steps)
    if np.array_equal(steps, default):
        return None
    first = np.zeros(len(steps), bool)
    first[np.cumsum(lengths) - lengths] = True
    before = np.roll(steps, 1)
    follows = (
        first | ((before >= 0) & (steps > before)) | ((before == UNKNOWN) & (steps == UNKNOWN))
    )
    lowest = np.where(default >= 0, 0, UNKNOWN)  # a whole episode leaves nothing unknown
    fits = follows & (steps >= lowest) & (steps < np.repeat(episode_steps, lengths))
    if (bad := first_true(~fits)) is not None:
        raise ImitaxError(
            "stored_steps must increase within each episode and stay below its episode_steps, "
            f"but pair {bad} has {steps[bad]}."
        )
    return steps


def check_last_observations(
    value: Any, stretches: int, size: int
) -> Float32[np.ndarray, "S O"] | None:
    """Rows of finite numbers, or of NaN where unknown; None where all are."""
    if value is None:
        return None
    array = as_array("last_observations", value, "fiu", "numbers", (stretches, size))
    unknown = np.all(np.isnan(array), axis=1)
    if unknown.all():
        return None
    rows = as_float32("last_observations", np.where(unknown[:, None], 0, array), "row")
    rows[unknown] = np.nan
    return rows


def check_spaces(observations: np.ndarray, actions: np.ndarray | None, spec: EnvSpec) -> None:
    """That observations and actions are of the spaces of `spec`; errors as `validate`."""
    expected_size = size(spec.observation)
    if observations.shape[1] != expected_size:
        raise ImitaxError(
            f"observations of {spec.id} have size {expected_size}, found size "
            f"{observations.shape[1]}."
        )
    if actions is None:
        return
    expected = row_form(spec.action)
    actual = "integers [N]" if actions.ndim == 1 else f"floats [N, {actions.shape[1]}]"
    if actual != expected:
        raise ImitaxError(f"actions of {spec.id} are {expected}, found {actual}.")
    if (bad := first_true(outside(spec.action, actions))) is not None:
        raise ImitaxError(
            f"actions of {spec.id} must lie in {range_text(spec.action)}, "
            f"but pair {bad} has {brief(actions[bad].tolist())}."
        )


def check_same_rows(
    name: str, where: str, first: np.ndarray | None, other: np.ndarray | None
) -> None:
    """That two arrays can be rows of one: same dtype and sizes of a row, or both None."""
    if first is None and other is None:
        return
    if first is None or other is None:
        having, lacking = (where, "the first") if first is None else ("the first", where)
        raise ImitaxError(
            f"{name} must be everywhere or nowhere, but {lacking} has none, unlike {having}."
        )
    if (first.dtype, first.shape[1:]) != (other.dtype, other.shape[1:]):
        raise ImitaxError(
            f"{name} must be alike everywhere, but the first rows are {first.dtype} "
            f"{list(first.shape[1:])} and those of {where} are {other.dtype} "
            f"{list(other.shape[1:])}."
        )
