"""What is easily wrong with continuous actions, on an environment that keeps a record of what it
was told.
"""

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium import spaces

from imitax import Demonstrations, evaluate, make, train
from imitax.core.spaces import encode, executed, to_environment
from imitax.core.statistics import normalise
from imitax.training.data import expert_sample

LOW, HIGH = np.array([-3.0, 0.0], np.float32), np.array([1.0, 0.5], np.float32)
LENGTH, PAID = 10, 7.25


class Recorder(gymnasium.Env):
    """Episodes of 10 steps, each worth 7.25 whatever is done; observations far from 0 and from
    unit scale.
    """

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    action_space = spaces.Box(LOW, HIGH)
    executed: list = []  # noqa: RUF012  (of all instances)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._step = 0
        return self._look(), {}

    def step(self, action):
        assert self.action_space.contains(action), action  # inside the bounds, and of their type
        self.executed.append(np.array(action))
        self._step += 1
        return self._look(), PAID, False, self._step == LENGTH, {}

    def _look(self):
        return self.np_random.normal((1000.0, -5.0, 0.0), (300.0, 0.01, 1.0))


@pytest.fixture(scope="module")
def shown():
    rng = np.random.default_rng(0)
    episodes = [
        (
            rng.normal((900.0, -5.0, 0.0), (300.0, 0.01, 1.0), (LENGTH, 3)),
            rng.uniform(LOW, HIGH, (LENGTH, 2)),
        )
        for _ in range(4)
    ]
    return Demonstrations.from_episodes(episodes, terminated=False)


@pytest.fixture(scope="module")
def trained(shown):
    """GAIL for three iterations of 40 steps, the rollouts that it saw, and what was executed in
    each.
    """
    from imitax.training.config import make_config
    from imitax.training.fit import fit

    env, rollouts, actions = make(Recorder, time_limit=LENGTH), [], []
    sizes = {
        "loop.iterations": 3,
        "loop.env_steps": 40,
        "loop.max_envs": 4,
        "agent.hidden": "8",
        "reward.hidden": "8",
    }
    config = make_config("gail", env.spec.id, overrides=sizes, time_limit=LENGTH)

    def note(moment):
        rollouts.append(jax.tree.map(np.asarray, moment.rollout))
        actions.append(np.stack(Recorder.executed).reshape(10, 4, 2))
        Recorder.executed.clear()

    Recorder.executed.clear()
    return env, fit(config, env, shown, [note]), rollouts, actions


def test_the_discriminator_sees_the_action_that_was_executed_on_the_experts_scale(trained, shown):
    env, _, rollouts, actions = trained
    space, clipped = env.spec.action, 0
    for rollout, done in zip(rollouts, actions, strict=True):
        sampled = rollout.action[0]  # of the first seed
        np.testing.assert_array_equal(to_environment(space, sampled), done)
        # (executed − low) / (high − low) · 2 − 1, by hand
        features = encode(space, executed(space, sampled))
        np.testing.assert_allclose(features, (done - LOW) / (HIGH - LOW) * 2 - 1, atol=1e-6)
        clipped += (np.abs(sampled) > 1).sum()
    assert clipped > 10  # or there would be nothing to tell apart
    expert = expert_sample(shown, env.spec).transitions
    np.testing.assert_allclose(
        encode(space, expert.action), (shown.actions - LOW) / (HIGH - LOW) * 2 - 1, atol=1e-6
    )


def test_returns_are_those_of_the_true_reward_unscaled(trained):
    env, run, _, _ = trained
    np.testing.assert_allclose(run.metrics["episode_return"], LENGTH * PAID)
    assert (evaluate(run.policies, env, episodes=3).returns == LENGTH * PAID).all()
    assert np.abs(run.metrics["reward_mean"]).max() < 5  # what it was paid with is another reward


def test_one_normaliser_is_fed_by_expert_and_policy(trained, shown):
    _, run, rollouts, _ = trained
    seen = np.concatenate([shown.observations, *(r.obs[0].reshape(-1, 3) for r in rollouts)])
    moments = jax.tree.map(lambda x: x[0], run.learner.normaliser)
    np.testing.assert_allclose(moments.mean, seen.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(moments.variance), seen.std(axis=0), rtol=1e-2)


def test_evaluation_uses_the_statistics_of_training(trained):
    env, run, rollouts, _ = trained
    learner = jax.tree.map(lambda x: x[0], run.learner)
    obs = rollouts[-1].obs[0].reshape(-1, 3)
    mean, _ = learner.policy(normalise(learner.normaliser, obs))
    np.testing.assert_allclose(run.policy(obs), to_environment(env.spec.action, mean), atol=1e-6)


def test_the_log_deviation_does_not_depend_on_the_state(trained):
    _, run, rollouts, _ = trained
    learner = jax.tree.map(lambda x: x[0], run.learner)
    _, log_std = learner.policy(rollouts[0].obs[0])
    log_std = np.asarray(log_std)
    assert (log_std == log_std[0, 0]).all() and log_std.shape[-1] == 2


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_mujoco_is_trained_on_and_evaluated(backend, rng):
    pytest.importorskip("mujoco")
    if backend == "envpool":
        pytest.importorskip("envpool")
    env = make("Hopper-v5", backend)
    shown = Demonstrations.from_episodes(
        [(rng.normal(size=(20, 11)), rng.uniform(-1, 1, (20, 3)))], terminated=True
    )
    small = {"agent.hidden": "8", "reward.hidden": "8", "agent.epochs": 1, "agent.minibatches": 2}
    run = train("gail", env, shown, iterations=2, steps=64, seeds=2, settings=small)
    assert run.config.backend == backend and run.env_steps == 128
    played = evaluate(run.policies, env, episodes=2)
    assert (
        played.returns.shape == (2, 2)
        and (played.lengths > 1).all()
        and np.isfinite(played.returns).all()
    )
