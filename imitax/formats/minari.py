"""Minari datasets; the only place that imports minari, beside `minari_list`.

An episode there has T actions and T + 1 observations; the last one is where the last action led.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imitax.core.spaces import bounds, size, vector
from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError, brief
from imitax.files.arrays import MAX_BYTES, as_array
from imitax.files.read import MAX_DEFLATE, MAX_TEXT, check_file, parse_json, read_text
from imitax.formats import extras
from imitax.types import EnvSpec

PREFIX = "minari:"
_LONGEST_ID = 200  # characters
_MAX_NUMBERS = 1 << 22  # of a space


def write(demonstrations: Demonstrations, path: Path, spec: EnvSpec | None) -> None:
    """A folder that `minari.MinariDataset(path)` opens.

    Where it is unknown where the last action led, the observation before it is written twice. The
    rewards of single steps are unknown as well: the episode's return stands on its last step, 0 on
    the others, NaN where it is unknown. Without `spec` the action space is no more than what was
    seen: Discrete(largest + 1), or an unbounded Box. What Minari has no place for goes to the
    metadata, key `imitax`.
    """
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    observations, actions = demonstrations.observations, demonstrations.require_actions("Minari")
    observation_space, action_space = _gymnasium_spaces(demonstrations, spec)
    metadata = _metadata(demonstrations)
    following, _ = demonstrations.next_observations()
    storage = MinariStorage.new(
        path.absolute(),  # it joins a relative path to itself
        observation_space,
        action_space,
        env_spec=_registered(demonstrations.env_id),
        data_format="hdf5",
    )
    buffers = []
    for episode, pairs in enumerate(demonstrations.episodes()):
        last = np.arange(pairs.start, pairs.stop) == pairs.stop - 1
        buffers.append(
            EpisodeBuffer(
                observations=np.concatenate(
                    [observations[pairs], following[pairs.stop - 1 : pairs.stop]]
                ),
                actions=actions[pairs],
                rewards=np.where(last, demonstrations.returns[episode], 0.0),
                terminations=last & demonstrations.terminated[episode],
                truncations=last & ~demonstrations.terminated[episode],
            )
        )
    storage.update_episodes(buffers)
    task = re.sub(r"[^A-Za-z0-9_]+", "-", demonstrations.env_id).strip("-").lower() or "unknown"
    storage.update_metadata(
        {
            "dataset_id": f"imitax/{task}-v0",
            "minari_version": minari.__version__,
            "imitax": metadata,
        }
    )


def _metadata(demonstrations: Demonstrations) -> dict[str, Any]:
    """Under the key `imitax`; without next observations it is what version 0.1.0 wrote.

    Of whole episodes Minari itself holds the last observation, and the list `last_known` says
    which of them are true. Of subsampled ones it has no place for what followed each pair.
    """
    content = {
        "episode_steps": demonstrations.episode_steps.tolist(),
        "env_id": demonstrations.env_id,
    }
    last = demonstrations.last_observations
    if (demonstrations.lengths < demonstrations.episode_steps).any():
        content |= extras.to_json(demonstrations)
    elif last is not None:
        content["last_known"] = (~np.isnan(last[:, 0])).tolist()
    if (size := len(json.dumps(content))) > MAX_TEXT:
        raise ImitaxError(
            f"What follows these pairs takes {size} bytes of metadata, which are read up to "
            f"{MAX_TEXT}: use .npz."
        )
    return content


def _gymnasium_spaces(demonstrations: Demonstrations, spec: EnvSpec | None) -> tuple[Any, Any]:
    from gymnasium import spaces

    actions = demonstrations.require_actions("Minari")
    observation_space = spaces.Box(
        -np.inf, np.inf, demonstrations.observations.shape[1:], np.float32
    )
    if actions.ndim == 1:
        return observation_space, spaces.Discrete(
            int(actions.max()) + 1 if spec is None else size(spec.action)
        )
    own = vector(actions.shape[1]) if spec is None else spec.action
    low, high = (bound.astype(np.float32) for bound in bounds(own))
    return observation_space, spaces.Box(low, high, dtype=np.float32)


def _registered(env_id: str) -> Any | None:
    """Gymnasium's own spec of this environment, if it has one that can be written as JSON."""
    import gymnasium

    try:
        gymnasium.registry[env_id].to_json()
    except (KeyError, TypeError, ValueError):
        return None
    return gymnasium.registry[env_id]


def read(name: str, spec: EnvSpec | None) -> Demonstrations:
    """terminated is the last step's flag, the return is the sum of the rewards.

    The last observation of an episode is believed, but in what imitax wrote without knowing it.
    """
    import minari

    folder, metadata = _folder(name)
    dataset = minari.MinariDataset(folder)
    check_spaces(dataset.observation_space, dataset.action_space)
    discrete = dataset.action_space.shape == ()
    episodes, terminated, returns = [], [], []
    for episode in dataset.iterate_episodes():
        steps = len(episode.rewards)
        found = (len(episode.observations), len(episode.actions), steps, len(episode.terminations))
        if steps == 0 or found != (steps + 1, steps, steps, steps):
            raise ImitaxError(
                f"found {found} observations, actions, rewards and terminations in episode "
                f"{episode.id}; expected T + 1, T, T and T, with T at least 1."
            )
        actions = episode.actions if discrete else np.asarray(episode.actions, np.float64)
        # Version 0.1.0 did not look at the last observation: where it is no number, the pairs
        # still count.
        last = np.abs(np.asarray(episode.observations[-1], np.float64))
        is_finite = bool((last <= np.finfo(np.float32).max).all())
        episodes.append((episode.observations[: steps + is_finite], actions))
        terminated.append(bool(episode.terminations[-1]))
        returns.append(float(np.sum(episode.rewards, dtype=np.float64)))
    env_id = dataset.env_spec.id if dataset.env_spec is not None else ""
    demonstrations = Demonstrations.from_episodes(
        episodes, terminated=terminated, returns=returns, env_id=env_id
    )
    if "imitax" not in metadata:
        return demonstrations
    return _with_metadata(demonstrations, metadata["imitax"])


def _with_metadata(demonstrations: Demonstrations, content: Any) -> Demonstrations:
    """These pairs with what `_metadata` made of them when they were written."""
    optional = {"last_known", *extras.KEYS}
    if not isinstance(content, dict) or set(content) - optional != {"episode_steps", "env_id"}:
        raise ImitaxError(f"found imitax = {brief(content)}; expected episode_steps and env_id.")
    # Version 0.1.0 wrote each episode's last observation twice, and so does this one where it does
    # not know better. Repetition alone proves nothing: an environment may stand still at a wall.
    last = demonstrations.last_observations if "last_known" in content else None
    if last is not None:
        last_known = as_array("last_known", content["last_known"], "b", "booleans", (len(last),))
        last = np.where(last_known[:, None], last, np.nan)
    following = {"last_observations": last}
    following |= extras.from_json(content, demonstrations.observations.shape[1])
    return replace(
        demonstrations,
        episode_steps=np.asarray(content["episode_steps"]),
        env_id=content["env_id"],
        **following,
    )


def _folder(name: str) -> tuple[Path, dict[str, Any]]:
    """Where the data of a folder or of a `minari:` name lie, and their metadata."""
    from minari.storage import get_dataset_path

    folder = Path(name)
    if name.startswith(PREFIX):
        dataset_id = name.removeprefix(PREFIX)
        folder = Path(get_dataset_path(dataset_id))
        if not dataset_id or not folder.is_dir():
            raise ImitaxError(
                "found no such dataset on this machine; `imitax demos list` shows what there is, "
                f"`minari download {dataset_id}` gets it (pip install 'imitax[minari]')."
            )
    if (folder / "data" / "metadata.json").is_file():
        folder = folder / "data"
    if not (folder / "metadata.json").is_file():
        raise ImitaxError("found a folder without metadata.json; expected a Minari dataset.")
    metadata = parse_json(read_text(folder / "metadata.json"))
    if not isinstance(metadata, dict):
        raise ImitaxError(f"found {brief(metadata)} in metadata.json; expected an object.")
    for key in ("observation_space", "action_space"):
        # Minari would make the environment that the file names, whatever that runs
        if key not in metadata:
            raise ImitaxError(
                f"found no {key} in metadata.json; expected the dataset to state its spaces."
            )
    check_metadata(metadata)
    _check_sizes(folder, metadata)
    return folder, metadata


def check_metadata(metadata: dict[str, Any]) -> None:
    """Refuses what Minari would take too long, or too much memory, to understand."""
    name = metadata.get("dataset_id")
    # its pattern takes quadratic time on long ones
    if not isinstance(name, str) or len(name) > _LONGEST_ID:
        raise ImitaxError(
            f"found dataset_id = {brief(name)}; expected at most {_LONGEST_ID} characters."
        )
    for key in ("observation_space", "action_space"):
        if not isinstance(text := metadata.get(key), str):
            raise ValueError(f"{key} is {brief(text)}, no JSON text")
        _check_space(key, parse_json(text))


def _check_space(key: str, described: Any) -> None:
    """That a described space, and those within it, claim no more numbers than a real one has."""
    inner = described.values() if isinstance(described, dict) else described
    if isinstance(described, dict) and "shape" in described:
        shape = described["shape"]
        whole = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
        if not whole or math.prod(shape) > _MAX_NUMBERS:
            raise ImitaxError(
                f"found {key} of the shape {brief(shape)}; expected at most {_MAX_NUMBERS} numbers."
            )
    if isinstance(inner, Iterable) and not isinstance(inner, str):
        for part in inner:
            _check_space(key, part)


def _check_sizes(folder: Path, metadata: dict[str, Any]) -> None:
    """Refuses claims that would fill the memory; one damaged byte is enough for them."""
    stored = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if type(episodes := metadata["total_episodes"]) is not int or not 1 <= episodes <= stored:
        raise ImitaxError(
            f"found total_episodes = {brief(episodes)}; expected 1 or more, with their data."
        )
    if metadata["data_format"] != "hdf5":
        return
    import h5py

    check_file(folder / "main_data.hdf5")
    with h5py.File(folder / "main_data.hdf5") as file:
        claimed = _claimed(file, set())
    if claimed > MAX_BYTES:
        raise ImitaxError(
            f"found {claimed} bytes claimed by the arrays; expected at most {MAX_BYTES}."
        )


def _claimed(group: Any, seen: set[int]) -> int:
    """Bytes of all arrays below an HDF5 group; refuses what is there twice, or in another file."""
    import h5py

    total = 0
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ImitaxError(
                f"found the link {brief(name)}; expected arrays within main_data.hdf5."
            )
        item = group[name]
        if (
            place := h5py.h5o.get_info(item.id).addr
        ) in seen:  # a group within itself, or a copy that costs nothing
            raise ImitaxError(f"found {brief(name)} under two names; expected each array once.")
        seen.add(place)
        if isinstance(item, h5py.Group):
            total += _claimed(item, seen)
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ImitaxError(
                    f"found {brief(name)} in another file; expected it in main_data.hdf5."
                )
            if item.nbytes > MAX_DEFLATE * (item.id.get_storage_size() + 1):
                raise ImitaxError(
                    f"found {item.nbytes} bytes claimed by {brief(name)}; expected what is stored."
                )
            total += item.nbytes
    return total


def check_spaces(observation_space: Any, action_space: Any) -> None:
    """`ImitaxError` unless observations are vectors, and actions vectors or indices."""
    from gymnasium import spaces

    if not isinstance(observation_space, spaces.Box) or len(observation_space.shape) != 1:
        raise ImitaxError(f"found observations {brief(observation_space)}; expected a 1-D Box.")
    vector = isinstance(action_space, spaces.Box) and len(action_space.shape) == 1
    if not vector and not (isinstance(action_space, spaces.Discrete) and action_space.start == 0):
        raise ImitaxError(
            f"found actions {brief(action_space)}; expected Discrete from 0, or 1-D Box."
        )
