"""A reward that overfits a few pairs is told from one that does not."""

import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.runs.held_out import held_out
from imitax.training.config import make_config
from imitax.training.fit import fit


@pytest.fixture(scope="module")
def shown():
    """Ten short episodes of chance: there is nothing to learn in them but themselves."""
    rng = np.random.default_rng(0)
    episodes = [(rng.normal(size=(12, 4)), rng.integers(2, size=12)) for _ in range(10)]
    return Demonstrations.from_episodes(episodes, terminated=True)


def trained(shown, trajectories, method="gail", **settings):
    small = {"loop.iterations": 3, "loop.env_steps": 64, "loop.max_envs": 8, "agent.hidden": "8"}
    config = make_config(
        method, "CartPole-v1", seeds=2, trajectories=trajectories, overrides=small | settings
    )
    return fit(config, make("CartPole-v1"), shown)


def test_a_discriminator_that_learns_by_heart_prefers_what_it_was_shown(shown):
    by_heart = {"reward.learning_rate": 1e-2, "reward.updates": 300}
    found = held_out(trained(shown, 2, **by_heart), shown)
    assert found["episodes"] == 8 and len(found["preference"]) == 2
    assert min(found["preference"]) > 0.8
    fresh = held_out(
        trained(shown, 2, **{"reward.learning_rate": 1e-4, "reward.updates": 1}), shown
    )
    assert max(fresh["preference"]) < 0.7


def test_there_is_nothing_to_ask_without_episodes_left_out_or_a_learnt_reward(shown):
    assert held_out(trained(shown, None), shown) is None
    assert held_out(trained(shown, 2, "constant"), shown) is None
