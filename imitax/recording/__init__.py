"""Demonstrations by hand: a person plays in a window or in a browser, and what is kept goes to a file.

(Not named after the command, `record`: a module of that name would hide the function `imitax.record`.)
"""

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from imitax import formats
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.recording.keys import KeyMap
from imitax.recording.mapping import check_fps, default_mapping, load_mapping, to_toml
from imitax.recording.session import Episode, Session
from imitax.types import EnvSpec

__all__ = ["default_file", "mapping_for", "record", "to_toml"]


def mapping_for(spec: EnvSpec, keys: Path | None = None) -> KeyMap:
    """The mapping of the file `keys`, or by default the one that comes along."""
    return default_mapping(spec) if keys is None else load_mapping(keys, spec.action_space)


def default_file(env_id: str) -> Path:
    """Where episodes go unless the player says otherwise."""
    return Path("demos") / f"{re.sub(r'[^A-Za-z0-9._-]', '_', env_id)}-by-hand.npz"


def record(
    env_id: str,
    out: Path | None = None,
    *,
    browser: bool = False,
    keys: Path | None = None,
    episodes: int | None = None,
    seed: int = 0,
    time_limit: int | None = None,
    fps: float | None = None,
    port: int = 0,
    open_page: bool = True,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Let a person play `env_id` and add each episode that is kept to `out`; returns what was kept.

    Every kept episode is on the disk before the next one starts. The session ends after `episodes` kept
    ones, when the player finishes, or on Ctrl-C. `tell` gets sentences for the terminal.

    Raises:
        ImitaxError: an option is out of range, `out` is not a file of this environment, the mapping is wrong,
            the environment cannot be played, or no window can be opened.
    """
    _check(episodes, seed, time_limit, fps, port, open_page, browser)
    from imitax.recording import browser as page
    from imitax.recording import window
    from imitax.recording.game import Game

    if not browser:
        window.check()
    game = Game(env_id, time_limit)
    try:
        spec = game.spec
        out = default_file(spec.id) if out is None else out
        keymap = mapping_for(spec, keys)
        stored = formats.load_to_append(out, spec)
        _check_folder(out)
        on_file = 0 if stored is None else len(stored)

        def keep(episode: Episode) -> None:
            nonlocal stored
            stored = formats.append(_demonstrations(episode, spec), out, spec)

        # What is on file already decides the seeds too, so a resumed recording does not start alike.
        seeds = _seeds(seed, on_file)
        session = Session(game, keymap, keep, seeds, fps or keymap.fps or game.fps, episodes)
        tell(f"Kept episodes go to {out}{f', which holds {on_file}' if on_file else ''}.")
        with _ending_gently(session):
            if browser:
                page.play(session, str(out), port, open_page, tell)
            else:
                window.play(session)
    finally:
        game.close()
    kept = session.kept
    return {
        "file": str(out),
        "kept": len(kept),
        "pairs": sum(len(episode.actions) for episode in kept),
        "returns": [episode.total for episode in kept],
        "episodes": 0 if stored is None else len(stored),
    }


def _check(
    episodes: int | None,
    seed: int,
    time_limit: int | None,
    fps: float | None,
    port: int,
    open_page: bool,
    browser: bool,
) -> None:
    for name, value, least in (("episodes", episodes, 1), ("seed", seed, 0), ("time-limit", time_limit, 1)):
        if value is not None and value < least:
            raise ImitaxError(f"Option {name} is {value}: expected at least {least}.")
    if fps is not None:
        check_fps("Option fps", fps)
    if not 0 <= port <= 65535:
        raise ImitaxError(f"Option port is {port}: expected 0 … 65535.")
    if not browser and (port or not open_page):
        name = "port" if port else "no-open"
        raise ImitaxError(f"Option {name} is for the browser: expected --browser with it.")


def _check_folder(out: Path) -> None:
    """That `out` can be written, before someone plays in vain."""
    folder = out.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ImitaxError(f"'{out}' cannot be written: '{folder}' is no folder that can be written to.")


def _seeds(seed: int, on_file: int) -> Iterator[int]:
    rng = np.random.default_rng([seed, on_file])
    while True:
        yield int(rng.integers(2**31 - 1))


def _demonstrations(episode: Episode, spec: EnvSpec) -> Demonstrations:
    return Demonstrations.from_episodes(
        [(episode.observations, episode.actions)],
        terminated=episode.terminated,
        returns=[episode.total],
        env_id=spec.id,
    )


@contextmanager
def _ending_gently(session: Session) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) ends the session and cuts nothing short; a second one is as usual."""
    if threading.current_thread() is not threading.main_thread():  # only there signals can be handled
        yield
        return

    def stop(number, frame):
        session.stop()
        signal.signal(number, before[number])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
