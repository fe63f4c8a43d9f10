"""The one writer: every file is put in place whole, by a rename, once its bytes are on the disk.

Whoever reads a file while it is written, or after the process was killed, finds the old one or the
new one. What a killed process leaves behind is hidden and ends in .partial. Never imports JAX.
"""

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imitax.errors import ImitaxError, one_line


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path beside `path`, for a library to write a file or folder to, and moves that to
    `path`.

    If the block raises, or the disk is full (`OSError`), it is removed, and `path` is as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        _flush_tree(partial)
        os.replace(partial, path)
        _flush_folder(path.parent)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


@contextmanager
def creating(path: Path) -> Iterator[Path]:
    """As `replacing`, for a path that a user chose: makes its folder; `ImitaxError` if it
    cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            yield partial
    except OSError as error:
        raise ImitaxError(f"'{path}' cannot be written: {one_line(error)}.") from error


def new_file(path: Path, *suffixes: str) -> Path:
    """`path`; `ImitaxError` if it exists or has none of the suffixes."""
    if path.suffix.lower() not in suffixes:
        expected = " or ".join(suffixes)
        raise ImitaxError(f"File '{path}' has the ending '{path.suffix}': expected {expected}.")
    if os.path.lexists(path):
        raise ImitaxError(f"File '{path}' exists: choose another, nothing was written.")
    return path


def write_whole(path: Path, data: bytes) -> None:
    """Bytes, for instance what the `save` of a library returned."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """UTF-8 text."""
    write_whole(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Indented JSON."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """A compressed .npz archive; equal arrays give equal bytes."""
    # given a name, NumPy would add its suffix
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def finite(data: Any) -> Any:
    """Data for JSON, which knows neither NaN nor infinity: null instead, also within dicts and
    lists.
    """
    if isinstance(data, dict):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _flush_tree(path: Path) -> None:
    """Waits until a file, or every file of a folder, is on the disk, so that no rename outruns its
    data.
    """
    for file in [path] if path.is_file() else filter(Path.is_file, path.rglob("*")):
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def _flush_folder(path: Path) -> None:
    """Waits until a rename in a folder is on the disk, where the system lets folders be opened."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
