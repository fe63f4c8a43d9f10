"""Mapping files: TOML that says which keys and axes mean which actions, and the mappings that come along."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

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

_SPARE = [name for name in NAMES if name not in DIGITS and name not in ARROWS and "button" not in name]
_MOST_BYTES = 1 << 20
_PAIRS = (("left", "right"), ("down", "up"), ("a", "d"), ("s", "w"), ("j", "l"), ("k", "i"))
_ALIKE = {"FrozenLake8x8": "FrozenLake", "CliffWalkingSlippery": "CliffWalking"}


def load_mapping(path: Path, space: Discrete | Box) -> KeyMap:
    """A mapping file for actions in `space`; `ImitaxError` names the file and the key that is wrong."""
    try:
        content = parse_toml(read_text(path, _MOST_BYTES))
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
    """The mapping that comes along for an environment, whatever its version, or a generic one."""
    known = parse_toml(files("imitax.recording").joinpath("defaults.toml").read_text(encoding="utf-8"))
    family = spec.id.rpartition("-v")[0]
    family = _ALIKE.get(family, family)
    if family in known:
        return parse_mapping(known[family], spec.action_space)
    if isinstance(spec.action_space, Discrete):
        return _generic_discrete(spec)
    return _generic_box(spec)


def parse_mapping(content: dict[str, Any], space: Discrete | Box) -> KeyMap:
    """A mapping from what a TOML file holds; `ImitaxError` names the key that is wrong."""
    tables = ("idle", "fps", "keys", "axes")
    for key in content:
        if key not in tables:
            raise unknown("key", key, tables)
    for key in ("keys", "axes"):
        if not isinstance(content.get(key, {}), dict):
            raise ImitaxError(f"key '{key}' is {brief(content[key])}: expected a table.")
    bindings = tuple(_binding(name, value, space) for name, value in content.get("keys", {}).items())
    axes = tuple(_axis(name, value, space) for name, value in content.get("axes", {}).items())
    if not bindings and not axes:
        expected = "[keys]" if isinstance(space, Discrete) else "[keys] or [axes]"
        raise ImitaxError(f"key 'keys' is missing or empty: expected actions under {expected}.")
    for names, key in (
        ([frozenset(b.keys) for b in bindings], "keys"),
        ([a.dimension for a in axes], "axes"),
    ):
        if len(set(names)) < len(names):
            what = "the same keys" if key == "keys" else "the same dimension"
            raise ImitaxError(f"key '{key}' has two entries for {what}: expected one.")
    idle = None if "idle" not in content else _action("idle", content["idle"], space)
    return KeyMap(space, bindings, axes, idle, _fps(content.get("fps")))


def to_toml(keymap: KeyMap, title: str) -> str:
    """The mapping file that `keymap` could have been read from."""
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
        raise ImitaxError(f"{what} is {brief(value)}: expected steps per second, {PACES[0]} … {PACES[-1]}.")
    return float(value)


def _fps(value: Any) -> float | None:
    return None if value is None else check_fps("key 'fps'", value)


def _binding(name: str, value: Any, space: Discrete | Box) -> Binding:
    keys = tuple(name.lower().split("+")) if name != "+" else ("+",)
    for key in keys:
        if key in CONTROLS:
            raise ImitaxError(f"key '{name}' is taken: {key} means {CONTROLS[key]} in every environment.")
        if key not in NAMES:
            raise unknown("key", key, NAMES)
    if len(keys) > 1 and isinstance(space, Box):
        raise ImitaxError(f"key '{name}' joins keys: expected single ones, those of Box actions add up.")
    if not isinstance(value, dict):
        value = {"action": value}
    _fields(name, value, "action", "label")
    action = _action(name, value["action"], space)
    label = value.get("label", f"action {show(action)}" if isinstance(action, int) else show(action))
    if not isinstance(label, str) or not label.strip() or not label.isprintable():
        raise ImitaxError(f"key '{name}' has the label {brief(label)}: expected a short text.")
    return Binding(keys, action, label)


def _axis(name: str, value: Any, space: Discrete | Box) -> Axis:
    if isinstance(space, Discrete):
        raise ImitaxError(f"key 'axes' has {name}, but the actions are Discrete: expected only [keys].")
    if name not in AXES:
        raise unknown("axis", name, AXES)
    if not isinstance(value, dict):
        raise ImitaxError(f"key '{name}' is {brief(value)}: expected {{ dimension = 0 }}.")
    _fields(name, value, "dimension", "low", "high")
    dimension = value["dimension"]
    if type(dimension) is not int or not 0 <= dimension < space.size:
        raise ImitaxError(
            f"key '{name}' has the dimension {brief(dimension)}: expected 0 … {space.size - 1}."
        )
    low, high = space.low[dimension], space.high[dimension]
    ends = [value.get("low", low), value.get("high", high)]
    for end in ends:
        if not is_number(end) or not low <= end <= high:
            raise ImitaxError(f"key '{name}' reaches to {brief(end)}: expected {low:g} … {high:g}.")
    return Axis(name, dimension, *map(float, ends))


def _fields(name: str, value: dict, needed: str, *optional: str) -> None:
    if needed not in value or not set(value) <= {needed, *optional}:
        extra = " and ".join(optional)
        raise ImitaxError(f"key '{name}' is {brief(value)}: expected {needed} and, optionally, {extra}.")


def _action(name: str, value: Any, space: Discrete | Box) -> Action:
    if isinstance(space, Discrete):
        if type(value) is not int or not 0 <= value < space.n:
            raise ImitaxError(f"key '{name}' is {brief(value)}: expected an action, 0 … {space.n - 1}.")
        return value
    numbers = value if isinstance(value, list) else [value]
    fits = len(numbers) == space.size and all(map(is_number, numbers))
    if not fits or not all(map(lambda low, x, high: low <= x <= high, space.low, numbers, space.high)):
        box = f"{show(space.low)} … {show(space.high)}"
        raise ImitaxError(f"key '{name}' is {brief(value)}: expected {space.size} number(s) within {box}.")
    return tuple(map(float, numbers))


def _toml(action: Action) -> str:
    return str(action) if isinstance(action, int) else str(list(action))


def _generic_discrete(spec: EnvSpec) -> KeyMap:
    """Digits, then letters; without an idle action, since nobody knows which one would be."""
    names = [*DIGITS, *_SPARE]
    count = spec.action_space.n
    if count > len(names):
        raise ImitaxError(
            f"Environment '{spec.id}' has {count} actions, more than there are keys: expected a mapping "
            "of the ones that matter (--keys FILE.toml)."
        )
    bindings = (Binding((name,), action, f"action {action}") for action, name in enumerate(names[:count]))
    return KeyMap(spec.action_space, tuple(bindings))


def _generic_box(spec: EnvSpec) -> KeyMap:
    """A pair of keys and an axis of the gamepad for each dimension; idle is the action nearest to zero."""
    space = spec.action_space
    if space.size > len(_PAIRS):
        raise ImitaxError(
            f"Actions of '{spec.id}' have {space.size} dimensions, more than the {len(_PAIRS)} that get "
            "keys by default: expected a mapping (--keys FILE.toml)."
        )
    rest, bindings, axes = rest_of(space), [], []
    for dimension, pair in zip(range(space.size), _PAIRS, strict=False):
        for key, end in zip(pair, (space.low[dimension], space.high[dimension]), strict=True):
            action = (*rest[:dimension], end, *rest[dimension + 1 :])
            bindings.append(Binding((key,), action, f"{end:g}" if space.size == 1 else show(action)))
        ends = (space.low[dimension], space.high[dimension])
        # A stick's vertical axis grows downwards.
        axes.append(Axis(f"gamepad-{dimension}", dimension, *(ends[::-1] if dimension % 2 else ends)))
    return KeyMap(space, tuple(bindings), tuple(axes), rest)
