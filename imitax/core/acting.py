"""Policies applied: to rollouts as they are trained on, and to single transitions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from imitax.types import Carry, Observation, Params, Policy, Transition


def is_recurrent(policy: Policy) -> bool:
    """Whether the policy carries anything from step to step."""
    return bool(jax.tree.leaves(jax.eval_shape(lambda: policy.carry(1))))


def act(
    policy: Policy, params: Params, obs: Observation, first: Bool[Array, "B"], carry: Carry
) -> tuple[PyTree, Carry]:
    """The distribution's parameters [B, …] for one step, and the carry after it; observations are
    normalised.
    """
    obs, first = jax.tree.map(lambda x: x[None], (obs, first))
    output, carry = policy.unroll(params, obs, first, carry)
    return jax.tree.map(lambda x: x[0], output), carry


def memoryless_output(policy: Policy, params: Params, obs: Observation, n: int) -> PyTree:
    """The distribution's parameters [N, …] where each observation [N, …] is taken for the first of
    an episode.
    """
    return act(policy, params, obs, jnp.ones(n, bool), policy.carry(n))[0]


def log_prob(policy: Policy, params: Params, transitions: Transition) -> Float[Array, "*n"]:
    """log π(a | s) of every transition on its own.

    A recurrent policy is asked without its memory: single transitions do not tell what came
    before.
    """
    lead, n = transitions.step.shape, transitions.step.size
    rows = jax.tree.map(
        lambda x: x.reshape(n, *x.shape[len(lead) :]), (transitions.obs, transitions.action)
    )
    output = memoryless_output(policy, params, rows[0], n)
    return policy.distribution.log_prob(output, rows[1]).reshape(lead)


def sequences(policy: Policy, tree: PyTree) -> PyTree:
    """A rollout [T, B] as [L, M] for training: whole sequences where there is a carry, else L = 1
    and M = T · B.
    """
    if is_recurrent(policy):
        return tree
    return jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), tree)
