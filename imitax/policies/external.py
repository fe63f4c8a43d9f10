"""Experts that were not made here: Python functions, and checkpoints of Stable-Baselines3.

An expert is a function from raw observations [N, O] to actions in the environment's units, [N] or
[N, A].
"""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from imitax.core.spaces import is_index, outside, size
from imitax.errors import ImitaxError
from imitax.types import EnvSpec

Expert = Callable[[np.ndarray], np.ndarray]


def checked(expert: Expert, spec: EnvSpec) -> Expert:
    """The expert, whose answers are looked at: `ImitaxError` if one is not an action for each
    observation.
    """
    discrete = is_index(spec.action)
    kinds, wanted = ("iu", "whole numbers") if discrete else ("fiu", "finite numbers")
    below = f" from 0 to {size(spec.action) - 1}" if discrete else ""

    def act(obs: np.ndarray) -> np.ndarray:
        action = np.asarray(expert(obs))
        shape = (len(obs),) if discrete else (len(obs), size(spec.action))
        good = action.shape == shape and action.dtype.kind in kinds and np.isfinite(action).all()
        if good and discrete:
            good = not outside(spec.action, action).any()
        if not good:
            found = (
                f"{action.dtype} {action.shape}"
                if action.shape != shape
                else f"values such as {action[0]}"
            )
            raise ImitaxError(
                f"The expert answered {obs.shape} observations with {found}: expected "
                f"{wanted}{below} of shape {shape}."
            )
        return action

    return act


def function_of(name: str) -> Expert:
    """The function "module:function", from the working folder or from what is installed.

    Raises:
        ImitaxError: there is no such module or function, or the module fails.
    """
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name.isidentifier():
        raise ImitaxError(
            f"Expert 'python:{name}' is not a function's name: expected python:module:function."
        )
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the module is the user's, and may raise what it likes
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ImitaxError(
            f"Module '{module_name}' of the expert cannot be imported ({said})."
        ) from error
    finally:
        sys.path.remove(os.getcwd())
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ImitaxError(f"Module '{module_name}' has no function '{function_name}'.")
    return function


def stable_baselines3(
    path: Path, statistics: Path | None, deterministic: bool, trust: bool, spec: EnvSpec
) -> Expert:
    """The policy of a Stable-Baselines3 or sb3-contrib checkpoint, with its VecNormalize
    statistics.

    Both files hold pickles, which run what they like when they are read.

    Raises:
        ImitaxError: `trust` is not given, the library is not installed, or the file is none of its
            own or for other spaces.
    """
    if not trust:
        raise ImitaxError(
            f"File '{path}' can run any code when it is read, as all checkpoints of "
            "Stable-Baselines3 can: add --trust if you know where it comes from."
        )
    for file in filter(None, (path, statistics)):
        if not file.is_file():
            raise ImitaxError(f"There is no file '{file}'.")
    try:
        from stable_baselines3.common.save_util import load_from_pkl, load_from_zip_file
    except ImportError as error:
        raise ImitaxError(
            f"File '{path}' needs Stable-Baselines3, which is not installed: pip install "
            "stable-baselines3."
        ) from error
    try:
        data, parameters, _ = load_from_zip_file(path, device="cpu")
        spaces = data["observation_space"], data["action_space"]
        options = dict(data.get("policy_kwargs") or {})
        if data.get("use_sde"):
            options["use_sde"] = True
        policy = data["policy_class"](*spaces, lambda _: 0.0, **options)
        policy.load_state_dict(parameters["policy"])
        policy.set_training_mode(False)
        normalise = _normaliser(load_from_pkl(statistics)) if statistics else lambda obs: obs
    except Exception as error:  # an unpickled file fails in ways of its own
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ImitaxError(f"File '{path}' is not a usable checkpoint ({said}).") from error
    if spaces[0].shape != (size(spec.observation),):
        raise ImitaxError(
            f"File '{path}' is a policy for observations of shape {spaces[0].shape}, but "
            f"'{spec.id}' has ({size(spec.observation)},)."
        )
    return lambda obs: policy.predict(normalise(obs), deterministic=deterministic)[0]


def _normaliser(saved) -> Expert:
    moments, width = saved.obs_rms, np.sqrt(saved.obs_rms.var + saved.epsilon)
    if not saved.norm_obs:
        return lambda obs: obs
    return lambda obs: np.clip(
        (obs - moments.mean) / width, -saved.clip_obs, saved.clip_obs
    ).astype(np.float32)
