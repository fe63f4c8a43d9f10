"""The state of a recording: held keys, the current episode, and the kept ones.

A session is independent of input devices and displays. A front end reports keys, axes and
commands, calls `advance` with the time, and shows `view()` and `picture` whenever `changes` has
grown.

    paused ──key, pause──► playing ──end of the episode──► deciding ──keep, discard──► paused (next
    episode)
       ▲───────pause──────────┘                             finish, from paused ──► over
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from imitax.errors import ImitaxError
from imitax.recording.keys import CONTROLS, Action, KeyMap
from imitax.types import EnvSpec

Phase = Literal["paused", "playing", "deciding", "over"]
# Steps per second.
PACES = (0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 160, 200, 240)


@runtime_checkable
class Playable(Protocol):
    """An environment as a session uses it; `game.Game` is one."""

    spec: EnvSpec

    @property
    def picture(self) -> np.ndarray:
        """The current frame, uint8 [H, W, 3]."""
        ...

    def reset(self, seed: int) -> np.ndarray:
        """Start an episode; its first observation [O]."""
        ...

    def step(self, action: Action) -> tuple[np.ndarray, float, bool, bool]:
        """Next observation [O], reward, terminated, truncated."""
        ...


class Episode(NamedTuple):
    """One episode of T steps."""

    observations: np.ndarray  # float32 [T, O], before each action
    actions: np.ndarray  # int64 [T] or float32 [T, A], in the environment's units
    total: float  # undiscounted sum of rewards
    terminated: bool  # False: the time limit ended it


class View(NamedTuple):
    """All that a front end shows besides the picture."""

    phase: Phase
    episode: int  # from 1, kept or not
    steps: int
    total: float  # return of the episode so far
    kept: int  # in this session
    fps: float
    ended: str  # how the episode ended: "", "terminated" or "time limit"
    action: str  # label of the last one, or ""
    notice: str  # one sentence, or ""


class Session:
    """Plays `game` with `keymap`; `keep` stores an episode before the next one starts.

    Args:
        seeds: one per episode
        fps: steps per second at the start
        episodes: number of kept episodes after which the session is over; None: no limit

    When `keep` raises an `ImitaxError` or `OSError`, the notice shows it and the player may try
    again.
    """

    def __init__(
        self,
        game: Playable,
        keymap: KeyMap,
        keep: Callable[[Episode], None],
        seeds: Iterator[int],
        fps: float,
        episodes: int | None = None,
    ):
        self.keymap, self.spec = keymap, game.spec
        self.changes = 0  # grows with every change of the view
        self.pictures = 0  # grows with every new picture
        self.kept: list[Episode] = []
        self._game, self._keep, self._seeds, self._limit = game, keep, seeds, episodes
        self._fps, self._due = fps, 0.0
        self._held: dict[str, str] = {}  # key -> "new", "down" or "up", oldest first: see `press`
        self._axes: dict[str, float] = {}
        self._number, self._notice, self._stopped = 0, "", False
        self._start()

    # Called by a front end for each event

    def press(self, name: str) -> None:
        """A key goes down; it counts for the next step even if it goes up before."""
        if name in CONTROLS:
            return self.command(CONTROLS[name])
        if not self.keymap.uses(name):
            return
        self._held.pop(name, None)
        self._held[name] = "new"
        if self._phase == "paused":
            self._resume()
        self._touch()

    def release(self, name: str) -> None:
        """A key goes up."""
        if self._held.get(name) == "new":
            self._held[name] = "up"
        else:
            self._held.pop(name, None)
        self._touch()

    def release_all(self) -> None:
        """Release all keys and axes, and pause: the player has turned to something else."""
        self._held.clear()
        self._axes.clear()
        if self._phase == "playing":
            self._phase = "paused"
        self._touch()

    def move(self, axis: str, position: float | None) -> None:
        """An axis is at `position` in [−1, 1]; None: released."""
        if position is None:
            self._axes.pop(axis, None)
        elif self.keymap.uses(axis):
            self._axes[axis] = min(1.0, max(-1.0, position))

    def command(self, name: str) -> None:
        """Carry out one of the values of `keys.CONTROLS`; does nothing where it does not apply."""
        self._notice = ""
        if name == "keep" and self._phase == "deciding":
            self._keep_episode()
        elif name == "discard" and (self._phase == "deciding" or self._steps):
            self._start()
        elif name == "pause" and self._phase == "playing":
            self._phase = "paused"
        elif name == "pause" and self._phase == "paused":
            self._resume()
        elif name == "faster":
            self._fps = next((pace for pace in PACES if pace > self._fps), self._fps)
        elif name == "slower":
            self._fps = next((pace for pace in reversed(PACES) if pace < self._fps), self._fps)
        elif name == "finish":
            self._finish()
        self._touch()

    def stop(self) -> None:
        """End the session in any phase; safe to call from a signal handler."""
        self._stopped = True
        self._touch()

    # Called by a front end with the time

    def advance(self, now: float) -> None:
        """Take a step if one is due at `now` (seconds of any clock) and keys mean an action."""
        if self.over or self._phase != "playing" or now < self._due:
            return
        action = self._action()
        if action is None:
            return
        period = 1 / self._fps
        # A steady rate while calls keep up; after a wait or a pause, the next step is a full
        # period away.
        self._due = self._due + period if now < self._due + period else now + period
        self._observations.append(self._obs)
        self._actions.append(action)
        self._obs, reward, terminated, truncated = self._game.step(action)
        self._total += reward
        self.pictures += 1
        self._held = {name: "down" for name, state in self._held.items() if state != "up"}
        if terminated or truncated:
            self._phase = "deciding"
            self._ended = "terminated" if terminated else "time limit"
        self._touch()

    def wait(self, now: float) -> float | None:
        """Seconds until a step is due; None: none before the player acts."""
        if self.over or self._phase != "playing" or self._action() is None:
            return None
        return max(0.0, self._due - now)

    # Shown by a front end

    @property
    def over(self) -> bool:
        """Whether the session has ended."""
        return self._stopped or self._phase == "over"

    @property
    def picture(self) -> np.ndarray:
        """The current frame, uint8 [H, W, 3]."""
        return self._game.picture

    @property
    def held(self) -> list[str]:
        """The keys that count for the next step, oldest first."""
        return list(self._held)

    def view(self) -> View:
        """The current view."""
        return View(
            phase="over" if self.over else self._phase,
            episode=self._number,
            steps=self._steps,
            total=self._total,
            kept=len(self.kept),
            fps=self._fps,
            ended=self._ended,
            action=self.keymap.label(self._actions[-1]) if self._actions else "",
            notice=self._notice,
        )

    @property
    def _steps(self) -> int:
        return len(self._actions)

    def _action(self) -> Action | None:
        return self.keymap.action(self.held, self._axes)

    def _touch(self) -> None:
        self.changes += 1

    def _start(self) -> None:
        self._number += 1
        self._observations: list[np.ndarray] = []
        self._actions: list[Action] = []
        self._total, self._ended = 0.0, ""
        self._obs = self._game.reset(next(self._seeds))
        self._held = {name: "down" for name, state in self._held.items() if state != "up"}
        self._phase: Phase = "paused"
        self.pictures += 1
        self._touch()

    def _resume(self) -> None:
        self._phase, self._notice = "playing", ""

    def _keep_episode(self) -> None:
        dtype = np.float32 if isinstance(self._actions[0], tuple) else np.int64
        actions = np.array(self._actions, dtype)
        terminated = self._ended == "terminated"
        episode = Episode(np.stack(self._observations), actions, self._total, terminated)
        try:
            self._keep(episode)
        except (ImitaxError, OSError) as error:
            reason = " ".join(str(error).split())
            self._notice = f"Not kept: {reason} Fix it and press keep again, or discard."
            return
        self.kept.append(episode)
        if len(self.kept) == self._limit:
            self._phase = "over"
        else:
            self._start()

    def _finish(self) -> None:
        if self._phase == "deciding":
            self._notice = "Keep or discard this episode first."
        elif self._phase == "playing":
            self._phase = "paused"
            self._notice = "Paused: finish again to end the session, without this episode."
        else:
            self._phase = "over"
