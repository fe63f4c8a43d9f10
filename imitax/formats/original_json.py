"""JSON of the original system, as plain data.

Flat lists `state`, `action`, `done` over all steps of all trajectories, where each state and
action is {"__ndarray__": data, "dtype": name, "shape": sizes}. That system read it with a library
that can be told by the file to build arbitrary objects.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, brief
from imitax.files.read import MAX_TEXT, parse_json, read_text
from imitax.formats import extras
from imitax.types import EnvSpec

FLOATS = ("float64", "float32", "float16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")


def write(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """Adds one key that the original reader ignores, `imitax`, with what the format has no place
    for.
    """
    size = demonstrations.observations.shape[1]
    actions = demonstrations.require_actions("The JSON format")
    if actions.ndim == 1:
        kind = {"dtype": "int64", "shape": []}
    else:
        kind = {"dtype": "float32", "shape": [actions.shape[1]]}
    done = np.zeros(demonstrations.pairs, bool)
    done[demonstrations.starts + demonstrations.lengths - 1] = True
    content = {
        "state": [
            {"__ndarray__": row, "dtype": "float64", "shape": [size]}
            for row in demonstrations.observations.astype(np.float64).tolist()
        ],
        "action": [{"__ndarray__": value, **kind} for value in actions.tolist()],
        "done": done.tolist(),
        "imitax": {
            "episode_steps": demonstrations.episode_steps.tolist(),
            "terminated": demonstrations.terminated.tolist(),
            "returns": [
                None if math.isnan(value) else value for value in demonstrations.returns.tolist()
            ],
            "env_id": demonstrations.env_id,
            **extras.to_json(demonstrations),
        },
    }
    text = json.dumps(content, allow_nan=False)
    if len(text) > MAX_TEXT:
        raise ImitaxError(
            f"These demonstrations take {len(text)} bytes as JSON, which is read up to "
            f"{MAX_TEXT}: use .npz."
        )
    path.write_text(text, encoding="utf-8")


def read(name: str, spec: EnvSpec | None) -> Demonstrations:
    """Without the key `imitax`, episodes shorter than the limit of `spec` terminated; without
    `spec`, all.
    """
    content = parse_json(read_text(Path(name)))
    if not isinstance(content, dict):
        raise ImitaxError(
            f"found {brief(content)}; expected an object with state, action and done."
        )
    for key in ("state", "action", "done"):
        if key not in content:
            raise ImitaxError(f"found the keys {brief(sorted(content))}; expected {key} as well.")
        if not isinstance(content[key], list) or not content[key]:
            raise ImitaxError(
                f"found {key} = {brief(content[key])}; expected a list, one entry per step."
            )
    state, action, done = (content[key] for key in ("state", "action", "done"))
    if not len(state) == len(action) == len(done):
        found = f"{len(state)} states, {len(action)} actions and {len(done)} done flags"
        raise ImitaxError(f"found {found}; expected as many of each.")
    for index, value in enumerate(done):
        if not isinstance(value, bool):
            raise ImitaxError(f"found done[{index}] = {brief(value)}; expected true or false.")
    if not done[-1]:
        raise ImitaxError(
            "found false at the end of done; expected true on each trajectory's last step."
        )
    observations, actions = _rows("state", state), _rows("action", action)
    lengths = np.diff(np.flatnonzero(done), prepend=-1)
    episode = {
        "episode_steps": lengths,
        "terminated": np.ones(len(lengths), bool) if spec is None else lengths < spec.time_limit,
        "returns": np.full(len(lengths), np.nan),
        "env_id": "",
    }
    if "imitax" in content:
        episode = _extras(content["imitax"], episode, observations.shape[1])
    return Demonstrations(observations, actions, lengths, **episode)


def _rows(key: str, entries: list[Any]) -> np.ndarray:
    """Float64 [N, size], or int64 [N] where actions are single integers."""
    single = key == "action" and isinstance(entries[0], dict) and entries[0].get("shape") == []
    dtypes, types = (INTEGERS, (int,)) if single else (FLOATS, (int, float))
    rows = []
    for index, entry in enumerate(entries):
        parts = entry if isinstance(entry, dict) else {}
        data = parts.get("__ndarray__")
        row = data if isinstance(data, list) else [data]
        size = len(rows[0] if rows else row)
        shape = [] if single else [size]
        fits = len(row) == size and parts.get("shape") == shape and parts.get("dtype") in dtypes
        if (
            not fits
            or isinstance(data, list) == single
            or any(type(number) not in types for number in row)
        ):
            kind = "an integer" if single else "floats"
            what = f"{kind}, a dtype like {dtypes[0]}, and the shape {shape}"
            raise ImitaxError(f"found {key}[{index}] = {brief(entry)}; expected {what}.")
        rows.append(row)
    array = np.array(rows, np.int64 if single else np.float64)
    return array[:, 0] if single else array


def _extras(content: Any, defaults: dict[str, Any], size: int) -> dict[str, Any]:
    fits = isinstance(content, dict) and set(content) - set(extras.KEYS) == set(defaults)
    if not fits or not isinstance(content["returns"], list):
        raise ImitaxError(
            f"found imitax = {brief(content)}; expected lists of {', '.join(defaults)}."
        )
    returns = [math.nan if value is None else value for value in content["returns"]]
    arrays = {key: np.asarray(content[key]) for key in ("episode_steps", "terminated")}
    following = extras.from_json(content, size)
    return {**arrays, "returns": np.asarray(returns), "env_id": content["env_id"], **following}
