"""npz: one array per field of `Demonstrations`, and `format_version`. Nothing is unpickled."""

from dataclasses import fields
from pathlib import Path

import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, brief
from imitax.files.read import read_arrays
from imitax.types import EnvSpec

VERSION = 1
FIELDS = tuple(field.name for field in fields(Demonstrations))


def write(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """A compressed archive; equal content gives equal bytes."""
    arrays = {name: np.asarray(getattr(demonstrations, name)) for name in FIELDS}
    with open(path, "wb") as file:  # given a name, NumPy would append its own suffix to ".NPZ"
        np.savez_compressed(file, format_version=np.int64(VERSION), **arrays)


def read(name: str, spec: EnvSpec | None) -> Demonstrations:
    """What `write` wrote, or `ImitaxError`."""
    with open(name, "rb") as file:
        arrays = read_arrays(file)
    if missing := sorted({"format_version", *FIELDS} - set(arrays)):
        raise ImitaxError(f"found the keys {brief(sorted(arrays))}; expected {', '.join(missing)} as well.")
    if (version := arrays["format_version"]).shape != () or version != VERSION:
        raise ImitaxError(f"found format_version {brief(version)}; expected {VERSION}.")
    content = {name: arrays[name] for name in FIELDS}
    if content["env_id"].shape != () or content["env_id"].dtype.kind != "U":
        raise ImitaxError(f"found env_id {brief(content['env_id'])}; expected one text.")
    return Demonstrations(**{**content, "env_id": str(content["env_id"])})
