"""A person plays, episode after episode: what is held, what is stepped, what is kept.

A session knows neither how keys arrive nor how pictures are shown. A front end tells it of keys, axes and
commands, calls `advance` with the time, and shows `view()` and `picture` whenever `changes` has grown.

    paused ──key, pause──► playing ──end of the episode──► deciding ──keep, discard──► paused (the next one)
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
    """What a session needs of an environment (see `game.Game`)."""

    spec: EnvSpec

    @property
    def picture(self) -> np.ndarray:
        """What the player sees, uint8 [H, W, 3]."""

    def reset(self, seed: int) -> np.ndarray:
        """Start an episode; its first observation [O]."""

    def step(self, action: Action) -> tuple[np.ndarray, float, bool, bool]:
        """Next observation [O], reward, terminated, truncated."""


class Episode(NamedTuple):
    """What the player did, and what came of it."""

    observations: np.ndarray  # float32 [T, O], before each action
    actions: np.ndarray  # int64 [T] or float32 [T, A], in the environment's units
    total: float  # undiscounted sum of rewards
    terminated: bool  # False: the time limit ended it


class View(NamedTuple):
    """What the player is told beside the picture."""

    phase: Phase
    episode: int  # from 1, kept or not
    steps: int
    total: float  # return of the episode so far
    kept: int  # in this session
    fps: float
    ended: str  # how the episode ended: "", "terminated" or "time limit"
    action: str  # the last one, in words
    notice: str  # one sentence, or ""


class Session:
    """Plays on `game` with `keymap`; `keep` stores an episode before the next one starts.

    `seeds` are those of the episodes. After `episodes` kept ones the session is over. When `keep` raises
    an `ImitaxError` or `OSError`, the player is told, and may try again.
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
        self.changes = 0  # grows with everything that a front end would show
        self.pictures = 0  # grows with every new picture
        self.kept: list[Episode] = []
        self._game, self._keep, self._seeds, self._wanted = game, keep, seeds, episodes
        self._fps, self._due = fps, 0.0
        self._held: dict[str, str] = {}  # key -> "new", "down" or "up", oldest first: see `press`
        self._axes: dict[str, float] = {}
        self._number, self._notice, self._stopped = 0, "", False
        self._start()

    # What a front end tells

    def press(self, name: str) -> None:
        """A key goes down. One that goes up before the next step still counts for that step."""
        if name in CONTROLS:
            return self.command(CONTROLS[name])
        if not self.keymap.knows(name):
            return
        self._held.pop(name, None)
        self._held[name] = "new"
        if self._phase == "paused":
            self._go_on()
        self._touch()

    def release(self, name: str) -> None:
        """A key goes up."""
        if self._held.get(name) == "new":
            self._held[name] = "up"
        else:
            self._held.pop(name, None)
        self._touch()

    def release_all(self) -> None:
        """The player is elsewhere: no key is held, no axis moved, and the game waits."""
        self._held.clear()
        self._axes.clear()
        if self._phase == "playing":
            self._phase = "paused"
        self._touch()

    def move(self, axis: str, position: float | None) -> None:
        """An axis is at `position` in [−1, 1], or (None) has been let go."""
        if position is None:
            self._axes.pop(axis, None)
        elif self.keymap.knows(axis):
            self._axes[axis] = min(1.0, max(-1.0, position))

    def command(self, name: str) -> None:
        """One of the values of `keys.CONTROLS`; one that makes no sense now does nothing."""
        self._notice = ""
        if name == "keep" and self._phase == "deciding":
            self._keep_episode()
        elif name == "discard" and (self._phase == "deciding" or self._steps):
            self._start()
        elif name == "pause" and self._phase == "playing":
            self._phase = "paused"
        elif name == "pause" and self._phase == "paused":
            self._go_on()
        elif name == "faster":
            self._fps = next((pace for pace in PACES if pace > self._fps), self._fps)
        elif name == "slower":
            self._fps = next((pace for pace in reversed(PACES) if pace < self._fps), self._fps)
        elif name == "finish":
            self._finish()
        self._touch()

    def stop(self) -> None:
        """Ends the session at once, whatever it is doing; safe to call from a signal handler."""
        self._stopped = True
        self._touch()

    # What happens in time

    def advance(self, now: float) -> None:
        """Takes the step that is due at `now` (seconds of any clock), if one is and an action is meant."""
        if self.over or self._phase != "playing" or now < self._due:
            return
        action = self._meant()
        if action is None:
            return
        period = 1 / self._fps
        # Steady while it can keep up; after a wait or a pause, the next step is a whole period away.
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
        """Seconds until a step is due; None if there is none before the player does something."""
        if self.over or self._phase != "playing" or self._meant() is None:
            return None
        return max(0.0, self._due - now)

    # What a front end shows

    @property
    def over(self) -> bool:
        """Whether the session has ended."""
        return self._stopped or self._phase == "over"

    @property
    def picture(self) -> np.ndarray:
        """uint8 [H, W, 3]."""
        return self._game.picture

    @property
    def held(self) -> list[str]:
        """The keys that count for the next step."""
        return list(self._held)

    def view(self) -> View:
        """What there is to tell now."""
        phase = "over" if self.over else self._phase
        last = self.keymap.label(self._actions[-1]) if self._actions else ""
        return View(
            phase, self._number, self._steps, self._total, len(self.kept), self._fps, self._ended, last,
            self._notice,
        )  # fmt: skip

    @property
    def _steps(self) -> int:
        return len(self._actions)

    def _meant(self) -> Action | None:
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

    def _go_on(self) -> None:
        self._phase, self._notice = "playing", ""

    def _keep_episode(self) -> None:
        number = np.float32 if isinstance(self._actions[0], tuple) else np.int64
        episode = Episode(
            np.stack(self._observations), np.array(self._actions, number), self._total,
            self._ended == "terminated",
        )  # fmt: skip
        try:
            self._keep(episode)
        except (ImitaxError, OSError) as error:
            self._notice = f"Not kept: {' '.join(str(error).split())} Mend it and keep again, or discard."
            return
        self.kept.append(episode)
        if len(self.kept) == self._wanted:
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
