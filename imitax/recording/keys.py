"""Names of keys and axes, and the action that they mean while held.

A window and a web page use the same names: "left", "a" or "button-0". An axis has a position in
[−1, 1], from left to right and from top to bottom.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from imitax.core.spaces import bounds, is_box
from imitax.types import Box, Discrete

CONTROLS = {
    "enter": "keep",
    "backspace": "discard",
    "p": "pause",
    "-": "slower",
    "+": "faster",
    "escape": "finish",
}
ARROWS = ("left", "right", "up", "down")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
NAMES = (
    *ARROWS,
    *(letter for letter in _LETTERS if letter not in CONTROLS),
    *DIGITS,
    *("space", ",", ".", "/", ";"),
    *(f"button-{index}" for index in range(20)),  # of a gamepad
)
AXES = ("mouse-x", "mouse-y", *(f"gamepad-{index}" for index in range(8)))
DEAD_ZONE = 0.15  # sticks do not come to rest exactly in the middle

Action = int | tuple[float, ...]  # an index (Discrete), or a number for each dimension (Box)


@dataclass(frozen=True)
class Binding:
    """Keys that, held together, mean an action."""

    keys: tuple[str, ...]
    action: Action
    label: str  # what the player reads

    @property
    def name(self) -> str:
        """As a mapping file writes it: "left", "left+up"."""
        return "+".join(self.keys)


@dataclass(frozen=True)
class Axis:
    """An axis that sets one dimension of a Box action, from `low` at position −1 to `high` at
    1.
    """

    name: str
    dimension: int
    low: float
    high: float

    def value(self, position: float) -> float:
        """The action's entry at `position`."""
        return self.low + (self.high - self.low) * (position + 1) / 2

    def moved(self, position: float) -> bool:
        """Whether it is away from its rest position; a mouse has none."""
        return not self.name.startswith("gamepad") or abs(position) > DEAD_ZONE


@dataclass(frozen=True)
class KeyMap:
    """What the player's keys and axes mean in one action space."""

    space: Discrete | Box
    bindings: tuple[Binding, ...]
    axes: tuple[Axis, ...] = ()
    idle: Action | None = None  # while no key is held; None: the environment waits
    fps: float | None = None  # steps per second; None: the environment's own frame rate

    def uses(self, name: str) -> bool:
        """Whether a key or axis is bound."""
        return any(name in binding.keys for binding in self.bindings) or any(
            name == axis.name for axis in self.axes
        )

    def action(self, held: Sequence[str], axes: Mapping[str, float]) -> Action | None:
        """The action of the keys `held`, oldest first, and the positions of `axes`; None: wait.

        Discrete: the action of the binding with most keys, and among several of these, the one
        whose last key was pressed most recently. Box: each binding's difference from the idle
        action, summed and clipped; a dimension that no key pushes follows its axis.
        """
        active = [binding for binding in self.bindings if set(held).issuperset(binding.keys)]
        if is_box(self.space):
            moved = [
                axis for axis in self.axes if axis.name in axes and axis.moved(axes[axis.name])
            ]
            return self._push(active, moved, axes) if active or moved else self.idle
        if not active:
            return self.idle
        newest = max(active, key=lambda b: (len(b.keys), max(held.index(key) for key in b.keys)))
        return newest.action

    def label(self, action: Action | None) -> str:
        """The label of the key that means `action`, "idle", or the action itself; "" for None."""
        if action is None:
            return ""
        labels = (binding.label for binding in self.bindings if binding.action == action)
        return next(labels, "idle" if action == self.idle else show(action))

    def _push(
        self, active: Iterable[Binding], moved: Iterable[Axis], axes: Mapping[str, float]
    ) -> Action:
        rest = np.asarray(rest_of(self.space) if self.idle is None else self.idle)
        value = rest.copy()
        for axis in moved:
            value[axis.dimension] = axis.value(axes[axis.name])
        pushes = [np.asarray(binding.action) - rest for binding in active]
        if pushes:
            pushed = np.any(np.stack(pushes) != 0, axis=0)
            value = np.where(pushed, rest + np.sum(pushes, axis=0), value)
        return tuple(np.clip(value, *bounds(self.space)).tolist())


def rest_of(space: Box) -> tuple[float, ...]:
    """The action nearest to zero, one number per dimension."""
    return tuple(np.clip(0.0, *bounds(space)).tolist())


def show(action: Action) -> str:
    """An action as a short text: 2, or [0.5, -1]."""
    return (
        str(action)
        if isinstance(action, int)
        else f"[{', '.join(f'{value:g}' for value in action)}]"
    )
