"""Files of policies: safetensors, and a description beside it as JSON."""

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from imitax.core.normaliser import empty_normaliser
from imitax.core.spaces import describe, parse, size, vector
from imitax.errors import ImitaxError, brief_text, one_line
from imitax.files.read import parse_json, read_tensors, read_text
from imitax.files.write import write_json, write_whole
from imitax.networks import mlp_policy, parameter_count
from imitax.policies.policy import TrainedPolicy
from imitax.policies.tensors import from_tensors, to_tensors
from imitax.types import EnvSpec, Params


class _Stored(NamedTuple):
    """What a file holds of a policy; field names are those of its tensors."""

    network: Params
    normaliser: PyTree


def save_policies(policies: list[TrainedPolicy], path: Path) -> None:
    """Write `path` (safetensors; tensors seed0.network.weights.0 …) and a description beside it (.json)."""
    from safetensors.numpy import save

    tensors = {}
    for index, policy in enumerate(policies):
        tensors |= to_tensors(_Stored(policy.params, policy.normaliser), f"seed{index}.")
    spec = policies[0].spec
    description = {
        "what": "policies of imitax: normalise observations with (x - mean) / sqrt(variance), clip to ±10, "
        "then tanh layers x @ weight + bias, linear output: logits (Discrete) or mean of the action "
        "scaled to [-1, 1] (Box)",
        "env": {
            "id": spec.id,
            "observation": describe(spec.observation),
            "action": describe(spec.action),
            "time_limit": spec.time_limit,
        },
        "hidden": list(_hidden(policies[0].params)),
        "seeds": len(policies),
        "parameters_per_seed": parameter_count(policies[0].params),
        "tensors": {
            name: list(tensor.shape) for name, tensor in tensors.items() if name.startswith("seed0.")
        },
    }
    write_whole(path, save(tensors))
    write_json(path.with_suffix(".json"), description)


def load_policies(path: Path) -> list[TrainedPolicy]:
    """The inverse of `save_policies`; `ImitaxError` if a file is missing or damaged."""
    try:
        description = parse_json(read_text(path.with_suffix(".json")))
        tensors, _ = read_tensors(path)
        spec = _spec(description["env"])
        hidden, seeds = tuple(map(_count, description["hidden"])), _count(description["seeds"])
        _check_values(tensors, seeds, (size(spec.observation), *hidden, size(spec.action)))
    except FileNotFoundError as error:
        raise ImitaxError(f"Policy file '{error.filename or path}' is missing.") from error
    except Exception as error:
        raise ImitaxError(f"Policy file '{path}' or its .json cannot be read: {one_line(error)}.") from error
    family = mlp_policy(spec, hidden)
    shapes = jax.eval_shape(family.init, jax.random.key(0))
    params = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    like = _Stored(params, empty_normaliser(spec.observation))
    stored = [from_tensors(like, tensors, path, f"seed{index}.") for index in range(seeds)]
    return [TrainedPolicy(spec, family, s.network, s.normaliser) for s in stored]


def _hidden(params: Any) -> tuple[int, ...]:
    network = getattr(params, "mean", params)
    if not hasattr(network, "weights"):
        raise ImitaxError(
            "Only policies whose network is a multilayer perceptron can be saved yet, found "
            f"{type(params).__name__}."
        )
    return tuple(weight.shape[1] for weight in network.weights[:-1])


def _check_values(tensors: dict[str, np.ndarray], seeds: int, sizes: tuple[int, ...]) -> None:
    """Refuses numbers that are not finite, and sizes of networks that the file cannot hold."""
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise ImitaxError(f"found numbers that are not finite in {name!r:.80}")
        if name.endswith("normaliser.variance") and tensor.min(initial=0.0) < 0:
            raise ImitaxError(f"found a negative number in {name!r:.80}")
    claimed = seeds * sum((rows + 1) * columns for rows, columns in pairwise(sizes))
    if claimed > (held := sum(tensor.size for tensor in tensors.values())):
        raise ImitaxError(f"found networks of {claimed} parameters described, and {held} in the file")


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ImitaxError(f"found {brief_text(value)} for a size; expected a whole number from 1")
    return value


def _spec(data: dict) -> EnvSpec:
    """The environment of a description; version 0.1.0 has the size of a vector for the observations."""
    if "observation_size" in data:
        observation, action = vector(_count(data["observation_size"])), parse(data["action_space"])
    else:
        observation, action = parse(data["observation"]), parse(data["action"])
    if not isinstance(data["id"], str) or not data["id"].isprintable():
        raise ImitaxError(f"found {brief_text(data['id'])} for the id of an environment")
    return EnvSpec(data["id"], observation, action, _count(data["time_limit"]))
