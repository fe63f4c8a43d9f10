"""npz: one array per field of `Demonstrations`, and `format_version`. Nothing is unpickled."""

import math
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from imitax.checks import MAX_BYTES, brief
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.types import EnvSpec

VERSION = 1
MAX_DEFLATE = 1100  # zlib compresses by at most 1032:1
FIELDS = tuple(field.name for field in fields(Demonstrations))


def write(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """A compressed archive; equal content gives equal bytes."""
    arrays = {name: np.asarray(getattr(demonstrations, name)) for name in FIELDS}
    with open(path, "wb") as file:  # given a name, NumPy would append its own suffix to ".NPZ"
        np.savez_compressed(file, format_version=np.int64(VERSION), **arrays)


def read(name: str, spec: EnvSpec | None) -> Demonstrations:
    """What `write` wrote, or `ImitaxError`."""
    with open(name, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ImitaxError("found no zip archive, or one that is cut off; expected the .npz of imitax.")
        with zipfile.ZipFile(file) as archive:
            _check_sizes(archive)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            if missing := sorted({"format_version", *FIELDS} - set(arrays)):
                raise ImitaxError(f"found the keys {sorted(arrays)}; expected {', '.join(missing)} as well.")
            if (version := arrays["format_version"]).shape != () or version != VERSION:
                raise ImitaxError(f"found format_version {brief(version)}; expected {VERSION}.")
            content = {name: arrays[name] for name in FIELDS}
    if content["env_id"].shape != () or content["env_id"].dtype.kind != "U":
        raise ImitaxError(f"found env_id {brief(content['env_id'])}; expected one text.")
    return Demonstrations(**{**content, "env_id": str(content["env_id"])})


def _check_sizes(archive: zipfile.ZipFile) -> None:
    """Refuses arrays whose headers claim what the archive cannot hold, before anything is allocated."""
    total = 0
    for info in archive.infolist():
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            if version != (1, 0):  # what NumPy writes for plain arrays; later ones allow huge headers
                raise ImitaxError(f"found {info.filename} in npy version {version}; expected (1, 0).")
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.hasobject:
            raise ImitaxError(f"found pickled objects in {info.filename}; expected plain numbers.")
        claimed = math.prod(shape) * dtype.itemsize
        total += claimed
        room = min(info.file_size, MAX_DEFLATE * (info.compress_size + 1))
        if claimed > room or total > MAX_BYTES:
            most = min(room, MAX_BYTES)
            raise ImitaxError(f"found {claimed} bytes claimed by {info.filename}; expected at most {most}.")
