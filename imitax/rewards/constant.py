"""The control: a discriminator that never learns, so its reward says nothing about the expert.

What a learner reaches with it is owed to the environment and to the sign of the reward, not to
demonstrations. With absorbing states it is exactly 0.
"""

import jax.numpy as jnp

from imitax.core.losses import reward_form
from imitax.core.settings import setting, settings
from imitax.types import EnvSpec, RewardModel


@settings
class ConstantConfig:
    """Settings of the constant reward."""

    form: str = setting("log_d", "the reward form whose value at D = ½ is the reward")
    absorbing: bool = setting(True, "reward relative to the absorbing state (then 0), or literally")


def constant(spec: EnvSpec, config: ConstantConfig = ConstantConfig()) -> RewardModel:
    """The reward of D = ½ at every step."""
    del spec
    literal = reward_form(config.form)(jnp.zeros(()))
    value = 0.0 if config.absorbing else literal
    return RewardModel(
        init=lambda key: (),
        update=lambda state, expert, policy, key: (state, {}),
        reward=lambda state, t: jnp.full_like(t.reward, value),
    )
