"""Demonstrations from and to files: npz, the original system's JSON, and Minari.

A format is one reader and one writer. Whatever is wrong with a file ends in one `ImitaxError` that
names the file; a file that is already there is never written over. Nothing is unpickled and no object is
built by name. Observations are float32 in memory, so a file with float64 is rounded on reading.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imitax.checks import MAX_BYTES
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, unknown
from imitax.formats import minari, npz, original_json
from imitax.types import EnvSpec

EXPECTED = "demonstrations (.npz, .json, a Minari folder, or minari:NAMESPACE/NAME-v0)"
READERS = {"npz": npz.read, "json": original_json.read, "minari": minari.read}
WRITERS = {"npz": npz.write, "json": original_json.write, "minari": minari.write}


def load(path: str | os.PathLike[str], spec: EnvSpec | None = None) -> Demonstrations:
    """Reads demonstrations; the format follows from the suffix, the folder, or the prefix `minari:`.

    With `spec` they are checked against that environment as well, and its time limit says which episodes
    of a JSON file terminated.

    Raises:
        ImitaxError: the file is missing, empty, cut off, of another format, or holds what
            `Demonstrations` or `spec` do not allow. No other exception escapes.
    """
    name = os.fspath(path)
    with _blaming(name):
        demonstrations = READERS[_format_to_read(name)](name, spec)
        if spec is not None:
            demonstrations.validate(spec)
    return demonstrations


def save(
    demonstrations: Demonstrations,
    path: str | os.PathLike[str],
    format: str | None = None,
    spec: EnvSpec | None = None,
) -> None:
    """Writes `path` whole or not at all; missing parent folders are made.

    Format: `format` ("npz", "json", "minari"), or by the suffix (.npz, .json, none for a Minari folder).
    With `spec` the demonstrations are checked against it first, and Minari stores its action space.

    Raises:
        ImitaxError: the path exists, its suffix does not go with the format, or it cannot be written.
    """
    path = Path(path)
    write = WRITERS[_format_to_write(path, format)]
    if spec is not None:
        demonstrations.validate(spec)
    if os.path.lexists(path):
        raise ImitaxError(f"'{path}' exists already and is not written over: choose another name.")
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made beside the target, so that the last step is a rename within one file system.
        scratch = Path(tempfile.mkdtemp(prefix=".imitax-", dir=path.parent))
        write(demonstrations, scratch / path.name, spec)
        _to_disk(scratch / path.name)
        os.rename(scratch / path.name, path)
    except (OSError, ImportError) as error:
        raise ImitaxError(f"'{path}' cannot be written: {_one_line(error)}.") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _format_to_read(name: str) -> str:
    if name.startswith(minari.PREFIX):
        return "minari"
    path = Path(name)
    if not path.exists():
        raise ImitaxError(f"there is no such file; expected {EXPECTED}.")
    if path.is_dir():
        return "minari"
    if not path.is_file() or path.stat().st_size == 0:
        raise ImitaxError(f"found an empty or special file; expected {EXPECTED}.")
    if path.stat().st_size > MAX_BYTES:
        raise ImitaxError(f"found {path.stat().st_size} bytes; expected at most {MAX_BYTES}.")
    if (suffix := path.suffix.lower()) not in (".npz", ".json"):
        raise ImitaxError(f"found the suffix '{suffix}'; expected {EXPECTED}.")
    return suffix[1:]


def _format_to_write(path: Path, format: str | None) -> str:
    if str(path).startswith(minari.PREFIX):
        raise ImitaxError(f"'{path}' names a Minari dataset to read; expected a folder to write.")
    by_suffix = {".npz": "npz", ".json": "json", "": "minari"}.get(path.suffix.lower())
    if format is not None and format not in WRITERS:
        raise unknown("format", format, WRITERS)
    if format not in (None, by_suffix) or by_suffix is None:
        wanted = f"the suffix for {format}" if format else "a known suffix"
        raise ImitaxError(f"'{path}' lacks {wanted}; expected .npz, .json, or none for a Minari folder.")
    return by_suffix


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    """Turns every failure to read into an `ImitaxError` that names the file.

    All exceptions are caught: on damaged input zipfile, NumPy, json, h5py and Minari raise a dozen
    types between them, mostly undocumented.
    """
    try:
        yield
    except ImitaxError as error:
        raise ImitaxError(f"In '{name}': {error}") from error
    except ImportError as error:
        raise ImitaxError(f"In '{name}': a package is missing: {_one_line(error)}.") from error
    except Exception as error:
        what = f"{type(error).__name__}: {_one_line(error)}"
        raise ImitaxError(f"In '{name}': found damaged data ({what}); expected {EXPECTED}.") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _to_disk(path: Path) -> None:
    """Waits until a file, or all files of a folder, are on the disk, so that no rename outruns its data."""
    for file in [path] if path.is_file() else filter(Path.is_file, path.rglob("*")):
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())
