"""The loop that joins a reward model and an agent: what each sees, what may change, and every
combination.
"""

import dataclasses
import logging
import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.distributions import categorical
from imitax.core.memory import last_rollout
from imitax.core.spaces import blank, bounds, is_index, size, vector
from imitax.core.statistics import merge_moments, normalise
from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.methods.adversarial import Cycle, adversarial
from imitax.methods.registry import AGENTS, METHODS, Kind, Parts, build_loop
from imitax.training import loop
from imitax.training.collecting import Actor, fold, sampled_action
from imitax.training.config import make_config
from imitax.training.data import expert_sample
from imitax.training.fit import fit
from imitax.training.lanes import lanes_of
from imitax.training.supervised import clone_policies
from imitax.types import Agent, Discrete, EnvSpec, Learner, Policy, RewardModel, Sample, Transition

SEEDS, ENVS, HORIZON, ITERATIONS = 2, 4, 8, 3
ENV_IDS = ("CartPole-v1", "Pendulum-v1")


@pytest.fixture(scope="module")
def demonstrations():
    """Environment id -> a terminated and a timed-out episode of nonsense."""
    rng = np.random.default_rng(0)

    def nonsense(spec):
        def actions(n):
            if is_index(spec.action):
                return rng.integers(spec.action.n, size=n)
            return rng.uniform(*bounds(spec.action), size=(n, 1))

        lengths = (20, 30) if spec.id == "CartPole-v1" else (200, 200)
        episodes = [(rng.normal(size=(n, size(spec.observation))), actions(n)) for n in lengths]
        return Demonstrations.from_episodes(
            episodes, terminated=spec.id == "CartPole-v1", env_id=spec.id
        )

    return {env_id: nonsense(make(env_id).spec) for env_id in ENV_IDS}


def tiny(method, env_id="CartPole-v1", agent="ppo", seed=0, init=None, **overrides):
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
    if init:
        sizes |= {"bc.epochs": 2}
    overrides = sizes | overrides
    return make_config(
        method, env_id, agent=agent, seeds=SEEDS, seed=seed, init=init, overrides=overrides
    )


@contextmanager
def compilations(caplog, logged_compilations):
    """A list with the names of the programs that are compiled meanwhile."""
    names = []
    caplog.clear()
    with caplog.at_level(logging.WARNING), logged_compilations():
        yield names
        jax.jit(lambda x: x + 1)(1.0)  # to see that compilations are seen
    logged = (re.match(r"Compiling (?:jit\()?(\S+?)\)? ", r.getMessage()) for r in caplog.records)
    names += [match[1] for match in logged if match]
    assert names.pop() == "<lambda>"


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


class Start(NamedTuple):
    """What `fit` starts from."""

    learner: Learner
    expert: Sample | None
    update: Callable  # (name of a function of the program, learner, rollout) -> (learner, metrics)


def start_of(config, env, demos):
    lanes = lanes_of([config])
    program = loop._programs(config.method, config.agent, env.spec, lanes.structure, Parts())
    expert = None if demos is None else expert_sample(demos, env.spec)

    def update(name, learner, rollout):
        copy = jax.tree.map(jnp.copy, learner)  # a learner is used up by learning
        zeros, progress = jnp.zeros((SEEDS, ENVS)), np.float32(0.0)
        function = getattr(program, name)
        learner, _, metrics = function(
            lanes.leaves, copy, expert, zeros, rollout, (), progress, lanes.keys
        )
        return learner, metrics

    return Start(program.init(lanes.leaves, fold(lanes.keys, 0), expert), expert, update)


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


# What each part sees
# ---------------------------------------------------------------------------------


def spied(spec):
    """The loop around a policy, an agent and a model that note what they are given; and the
    notes.
    """
    notes = {}

    def unroll(params, obs, first, carry):
        notes["policy"] = obs
        return jnp.zeros((*first.shape, 2)), carry

    def agent_update(params, state, x, key):
        notes["agent"], notes["rewarded"] = x, x.reward(x.rollout)
        return params + 100, state + 1, {"agent_metric": jnp.float32(1.0)}

    def model_update(state, expert, policy, key):
        notes["model"] = expert, policy
        return state + 10, {"model_metric": jnp.float32(2.0)}

    def reward(state, t):
        notes["reward"] = state, t
        return jnp.full_like(t.reward, 7.0)

    policy = Policy(categorical, lambda key: jnp.int32(0), lambda batch: (), unroll)
    agent = Agent(lambda params, key: jnp.int32(0), agent_update, agent_update)
    model = RewardModel(lambda key: jnp.int32(0), model_update, reward)
    return adversarial(spec, policy, agent, model, last_rollout()), notes


TOY = EnvSpec("Toy", vector(3), Discrete(2), 100)


def toy_expert(rng, n=20):
    blanks = blank(TOY, (n,))._replace(next_obs=None)
    obs = jnp.asarray(rng.normal(2.0, 3.0, size=(n, 3)), jnp.float32)
    return Sample(blanks._replace(obs=obs, step=jnp.arange(n)), jnp.float32(0.5))


def toy_rollout(rng):
    """[6, 4], whose first column terminates at its 10th step of 100."""
    obs, next_obs = (
        jnp.asarray(rng.normal(5.0, 2.0, size=(6, 4, 3)), jnp.float32) for _ in range(2)
    )
    rollout = blank(TOY, (6, 4))._replace(obs=obs, next_obs=next_obs)
    return rollout._replace(
        terminated=rollout.terminated.at[0, 0].set(True), step=rollout.step.at[0, 0].set(9)
    )


def test_one_normaliser_through_a_cycle_and_the_next_after_it(rng, key):
    method, notes = spied(TOY)
    expert, rollout = toy_expert(rng), toy_rollout(rng)
    obs, next_obs = rollout.obs, rollout.next_obs

    learner = method.init(key, expert)
    before = learner.normaliser  # at the start it is the experts'
    np.testing.assert_allclose(before.mean, expert.transitions.obs.mean(0), rtol=1e-5)
    actor = Actor(learner.policy, learner.normaliser)
    sampled_action(TOY, method.policy, actor, obs[0], jnp.zeros(4, bool), (), key)
    np.testing.assert_array_equal(notes["policy"], normalise(before, obs[0])[None])

    after, metrics = method.learn(learner, Cycle(expert, rollout, "carry", jnp.float32(0.25)), key)
    sides, x = notes["model"], notes["agent"]
    np.testing.assert_array_equal(
        sides[0].transitions.obs, normalise(before, expert.transitions.obs)
    )
    np.testing.assert_array_equal(sides[1].transitions.obs, normalise(before, obs).reshape(-1, 3))
    np.testing.assert_array_equal(
        sides[1].transitions.next_obs, normalise(before, next_obs).reshape(-1, 3)
    )
    for t in (notes["reward"][1], x.rollout):
        np.testing.assert_array_equal(t.obs, normalise(before, obs))
        np.testing.assert_array_equal(t.next_obs, normalise(before, next_obs))
    np.testing.assert_array_equal(x.draw(key, 24).obs, normalise(before, obs).reshape(-1, 3))
    assert same(x.expert, sides[0]) and x.carry == "carry" and x.progress == 0.25
    # Each side is absorbed for as long as its episodes say: 90 steps beside 24 live ones.
    assert sides[0].absorbing_mass == 0.5
    np.testing.assert_allclose(sides[1].absorbing_mass, 90 / (90 + 24), rtol=1e-6)
    # The reward is that of the model after its update, and the agent is rewarded with it.
    assert (
        notes["reward"][0] == 10
        and after.reward_model == 10
        and after.agent == 1
        and after.policy == 100
    )
    np.testing.assert_array_equal(notes["rewarded"], np.full((6, 4), 7.0))
    assert metrics["agent_metric"] == 1.0 and metrics["model_metric"] == 2.0
    assert metrics["reward_mean"] == 7.0 and metrics["reward_std"] == 0.0
    # Afterwards, and only then, the normaliser has seen the raw observations of the rollout.
    expected = merge_moments(before, obs.reshape(-1, 3))
    assert same(after.normaliser, expected) and not same(after.normaliser, before)
    assert after.normaliser.count == 20 + 24


def test_without_demonstrations_the_first_cycle_is_not_normalised(rng, key):
    method, notes = spied(TOY)
    learner = method.init(key, None)
    obs = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32)
    actor = Actor(learner.policy, learner.normaliser)
    sampled_action(TOY, method.policy, actor, obs, jnp.zeros(4, bool), (), key)
    np.testing.assert_array_equal(notes["policy"], obs[None])
    method.learn(learner, Cycle(None, toy_rollout(rng), (), jnp.float32(0.0)), key)
    assert notes["model"][0] is None and notes["agent"].expert is None


@pytest.mark.parametrize("part", ["learn", "pretrain"])
def test_a_cycle_draws_no_more_expert_pairs_than_the_policy_has(rng, part):
    method, notes = spied(TOY)
    rollout, keys = toy_rollout(rng), jax.random.split(jax.random.key(0), 2)

    def steps(expert):
        """Which pairs of the expert each of two cycles compares with."""
        learner, drawn = method.init(keys[0], expert), []
        for key in keys:
            getattr(method, part)(learner, Cycle(expert, rollout, (), jnp.float32(0.0)), key)
            assert notes["model"][0].absorbing_mass == 0.5  # that of all the episodes
            drawn.append(np.asarray(notes["model"][0].transitions.step))
        return drawn

    for n in (20, 24):  # as many as the policy's 24 transitions, or fewer: all of them, each time
        for drawn in steps(toy_expert(rng, n)):
            np.testing.assert_array_equal(drawn, np.arange(n))
    one, other = steps(toy_expert(rng, 1000))
    assert one.shape == other.shape == (24,) and (one != other).any()
    # from all of them
    assert len(np.union1d(one, other)) > 40 and max(one.max(), other.max()) > 500


# Bits
# ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits(trained, demonstrations):
    again = fit(tiny("gail"), make("CartPole-v1"), demonstrations["CartPole-v1"])
    assert same(trained.learner, again.learner)
    assert trained.metrics.keys() == again.metrics.keys()
    for name, values in trained.metrics.items():
        np.testing.assert_array_equal(values, again.metrics[name])


def test_seeds_train_side_by_side_in_one_program(
    trained, demonstrations, caplog, logged_compilations
):
    assert all(values.shape == (SEEDS, ITERATIONS) for values in trained.metrics.values())
    assert len(trained.policies) == SEEDS and trained.env_steps == ITERATIONS * ENVS * HORIZON
    first, second = (
        leaves(jax.tree.map(lambda x, i=i: x[i], trained.learner.policy)) for i in (0, 1)
    )
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True) if a.ndim == 2)
    # The second seed of a run is the first of the run that starts one seed later.
    with compilations(caplog, logged_compilations) as compiled_for_it:
        later = fit(tiny("gail", seed=1), make("CartPole-v1"), demonstrations["CartPole-v1"])
    assert compiled_for_it == []
    assert same(
        jax.tree.map(lambda x: x[1], trained.learner), jax.tree.map(lambda x: x[0], later.learner)
    )


def test_no_recompilation_on_the_second_call(trained, demonstrations, caplog, logged_compilations):
    with compilations(caplog, logged_compilations) as compiled_again:
        fit(trained.config, make("CartPole-v1"), demonstrations["CartPole-v1"])
    assert compiled_again == []


def test_new_numbers_compile_nothing(trained, demonstrations, caplog, logged_compilations):
    numbers = {
        "agent.learning_rate": 1e-2,
        "agent.clip": 0.1,
        "agent.discount": 0.9,
        "agent.gae_lambda": 0.5,
    }
    numbers |= {
        "agent.final_lr_fraction": 0.5,
        "reward.learning_rate": 1e-4,
        "reward.entropy_coef": 0.1,
    }
    with compilations(caplog, logged_compilations) as compiled_again:
        other = fit(tiny("gail", **numbers), make("CartPole-v1"), demonstrations["CartPole-v1"])
        fit(
            tiny("gail", **{"loop.iterations": 1}),
            make("CartPole-v1"),
            demonstrations["CartPole-v1"],
        )
    assert compiled_again == []
    assert not same(other.learner.policy, trained.learner.policy)


def test_a_learner_keeps_its_types(demonstrations):
    # A leaf that is weakly typed at the start and not after the first update would make every
    # program that takes a learner compile twice in the first run.
    for env_id in ENV_IDS:
        spec = make(env_id).spec
        expert = expert_sample(demonstrations[env_id], spec)
        key, cycle = (
            jax.random.key(0),
            Cycle(expert, blank(spec, (HORIZON, ENVS)), (), jnp.float32(0.0)),
        )
        for agent in AGENTS:
            for method in (name for name, entry in METHODS.items() if entry.loop):
                config = tiny(method, env_id, agent)
                functions = build_loop(method, agent, spec, config.settings)
                before = jax.eval_shape(functions.init, key, expert)
                after, _ = jax.eval_shape(functions.learn, before, cycle, key)
                kinds = [
                    [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(t)]
                    for t in (before, after)
                ]
                assert kinds[0] == kinds[1], (env_id, agent, method)


def test_learning_is_blind_to_where_a_rollout_came_from(
    trained, demonstrations, rng, caplog, logged_compilations
):
    # Arrays of the device, as a scan leaves them, or of the host, as a Python loop stacks them:
    # one program, and the same bits.
    env = make("CartPole-v1")
    start = start_of(tiny("gail"), env, demonstrations["CartPole-v1"])
    hosted = random_rollout(rng, env.spec)
    strided = jax.tree.map(lambda x: np.moveaxis(np.moveaxis(x, 1, 0).copy(), 0, 1), hosted)
    scanned = jax.tree.map(jnp.asarray, hosted)
    start.update("learn", start.learner, scanned)
    with compilations(caplog, logged_compilations) as compiled_for_it:
        one = start.update("learn", start.learner, scanned)
        two = start.update("learn", start.learner, strided)
    assert compiled_for_it == []
    assert same(one, two)
    assert not same(one[0].policy, start.learner.policy)


def test_the_true_reward_is_never_seen(demonstrations, rng):
    env = make("CartPole-v1")
    start = start_of(tiny("gail"), env, demonstrations["CartPole-v1"])
    rollout = random_rollout(rng, env.spec)
    blind = rollout._replace(reward=np.full_like(rollout.reward, np.nan))
    one, two = (start.update("learn", start.learner, r)[0] for r in (rollout, blind))
    assert same(one, two)
    assert all(np.isfinite(leaf).all() for leaf in leaves(two))


# Starts, pre-training, the control
# -------------------------------------------------------------------


def test_the_same_seed_starts_from_the_same_policy(demonstrations):
    env, demos = make("CartPole-v1"), demonstrations["CartPole-v1"]
    imitator, learner, other = (
        start_of(config, env, d).learner
        for config, d in ((tiny("gail"), demos), (tiny("rl"), None), (tiny("rl", seed=5), None))
    )
    assert same(imitator.agent, learner.agent) and same(imitator.policy, learner.policy)
    assert not same(other.policy, learner.policy)


def test_pretraining_touches_only_the_discriminator(demonstrations, rng):
    env = make("CartPole-v1")
    start = start_of(tiny("gail"), env, demonstrations["CartPole-v1"])
    learner, metrics = start.update("pretrain", start.learner, random_rollout(rng, env.spec))
    assert same(learner._replace(reward_model=()), start.learner._replace(reward_model=()))
    assert not same(learner.reward_model, start.learner.reward_model)
    assert "discriminator_loss" in metrics and "policy_loss" not in metrics


def test_pretraining_comes_before_the_first_policy_update(trained, demonstrations):
    calls = []
    run = fit(
        tiny("gail", **{"loop.pretrain": 2}),
        make("CartPole-v1"),
        demonstrations["CartPole-v1"],
        [
            lambda moment: calls.append(
                (moment.iteration, moment.iterations, "policy_loss" in moment.metrics)
            )
        ],
    )
    total = 2 + ITERATIONS
    assert calls == [(i, total, i >= 2) for i in range(total)]
    # Metrics begin with the first policy update; the discriminator is no longer ignorant there.
    assert all(values.shape == (SEEDS, ITERATIONS) for values in run.metrics.values())
    assert run.env_steps == total * ENVS * HORIZON
    assert (run.metrics["expert_logit"][:, 0] != 0).all()
    np.testing.assert_array_equal(trained.metrics["expert_logit"][:, 0], np.zeros(SEEDS))


def test_first_iteration_starts_at_2_ln_2_and_ratio_1(trained):
    np.testing.assert_allclose(
        trained.metrics["discriminator_loss"][:, 0], 2 * np.log(2.0), rtol=1e-6
    )
    assert (trained.metrics["first_ratio_deviation"] < 1e-5).all()


def test_the_learning_rate_falls_with_the_share_of_the_training(demonstrations):
    def policies(**overrides):
        kept, env = [], make("CartPole-v1")
        note = lambda moment: kept.append(jax.tree.map(np.asarray, moment.state.learner.policy))  # noqa: E731
        fit(tiny("gail", **overrides), env, demonstrations["CartPole-v1"], [note])
        return kept

    steady, falling = policies(), policies(**{"agent.final_lr_fraction": 0.0})
    assert same(steady[0], falling[0]) and not same(steady[1], falling[1])

    def length(one, other):
        return sum(np.abs(a - b).sum() for a, b in zip(leaves(one), leaves(other), strict=True))

    # Adam's steps are about as long as the rate, of which ⅔ and ⅓ are left in iterations 1 and 2
    # of 0 … 2.
    assert length(falling[2], falling[1]) < 0.6 * length(steady[2], steady[1])


# Every combination
# -----------------------------------------------------------------------------------


def combinations():
    """Every method of the loop × every agent × Discrete and Box actions.

    Compiling them all takes a minute. The first method with every agent and the others with one
    each run always, such that every agent meets both kinds of actions; the rest belongs to the
    slow tests.
    """
    for i, method in enumerate(name for name, entry in METHODS.items() if entry.loop):
        for j, agent in enumerate(AGENTS):
            for k, env_id in enumerate(ENV_IDS):
                always = (j - k) % 2 == 0 if i == 0 else (j, k) == ((i + 1) % len(AGENTS), i % 2)
                marks = [] if always else [pytest.mark.slow]
                yield pytest.param(
                    method, agent, env_id, marks=marks, id=f"{method}-{agent}-{env_id}"
                )


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
    moved = not same(run.learner.policy, start_of(config, env, demos).learner.policy)
    # The control pays nothing relative to the absorbing state: no advantage, and a policy that
    # stays put.
    assert moved == (method != "constant")
    if method == "constant":
        np.testing.assert_array_equal(run.metrics["reward_std"], np.zeros((SEEDS, ITERATIONS)))
    assert isinstance(run.learner, Learner)


@pytest.mark.parametrize("env_id", [ENV_IDS[0], pytest.param(ENV_IDS[1], marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "method", [name for name, entry in METHODS.items() if entry.kind is Kind.SUPERVISED]
)
def test_every_supervised_method_trains(method, env_id, demonstrations):
    run = fit(tiny(method, env_id), make(env_id), demonstrations[env_id])
    assert all(np.isfinite(leaf).all() for leaf in leaves((run.learner, run.metrics)))
    assert run.env_steps == 0 and len(run.policies) == SEEDS


def test_a_gymnasium_environment_trains_with_the_same_program(
    trained, demonstrations, caplog, logged_compilations
):
    env = make("CartPole-v1", backend="gymnasium")
    with compilations(caplog, logged_compilations) as compiled_for_it:
        run = fit(trained.config, env, demonstrations["CartPole-v1"])
    # Acting step by step may be compiled for it, but what learns (`one` seed of many) is there
    # already.
    assert not {"one", "init"} & set(compiled_for_it)
    assert all(np.isfinite(leaf).all() for leaf in leaves(run.learner))
    assert run.metrics.keys() == trained.metrics.keys()
    assert all(values.shape == (SEEDS, ITERATIONS) for values in run.metrics.values())
    start = start_of(trained.config, env, demonstrations["CartPole-v1"])
    assert not same(run.learner.policy, start.learner.policy)
    # The same seed, the same bits here too.
    again = fit(trained.config, env, demonstrations["CartPole-v1"])
    assert same(run.learner, again.learner)


# Beginning with a clone
# --------------------------------------------------------------------------------


@pytest.mark.parametrize(("env_id", "agent"), [("CartPole-v1", "ppo"), ("Pendulum-v1", "trpo")])
def test_a_run_that_begins_with_a_clone_waits_for_its_value_function(demonstrations, env_id, agent):
    shown, env, learners = demonstrations[env_id], make(env_id), []
    config = tiny("gail", env_id, agent, init="bc", **{"loop.warm_up": 2, "loop.pretrain": 1})
    run = fit(
        config, env, shown, [lambda m: learners.append(jax.tree.map(np.asarray, m.state.learner))]
    )
    assert len(learners) == 1 + 2 + ITERATIONS and run.iterations == ITERATIONS
    clone = clone_policies([tiny("bc", env_id)], env.spec, shown).learner
    obs = shown.observations[:20]

    def behaviour(learner):
        return leaves(jax.vmap(lambda one: one.policy(normalise(one.normaliser, obs)))(learner))

    # Through the warm-up it does what the clone does, although the statistics move; then it
    # learns.
    expected = behaviour(clone)
    for waiting in learners[:3]:
        for one, other in zip(behaviour(waiting), expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)
    assert not same(learners[0].normaliser, learners[2].normaliser)
    assert not same(learners[0].agent.critic.network, learners[1].agent.critic.network)
    moved = [np.abs(a - b).max() for a, b in zip(behaviour(learners[-1]), expected, strict=True)]
    assert max(moved) > 1e-3


@pytest.mark.parametrize("method", ["rl", "bc", "constant"])
def test_only_imitation_in_an_environment_can_begin_with_a_clone(demonstrations, method):
    config = dataclasses.replace(tiny(method), init="bc")
    with pytest.raises(
        ImitaxError, match=f"Option init is 'bc', but method '{method}' cannot start"
    ):
        fit(config, make("CartPole-v1"), demonstrations["CartPole-v1"])
