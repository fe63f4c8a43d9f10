"""Settings of methods and agents: frozen dataclasses whose numbers may be traced.

Meaning, unit, range and source stand with each field, through `setting`. A class of settings is a
pytree: its `float` fields are leaves, so that a compiled program takes them as arguments and a new
value compiles nothing; all other fields are static. A number declared `off_at_zero` is static
while it is 0, so that what it weighs is not even compiled.
"""

import dataclasses
import math
import typing
from typing import Any, TypeVar, dataclass_transform

import jax

from imitax.errors import ImitaxError, brief_text
from imitax.files.read import is_number

_Class = TypeVar("_Class", bound=type)


@dataclasses.dataclass(frozen=True)
class Described:
    """What is known of a field besides its type and default."""

    meaning: str
    low: float
    high: float
    off_at_zero: bool
    static: bool


def setting(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    high: float = math.inf,
    off_at_zero: bool = False,
    static: bool = False,
) -> Any:
    """A field of a settings class with its meaning and its range [low, high], both ends included.

    By default whole numbers count from 1 and other numbers are not negative. `static`: a number
    that is not for compiled programs, for example one that decides sizes.
    """
    if low is None:
        whole = isinstance(default, int | tuple) and not isinstance(default, bool)
        low = 1 if whole else 0.0
    described = Described(meaning, low, high, off_at_zero, static)
    return dataclasses.field(default=default, metadata={"setting": described})


@dataclass_transform(frozen_default=True)  # to a type checker `setting` is the default
def settings(cls: _Class) -> _Class:
    """Make a frozen dataclass of `cls` and register it as a pytree with its numbers as leaves."""
    record: Any = dataclasses.dataclass(frozen=True)(cls)
    kinds = typing.get_type_hints(record)
    fields = dataclasses.fields(record)
    numbers = [f.name for f in fields if kinds[f.name] is float and not describe(f).static]
    others = [f.name for f in fields if f.name not in numbers]
    switches = {field.name for field in fields if describe(field).off_at_zero}

    def flatten(values):
        leaves = []
        for name in numbers:
            value = getattr(values, name)
            leaves.append(None if name in switches and not is_on(value) else value)
        return leaves, tuple(getattr(values, name) for name in others)

    def unflatten(static, leaves):
        # not the constructor: leaves may be tracers, or placeholders
        values = object.__new__(record)
        for name, value in zip(others, static, strict=True):
            object.__setattr__(values, name, value)
        for name, value in zip(numbers, leaves, strict=True):
            off = name in switches and value is None
            object.__setattr__(values, name, 0.0 if off else value)
        return values

    jax.tree_util.register_pytree_node(record, flatten, unflatten)
    return record


def is_on(value: Any) -> bool:
    """Whether a number declared `off_at_zero` takes part: it is traced, or not 0."""
    return not (isinstance(value, int | float) and value == 0)


def describe(field: dataclasses.Field) -> Described:
    """Meaning and range of a field made by `setting`."""
    return field.metadata["setting"]


def check_range(name: str, value: Any, low: float, high: float = math.inf) -> None:
    """`ImitaxError` unless the number `value` is finite and within [low, high]."""
    number = is_number(value)
    if not (number and low <= value <= high):
        upper = "" if high == math.inf else f" and at most {high}"
        expected = f"at least {low}{upper}" if number else "a finite number"
        raise ImitaxError(f"{name} is {brief_text(value)}: expected {expected}.")


def check_ranges(group: str, values: Any) -> None:
    """`ImitaxError` if a number of a settings object lies outside its field's range."""
    for field in dataclasses.fields(values):
        value, limits = getattr(values, field.name), describe(field)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not isinstance(number, bool):
                check_range(f"Setting '{group}.{field.name}'", number, limits.low, limits.high)
