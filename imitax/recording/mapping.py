"""Mapping files (TOML) from keys and axes to actions, and the default mappings."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from imitax.core.spaces import bounds, is_box, is_index, size
from imitax.errors import ImitaxError, brief, one_line, unknown
from imitax.files.read import is_number, parse_toml, read_text
from imitax.recording.keys import (
    ARROWS,
    AXES,
    CONTROLS,
    DIGITS,
    NAMES,
    Action,
    Axis,
    Binding,
    KeyMap,
    rest_of,
    show,
)
from imitax.recording.session import PACES
from imitax.types import Box, Discrete, EnvSpec

_SPARE_KEYS = [
    name for name in NAMES if name not in DIGITS and name not in ARROWS and "button" not in name
]
_MAX_BYTES = 1 << 20  # of a mapping file
_KEY_PAIRS = (("left", "right"), ("down", "up"), ("a", "d"), ("s", "w"), ("j", "l"), ("k", "i"))
_FAMILIES = {"FrozenLake8x8": "FrozenLake", "CliffWalkingSlippery": "CliffWalking"}


def load_mapping(path: Path, space: Discrete | Box) -> KeyMap:
    """The mapping in a file, for actions in `space`; `ImitaxError` names file and invalid key."""
    try:
        content = parse_toml(read_text(path, _MAX_BYTES))
    except OSError as error:
        raise ImitaxError(f"Mapping file '{path}' cannot be read: {error.strerror}.") from error
    except ImitaxError as error:
        raise ImitaxError(f"Mapping file '{path}' cannot be read: {error}.") from error
    except ValueError as error:  # not UTF-8, or not TOML
        raise ImitaxError(f"Mapping file '{path}' is not TOML: {one_line(error)}.") from error
    try:
        return parse_mapping(content, space)
    except ImitaxError as error:
        raise ImitaxError(f"In '{path}': {error}") from error


def default_mapping(spec: EnvSpec) -> KeyMap:
    """The mapping in defaults.toml for an environment of any version, or else a generic one."""
    defaults = parse_toml(
        files("imitax.recording").joinpath("defaults.toml").read_text(encoding="utf-8")
    )
    family = spec.id.rpartition("-v")[0]
    family = _FAMILIES.get(family, family)
    if family in defaults:
        return parse_mapping(defaults[family], spec.action)
    if is_index(spec.action):
        return _generic_discrete(spec)
    return _generic_box(spec)


def parse_mapping(content: dict[str, Any], space: Discrete | Box) -> KeyMap:
    """The mapping in the content of a TOML file; `ImitaxError` names the invalid key."""
    tables = ("idle", "fps", "keys", "axes")
    for key in content:
        if key not in tables:
            raise unknown("key", key, tables)
    for key in ("keys", "axes"):
        if not isinstance(content.get(key, {}), dict):
            raise ImitaxError(f"key '{key}' is {brief(content[key])}: expected a table.")
    bindings = tuple(
        _binding(name, value, space) for name, value in content.get("keys", {}).items()
    )
    axes = tuple(_axis(name, value, space) for name, value in content.get("axes", {}).items())
    if not bindings and not axes:
        expected = "[keys]" if is_index(space) else "[keys] or [axes]"
        raise ImitaxError(f"key 'keys' is missing or empty: expected actions under {expected}.")
    for table, targets, name in (
        ("keys", [frozenset(binding.keys) for binding in bindings], "the same keys"),
        ("axes", [axis.dimension for axis in axes], "the same dimension"),
    ):
        if len(set(targets)) < len(targets):
            raise ImitaxError(f"key '{table}' has two entries for {name}: expected one.")
    idle = None if "idle" not in content else _action("idle", content["idle"], space)
    return KeyMap(space, bindings, axes, idle, _fps(content.get("fps")))


def to_toml(keymap: KeyMap, title: str) -> str:
    """`keymap` as a mapping file, the inverse of `load_mapping`."""
    lines = [f"# {title}"]
    if keymap.idle is None:
        lines.append("# No idle action: while no key is held, the environment waits.")
    else:
        lines.append(f"idle = {_toml(keymap.idle)}")
    if keymap.fps is not None:
        lines.append(f"fps = {keymap.fps}")
    lines += ["", "[keys]"] if keymap.bindings else []
    for binding in keymap.bindings:
        name = binding.name if binding.name.replace("-", "").isalnum() else json.dumps(binding.name)
        label = json.dumps(binding.label, ensure_ascii=False)
        lines.append(f"{name} = {{ action = {_toml(binding.action)}, label = {label} }}")
    lines += ["", "[axes]"] if keymap.axes else []
    for axis in keymap.axes:
        ends = f"low = {axis.low}, high = {axis.high}"
        lines.append(f"{axis.name} = {{ dimension = {axis.dimension}, {ends} }}")
    return "\n".join(lines)


def check_fps(what: str, value: Any) -> float:
    """`value` as steps per second, or `ImitaxError`."""
    if not is_number(value) or not PACES[0] <= value <= PACES[-1]:
        raise ImitaxError(
            f"{what} is {brief(value)}: expected steps per second, {PACES[0]} … {PACES[-1]}."
        )
    return float(value)


def _fps(value: Any) -> float | None:
    return None if value is None else check_fps("key 'fps'", value)


def _binding(name: str, value: Any, space: Discrete | Box) -> Binding:
    keys = tuple(name.lower().split("+")) if name != "+" else ("+",)
    for key in keys:
        if key in CONTROLS:
            raise ImitaxError(
                f"key '{name}' is reserved: {key} means {CONTROLS[key]} in every environment."
            )
        if key not in NAMES:
            raise unknown("key", key, NAMES)
    if len(keys) > 1 and is_box(space):
        raise ImitaxError(
            f"key '{name}' combines keys: expected single ones, since keys of Box actions add up."
        )
    if not isinstance(value, dict):
        value = {"action": value}
    _check_fields(name, value, "action", "label")
    action = _action(name, value["action"], space)
    label = value.get(
        "label", f"action {show(action)}" if isinstance(action, int) else show(action)
    )
    if not isinstance(label, str) or not label.strip() or not label.isprintable():
        raise ImitaxError(f"key '{name}' has the label {brief(label)}: expected a short text.")
    return Binding(keys, action, label)


def _axis(name: str, value: Any, space: Discrete | Box) -> Axis:
    if is_index(space):
        raise ImitaxError(
            f"key 'axes' has {name}, but the actions are Discrete: expected only [keys]."
        )
    if name not in AXES:
        raise unknown("axis", name, AXES)
    if not isinstance(value, dict):
        raise ImitaxError(f"key '{name}' is {brief(value)}: expected {{ dimension = 0 }}.")
    _check_fields(name, value, "dimension", "low", "high")
    dimension = value["dimension"]
    if type(dimension) is not int or not 0 <= dimension < size(space):
        raise ImitaxError(
            f"key '{name}' has the dimension {brief(dimension)}: expected 0 … {size(space) - 1}."
        )
    low, high = (float(bound[dimension]) for bound in bounds(space))
    ends = [value.get("low", low), value.get("high", high)]
    for end in ends:
        if not is_number(end) or not low <= end <= high:
            raise ImitaxError(f"key '{name}' extends to {brief(end)}: expected {low:g} … {high:g}.")
    return Axis(name, dimension, *map(float, ends))


def _check_fields(name: str, value: dict, required: str, *optional: str) -> None:
    if required not in value or not set(value) <= {required, *optional}:
        extra = " and ".join(optional)
        raise ImitaxError(
            f"key '{name}' is {brief(value)}: expected {required} and, optionally, {extra}."
        )


def _action(name: str, value: Any, space: Discrete | Box) -> Action:
    if is_index(space):
        if type(value) is not int or not 0 <= value < size(space):
            raise ImitaxError(
                f"key '{name}' is {brief(value)}: expected an action, 0 … {size(space) - 1}."
            )
        return value
    numbers = value if isinstance(value, list) else [value]
    low, high = (tuple(bound.tolist()) for bound in bounds(space))
    fits = len(numbers) == size(space) and all(map(is_number, numbers))
    if not fits or not all(map(lambda low, x, high: low <= x <= high, low, numbers, high)):
        box = f"{show(low)} … {show(high)}"
        raise ImitaxError(
            f"key '{name}' is {brief(value)}: expected {size(space)} number(s) within {box}."
        )
    return tuple(map(float, numbers))


def _toml(action: Action) -> str:
    return str(action) if isinstance(action, int) else str(list(action))


def _generic_discrete(spec: EnvSpec) -> KeyMap:
    """Digits, then letters; no idle action, since none is sure to do nothing."""
    names = [*DIGITS, *_SPARE_KEYS]
    count = size(spec.action)
    if count > len(names):
        raise ImitaxError(
            f"Environment '{spec.id}' has {count} actions, more than there are keys: expected a "
            "mapping for the ones that matter (--keys FILE.toml)."
        )
    bindings = (
        Binding((name,), action, f"action {action}") for action, name in enumerate(names[:count])
    )
    return KeyMap(spec.action, tuple(bindings))


def _generic_box(spec: EnvSpec) -> KeyMap:
    """A pair of keys and a gamepad axis per dimension; idle is the action nearest to zero."""
    space = spec.action
    low, high = (bound.tolist() for bound in bounds(space))
    if len(low) > len(_KEY_PAIRS):
        raise ImitaxError(
            f"Actions of '{spec.id}' have {len(low)} dimensions, more than the {len(_KEY_PAIRS)} "
            "with default keys: expected a mapping (--keys FILE.toml)."
        )
    rest, bindings, axes = rest_of(space), [], []
    for dimension, pair in zip(range(len(low)), _KEY_PAIRS, strict=False):
        for key, end in zip(pair, (low[dimension], high[dimension]), strict=True):
            action = (*rest[:dimension], end, *rest[dimension + 1 :])
            bindings.append(Binding((key,), action, f"{end:g}" if len(low) == 1 else show(action)))
        ends = (low[dimension], high[dimension])
        # The vertical axis of a stick points downwards.
        axes.append(
            Axis(f"gamepad-{dimension}", dimension, *(ends[::-1] if dimension % 2 else ends))
        )
    return KeyMap(space, tuple(bindings), tuple(axes), rest)
