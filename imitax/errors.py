"""The one error type that a user may cause, and the sentence that goes with it."""

import difflib
from collections.abc import Iterable

_LISTED = 30  # known names in a message, at most


class ImitaxError(ValueError):
    """Bad input, told in one sentence that names what was found and what was expected."""


class Interrupted(Exception):
    """A run that was asked to stop did so, and is saved; the message says how to go on."""


def brief_text(value: object) -> str:
    """A value as text for an error message: one line that can be shown, cut at 80 characters."""
    text = " ".join(str(value).split())
    short = text if len(text) <= 80 else f"{text[:77]}..."
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in short)


def missing(what: str, extra: str) -> ImitaxError:
    """An `ImitaxError` for something that needs an extra of this package."""
    return ImitaxError(f"{what} needs a package that is not installed: pip install 'imitax[{extra}]'.")


def unknown(kind: str, name: object, known: Iterable[str]) -> ImitaxError:
    """An `ImitaxError` for a name that is not in `known`, with the nearest known names."""
    known = sorted(known)
    name = brief_text(name)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    known_names = f"known: {', '.join(known[:_LISTED])}{more}."
    hint = f"did you mean {' or '.join(near)}?" if near else known_names
    return ImitaxError(f"Unknown {kind} '{name}': {hint}")
