"""A trained policy as a plain callable on NumPy input, and its file."""

import os
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree
from numpy.typing import ArrayLike

from imitax.core.acting import is_recurrent, memoryless_output
from imitax.core.compiling import jit
from imitax.core.normaliser import empty_normaliser, normalise_observation
from imitax.core.spaces import (
    describe,
    is_index,
    parse,
    same_structure,
    size,
    to_environment,
    vector,
)
from imitax.errors import ImitaxError, brief_text, one_line
from imitax.files.read import parse_json, read_tensors, read_text
from imitax.files.write import write_json, write_whole
from imitax.networks import mlp_policy, parameter_count
from imitax.policies.tensors import from_tensors, to_tensors
from imitax.types import EnvSpec, Learner, Params, Policy


def choose_action(policy: Policy, output: PyTree, key, deterministic):
    """Agent-unit actions from the distribution's parameters; `deterministic` may be traced."""
    pi = policy.distribution
    return jnp.where(deterministic, pi.mode(output), pi.sample(output, key))


@lru_cache(maxsize=64)
def _programs(spec: EnvSpec, policy: Policy) -> tuple[Callable, Callable]:
    """Compiled: environment-unit actions, and parameters of the distribution."""

    def output(params, normaliser, obs):
        obs = normalise_observation(spec.observation, normaliser, obs)
        return memoryless_output(policy, params, obs, len(obs))

    def action(params, normaliser, obs, key, deterministic):
        chosen = choose_action(policy, output(params, normaliser, obs), key, deterministic)
        return to_environment(spec.action, chosen)

    return jit(action), jit(output)


class TrainedPolicy:
    """`policy(observation) -> action`: deterministic, numpy in and out, one observation [O] or
    many [N, O].

    Actions are in environment units: an int (or ints [N]) for Discrete, floats [A] (or [N, A]) for
    Box.
    """

    def __init__(self, spec: EnvSpec, family: Policy, params: Params, normaliser: PyTree):
        self.spec = spec
        self.family = family
        self.params = params
        self.normaliser = normaliser
        self._apply, self._output = _programs(spec, family)
        self._key = jax.random.key(0)

    def __call__(self, observation: ArrayLike) -> np.ndarray | int:
        return self._act(observation, self._key, True)

    def distribution(self, observations: ArrayLike) -> dict[str, np.ndarray]:
        """Parameters of what actions are drawn from, for observations [N, O].

        Discrete: logits [N, n]. Box: mean and log_std [N, A] of the action scaled so that its
        bounds are ±1, before it is clipped.
        """
        obs = self._checked(observations)
        output = self._output(self.params, self.normaliser, np.atleast_2d(obs))
        names = self.family.distribution.parameters
        return dict(
            zip(names, map(np.asarray, output if len(names) > 1 else (output,)), strict=True)
        )

    def sampler(self, seed: int = 0) -> Callable[[np.ndarray], np.ndarray | int]:
        """The stochastic policy as a callable of the same form, with its own stream of random
        numbers.
        """
        key = jax.random.key(seed)

        def act(observation):
            nonlocal key
            key, use = jax.random.split(key)
            return self._act(observation, use, False)

        return act

    def save(self, path: str | os.PathLike) -> None:
        """Write the policy to `path` (.safetensors) and its description beside it; see
        `load_policy`.
        """
        save_policies([self], Path(path))

    def _checked(self, observation) -> np.ndarray:
        if is_recurrent(self.family):
            raise ImitaxError(
                f"The policy for '{self.spec.id}' has a memory, so one observation does not "
                "determine its action: play whole episodes (imitax.evaluate, imitax.record)."
            )
        obs = np.asarray(observation, np.float32)
        length = size(self.spec.observation)
        if obs.ndim == 0 or obs.shape[-1] != length or obs.ndim > 2:
            raise ImitaxError(
                f"Observation has shape {obs.shape}: the policy for '{self.spec.id}' expects "
                f"({length},) or (N, {length})."
            )
        return obs

    def _act(self, observation, key, deterministic):
        obs = self._checked(observation)
        rows = np.atleast_2d(obs)
        action = np.asarray(self._apply(self.params, self.normaliser, rows, key, deterministic))
        if obs.ndim == 2:
            return action
        return int(action[0]) if is_index(self.spec.action) else action[0]

    def __repr__(self) -> str:
        return f"TrainedPolicy({self.spec.id}, {parameter_count(self.params):,} parameters)"


def policies_of(spec: EnvSpec, family: Policy, learner: Learner) -> list[TrainedPolicy]:
    """One policy for each seed of a learner whose leaves have a leading seed axis."""
    trees = learner.policy, learner.normaliser
    count = jax.tree.leaves(trees)[0].shape[0]
    return [
        TrainedPolicy(spec, family, *jax.tree.map(lambda x, i=i: x[i], trees)) for i in range(count)
    ]


def stack(policies: list[TrainedPolicy]) -> tuple[Params, PyTree]:
    """(parameters, normalisers) of policies of one family, with a leading axis."""
    trees = [(policy.params, policy.normaliser) for policy in policies]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def check_policy(policy: TrainedPolicy, spec: EnvSpec) -> None:
    """`ImitaxError` if the policy is for other observations or actions."""
    own = policy.spec
    if not same_structure(own.observation, spec.observation) or own.action != spec.action:
        raise ImitaxError(
            f"The policy is for '{own.id}' with {size(own.observation)} observations and "
            f"{own.action}, but '{spec.id}' has {size(spec.observation)} and {spec.action}."
        )


class _Stored(NamedTuple):
    """What a file holds of a policy; field names are those of its tensors."""

    network: Params
    normaliser: PyTree


def save_policies(policies: list[TrainedPolicy], path: Path) -> None:
    """Write `path` (safetensors; tensors seed0.network.weights.0 …) and a description beside it
    (.json).
    """
    from safetensors.numpy import save

    tensors = {}
    for index, policy in enumerate(policies):
        tensors |= to_tensors(_Stored(policy.params, policy.normaliser), f"seed{index}.")
    spec = policies[0].spec
    description = {
        "what": "policies of imitax: normalise observations with (x - mean) / sqrt(variance), "
        "clip to ±10, then tanh layers x @ weight + bias, linear output: logits (Discrete) or mean "
        "of the action scaled to [-1, 1] (Box)",
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
            name: list(tensor.shape)
            for name, tensor in tensors.items()
            if name.startswith("seed0.")
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
        raise ImitaxError(
            f"Policy file '{path}' or its .json cannot be read: {one_line(error)}."
        ) from error
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
        raise ImitaxError(
            f"found networks of {claimed} parameters described, and {held} in the file"
        )


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ImitaxError(f"found {brief_text(value)} for a size; expected a whole number from 1")
    return value


def _spec(data: dict) -> EnvSpec:
    """The environment of a description; version 0.1.0 has the size of a vector for the
    observations.
    """
    if "observation_size" in data:
        observation, action = vector(_count(data["observation_size"])), parse(data["action_space"])
    else:
        observation, action = parse(data["observation"]), parse(data["action"])
    if not isinstance(data["id"], str) or not data["id"].isprintable():
        raise ImitaxError(f"found {brief_text(data['id'])} for the id of an environment")
    return EnvSpec(data["id"], observation, action, _count(data["time_limit"]))
