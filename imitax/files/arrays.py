"""Checks of arrays from outside: each returns what the package holds, or says what is wrong with
it.
"""

from typing import Any

import numpy as np
from jaxtyping import Float32, Int64

from imitax.errors import ImitaxError

# refuse to read more: demonstrations are small, so such a file is broken or hostile
MAX_BYTES = 2 << 30


def first_true(bad: np.ndarray) -> int | None:
    """Index of the first True along the first axis, or None."""
    return int(np.argwhere(bad)[0, 0]) if bad.any() else None


def as_array(
    name: str, value: Any, kinds: str, what: str, *shapes: tuple[int | str, ...]
) -> np.ndarray:
    """`value` as an array of one of the NumPy `kinds` and `shapes`, where a letter fits any
    size.
    """
    wanted = " or ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ImitaxError(
            f"{name} must be {what} {wanted}, found rows that form no array."
        ) from error
    if array.size == 0:
        raise ImitaxError(
            f"Demonstrations need at least one pair, but {name} has shape {list(array.shape)}."
        )
    fits = any(
        len(shape) == array.ndim
        and all(isinstance(n, str) or n == m for n, m in zip(shape, array.shape, strict=True))
        for shape in shapes
    )
    if array.dtype.kind not in kinds or not fits:
        raise ImitaxError(
            f"{name} must be {what} {wanted}, found {array.dtype} {list(array.shape)}."
        )
    return array


def as_integers(name: str, value: Any, size: int | str) -> Int64[np.ndarray, "_"]:
    """One axis of integers as int64; `size` as in `as_array`."""
    array = as_array(name, value, "iu", "integers", (size,))
    if (bad := first_true(array > np.iinfo(np.int64).max)) is not None:
        raise ImitaxError(f"{name} must fit int64, but entry {bad} is {array[bad]}.")
    return array.astype(np.int64)


def as_float32(name: str, array: np.ndarray, row: str = "pair") -> Float32[np.ndarray, "N _"]:
    """Rounds to float32 and checks that the result is finite; `row` says what one is."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = array.astype(np.float32)
    if len(bad := np.argwhere(~np.isfinite(rounded))):
        index, dimension = map(int, bad[0])
        raise ImitaxError(
            f"{name} must be finite float32 numbers, but {row} {index} has "
            f"{array[index, dimension]} "
            f"in dimension {dimension}."
        )
    return rounded
