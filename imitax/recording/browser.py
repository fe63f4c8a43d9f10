"""The front end in a browser: the game runs here, and a page on the loopback address shows it.

The page receives one stream of messages (server-sent events) with views of the session and
pictures. It posts the player's acts in numbered parts, and acknowledges each message that it has
drawn. The game never runs more than `MAX_AHEAD` messages ahead of the page, so a slow connection
slows the game down and adds no lag.
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

MAX_AHEAD = 10  # messages
MAX_WAIT = 0.5  # seconds before the loop notices a signal that ends the session
FAREWELL = 2.0  # seconds that the page has to show the end


def play(
    session: Session, file: str, port: int, open_page: bool, tell: Callable[[str], None]
) -> None:
    """Serve `session` until it is over; `ImitaxError` if `port` is taken.

    Args:
        file: where kept episodes go, for the page to show
        port: 0 for any free one
        tell: called with the address
    """
    link = Link(_greeting(session, file))
    with Server(link, port) as server:
        tell(f"Play at {server.address} (this machine only). Ctrl-C ends.")
        if open_page and _can_open():
            webbrowser.open(server.address)
        changes = pictures = -1  # as of the last message
        while True:
            if session.changes != changes:
                changes, picture = session.changes, None
                if session.pictures != pictures:
                    pictures, picture = session.pictures, encode(session.picture)
                link.publish(session.view()._asdict(), picture)
            if session.over:
                break
            may_step = link.connected and link.ahead < MAX_AHEAD
            due = session.wait(time.monotonic()) if may_step else None
            for act, *values in link.take(MAX_WAIT if due is None else min(due, MAX_WAIT)):
                getattr(session, act)(*values)  # one of `link.ACTS`
            if may_step:
                session.advance(time.monotonic())
        link.close(FAREWELL)


def encode(picture: UInt8[np.ndarray, "H W 3"]) -> str:
    """A picture as WebP in base64, a few kilobytes in classic control."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=85, method=0)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _greeting(session: Session, file: str) -> dict[str, Any]:
    """The first message of a stream: all that stays the same during the session."""
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
    """Whether a graphical browser would open on the player's own screen."""
    return has_display() and "SSH_CONNECTION" not in os.environ
