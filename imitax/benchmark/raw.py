"""Raw results: a JSON line for each finished cell and seed.

Every line is flushed to disk as it is written, so an interrupted benchmark loses no finished
result.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from imitax.errors import ImitaxError, brief, brief_text, one_line
from imitax.files.read import check_file, is_number, parse_json
from imitax.files.write import finite

Line = dict[str, Any]
Results = dict[str, dict[int, Line]]  # name of the cell -> seed -> line

_KINDS: dict[str, type | tuple[type, ...]] = {
    "cell": str,
    "seed": int,
    "time_limit": int,
    "settings": dict,
    "demonstrations": (dict, type(None)),
    "deterministic": list,
    "sampled": list,
    "curve": list,
    "env_steps": int,
    "seconds": (int, float),
    "versions": dict,
}


def read(path: Path) -> Results:
    """All lines of a file, none if it does not exist; removes an incomplete last line.

    Raises:
        ImitaxError: a line (named in the message) is malformed, or repeats a cell and seed.
    """
    results: Results = {}
    if not path.exists():
        return results
    try:
        check_file(path)
        complete, newline, partial = path.read_bytes().rpartition(b"\n")
    except (OSError, ValueError) as error:
        raise ImitaxError(f"File '{path}' cannot be read: {one_line(error)}.") from error
    if partial:
        os.truncate(path, len(complete) + len(newline))
    for number, text in enumerate(complete.split(b"\n") if newline else [], start=1):
        line = _check(text, f"File '{path}', line {number}")
        if line["seed"] in results.setdefault(line["cell"], {}):
            raise ImitaxError(
                f"File '{path}', line {number}: cell '{line['cell']}' with seed {line['seed']} "
                "occurs twice, expected once."
            )
        results[line["cell"]][line["seed"]] = line
    return results


def append(path: Path, lines: Iterable[Line]) -> None:
    """Append lines and flush them to disk."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def plain(values) -> list:
    """Numbers as short JSON: integers where they are, two decimals, null for NaN."""
    rounded = finite([round(float(value), 2) for value in values])
    return [int(x) if x is not None and x == int(x) else x for x in rounded]


def _check(text: bytes, where: str) -> Line:
    excerpt = brief_text(text[:400].decode(errors="replace"))
    try:
        line = parse_json(text)
    except ValueError as error:
        raise ImitaxError(f"{where}: expected a JSON object, found '{excerpt}'.") from error
    if not isinstance(line, dict):
        raise ImitaxError(f"{where}: expected a JSON object, found '{excerpt}'.")
    for name, kind in _KINDS.items():
        if name not in line:
            raise ImitaxError(f"{where}: has no '{name}', expected a line of raw results.")
        odd = isinstance(line[name], int | float) and not is_number(line[name])
        if not isinstance(line[name], kind) or odd:
            raise ImitaxError(
                f"{where}: '{name}' is {brief(line[name])}, expected {_expected(kind)}."
            )
    for name in ("deterministic", "sampled"):
        if not all(map(is_number, line[name])):
            raise ImitaxError(f"{where}: '{name}' must hold only numbers.")
    if not all(x is None or is_number(x) for x in line["curve"]):
        raise ImitaxError(f"{where}: 'curve' must hold only numbers and null.")
    if not line["deterministic"] and not line["sampled"]:
        raise ImitaxError(f"{where}: holds no returns.")
    return line


def _expected(kind) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
