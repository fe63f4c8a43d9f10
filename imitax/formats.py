"""Demonstrations from and to files: npz, the original system's JSON, and Minari.

A format is one reader and one writer. Whatever is wrong with a file ends in one `ImitaxError` that
names the file; a file that is already there is never written over. Nothing is unpickled and no object is
built by name. Observations are float32 in memory, so a file with float64 is rounded on reading.
"""

import json
import math
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, unknown
from imitax.types import Box, Discrete, EnvSpec

NPZ_VERSION = 1
MAX_BYTES = 2 << 30  # refuse to read more: demonstrations are small, so such a file is broken or hostile
MAX_DEFLATE = 1100  # zlib compresses by at most 1032:1
MINARI_PREFIX = "minari:"
FIELDS = tuple(field.name for field in fields(Demonstrations))
EXPECTED = "demonstrations (.npz, .json, a Minari folder, or minari:NAMESPACE/NAME-v0)"


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
    if name.startswith(MINARI_PREFIX):
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
    if str(path).startswith(MINARI_PREFIX):
        raise ImitaxError(f"'{path}' names a Minari dataset to read; expected a folder to write.")
    by_suffix = {".npz": "npz", ".json": "json", "": "minari"}.get(path.suffix.lower())
    if format is None and by_suffix is None:
        raise ImitaxError(f"'{path}' has an unknown suffix; expected .npz, .json, or none for a Minari folder.")
    if format is not None and format not in WRITERS:
        raise unknown("format", format, WRITERS)
    if format not in (None, by_suffix) and not (format == "minari" and by_suffix is None):
        raise ImitaxError(f"'{path}' does not fit the format {format}: its suffix says {by_suffix}.")
    return format or by_suffix


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


# npz: one array per field of `Demonstrations`, and `format_version`.


def _write_npz(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    arrays = {name: np.asarray(getattr(demonstrations, name)) for name in FIELDS}
    with open(path, "wb") as file:  # given a name, NumPy would append its own suffix to ".NPZ"
        np.savez_compressed(file, format_version=np.int64(NPZ_VERSION), **arrays)


def _read_npz(name: str, spec: EnvSpec | None) -> Demonstrations:
    with open(name, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ImitaxError("found no zip archive, or one that is cut off; expected the .npz of imitax.")
        with zipfile.ZipFile(file) as archive:
            _check_npz_sizes(archive)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            if missing := sorted({"format_version", *FIELDS} - set(arrays)):
                raise ImitaxError(f"found the keys {sorted(arrays)}; expected {', '.join(missing)} as well.")
            if (version := arrays["format_version"]).shape != () or version != NPZ_VERSION:
                raise ImitaxError(f"found format_version {_brief(version)}; expected {NPZ_VERSION}.")
            content = {name: arrays[name] for name in FIELDS}
    if content["env_id"].shape != () or content["env_id"].dtype.kind != "U":
        raise ImitaxError(f"found env_id {_brief(content['env_id'])}; expected one text.")
    return Demonstrations(**{**content, "env_id": str(content["env_id"])})


def _check_npz_sizes(archive: zipfile.ZipFile) -> None:
    """Refuses arrays whose headers claim what the archive cannot hold, before anything is allocated."""
    total = 0
    for info in archive.infolist():
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            if version != (1, 0):  # what NumPy writes for plain arrays; later ones allow huge headers
                raise ImitaxError(f"found {info.filename} in npy version {version}; expected (1, 0).")
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.hasobject:
            raise ImitaxError(f"found pickled objects in {info.filename}, which are not read; expected numbers.")
        claimed = math.prod(shape) * dtype.itemsize
        total += claimed
        room = min(info.file_size, MAX_DEFLATE * (info.compress_size + 1))
        if claimed > room or total > MAX_BYTES:
            raise ImitaxError(
                f"found a header of {info.filename} that claims {claimed} bytes; expected at most "
                f"{min(room, MAX_BYTES)}."
            )


# JSON of the original system: flat lists `state`, `action`, `done` over all steps of all trajectories, where
# each state and action is {"__ndarray__": data, "dtype": name, "shape": sizes}. That system read it with a
# library that can be told by the file to build arbitrary objects; here it is plain data.


def _write_json(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """Adds one key that the original reader ignores, `imitax`, with what the format has no place for."""
    size = demonstrations.observations.shape[1]
    if demonstrations.actions.ndim == 1:
        kind = {"dtype": "int64", "shape": []}
    else:
        kind = {"dtype": "float32", "shape": [demonstrations.actions.shape[1]]}
    done = np.zeros(demonstrations.pairs, bool)
    done[demonstrations.starts + demonstrations.lengths - 1] = True
    content = {
        "state": [
            {"__ndarray__": row, "dtype": "float64", "shape": [size]}
            for row in demonstrations.observations.astype(np.float64).tolist()
        ],
        "action": [{"__ndarray__": value, **kind} for value in demonstrations.actions.tolist()],
        "done": done.tolist(),
        "imitax": {
            "episode_steps": demonstrations.episode_steps.tolist(),
            "terminated": demonstrations.terminated.tolist(),
            "returns": [None if math.isnan(value) else value for value in demonstrations.returns.tolist()],
            "env_id": demonstrations.env_id,
        },
    }
    path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _read_json(name: str, spec: EnvSpec | None) -> Demonstrations:
    """Without the key `imitax`, an episode terminated if it is shorter than the limit of `spec`, or always."""
    content = json.loads(Path(name).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ImitaxError(f"found a JSON {type(content).__name__}; expected an object with state, action and done.")
    for key in ("state", "action", "done"):
        if not isinstance(content.get(key), list) or not content[key]:
            raise ImitaxError(f"found {key} = {_brief(content.get(key))}; expected a list with one entry per step.")
    state, action, done = (content[key] for key in ("state", "action", "done"))
    if not len(state) == len(action) == len(done):
        raise ImitaxError(
            f"found {len(state)} states, {len(action)} actions and {len(done)} done flags; expected as many of each."
        )
    for index, value in enumerate(done):
        if not isinstance(value, bool):
            raise ImitaxError(f"found done[{index}] = {_brief(value)}; expected true or false.")
    if not done[-1]:
        raise ImitaxError("found no true at the end of done; expected it on the last step of each trajectory.")
    lengths = np.diff(np.flatnonzero(done), prepend=-1)
    episode = {
        "episode_steps": lengths,
        "terminated": np.ones(len(lengths), bool) if spec is None else lengths < spec.time_limit,
        "returns": np.full(len(lengths), np.nan),
        "env_id": "",
    }
    if "imitax" in content:
        episode = _json_extras(content["imitax"], episode)
    return Demonstrations(_json_rows("state", state), _json_rows("action", action), lengths, **episode)


def _json_rows(key: str, entries: list[Any]) -> np.ndarray:
    """Float64 [N, size], or int64 [N] where the entries are single integers."""
    whole = key == "action" and isinstance(entries[0], dict) and entries[0].get("shape") == []
    size = entries[0]["shape"][0] if not whole and _is_json_vector(entries[0]) else None
    for index, entry in enumerate(entries):
        if whole:
            fits = (
                isinstance(entry, dict)
                and type(entry.get("__ndarray__")) is int
                and entry.get("shape") == []
                and str(entry.get("dtype")).startswith(("int", "uint"))
            )
        else:
            fits = _is_json_vector(entry) and entry["shape"] == [size]
        if not fits:
            vector = {"__ndarray__": "floats", "dtype": "float64", "shape": ["size" if size is None else size]}
            wanted = {"__ndarray__": "integer", "dtype": "int64", "shape": []} if whole else vector
            raise ImitaxError(f"found {key}[{index}] = {_brief(entry)}; expected {json.dumps(wanted)} in every entry.")
    return np.array([entry["__ndarray__"] for entry in entries], np.int64 if whole else np.float64)


def _is_json_vector(entry: Any) -> bool:
    data = entry.get("__ndarray__") if isinstance(entry, dict) else None
    return (
        isinstance(data, list)
        and len(data) > 0
        and all(type(number) in (int, float) for number in data)
        and entry.get("shape") == [len(data)]
        and entry.get("dtype") in ("float16", "float32", "float64")
    )


def _json_extras(extras: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(extras, dict) or set(extras) != set(defaults) or not isinstance(extras["returns"], list):
        raise ImitaxError(f"found imitax = {_brief(extras)}; expected an object with {', '.join(defaults)}.")
    return {**extras, "returns": [math.nan if value is None else value for value in extras["returns"]]}


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
