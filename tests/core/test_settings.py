"""Settings: every range of every method and agent, and numbers that a compiled program takes as
arguments.
"""

import dataclasses
import math
import typing

import jax
import jax.numpy as jnp
import pytest

from imitax.core.settings import check_ranges, describe, is_on, setting, settings
from imitax.core.spaces import blank, vector
from imitax.errors import ImitaxError
from imitax.methods.adversarial import Cycle, LoopConfig
from imitax.methods.registry import (
    AGENTS,
    METHODS,
    Kind,
    build_cloning,
    build_loop,
    default_settings,
    policy_of,
)
from imitax.types import Box, EnvSpec, Sample

# Whole programs are traced here, and those broadcast.
pytestmark = pytest.mark.rank_promotion

CONFIGS = (
    {"loop": LoopConfig}
    | {f"agent {name}": entry.config for name, entry in AGENTS.items()}
    | {f"method {name}": entry.config for name, entry in METHODS.items()}
)
# Ranges that are not the usual ones: whole numbers from 1, other numbers from 0.
RANGES = {
    "batch_size": {"method gail": (-1, math.inf), "method bc": (1, math.inf)},
    "pretrain": (0, math.inf),
    "warm_up": (0, math.inf),
    "patience": (0, math.inf),
    "min_updates": (0, math.inf),
    "final_lr_fraction": (0.0, 1.0),
    "gae_lambda": (0.0, 1.0),
    "label_smoothing": (0.0, 1.0),
    "train_fraction": (0.0, 1.0),
    "mix": (0.0, 1.0),
    "discount": {
        "agent ppo": (0.0, 1.0),
        "agent trpo": (0.0, 1.0),
        "method mce_irl": (0.0, math.nextafter(1.0, 0.0)),
    },
}
OFF_AT_ZERO = {  # what their loss is compiled without while they are 0
    "agent ppo": {"entropy_coef"},
    "agent trpo": {"entropy_coef"},
    "method gail": {"entropy_coef", "gradient_penalty", "label_smoothing"},
}


def numbers(config):
    """(name, whether it counts, whether it is a tuple) of every number."""
    for name, kind in typing.get_type_hints(config).items():
        if kind is int or kind is float or typing.get_origin(kind) is tuple:
            yield name, kind is not float, typing.get_origin(kind) is tuple


EVERY = [(label, *number) for label, config in CONFIGS.items() for number in numbers(config)]


def expected_range(label, name, whole):
    special = RANGES.get(name, (1 if whole else 0.0, math.inf))
    return special[label] if isinstance(special, dict) else special


def with_value(label, name, value, several):
    config = CONFIGS[label]()
    return dataclasses.replace(config, **{name: (value,) if several else value})


def beyond(value, whole, direction):
    """The nearest number on that side."""
    return value + direction if whole else math.nextafter(value, direction * math.inf)


@pytest.mark.parametrize(("label", "name", "whole", "several"), EVERY)
def test_just_outside_its_range_is_refused(label, name, whole, several):
    low, high = expected_range(label, name, whole)
    upper = "" if high == math.inf else f" and at most {high}"
    outside = [beyond(low, whole, -1)] + ([] if high == math.inf else [beyond(high, whole, 1)])
    for value in outside:
        with pytest.raises(ImitaxError) as refusal:
            check_ranges("group", with_value(label, name, value, several))
        sentence = f"Setting 'group.{name}' is {value}: expected at least {low}{upper}."
        assert str(refusal.value) == sentence


@pytest.mark.parametrize(("label", "name", "whole", "several"), EVERY)
def test_the_ends_of_its_range_are_accepted(label, name, whole, several):
    low, high = expected_range(label, name, whole)
    for value in (low, 10**6 if high == math.inf else high):
        check_ranges("group", with_value(label, name, value, several))


@pytest.mark.parametrize(("label", "name", "whole", "several"), [e for e in EVERY if not e[2]])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_refused(label, name, whole, several, value):
    with pytest.raises(
        ImitaxError, match=rf"Setting 'group.{name}' is -?(nan|inf): expected a finite number\."
    ):
        check_ranges("group", with_value(label, name, value, several))


def test_every_entry_of_a_tuple_is_checked():
    with pytest.raises(ImitaxError, match=r"Setting 'agent.hidden' is 0: expected at least 1\."):
        check_ranges("agent", AGENTS["ppo"].config(hidden=(32, 0)))


@pytest.mark.parametrize("label", CONFIGS)
def test_every_setting_is_described_and_defaults_are_in_range(label):
    config = CONFIGS[label]()
    check_ranges("group", config)
    for field in dataclasses.fields(config):
        assert describe(field).meaning


# What is traced
# -----------------------------------------------------------------------------------------


def leaves_of(config):
    """Names of the settings that are leaves of the pytree."""
    return [
        name
        for name, kind in typing.get_type_hints(type(config)).items()
        if kind is float
        and jax.tree.leaves(config) != jax.tree.leaves(dataclasses.replace(config, **{name: 0.37}))
    ]


def switched_on(config):
    """The settings with what is off at 0 on."""
    off = [f.name for f in dataclasses.fields(config) if describe(f).off_at_zero]
    return dataclasses.replace(config, **dict.fromkeys(off, 0.25))


@pytest.mark.parametrize("label", CONFIGS)
def test_numbers_are_leaves_and_the_rest_is_structure(label):
    config = switched_on(CONFIGS[label]())
    hints = typing.get_type_hints(type(config))
    static = {"train_fraction"}  # it decides sizes
    expected = [name for name, kind in hints.items() if kind is float and name not in static]
    assert leaves_of(config) == expected
    leaves, structure = jax.tree.flatten(config)
    assert jax.tree.unflatten(structure, leaves) == config
    hash(structure)
    for name, kind in hints.items():
        if kind is int or name in static:
            other = dataclasses.replace(config, **{name: 2 * getattr(config, name) + 1})
            assert jax.tree.structure(other) != structure


@pytest.mark.parametrize("label", CONFIGS)
def test_only_what_is_declared_so_is_off_at_zero(label):
    config = switched_on(CONFIGS[label]())
    structure = jax.tree.structure(config)
    for name in leaves_of(config):
        off = jax.tree.structure(dataclasses.replace(config, **{name: 0.0})) != structure
        assert off == (name in OFF_AT_ZERO.get(label, set()))
        back = jax.tree.unflatten(
            *reversed(jax.tree.flatten(dataclasses.replace(config, **{name: 0.0})))
        )
        assert getattr(back, name) == 0.0


def test_a_traced_zero_is_on():
    # A compiled program cannot know that the number it is given is 0.
    assert jax.jit(lambda x: jnp.asarray(is_on(x)))(0.0)
    assert not is_on(0.0) and not is_on(0) and is_on(1e-9)


SPEC = EnvSpec("Toy", vector(2), Box(-1.0, 1.0, (2,)), 100)
T, B = 4, 4


def program_of(method, agent):
    """(counted function of the settings, its arguments, the settings): a whole update, to be
    traced.
    """
    defaults = default_settings(method, agent)
    policy = policy_of(method, SPEC, defaults)
    expert = Sample(blank(SPEC, (8,)), jnp.zeros(()))
    key, traces = jax.random.key(0), []

    def update(groups, expert, cycle, key):
        traces.append(method)
        if METHODS[method].kind is Kind.SUPERVISED:
            clone = build_cloning(SPEC, policy, groups)
            return clone.fit(clone.init(key, expert), expert, expert, key)
        loop = build_loop(method, agent, SPEC, groups)
        return loop.learn(loop.init(key, expert), cycle, key)

    rollout = blank(SPEC, (T, B))
    cycle = Cycle(expert, rollout, (), jnp.float32(0.5))
    program = jax.jit(update)
    groups = {name: switched_on(values) for name, values in defaults.items() if name != "loop"}
    return lambda groups: program.trace(groups, expert, cycle, key), groups, traces


COMBINATIONS = [
    ("bc", "ppo"),
    ("gail", "ppo"),
    ("gail", "trpo"),
    ("fem", "ppo"),
    ("gtal", "ppo"),
    ("constant", "ppo"),
    ("rl", "trpo"),
]


def test_every_agent_and_every_method_that_is_compiled_is_combined_below():
    compiled = {name for name, entry in METHODS.items() if entry.kind is not Kind.PLANNING}
    assert {method for method, _ in COMBINATIONS} == compiled
    assert {agent for _, agent in COMBINATIONS} == set(AGENTS)


@pytest.mark.parametrize(("method", "agent"), COMBINATIONS)
def test_a_second_value_of_a_number_traces_nothing(method, agent):
    trace, groups, traces = program_of(method, agent)
    trace(groups)
    assert len(traces) == 1
    for group, values in groups.items():
        for name in leaves_of(values):
            trace(
                groups
                | {group: dataclasses.replace(values, **{name: 0.5 * getattr(values, name) + 0.01})}
            )
            assert len(traces) == 1, f"{group}.{name} traces its program anew"
    trace(with_other_minibatches(groups))
    assert len(traces) == 2  # the count does count


def with_other_minibatches(groups):
    """The same program in other sizes."""
    group = "agent" if "agent" in groups else "bc"
    name = next(
        n for n in ("minibatches", "value_minibatches", "batch_size") if hasattr(groups[group], n)
    )
    return groups | {group: dataclasses.replace(groups[group], **{name: 2})}


def test_settings_of_ones_own():
    @settings
    class Own:
        rate: float = setting(0.1, "a rate", high=0.5)
        count: int = setting(3, "how many")
        start: int = setting(0, "where", low=0)
        size: float = setting(0.5, "decides sizes", static=True)

    assert jax.tree.leaves(Own(rate=0.2)) == [0.2]
    assert jax.tree.structure(Own(rate=0.2)) == jax.tree.structure(Own(rate=0.3))
    assert jax.tree.structure(Own(size=0.2)) != jax.tree.structure(Own(size=0.3))
    check_ranges("own", Own(rate=0.5, count=1, start=0))
    with pytest.raises(
        ImitaxError, match=r"Setting 'own.rate' is 0.6: expected at least 0.0 and at most 0.5\."
    ):
        check_ranges("own", Own(rate=0.6))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Own().rate = 0.3  # type: ignore[misc]
