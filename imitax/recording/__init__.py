"""Demonstrations by hand: a person plays, in a window or a browser, and keeps episodes."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imitax import formats
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.files.signals import first_signal
from imitax.recording.keys import KeyMap
from imitax.recording.mapping import check_fps, default_mapping, load_mapping, to_toml
from imitax.recording.session import Episode, Session
from imitax.types import EnvSpec

__all__ = ["Page", "default_file", "mapping_for", "record", "to_toml"]


class Page(NamedTuple):
    """How the page in the browser is served."""

    port: int = 0  # 0: any free port
    open: bool = True  # in the player's browser; False: only print the address


def mapping_for(spec: EnvSpec, keys: Path | None = None) -> KeyMap:
    """The mapping in the file `keys`, or the default one for the environment."""
    return default_mapping(spec) if keys is None else load_mapping(keys, spec.action)


def default_file(env_id: str) -> Path:
    """The file for episodes of `env_id` where none is named: demos/ENV-by-hand.npz."""
    return Path("demos") / f"{re.sub(r'[^A-Za-z0-9._-]', '_', env_id)}-by-hand.npz"


def record(
    env_id: str,
    out: Path | None = None,
    *,
    page: Page | None = None,
    keys: Path | None = None,
    episodes: int | None = None,
    seed: int = 0,
    time_limit: int | None = None,
    fps: float | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Let a person play `env_id` and append each kept episode to `out`; returns a summary.

    Every kept episode is on disk before the next one starts. The session ends after `episodes`
    kept ones, when the player finishes, or on Ctrl-C.

    Args:
        page: play in the browser, on this page; None: in a window
        tell: called with each sentence for the terminal

    Raises:
        ImitaxError: an option is out of range, `out` is not a file of this environment, the
            mapping is wrong, the environment cannot be played, or no window can be opened.
    """
    _check(episodes, seed, time_limit, fps, page)
    from imitax.recording import window
    from imitax.recording.game import Game

    if page is None:
        window.check()
    with closing(Game(env_id, time_limit)) as game:
        spec = game.spec
        out = default_file(spec.id) if out is None else out
        keymap = mapping_for(spec, keys)
        stored = formats.load_to_append(out, spec)
        _check_folder(out)
        on_file = 0 if stored is None else len(stored)

        def keep(episode: Episode) -> None:
            nonlocal stored
            stored = formats.append(_demonstrations(episode, spec), out, spec)

        # The seeds depend on the number of episodes on file, so a resumed recording starts
        # differently.
        seeds = _seeds(seed, on_file)
        session = Session(game, keymap, keep, seeds, fps or keymap.fps or game.fps, episodes)
        tell(f"Kept episodes go to {out}{f', which holds {on_file}' if on_file else ''}.")
        _play(session, out, page, tell)
    return {
        "file": str(out),
        "kept": len(session.kept),
        "pairs": sum(len(episode.actions) for episode in session.kept),
        "returns": [episode.total for episode in session.kept],
        "episodes": 0 if stored is None else len(stored),
    }


def _play(session: Session, out: Path, page: Page | None, tell: Callable[[str], None]) -> None:
    from imitax.recording import browser, window

    with first_signal(lambda name: session.stop()):  # an episode that is being stored is stored
        if page is None:
            window.play(session)
        else:
            browser.play(session, str(out), page.port, page.open, tell)


def _check(
    episodes: int | None, seed: int, time_limit: int | None, fps: float | None, page: Page | None
) -> None:
    limits = (("episodes", episodes, 1), ("seed", seed, 0), ("time-limit", time_limit, 1))
    for name, value, minimum in limits:
        if value is not None and value < minimum:
            raise ImitaxError(f"Option {name} is {value}: expected at least {minimum}.")
    if fps is not None:
        check_fps("Option fps", fps)
    if page is not None and not 0 <= page.port <= 65535:
        raise ImitaxError(f"Option port is {page.port}: expected 0 … 65535.")


def _check_folder(out: Path) -> None:
    """`ImitaxError` unless `out` can be written; asked before anyone plays."""
    folder = out.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ImitaxError(f"'{out}' cannot be written: '{folder}' is not a writable folder.")


def _seeds(seed: int, on_file: int) -> Iterator[int]:
    """Endless seeds of episodes, drawn anew for each number of episodes on file."""
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
