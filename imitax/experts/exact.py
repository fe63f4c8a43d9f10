"""Experts of tabular environments, computed instead of trained."""

import numpy as np
from jaxtyping import Float

from imitax.core.normaliser import empty_normaliser
from imitax.envs.base import Env
from imitax.errors import ImitaxError
from imitax.methods.mce_irl import MCEConfig
from imitax.networks import mlp_policy, table_network
from imitax.policies.policy import TrainedPolicy
from imitax.tabular import solve
from imitax.training.planning import model_of
from imitax.types import EnvSpec


def exact_expert(
    env: Env, temperature: float, discount: float = MCEConfig().discount
) -> TrainedPolicy:
    """The soft-optimal policy of a tabular environment's true reward; temperature 0: the best
    one.
    """
    if not 0 <= temperature < np.inf:
        raise ImitaxError(f"Option temperature is {temperature}: expected a number of at least 0.")
    mdp = model_of(env, discount)
    if temperature == 0:
        policy = solve.value_iteration(mdp).policy
    else:
        policy = solve.soft_value_iteration(mdp, temperature=temperature).policy
    return table_policy(env.spec, policy)


def table_policy(spec: EnvSpec, probabilities: Float[np.ndarray, "S A"]) -> TrainedPolicy:
    """The policy of a tabular environment that acts with these probabilities."""
    normaliser = empty_normaliser(spec.observation)
    return TrainedPolicy(spec, mlp_policy(spec, ()), table_network(probabilities), normaliser)
