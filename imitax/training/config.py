"""What a run is made of, as data: defaults, presets and `key=value` overrides by one mechanism."""

import dataclasses
import inspect
import math
import re
import tomllib
import typing
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from imitax.errors import ImitaxError, brief_text, unknown
from imitax.files.arrays import brief
from imitax.files.read import is_number
from imitax.methods.registry import default_settings, find_agent, find_method

# Least and greatest values of settings where they are not those of their kind: whole numbers count from 1,
# other numbers are finite and not negative.
_RANGES = {
    "loop.pretrain": (0, math.inf),
    "loop.warm_up": (0, math.inf),
    "agent.decay_iterations": (0, math.inf),
    "bc.patience": (0, math.inf),
    "reward.batch_size": (-1, math.inf),
    "reward.label_smoothing": (0.0, 1.0),
    "reward.step": (0.0, 1.0),
    "agent.discount": (0.0, 1.0),
    "agent.trace": (0.0, 1.0),
    "bc.train_fraction": (0.0, 1.0),
    "mce_irl.discount": (0.0, math.nextafter(1.0, 0.0)),
}
_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}
_SEED_LIMIT = 2**31 - 1


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
    init: str | None = None  # where the policy starts: "bc", a clone of the demonstrations; None: at random
    settings: dict[str, Any] = field(default_factory=dict)  # group -> dataclass of the method

    @property
    def iteration_steps(self) -> int | None:
        """Environment steps of an iteration, for each seed; None for cloning."""
        return self.settings["loop"].steps if "loop" in self.settings else None

    def as_dict(self) -> dict:
        """Plain data for JSON."""
        return dataclasses.asdict(self)


def preset_names() -> list[str]:
    """Presets that ship with the package, without the defaults that always apply."""
    files = resources.files("imitax.presets").iterdir()
    return sorted(
        f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml") and f.name[0] != "_"
    )


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
        published = _rules(preset, method, env)
        if not published:
            raise ImitaxError(f"Preset '{preset}' has no settings for method '{method}': leave it out.")
        rules += published
    chosen = agent or next((rule["agent"] for rule in reversed(rules) if "agent" in rule), "ppo")
    find_agent(chosen)
    settings = default_settings(method, chosen)
    for rule in rules:
        of_agent = rule.get("agent", chosen) == chosen
        for key, value in rule["set"].items():
            if of_agent or not key.startswith("agent."):  # one agent's tuned values are not another's
                settings = override(settings, key, value)
    for key, value in (overrides or {}).items():
        settings = override(settings, key, value)
    if getattr(settings.get("agent"), "decay_iterations", 0) == -1:
        settings = override(settings, "agent.decay_iterations", settings["loop"].iterations)
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


def config_value(config: RunConfig, key: str) -> Any:
    """The value of a setting such as "loop.iterations"."""
    group, _, name = key.partition(".")
    return getattr(config.settings[group], name)


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
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        expected = _KINDS.get(kind, "whole numbers with commas")
        raise ImitaxError(f"Setting '{key}' is '{brief_text(value)}': expected {expected}.") from error


def check_config(config: RunConfig) -> None:
    """`ImitaxError` if a number lies outside its range."""
    for name in ("seeds", "subsample", "trajectories", "time_limit"):
        if getattr(config, name) is not None:
            _check_range(f"Option {name}", getattr(config, name), 1)
    check_seed(config.seed, config.seeds)
    if config.init not in (None, "bc"):
        raise unknown("start (option init)", str(config.init), ["bc"])
    for group, values in config.settings.items():
        for field_ in dataclasses.fields(values):
            key, value = f"{group}.{field_.name}", getattr(values, field_.name)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float) and not isinstance(number, bool):
                    default = (1 if isinstance(number, int) else 0.0, math.inf)
                    _check_range(f"Setting '{key}'", number, *_RANGES.get(key, default))
    loop, agent = config.settings.get("loop"), config.settings.get("agent")
    for name in ("minibatches", "value_minibatches"):
        if loop is not None and getattr(agent, name, 0) > loop.steps:
            raise ImitaxError(
                f"Setting 'agent.{name}' is {getattr(agent, name)}: expected at most the {loop.steps} "
                "steps of an iteration."
            )


def check_seed(seed: int, seeds: int = 1) -> None:
    """`ImitaxError` unless `seed` and the `seeds` - 1 after it are ones that every generator takes."""
    _check_range("Option seed", seed, 0, _SEED_LIMIT - seeds + 1)


def _check_range(what: str, value: float, least: float, greatest: float = math.inf) -> None:
    if not (is_number(value) and least <= value <= greatest):
        upper = "" if greatest == math.inf else f" and at most {greatest}"
        expected = f"at least {least}{upper}" if is_number(value) else "a finite number"
        raise ImitaxError(f"{what} is {brief_text(value)}: expected {expected}.")


def parse_assignments(assignments: list[str] | tuple[str, ...]) -> dict[str, str]:
    """["a.b=1"] -> {"a.b": "1"}."""
    result = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals:
            raise ImitaxError(f"Setting '{text}' has no '=': expected key=value.")
        result[key.strip()] = value.strip()
    return result


def describe_settings(config: type) -> dict[str, dict[str, Any]]:
    """name -> default and meaning of every field; the meaning is the comment beside it in the source."""
    comments = dict(re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(config), re.MULTILINE))
    return {
        f.name: {"default": f.default, "meaning": comments.get(f.name, "")}
        for f in dataclasses.fields(config)
    }


def config_from_dict(data: Any) -> RunConfig:
    """The inverse of `RunConfig.as_dict`; unknown keys are errors."""
    names = {f.name for f in dataclasses.fields(RunConfig)}
    try:
        if extra := sorted(set(data) - names):
            raise unknown("configuration key", extra[0], names)
        _check_kinds(data)
        settings = default_settings(data["method"], data["agent"])
        for group, values in data["settings"].items():
            for name, value in values.items():
                settings = override(settings, f"{group}.{name}", value)
        config = RunConfig(**{**data, "settings": settings})
    except (KeyError, TypeError, AttributeError) as error:
        raise ImitaxError(f"The configuration is damaged: {brief(error)}.") from error
    check_config(config)
    return config


def _check_kinds(data: dict) -> None:
    """That the fields but the settings, which `override` converts, are of the kinds of `RunConfig`."""
    for name, kind in typing.get_type_hints(RunConfig).items():
        if name in data and name != "settings":
            value = data[name]
            odd = not isinstance(value, kind) or isinstance(value, bool)
            if odd or (isinstance(value, str) and not value.isprintable()):
                raise ImitaxError(f"The configuration is damaged: '{name}' is {brief(value)}.")
