"""What a run is made of, as data: defaults, presets and `key=value` overrides by one mechanism."""

import dataclasses
import itertools
import tomllib
import typing
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from imitax.core.settings import check_range, check_ranges, describe
from imitax.errors import ImitaxError, brief, brief_text, unknown
from imitax.methods.registry import Settings, default_settings, find_agent, find_method
from imitax.training.old_settings import RENAMED, translated

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
    subsample: int = 1  # every n-th pair of each is kept
    preset: str | None = None
    init: str | None = (
        None  # where the policy starts: "bc", a clone of the demonstrations; None: at random
    )
    settings: Settings = field(default_factory=dict)

    @property
    def iteration_steps(self) -> int | None:
        """Environment steps of an iteration, for each seed; None for methods without the loop."""
        return self.settings["loop"].env_steps if "loop" in self.settings else None

    @property
    def waiting_iterations(self) -> int:
        """Iterations of the loop before the first step of the policy."""
        loop = self.settings["loop"]
        return loop.pretrain + (loop.warm_up if self.init else 0)

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
    method: str,
    env: str,
    *,
    agent: str | None = None,
    preset: str | None = None,
    overrides=None,
    **fields,
) -> RunConfig:
    """Defaults, then tuned values for the environment, then the preset, then `overrides`.

    `overrides` maps keys such as "agent.learning_rate" to values or their text; other `fields` are
    those of `RunConfig`.
    """
    find_method(method)
    rules = _rules("_environments", method, env)
    if preset is not None:
        if preset not in preset_names():
            raise unknown("preset", preset, preset_names())
        published = _rules(preset, method, env)
        if not published:
            raise ImitaxError(
                f"Preset '{preset}' has no settings for method '{method}': leave it out."
            )
        rules += published
    chosen = agent or next((rule["agent"] for rule in reversed(rules) if "agent" in rule), "ppo")
    find_agent(chosen)
    init = check_init(fields.get("init"))
    settings = default_settings(method, chosen, init)
    values = {}
    for rule in rules:
        of_agent = rule.get("agent", chosen) == chosen
        for key, value in rule["set"].items():
            # one agent's tuned values are not another's
            if of_agent or not key.startswith("agent."):
                values[key] = value
    for rule in _rules("_environments", init, env) if init and "loop" in settings else ():
        values |= rule["set"]
    for key, value in (values | (overrides or {})).items():
        settings = override(settings, key, value)
    if init and "loop" in settings and "bc.hidden" not in (overrides or {}):
        settings = override(settings, "bc.hidden", settings["agent"].hidden)
    return RunConfig(method, env, agent=chosen, preset=preset, settings=settings, **fields)


def check_init(init: str | None) -> str | None:
    """`init`, where the policy starts; `ImitaxError` if there is no such start."""
    if init not in (None, "bc"):
        raise unknown("value of option init", str(init), ["bc"])
    return init


def make_configs(method: str, env: str, *, overrides=None, **options) -> dict[str, RunConfig]:
    """`make_config` for every combination of values where overrides give several of a number:
    "1e-3,3e-3".

    The keys name what differs, "agent.learning_rate=1e-3"; "" where nothing does. The
    configurations differ in numbers alone, so one program trains them side by side.
    """
    kinds = setting_kinds(make_config(method, env, **options).settings)
    choices: dict[str, list[str]] = {}
    for key, value in (overrides or {}).items():
        if kinds.get(key) is float and isinstance(value, str) and "," in value:
            choices[key] = value.split(",")
    configs = {}
    for values in itertools.product(*choices.values()):
        chosen = dict(zip(choices, (value.strip() for value in values), strict=True))
        name = ",".join(f"{key}={value}" for key, value in chosen.items())
        configs[name] = make_config(method, env, overrides=(overrides or {}) | chosen, **options)
    return configs


def _rules(preset: str, method: str, env: str) -> list[dict]:
    text = resources.files("imitax.presets").joinpath(f"{preset}.toml").read_text()
    return [
        rule
        for rule in tomllib.loads(text)["rule"]
        if method in rule["methods"] and env in rule.get("envs", [env])
    ]


def setting_kinds(settings: Settings) -> dict[str, Any]:
    """Key -> type of every setting."""
    return {
        f"{group}.{name}": kind
        for group, values in settings.items()
        for name, kind in typing.get_type_hints(type(values)).items()
    }


def override(settings: Settings, key: str, value: Any) -> Settings:
    """Settings with one value replaced; `ImitaxError` for an unknown key or a value of the wrong
    type.
    """
    kinds = setting_kinds(settings)
    if key not in kinds:
        if (new := RENAMED.get(key)) in kinds:
            raise ImitaxError(
                f"Setting '{key}' is called '{new}' since version 0.2: see `imitax methods`."
            )
        raise unknown("setting", key, kinds)
    group, _, name = key.partition(".")
    converted = _convert(key, value, kinds[key])
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
            parts = (
                value.replace("(", "").replace(")", "").split(",")
                if isinstance(value, str)
                else value
            )
            return tuple(int(part) for part in parts if str(part).strip())
        if kind is int and isinstance(value, float) and value != int(value):
            raise ValueError
        return kind(value)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        expected = _KINDS.get(kind, "whole numbers with commas")
        raise ImitaxError(
            f"Setting '{key}' is '{brief_text(value)}': expected {expected}."
        ) from error


def check_config(config: RunConfig) -> None:
    """`ImitaxError` if a number lies outside its range."""
    for name in ("seeds", "subsample", "trajectories", "time_limit"):
        if getattr(config, name) is not None:
            check_range(f"Option {name}", getattr(config, name), 1)
    check_seed(config.seed, config.seeds)
    check_init(config.init)
    for group, values in config.settings.items():
        check_ranges(group, values)
    loop, agent, clone = map(config.settings.get, ("loop", "agent", "bc"))
    if config.init and agent is not None and clone is not None and clone.hidden != agent.hidden:
        raise ImitaxError(
            f"Setting 'bc.hidden' is {clone.hidden}, but the policy that starts from the clone has "
            f"{agent.hidden} (agent.hidden): expected the same."
        )
    for name in ("minibatches", "value_minibatches"):
        if loop is not None and getattr(agent, name, 0) > loop.env_steps:
            raise ImitaxError(
                f"Setting 'agent.{name}' is {getattr(agent, name)}: expected at most the "
                f"{loop.env_steps} steps of an iteration."
            )


def check_seed(seed: int, seeds: int = 1) -> None:
    """`ImitaxError` unless `seed` and the `seeds` - 1 after it are ones that every generator
    takes.
    """
    check_range("Option seed", seed, 0, _SEED_LIMIT - seeds + 1)


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
    """name -> default and meaning of every field."""
    return {
        f.name: {"default": f.default, "meaning": describe(f).meaning}
        for f in dataclasses.fields(config)
    }


def config_from_dict(data: Any) -> RunConfig:
    """The inverse of `RunConfig.as_dict`, also for version 0.1.0; unknown keys are errors."""
    names = {f.name for f in dataclasses.fields(RunConfig)}
    try:
        if extra := sorted(set(data) - names):
            raise unknown("configuration key", extra[0], names)
        _check_kinds(data)
        init = check_init(data.get("init"))
        settings = default_settings(data["method"], data["agent"], init)
        groups = translated(data["settings"])
        if init and "bc" not in groups:  # of version 0.1.0, with the defaults of its cloning
            epochs = make_config("bc", data["env"]).settings["bc"].epochs
            hidden = groups.get("agent", {}).get("hidden", settings["agent"].hidden)
            groups |= translated({"bc": {"epochs": epochs, "hidden": hidden}})
        if decay := groups.get("agent", {}).get("decay_iterations"):
            raise ImitaxError(
                "The run was made by version 0.1.0 with "
                f"agent.decay_iterations={brief_text(decay)}, which is not the run's length, and "
                "this version cannot express that: read it with version 0.1.0."
            )
        values = {f"{group}.{name}": x for group, own in groups.items() for name, x in own.items()}
        for key, value in values.items():
            settings = override(settings, key, value)
        config = RunConfig(**{**data, "settings": settings})
    except (KeyError, TypeError, AttributeError) as error:
        raise ImitaxError(f"The configuration is damaged: {brief(error)}.") from error
    check_config(config)
    return config


def _check_kinds(data: dict) -> None:
    """That the fields but the settings, which `override` converts, are of the kinds of
    `RunConfig`.
    """
    for name, kind in typing.get_type_hints(RunConfig).items():
        if name in data and name != "settings":
            value = data[name]
            odd = not isinstance(value, kind) or isinstance(value, bool)
            if odd or (isinstance(value, str) and not value.isprintable()):
                raise ImitaxError(f"The configuration is damaged: '{name}' is {brief(value)}.")
