"""The schema of a run folder: its files, and the fields of its JSON. Never imports JAX."""

from pathlib import Path
from typing import Any

from imitax.errors import ImitaxError, brief
from imitax.files.read import is_number, read_json
from imitax.training.old_settings import translated

_CONFIG = {
    **{f"run.{name}": str for name in ("method", "env", "agent")},
    **{f"run.{name}": int for name in ("seed", "seeds")},
    "run.settings": dict,
}
_ESTIMATE = {
    **{"mean": float, "interquartile_mean": float, "episodes": int},
    **{"interval": list, "seed_means": list},
}
_SUMMARY = {
    "seconds": float,
    "env_steps_per_seed": int,
    "random.mean": float,
    "random.interval": list,
    **{
        f"{kind}.{key}": of
        for kind in ("deterministic", "sampled")
        for key, of in _ESTIMATE.items()
    },
}
_OPTIONAL = {  # may be null or absent, but not of another type
    **{"demonstrations": dict, "versions": dict},
    **{"expert.mean": float, "expert.interval": list, "expert.episodes": int},
}
_TYPES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    dict: "an object",
    list: "a list of numbers",
}


def check_parts(path: Path, parts: tuple[str, ...]) -> None:
    """`ImitaxError` unless the run folder `path` exists and holds the files `parts`."""
    if not path.is_dir():
        raise ImitaxError(f"Run folder '{path}' does not exist.")
    for name in parts:
        if not (path / name).is_file():
            raise ImitaxError(
                f"Run folder '{path}' is incomplete: {name} is missing (training did not finish?)."
            )


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a run, with the present names of settings; `ImitaxError` names the field
    that is missing or of another type.
    """
    config = _checked(path, _CONFIG)
    for group, values in config["run"]["settings"].items():
        if not isinstance(values, dict):
            raise ImitaxError(
                f"File '{path}' is not of a run: the settings {brief(group)} are {brief(values)}, "
                "expected an object."
            )
    config["run"]["settings"] = translated(config["run"]["settings"])
    return config


def read_summary(path: Path, seeds: int) -> dict[str, Any]:
    """summary.json of a run with `seeds` seeds; `ImitaxError` as `read_config`."""
    summary = _checked(path, _SUMMARY)
    for kind in ("deterministic", "sampled", "random", "expert"):
        estimate = summary.get(kind) or {"interval": (0, 0)}
        means = estimate["seed_means"] if kind in ("deterministic", "sampled") else range(seeds)
        if len(means) != seeds or len(estimate["interval"]) != 2:
            raise ImitaxError(
                f"File '{path}' has a malformed estimate '{kind}': expected an interval of two "
                f"numbers, and the means of {seeds} seed(s)."
            )
    return summary


def _checked(path: Path, kinds: dict[str, type]) -> dict[str, Any]:
    """JSON data whose values at the dotted keys of `kinds` and, if present, `_OPTIONAL` have these
    types.
    """
    data = read_json(path)
    for key, kind in [*kinds.items(), *_OPTIONAL.items()]:
        value: Any = data
        if key in _OPTIONAL and data.get(key.split(".")[0]) is None:
            continue
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if not _fits(value, kind):
            raise ImitaxError(
                f"File '{path}' is not of a run: '{key}' is {brief(value)}, expected "
                f"{_TYPES[kind]}."
            )
    return data


def _fits(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(map(is_number, value))
    if kind in (int, float):
        return is_number(value) and isinstance(value, (int, kind))
    return isinstance(value, kind)
