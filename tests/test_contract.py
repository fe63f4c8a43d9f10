"""The contract carries all kinds of observations, actions, policies, reward models, agents and
memories.

Recurrent policies and the learners that this package does not have (yet) are toys written here,
from the records of `imitax.types` alone. Most combinations are only type-checked: the loop must
give back a `Learner` of the types that it was given. Some are run.
"""

import itertools
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.agents.ppo import PPOConfig, ppo
from imitax.agents.trpo import TRPOConfig, trpo
from imitax.core.acting import memoryless_output
from imitax.core.memory import last_rollout, replay
from imitax.core.spaces import blank, distribution, encode, executed, size, uniform, vector
from imitax.errors import ImitaxError
from imitax.methods.adversarial import Cycle, adversarial
from imitax.networks import mlp, mlp_policy, scalar_network
from imitax.rewards.apprenticeship import ApprenticeshipConfig, fem
from imitax.rewards.gail import GAILConfig, gail
from imitax.rewards.true_reward import true_reward
from imitax.types import (
    Agent,
    Box,
    Dict,
    Discrete,
    EnvSpec,
    MultiDiscrete,
    Policy,
    RewardModel,
    Sample,
)

T, B, N, CAPACITY = 5, 4, 12, 64
OBSERVATIONS = {
    "vector": vector(3),
    "image+vector": Dict((("image", Box(0, 255, (4, 4, 3), "uint8")), ("vector", vector(3)))),
}
ACTIONS = {"discrete": Discrete(3), "several": MultiDiscrete((3, 2)), "box": Box(-1.0, 1.0, (2,))}
SPECS = {
    f"{o} {a}": EnvSpec("Toy", observation, action, 100)
    for (o, observation), (a, action) in itertools.product(OBSERVATIONS.items(), ACTIONS.items())
}


# Toys
# ---------------------------------------------------------------------------------------------------


@cache
def recurrent(spec, width=4):
    """h = tanh(W [encoded observation, h]), forgotten where an episode begins; a linear head on
    h.
    """
    pi, inputs, outputs = distribution(spec.action), size(spec.observation), size(spec.action)

    def init(key):
        keys = jax.random.split(key)
        return {
            "cell": mlp(keys[0], (inputs + width, width), 1.0),
            "head": mlp(keys[1], (width, outputs), 0.5),
            "log_std": jnp.zeros(outputs),
        }

    def unroll(params, obs, first, carry):
        def step(h, x):
            features, begins = x
            h = jnp.where(begins[:, None], 0.0, h)
            h = jnp.tanh(params["cell"](jnp.concatenate([features, h], axis=-1)))
            return h, h

        carry, h = jax.lax.scan(step, carry, (encode(spec.observation, obs), first))
        output = params["head"](h)
        if len(pi.parameters) > 1:
            output = output, jnp.broadcast_to(params["log_std"], output.shape)
        return output, carry

    return Policy(pi, init, lambda batch: jnp.zeros((batch, width)), unroll)


def discriminator(init, logit, asks):
    """Logistic regression on `logit(params, transitions)`, one plain gradient step per cycle."""

    def update(state, expert, policy, key):
        def loss(params):
            own, other = logit(params, expert.transitions), logit(params, policy.transitions)
            return jnp.mean(jax.nn.softplus(-own)) + jnp.mean(jax.nn.softplus(other))

        value, gradient = jax.value_and_grad(loss)(state)
        return jax.tree.map(lambda p, g: p - 0.1 * g, state, gradient), {
            "discriminator_loss": value
        }

    return RewardModel(init, update, logit, frozenset(asks))


def gaifo_like(spec):
    """A discriminator of (s, s'): the expert's actions are not needed."""

    def logit(network, t):
        sides = [encode(spec.observation, x) for x in (t.obs, t.next_obs)]
        return network(jnp.concatenate(sides, axis=-1))[..., 0]

    return discriminator(
        lambda key: scalar_network(key, 2 * size(spec.observation), (8,)), logit, {"next_obs"}
    )


def airl_like(spec):
    """g(s, a) + γ h(s') − h(s) − log π(a | s); h of a terminal state is 0."""
    features = size(spec.observation)

    def init(key):
        keys = jax.random.split(key)
        return (
            scalar_network(keys[0], features + size(spec.action), (8,)),
            scalar_network(keys[1], features, (8,)),
        )

    def logit(networks, t):
        def potential(obs):
            return networks[1](encode(spec.observation, obs))[..., 0]

        action = encode(spec.action, executed(spec.action, t.action))
        g = networks[0](jnp.concatenate([encode(spec.observation, t.obs), action], axis=-1))[..., 0]
        return (
            g + 0.99 * (1.0 - t.terminated) * potential(t.next_obs) - potential(t.obs) - t.log_prob
        )

    return discriminator(init, logit, {"log_prob", "next_obs"})


def descend(params, gradient):
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)


def soft_q(spec, policy, batch=8):
    """The policy's logits are soft Q values, learnt from what is remembered at what is rewarded
    now.
    """

    def values(params, obs, n):
        return memoryless_output(policy, params, obs, n)

    def update(params, target, x, key):
        def step(carry, key):
            params, target = carry
            t = x.draw(key, batch)
            reward, n = x.reward(t), t.step.size

            def loss(p):
                after = jax.nn.logsumexp(values(target, t.next_obs, n), axis=-1)
                goal = reward + 0.9 * (1.0 - t.terminated) * after
                q = jnp.sum(values(p, t.obs, n) * encode(spec.action, t.action), axis=-1)
                return jnp.mean((q - jax.lax.stop_gradient(goal)) ** 2)

            error, gradient = jax.value_and_grad(loss)(params)
            params = descend(params, gradient)
            return (params, jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, target, params)), error

        (params, target), errors = jax.lax.scan(step, (params, target), jax.random.split(key, 2))
        return params, target, {"td_error": errors[-1]}

    return Agent(lambda params, key: params, update, update)


def dagger(spec, policy, batch=8):
    """Supervised by what a teacher would have done where the learner went."""

    def update(params, state, x, key):
        t = x.draw(key, batch)

        def loss(p):
            output = memoryless_output(policy, p, t.obs, t.step.size)
            return -jnp.mean(policy.distribution.log_prob(output, t.teacher))

        error, gradient = jax.value_and_grad(loss)(params)
        return descend(params, gradient), state, {"teacher_loss": error}

    return Agent(lambda params, key: (), update, update)


def labelled(memory):
    """The memory for transitions with a teacher's actions."""
    return memory._replace(init=lambda t: memory.init(t._replace(teacher=t.action)))


POLICIES = {"mlp": lambda spec: mlp_policy(spec, (8,)), "recurrent": recurrent}
MODELS = {
    "gail": lambda spec: gail(spec, GAILConfig(hidden=(8,), updates=2)),
    "fem": lambda spec: fem(spec, ApprenticeshipConfig(products=True)),
    "true_reward": true_reward,
    "gaifo-like": gaifo_like,
    "airl-like": airl_like,
}
AGENTS = {
    "ppo": lambda spec, policy: ppo(
        spec, policy, PPOConfig(hidden=(8,), minibatches=2, entropy_coef=0.01)
    ),
    "trpo": lambda spec, policy: trpo(
        spec,
        policy,
        TRPOConfig(hidden=(8,), value_minibatches=2, fisher_every=2, entropy_coef=0.01),
    ),
    "soft_q": soft_q,
    "dagger": dagger,
}
MEMORIES = {"last_rollout": last_rollout(), "replay": replay(CAPACITY)}


# Data
# ---------------------------------------------------------------------------------------------------


def filled(spec, lead, key):
    """Random transitions [*lead, …] in episodes without an end."""
    n = int(np.prod(lead))
    keys = jax.random.split(key, 4)

    def observations(key):
        def leaf(x, k):
            if x.dtype == jnp.uint8:
                return jax.random.randint(k, x.shape, 0, 256).astype(jnp.uint8)
            return jax.random.normal(k, x.shape)

        leaves, structure = jax.tree.flatten(blank(spec, lead).obs)
        return structure.unflatten(map(leaf, leaves, jax.random.split(key, len(leaves))))

    def laid_out(x):
        return x.reshape(*lead, *x.shape[1:])

    return blank(spec, lead)._replace(
        obs=observations(keys[0]),
        next_obs=observations(keys[1]),
        action=jax.tree.map(laid_out, uniform(spec.action, keys[2], n)),
        reward=jax.random.normal(keys[3], lead),
        step=jnp.broadcast_to(jnp.arange(lead[0]).reshape(-1, *[1] * (len(lead) - 1)), lead).astype(
            jnp.int32
        ),
    )


def data(spec, policy, model, agent, key):
    """A cycle with what the model and the agent ask for, and nothing else that demonstrations may
    lack.
    """
    keys = jax.random.split(key)
    rollout, pairs = filled(spec, (T, B), keys[0]), filled(spec, (N,), keys[1])
    if agent == "dagger":
        rollout = rollout._replace(teacher=rollout.action)
    if "next_obs" not in model.asks:
        pairs = pairs._replace(next_obs=None)
    if model.asks == {"next_obs"}:
        pairs = pairs._replace(action=None)  # demonstrations of states alone
    expert = Sample(pairs._replace(reward=jnp.full(N, jnp.nan)), jnp.float32(0.25))
    return Cycle(expert, rollout, policy.carry(B), jnp.float32(0.0))


def combined(spec, policy, model, agent, memory):
    """The real loop of parts given by name."""
    policy = POLICIES[policy](spec)
    chosen = labelled(MEMORIES[memory]) if agent == "dagger" else MEMORIES[memory]
    model = MODELS[model](spec)
    loop = adversarial(spec, policy, AGENTS[agent](spec, policy), model, chosen)
    return loop, partial(data, spec, policy, model, agent)


def types(tree):
    return [
        (jax.tree_util.keystr(path), x.shape, x.dtype)
        for path, x in jax.tree.leaves_with_path(tree)
    ]


def combinations():
    """Every kind of spec and policy with every agent; reward models and memories go around."""
    models, memories = itertools.cycle(MODELS), itertools.cycle(MEMORIES)
    for spec, policy in itertools.product(SPECS, POLICIES):
        for model in MODELS:
            yield spec, policy, model, "ppo", next(memories)
        next(memories)
        yield spec, policy, next(models), "trpo", next(memories)
        yield spec, policy, next(models), "dagger", next(memories)
        if spec.endswith("discrete"):
            for model in MODELS:
                yield spec, policy, model, "soft_q", next(memories)


COMBINATIONS = list(combinations())


def test_the_combinations_leave_out_no_pair():
    # Every two parts of different kinds meet, but soft Q values those actions that have no logit
    # each.
    every = (SPECS, POLICIES, MODELS, AGENTS, MEMORIES)
    for one, other in itertools.combinations(range(5), 2):
        pairs = {(c[one], c[other]) for c in COMBINATIONS}
        missing = set(itertools.product(every[one], every[other])) - pairs
        assert all("soft_q" in pair and not pair[0].endswith("discrete") for pair in missing), (
            missing
        )


@pytest.mark.parametrize("combination", COMBINATIONS, ids=", ".join)
def test_a_learner_keeps_its_types(combination):
    loop, make_cycle = combined(SPECS[combination[0]], *combination[1:])

    def cycles(key):
        cycle = make_cycle(key)
        before = loop.init(key, cycle.expert)
        after, metrics = loop.learn(before, cycle, key)
        return before, after, loop.pretrain(before, cycle, key)[0], metrics

    before, after, pretrained, metrics = jax.eval_shape(cycles, jax.random.key(0))
    assert jax.tree.structure(before) == jax.tree.structure(after) == jax.tree.structure(pretrained)
    assert types(before) == types(after) == types(pretrained)
    assert {"reward_mean", "reward_std"} < set(metrics)
    assert all(value.shape == () and value.dtype == jnp.float32 for value in metrics.values())


# Some that are run
# --------------------------------------------------------------------------------------


@pytest.fixture
def quick_compilation():
    """Time is spent compiling; the programs need not be fast ones."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def moved(one, other):
    return any(
        not np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


def run_cycles(loop, make_cycle, key, cycles=2):
    """The learners before and after, and the metrics of each cycle."""
    cycle = make_cycle(key)
    learner = first = jax.jit(loop.init)(key, cycle.expert)
    learn, history = jax.jit(loop.learn), []
    for i in range(cycles):
        learner, metrics = learn(learner, cycle, jax.random.fold_in(key, i))
        history.append(metrics)
    return first, learner, history


@pytest.mark.parametrize(
    "combination",
    [
        ("image+vector several", "recurrent", "gail", "ppo", "replay"),
        ("image+vector box", "mlp", "gail", "trpo", "last_rollout"),
        ("vector discrete", "mlp", "gail", "soft_q", "replay"),
        ("vector discrete", "recurrent", "gaifo-like", "soft_q", "replay"),
    ],
    ids=", ".join,
)
def test_the_first_discriminator_loss_is_2_ln_2(combination, key, quick_compilation):
    # Every logit is 0, whatever the discriminator sees, so D = ½ on both sides.
    spec, *parts = combination
    first, last, history = run_cycles(*combined(SPECS[spec], *parts), key)
    np.testing.assert_allclose(history[0]["discriminator_loss"], 2 * np.log(2.0), rtol=1e-6)
    assert abs(history[1]["discriminator_loss"] - 2 * np.log(2.0)) > 1e-4
    assert all(np.isfinite(x) for metrics in history for x in metrics.values())
    assert moved(first.policy, last.policy) and moved(first.reward_model, last.reward_model)
    if parts[-1] == "replay":
        assert last.memory.count == 2 * T * B


@pytest.mark.parametrize(
    "spec", ["image+vector discrete", "image+vector several", "image+vector box"]
)
def test_the_linear_models_see_images(spec, key):
    # Bytes as fractions of 255 are features as the rest: expert's all white, policy's all black.
    loop, make_cycle = combined(SPECS[spec], "mlp", "fem", "ppo", "last_rollout")
    cycle = make_cycle(key)
    white, black = (jnp.full((n, 4, 4, 3), level, jnp.uint8) for n, level in ((N, 255), (T * B, 0)))
    pairs, rollout = cycle.expert.transitions, cycle.rollout
    pairs = pairs._replace(obs=pairs.obs | {"image": white})
    rollout = rollout._replace(obs=rollout.obs | {"image": black.reshape(T, B, 4, 4, 3)})
    cycle = cycle._replace(expert=cycle.expert._replace(transitions=pairs), rollout=rollout)
    learner, _ = jax.jit(lambda key: loop.pretrain(loop.init(key, cycle.expert), cycle, key))(key)
    pixels = learner.reward_model.weights[:48]  # the image is the first part
    assert (pixels > 0).all() and np.ptp(pixels) < 1e-6


def spy(asks):
    """A reward model that learns nothing, and tells what it is shown of both sides."""

    def update(state, expert, policy, key):
        fields = ("log_prob", "next_obs")
        present = {
            f"{side}_{name}": jnp.float32(getattr(sample.transitions, name) is not None)
            for side, sample in (("expert", expert), ("policy", policy))
            for name in fields
        }
        if "log_prob" in asks:
            means = {
                side: jnp.mean(sample.transitions.log_prob)
                for side, sample in (("expert", expert), ("policy", policy))
            }
            present |= means
        return state, present

    return RewardModel(
        lambda key: (), update, lambda state, t: jnp.zeros_like(t.reward), frozenset(asks)
    )


@pytest.mark.parametrize("family", POLICIES)
def test_log_prob_is_that_of_the_present_policy_on_both_sides(family, key, quick_compilation):
    spec = SPECS["vector discrete"]
    policy, model = POLICIES[family](spec), spy({"log_prob", "next_obs"})
    loop = adversarial(spec, policy, dagger(spec, policy), model, labelled(last_rollout()))
    cycle = data(spec, policy, model, "dagger", key)
    learner = jax.jit(loop.init)(key, cycle.expert)
    learner = learner._replace(policy=jax.tree.map(lambda x: x + 0.3, learner.policy))
    learn = jax.jit(loop.learn)

    def expected(learner, t):
        # By the textbook: observations normalised by what the learner has seen, one step of
        # memory.
        mean, variance = learner.normaliser.mean[None], learner.normaliser.variance[None]
        obs = (t.obs.reshape(-1, 3) - mean) / jnp.sqrt(variance)
        logits, _ = policy.unroll(
            learner.policy, obs[None], jnp.ones((1, len(obs)), bool), policy.carry(len(obs))
        )
        return jnp.mean(
            jnp.take_along_axis(jax.nn.log_softmax(logits[0]), t.action.reshape(-1, 1), 1)
        )

    for i in range(2):
        after, metrics = learn(learner, cycle, jax.random.fold_in(key, i))
        for side, t in (("expert", cycle.expert.transitions), ("policy", cycle.rollout)):
            np.testing.assert_allclose(metrics[side], expected(learner, t), rtol=1e-4)
        learner = after


def test_nothing_is_filled_in_unasked(key):
    spec = SPECS["vector discrete"]
    policy, model = POLICIES["mlp"](spec), spy(())
    loop = adversarial(spec, policy, AGENTS["ppo"](spec, policy), model, last_rollout())
    cycle = data(spec, policy, model, "ppo", key)
    _, metrics = jax.jit(lambda key: loop.learn(loop.init(key, cycle.expert), cycle, key))(key)
    shown = {
        name for name, value in metrics.items() if name.endswith(("log_prob", "next_obs")) and value
    }
    assert shown == {"policy_next_obs"}  # what an environment hands out anyway


def test_a_dagger_like_agent_learns_what_the_teacher_does(key, quick_compilation):
    spec = SPECS["vector discrete"]
    loop, make_cycle = combined(spec, "mlp", "true_reward", "dagger", "replay")
    cycle = make_cycle(key)
    learner, learn = loop.init(key, cycle.expert), jax.jit(loop.learn)
    for i in range(60):
        rollout = filled(spec, (T, B), jax.random.fold_in(key, i))
        rollout = rollout._replace(teacher=jnp.argmax(rollout.obs, axis=-1).astype(jnp.int32))
        learner, metrics = learn(
            learner, cycle._replace(rollout=rollout), jax.random.fold_in(key, i)
        )
    assert learner.memory.count == CAPACITY
    assert metrics["teacher_loss"] < 0.6  # from ln 3 = 1.1


def test_carried_policies_begin_every_update_at_ratio_1(key, quick_compilation):
    # The rollout begins in the middle of episodes, and minibatches are environments with their own
    # carry. One that took another's carry would find other log-probabilities than those of the
    # whole rollout.
    spec = SPECS["vector discrete"]
    loop, make_cycle = combined(spec, "recurrent", "true_reward", "ppo", "last_rollout")
    cycle = make_cycle(key)
    carry = jax.random.normal(key, cycle.carry.shape)
    cycle = cycle._replace(carry=carry, rollout=cycle.rollout._replace(step=cycle.rollout.step + 3))
    learner = loop.init(key, cycle.expert)
    head = jax.tree.map(lambda x: 5.0 * x, learner.policy["head"])
    learner = learner._replace(policy=learner.policy | {"head": head})
    _, metrics = jax.jit(loop.learn)(learner, cycle, key)
    assert metrics["first_ratio_deviation"] < 1e-5
    assert metrics["ratio_deviation"] > 1e-4  # it moves afterwards


def test_fewer_environments_than_minibatches(key):
    # A carry makes minibatches of whole environments; here there is one of them for four
    # minibatches.
    spec = SPECS["vector discrete"]
    policy = recurrent(spec)
    for agent in (
        ppo(spec, policy, PPOConfig(hidden=(8,))),
        trpo(spec, policy, TRPOConfig(hidden=(8,))),
    ):
        loop = adversarial(spec, policy, agent, true_reward(spec), last_rollout())
        cycle = data(spec, policy, true_reward(spec), "ppo", key)
        cycle = cycle._replace(
            carry=policy.carry(1), rollout=jax.tree.map(lambda x: x[:, :1], cycle.rollout)
        )
        learner = loop.init(key, cycle.expert)
        after, metrics = jax.jit(loop.learn)(learner, cycle, key)
        assert all(np.isfinite(x) for x in metrics.values())
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.policy))
        assert moved(learner.policy, after.policy)


def test_a_policy_without_rebase_cannot_wait_for_its_value(key):
    loop, make_cycle = combined(
        SPECS["vector discrete"], "recurrent", "gail", "ppo", "last_rollout"
    )
    cycle = make_cycle(key)
    with pytest.raises(ImitaxError, match=r"this one has no `rebase`: set loop.warm_up=0\."):
        jax.eval_shape(lambda key: loop.warm_up(loop.init(key, cycle.expert), cycle, key), key)
