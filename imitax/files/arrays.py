"""Checks of arrays from outside: each returns what the package holds, or says what is wrong with it."""

from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from imitax.errors import ImitaxError

MAX_BYTES = 2 << 30  # refuse to read more: demonstrations are small, so such a file is broken or hostile


def first_true(bad: np.ndarray) -> int | None:
    """Index of the first True along the first axis, or None."""
    return int(np.argwhere(bad)[0, 0]) if bad.any() else None


def as_array(name: str, value: Any, kinds: str, what: str, *shapes: tuple[int | str, ...]) -> np.ndarray:
    """`value` as an array of one of the NumPy `kinds` and `shapes`, where a letter fits any size."""
    wanted = " or ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ImitaxError(f"{name} must be {what} {wanted}, found rows that form no array.") from error
    if array.size == 0:
        raise ImitaxError(f"Demonstrations need at least one pair, but {name} has shape {list(array.shape)}.")
    fits = any(
        len(shape) == array.ndim
        and all(isinstance(n, str) or n == m for n, m in zip(shape, array.shape, strict=True))
        for shape in shapes
    )
    if array.dtype.kind not in kinds or not fits:
        raise ImitaxError(f"{name} must be {what} {wanted}, found {array.dtype} {list(array.shape)}.")
    return array


def as_integers(name: str, value: Any, size: int | str) -> Int64[np.ndarray, "_"]:
    """One axis of integers as int64; `size` as in `as_array`."""
    array = as_array(name, value, "iu", "integers", (size,))
    if (bad := first_true(array > np.iinfo(np.int64).max)) is not None:
        raise ImitaxError(f"{name} must fit int64, but entry {bad} is {array[bad]}.")
    return array.astype(np.int64)


def as_float32(name: str, array: np.ndarray) -> Float32[np.ndarray, "N _"]:
    """Rounds to float32 and checks that the result is finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = array.astype(np.float32)
    if len(bad := np.argwhere(~np.isfinite(rounded))):
        pair, dimension = map(int, bad[0])
        raise ImitaxError(
            f"{name} must be finite float32 numbers, but pair {pair} has {array[pair, dimension]} "
            f"in dimension {dimension}."
        )
    return rounded


def check_observations(value: Any) -> Float32[np.ndarray, "N O"]:
    """Finite numbers, one row for each pair."""
    return as_float32("observations", as_array("observations", value, "fiu", "numbers", ("N", "O")))


def check_actions(value: Any, pairs: int) -> Int64[np.ndarray, "N"] | Float32[np.ndarray, "N A"]:
    """Integers from 0 (Discrete), or finite rows of floats (Box), as many as `pairs`."""
    array = as_array("actions", value, "fiu", "numbers", (pairs,), (pairs, "A"))
    if (array.ndim == 1) != (array.dtype.kind in "iu"):
        found = f"{array.dtype} {list(array.shape)}"
        raise ImitaxError(f"actions must be integers [N] (Discrete) or floats [N, A] (Box), found {found}.")
    if array.ndim == 2:
        return as_float32("actions", array)
    if (bad := first_true(array < 0)) is not None:
        raise ImitaxError(f"actions that are integers count from 0, but pair {bad} has {array[bad]}.")
    return as_integers("actions", array, pairs)


def check_lengths(value: Any, pairs: int) -> Int64[np.ndarray, "E"]:
    """Positive integers that add up to `pairs`."""
    lengths = as_integers("lengths", value, "E")
    if (bad := first_true(lengths < 1)) is not None:
        raise ImitaxError(f"lengths must be positive, but episode {bad} has {lengths[bad]}.")
    if (total := sum(lengths.tolist())) != pairs:
        raise ImitaxError(f"lengths must add up to the number of observations, {pairs}, found {total}.")
    return lengths


def check_same_rows(name: str, where: str, first: np.ndarray, other: np.ndarray) -> None:
    """That two arrays can be rows of one: the same dtype and the same sizes after the first axis."""
    if (first.dtype, first.shape[1:]) != (other.dtype, other.shape[1:]):
        raise ImitaxError(
            f"{name} must be alike everywhere, but the first rows are {first.dtype} {list(first.shape[1:])} "
            f"and those of {where} are {other.dtype} {list(other.shape[1:])}."
        )
