"""The loop that joins a reward model and an agent: what each sees, what may change, and every combination."""

import dataclasses
import logging
import re
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.statistics import merge_moments, normalise
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.methods.adversarial import act, adversarial
from imitax.methods.registry import AGENTS, METHODS, Kind, build
from imitax.training import fit as training
from imitax.training.config import make_config
from imitax.training.fit import clone_policies, compiled, expert_pairs, fit
from imitax.types import Agent, Box, Discrete, EnvSpec, ExpertPairs, Learner, RewardModel, Transition

SEEDS, ENVS, HORIZON, ITERATIONS = 2, 4, 8, 3
ENV_IDS = ("CartPole-v1", "Pendulum-v1")


@pytest.fixture(scope="module")
def demonstrations():
    """Environment id -> a terminated and a timed-out episode of nonsense."""
    rng = np.random.default_rng(0)

    def nonsense(spec):
        def actions(n):
            if isinstance(spec.action, Discrete):
                return rng.integers(spec.action.n, size=n)
            return rng.uniform(spec.action.low, spec.action.high, size=(n, 1))

        lengths = (20, 30) if spec.id == "CartPole-v1" else (200, 200)
        episodes = [(rng.normal(size=(n, size(spec.observation))), actions(n)) for n in lengths]
        return Demonstrations.from_episodes(episodes, terminated=spec.id == "CartPole-v1", env_id=spec.id)

    return {env_id: nonsense(make(env_id).spec) for env_id in ENV_IDS}


def tiny(method, env_id="CartPole-v1", agent="ppo", seed=0, **overrides):
    """A configuration whose programs every test of this module shares."""
    if not METHODS[method].loop:
        return make_config(
            method, env_id, seeds=SEEDS, seed=seed, overrides={"bc.hidden": "8", "bc.epochs": 2}
        )
    sizes = {
        "loop.iterations": ITERATIONS,
        "loop.env_steps": ENVS * HORIZON,
        "loop.max_envs": ENVS,
        "agent.hidden": "8",
    }
    if method == "gail":
        sizes["reward.hidden"] = "8"
    return make_config(method, env_id, agent=agent, seeds=SEEDS, seed=seed, overrides=sizes | overrides)


@contextmanager
def compilations(caplog):
    """A list with the names of the programs that are compiled meanwhile."""
    names = []
    caplog.clear()
    with caplog.at_level(logging.WARNING), jax.log_compiles():
        yield names
        jax.jit(lambda x: x + 1)(1.0)  # to see that compilations are seen
    logged = (re.match(r"Compiling (?:jit\()?(\S+?)\)? ", r.getMessage()) for r in caplog.records)
    names += [match[1] for match in logged if match]
    assert names.pop() == "<lambda>"


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


def start_of(config, env, demos):
    """The learner that `fit` starts from, its expert pairs, and the compiled program."""
    program = compiled(config, env.spec)
    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS) + config.seed)
    expert = None if demos is None else expert_pairs(demos, env.spec)
    return program.init(jax.vmap(lambda k: jax.random.split(k)[0])(keys), expert), expert, program


def random_rollout(rng, spec):
    """Rollouts [S, T, B] that no environment made."""
    shape = (SEEDS, HORIZON, ENVS)
    ends = rng.random((2, *shape)) < 0.1
    return Transition(
        obs=rng.normal(size=(*shape, size(spec.observation))).astype(np.float32),
        action=rng.integers(2, size=shape).astype(np.int32),
        reward=rng.normal(size=shape).astype(np.float32),
        next_obs=rng.normal(size=(*shape, size(spec.observation))).astype(np.float32),
        terminated=ends[0],
        truncated=ends[1],
        step=rng.integers(100, size=shape).astype(np.int32),
    )


@pytest.fixture(scope="module")
def trained(demonstrations):
    """GAIL with PPO, three iterations."""
    return fit(tiny("gail"), make("CartPole-v1"), demonstrations["CartPole-v1"])


# What each part sees ---------------------------------------------------------------------------------


def spied(spec):
    """The loop around an agent and a model that note what they are given; and the notes."""
    notes = {}

    def noted_act(state, obs, key):
        notes["act"] = obs
        return jnp.zeros(len(obs), jnp.int32)

    def agent_update(state, rollout, key):
        notes["agent"] = rollout
        return state + 1, {"agent_metric": jnp.float32(1.0)}

    def model_update(state, expert, rollout, key):
        notes["model"] = expert, rollout
        return state + 10, {"model_metric": jnp.float32(2.0)}

    def reward(state, rollout):
        notes["reward"] = state, rollout
        return jnp.full_like(rollout.reward, 7.0)

    agent = Agent(lambda key: jnp.int32(0), noted_act, agent_update, agent_update)
    model = RewardModel(lambda key: jnp.int32(0), model_update, reward)
    return adversarial(spec, agent, model), notes


def test_one_normaliser_through_a_cycle_and_the_next_after_it(rng, key):
    spec = EnvSpec("Toy", vector(3), Discrete(2), 100)
    method, notes = spied(spec)
    expert = ExpertPairs(
        jnp.asarray(rng.normal(2.0, 3.0, size=(20, 3)), jnp.float32),
        jnp.zeros(20, jnp.int32),
        jnp.float32(0.5),
    )
    obs, next_obs = (jnp.asarray(rng.normal(5.0, 2.0, size=(6, 4, 3)), jnp.float32) for _ in range(2))
    flags = jnp.zeros((6, 4), bool)
    zeros = jnp.zeros((6, 4))
    rollout = Transition(obs, zeros.astype(int), zeros, next_obs, flags, flags, zeros.astype(int))

    learner = method.init(key, expert)
    before = learner.normaliser  # at the start it is the experts'
    np.testing.assert_allclose(before.mean, expert.obs.mean(0), rtol=1e-5)
    act(method.agent, learner, obs[0], key)
    np.testing.assert_array_equal(notes["act"], normalise(before, obs[0]))

    after, metrics = method.learn(learner, expert, rollout, key)
    seen, done = notes["model"]
    np.testing.assert_array_equal(seen.obs, normalise(before, expert.obs))
    for shown in (done, notes["reward"][1], notes["agent"]):
        np.testing.assert_array_equal(shown.obs, normalise(before, obs))
        np.testing.assert_array_equal(shown.next_obs, normalise(before, next_obs))
    # The reward is that of the model after its update, and the agent is paid with it.
    assert notes["reward"][0] == 10 and after.reward == 10 and after.agent == 1
    np.testing.assert_array_equal(notes["agent"].reward, np.full((6, 4), 7.0))
    assert metrics["agent_metric"] == 1.0 and metrics["model_metric"] == 2.0
    assert metrics["reward_mean"] == 7.0 and metrics["reward_std"] == 0.0
    # Afterwards, and only then, the normaliser has seen the raw observations of the rollout.
    expected = merge_moments(before, obs.reshape(-1, 3))
    assert same(after.normaliser, expected) and not same(after.normaliser, before)
    assert after.normaliser.count == 20 + 24


def test_without_demonstrations_the_first_cycle_is_not_normalised(rng, key):
    method, notes = spied(EnvSpec("Toy", vector(3), Discrete(2), 100))
    learner = method.init(key, None)
    obs = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)
    act(method.agent, learner, obs, key)
    np.testing.assert_array_equal(notes["act"], obs)


# Bits ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(trained, demonstrations):
    again = fit(tiny("gail"), make("CartPole-v1"), demonstrations["CartPole-v1"])
    assert same(trained.learner, again.learner)
    assert trained.metrics.keys() == again.metrics.keys()
    for name, values in trained.metrics.items():
        np.testing.assert_array_equal(values, again.metrics[name])


def test_seeds_train_side_by_side_in_one_program(trained, demonstrations, caplog):
    assert all(values.shape == (SEEDS, ITERATIONS) for values in trained.metrics.values())
    assert len(trained.policies) == SEEDS and trained.env_steps == ITERATIONS * ENVS * HORIZON
    first, second = (leaves(jax.tree.map(lambda x, i=i: x[i], trained.learner.agent.policy)) for i in (0, 1))
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True) if a.ndim == 2)
    # The second seed of a run is the first of the run that starts one seed later.
    with compilations(caplog) as compiled_for_it:
        later = fit(tiny("gail", seed=1), make("CartPole-v1"), demonstrations["CartPole-v1"])
    assert not {"init", "collect", "one"} & set(compiled_for_it)
    assert same(jax.tree.map(lambda x: x[1], trained.learner), jax.tree.map(lambda x: x[0], later.learner))


def test_no_recompilation_on_the_second_call(trained, demonstrations, caplog):
    with compilations(caplog) as compiled_again:
        fit(trained.config, make("CartPole-v1"), demonstrations["CartPole-v1"])
    assert compiled_again == []


def test_a_learner_keeps_its_types(demonstrations):
    # A leaf that is weakly typed at the start and not after the first update would make every program that
    # takes a learner compile twice in the first run.
    for env_id in ENV_IDS:
        spec = make(env_id).spec
        expert = expert_pairs(demonstrations[env_id], spec)
        key = jax.random.key(0)
        shape = (HORIZON, ENVS)
        flags, numbers = jnp.zeros(shape, bool), jnp.zeros(shape)
        is_box = isinstance(spec.action, Box)
        action = jnp.zeros((*shape, 1)) if is_box else jnp.zeros(shape, jnp.int32)
        obs = jnp.zeros((*shape, size(spec.observation)))
        rollout = Transition(obs, action, numbers, obs, flags, flags, jnp.zeros(shape, jnp.int32))
        for agent in AGENTS:
            for method in (name for name, entry in METHODS.items() if entry.loop):
                config = tiny(method, env_id, agent)
                functions = build(method, agent, spec, config.settings)
                before = jax.eval_shape(functions.init, key, expert)
                after, _ = jax.eval_shape(functions.learn, before, expert, rollout, key)
                kinds = [
                    [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(t)] for t in (before, after)
                ]
                assert kinds[0] == kinds[1], (env_id, agent, method)


def test_learning_is_blind_to_where_a_rollout_came_from(trained, demonstrations, rng, caplog):
    # Arrays of the device, as a scan leaves them, or of the host, as a Python loop stacks them: one program,
    # and the same bits.
    env = make("CartPole-v1")
    start, expert, program = start_of(tiny("gail"), env, demonstrations["CartPole-v1"])
    hosted = random_rollout(rng, env.spec)
    strided = jax.tree.map(lambda x: np.moveaxis(np.moveaxis(x, 1, 0).copy(), 0, 1), hosted)
    scanned = jax.tree.map(jnp.asarray, hosted)
    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
    copies = [jax.tree.map(jnp.copy, start) for _ in range(2)]  # a learner is used up by learning
    zeros = jnp.zeros((SEEDS, ENVS)), np.zeros((SEEDS, ENVS), np.float32)
    with compilations(caplog) as compiled_for_it:
        one = program.learn(copies[0], expert, zeros[0], scanned, keys)
        two = program.learn(copies[1], expert, zeros[1], strided, keys)
    assert compiled_for_it == []
    assert same(one, two)
    assert not same(one[0].agent.policy, start.agent.policy)


def test_the_true_reward_is_never_seen(demonstrations, rng):
    env = make("CartPole-v1")
    start, expert, program = start_of(tiny("gail"), env, demonstrations["CartPole-v1"])
    rollout = random_rollout(rng, env.spec)
    blind = rollout._replace(reward=np.full_like(rollout.reward, np.nan))
    keys, zeros = jax.vmap(jax.random.key)(jnp.arange(SEEDS)), jnp.zeros((SEEDS, ENVS))
    one, two = (
        program.learn(jax.tree.map(jnp.copy, start), expert, zeros, r, keys)[0] for r in (rollout, blind)
    )
    assert same(one, two)
    assert all(np.isfinite(leaf).all() for leaf in leaves(two))


# Starts, pre-training, the control -------------------------------------------------------------------


def test_the_same_seed_starts_from_the_same_policy(demonstrations):
    env, demos = make("CartPole-v1"), demonstrations["CartPole-v1"]
    imitator, _, _ = start_of(tiny("gail"), env, demos)
    learner, _, _ = start_of(tiny("rl"), env, None)
    assert same(imitator.agent, learner.agent)
    other, _, _ = start_of(tiny("rl", seed=5), env, None)
    assert not same(other.agent.policy, learner.agent.policy)


def test_pretraining_touches_only_the_discriminator(demonstrations, rng):
    env = make("CartPole-v1")
    start, expert, program = start_of(tiny("gail"), env, demonstrations["CartPole-v1"])
    keys, zeros = jax.vmap(jax.random.key)(jnp.arange(SEEDS)), jnp.zeros((SEEDS, ENVS))
    learner, _, metrics = program.pretrain(
        jax.tree.map(jnp.copy, start), expert, zeros, random_rollout(rng, env.spec), keys
    )
    assert same(learner.agent, start.agent) and same(learner.normaliser, start.normaliser)
    assert not same(learner.reward, start.reward)
    assert "discriminator_loss" in metrics and "policy_loss" not in metrics


def test_pretraining_comes_before_the_first_policy_update(trained, demonstrations, monkeypatch):
    # The same programs, so that nothing is compiled for two more iterations.
    program = compiled(trained.config, make("CartPole-v1").spec)
    monkeypatch.setattr(training, "compiled", lambda *settings: program)
    calls = []
    run = fit(
        tiny("gail", **{"loop.pretrain": 2}),
        make("CartPole-v1"),
        demonstrations["CartPole-v1"],
        progress=lambda i, total, metrics: calls.append((i, total, "policy_loss" in metrics)),
    )
    total = 2 + ITERATIONS
    assert calls == [(i, total, i >= 2) for i in range(total)]
    # Metrics begin with the first policy update; the discriminator is no longer ignorant there.
    assert all(values.shape == (SEEDS, ITERATIONS) for values in run.metrics.values())
    assert run.env_steps == total * ENVS * HORIZON
    assert (run.metrics["expert_logit"][:, 0] != 0).all()
    np.testing.assert_array_equal(trained.metrics["expert_logit"][:, 0], np.zeros(SEEDS))


def test_first_iteration_starts_at_2_ln_2_and_ratio_1(trained):
    np.testing.assert_allclose(trained.metrics["discriminator_loss"][:, 0], 2 * np.log(2.0), rtol=1e-6)
    assert (trained.metrics["first_ratio_deviation"] < 1e-5).all()


# Every combination -----------------------------------------------------------------------------------


def combinations():
    """Every method of the loop × every agent × Discrete and Box actions.

    Compiling them all takes a minute. The first method with every agent and the others with one each run
    always, such that every agent meets both kinds of actions; the rest belongs to the slow tests.
    """
    for i, method in enumerate(name for name, entry in METHODS.items() if entry.loop):
        for j, agent in enumerate(AGENTS):
            for k, env_id in enumerate(ENV_IDS):
                always = (j - k) % 2 == 0 if i == 0 else (j, k) == ((i + 1) % len(AGENTS), i % 2)
                marks = [] if always else [pytest.mark.slow]
                yield pytest.param(method, agent, env_id, marks=marks, id=f"{method}-{agent}-{env_id}")


@pytest.mark.parametrize("method, agent, env_id", list(combinations()))
def test_every_combination_trains(method, agent, env_id, demonstrations):
    env = make(env_id)
    demos = demonstrations[env_id] if METHODS[method].demonstrations else None
    config = tiny(method, env_id, agent)
    run = fit(config, env, demos)
    assert all(np.isfinite(leaf).all() for leaf in leaves(run.learner))
    for name, values in run.metrics.items():
        finished = run.metrics["episodes"] > 0  # where none has, there is no mean of episodes
        known = finished if name.startswith("episode_") else np.ones_like(finished)
        assert values.shape == (SEEDS, ITERATIONS) and np.isfinite(values[known]).all(), name
    start, _, _ = start_of(config, env, demos)
    moved = not same(run.learner.agent.policy, start.agent.policy)
    # The control pays nothing relative to the absorbing state: no advantage, and a policy that stays put.
    assert moved == (method != "constant")
    if method == "constant":
        np.testing.assert_array_equal(run.metrics["reward_std"], np.zeros((SEEDS, ITERATIONS)))
    assert isinstance(run.learner, Learner)


@pytest.mark.parametrize("env_id", [ENV_IDS[0], pytest.param(ENV_IDS[1], marks=pytest.mark.slow)])
@pytest.mark.parametrize("method", [name for name, entry in METHODS.items() if entry.kind is Kind.SUPERVISED])
def test_every_supervised_method_trains(method, env_id, demonstrations):
    run = fit(tiny(method, env_id), make(env_id), demonstrations[env_id])
    assert all(np.isfinite(leaf).all() for leaf in leaves((run.learner, run.metrics)))
    assert run.env_steps == 0 and len(run.policies) == SEEDS


def test_a_gymnasium_environment_trains_with_the_same_program(trained, demonstrations, caplog):
    env = make("CartPole-v1", backend="gymnasium")
    assert compiled(trained.config, env.spec) is compiled(trained.config, make("CartPole-v1").spec)
    with compilations(caplog) as compiled_for_it:
        run = fit(trained.config, env, demonstrations["CartPole-v1"])
    # Acting step by step may be compiled for it, but what learns (`one` seed of many) is there already.
    assert not {"init", "one"} & set(compiled_for_it)
    assert all(np.isfinite(leaf).all() for leaf in leaves(run.learner))
    assert run.metrics.keys() == trained.metrics.keys()
    assert all(values.shape == (SEEDS, ITERATIONS) for values in run.metrics.values())
    start, _, _ = start_of(trained.config, env, demonstrations["CartPole-v1"])
    assert not same(run.learner.agent.policy, start.agent.policy)
    # The same seed, the same bits here too.
    again = fit(trained.config, env, demonstrations["CartPole-v1"])
    assert same(run.learner, again.learner)


# Beginning with a clone --------------------------------------------------------------------------------


class Watcher:
    """A keeper that only looks: the learner after every iteration."""

    def __init__(self):
        self.learners = []

    def restore(self, like):
        return None

    def keep(self, total, state, history):
        self.learners.append(jax.tree.map(np.asarray, state.learner))


@pytest.mark.parametrize(("env_id", "agent"), [("CartPole-v1", "ppo"), ("Pendulum-v1", "trpo")])
def test_a_run_that_begins_with_a_clone_waits_for_its_value_function(demonstrations, env_id, agent):
    shown, env, seen = demonstrations[env_id], make(env_id), Watcher()
    config = tiny("gail", env_id, agent, **{"loop.warm_up": 2, "loop.pretrain": 1})
    config = dataclasses.replace(config, init="bc")
    run = fit(config, env, shown, keeper=seen)
    assert len(seen.learners) == 1 + 2 + ITERATIONS and run.iterations == ITERATIONS
    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
    cloned = make_config("bc", env_id, seeds=SEEDS, overrides={"bc.hidden": "8"})
    clone, _ = clone_policies(cloned, env.spec, shown, keys)
    obs = shown.observations[:20]

    def behaviour(learner):
        return leaves(jax.vmap(lambda one: one.agent.policy(normalise(one.normaliser, obs)))(learner))

    # Through the warm-up it does what the clone does, although the statistics move; then it learns.
    expected = behaviour(clone)
    for waiting in seen.learners[:3]:
        for one, other in zip(behaviour(waiting), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)
    assert not same(seen.learners[0].normaliser, seen.learners[2].normaliser)
    assert not same(seen.learners[0].agent.critic.network, seen.learners[1].agent.critic.network)
    moved = [np.abs(a - b).max() for a, b in zip(behaviour(seen.learners[-1]), expected, strict=True)]
    assert max(moved) > 1e-3


@pytest.mark.parametrize("method", ["rl", "bc", "constant"])
def test_only_imitation_in_an_environment_can_begin_with_a_clone(demonstrations, method):
    config = dataclasses.replace(tiny(method), init="bc")
    with pytest.raises(ImitaxError, match=f"Option init is 'bc', but method '{method}' can not start"):
        fit(config, make("CartPole-v1"), demonstrations["CartPole-v1"])
