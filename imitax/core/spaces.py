"""What depends on the kind of a space. The only place that switches on kinds.

An action has three forms:

* environment units: what `env.step` takes and what demonstrations hold;
* agent units: indices, or a Box action scaled so that the bounds are −1 and 1, not yet clipped
  (the Gaussian policy's own sample, whose density the policy gradient needs);
* encoded: what networks read, one-hot vectors and flattened numbers.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key, PyTree

from imitax.core.distributions import categorical, diagonal_gaussian, independent_categoricals
from imitax.errors import ImitaxError, brief, brief_text
from imitax.types import (
    Box,
    Dict,
    Discrete,
    Distribution,
    EnvSpec,
    MultiBinary,
    MultiDiscrete,
    Space,
    Transition,
    Tuple,
)

BOX_TOLERANCE = 1e-5  # of a dimension's range: room for rounding to float32 and for clipping


def vector(size: int) -> Box:
    """The space of observations [size] without bounds."""
    return Box(-math.inf, math.inf, (size,))


def bounds(space: Box) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) of a Box, each float64 in its shape."""

    def full(bound):
        return np.broadcast_to(np.asarray(bound, np.float64), math.prod(space.shape)).reshape(
            space.shape
        )

    return full(space.low), full(space.high)


def transform(space: Space, numeric: Callable, other: Callable, *trees: PyTree) -> PyTree:
    """`numeric(box, *leaves)` for every Box of float numbers, `other(part, *leaves)` for every
    other leaf.
    """
    match space:
        case Dict(parts):
            return {
                name: transform(part, numeric, other, *(tree[name] for tree in trees))
                for name, part in parts
            }
        case Tuple(parts):
            return tuple(
                transform(part, numeric, other, *(tree[i] for tree in trees))
                for i, part in enumerate(parts)
            )
        case Box() if not is_image(space):
            return numeric(space, *trees)
    return other(space, *trees)


def is_image(space: Space) -> bool:
    """Whether values are bytes, which stay bytes until a network's first layer."""
    return isinstance(space, Box) and space.dtype == "uint8"


def is_index(space: Space) -> bool:
    """Whether a value is one whole number from 0."""
    return isinstance(space, Discrete)


def is_box(space: Space) -> bool:
    """Whether values are arrays of bounded or unbounded numbers."""
    return isinstance(space, Box)


def zeros(space: Space, lead: tuple[int, ...] = ()) -> PyTree:
    """Values [*lead, …] that are all 0, with the dtypes that this package uses."""
    match space:
        case Discrete():
            return jnp.zeros(lead, jnp.int32)
        case MultiDiscrete(n):
            return jnp.zeros((*lead, len(n)), jnp.int32)
        case MultiBinary(n):
            return jnp.zeros((*lead, n), jnp.int32)
        case Box():
            return jnp.zeros((*lead, *space.shape), space.dtype)
        case Dict(parts):
            return {name: zeros(part, lead) for name, part in parts}
        case Tuple(parts):
            return tuple(zeros(part, lead) for part in parts)


def size(space: Space) -> int:
    """Length of an encoded value."""
    match space:
        case Discrete(n):
            return n
        case MultiDiscrete(n):
            return sum(n)
        case MultiBinary(n):
            return n
        case Box():
            return math.prod(space.shape)
        case Dict(parts):
            return sum(size(part) for _, part in parts)
        case Tuple(parts):
            return sum(map(size, parts))


def encode(space: Space, x: PyTree) -> Float[Array, "*n F"]:
    """Features of values [*n, …]: one-hot, flattened, bytes scaled to [0, 1], parts joined in
    order.
    """
    match space:
        case Discrete(n):
            return jax.nn.one_hot(x, n)
        case MultiDiscrete(n):
            return jnp.concatenate([jax.nn.one_hot(x[..., i], k) for i, k in enumerate(n)], axis=-1)
        case MultiBinary():
            return jnp.asarray(x, jnp.float32)
        case Box():
            x = jnp.asarray(x, jnp.float32) / 255.0 if is_image(space) else jnp.asarray(x)
            return x.reshape(*x.shape[: x.ndim - len(space.shape)], math.prod(space.shape))
        case Dict(parts):
            return jnp.concatenate([encode(part, x[name]) for name, part in parts], axis=-1)
        case Tuple(parts):
            return jnp.concatenate([encode(part, x[i]) for i, part in enumerate(parts)], axis=-1)


def executed(space: Space, action: PyTree) -> PyTree:
    """Agent units -> the agent-unit action that the environment executes: Box parts clipped to
    [−1, 1].
    """
    return transform(space, lambda box, x: jnp.clip(x, -1.0, 1.0), lambda part, x: x, action)


def to_environment(space: Space, action: PyTree) -> PyTree:
    """Agent units -> environment units, clipped to the box."""

    def scaled(box, x):
        low, high = _bounds_beside(box, x)
        inside = low + (x + 1.0) * (0.5 * (high - low))
        return jnp.clip(inside, low, high)  # the sum may round to just above high

    return transform(space, scaled, lambda part, x: x, executed(space, action))


def _bounds_beside(box: Box, x: Any) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) as float32 with the rank of values [*n, …]."""
    lead = (1,) * (x.ndim - len(box.shape))
    low, high = (bound.astype(np.float32).reshape(*lead, *box.shape) for bound in bounds(box))
    return low, high


def from_environment(space: Space, action: PyTree) -> PyTree:
    """Environment units -> agent units; whole numbers as int32."""

    def scaled(box, x):
        low, high = _bounds_beside(box, x)
        # without width: the middle, 0
        half_width = np.where(high > low, 0.5 * (high - low), np.inf)
        return (jnp.asarray(x, jnp.float32) - low) / half_width - np.where(high > low, 1.0, 0.0)

    return transform(space, scaled, lambda part, x: jnp.asarray(x, jnp.int32), action)


def distribution(space: Space) -> Distribution:
    """The distribution over agent-unit actions of `space`.

    Raises:
        ImitaxError: there is none for actions of this kind yet.
    """
    match space:
        case Discrete():
            return categorical
        case MultiDiscrete(n):
            return independent_categoricals(n)
        case Box() if not is_image(space) and len(space.shape) == 1:
            return diagonal_gaussian
    raise ImitaxError(
        f"Actions of kind {type(space).__name__} have no distribution yet: expected Discrete, "
        "MultiDiscrete or a Box of vectors."
    )


def uniform(space: Space, key: Key[Array, ""], batch: int) -> PyTree:
    """`batch` actions in agent units, each uniform over the space."""
    match space:
        case Discrete(n):
            return jax.random.randint(key, (batch,), 0, n)
        case MultiDiscrete(n):
            return jax.random.randint(key, (batch, len(n)), 0, np.asarray(n)[None])
        case MultiBinary(n):
            return jax.random.randint(key, (batch, n), 0, 2)
        case Box():
            return jax.random.uniform(key, (batch, *space.shape), minval=-1.0, maxval=1.0)
        case Dict(parts):
            keys = jax.random.split(key, len(parts))
            return {
                name: uniform(part, k, batch) for k, (name, part) in zip(keys, parts, strict=True)
            }
        case Tuple(parts):
            keys = jax.random.split(key, len(parts))
            return tuple(uniform(part, k, batch) for k, part in zip(keys, parts, strict=True))


def same_structure(a: Space, b: Space) -> bool:
    """Whether values of both have the same arrays; bounds of Boxes may differ."""

    def unbounded(space):
        match space:
            case Box():
                return Box(-math.inf, math.inf, space.shape, space.dtype)
            case Dict(parts):
                return Dict(tuple((name, unbounded(part)) for name, part in parts))
            case Tuple(parts):
                return Tuple(tuple(map(unbounded, parts)))
        return space

    return unbounded(a) == unbounded(b)


def outside(space: Space, x: np.ndarray) -> Bool[np.ndarray, "N"]:
    """Which of the environment-unit values [N, …] of a space without parts lie outside it."""
    match space:
        case Discrete(n):
            return (x < 0) | (x >= n)
        case MultiDiscrete(n):
            return np.any((x < 0) | (x >= np.asarray(n)), axis=-1)
        case MultiBinary():
            return np.any((x < 0) | (x > 1), axis=-1)
        case Box():
            low, high = bounds(space)
            extent = high - low
            slack = BOX_TOLERANCE * np.where(np.isfinite(extent), extent, 1.0)
            beyond = (x < low - slack) | (x > high + slack)
            return np.any(beyond.reshape(len(x), -1), axis=1)
    raise TypeError(f"{type(space).__name__} has parts.")


def row_form(space: Space) -> str:
    """How N values of a space lie in an array, for messages: "integers [N]", "floats [N, 3]"."""
    match space:
        case Discrete():
            return "integers [N]"
        case MultiDiscrete(n):
            return f"integers [N, {len(n)}]"
        case MultiBinary(n):
            return f"integers [N, {n}]"
        case Box():
            return f"floats [{', '.join(['N', *map(str, space.shape)])}]"
    return f"a {type(space).__name__} of arrays"


def range_text(space: Space) -> str:
    """Where values of a space without parts lie, for messages."""
    match space:
        case Discrete(n):
            return f"0 … {n - 1}"
        case MultiDiscrete(n):
            return f"0 … {brief([k - 1 for k in n])}"
        case MultiBinary():
            return "0 and 1"
        case Box():
            low, high = bounds(space)
            return f"the box {brief(low.tolist())} … {brief(high.tolist())}"
    return f"the {type(space).__name__}"


def describe(space: Space) -> dict[str, Any]:
    """Plain data for JSON; bounds that are infinite are null."""

    def finite(bound):
        if isinstance(bound, tuple):
            return [finite(x) for x in bound]
        return float(bound) if math.isfinite(bound) else None

    kind: dict[str, Any] = {"kind": type(space).__name__}
    match space:
        case Discrete(n) | MultiBinary(n):
            return kind | {"n": n}
        case MultiDiscrete(n):
            return kind | {"n": list(n)}
        case Box():
            limits = {"low": finite(space.low), "high": finite(space.high)}
            return kind | limits | {"shape": list(space.shape), "dtype": space.dtype}
        case Dict(parts):
            return kind | {"parts": {name: describe(part) for name, part in parts}}
        case Tuple(parts):
            return kind | {"parts": [describe(part) for part in parts]}


def blank(spec: EnvSpec, lead: tuple[int, ...]) -> Transition:
    """A transition of zeros [*lead, …] with the shapes of `spec`."""
    obs, numbers, flags = zeros(spec.observation, lead), jnp.zeros(lead), jnp.zeros(lead, bool)
    action, step = zeros(spec.action, lead), jnp.zeros(lead, jnp.int32)
    return Transition(obs, action, obs, numbers, flags, flags, step)


def parse(data: Any) -> Space:
    """The inverse of `describe`, for data from a file.

    Raises:
        ImitaxError: it describes no space, or bounds that enclose nothing.
    """
    match data:
        case {"kind": "Discrete", "n": n}:
            return Discrete(_count(n))
        case {"kind": "MultiBinary", "n": n}:
            return MultiBinary(_count(n))
        case {"kind": "MultiDiscrete", "n": list(n)}:
            return MultiDiscrete(tuple(map(_count, n)))
        case {"kind": "Box", "low": low, "high": high}:
            return _parse_box(low, high, data.get("shape"), data.get("dtype", "float32"))
        case {"kind": "Dict", "parts": dict(parts)}:
            return Dict(tuple((name, parse(part)) for name, part in parts.items()))
        case {"kind": "Tuple", "parts": list(parts)}:
            return Tuple(tuple(map(parse, parts)))
    raise ImitaxError(
        f"found {brief_text(data)} for a space; expected the kind of one and its parts"
    )


def _parse_box(low: Any, high: Any, shape: Any, dtype: Any) -> Box:
    def bound(value, missing) -> Any:
        if isinstance(value, list):
            return tuple(bound(x, missing) for x in value)
        return missing if value is None else float(value)

    sides = bound(low, -math.inf), bound(high, math.inf)
    size = tuple(map(_count, shape)) if isinstance(shape, list) else ()
    if dtype not in ("float32", "uint8"):
        raise ImitaxError(
            f"found {brief_text(dtype)} for the dtype of a Box; expected float32 or uint8"
        )
    box = Box(*sides, size, dtype)
    lengths = {len(side) for side in sides if isinstance(side, tuple)}
    if lengths - {math.prod(box.shape)} or not all((a <= b).all() for a, b in [bounds(box)]):
        raise ImitaxError("found bounds of a Box that enclose nothing or do not fit its shape")
    return box


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ImitaxError(f"found {brief_text(value)} for a size; expected a whole number from 1")
    return value
