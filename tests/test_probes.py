"""Probe environments, in which theory says what must be learnt: the smallest that tell which part
is broken.

Episodes of one or two steps, γ = ½. If only the probe of two steps fails, it is discounting or
bootstrapping; if only the one of observation and action, it is credit to actions; and so on. All
probes share one description, so each method compiles one program for all of them.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import imitax
from imitax.agents.critic import predict
from imitax.core.normaliser import normalise_observation
from imitax.core.spaces import vector
from imitax.demonstrations import Demonstrations
from imitax.envs.base import HostBatch, HostEnv, NativeEnv
from imitax.types import Box, Discrete, EnvSpec, Step

ACTIONS = {"discrete": Discrete(2), "box": Box(-1.0, 1.0, (1,))}
SPECS = {name: EnvSpec(f"Probe {name}", vector(1), space, 10) for name, space in ACTIONS.items()}


class Probe(NamedTuple):
    """Observations are −1 or 1 at random where `varied`, else the step within the episode, 0 or
    1.
    """

    varied: bool
    length: int  # steps, after which it terminates
    reward: Callable  # (observation [B], step [B], match [B]) -> [B]
    target: Callable = lambda obs: 0.5 + 0.0 * obs  # the best action: a half, or 1 of {0, 1}


PROBES = {
    "constant": Probe(False, 1, lambda obs, step, match: 1.0 + 0.0 * obs),
    "observation": Probe(True, 1, lambda obs, step, match: obs),
    "two steps": Probe(False, 2, lambda obs, step, match: 1.0 * step),
    "action": Probe(False, 1, lambda obs, step, match: match),
    "observation and action": Probe(True, 1, lambda obs, step, match: match, lambda obs: 0.5 * obs),
}


def rewarded(probe, obs, step, action):
    """How good `action` is: 1 for the best and −1 for the other, or less by the squared
    distance.
    """
    best = probe.target(obs)
    if action.ndim == 1:
        match = 1.0 - 2.0 * (action != (best > 0))
    else:
        match = 1.0 - (action[:, 0] - best) ** 2
    return probe.reward(obs, step, match)


@cache
def native(name, actions):
    """The probe as pure functions."""
    probe = PROBES[name]

    def start(key, batch):
        sign = 2.0 * jax.random.bernoulli(key, shape=(batch,)) - 1.0
        return sign if probe.varied else jnp.zeros(batch)

    def reset(key, batch: int):
        obs = start(key, batch)
        return (obs, jnp.zeros(batch, jnp.int32)), obs[:, None]

    def step(state, action, key):
        obs, t = state
        reward = rewarded(probe, obs, t, action)
        over = t + 1 >= probe.length
        led = jnp.where(over, obs, obs + 1.0)
        new = jnp.where(over, start(key, len(obs)), led)
        answer = Step(led[:, None], new[:, None], reward, over, jnp.zeros_like(over))
        return (new, jnp.where(over, 0, t + 1)), answer

    return NativeEnv(SPECS[actions], reset, step)


class Batch(HostBatch):
    """The probe in numpy, all environments at once."""

    def __init__(self, probe, size):
        self.probe, self.size = probe, size

    def start(self):
        sign = self.rng.choice([-1.0, 1.0], self.size)
        return np.float32(sign if self.probe.varied else np.zeros(self.size))

    def reset(self, seeds):
        self.rng = np.random.default_rng([int(seed) for seed in seeds])
        self.obs, self.t = self.start(), np.zeros(self.size, int)
        return self.obs[:, None].copy()

    def step(self, action):
        reward = np.float32(rewarded(self.probe, self.obs, self.t, action))
        over = self.t + 1 >= self.probe.length
        led = np.where(over, self.obs, self.obs + np.float32(1.0))
        self.obs = np.where(over, self.start(), led)
        self.t = np.where(over, 0, self.t + 1)
        return Step(led[:, None], self.obs[:, None].copy(), reward, over, np.zeros_like(over))

    def close(self):
        pass


def host(name, actions):
    """The probe stepped by Python."""
    return HostEnv(SPECS[actions], lambda size: Batch(PROBES[name], size))


HOMES = {"native": native, "host": host}
SIZES = {"loop.env_steps": 256, "loop.max_envs": 64, "agent.hidden": "8", "agent.discount": 0.5}
AGENTS = {
    "ppo": {"agent.learning_rate": 0.03, "agent.final_lr_fraction": 0.1},
    "trpo": {
        "agent.max_kl": 0.05,
        "agent.fisher_every": 1,
        "agent.value_learning_rate": 0.03,
        "agent.value_epochs": 8,
    },
}


def trained(method, env, agent, iterations=15, demonstrations=None, init=None, **settings):
    settings = SIZES | AGENTS[agent] | settings
    return imitax.train(
        method,
        env,
        demonstrations,
        agent=agent,
        init=init,
        iterations=iterations,
        settings=settings,
    )


def values(training, *observations):
    """What the critic expects at these observations."""
    obs = jnp.float32(observations)[:, None]
    learner = jax.tree.map(lambda x: x[0], training.learner)
    obs = normalise_observation(training.spec.observation, learner.normaliser, obs)
    return np.asarray(predict(learner.agent.critic, training.spec.observation, obs))


def chosen(training, *observations):
    """The greedy actions at these observations."""
    return np.asarray(training.policy(np.float32(observations)[:, None])).reshape(-1)


every_home = pytest.mark.parametrize("home", HOMES)
every_agent = pytest.mark.parametrize("agent", AGENTS)
every_space = pytest.mark.parametrize("actions", ACTIONS)


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Most of this module's time is spent compiling; its programs need not be fast ones."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@every_home
@every_agent
def test_a_constant_reward_is_its_own_value(home, agent):
    training = trained("rl", HOMES[home]("constant", "discrete"), agent)
    np.testing.assert_allclose(values(training, 0.0), [1.0], atol=0.05)


@every_home
@every_agent
def test_a_reward_by_observation_is_told_apart(home, agent):
    training = trained("rl", HOMES[home]("observation", "discrete"), agent)
    np.testing.assert_allclose(values(training, -1.0, 1.0), [-1.0, 1.0], atol=0.1)


@every_home
@every_agent
def test_a_reward_one_step_later_is_discounted(home, agent):
    # 0 and then 1: V(second) = 1 and V(first) = γ · 1.
    training = trained("rl", HOMES[home]("two steps", "discrete"), agent)
    np.testing.assert_allclose(values(training, 0.0, 1.0), [0.5, 1.0], atol=0.1)


@every_home
@every_agent
@every_space
def test_the_rewarded_action_is_chosen(home, agent, actions):
    training = trained("rl", HOMES[home]("action", actions), agent)
    if actions == "discrete":
        assert chosen(training, 0.0) == [1]
        # the other one is hardly tried
        np.testing.assert_allclose(values(training, 0.0), [1.0], atol=0.2)
    else:
        np.testing.assert_allclose(chosen(training, 0.0), [0.5], atol=0.15)


@every_home
@every_agent
@every_space
def test_the_action_that_the_observation_asks_for_is_chosen(home, agent, actions):
    training = trained("rl", HOMES[home]("observation and action", actions), agent)
    if actions == "discrete":
        assert chosen(training, -1.0, 1.0).tolist() == [0, 1]
    else:
        np.testing.assert_allclose(chosen(training, -1.0, 1.0), [-0.5, 0.5], atol=0.2)


# Imitation
# ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def demonstrations():
    """Both observations equally often, each with its own action, in episodes of one step."""
    obs = np.float32([[-1.0], [1.0]] * 8)
    episodes = [(row[None], np.array([int(row[0] > 0)])) for row in obs]
    return Demonstrations.from_episodes(episodes, terminated=True, env_id=SPECS["discrete"].id)


IMITATION = {
    "gail": {"reward.hidden": "8", "reward.learning_rate": 0.03},
    # Observation and action are only told by their products: on average each alone is as the
    # expert's.
    "fem": {"reward.products": True},
    "gtal": {"reward.products": True},
}


@pytest.mark.parametrize(
    ("method", "agent", "home"),
    [
        ("gail", "ppo", "native"),
        ("gail", "ppo", "host"),
        ("fem", "ppo", "native"),
        ("gtal", "ppo", "native"),
    ],
)
def test_the_demonstrated_actions_are_learnt(method, agent, home, demonstrations):
    env = HOMES[home]("observation and action", "discrete")
    training = trained(method, env, agent, 20, demonstrations, **IMITATION[method])
    assert chosen(training, -1.0, 1.0).tolist() == [0, 1]
    p = jax.nn.softmax(training.policy.distribution(np.float32([[-1.0], [1.0]]))["logits"])
    assert p[0, 0] > 0.7 and p[1, 1] > 0.7


def test_the_control_learns_nothing():
    # Its reward is exactly 0, so is every advantage, and the policy stays the uniform one that it
    # was.
    training = trained("constant", native("observation and action", "discrete"), "ppo", 5)
    logits = training.policy.distribution(np.float32([[-1.0], [1.0]]))["logits"]
    np.testing.assert_array_equal(logits, np.zeros((2, 2)))


CLONING = {"bc.hidden": "8", "bc.learning_rate": 0.02, "bc.epochs": 60, "bc.patience": 0}


def test_a_clone_does_what_was_demonstrated(demonstrations):
    env = native("observation and action", "discrete")
    training = imitax.train("bc", env, demonstrations, settings=CLONING)
    assert chosen(training, -1.0, 1.0).tolist() == [0, 1]


def test_a_policy_can_start_from_a_clone(demonstrations):
    # One iteration that moves nothing: what the policy does it has from the clone, and waiting
    # kept it.
    still = {"agent.learning_rate": 0.0, "loop.warm_up": 2} | IMITATION["gail"]
    env = native("observation and action", "discrete")
    training = trained("gail", env, "ppo", 1, demonstrations, "bc", **still, **CLONING)
    clone = imitax.train("bc", env, demonstrations, settings=CLONING)
    both = np.float32([[-1.0], [1.0]])
    p, q = (jax.nn.softmax(t.policy.distribution(both)["logits"]) for t in (training, clone))
    assert p[0, 0] > 0.7 and p[1, 1] > 0.7
    np.testing.assert_allclose(p, q, atol=1e-3)
