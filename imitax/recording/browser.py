"""The front end in a browser: the game runs here, a page on this machine's loopback address shows it.

The page gets one stream of messages (server-sent events): what `Session.view` says, and pictures. It posts
what the player does, in numbered parts, and which message it has shown. The game never runs further ahead
of the page than `AHEAD` messages, so a slow connection makes a slow game, not a late one.
"""

import base64
import io
import os
import time
import webbrowser
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from imitax.recording.game import has_display
from imitax.recording.link import Link
from imitax.recording.server import Server
from imitax.recording.session import Session

AHEAD = 10
LONGEST_WAIT = 0.5  # seconds; so long a signal that ends the session may go unnoticed
FAREWELL = 2.0  # seconds that the page has to show the end


def play(session: Session, file: str, port: int, open_page: bool, tell: Callable[[str], None]) -> None:
    """Serves `session`, which keeps to `file`, until it is over; `ImitaxError` if `port` cannot be had."""
    link = Link(_greeting(session, file))
    with Server(link, port) as server:
        tell(f"Play at {server.address} (this machine only). Ctrl-C ends.")
        if open_page and _can_open():
            webbrowser.open(server.address)
        shown = pictured = -1
        while True:
            if session.changes != shown:
                shown, picture = session.changes, None
                if session.pictures != pictured:
                    pictured, picture = session.pictures, encode(session.picture)
                link.publish(session.view()._asdict(), picture)
            if session.over:
                break
            may_step = link.connected and link.ahead < AHEAD
            due = session.wait(time.monotonic()) if may_step else None
            for act, *values in link.take(LONGEST_WAIT if due is None else min(due, LONGEST_WAIT)):
                getattr(session, act)(*values)  # one of `link.ACTS`
            if may_step:
                session.advance(time.monotonic())
        link.close(FAREWELL)


def encode(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """A picture as WebP in base64: a few kilobytes for those of classic control."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=85, method=0)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _greeting(session: Session, file: str) -> dict[str, Any]:
    """What does not change while a page is shown."""
    keymap, (height, width, _) = session.keymap, session.picture.shape
    return {
        "env": session.spec.id,
        "file": file,
        "width": width,
        "height": height,
        "keys": [{"keys": binding.keys, "label": binding.label} for binding in keymap.bindings],
        "axes": [{"name": axis.name, "dimension": axis.dimension} for axis in keymap.axes],
        "waits": keymap.idle is None,
    }


def _can_open() -> bool:
    """Whether opening a browser would show it to the player, and not start a text one in the terminal."""
    return has_display() and "SSH_CONNECTION" not in os.environ
