"""The action that held keys and moved axes mean."""

import pytest

from imitax.recording.keys import CONTROLS, NAMES, Axis, Binding, KeyMap
from imitax.types import Box, Discrete


def test_names_and_controls_are_apart():
    assert len(set(NAMES)) == len(NAMES) and not set(NAMES) & set(CONTROLS)


def test_discrete_follows_the_key_pressed_last(steering):
    assert steering.action([], {}) == 1
    assert steering.action(["left"], {}) == 0
    assert steering.action(["left", "right"], {}) == 2
    assert steering.action(["right", "left"], {}) == 0
    assert steering.action(["a"], {}) == 1


def test_without_an_idle_action_nothing_is_meant(waiting, plane):
    assert waiting.action([], {}) is None and waiting.action(["right"], {}) == 2
    waits = KeyMap(plane.space, plane.bindings, plane.axes)
    assert waits.action([], {"gamepad-1": 0.1}) is None
    assert waits.action([], {"mouse-x": 0.0}) == (0.0, 0.0)


def test_keys_held_together_come_before_single_ones():
    bindings = [Binding(("left",), 1, ""), Binding(("up",), 2, ""), Binding(("left", "up"), 3, "")]
    keymap = KeyMap(Discrete(4), tuple(bindings), idle=0)
    assert keymap.action(["up", "left"], {}) == keymap.action(["left", "up"], {}) == 3
    assert keymap.action(["up"], {}) == 2


@pytest.mark.parametrize(
    "held, axes, action",
    [
        ([], {}, (0.0, 5.0)),
        (["left"], {}, (-1.0, 5.0)),
        (["left", "right"], {}, (0.0, 5.0)),  # they cancel
        (["left", "up"], {}, (-1.0, 9.0)),  # they add up
        ([], {"mouse-x": 0.5}, (0.5, 5.0)),
        (["up"], {"mouse-x": 0.5}, (0.5, 9.0)),  # a dimension that no key pushes follows its axis
        (["right"], {"mouse-x": -0.5}, (1.0, 5.0)),
        ([], {"gamepad-1": 1.0}, (0.0, 0.0)),  # from `low` = 10 at −1 to `high` = 0 at 1
        ([], {"gamepad-1": -0.5}, (0.0, 7.5)),
        ([], {"gamepad-1": 0.1}, (0.0, 5.0)),  # not quite at rest
        ([], {"gamepad-7": 1.0}, (0.0, 5.0)),
    ],
)
def test_box_adds_keys_and_follows_axes(plane, held, axes, action):
    assert plane.action(held, axes) == action


def test_box_stays_within_its_bounds():
    keymap = KeyMap(
        Box((-1.0,), (1.0,)), (Binding(("a",), (0.8,), ""), Binding(("d",), (0.9,), ""))
    )
    assert keymap.action(["a", "d"], {}) == (1.0,)


def test_a_box_without_zero_rests_at_its_nearest_action():
    keymap = KeyMap(
        Box((2.0,), (4.0,)), (Binding(("a",), (3.0,), ""),), (Axis("mouse-x", 0, 2.0, 4.0),)
    )
    assert keymap.action(["a"], {}) == (3.0,)
    assert keymap.action([], {"mouse-x": -1.0}) == (2.0,)


def test_actions_in_words(steering, plane):
    assert [steering.label(action) for action in (0, 1, 2, None)] == [
        "go left",
        "idle",
        "go right",
        "",
    ]
    assert plane.label((-1.0, 9.0)) == "[-1, 9]" and plane.label((0.0, 9.0)) == "up"
