"""Demonstrations from and to files: npz, the original system's JSON, and Minari.

A format is one reader and one writer. Whatever is wrong with a file ends in one `ImitaxError` that
names the file; a file that is already there is never written over, and only `append` adds to one.
Nothing is unpickled and no object is built by name. Observations are float32 in memory, so a file
with float64 is rounded on reading.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, one_line, unknown
from imitax.files.arrays import MAX_BYTES
from imitax.files.read import MAX_TEXT
from imitax.files.write import creating
from imitax.formats import minari, npz, original_json
from imitax.types import EnvSpec

EXPECTED = "demonstrations (.npz, .json, a Minari folder, or minari:NAMESPACE/NAME-v0)"
READERS = {"npz": npz.read, "json": original_json.read, "minari": minari.read}
WRITERS = {"npz": npz.write, "json": original_json.write, "minari": minari.write}


def load(path: str | os.PathLike[str], spec: EnvSpec | None = None) -> Demonstrations:
    """Reads demonstrations; the format follows from the suffix, the folder, or the prefix
    `minari:`.

    With `spec` they are checked against that environment as well, and its time limit says which
    episodes of a JSON file terminated.

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

    Format: `format` ("npz", "json", "minari"), or by the suffix (.npz, .json, none for a Minari
    folder). With `spec` the demonstrations are checked against it first, and Minari stores its
    action space.

    Raises:
        ImitaxError: the path exists, its suffix does not go with the format, or it cannot be
            written.
    """
    path = Path(path)
    write = WRITERS[_format_to_write(path, format)]
    if spec is not None:
        demonstrations.validate(spec)
    if os.path.lexists(path):
        raise ImitaxError(f"'{path}' exists already and is not written over: choose another name.")
    with _creating(path) as partial:
        write(demonstrations, partial, spec)


def append(
    demonstrations: Demonstrations, path: str | os.PathLike[str], spec: EnvSpec
) -> Demonstrations:
    """Adds episodes to the npz file `path`, or makes it; returns all that it now holds.

    When this returns, the episodes are on the disk; when it does not, the file is as it was. Two
    processes that add to one file at a time both succeed (where the system can lock a folder).

    Raises:
        ImitaxError: not a .npz file, one that is damaged or not of the environment `spec`, or it
            cannot be written.
    """
    path = Path(os.path.realpath(path))  # a link stays a link
    with _only_writer(path.parent):
        before = load_to_append(path, spec)
        demonstrations.validate(spec)
        whole = Demonstrations.concatenate(
            [demonstrations] if before is None else [before, demonstrations]
        )
        with _creating(path) as partial:
            npz.write(whole, partial, spec)
            if before is not None:
                shutil.copymode(path, partial)
    return whole


def load_to_append(path: str | os.PathLike[str], spec: EnvSpec) -> Demonstrations | None:
    """What the npz file `path` holds, after checking that episodes of `spec` may be added; None:
    no file.

    Raises:
        ImitaxError: as `append`.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise ImitaxError(f"'{path}' has the suffix '{path.suffix}'; expected .npz.")
    if not path.exists():
        return None
    found = load(path, spec)
    if found.env_id not in ("", spec.id):
        raise ImitaxError(
            f"In '{path}': found demonstrations of {found.env_id}; expected {spec.id}."
        )
    return found


@contextmanager
def _creating(path: Path) -> Iterator[Path]:
    """`creating`, where the writer's package may be missing as well."""
    try:
        with creating(path) as partial:
            yield partial
    except ImportError as error:
        raise ImitaxError(f"'{path}' cannot be written: {one_line(error)}.") from error


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Waits until no other process adds to a file of `folder`. The lock ends with the process,
    however.
    """
    try:
        import fcntl

        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except ImportError:  # no such locks on this system
        yield
        return
    except OSError as error:
        raise ImitaxError(f"'{folder}' cannot be written to: {one_line(error)}.") from error
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _format_to_read(name: str) -> str:
    if name.startswith(minari.PREFIX):
        return "minari"
    path = Path(name)
    if not path.exists():
        raise ImitaxError(f"no such file (supported: {EXPECTED}).")
    if path.is_dir():
        return "minari"
    if not path.is_file() or path.stat().st_size == 0:
        raise ImitaxError(f"found an empty or special file; expected {EXPECTED}.")
    if (suffix := path.suffix.lower()) not in (".npz", ".json"):
        raise ImitaxError(f"found the suffix '{suffix}'; expected {EXPECTED}.")
    most = MAX_TEXT if suffix == ".json" else MAX_BYTES
    if (size := path.stat().st_size) > most:
        raise ImitaxError(f"found {size} bytes; expected at most {most}.")
    return suffix[1:]


def _format_to_write(path: Path, format: str | None) -> str:
    if str(path).startswith(minari.PREFIX):
        raise ImitaxError(f"'{path}' names a Minari dataset to read; expected a folder to write.")
    by_suffix = {".npz": "npz", ".json": "json", "": "minari"}.get(path.suffix.lower())
    if format is not None and format not in WRITERS:
        raise unknown("format", format, WRITERS)
    if format not in (None, by_suffix) or by_suffix is None:
        wanted = f"the suffix for {format}" if format else "a known suffix"
        raise ImitaxError(
            f"'{path}' lacks {wanted}; expected .npz, .json, or none for a Minari folder."
        )
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
        raise ImitaxError(f"In '{name}': a package is missing: {one_line(error)}.") from error
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(error)}"
        raise ImitaxError(
            f"In '{name}': found damaged data ({what}); expected {EXPECTED}."
        ) from error
