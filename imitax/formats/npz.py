"""npz: one array per field of `Demonstrations` that is not None, and `format_version`.

Nothing is unpickled. Files of version 0.1.0 lack next observations and are read as they were.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, brief
from imitax.files.read import read_arrays
from imitax.types import EnvSpec

VERSION = 1
FIELDS = tuple(field.name for field in fields(Demonstrations))
OPTIONAL = ("actions", "last_observations", "stored_steps")


def write(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """A compressed archive; equal content gives equal bytes."""
    content = {name: getattr(demonstrations, name) for name in FIELDS}
    arrays = {name: np.asarray(value) for name, value in content.items() if value is not None}
    with open(path, "wb") as file:  # given a name, NumPy would append its own suffix to ".NPZ"
        np.savez_compressed(file, format_version=np.int64(VERSION), **arrays)


def read(name: str, spec: EnvSpec | None) -> Demonstrations:
    """What `write` wrote, or `ImitaxError`."""
    with open(name, "rb") as file:
        arrays = read_arrays(file)
    if missing := sorted({"format_version", *FIELDS} - {*OPTIONAL, *arrays}):
        raise ImitaxError(
            f"found the keys {brief(sorted(arrays))}; expected {', '.join(missing)} as well."
        )
    if (version := arrays["format_version"]).shape != () or version != VERSION:
        raise ImitaxError(f"found format_version {brief(version)}; expected {VERSION}.")
    env_id = arrays["env_id"]
    if env_id.shape != () or env_id.dtype.kind != "U":
        raise ImitaxError(f"found env_id {brief(env_id)}; expected one text.")
    content: dict[str, Any] = {name: arrays.get(name) for name in FIELDS}
    return Demonstrations(**{**content, "env_id": str(env_id)})
