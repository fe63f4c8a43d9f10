"""Maximum causal entropy IRL as a method: settings, and what to fit. Its mathematics is
`tabular/irl.py`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from imitax.core.settings import setting, settings
from imitax.errors import ImitaxError, unknown
from imitax.tabular import irl
from imitax.tabular.mdp import TabularMDP


@settings
class MCEConfig:
    """Settings of maximum causal entropy IRL."""

    reward: str = setting(
        "tabular", "tabular (each pair), state, linear or neural (on features of the environment)"
    )
    hidden: tuple[int, ...] = setting((32,), "units per tanh layer of a neural reward")
    discount: float = setting(
        0.95,
        "below 1; of the occupancy measures that are matched",
        high=math.nextafter(1.0, 0.0),
    )
    l2: float = setting(
        1e-4, "weight of ½‖θ‖²; keeps rewards finite where only infinite ones would match"
    )
    iterations: int = setting(500, "of L-BFGS, at most")
    tolerance: float = setting(1e-6, "of the largest entry of the gradient, at which it stops")


class Planning(NamedTuple):
    """A method that learns a reward and plans with the model of the environment."""

    rewards: Callable[[TabularMDP, int], irl.RewardClass]  # (MDP, seed) -> what is learnt
    # (MDP, expert's occupancy, seed)
    fit: Callable[[TabularMDP, Float[np.ndarray, "S A"], int], irl.Learnt]


def mce_irl(spec: object, config: MCEConfig = MCEConfig()) -> Planning:
    """Maximum causal entropy IRL; `spec` says nothing that the MDP does not."""
    del spec
    if config.reward not in REWARDS:
        raise unknown("reward class", config.reward, REWARDS)

    def rewards(mdp, seed):
        return REWARDS[config.reward](mdp, config, seed)

    def fit(mdp, expert, seed):
        return irl.mce_irl(
            mdp, expert, rewards(mdp, seed), config.l2, config.iterations, config.tolerance
        )

    return Planning(rewards, fit)


def _features(mdp: TabularMDP) -> Float[np.ndarray, "S A F"]:
    if mdp.features is None:
        raise ImitaxError(
            f"'{mdp.name}' has no features for a linear or neural reward: use reward=tabular or "
            "reward=state."
        )
    return mdp.features


REWARDS = {
    "tabular": lambda mdp, config, seed: irl.tabular(mdp),
    "state": lambda mdp, config, seed: irl.tabular(mdp, of_state=True),
    "linear": lambda mdp, config, seed: irl.linear(_features(mdp)),
    "neural": lambda mdp, config, seed: irl.neural(_features(mdp), config.hidden, seed),
}
