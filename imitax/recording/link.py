"""What the thread of the game and the threads of a page's requests share."""

import math
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

HEARTBEAT = 2.0  # seconds after which a silent stream is written to, to find out whether it is read
EARLY = 64  # parts that may wait for one sent before them
# What a page may ask of a session: name of the method -> whether its arguments are as they should be.
ACTS = {
    "press": lambda *values: len(values) == 1 and isinstance(values[0], str),
    "release": lambda *values: len(values) == 1 and isinstance(values[0], str),
    "command": lambda *values: len(values) == 1 and isinstance(values[0], str),
    "release_all": lambda *values: not values,
    "move": lambda *values: len(values) == 2 and isinstance(values[0], str) and _is_position(values[1]),
}

Message = dict[str, Any]


class Link:
    """Messages to the page that plays, and what its player does, in the order in which it was done.

    One page plays: the one that asked last. A page that has gone away holds no keys.
    """

    def __init__(self, greeting: Message):
        self._greeting = greeting
        self._turn = threading.Condition()
        self._inbox: deque[tuple] = deque()
        self._view: Message = {}
        self._picture, self._number, self._pictured = "", 0, 0  # `_pictured`: when the picture last changed
        self._page, self._seen = "", 0
        self._expected, self._early = 0, {}
        self._closed = False

    # The game's side

    def publish(self, view: Message, picture: str | None) -> None:
        """The next message; without a picture, the last one still holds."""
        with self._turn:
            self._number += 1
            self._view = view
            if picture is not None:
                self._picture, self._pictured = picture, self._number
            self._turn.notify_all()

    def take(self, timeout: float) -> list[tuple]:
        """What the player did since the last call; waits up to `timeout` seconds for something to happen."""
        with self._turn:
            if not self._inbox and timeout > 0:
                self._turn.wait(timeout)
            taken = list(self._inbox)
            self._inbox.clear()
            return taken

    @property
    def connected(self) -> bool:
        """Whether a page plays."""
        with self._turn:
            return bool(self._page)

    @property
    def ahead(self) -> int:
        """How many messages the page has not shown yet."""
        with self._turn:
            return self._number - self._seen

    def close(self, patience: float) -> None:
        """Ends all streams, once the page has shown the last message or `patience` seconds have gone by."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()
            self._turn.wait_for(lambda: not self._page or self._seen >= self._number, patience)
            self._page = ""
            self._turn.notify_all()

    # The requests' side

    def messages(self, page: str) -> Iterator[Message | None]:
        """The stream of a page, which plays from now on; None is a heartbeat."""
        with self._turn:
            self._page, self._seen = page, self._number
            self._expected, self._early = 0, {}
            self._inbox.append(("release_all",))
            self._turn.notify_all()
        last = 0
        try:
            yield {"hello": self._greeting}
            while True:
                with self._turn:
                    self._turn.wait_for(lambda: self._page != page or self._number > last, HEARTBEAT)
                    message = self._after(last)
                    taken, last = self._page != page, self._number
                if taken:
                    break
                yield message
            if not self._closed:
                yield {"taken": True}
        finally:
            with self._turn:
                if self._page == page:
                    self._page = ""
                    self._inbox.append(("release_all",))
                    self._turn.notify_all()

    def receive(self, page: str, part: int, acts: list[list]) -> None:
        """What the player did, numbered from 0; a part that overtook another one waits for it.

        Raises:
            ValueError: it is not what a page may ask.
        """
        for act in acts:
            if not act or act[0] not in ACTS or not ACTS[act[0]](*act[1:]):
                raise ValueError("unknown act")
        with self._turn:
            if page != self._page or part < self._expected:
                return
            if len(self._early) >= EARLY:
                raise ValueError("too many parts before a missing one")
            self._early[part] = acts
            while self._expected in self._early:
                self._inbox.extend(map(tuple, self._early.pop(self._expected)))
                self._expected += 1
            self._turn.notify_all()

    def saw(self, page: str, number: int) -> None:
        """The page has shown message `number`."""
        with self._turn:
            if page == self._page:
                self._seen = max(self._seen, min(number, self._number))
                self._turn.notify_all()

    def _after(self, last: int) -> Message | None:
        if self._number == last:
            return None
        message = {"number": self._number, "view": self._view}
        return message | {"picture": self._picture} if self._pictured > last else message


def _is_position(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))
