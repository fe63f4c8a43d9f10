"""A trained policy as a plain callable on numpy input."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from imitax.core.acting import memoryless_output
from imitax.core.compiling import jit
from imitax.core.normaliser import normalise_observation
from imitax.core.spaces import is_index, same_structure, size, to_environment
from imitax.errors import ImitaxError
from imitax.networks import parameter_count
from imitax.types import EnvSpec, Learner, Params, Policy


def choose_action(spec: EnvSpec, policy: Policy, params: Params, normaliser, obs, key, deterministic):
    """Agent-unit actions for raw observations [B, …]; `deterministic` may be traced."""
    output = network_output(spec, policy, params, normaliser, obs)
    pi = policy.distribution
    return jnp.where(deterministic, pi.mode(output), pi.sample(output, key))


def network_output(spec: EnvSpec, policy: Policy, params: Params, normaliser, obs) -> PyTree:
    """The distribution's parameters [B, …] for raw observations [B, …]."""
    obs = normalise_observation(spec.observation, normaliser, obs)
    return memoryless_output(policy, params, obs, jax.tree.leaves(obs)[0].shape[0])


@lru_cache(maxsize=64)
def _programs(spec: EnvSpec, policy: Policy) -> tuple[Callable, Callable]:
    """Compiled: environment-unit actions, and parameters of the distribution."""

    def action(params, normaliser, obs, key, deterministic):
        chosen = choose_action(spec, policy, params, normaliser, obs, key, deterministic)
        return to_environment(spec.action, chosen)

    def output(params, normaliser, obs):
        return network_output(spec, policy, params, normaliser, obs)

    return jit(action), jit(output)


class TrainedPolicy:
    """`policy(observation) -> action`: deterministic, numpy in and out, one observation [O] or many [N, O].

    Actions are in environment units: an int (or ints [N]) for Discrete, floats [A] (or [N, A]) for Box.
    """

    def __init__(self, spec: EnvSpec, family: Policy, params: Params, normaliser: PyTree):
        self.spec = spec
        self.family = family
        self.params = params
        self.normaliser = normaliser
        self._apply, self._output = _programs(spec, family)
        self._key = jax.random.key(0)

    def __call__(self, observation: np.ndarray) -> np.ndarray | int:
        return self._act(observation, self._key, True)

    def distribution(self, observations: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters of what actions are drawn from, for observations [N, O].

        Discrete: logits [N, n]. Box: mean and log_std [N, A] of the action scaled so that its bounds are ±1,
        before it is clipped.
        """
        obs = self._checked(observations)
        output = self._output(self.params, self.normaliser, np.atleast_2d(obs))
        names = self.family.distribution.parameters
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
        from imitax.policies.storage import save_policies

        save_policies([self], Path(path))

    def _checked(self, observation) -> np.ndarray:
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
    return [TrainedPolicy(spec, family, *jax.tree.map(lambda x, i=i: x[i], trees)) for i in range(count)]


def stack(policies: list[TrainedPolicy]) -> tuple[Params, PyTree]:
    """(parameters, normalisers) of policies of one family, with a leading axis."""
    trees = [(policy.params, policy.normaliser) for policy in policies]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def check_policy(policy: TrainedPolicy, spec: EnvSpec) -> None:
    """`ImitaxError` if the policy is for other observations or actions."""
    own = policy.spec
    if not same_structure(own.observation, spec.observation) or own.action != spec.action:
        raise ImitaxError(
            f"The policy is for '{own.id}' with {size(own.observation)} observations and {own.action}, but "
            f"'{spec.id}' has {size(spec.observation)} and {spec.action}."
        )
