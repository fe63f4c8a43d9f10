"""What a run is made of, as data: defaults, presets and `key=value` overrides by one mechanism."""

import dataclasses
import tomllib
import typing
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from imitax.errors import ImitaxError, unknown
from imitax.methods.registry import default_settings, find_method


@dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run but the demonstrations themselves."""

    method: str
    env: str
    backend: str = "auto"
    time_limit: int | None = None  # steps; None: the environment's own
    agent: str = "ppo"
    seed: int = 0  # of the first of the seeds
    seeds: int = 1  # trained side by side
    trajectories: int | None = None  # demonstrated trajectories used; None: all
    subsample: int = 1  # every how many pairs of each are kept
    preset: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)  # group -> dataclass of the method

    def as_dict(self) -> dict:
        """Plain data for JSON."""
        return dataclasses.asdict(self)


def preset_names() -> list[str]:
    """Presets that ship with the package, without the defaults that always apply."""
    files = resources.files("imitax.presets").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml") and f.name[0] != "_")


def make_config(
    method: str, env: str, *, agent: str | None = None, preset: str | None = None, overrides=None, **fields
) -> RunConfig:
    """Defaults, then tuned values for the environment, then the preset, then `overrides`.

    `overrides` maps keys such as "agent.learning_rate" to values or their text.
    """
    find_method(method)
    rules = _rules("_environments", method, env)
    if preset is not None:
        if preset not in preset_names():
            raise unknown("preset", preset, preset_names())
        rules += _rules(preset, method, env)
    chosen = agent or next((rule["agent"] for rule in reversed(rules) if "agent" in rule), "ppo")
    settings = default_settings(method, chosen)
    for rule in rules:
        of_agent = rule.get("agent", chosen) == chosen
        for key, value in rule["set"].items():
            if of_agent or not key.startswith("agent."):  # one agent's tuned values are not another's
                settings = override(settings, key, value)
    for key, value in (overrides or {}).items():
        settings = override(settings, key, value)
    return RunConfig(method, env, agent=chosen, preset=preset, settings=settings, **fields)


def _rules(preset: str, method: str, env: str) -> list[dict]:
    text = resources.files("imitax.presets").joinpath(f"{preset}.toml").read_text()
    return [
        rule
        for rule in tomllib.loads(text)["rule"]
        if method in rule["methods"] and env in rule.get("envs", [env])
    ]


def override(settings: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Settings with one value replaced; `ImitaxError` for an unknown key or a value of the wrong type."""
    group, _, name = key.partition(".")
    known = {f"{g}.{f.name}": f for g, config in settings.items() for f in dataclasses.fields(config)}
    if key not in known:
        raise unknown("setting", key, known)
    kind = typing.get_type_hints(type(settings[group]))[name]
    converted = _convert(key, value, kind)
    return settings | {group: dataclasses.replace(settings[group], **{name: converted})}


def _convert(key: str, value: Any, kind: Any) -> Any:
    words = {"true": True, "false": False}
    try:
        if kind is bool:
            return words[value.lower()] if isinstance(value, str) else bool(value)
        if typing.get_origin(kind) is tuple:
            parts = value.replace("(", "").replace(")", "").split(",") if isinstance(value, str) else value
            return tuple(int(part) for part in parts if str(part).strip())
        if kind is int and isinstance(value, float) and value != int(value):
            raise ValueError
        return kind(value)
    except (ValueError, TypeError, KeyError) as error:
        expected = getattr(kind, "__name__", "whole numbers with commas")
        raise ImitaxError(f"Setting '{key}' is '{value}': expected {expected}.") from error


def parse_assignments(assignments: list[str] | tuple[str, ...]) -> dict[str, str]:
    """["a.b=1"] -> {"a.b": "1"}."""
    result = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ImitaxError(f"Setting '{text}' has no '=': expected key=value.")
        result[key.strip()] = value.strip()
    return result


def config_from_dict(data: dict) -> RunConfig:
    """The inverse of `RunConfig.as_dict`; unknown keys are errors."""
    names = {f.name for f in dataclasses.fields(RunConfig)}
    if extra := sorted(set(data) - names):
        raise unknown("configuration key", extra[0], names)
    settings = default_settings(data["method"], data["agent"])
    for group, values in data["settings"].items():
        for name, value in values.items():
            settings = override(settings, f"{group}.{name}", value)
    return RunConfig(**{**data, "settings": settings})
