"""A trained policy as a plain callable on numpy input, and its file."""

import os
from collections.abc import Callable
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from imitax.core.compiling import jit
from imitax.core.distributions import distribution
from imitax.core.spaces import to_environment
from imitax.core.statistics import Moments, empty_moments, normalise
from imitax.errors import ImitaxError, one_line
from imitax.files.read import LARGEST, parse_json, read_tensors, read_text
from imitax.files.write import write_json, write_whole
from imitax.networks import parameter_count, policy_network
from imitax.policies.tensors import from_tensors, to_tensors
from imitax.types import Box, Discrete, EnvSpec, Learner


class PolicyParams(NamedTuple):
    """Network and observation normaliser: all that acting needs."""

    network: Any
    normaliser: Moments


def agent_action(spec: EnvSpec, params: PolicyParams, obs, key, deterministic):
    """Agent-unit actions for raw observations [B, O]; `deterministic` may be traced."""
    pi = distribution(spec.action_space)
    output = params.network(normalise(params.normaliser, obs))
    return jnp.where(deterministic, pi.mode(output), pi.sample(output, key))


class Policy:
    """`policy(observation) -> action`: deterministic, numpy in and out, one observation [O] or many [N, O].

    Actions are in environment units: an int (or ints [N]) for Discrete, floats [A] (or [N, A]) for Box.
    """

    def __init__(self, spec: EnvSpec, params: PolicyParams):
        self.spec = spec
        self.params = params
        self._apply = jit(
            lambda params, obs, key, deterministic: to_environment(
                spec.action_space, agent_action(spec, params, obs, key, deterministic)
            )
        )
        self._network = jit(lambda params, obs: params.network(normalise(params.normaliser, obs)))
        self._key = jax.random.key(0)

    def __call__(self, observation: np.ndarray) -> np.ndarray | int:
        return self._act(observation, self._key, True)

    def distribution(self, observations: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters of what actions are drawn from, for observations [N, O].

        Discrete: logits [N, n]. Box: mean and log_std [N, A] of the action scaled so that its bounds are ±1,
        before it is clipped.
        """
        obs = self._checked(observations)
        output = self._network(self.params, np.atleast_2d(obs))
        names = ("logits",) if isinstance(self.spec.action_space, Discrete) else ("mean", "log_std")
        return dict(zip(names, map(np.asarray, output if len(names) > 1 else (output,)), strict=True))

    def sampler(self, seed: int = 0) -> Callable[[np.ndarray], np.ndarray | int]:
        """The stochastic policy as a callable of the same form, with its own stream of random numbers."""
        key = jax.random.key(seed)

        def act(observation):
            nonlocal key
            key, use = jax.random.split(key)
            return self._act(observation, use, False)

        return act

    def save(self, path: str | os.PathLike) -> None:
        """Write the policy to `path` (.safetensors) and its description beside it; see `load_policy`."""
        save_policies([self], Path(path))

    def _checked(self, observation) -> np.ndarray:
        obs = np.asarray(observation, np.float32)
        if obs.ndim == 0 or obs.shape[-1] != self.spec.observation_size or obs.ndim > 2:
            raise ImitaxError(
                f"Observation has shape {obs.shape}: the policy for '{self.spec.id}' expects "
                f"({self.spec.observation_size},) or (N, {self.spec.observation_size})."
            )
        return obs

    def _act(self, observation, key, deterministic):
        obs = self._checked(observation)
        action = np.asarray(self._apply(self.params, np.atleast_2d(obs), key, deterministic))
        if obs.ndim == 2:
            return action
        return int(action[0]) if isinstance(self.spec.action_space, Discrete) else action[0]

    def __repr__(self) -> str:
        return f"Policy({self.spec.id}, {parameter_count(self.params.network):,} parameters)"


def policies_of(spec: EnvSpec, learner: Learner) -> list[Policy]:
    """One policy for each seed of a learner whose leaves have a leading seed axis."""
    params = PolicyParams(learner.agent.policy, learner.normaliser)
    count = learner.normaliser.count.shape[0]
    return [Policy(spec, jax.tree.map(lambda x: x[i], params)) for i in range(count)]


def stack(policies: list[Policy]) -> PolicyParams:
    """Parameters of policies of one shape with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *(policy.params for policy in policies))


def save_policies(policies: list[Policy], path: Path) -> None:
    """Write `path` (safetensors; tensors seed0.network.weights.0 …) and a description beside it (.json)."""
    from safetensors.numpy import save as to_bytes

    tensors = {}
    for index, policy in enumerate(policies):
        tensors |= to_tensors(policy.params, f"seed{index}.")
    spec = policies[0].spec
    description = {
        "what": "policies of imitax: normalise observations with (x - mean) / sqrt(variance), clip to ±10, "
        "then tanh layers x @ weight + bias, linear output: logits (Discrete) or mean of the action "
        "scaled to [-1, 1] (Box)",
        "env": {
            **asdict(spec),
            "action_space": {"kind": type(spec.action_space).__name__} | asdict(spec.action_space),
        },
        "hidden": list(_hidden(policies[0].params.network)),
        "seeds": len(policies),
        "parameters_per_seed": parameter_count(policies[0].params.network),
        "tensors": {
            name: list(tensor.shape) for name, tensor in tensors.items() if name.startswith("seed0.")
        },
    }
    write_whole(path, to_bytes(tensors))
    write_json(path.with_suffix(".json"), description)


def load_policies(path: Path) -> list[Policy]:
    """The inverse of `save_policies`; `ImitaxError` if a file is missing or damaged."""
    try:
        description = parse_json(read_text(path.with_suffix(".json")))
        tensors, _ = read_tensors(path)
        spec = _spec(description["env"])
        hidden, seeds = tuple(map(_count, description["hidden"])), _count(description["seeds"])
        _check_values(tensors, seeds, (spec.observation_size, *hidden, spec.action_space.size))
    except FileNotFoundError as error:
        raise ImitaxError(f"Policy file '{error.filename or path}' is missing.") from error
    except Exception as error:
        raise ImitaxError(f"Policy file '{path}' or its .json cannot be read: {one_line(error)}.") from error
    like = PolicyParams(
        policy_network(jax.random.key(0), spec.observation_size, spec.action_space, hidden),
        empty_moments((spec.observation_size,)),
    )
    return [Policy(spec, from_tensors(like, tensors, path, f"seed{index}.")) for index in range(seeds)]


def _hidden(network) -> tuple[int, ...]:
    mean = getattr(network, "mean", network)
    return tuple(weight.shape[1] for weight in mean.weights[:-1])


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
        raise ImitaxError(f"found {value!r:.80} for a size; expected a whole number from 1")
    return value


def _spec(data: dict) -> EnvSpec:
    space = data["action_space"]
    if space["kind"] == "Discrete":
        actions = Discrete(_count(space["n"]))
    else:
        actions = Box(tuple(map(float, space["low"])), tuple(map(float, space["high"])))
        bounds = zip(actions.low, actions.high, strict=True)
        if not all(-LARGEST < low < high < LARGEST for low, high in bounds):
            raise ImitaxError("found bounds of actions that enclose nothing")
    if not isinstance(data["id"], str) or not data["id"].isprintable():
        raise ImitaxError(f"found {data['id']!r:.80} for the id of an environment")
    return EnvSpec(data["id"], _count(data["observation_size"]), actions, _count(data["time_limit"]))
