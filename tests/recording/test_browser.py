"""The stream and the posts of the page: what is taken, in which order, and how far the game runs ahead."""

import base64
import http.client
import io
import json
import re
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from imitax.recording import browser
from imitax.recording.link import EARLY
from imitax.recording.server import LOOPBACK

PATIENCE = 20  # seconds that anything may take before a test fails


def send(server, data):
    """Posts as the page does; the status of the answer."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=PATIENCE)
    connection.request(
        "POST", f"/{server.token}/input", data if isinstance(data, bytes) else json.dumps(data)
    )
    status = connection.getresponse().status
    connection.close()
    return status


def post(server, **told):
    return send(server, told)


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
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


BAD = {
    "no JSON": b"{",
    "no object": [],
    "text": "x",
    "empty": {},
    "no page": {"saw": 3},
    "no number": {"page": "one", "saw": "3"},
    "truth": {"page": "one", "saw": True},
    "infinite": b'{"page": "one", "saw": 1e999}',
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
        assert send(server, BAD[case]) == 400
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


def test_acts_are_taken_in_the_order_in_which_they_were_done(server, link):
    with listening(server) as messages:
        next(messages)
        assert link.take(1) == [("release_all",)]
        acts = [[["press", "left"]], [["release", "left"], ["move", "mouse-x", None]], [["command", "keep"]]]
        for part in (2, 1, 1, 0, 0):  # overtaking and repeated
            assert post(server, page="one", part=part, acts=acts[part]) == 204
        assert link.take(1) == [
            ("press", "left"), ("release", "left"), ("move", "mouse-x", None), ("command", "keep"),
        ]  # fmt: skip
        post(server, page="another", part=3, acts=acts[0])
        assert link.take(0) == []
        for part in range(10, 10 + EARLY):
            assert post(server, page="one", part=part, acts=acts[0]) == 204
        assert post(server, page="one", part=99, acts=acts[0]) == 400


def test_what_is_posted_right_after_the_answer_is_taken(server, link):
    for page in map(str, range(20)):
        with listening(server, page):
            post(server, page=page, part=0, acts=[["press", page]])
            assert link.take(0)[-1] == ("press", page)


def test_how_far_ahead_it_is(server, link):
    with listening(server) as messages:
        next(messages)
        assert link.connected and link.ahead == 0
        for _ in range(5):
            link.publish({}, None)
        assert link.ahead == 5
        post(server, page="one", saw=3)
        until(lambda: link.ahead == 2)
        for saw in (1, -4):
            link.saw("one", saw)
        link.saw("another", 5)
        assert link.ahead == 2  # never less than it was, and only by the page that plays
        post(server, page="one", saw=1000)
        until(lambda: link.ahead == 0)
    until(lambda: link.publish({}, None) or not link.connected)


def test_the_page_that_came_last_plays(server, link):
    with listening(server, "one") as first:
        next(first)
        with listening(server, "two") as second:
            next(second)
            assert next(first) == {"taken": True} and list(first) == []
            post(server, page="one", part=0, acts=[["press", "left"]])
            post(server, page="two", part=0, acts=[["press", "right"]])
            assert link.take(0)[-1] == ("press", "right") and link.connected


# A game in it


class Playing:
    """`browser.play` in a thread, and the page that plays."""

    def __init__(self, session):
        self.told, self.address = [], None
        self.thread = threading.Thread(target=browser.play, args=(session, "x.npz", 0, False, self.tell))
        self.thread.start()
        until(lambda: self.address)
        _, self.port, self.token = re.fullmatch(r"http://(.*):(\d+)/([^/]+)/", self.address).groups()
        self.port, self.part = int(self.port), 0

    def tell(self, text):
        self.told.append(text)
        self.address = re.search(r"http://\S+", text).group()

    def act(self, *acts):
        assert post(self, page="one", part=self.part, acts=list(acts)) == 204
        self.part += 1

    def saw(self, message):
        post(self, page="one", saw=message["number"])


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
            playing.saw(message)
            if "picture" in message:
                sizes.add(Image.open(io.BytesIO(base64.b64decode(message["picture"]))).size)
            if not phases or view["phase"] != phases[-1]:
                phases.append(view["phase"])
                if view["phase"] == "paused":
                    playing.act(["press", "right"])
                elif view["phase"] == "deciding":
                    assert (view["steps"], view["total"], view["ended"]) == (4, 8.0, "terminated")
                    playing.act(["release", "right"], ["command", "keep"])
    playing.thread.join(PATIENCE)
    assert phases == ["paused", "playing", "deciding", "over"] and sizes == {(60, 40)}
    assert p.kept[0].actions.tolist() == [2, 2, 2, 2] and not playing.thread.is_alive()
    assert playing.told[0].startswith("Play at http://127.0.0.1:")


def test_the_game_does_not_run_ahead_of_the_page_and_pauses_without_one(played, counter):
    p = played(game=counter(length=10_000), fps=240.0)
    playing = Playing(p.session)
    with listening(playing) as messages:
        next(messages)
        playing.act(["press", "right"])
        until(lambda: len(p.game.taken) >= browser.AHEAD - 3)
        time.sleep(0.3)
        taken = len(p.game.taken)
        assert taken <= browser.AHEAD  # no message was told to have been seen
        for message in messages:
            playing.saw(message)
            if len(p.game.taken) > taken + 20:
                break
    until(lambda: p.session.view().phase == "paused")
    assert p.session.held == []
    p.session.stop()
    playing.thread.join(PATIENCE)
    assert not playing.thread.is_alive()


def test_pictures_are_small_and_true():
    picture = np.full((400, 600, 3), 255, np.uint8)
    picture[100:200, 100:300] = (200, 30, 30)
    data = base64.b64decode(browser.encode(picture))
    seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    assert len(data) < 4000 and np.abs(seen - picture).mean() < 2


def test_browsers_are_opened_only_where_they_would_be_seen(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    for names, can in (((), False), (("DISPLAY",), True), (("WAYLAND_DISPLAY",), True),
                       (("DISPLAY", "SSH_CONNECTION"), False)):  # fmt: skip
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
            monkeypatch.delenv(name, raising=False)
        for name in names:
            monkeypatch.setenv(name, "x")
        assert browser._can_open() is can
