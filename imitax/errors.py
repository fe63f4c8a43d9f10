"""The one error type that a user may cause, and the sentence that goes with it."""

import difflib
from collections.abc import Iterable

MAX_LISTED = 30  # names in a message


class ImitaxError(ValueError):
    """Bad input: one sentence that names what was found and what was expected."""


class Interrupted(Exception):
    """A run that was asked to stop did so, and is saved; the message says how to resume it."""


def brief(value: object) -> str:
    """A value for an error message: its repr on one printable line of at most 80 characters."""
    return brief_text(repr(value))


def brief_text(text: object) -> str:
    """Text for an error message: one printable line of at most 80 characters."""
    line = " ".join(str(text).split())
    return _printable(line if len(line) <= 80 else f"{line[:77]}...")


def one_line(error: BaseException) -> str:
    """What an exception says: one printable line of at most 200 characters, without a full
    stop.
    """
    line = " ".join(str(error).split())[:200] or type(error).__name__
    return _printable(line).rstrip(".")


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def missing(what: str, extra: str) -> ImitaxError:
    """An `ImitaxError` for something that needs an extra of this package."""
    return ImitaxError(
        f"{what} needs a package that is not installed: pip install 'imitax[{extra}]'."
    )


def unknown(kind: str, name: object, names: Iterable[str]) -> ImitaxError:
    """An `ImitaxError` for a name that is not one of `names`, with the nearest of them."""
    names = sorted(names)
    name = brief_text(name)
    nearest = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    listing = f"known: {', '.join(names[:MAX_LISTED])}{more}."
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else listing
    return ImitaxError(f"Unknown {kind} '{name}': {hint}")
