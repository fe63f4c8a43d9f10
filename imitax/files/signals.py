"""A first Ctrl-C that lets the work in hand finish."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def first_signal(act: Callable[[str], None]) -> Iterator[None]:
    """Inside the block, call `act` with the name of a first SIGINT or SIGTERM ("SIGINT").

    The handlers from before the block serve any second signal of the same kind, and are back after
    the block. Outside the main thread, which alone can handle signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: object) -> None:
        signal.signal(number, handlers[number])
        act(signal.Signals(number).name)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
