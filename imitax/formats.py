"""Demonstrations from and to files: npz, the original system's JSON, and Minari.

A format is one reader and one writer. Whatever is wrong with a file ends in one `ImitaxError` that
names the file; a file that is already there is never written over. Nothing is unpickled and no object is
built by name. Observations are float32 in memory, so a file with float64 is rounded on reading.
"""

import json
import math
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, unknown
from imitax.types import Box, Discrete, EnvSpec

NPZ_VERSION = 1
MAX_BYTES = 2 << 30  # refuse to read more: demonstrations are small, so such a file is broken or hostile
MAX_DEFLATE = 1100  # zlib compresses by at most 1032:1
MINARI_PREFIX = "minari:"
JSON_FLOATS = ("float64", "float32", "float16")
JSON_INTEGERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
FIELDS = tuple(field.name for field in fields(Demonstrations))
EXPECTED = "demonstrations (.npz, .json, a Minari folder, or minari:NAMESPACE/NAME-v0)"


def load(path: str | os.PathLike[str], spec: EnvSpec | None = None) -> Demonstrations:
    """Reads demonstrations; the format follows from the suffix, the folder, or the prefix `minari:`.

    With `spec` they are checked against that environment as well, and its time limit says which episodes
    of a JSON file terminated.

    Raises:
        ImitaxError: the file is missing, empty, cut off, of another format, or holds what
            `Demonstrations` or `spec` do not allow. No other exception escapes.
    """
    name = os.fspath(path)
    with _blaming(name):
        demonstrations = READERS[_format_to_read(name)](name, spec)
        if spec is not None:
            demonstrations.validate(spec)
    return demonstrations


def save(
    demonstrations: Demonstrations,
    path: str | os.PathLike[str],
    format: str | None = None,
    spec: EnvSpec | None = None,
) -> None:
    """Writes `path` whole or not at all; missing parent folders are made.

    Format: `format` ("npz", "json", "minari"), or by the suffix (.npz, .json, none for a Minari folder).
    With `spec` the demonstrations are checked against it first, and Minari stores its action space.

    Raises:
        ImitaxError: the path exists, its suffix does not go with the format, or it cannot be written.
    """
    path = Path(path)
    write = WRITERS[_format_to_write(path, format)]
    if spec is not None:
        demonstrations.validate(spec)
    if os.path.lexists(path):
        raise ImitaxError(f"'{path}' exists already and is not written over: choose another name.")
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Made beside the target, so that the last step is a rename within one file system.
        scratch = Path(tempfile.mkdtemp(prefix=".imitax-", dir=path.parent))
        write(demonstrations, scratch / path.name, spec)
        _to_disk(scratch / path.name)
        os.rename(scratch / path.name, path)
    except (OSError, ImportError) as error:
        raise ImitaxError(f"'{path}' cannot be written: {_one_line(error)}.") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _format_to_read(name: str) -> str:
    if name.startswith(MINARI_PREFIX):
        return "minari"
    path = Path(name)
    if not path.exists():
        raise ImitaxError(f"there is no such file; expected {EXPECTED}.")
    if path.is_dir():
        return "minari"
    if not path.is_file() or path.stat().st_size == 0:
        raise ImitaxError(f"found an empty or special file; expected {EXPECTED}.")
    if path.stat().st_size > MAX_BYTES:
        raise ImitaxError(f"found {path.stat().st_size} bytes; expected at most {MAX_BYTES}.")
    if (suffix := path.suffix.lower()) not in (".npz", ".json"):
        raise ImitaxError(f"found the suffix '{suffix}'; expected {EXPECTED}.")
    return suffix[1:]


def _format_to_write(path: Path, format: str | None) -> str:
    if str(path).startswith(MINARI_PREFIX):
        raise ImitaxError(f"'{path}' names a Minari dataset to read; expected a folder to write.")
    by_suffix = {".npz": "npz", ".json": "json", "": "minari"}.get(path.suffix.lower())
    if format is not None and format not in WRITERS:
        raise unknown("format", format, WRITERS)
    if format not in (None, by_suffix) or by_suffix is None:
        wanted = f"the suffix for {format}" if format else "a known suffix"
        raise ImitaxError(f"'{path}' lacks {wanted}; expected .npz, .json, or none for a Minari folder.")
    return by_suffix


@contextmanager
def _blaming(name: str) -> Iterator[None]:
    """Turns every failure to read into an `ImitaxError` that names the file.

    All exceptions are caught: on damaged input zipfile, NumPy, json, h5py and Minari raise a dozen
    types between them, mostly undocumented.
    """
    try:
        yield
    except ImitaxError as error:
        raise ImitaxError(f"In '{name}': {error}") from error
    except ImportError as error:
        raise ImitaxError(f"In '{name}': a package is missing: {_one_line(error)}.") from error
    except Exception as error:
        what = f"{type(error).__name__}: {_one_line(error)}"
        raise ImitaxError(f"In '{name}': found damaged data ({what}); expected {EXPECTED}.") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _to_disk(path: Path) -> None:
    """Waits until a file, or all files of a folder, are on the disk, so that no rename outruns its data."""
    for file in [path] if path.is_file() else filter(Path.is_file, path.rglob("*")):
        with open(file, "rb") as handle:
            os.fsync(handle.fileno())


# npz: one array per field of `Demonstrations`, and `format_version`.


def _write_npz(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    arrays = {name: np.asarray(getattr(demonstrations, name)) for name in FIELDS}
    with open(path, "wb") as file:  # given a name, NumPy would append its own suffix to ".NPZ"
        np.savez_compressed(file, format_version=np.int64(NPZ_VERSION), **arrays)


def _read_npz(name: str, spec: EnvSpec | None) -> Demonstrations:
    with open(name, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ImitaxError("found no zip archive, or one that is cut off; expected the .npz of imitax.")
        with zipfile.ZipFile(file) as archive:
            _check_npz_sizes(archive)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            if missing := sorted({"format_version", *FIELDS} - set(arrays)):
                raise ImitaxError(f"found the keys {sorted(arrays)}; expected {', '.join(missing)} as well.")
            if (version := arrays["format_version"]).shape != () or version != NPZ_VERSION:
                raise ImitaxError(f"found format_version {_brief(version)}; expected {NPZ_VERSION}.")
            content = {name: arrays[name] for name in FIELDS}
    if content["env_id"].shape != () or content["env_id"].dtype.kind != "U":
        raise ImitaxError(f"found env_id {_brief(content['env_id'])}; expected one text.")
    return Demonstrations(**{**content, "env_id": str(content["env_id"])})


def _check_npz_sizes(archive: zipfile.ZipFile) -> None:
    """Refuses arrays whose headers claim what the archive cannot hold, before anything is allocated."""
    total = 0
    for info in archive.infolist():
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            if version != (1, 0):  # what NumPy writes for plain arrays; later ones allow huge headers
                raise ImitaxError(f"found {info.filename} in npy version {version}; expected (1, 0).")
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.hasobject:
            raise ImitaxError(f"found pickled objects in {info.filename}; expected plain numbers.")
        claimed = math.prod(shape) * dtype.itemsize
        total += claimed
        room = min(info.file_size, MAX_DEFLATE * (info.compress_size + 1))
        if claimed > room or total > MAX_BYTES:
            most = min(room, MAX_BYTES)
            raise ImitaxError(f"found {claimed} bytes claimed by {info.filename}; expected at most {most}.")


# JSON of the original system: flat lists `state`, `action`, `done` over all steps of all trajectories, where
# each state and action is {"__ndarray__": data, "dtype": name, "shape": sizes}. That system read it with a
# library that can be told by the file to build arbitrary objects; here it is plain data.


def _write_json(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """Adds one key that the original reader ignores, `imitax`, with what the format has no place for."""
    size = demonstrations.observations.shape[1]
    if demonstrations.actions.ndim == 1:
        kind = {"dtype": "int64", "shape": []}
    else:
        kind = {"dtype": "float32", "shape": [demonstrations.actions.shape[1]]}
    done = np.zeros(demonstrations.pairs, bool)
    done[demonstrations.starts + demonstrations.lengths - 1] = True
    content = {
        "state": [
            {"__ndarray__": row, "dtype": "float64", "shape": [size]}
            for row in demonstrations.observations.astype(np.float64).tolist()
        ],
        "action": [{"__ndarray__": value, **kind} for value in demonstrations.actions.tolist()],
        "done": done.tolist(),
        "imitax": {
            "episode_steps": demonstrations.episode_steps.tolist(),
            "terminated": demonstrations.terminated.tolist(),
            "returns": [None if math.isnan(value) else value for value in demonstrations.returns.tolist()],
            "env_id": demonstrations.env_id,
        },
    }
    path.write_text(json.dumps(content, allow_nan=False), encoding="utf-8")


def _read_json(name: str, spec: EnvSpec | None) -> Demonstrations:
    """Without the key `imitax`, episodes shorter than the limit of `spec` terminated; without `spec`, all."""
    content = json.loads(Path(name).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ImitaxError(f"found {_brief(content)}; expected an object with state, action and done.")
    for key in ("state", "action", "done"):
        if key not in content:
            raise ImitaxError(f"found the keys {_brief(sorted(content))}; expected {key} as well.")
        if not isinstance(content[key], list) or not content[key]:
            raise ImitaxError(f"found {key} = {_brief(content[key])}; expected a list, one entry per step.")
    state, action, done = (content[key] for key in ("state", "action", "done"))
    if not len(state) == len(action) == len(done):
        found = f"{len(state)} states, {len(action)} actions and {len(done)} done flags"
        raise ImitaxError(f"found {found}; expected as many of each.")
    for index, value in enumerate(done):
        if not isinstance(value, bool):
            raise ImitaxError(f"found done[{index}] = {_brief(value)}; expected true or false.")
    if not done[-1]:
        raise ImitaxError("found false at the end of done; expected true on each trajectory's last step.")
    lengths = np.diff(np.flatnonzero(done), prepend=-1)
    episode = {
        "episode_steps": lengths,
        "terminated": np.ones(len(lengths), bool) if spec is None else lengths < spec.time_limit,
        "returns": np.full(len(lengths), np.nan),
        "env_id": "",
    }
    if "imitax" in content:
        episode = _json_extras(content["imitax"], episode)
    return Demonstrations(_json_rows("state", state), _json_rows("action", action), lengths, **episode)


def _json_rows(key: str, entries: list[Any]) -> np.ndarray:
    """Float64 [N, size], or int64 [N] where actions are single integers."""
    single = key == "action" and isinstance(entries[0], dict) and entries[0].get("shape") == []
    dtypes, types = (JSON_INTEGERS, (int,)) if single else (JSON_FLOATS, (int, float))
    rows = []
    for index, entry in enumerate(entries):
        parts = entry if isinstance(entry, dict) else {}
        data = parts.get("__ndarray__")
        row = data if isinstance(data, list) else [data]
        size = len(rows[0] if rows else row)
        shape = [] if single else [size]
        fits = len(row) == size and parts.get("shape") == shape and parts.get("dtype") in dtypes
        if not fits or isinstance(data, list) == single or any(type(number) not in types for number in row):
            what = f"{'an integer' if single else 'floats'}, a dtype like {dtypes[0]}, and the shape {shape}"
            raise ImitaxError(f"found {key}[{index}] = {_brief(entry)}; expected {what}.")
        rows.append(row)
    array = np.array(rows, np.int64 if single else np.float64)
    return array[:, 0] if single else array


def _json_extras(extras: Any, defaults: dict[str, Any]) -> dict[str, Any]:
    fits = isinstance(extras, dict) and set(extras) == set(defaults)
    if not fits or not isinstance(extras["returns"], list):
        raise ImitaxError(f"found imitax = {_brief(extras)}; expected lists of {', '.join(defaults)}.")
    returns = [math.nan if value is None else value for value in extras["returns"]]
    arrays = {key: np.asarray(extras[key]) for key in ("episode_steps", "terminated")}
    return {**arrays, "returns": np.asarray(returns), "env_id": extras["env_id"]}


# Minari: an episode has T actions and T + 1 observations, of which the last one belongs to no pair.


def _write_minari(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """A folder that `minari.MinariDataset(path)` opens.

    We have pairs only, so the last observation of each episode is written twice. The rewards of single
    steps are not known either: the episode's return stands on its last step, 0 on the others, NaN where it
    is unknown. Without `spec` the action space is no more than what was seen: Discrete(largest + 1),
    or an unbounded Box. `episode_steps` and the environment's id go to the metadata, key `imitax`.
    """
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    observation_space, action_space = _gymnasium_spaces(demonstrations, spec)
    storage = MinariStorage.new(
        path, observation_space, action_space, env_spec=_registered(demonstrations.env_id), data_format="hdf5"
    )
    buffers = []
    for episode, pairs in enumerate(demonstrations.episodes()):
        observations, actions = demonstrations.observations[pairs], demonstrations.actions[pairs]
        last = np.arange(len(actions)) == len(actions) - 1
        buffers.append(
            EpisodeBuffer(
                observations=np.concatenate([observations, observations[-1:]]),
                actions=actions,
                rewards=np.where(last, demonstrations.returns[episode], 0.0),
                terminations=last & demonstrations.terminated[episode],
                truncations=last & ~demonstrations.terminated[episode],
            )
        )
    storage.update_episodes(buffers)
    task = re.sub(r"[^A-Za-z0-9_]+", "-", demonstrations.env_id).strip("-").lower() or "unknown"
    extras = {"episode_steps": demonstrations.episode_steps.tolist(), "env_id": demonstrations.env_id}
    storage.update_metadata(
        {"dataset_id": f"imitax/{task}-v0", "minari_version": minari.__version__, "imitax": extras}
    )


def _gymnasium_spaces(demonstrations: Demonstrations, spec: EnvSpec | None) -> tuple[Any, Any]:
    from gymnasium import spaces

    actions = demonstrations.actions
    observation_space = spaces.Box(-np.inf, np.inf, demonstrations.observations.shape[1:], np.float32)
    if actions.ndim == 1:
        seen = Discrete(int(actions.max()) + 1)
    else:
        seen = Box((-math.inf,) * actions.shape[1], (math.inf,) * actions.shape[1])
    known = seen if spec is None else spec.action_space
    if isinstance(known, Discrete):
        return observation_space, spaces.Discrete(known.n)
    low, high = np.array(known.low, np.float32), np.array(known.high, np.float32)
    return observation_space, spaces.Box(low, high, dtype=np.float32)


def _registered(env_id: str) -> Any | None:
    """Gymnasium's own spec of this environment, if it has one that can be written as JSON."""
    import gymnasium

    try:
        gymnasium.registry[env_id].to_json()
    except (KeyError, TypeError, ValueError):
        return None
    return gymnasium.registry[env_id]


def _read_minari(name: str, spec: EnvSpec | None) -> Demonstrations:
    """terminated is the last step's flag, the return is the sum of the rewards."""
    import minari

    folder, metadata = _minari_folder(name)
    dataset = minari.MinariDataset(folder)
    _check_minari_spaces(dataset.observation_space, dataset.action_space)
    discrete = dataset.action_space.shape == ()
    episodes, terminated, returns = [], [], []
    for episode in dataset.iterate_episodes():
        steps = len(episode.rewards)
        found = (len(episode.observations), len(episode.actions), steps, len(episode.terminations))
        if steps == 0 or found != (steps + 1, steps, steps, steps):
            raise ImitaxError(
                f"found {found} observations, actions, rewards and terminations in episode {episode.id}; "
                "expected T + 1, T, T and T, with T at least 1."
            )
        actions = episode.actions if discrete else np.asarray(episode.actions, np.float64)
        episodes.append((episode.observations[:-1], actions))
        terminated.append(bool(episode.terminations[-1]))
        returns.append(float(np.sum(episode.rewards, dtype=np.float64)))
    env_id = dataset.env_spec.id if dataset.env_spec is not None else ""
    demonstrations = Demonstrations.from_episodes(
        episodes, terminated=terminated, returns=returns, env_id=env_id
    )
    if "imitax" not in metadata:
        return demonstrations
    extras = metadata["imitax"]
    if not isinstance(extras, dict) or set(extras) != {"episode_steps", "env_id"}:
        raise ImitaxError(f"found imitax = {_brief(extras)}; expected episode_steps and env_id.")
    return replace(demonstrations, episode_steps=np.asarray(extras["episode_steps"]), env_id=extras["env_id"])


def _minari_folder(name: str) -> tuple[Path, dict[str, Any]]:
    """Where the data of a folder or of a `minari:` name lie, and their metadata."""
    from minari.dataset.minari_storage import MinariStorage
    from minari.storage import get_dataset_path

    folder = Path(name)
    if name.startswith(MINARI_PREFIX):
        dataset_id = name.removeprefix(MINARI_PREFIX)
        folder = Path(get_dataset_path(dataset_id))
        if not dataset_id or not folder.is_dir():
            raise ImitaxError(f"found no such dataset on this machine; try 'minari download {dataset_id}'.")
    if (folder / "data" / "metadata.json").is_file():
        folder = folder / "data"
    if not (folder / "metadata.json").is_file():
        raise ImitaxError("found a folder without metadata.json; expected a Minari dataset.")
    metadata = MinariStorage.read_raw_metadata(folder)
    for key in ("observation_space", "action_space"):
        if key not in metadata:  # Minari would make the environment that the file names, whatever that runs
            raise ImitaxError(f"found no {key} in metadata.json; expected the dataset to state its spaces.")
    _check_minari_sizes(folder, metadata)
    return folder, metadata


def _check_minari_sizes(folder: Path, metadata: dict[str, Any]) -> None:
    """Refuses claims that would fill the memory; one damaged byte is enough for them."""
    stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if type(episodes := metadata["total_episodes"]) is not int or not 1 <= episodes <= stored:
        raise ImitaxError(f"found total_episodes = {_brief(episodes)}; expected 1 or more, with their data.")
    if metadata["data_format"] != "hdf5":
        return
    import h5py

    sizes = []
    with h5py.File(folder / "main_data.hdf5") as file:
        file.visititems(lambda _, item: sizes.append(item.nbytes if isinstance(item, h5py.Dataset) else 0))
    if sum(sizes) > MAX_BYTES:
        raise ImitaxError(f"found {sum(sizes)} bytes claimed by the arrays; expected at most {MAX_BYTES}.")


def _check_minari_spaces(observation_space: Any, action_space: Any) -> None:
    from gymnasium import spaces

    if not isinstance(observation_space, spaces.Box) or len(observation_space.shape) != 1:
        raise ImitaxError(f"found observations {_brief(observation_space)}; expected a 1-D Box.")
    vector = isinstance(action_space, spaces.Box) and len(action_space.shape) == 1
    if not vector and not (isinstance(action_space, spaces.Discrete) and action_space.start == 0):
        raise ImitaxError(f"found actions {_brief(action_space)}; expected Discrete from 0, or 1-D Box.")


READERS = {"npz": _read_npz, "json": _read_json, "minari": _read_minari}
WRITERS = {"npz": _write_npz, "json": _write_json, "minari": _write_minari}
