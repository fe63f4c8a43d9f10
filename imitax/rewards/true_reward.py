"""The environment's own reward: the loop with this model is plain reinforcement learning."""

import jax.numpy as jnp

from imitax.core.settings import settings
from imitax.types import EnvSpec, RewardModel


@settings
class TrueRewardConfig:
    """The true reward has no settings."""


def true_reward(spec: EnvSpec, config: TrueRewardConfig = TrueRewardConfig()) -> RewardModel:
    """The true reward, undiscounted and unscaled; the only model that reads it."""
    del spec, config
    return RewardModel(
        init=lambda key: (),
        update=lambda state, expert, policy, key: (state, {}),
        reward=lambda state, t: jnp.asarray(t.reward),
    )
