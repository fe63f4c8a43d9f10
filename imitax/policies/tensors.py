"""Pytrees of arrays as named tensors, and back."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from imitax.errors import ImitaxError


def to_tensors(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Every array of `tree` by its path: "network.weights.0" -> array, each with `prefix` before
    it.
    """
    return {prefix + name: np.asarray(leaf) for name, leaf in _named_leaves(tree)}


def from_tensors(like: Any, tensors: dict[str, np.ndarray], path: Path, prefix: str = "") -> Any:
    """The inverse of `to_tensors` for a tree like `like`.

    Raises:
        ImitaxError: a tensor is missing or has another shape or kind; `path` is the file to blame.
    """
    leaves = []
    for name, leaf in _named_leaves(like):
        found = tensors.get(prefix + name)
        wanted = np.shape(leaf), np.dtype(leaf.dtype).kind
        if found is None or (found.shape, found.dtype.kind) != wanted:
            has = "nothing" if found is None else f"shape {found.shape} ({found.dtype.name})"
            raise ImitaxError(
                f"File '{path}' has {has} for '{prefix}{name}': expected shape {leaf.shape} "
                f"({leaf.dtype.name})."
            )
        leaves.append(found if isinstance(leaf, np.ndarray) else jnp.asarray(found))
    arrays, rest = eqx.partition(like, eqx.is_array)
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), leaves), rest)


def _named_leaves(tree: Any) -> list[tuple[str, Any]]:
    flat, _ = jax.tree_util.tree_flatten_with_path(eqx.filter(tree, eqx.is_array))
    return [(jax.tree_util.keystr(path, simple=True, separator="."), leaf) for path, leaf in flat]
