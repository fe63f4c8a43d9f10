"""JSON files that say what is wrong with them. Never imports JAX."""

import json
import os
from pathlib import Path
from typing import Any

from imitax.errors import ImitaxError
from imitax.files.read import one_line, parse_json, read_text


def read_json(path: Path) -> Any:
    """JSON data; `ImitaxError` if the file cannot be read."""
    try:
        return parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise ImitaxError(f"File '{path}' cannot be read as JSON: {one_line(error)}.") from error


def write_json(path: Path, data: Any) -> None:
    """Indented JSON, written whole or not at all."""
    write_whole(path, (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode())


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in place by a rename, once its bytes are on the disk."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def check_parts(path: Path, parts: tuple[str, ...]) -> None:
    """`ImitaxError` unless the run folder `path` exists and holds the files `parts`."""
    if not path.is_dir():
        raise ImitaxError(f"Run folder '{path}' does not exist.")
    for name in parts:
        if not (path / name).is_file():
            raise ImitaxError(
                f"Run folder '{path}' is incomplete: {name} is missing (training did not finish?)."
            )
