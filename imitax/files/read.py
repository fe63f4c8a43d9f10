"""Reading files from outside: nothing in them runs, and their size is checked before memory is
allocated.

On damaged input the functions raise whatever the libraries raise, dozens of types between them;
callers catch all of it and name the file in one `ImitaxError`. `read_json` does so itself.
"""

import json
import math
import stat
import tomllib
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from imitax.errors import ImitaxError, one_line
from imitax.files.arrays import MAX_BYTES

MAX_TEXT = 256 << 20  # of JSON and TOML, which take up to some twenty times their size in memory
MAX_DEFLATE = 1100  # zlib compresses by at most 1032:1
# of a number in JSON: a larger one is a damaged exponent, and overflows when squared
LARGEST = 1e300

_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other methods compress without a bound


def check_file(path: Path, max_bytes: int = MAX_BYTES) -> None:
    """`OSError` if there is no such file; `ImitaxError` if it is a folder, a pipe or too large."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ImitaxError("found a folder or a special file; expected a regular one")
    if status.st_size > max_bytes:
        raise ImitaxError(f"found {status.st_size} bytes; expected at most {max_bytes}")


def read_text(path: Path, max_bytes: int = MAX_TEXT) -> str:
    """UTF-8 text of a regular file of at most `max_bytes`."""
    check_file(path, max_bytes)
    return path.read_text(encoding="utf-8")


def parse_json(text: str | bytes) -> Any:
    """Plain JSON data; `ValueError` for anything else, also if it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_json(path: Path) -> Any:
    """JSON data; `ImitaxError` if the file cannot be read."""
    try:
        return parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise ImitaxError(f"File '{path}' cannot be read as JSON: {one_line(error)}.") from error


def parse_toml(text: str) -> dict[str, Any]:
    """Plain TOML data; `ValueError` for anything else, also if it is nested too deeply."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def is_number(value: Any) -> bool:
    """Whether a value from JSON is a number to calculate with: no boolean, NaN or infinity."""
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST


def read_arrays(file: IO[bytes]) -> dict[str, np.ndarray]:
    """All arrays of an npz archive, in memory; names of members are used as keys, never as
    paths.
    """
    if not zipfile.is_zipfile(file):
        raise ImitaxError(
            "found no zip archive, or one that is cut off; expected the .npz of imitax."
        )
    with zipfile.ZipFile(file) as archive:
        _check_claims(archive)
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _check_claims(archive: zipfile.ZipFile) -> None:
    """Refuses arrays whose headers claim what the archive cannot hold, before anything is
    allocated.
    """
    total = 0
    for info in archive.infolist():
        if info.compress_type not in _BOUNDED:
            raise ImitaxError(
                f"found {info.filename!r:.80} compressed by method {info.compress_type}; expected "
                "deflate."
            )
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            # what NumPy writes for plain arrays; later ones allow huge headers
            if version != (1, 0):
                raise ImitaxError(
                    f"found {info.filename!r:.80} in npy version {version}; expected (1, 0)."
                )
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.hasobject:
            raise ImitaxError(f"found pickled objects in {info.filename}; expected plain numbers.")
        claimed = math.prod(shape) * dtype.itemsize
        total += claimed
        room = min(info.file_size, MAX_DEFLATE * (info.compress_size + 1))
        if claimed > room or total > MAX_BYTES:
            limit = min(room, MAX_BYTES)
            raise ImitaxError(
                f"found {claimed} bytes claimed by {info.filename}; expected at most {limit}."
            )


def read_tensors(
    path: Path, max_bytes: int = MAX_BYTES
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file; the library checks its header against the file's
    size.
    """
    from safetensors import safe_open

    check_file(path, max_bytes)
    with safe_open(path, "numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
