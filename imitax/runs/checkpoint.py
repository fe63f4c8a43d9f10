"""Checkpoints: all that training depends on, one file each, written whole or not at all.

A file is in safetensors format; its metadata hold the number of finished iterations and a SHA-256
of that number and of every tensor, so that a damaged file is known from a whole one. Nothing in it
can run code.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from imitax.errors import ImitaxError, one_line
from imitax.files.read import read_tensors
from imitax.files.write import write_whole

KEPT = 3  # of the newest; the best one is kept besides
BEST = "best.safetensors"
_NAME = re.compile(r"iteration-(\d{8})\.safetensors")
_MAX_BYTES = 1 << 34  # of one file


class Checkpoint(NamedTuple):
    """What a file holds."""

    iteration: int  # finished ones
    tensors: dict[str, np.ndarray]


def save(folder: Path, iteration: int, tensors: dict[str, np.ndarray], best: bool) -> None:
    """Write a checkpoint (and the same as the best one if it is) and drop all but the newest.

    Raises:
        ImitaxError: it cannot be written; those from before are untouched.
    """
    try:
        folder.mkdir(exist_ok=True)
        if best:
            _write(folder / BEST, iteration, tensors)
        _write(folder / f"iteration-{iteration:08d}.safetensors", iteration, tensors)
        for path in files(folder)[:-KEPT]:
            path.unlink(missing_ok=True)
        for path in folder.glob("*.partial"):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise ImitaxError(
            f"Checkpoint of iteration {iteration} cannot be written to '{folder}': "
            f"{error.strerror or error}; earlier ones are untouched."
        ) from error


def files(folder: Path) -> list[Path]:
    """Checkpoints by iteration, the newest last, without the best one."""
    return sorted(
        path for path in folder.glob("iteration-*.safetensors") if _NAME.fullmatch(path.name)
    )


def newest(folder: Path, tell: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that is whole, None without any; `tell` gets a sentence for each
    damaged one.
    """
    for path in reversed(files(folder)):
        try:
            return load(path)
        except ImitaxError as error:
            tell(f"{error} The one before it is used.")
    return None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; `ImitaxError` if it is missing or not whole."""
    try:
        tensors, metadata = read_tensors(path, _MAX_BYTES)
        iteration = int(metadata["iteration"])
        if metadata["sha256"] != _digest(iteration, tensors):
            raise ValueError("its checksum is another")
    except FileNotFoundError as error:
        raise ImitaxError(f"Checkpoint '{path}' is missing.") from error
    except Exception as error:
        raise ImitaxError(f"Checkpoint '{path}' is damaged ({one_line(error)}).") from error
    return Checkpoint(iteration, tensors)


def _write(path: Path, iteration: int, tensors: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save as to_bytes

    whole = {
        name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()
    }
    metadata = {"iteration": str(iteration), "sha256": _digest(iteration, whole)}
    write_whole(path, to_bytes(whole, metadata))


def _digest(iteration: int, tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(str(iteration).encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
