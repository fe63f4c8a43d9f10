"""Mapping files: their content, the defaults, and what is refused."""

import re
import tomllib

import gymnasium
import numpy as np
import pytest

from imitax.core.spaces import vector
from imitax.envs import host, native
from imitax.errors import ImitaxError
from imitax.recording.keys import Axis, Binding
from imitax.recording.mapping import default_mapping, load_mapping, parse_mapping, to_toml
from imitax.types import Box, Discrete, EnvSpec

PLANE = Box((-1.0, 0.0), (1.0, 10.0))
COMPLETE = """
idle = [0, 5]
fps = 12.5
[keys]
left = [-1.0, 5.0]
RIGHT = { action = [1, 5], label = "to the right →" }
button-3 = [0.0, 10.0]
[axes]
mouse-x = { dimension = 0 }
gamepad-1 = { dimension = 1, low = 10, high = 0.5 }
"""


def spec_of(space, name="Thing-v3"):
    return EnvSpec(name, vector(2), space, 100)


def test_a_complete_file(tmp_path):
    (tmp_path / "keys.toml").write_text(COMPLETE, encoding="utf-8")
    keymap = load_mapping(tmp_path / "keys.toml", PLANE)
    assert keymap.idle == (0.0, 5.0) and keymap.fps == 12.5 and keymap.space == PLANE
    assert keymap.bindings == (
        Binding(("left",), (-1.0, 5.0), "[-1, 5]"),
        Binding(("right",), (1.0, 5.0), "to the right →"),
        Binding(("button-3",), (0.0, 10.0), "[0, 10]"),
    )
    assert keymap.axes == (Axis("mouse-x", 0, -1.0, 1.0), Axis("gamepad-1", 1, 10.0, 0.5))
    assert parse_mapping(tomllib.loads(to_toml(keymap, "a title")), PLANE) == keymap


def test_discrete_files(tmp_path):
    (tmp_path / "keys.toml").write_text('[keys]\n"left+up" = 3\nspace = 0\n"," = 1')
    keymap = load_mapping(tmp_path / "keys.toml", Discrete(4))
    assert keymap.idle is None and keymap.fps is None
    assert [(b.keys, b.action, b.label) for b in keymap.bindings] == [
        (("left", "up"), 3, "action 3"),
        (("space",), 0, "action 0"),
        ((",",), 1, "action 1"),
    ]
    assert parse_mapping(tomllib.loads(to_toml(keymap, "a title")), Discrete(4)) == keymap


def test_one_dimension_needs_no_list():
    keymap = parse_mapping({"idle": 0, "keys": {"a": 0.5}}, Box((-1.0,), (1.0,)))
    assert keymap.idle == (0.0,) and keymap.bindings[0].action == (0.5,)


@pytest.mark.parametrize("env_id", native.IDS)
def test_classic_control_comes_with_keys(env_id):
    env = host.make(env_id)
    keymap = default_mapping(env.spec)
    names = {binding.name for binding in keymap.bindings}
    assert {"left", "right"} <= names and "action" not in "".join(b.label for b in keymap.bindings)
    # Nothing is done where nothing is pressed; a cart without such an action waits.
    assert keymap.idle == {"CartPole-v1": None, "Acrobot-v1": 1, "MountainCar-v0": 1}.get(
        env_id, (0.0,)
    )
    batch = env.open(1)
    moved = {}
    for name in ("left", "right"):
        batch.reset([0])
        action = keymap.action([name], {})
        step = batch.step(np.array([action], np.int64 if isinstance(action, int) else np.float32))
        moved[name] = step.obs[0]
    batch.close()
    # The sign of what the keys do: speed of the cart or car, of the first link or the pole.
    speed = {"CartPole-v1": 1, "Acrobot-v1": 5, "Pendulum-v1": 2}.get(env_id, 1)
    anticlockwise = "left" if env_id == "Pendulum-v1" else "right"
    assert (
        moved[anticlockwise][speed] > moved["left" if anticlockwise == "right" else "right"][speed]
    )


TOY_TEXTS = (
    *("FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "CliffWalkingSlippery-v1"),
    *("Taxi-v4", "Blackjack-v1"),
)


@pytest.mark.parametrize("env_id", TOY_TEXTS)
def test_toy_texts_come_with_keys_and_take_turns(env_id):
    env = gymnasium.make(env_id)
    count = int(env.action_space.n)
    env.close()
    keymap = default_mapping(spec_of(Discrete(count), env_id))
    assert keymap.idle is None and keymap.fps == 4
    assert sorted(binding.action for binding in keymap.bindings) == list(range(count))


def test_generic_discrete():
    keymap = default_mapping(spec_of(Discrete(12)))
    assert [b.name for b in keymap.bindings] == [*"0123456789", "a", "b"]
    assert [b.action for b in keymap.bindings] == list(range(12)) and keymap.idle is None
    with pytest.raises(ImitaxError, match="has 50 actions"):
        default_mapping(spec_of(Discrete(50)))


def test_generic_box():
    keymap = default_mapping(spec_of(Box((-1.0, 0.0, -0.4), (1.0, 10.0, 0.4))))
    assert keymap.idle == (0.0, 0.0, 0.0)
    assert keymap.action(["left", "up", "d"], {}) == (-1.0, 10.0, 0.4)
    # A stick pushed away from the player is at −1, and means more.
    assert keymap.action([], {"gamepad-0": 1.0, "gamepad-1": -1.0}) == (1.0, 10.0, 0.0)
    with pytest.raises(ImitaxError, match="7 dimensions"):
        default_mapping(spec_of(Box((-1.0,) * 7, (1.0,) * 7)))


@pytest.mark.parametrize(
    "space", [Discrete(2), Discrete(30), Box((-1.0,), (1.0,)), Box((1 / 3,) * 4, (2 / 3,) * 4)]
)
def test_default_mappings_can_be_written_and_read_back(space):
    keymap = default_mapping(spec_of(space))
    assert parse_mapping(tomllib.loads(to_toml(keymap, "a title")), space) == keymap


D, B = Discrete(3), PLANE
BAD = {
    "no TOML": (D, "left = = 1", "is not TOML"),
    "no UTF-8": (D, b"left = '\xff'", "is not TOML"),
    "unknown table": (D, "[key]\nleft = 1", "Unknown key 'key': did you mean keys"),
    "keys at the top": (D, "left = 1", "Unknown key 'left'"),
    "keys no table": (D, "keys = 3", "key 'keys' is 3: expected a table"),
    "axes no table": (B, "axes = []", "key 'axes' is []: expected a table"),
    "nothing": (D, "idle = 0", "key 'keys' is missing or empty"),
    "unknown key": (D, "[keys]\nlefft = 1", "Unknown key 'lefft': did you mean left"),
    "unknown key of a chord": (D, '[keys]\n"left+upp" = 1', "Unknown key 'upp': did you mean up"),
    "control": (D, "[keys]\np = 1", "key 'p' is reserved: p means pause"),
    "control in a chord": (
        D,
        '[keys]\n"up+enter" = 1',
        "key 'up+enter' is reserved: enter means keep",
    ),
    "plus": (D, '[keys]\n"+" = 1', "key '+' is reserved: + means faster"),
    "too large": (D, "[keys]\nleft = 3", "key 'left' is 3: expected an action, 0 … 2"),
    "negative": (D, "[keys]\nleft = -1", "key 'left' is -1: expected an action, 0 … 2"),
    "float": (D, "[keys]\nleft = 1.0", "key 'left' is 1.0: expected an action"),
    "truth": (D, "[keys]\nleft = true", "key 'left' is True: expected an action"),
    "text": (D, "[keys]\nleft = 'west'", "key 'left' is 'west': expected an action"),
    "bad idle": (D, "idle = 9\n[keys]\nleft = 1", "key 'idle' is 9: expected an action"),
    "no action": (D, "[keys]\nleft = {label = 'x'}", "expected action and, optionally, label"),
    "more fields": (
        D,
        "[keys]\nleft = {action = 1, lable = 'x'}",
        "expected action and, optionally, label",
    ),
    "label": (D, "[keys]\nleft = {action = 1, label = 3}", "key 'left' has the label 3"),
    "twice": (D, "[keys]\nleft = 1\nLEFT = 2", "key 'keys' has two entries for the same keys"),
    "chord twice": (D, '[keys]\n"left+up" = 1\n"up+left" = 2', "key 'keys' has two entries"),
    "fps": (D, "fps = 0\n[keys]\nleft = 1", "key 'fps' is 0: expected steps per second"),
    "fps inf": (D, "fps = inf\n[keys]\nleft = 1", "key 'fps' is inf: expected steps per second"),
    "axes of Discrete": (D, "[axes]\nmouse-x = {dimension = 0}", "key 'axes' has mouse-x"),
    "short": (B, "[keys]\nleft = [1.0]", "is [1.0]: expected 2 number(s) within [-1, 0] … [1, 10]"),
    "outside": (B, "[keys]\nleft = [1.5, 0]", "key 'left' is [1.5, 0]: expected 2 number(s)"),
    "nan": (B, "[keys]\nleft = [nan, 0]", "key 'left' is [nan, 0]: expected 2 number(s)"),
    "chord of Box": (B, '[keys]\n"left+up" = [0, 0]', "key 'left+up' combines keys"),
    "unknown axis": (
        B,
        "[axes]\nmouse = {dimension = 0}",
        "Unknown axis 'mouse': did you mean mouse-",
    ),
    "axis no table": (B, "[axes]\nmouse-x = 0", "key 'mouse-x' is 0: expected { dimension = 0 }"),
    "axis dimension": (
        B,
        "[axes]\nmouse-x = {dimension = 2}",
        "has the dimension 2: expected 0 … 1",
    ),
    "axis end": (
        B,
        "[axes]\nmouse-x = {dimension = 0, low = -3}",
        "extends to -3: expected -1 … 1",
    ),
    "axis fields": (
        B,
        "[axes]\nmouse-x = {dimension = 0, lo = 0}",
        "expected dimension and, optionally",
    ),
    "two axes": (
        B,
        "[axes]\nmouse-x = {dimension = 0}\nmouse-y = {dimension = 0}",
        "the same dimension",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_in_a_sentence_that_names_file_and_key(tmp_path, case):
    space, text, message = BAD[case]
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ImitaxError) as error:
        load_mapping(path, space)
    sentence = str(error.value)
    assert message in sentence and "mine.toml" in sentence and "\n" not in sentence
    assert sentence.endswith((".", "?")) and not re.search(r"[.?]\s+[A-Z]", sentence)


def test_missing_files_are_named(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ImitaxError, match="cannot be read"):
            load_mapping(path, D)
