"""A game that counts, a session on it that keeps into a list, and a server to ask."""

import http.client
import json

import numpy as np
import pytest

from imitax.core.spaces import vector
from imitax.recording.keys import Binding, KeyMap
from imitax.recording.link import Link
from imitax.recording.server import LOOPBACK, Server
from imitax.recording.session import Session
from imitax.types import Box, Discrete, EnvSpec

STEERING = KeyMap(
    Discrete(3),
    (Binding(("left",), 0, "go left"), Binding(("right",), 2, "go right")),
    idle=1,
    fps=10,
)
WAITING = KeyMap(Discrete(3), STEERING.bindings)


class Counter:
    """Observations [episode's seed, steps, last action]; reward = action; ends after `length`
    steps.

    Odd seeds terminate, even ones are truncated. `on_end` is called when an episode has ended.
    """

    def __init__(self, length=3, space=None, on_start=None, on_end=None):
        space = Discrete(3) if space is None else space
        self.spec = EnvSpec("Counter-v0", vector(3), space, length)
        self.taken = []
        self._step = 0
        self._on_start, self._on_end = on_start, on_end

    def reset(self, seed):
        self._seed, self._step = seed, 0
        if self._on_start:
            self._on_start()
        return self._look(-1)

    def step(self, action):
        self._step += 1
        self.taken.append(action)
        over = self._step == self.spec.time_limit
        if over and self._on_end:
            self._on_end()
        reward = float(action if isinstance(action, int) else sum(action))
        return (
            self._look(reward),
            reward,
            over and self._seed % 2 == 1,
            over and self._seed % 2 == 0,
        )

    @property
    def picture(self):
        picture = np.full((40, 60, 3), 200, np.uint8)
        picture[:, : 1 + self._step] = 30
        return picture

    def _look(self, last):
        return np.array([self._seed, self._step, last], np.float32)


class Played:
    """A session, its game, what it kept, and a clock in steps of its pace."""

    def __init__(self, keymap=STEERING, game=None, keep=None, **options):
        self.game = Counter() if game is None else game
        self.kept = []
        options = {"seeds": iter(range(1, 100)), "fps": 10.0} | options
        self.session = Session(self.game, keymap, keep or self.kept.append, **options)
        self.now = 100.0

    def tick(self, count=1):
        """Lets `count` periods go by, and the session look at the clock more often than that."""
        for _ in range(count):
            for _ in range(4):
                self.session.advance(self.now)
                self.now += 0.25 / self.session.view().fps

    def play_episode(self):
        """Plays until the episode is over, with the key right held."""
        self.session.press("right")
        while self.session.view().phase == "playing":
            self.tick()
        self.session.release("right")


@pytest.fixture
def played():
    """Makes a `Played`."""
    return Played


@pytest.fixture
def counter():
    """Makes a `Counter`."""
    return Counter


@pytest.fixture
def steering():
    """A mapping with left 0, right 2 and idle 1."""
    return STEERING


@pytest.fixture
def waiting():
    """The same without an idle action."""
    return WAITING


@pytest.fixture
def plane():
    """A mapping for two dimensions in [−1, 1] × [0, 10]: keys, a mouse and a stick."""
    from imitax.recording.keys import Axis

    bindings = (
        Binding(("left",), (-1.0, 5.0), "left"),
        Binding(("right",), (1.0, 5.0), "right"),
        Binding(("up",), (0.0, 9.0), "up"),
    )
    axes = (Axis("mouse-x", 0, -1.0, 1.0), Axis("gamepad-1", 1, 10.0, 0.0))
    return KeyMap(Box((-1.0, 0.0), (1.0, 10.0)), bindings, axes, (0.0, 5.0))


@pytest.fixture
def link():
    """A link without a game."""
    return Link({"env": "Counter-v0"})


@pytest.fixture
def server(link):
    """A server of that link."""
    with Server(link) as running:
        yield running


def _ask(server, method="GET", path=None, body=None, **headers):
    """(status, headers, body) of one request; `Host` as a browser sends it, unless another is
    given.
    """
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=20)
    try:
        path = f"/{server.token}/" if path is None else path
        connection.putrequest(method, path, skip_host=True)
        headers = {"Host": f"{LOOPBACK}:{server.port}"} | headers
        data = (
            b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        if method == "POST":
            headers = {"Content-Length": str(len(data))} | headers
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(data)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture
def ask():
    """Asks a server: see `_ask`."""
    return _ask
