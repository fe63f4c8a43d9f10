"""The environment's own reward: the loop with this model is plain reinforcement learning."""

from dataclasses import dataclass

from imitax.types import EnvSpec, RewardModel


@dataclass(frozen=True)
class EnvironmentConfig:
    """The true reward has no settings."""


def environment(spec: EnvSpec, config: EnvironmentConfig = EnvironmentConfig()) -> RewardModel:
    """The true reward, undiscounted and unscaled; the only model that reads it."""
    del spec, config
    return RewardModel(
        init=lambda key: (),
        update=lambda state, expert, rollout, key: (state, {}),
        reward=lambda state, rollout: rollout.reward,
    )
