"""The channel between the game's thread and the threads that serve the page."""

import math
import threading
from collections import deque
from collections.abc import Generator
from typing import Any

HEARTBEAT = 2.0  # seconds of silence before a write that shows whether the stream is still read
MAX_EARLY = 64  # parts that may wait for one sent before them
# The methods of a session that a page may call: name -> whether the arguments are valid.
ACTS = {
    "press": lambda *values: len(values) == 1 and isinstance(values[0], str),
    "release": lambda *values: len(values) == 1 and isinstance(values[0], str),
    "command": lambda *values: len(values) == 1 and isinstance(values[0], str),
    "release_all": lambda *values: not values,
    "move": lambda *values: (
        len(values) == 2 and isinstance(values[0], str) and _is_position(values[1])
    ),
}

Message = dict[str, Any]


class Link:
    """Messages to the page that plays, and its player's acts in the order in which they happened.

    The page that connected last plays. When it disconnects, all keys are released.
    """

    def __init__(self, greeting: Message):
        self._greeting = greeting
        self._turn = threading.Condition()
        self._inbox: deque[tuple] = deque()
        self._view: Message = {}
        self._number = 0  # of the last message
        self._picture, self._picture_number = "", 0  # the last picture, and its message
        self._page, self._acknowledged = "", 0
        self._expected = 0  # number of the next part
        self._early: dict[int, list[list]] = {}
        self._closed = False

    # The game's side

    def publish(self, view: Message, picture: str | None) -> None:
        """Send the next message; `picture` is None where it has not changed."""
        with self._turn:
            self._number += 1
            self._view = view
            if picture is not None:
                self._picture, self._picture_number = picture, self._number
            self._turn.notify_all()

    def take(self, timeout: float) -> list[tuple]:
        """The player's acts since the last call; waits up to `timeout` seconds for a first one."""
        with self._turn:
            if not self._inbox and timeout > 0:
                self._turn.wait(timeout)
            acts = list(self._inbox)
            self._inbox.clear()
            return acts

    @property
    def connected(self) -> bool:
        """Whether a page is connected."""
        with self._turn:
            return bool(self._page)

    @property
    def ahead(self) -> int:
        """Number of messages that the page has not acknowledged."""
        with self._turn:
            return self._number - self._acknowledged

    def close(self, patience: float) -> None:
        """End all streams once the last message is acknowledged, within `patience` seconds."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
            self._turn.wait_for(
                lambda: not self._page or self._acknowledged >= self._number, patience
            )
            self._page = ""
            self._turn.notify_all()

    # The requests' side

    def messages(self, page: str) -> Generator[Message | None, None, None]:
        """The stream of a page, which plays from now on; None is a heartbeat."""
        with self._turn:
            self._page, self._acknowledged = page, self._number
            self._expected = 0
            self._early.clear()
            self._inbox.append(("release_all",))
            self._turn.notify_all()
        last = 0
        try:
            yield {"hello": self._greeting}
            while True:
                with self._turn:
                    self._turn.wait_for(
                        lambda: self._page != page or self._number > last, HEARTBEAT
                    )
                    message = self._after(last)
                    replaced, last = self._page != page, self._number
                if replaced:
                    break
                yield message
            if not self._closed:
                yield {"replaced": True}
        finally:
            with self._turn:
                if self._page == page:
                    self._page = ""
                    self._inbox.append(("release_all",))
                    self._turn.notify_all()

    def receive(self, page: str, part: int, acts: list[list]) -> None:
        """Queue part number `part` (from 0) of the player's acts; parts wait for earlier ones.

        Raises:
            ValueError: an act is not in `ACTS`, or too many parts wait.
        """
        for act in acts:
            if not act or act[0] not in ACTS or not ACTS[act[0]](*act[1:]):
                raise ValueError("unknown act")
        with self._turn:
            if page != self._page or part < self._expected:
                return
            if len(self._early) >= MAX_EARLY:
                raise ValueError("too many parts before a missing one")
            self._early[part] = acts
            while self._expected in self._early:
                self._inbox.extend(map(tuple, self._early.pop(self._expected)))
                self._expected += 1
            self._turn.notify_all()

    def acknowledge(self, page: str, number: int) -> None:
        """Note that the page has drawn message `number`."""
        with self._turn:
            if page == self._page:
                self._acknowledged = max(self._acknowledged, min(number, self._number))
                self._turn.notify_all()

    def _after(self, last: int) -> Message | None:
        if self._number == last:
            return None
        message = {"number": self._number, "view": self._view}
        return message | {"picture": self._picture} if self._picture_number > last else message


def _is_position(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))
