"""Lanes: the seeds of one or several configurations, trained side by side by one program.

Configurations that differ in numbers alone share a program, which takes those numbers as arguments
[S].
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from imitax.training.config import RunConfig


class Lanes(NamedTuple):
    """S seeds and their settings."""

    structure: Any  # of the settings: everything in them that is not a number; hashable
    leaves: list[Float[Array, "S"]]  # the numbers
    keys: Key[Array, "S"]
    seeds: list[int]  # the number of each seed


def lanes_of(configs: Sequence[RunConfig]) -> Lanes:
    """The lanes of configurations with the same `structure`."""
    structure = structure_of(configs[0])
    rows = [jax.tree.leaves(_learning(config)) for config in configs for _ in range(config.seeds)]
    seeds = [config.seed + i for config in configs for i in range(config.seeds)]
    leaves = [jnp.asarray(column, jnp.float32) for column in np.array(rows, np.float32).T]
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    return Lanes(structure, leaves, keys, seeds)


def over_lanes(function: Callable, in_axes: tuple[int | None, ...]) -> Callable:
    """`jax.vmap(function, in_axes)`; on a CPU one lane after the other.

    What a lane becomes then does not depend, to the bit, on how many there are; the cost stands in
    benchmarks/README.md.
    """
    if jax.default_backend() != "cpu":
        return jax.vmap(function, in_axes)

    @wraps(function)
    def mapped(*arguments):
        def one(rows):
            rows = iter(rows)
            pairs = zip(arguments, in_axes, strict=True)
            return function(*(x if axis is None else next(rows) for x, axis in pairs))

        return jax.lax.map(
            one, [x for x, axis in zip(arguments, in_axes, strict=True) if axis is not None]
        )

    return mapped


def structure_of(config: RunConfig) -> Any:
    """What of a method's settings is compiled in; the loop's lengths are not."""
    return jax.tree.structure(_learning(config))


def shared_by(config: RunConfig) -> Any:
    """What configurations must share to be trained side by side: everything but numbers and how
    many seeds.
    """
    others = [f.name for f in dataclasses.fields(config) if f.name not in ("settings", "seeds")]
    return *(getattr(config, name) for name in others), jax.tree.structure(config.settings)


def rows_of(configs: Sequence[RunConfig]) -> list[slice]:
    """The lanes of each configuration."""
    ends = np.cumsum([config.seeds for config in configs]).tolist()
    return [slice(end - config.seeds, end) for end, config in zip(ends, configs, strict=True)]


def _learning(config: RunConfig) -> dict[str, Any]:
    groups = ("agent", "reward") if "loop" in config.settings else (config.method,)
    return {name: config.settings[name] for name in groups}
