"""The stream and the posts of the page: validity, order, and how far the game runs ahead."""

import base64
import http.client
import io
import itertools
import json
import re
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from imitax.recording import browser
from imitax.recording.link import MAX_EARLY
from imitax.recording.server import LOOPBACK

PATIENCE = 20  # seconds that anything may take before a test fails


def post(server, data):
    """Posts as the page does; the status of the answer."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=PATIENCE)
    connection.request(
        "POST", f"/{server.token}/input", data if isinstance(data, bytes) else json.dumps(data)
    )
    status = connection.getresponse().status
    connection.close()
    return status


def act(server, part, *acts, page="one"):
    return post(server, {"page": page, "part": part, "acts": acts})


def acknowledge(server, number):
    return post(server, {"page": "one", "acknowledged": number})


@contextmanager
def listening(server, page="one"):
    """The messages of the page's stream, as an iterator; heartbeats are left out."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=PATIENCE)
    connection.request("GET", f"/{server.token}/events?page={page}")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.getheader("Content-Type") == "text/event-stream"

    def messages():
        end = time.monotonic() + PATIENCE
        for line in answer:
            assert time.monotonic() < end, "heartbeats only"
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    try:
        yield messages()
    finally:
        answer.close()
        connection.close()


def until(condition):
    """Waits for a condition."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


BAD = {
    "no JSON": b"{",
    "no object": [],
    "no page": {"acknowledged": 3},
    "neither part nor number": {"page": "one"},
    "a string for a number": {"page": "one", "acknowledged": "3"},
    "a boolean for a number": {"page": "one", "acknowledged": True},
    "no acts": {"page": "one", "part": 0},
    "acts no list": {"page": "one", "part": 0, "acts": 3},
    "no act": {"page": "one", "part": 0, "acts": [[]]},
    "unknown act": {"page": "one", "part": 0, "acts": [["stop"]]},
    "private act": {"page": "one", "part": 0, "acts": [["__init__"]]},
    "no name": {"page": "one", "part": 0, "acts": [[["press"], "left"]]},
    "key no text": {"page": "one", "part": 0, "acts": [["press", 3]]},
    "too many": {"page": "one", "part": 0, "acts": [["press", "left", "right"]]},
    "no position": {"page": "one", "part": 0, "acts": [["move", "mouse-x", "far"]]},
    "not a number": b'{"page": "one", "part": 0, "acts": [["move", "mouse-x", NaN]]}',
    "deep": b"[" * 50_000,
}


@pytest.mark.parametrize("case", BAD)
def test_bad_posts_are_refused_and_do_nothing(server, link, case):
    with listening(server) as messages:
        assert "hello" in next(messages)
        link.take(0)
        assert post(server, BAD[case]) == 400
        assert link.take(0) == []


def test_messages_come_in_order_and_pictures_only_when_new(server, link):
    link.publish({"steps": 0}, "first")
    with listening(server) as messages:
        assert next(messages) == {"hello": {"env": "Counter-v0"}}
        assert next(messages) == {"number": 1, "view": {"steps": 0}, "picture": "first"}
        link.publish({"steps": 1}, None)
        assert next(messages) == {"number": 2, "view": {"steps": 1}}
        link.publish({"steps": 2}, "second")
        assert next(messages) == {"number": 3, "view": {"steps": 2}, "picture": "second"}


def test_acts_arrive_in_the_order_in_which_they_happened(server, link):
    with listening(server) as messages:
        next(messages)
        assert link.take(1) == [("release_all",)]
        parts = [
            [["press", "left"]],
            [["release", "left"], ["move", "mouse-x", None]],
            [["command", "keep"]],
        ]
        for part in (2, 1, 1, 0, 0):  # overtaking and repeated
            assert act(server, part, *parts[part]) == 204
        acts = [
            ("press", "left"),
            ("release", "left"),
            ("move", "mouse-x", None),
            ("command", "keep"),
        ]
        assert link.take(1) == acts
        act(server, 3, *parts[0], page="another")
        assert link.take(0) == []
        for part in range(10, 10 + MAX_EARLY):
            assert act(server, part, *parts[0]) == 204
        assert act(server, 99, *parts[0]) == 400


def test_a_post_right_after_the_answer_is_accepted(server, link):
    for page in map(str, range(20)):
        with listening(server, page):
            act(server, 0, ["press", page], page=page)
            assert link.take(0)[-1] == ("press", page)


def test_messages_ahead_of_the_page(server, link):
    with listening(server) as messages:
        next(messages)
        assert link.connected and link.ahead == 0
        for _ in range(5):
            link.publish({}, None)
        assert link.ahead == 5
        acknowledge(server, 3)
        until(lambda: link.ahead == 2)
        for number in (1, -4):
            link.acknowledge("one", number)
        link.acknowledge("another", 5)
        assert link.ahead == 2  # it never grows, and only the page that plays changes it
        acknowledge(server, 1000)
        until(lambda: link.ahead == 0)
    until(lambda: link.publish({}, None) or not link.connected)


def test_the_page_that_came_last_plays(server, link):
    with listening(server, "one") as first:
        next(first)
        with listening(server, "two") as second:
            next(second)
            assert next(first) == {"replaced": True} and list(first) == []
            act(server, 0, ["press", "left"], page="one")
            act(server, 0, ["press", "right"], page="two")
            assert link.take(0)[-1] == ("press", "right") and link.connected


# A game in it


class Playing:
    """`browser.play` in a thread, and the page that plays."""

    def __init__(self, session):
        self.address = None
        self.thread = threading.Thread(
            target=browser.play, args=(session, "x.npz", 0, False, self.tell)
        )
        self.thread.start()
        until(lambda: self.address)
        port, self.token = re.fullmatch(r"http://127.0.0.1:(\d+)/([^/]+)/", self.address).groups()
        self.port, self.parts = int(port), itertools.count()

    def tell(self, text):
        self.address = re.fullmatch(r"Play at (\S+) .*", text).group(1)

    def act(self, *acts):
        assert act(self, next(self.parts), *acts) == 204

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def test_an_episode_is_played_and_kept_over_the_wire(played, counter):
    p = played(game=counter(length=4), episodes=1, fps=100.0)
    playing = Playing(p.session)
    with listening(playing) as messages:
        hello = next(messages)["hello"]
        assert hello["env"] == "Counter-v0" and hello["file"] == "x.npz" and not hello["waits"]
        assert hello["keys"][0] == {"keys": ["left"], "label": "go left"}
        phases, sizes = [], set()
        for message in messages:
            view = message["view"]
            acknowledge(playing, message["number"])
            if "picture" in message:
                sizes.add(Image.open(io.BytesIO(base64.b64decode(message["picture"]))).size)
            if not phases or view["phase"] != phases[-1]:
                phases.append(view["phase"])
                if view["phase"] == "paused":
                    playing.act(["press", "right"])
                elif view["phase"] == "deciding":
                    assert (view["steps"], view["total"], view["ended"]) == (4, 8.0, "terminated")
                    playing.act(["release", "right"], ["command", "keep"])
    playing.join()
    assert phases == ["paused", "playing", "deciding", "over"] and sizes == {(60, 40)}
    assert p.kept[0].actions.tolist() == [2, 2, 2, 2]


def test_the_game_does_not_run_ahead_of_the_page_and_pauses_without_one(played, counter):
    p = played(game=counter(length=10_000), fps=240.0)
    playing = Playing(p.session)
    with listening(playing) as messages:
        next(messages)
        playing.act(["press", "right"])
        until(lambda: len(p.game.taken) >= browser.MAX_AHEAD - 3)
        time.sleep(0.3)
        steps = len(p.game.taken)
        assert steps <= browser.MAX_AHEAD  # no message has been acknowledged
        for message in messages:
            acknowledge(playing, message["number"])
            if len(p.game.taken) > steps + 20:
                break
    until(lambda: p.session.view().phase == "paused")
    assert p.session.held == []
    p.session.stop()
    playing.join()


def test_pictures_are_small_and_true():
    picture = np.full((400, 600, 3), 255, np.uint8)
    picture[100:200, 100:300] = (200, 30, 30)
    data = base64.b64decode(browser.encode(picture))
    decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert len(data) < 4000 and np.abs(decoded - picture).mean() < 2


@pytest.mark.parametrize(
    "names, can_open",
    [
        ((), False),
        (("DISPLAY",), True),
        (("WAYLAND_DISPLAY",), True),
        (("DISPLAY", "SSH_CONNECTION"), False),
    ],
)
def test_browsers_open_only_on_a_local_screen(monkeypatch, names, can_open):
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name in names:
        monkeypatch.setenv(name, "x")
    assert browser._can_open() is can_open
