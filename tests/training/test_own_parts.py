"""Values in place of names: what is given is what is trained."""

import jax
import jax.numpy as jnp
import pytest

import imitax
from imitax.core.distributions import categorical
from imitax.errors import ImitaxError
from imitax.types import Policy, RewardModel

SHORT = {"steps": 32, "iterations": 1}
SMALL = {"loop.max_envs": 4}


@pytest.fixture(scope="module")
def env():
    return imitax.make("CartPole-v1")


@pytest.fixture(scope="module")
def shown(env):
    """What always pushing the cart to the left looks like."""
    from imitax.training.evaluation import record_constant

    return record_constant(env, 4)


def linear():
    """Logits linear in the observation: parameters unlike those of a multilayer perceptron."""

    def unroll(params, obs, first, carry):
        return obs @ params["matrix"] + params["offset"][None, None], carry

    def init(key):
        return {"matrix": 0.1 * jax.random.normal(key, (4, 2)), "offset": jnp.zeros(2)}

    return Policy(categorical, init, lambda n: (), unroll)


def test_a_clone_is_of_the_policy_that_is_given(env, shown):
    run = imitax.train("bc", env, shown, policy=linear(), iterations=20)
    assert set(run.policy.params) == {"matrix", "offset"}
    assert run.policy(shown.observations[0]) == 0
    assert run.policy.params["offset"][0] > run.policy.params["offset"][1]


def test_so_is_the_one_that_training_starts_from(env, shown):
    options = {"policy": linear(), "init": "bc"}
    settings = SMALL | {
        "loop.warm_up": 0,
        "bc.epochs": 20,
        "reward.hidden": "4",
        "agent.learning_rate": 0,
    }
    begun = imitax.train("gail", env, shown, settings=settings, **options, **SHORT)
    assert set(begun.policy.params) == {"matrix", "offset"}
    assert begun.policy.params["offset"][0] > begun.policy.params["offset"][1]


def test_a_reward_model_of_ones_own_needs_no_demonstrations(env):
    model = RewardModel(
        lambda key: (),
        lambda state, expert, policy, key: (state, {}),
        lambda state, transition: transition.reward,
    )
    run = imitax.train(model, env, settings=SMALL, **SHORT)
    assert run.iterations == 1 and run.demonstrations is None
    with pytest.raises(ImitaxError, match="'bc' learns from demonstrations: give some"):
        imitax.train(model, env, settings=SMALL, init="bc", **SHORT)


@pytest.mark.parametrize(
    "method, part, message",
    [
        ("bc", {"agent": lambda spec, policy: None}, "'bc' has no agent"),
        ("mce_irl", {"policy": linear()}, "'mce_irl' makes a table of probabilities"),
    ],
)
def test_a_part_that_a_method_cannot_use_is_refused(env, shown, method, part, message):
    with pytest.raises(ImitaxError, match=message):
        imitax.train(method, env, shown, **part)
