"""Which Minari datasets there are, on this machine and to download, and which of them can be used
here.
"""

import logging
import os
import socket
import urllib.request
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from imitax.errors import ImitaxError, missing, one_line
from imitax.files.read import is_number, parse_json
from imitax.formats.minari import check_metadata, check_spaces

_HOST = "huggingface.co"  # where Minari's own datasets are


class Dataset(NamedTuple):
    """What the metadata of a dataset tell."""

    id: str
    env: str | None
    episodes: int | None
    steps: int | None
    bytes: int | None
    problem: str | None  # why it cannot be used here; None: it can


def datasets_folder() -> Path:
    """Minari's folder: $MINARI_DATASETS_PATH, or ~/.minari/datasets. It need not exist."""
    default = Path.home() / ".minari" / "datasets"
    return Path(os.environ.get("MINARI_DATASETS_PATH", default))


def local_datasets() -> list[Dataset]:
    """The datasets in Minari's folder; one whose metadata cannot be read is listed with that
    problem.
    """
    import minari

    folder = datasets_folder()
    if not folder.is_dir():
        return []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = minari.list_local_datasets()
        except Exception as error:  # of a folder that has no dataset's name, among others
            what = f"Minari's datasets in '{folder}' cannot be listed ({one_line(error)})"
            raise ImitaxError(f"{what}: remove the entries that are not datasets.") from error
    damaged = [_damaged(str(warning.message)) for warning in caught]
    sizes = {name: _bytes_below(folder / name) for name in found}
    return [_describe(name, data, sizes[name]) for name, data in found.items()] + damaged


def remote_datasets() -> list[Dataset]:
    """The newest version of each dataset that can be downloaded.

    Raises:
        ImitaxError: the extra that downloads is not installed, or the server cannot be reached.
    """
    import minari

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells every attempt
    try:
        _check_connection()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about datasets that it leaves out
            found = minari.list_remote_datasets(latest_version=True, compatible_minari_version=True)
    except ImportError as error:
        raise missing("Minari's list of remote datasets", "minari") from error
    except Exception as error:  # of the network: every library under it raises its own
        said = " ".join(str(error).split()) or type(error).__name__
        raise ImitaxError(
            f"Minari's list of remote datasets cannot be fetched: {said}; without --remote the "
            "datasets on this machine are listed."
        ) from error
    return [_describe(name, data, _claimed_bytes(data)) for name, data in sorted(found.items())]


def _check_connection() -> None:
    """Fails at once where a name cannot be resolved; the download would try for half a minute."""
    if "MINARI_REMOTE" not in os.environ and not urllib.request.getproxies():
        socket.getaddrinfo(_HOST, 443)


def _describe(name: str, metadata: dict[str, Any], size: int | None) -> Dataset:
    env = None
    with suppress(KeyError, TypeError, ValueError):  # a dataset need not name one
        named = parse_json(metadata["env_spec"])["id"]
        env = named if isinstance(named, str) else None
    counts = (metadata.get(key) for key in ("total_episodes", "total_steps"))
    episodes, steps = (int(n) if is_number(n) else None for n in counts)
    return Dataset(name, env, episodes, steps, size, _problem(metadata))


def _problem(metadata: dict[str, Any]) -> str | None:
    from minari.serialization import deserialize_space

    try:
        check_metadata(metadata)
        check_spaces(
            *(deserialize_space(metadata[f"{kind}_space"]) for kind in ("observation", "action"))
        )
    except ImitaxError as error:
        return str(error).partition(";")[0].removeprefix("found ")
    except Exception:  # what is not there, or no description of a space
        return "spaces that are not stated"
    return None


def _damaged(warning: str) -> Dataset:
    """From "Misconfigured dataset named ID: what"."""
    name, _, what = warning.removeprefix("Misconfigured dataset named ").partition(": ")
    return Dataset(name, None, None, None, None, f"damaged metadata: {what}")


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _claimed_bytes(metadata: dict[str, Any]) -> int | None:
    megabytes = metadata.get("dataset_size")
    return int(megabytes * 1e6) if is_number(megabytes) else None
