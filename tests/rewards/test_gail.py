"""The discriminator: its first loss, its optimum, its reward, and defects that must not come
back.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from imitax.core.losses import REWARD_FORMS
from imitax.core.returns import absorbing_mass
from imitax.core.spaces import size, vector
from imitax.networks import MLP
from imitax.rewards.constant import ConstantConfig, constant
from imitax.rewards.gail import GAILConfig, GAILState, gail
from imitax.rewards.true_reward import true_reward
from imitax.types import Box, Discrete, EnvSpec, Sample, Transition

LIMIT = 500
TABLE = EnvSpec("Table", vector(3), Discrete(2), LIMIT)  # observations are one-hot: three states
REACH = EnvSpec("Reach", vector(3), Box((-2.0, 0.0), (2.0, 1.0)), LIMIT)
SHAPE = (10, 4)
LN2 = np.log(2.0)
every_form = pytest.mark.parametrize("form", REWARD_FORMS)
absorbing_or_not = pytest.mark.parametrize("absorbing", [True, False])


@cache
def compiled_init(spec):
    return jax.jit(gail(spec, GAILConfig(hidden=(8,))).init)


def policy_side(rollout):
    """The policy's rollout [T, B] as the loop hands it to a reward model."""
    mass = absorbing_mass(rollout.terminated, rollout.step, LIMIT)
    return Sample(jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rollout), mass)


@cache
def compiled_update(spec, config):
    update = gail(spec, config).update
    return jax.jit(
        lambda state, expert, rollout, key: update(state, expert, policy_side(rollout), key)
    )


def model(spec=TABLE, form="log_d", **settings):
    """A reward model with a small network, its functions compiled once for all tests."""
    found = gail(spec, GAILConfig(hidden=(8,), form=form, **settings))
    # The start is the same for all settings, and learning for all forms of the reward.
    update = compiled_update(spec, GAILConfig(hidden=(8,), **settings))
    return found._replace(init=compiled_init(spec), update=update)


def expert_side(obs, action, mass):
    """Demonstrated pairs; what is not known of them is NaN, or None."""
    n = len(obs)
    nothing = np.zeros(n, bool)
    pairs = Transition(
        obs, action, None, np.full(n, np.nan, np.float32), nothing, nothing, np.zeros(n, np.int32)
    )
    return Sample(pairs, np.float32(mass))


def make_data(rng, spec=TABLE, expert_mass=0.25, **fields):
    """Random expert pairs [12] and a rollout [10, 4] in which one episode terminated at its step
    99.
    """

    def draw(*shape):
        if isinstance(spec.action, Discrete):
            return rng.integers(spec.action.n, size=shape).astype(np.int32)
        return rng.normal(size=(*shape, size(spec.action))).astype(np.float32)

    def observe(*shape):
        return np.eye(3, dtype=np.float32)[rng.integers(3, size=shape)]

    terminated = np.zeros(SHAPE, bool)
    terminated[5, 1] = True
    rollout = {
        "obs": observe(*SHAPE),
        "action": draw(*SHAPE),
        "reward": rng.normal(size=SHAPE).astype(np.float32),
        "next_obs": observe(*SHAPE),
        "terminated": terminated,
        "truncated": np.zeros(SHAPE, bool),
        "step": np.where(terminated, 99, 50).astype(np.int32),
    }
    expert = expert_side(observe(12), draw(12), expert_mass)
    rollout = Transition(**(rollout | fields))
    return jax.tree.map(jnp.asarray, expert), jax.tree.map(jnp.asarray, rollout)


def trained(found, key, expert, rollout, updates=3):
    """A discriminator that says something."""
    state = found.init(key)
    for i in range(updates):
        state, metrics = found.update(state, expert, rollout, jax.random.key(i))
    return state, metrics


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


# The start
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"absorbing": False}, {"batch_size": -1}], ids=str)
def test_the_first_loss_is_2_ln_2(settings, key, rng):
    # Every logit is 0, so D = ½ and both expectations are −ln ½, whatever the masses and the
    # batch.
    found = model(**settings)
    _, metrics = found.update(found.init(key), *make_data(rng), key)
    # Exactly, but for the rounding of a mean over equal numbers.
    np.testing.assert_allclose(metrics["discriminator_loss"], 2 * LN2, rtol=1e-6)
    for name in ("expert_logit", "policy_logit", "absorbing_logit"):
        assert metrics[name] == 0.0
    assert metrics["expert_score"] == metrics["policy_score"] == 0.5


@every_form
def test_a_constant_discriminator_pays_exactly_nothing(form, key, rng):
    found = model(form=form)
    rollout = make_data(rng)[1]
    # Compiled too: the same function may be another approximation there, but then on both sides.
    for reward in (found.reward, jax.jit(found.reward)):
        np.testing.assert_array_equal(reward(found.init(key), rollout), np.zeros(SHAPE))


@every_form
def test_a_constant_discriminator_pays_its_form_where_taken_literally(form, key, rng):
    # D = ½: log D = −ln 2, −log(1 − D) = ln 2, log D − log(1 − D) = 0, D − 1 = −½.
    literal = {"log_d": -LN2, "neg_log_one_minus_d": LN2, "logit": 0.0, "d_minus_one": -0.5}
    found = model(form=form, absorbing=False)
    reward = found.reward(found.init(key), make_data(rng)[1])
    np.testing.assert_allclose(reward, np.full(SHAPE, literal[form]), rtol=1e-6)
    # The control pays the same without a discriminator.
    control = constant(TABLE, ConstantConfig(form, absorbing=False))
    np.testing.assert_allclose(control.reward((), make_data(rng)[1]), reward, rtol=1e-6)
    control = constant(TABLE, ConstantConfig(form))
    np.testing.assert_array_equal(control.reward((), make_data(rng)[1]), np.zeros(SHAPE))


@absorbing_or_not
@every_form
def test_reward_is_the_form_of_the_logit_relative_to_the_absorbing_state(form, absorbing, key, rng):
    found, (expert, rollout) = model(form=form, absorbing=absorbing), make_data(rng)
    state, _ = trained(found, key, expert, rollout)
    one_hot = np.eye(2, dtype=np.float32)[rollout.action]
    live = np.concatenate([rollout.obs, one_hot, np.zeros((*SHAPE, 1), np.float32)], -1)
    d = 1 / (1 + np.exp(-np.asarray(state.network(live)[..., 0], np.float64)))
    gone = 1 / (1 + np.exp(-np.float64(state.network(jnp.array([0.0, 0, 0, 0, 0, 1]))[0])))
    by_the_book = {
        "log_d": np.log,
        "neg_log_one_minus_d": lambda x: -np.log(1 - x),
        "logit": lambda x: np.log(x) - np.log(1 - x),
        "d_minus_one": lambda x: x - 1,
    }[form]
    expected = by_the_book(d) - (by_the_book(gone) if absorbing else 0.0)
    np.testing.assert_allclose(found.reward(state, rollout), expected, rtol=1e-4, atol=1e-6)


# Learning
# --------------------------------------------------------------------------------------------


def plain_loss(network, expert, rollout, entropy_weight):
    """The loss by the book: D as a probability, the masses counted out."""

    def d(obs, action):
        one_hot = (action[:, None] == jnp.arange(2)).astype(jnp.float32)
        x = jnp.concatenate([obs, one_hot, jnp.zeros((len(obs), 1))], -1)
        return 1 / (1 + jnp.exp(-network(x)[:, 0]))

    expert_d = d(expert.transitions.obs, expert.transitions.action)
    policy_d = d(rollout.obs.reshape(-1, 3), rollout.action.reshape(-1))
    gone = 1 / (1 + jnp.exp(-network(jnp.array([0.0, 0, 0, 0, 0, 1]))[0]))
    # One of the 40 policy pairs terminated as the 100th step of 500: 400 absorbed steps.
    expert_mass, policy_mass = 0.25, 400 / 440
    both = jnp.concatenate([expert_d, policy_d])
    entropy = -jnp.mean(both * jnp.log(both) + (1 - both) * jnp.log(1 - both))
    return (
        -(1 - expert_mass) * jnp.mean(jnp.log(expert_d))
        - expert_mass * jnp.log(gone)
        - (1 - policy_mass) * jnp.mean(jnp.log(1 - policy_d))
        - policy_mass * jnp.log(1 - gone)
        - entropy_weight * entropy
    )


def test_gradients_are_fresh_at_every_step(key, rng):
    # Two updates are two steps by hand from freshly computed gradients. Had the second added to
    # the first's gradient instead, the parameters would differ: the test can tell the two apart.
    found = model(updates=1, learning_rate=1e-2)
    expert, rollout = make_data(rng)
    # Not from the fresh network, where the output bias's gradient is −½ + ½ and Adam scales its
    # rounding up.
    start, _ = found.update(found.init(key), expert, rollout, key)
    once, metrics = found.update(start, expert, rollout, jax.random.key(0))
    twice, _ = found.update(once, expert, rollout, jax.random.key(1))
    expected_loss = plain_loss(start.network, expert, rollout, 0.0)
    np.testing.assert_allclose(metrics["discriminator_loss"], expected_loss, rtol=1e-5)
    optimiser, gradient_of = optax.scale_by_adam(), jax.jit(jax.grad(plain_loss))

    def two_steps(accumulate):
        network, state = start
        kept = jax.tree.map(jnp.zeros_like, network)
        for _ in range(2):
            gradient = gradient_of(network, expert, rollout, 1e-3)
            kept = jax.tree.map(lambda k, g: accumulate * k + g, kept, gradient)
            updates, state = optimiser.update(kept, state)
            network = jax.tree.map(lambda p, u: p - 1e-2 * u, network, updates)
        return leaves(network)

    def distance(network):
        return max(np.abs(a - b).max() for a, b in zip(network, leaves(twice.network), strict=True))

    assert distance(two_steps(accumulate=0.0)) < 2e-5
    assert distance(two_steps(accumulate=1.0)) > 3e-4


def occupancy(rng):
    """Expert and policy pairs of known frequencies, and those frequencies [3 states, 2
    actions].
    """
    expert_counts = np.array([[9, 3], [4, 4], [1, 9]])
    policy_counts = np.array([[4, 4], [10, 2], [8, 12]])

    def pairs(counts, shuffled):
        index = shuffled(np.repeat(np.arange(6), counts.ravel()))
        return np.eye(3, dtype=np.float32)[index // 2], (index % 2).astype(np.int32)

    expert = expert_side(*pairs(expert_counts, lambda x: x), 0.4)
    obs, action = pairs(policy_counts, rng.permutation)
    return (
        expert,
        (obs.reshape(*SHAPE, 3), action.reshape(SHAPE)),
        expert_counts / 30,
        policy_counts / 40,
    )


@absorbing_or_not
def test_it_learns_a_known_density_ratio(absorbing, key, rng):
    # −Σ ρ_E log D − Σ ρ_π log(1 − D) is least at D = ρ_E / (ρ_E + ρ_π), so at logit log(ρ_E /
    # ρ_π). With the absorbing state, whose masses are m_E and m_π, live pairs have ρ = (1 − m) p:
    # logit(s, a) = log p_E/p_π + log (1 − m_E)/(1 − m_π),  logit(absorbing) = log m_E/m_π.
    expert, (obs, action), p_expert, p_policy = occupancy(rng)
    # Of 40 pairs one terminated as the 490th of 500 steps: 10 absorbed steps, m_π = 10 / 50.
    _, rollout = make_data(rng, obs=obs, action=action)
    rollout = rollout._replace(step=jnp.where(rollout.terminated, 489, 50))
    found = model(absorbing=absorbing, updates=1500, entropy_coef=0.0, form="logit")
    state, metrics = found.update(found.init(key), jax.tree.map(jnp.asarray, expert), rollout, key)
    # Figures are the first step's: policy pairs that the discriminator has not been trained on
    # yet.
    np.testing.assert_allclose(metrics["discriminator_loss"], 2 * LN2, rtol=1e-6)

    cell = Transition(
        obs=jnp.repeat(jnp.eye(3), 2, axis=0).reshape(3, 2, 3),
        action=jnp.tile(jnp.arange(2), (3, 1)),
        reward=jnp.zeros((3, 2)),
        next_obs=jnp.zeros((3, 2, 3)),
        terminated=jnp.zeros((3, 2), bool),
        truncated=jnp.zeros((3, 2), bool),
        step=jnp.zeros((3, 2), jnp.int32),
    )
    expected = np.log(p_expert / p_policy)
    if absorbing:  # and the reward is relative to the absorbing state
        expected += np.log(0.6 / 0.8) - np.log(0.4 / 0.2)
    np.testing.assert_allclose(found.reward(state, cell), expected, atol=0.05)


# Options
# ---------------------------------------------------------------------------------------------


def test_gradient_penalty_changes_the_result(key, rng):
    expert, rollout = make_data(rng)
    plain, _ = trained(model(), key, expert, rollout)
    other, metrics = trained(model(gradient_penalty=1.0), key, expert, rollout)
    assert all(np.isfinite(leaf).all() for leaf in leaves((other, metrics)))
    assert np.abs(model().reward(plain, rollout) - model().reward(other, rollout)).max() > 1e-3


def solve(c):
    """The z with z · sigmoid(z) = c, that is z = c (1 + e^−z)."""
    z = c
    for _ in range(200):
        z = 0.5 * z + 0.5 * c * (1 + np.exp(-z))
    return z


@pytest.mark.parametrize(
    "option, on_expert, on_policy",
    [
        # Label 1 − s of the expert: its optimum is D = 0.9, at logit log 9; the policy's is the
        # mirror image.
        ({"label_smoothing": 0.1}, np.log(9.0), -np.log(9.0)),
        # The expert's 12 pairs are a share 12/52 of those whose mean entropy H is paid λ, and
        # dH/dz = −z D (1 − D). So −log D − λ (12/52) H is least where (1 − D) (λ (12/52) z D − 1)
        # = 0.
        ({"entropy_coef": 2.0}, solve(52 / 24), -solve(52 / 80)),
    ],
    ids=["label_smoothing", "entropy"],
)
def test_regularisers_bound_the_optimum(option, on_expert, on_policy, key, rng):
    # All pairs show one state, the expert's action 0 and the policy's action 1. Nothing holds the
    # logits back but the regulariser.
    expert, rollout = make_data(rng)
    pairs = expert.transitions._replace(obs=jnp.zeros((12, 3)), action=jnp.zeros(12, jnp.int32))
    expert = expert._replace(transitions=pairs)
    rollout = rollout._replace(obs=jnp.zeros((*SHAPE, 3)), action=jnp.ones(SHAPE, jnp.int32))
    found = model(
        **{"absorbing": False, "entropy_coef": 0.0, "updates": 1500, "form": "logit"} | option
    )
    state, _ = found.update(found.init(key), expert, rollout, key)
    reward = found.reward(state, rollout._replace(action=rollout.action.at[0].set(0)))
    np.testing.assert_allclose(reward[0], np.full(SHAPE[1], on_expert), atol=0.05)
    np.testing.assert_allclose(reward[1:], np.full((9, SHAPE[1]), on_policy), atol=0.05)


def test_minibatches_are_drawn_from_the_key(key, rng):
    expert, rollout = make_data(rng)
    found = model(batch_size=-1)  # as many policy pairs as the expert has, 12 of 40
    one, two, other = (
        found.update(found.init(key), expert, rollout, jax.random.key(i))[0] for i in (1, 1, 2)
    )
    assert same(one, two) and not same(one, other)
    # Full-batch updates have nothing to draw.
    found = model()
    one, other = (
        found.update(found.init(key), expert, rollout, jax.random.key(i))[0] for i in (1, 2)
    )
    assert same(one, other)


# Actions
# ---------------------------------------------------------------------------------------------


def linear(weights):
    """A discriminator whose logit is the inner product of features and weights."""
    return GAILState(MLP((jnp.asarray(weights, jnp.float32)[:, None],), (jnp.zeros(1),)), ())


def test_discrete_actions_are_one_hot(key, rng):
    # Logits 1, −2, 1 for actions 0, 1, 2 cannot come from a linear function of the index.
    spec = EnvSpec("Three", vector(3), Discrete(3), LIMIT)
    found = model(spec, form="logit", absorbing=False)
    network = found.init(key).network
    assert network.weights[0].shape == (3 + 3 + 1, 8)  # observation, one-hot, absorbing indicator
    _, rollout = make_data(rng, spec)
    reward = found.reward(linear([0, 0, 0, 1, -2, 1, 0]), rollout)
    np.testing.assert_array_equal(reward, np.array([1.0, -2.0, 1.0])[rollout.action])


def test_names_of_actions_do_not_matter(key, rng):
    # Renaming the actions and swapping the rows of the first layer that read them changes nothing.
    found = model()
    renamed = np.array([1, 0])
    expert, rollout = make_data(rng)
    start = found.init(key)
    first = start.network.weights[0]
    swapped = start._replace(
        network=MLP(
            (first.at[3 + renamed].set(first[3:5]), *start.network.weights[1:]),
            start.network.biases,
        )
    )
    pairs = expert.transitions
    new_expert = expert._replace(
        transitions=pairs._replace(action=jnp.asarray(renamed)[pairs.action])
    )
    new_rollout = rollout._replace(action=jnp.asarray(renamed)[rollout.action])
    for i in range(3):
        start, _ = found.update(start, expert, rollout, jax.random.key(i))
        swapped, _ = found.update(swapped, new_expert, new_rollout, jax.random.key(i))
    np.testing.assert_allclose(
        found.reward(start, rollout), found.reward(swapped, new_rollout), rtol=1e-4, atol=1e-6
    )


def test_box_actions_are_seen_as_executed(key, rng):
    # Agent units: ±1 are the bounds of the box. What lies beyond is executed at the bound.
    found = model(REACH)
    expert, rollout = make_data(rng, REACH)
    state, _ = trained(found, key, expert, rollout)
    assert state.network.weights[0].shape == (3 + 2 + 1, 8)

    def paid(action):
        return found.reward(
            state, rollout._replace(action=jnp.broadcast_to(jnp.array(action), (*SHAPE, 2)))
        )

    np.testing.assert_array_equal(paid([1.0, -1.0]), paid([5.0, -3.0]))
    assert (paid([1.0, -1.0]) != paid([0.5, -1.0])).all()
    # And so is the update: a policy that asks for too much is taken for what it did.
    clipped = rollout._replace(action=jnp.clip(rollout.action, -1.0, 1.0))
    assert (clipped.action != rollout.action).any()
    start = found.init(key)
    assert same(
        found.update(start, expert, rollout, key)[0], found.update(start, expert, clipped, key)[0]
    )


# Episode ends
# ----------------------------------------------------------------------------------------


def ended(step, terminated):
    """All environments end an episode at index `step` in the middle of the rollout."""
    ends, steps = np.zeros(SHAPE, bool), np.tile(np.arange(10)[:, None], (1, 4))
    ends[5] = True
    steps[:6] += step - 5
    steps[6:] -= 6
    return {
        "terminated": ends & terminated,
        "truncated": ends & (not terminated),
        "step": steps.astype(np.int32),
    }


@pytest.mark.parametrize(
    "step, terminated, absorbed",
    [
        (499, False, False),  # 500 steps, the limit: timed out
        (498, False, False),  # cut off one step earlier: still not the task's end
        (498, True, True),  # terminated after 499 steps: one absorbed step is left
        (499, True, False),  # terminated on the very last step: none is left
    ],
)
def test_only_termination_before_the_limit_absorbs(step, terminated, absorbed, key, rng):
    # The expert's mass is 0 too, so what the absorbing state weighs in the loss is the policy's
    # mass; the only weights that its indicator reaches, the first layer's last row, move if and
    # only if it weighs.
    found = model()
    expert, rollout = make_data(rng, expert_mass=0.0, **ended(step, terminated))
    start = found.init(key)
    state, _ = trained(found, key, expert, rollout)
    rows = start.network.weights[0][-1], state.network.weights[0][-1]
    assert np.array_equal(*rows) == (not absorbed)
    assert not np.array_equal(start.network.weights[0][0], state.network.weights[0][0])
    # mass 4 / (4 + 40), all of it the policy's: the absorbing state is not expert-like
    if absorbed:
        assert state.network(jnp.array([[0.0, 0, 0, 0, 0, 1]]))[0, 0] < 0


def test_time_limits_do_not_matter_to_the_discriminator(key, rng):
    # Cut into timed-out episodes or not, the same pairs give the same bits.
    found = model()
    expert, whole = make_data(rng, **ended(499, terminated=False))
    uncut = whole._replace(truncated=jnp.zeros(SHAPE, bool))
    start = found.init(key)
    one, other = (found.update(start, expert, rollout, key)[0] for rollout in (whole, uncut))
    assert same(one, other)
    np.testing.assert_array_equal(found.reward(one, whole), found.reward(one, uncut))


def test_absorbing_off_ignores_masses(key, rng):
    found = model(absorbing=False)
    expert, rollout = make_data(rng)
    start = found.init(key)
    one, _ = found.update(start, expert, rollout, key)
    unended = rollout._replace(terminated=jnp.zeros(SHAPE, bool))
    other, _ = found.update(start, expert._replace(absorbing_mass=jnp.zeros(())), unended, key)
    assert same(one, other)


# The true reward
# -------------------------------------------------------------------------------------


def test_the_true_reward_is_never_seen(key, rng):
    found = model()
    expert, rollout = make_data(rng)
    blind = rollout._replace(reward=jnp.full(SHAPE, jnp.nan))
    one, metrics = trained(found, key, expert, rollout)
    other, blind_metrics = trained(found, key, expert, blind)
    assert same((one, metrics), (other, blind_metrics))
    np.testing.assert_array_equal(found.reward(one, rollout), found.reward(other, blind))
    control = constant(TABLE)
    np.testing.assert_array_equal(control.reward(control.init(key), blind), np.zeros(SHAPE))


def test_the_environments_reward_is_the_true_one(key, rng):
    _, rollout = make_data(rng)
    truth = true_reward(TABLE)
    state, metrics = truth.update(truth.init(key), None, policy_side(rollout), key)
    np.testing.assert_array_equal(truth.reward(state, rollout), rollout.reward)
    assert metrics == {}
