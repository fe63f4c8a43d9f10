"""FEM and GTAL: features, closed forms of the best weights, the absorbing state."""

import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.returns import absorbing_mass
from imitax.core.spaces import blank, size, vector
from imitax.rewards.apprenticeship import ApprenticeshipConfig, basis, fem, gtal
from imitax.types import Box, Discrete, EnvSpec, MultiDiscrete, Sample

LIMIT = 100
CHOICE = EnvSpec("Choice", vector(2), Discrete(2), LIMIT)
REACH = EnvSpec("Reach", vector(1), Box((-2.0, 0.0), (2.0, 1.0)), LIMIT)
LINEAR = ApprenticeshipConfig(mix=1.0)
QUADRATIC = ApprenticeshipConfig(products=True, mix=1.0)
both = pytest.mark.parametrize("model", [fem, gtal])


def transitions_of(obs, action, spec=CHOICE):
    """Transitions [N] that say nothing but this."""
    obs = jnp.float32(obs)
    return blank(spec, obs.shape[:1])._replace(obs=obs, action=jnp.asarray(action))


def pairs_of(obs, action, mass=0.0):
    return Sample(transitions_of(obs, action)._replace(next_obs=None), jnp.float32(mass))


def rollout_of(obs, action, terminated=None, step=None):
    """The policy's side: transitions [N] and the mass that follows from its terminations."""
    t = transitions_of(obs, action)
    if terminated is not None:
        t = t._replace(terminated=jnp.asarray(terminated), step=jnp.asarray(step, jnp.int32))
    return Sample(t, absorbing_mass(t.terminated, t.step, LIMIT))


def learnt(model, expert, rollout, spec=CHOICE, config=LINEAR, key=None):
    """(weights, gap in feature expectations, reward [N])."""
    functions = model(spec, config)
    state, metrics = functions.update(functions.init(key), expert, rollout, key)
    return state.weights, metrics["feature_gap"], functions.reward(state, rollout.transitions)


def test_basis_of_discrete_actions():
    # o = (2, 3), action 1: o, one-hot, (o₁², o₁o₂, o₂²), o ⊗ one-hot, 0 for the absorbing state.
    one = blank(CHOICE, ())._replace(obs=jnp.float32([2, 3]), action=jnp.int32(1))
    features = basis(CHOICE, QUADRATIC, one)
    np.testing.assert_array_equal(features, [2, 3, 0, 1, 4, 6, 9, 0, 2, 0, 3, 0])
    linear = basis(CHOICE, LINEAR, one)
    np.testing.assert_array_equal(linear, [2, 3, 0, 1, 0])


def test_basis_of_box_actions_holds_the_executed_action():
    # Agent units (3, −0.5) are executed as (1, −0.5): o, a, o², o ⊗ a, (a₁², a₁a₂, a₂²), 0.
    one = blank(REACH, ())._replace(obs=jnp.float32([2]), action=jnp.float32([3.0, -0.5]))
    features = basis(REACH, QUADRATIC, one)
    np.testing.assert_array_equal(features, [2, 1, -0.5, 4, 2, -1, 1, -0.5, 0.25, 0])


def test_basis_of_several_discrete_actions_holds_their_pairs():
    # o = (2, 3), actions (1, 0) of 2 × 2: one-hot (0, 1, 1, 0), whose pairs say which of the four
    # it is.
    spec = EnvSpec("Several", vector(2), MultiDiscrete((2, 2)), LIMIT)
    one = blank(spec, ())._replace(obs=jnp.float32([2, 3]), action=jnp.int32([1, 0]))
    a = [0, 1, 1, 0]
    pairs = [a[i] * a[j] for i in range(4) for j in range(i, 4)]
    joint = [o * x for o in (2, 3) for x in a]
    np.testing.assert_array_equal(
        basis(spec, QUADRATIC, one), [2, 3, *a, 4, 6, 9, *joint, *pairs, 0]
    )


def test_fem_is_the_direction_of_the_gap(key):
    # Expert mean φ = (3, 0, 1, 0), policy's (0, −4 + 4, ½, ½): gap (3, 0, ½, −½), norm √9.5.
    expert = pairs_of([[3, 0], [3, 0]], [0, 0])
    rollout = rollout_of([[0, -4], [0, 4]], [0, 1])
    weights, gap, reward = learnt(fem, expert, rollout, key=key)
    np.testing.assert_allclose(weights, np.array([3, 0, 0.5, -0.5, 0]) / np.sqrt(9.5), rtol=1e-6)
    np.testing.assert_allclose(gap, np.sqrt(9.5), rtol=1e-6)
    np.testing.assert_allclose(reward, np.array([0.5, -0.5]) / np.sqrt(9.5), rtol=1e-6)


def test_gtal_is_the_feature_with_the_largest_gap_and_its_sign(key):
    expert = pairs_of([[1, 5], [1, 5]], [0, 0])
    rollout = rollout_of([[2, 9], [0, 7]], [0, 1])  # gap (0, −3, ½, −½)
    weights, gap, reward = learnt(gtal, expert, rollout, key=key)
    np.testing.assert_array_equal(weights, [0, -1, 0, 0, 0])
    np.testing.assert_allclose(gap, 3.0)
    np.testing.assert_allclose(reward, [-9, -7])


@pytest.mark.parametrize("spec", [CHOICE, REACH])
@pytest.mark.parametrize(("model", "order"), [(fem, 2), (gtal, 1)])
def test_no_weights_of_the_class_separate_better(model, order, spec, key, rng):
    # The gap is the support function of the ball ‖w‖_p ≤ 1: no other point of the ball reaches it.
    config = QUADRATIC

    def draw(n):
        obs = rng.normal(size=(n, size(spec.observation)))
        if spec is CHOICE:
            return obs, rng.integers(2, size=n)
        return obs, rng.normal(size=(n, 2)).astype(np.float32)

    (expert_obs, expert_action), (policy_obs, policy_action) = draw(30), draw(50)
    weights, gap, _ = learnt(
        model,
        pairs_of(expert_obs, expert_action),
        rollout_of(policy_obs, policy_action),
        spec,
        config,
        key,
    )
    np.testing.assert_allclose(np.linalg.norm(weights, order), 1.0, rtol=1e-5)

    def features(obs, action):
        return np.asarray(basis(spec, config, transitions_of(obs, action, spec)))

    difference = features(expert_obs, expert_action).mean(axis=0) - features(
        policy_obs, policy_action
    ).mean(axis=0)
    others = rng.laplace(size=(5000, len(difference)))
    others /= np.linalg.norm(others, order, axis=1, keepdims=True)
    assert (others @ difference).max() < gap
    np.testing.assert_allclose(weights @ difference, gap, rtol=1e-4)


@both
def test_absorbing_state_counts_with_its_mass(model, key):
    # The same pairs on both sides; the expert is absorbed for half of its occupancy, the policy
    # never: live features have gap (½ − 1)·mean, the absorbing one ½. Ending must be paid for.
    obs, action = np.zeros((4, 2)), np.zeros(4, int)
    weights, _, reward = learnt(model, pairs_of(obs, action, 0.5), rollout_of(obs, action), key=key)
    gap = np.array([0, 0, -0.5, 0, 0.5])
    # of equals, the first
    expected = gap / np.linalg.norm(gap) if model is fem else [0, 0, -1, 0, 0]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)
    assert np.all(reward < 0)  # alive is worse than absorbed, which is worth 0


@both
def test_policy_absorption_follows_from_terminations(model, key):
    # One episode ends at its step 49 of 100: 50 steps absorbed beside 4 live ones, mass 50/54. An
    # expert with that mass and the same pairs is matched exactly.
    obs, action = np.arange(8.0).reshape(4, 2), [0, 1, 1, 0]
    rollout = rollout_of(obs, action, [False, True, False, False], [48, 49, 0, 1])
    weights, gap, _ = learnt(model, pairs_of(obs, action, 50 / 54), rollout, key=key)
    np.testing.assert_allclose(gap, 0.0, atol=1e-6)
    literal = ApprenticeshipConfig(mix=1.0, absorbing=False)
    weights, _, _ = learnt(
        model, pairs_of(obs + 1.0, action, 0.9), rollout, config=literal, key=key
    )
    assert weights[-1] == 0.0


@both
def test_matched_expectations_pay_nothing(model, key):
    obs, action = np.arange(8.0).reshape(4, 2), np.array([0, 1, 1, 0])
    weights, gap, reward = learnt(model, pairs_of(obs, action), rollout_of(obs, action), key=key)
    np.testing.assert_array_equal(weights, 0.0)
    np.testing.assert_array_equal(reward, 0.0)
    assert gap == 0.0


@both
def test_what_the_features_do_not_see_cannot_be_imitated(model, key):
    # Expert at ±1, policy at 0: equal means. Linear features see no difference, squares do.
    expert, rollout = pairs_of([[1, 0], [-1, 0]], [0, 0]), rollout_of([[0, 0], [0, 0]], [0, 0])
    _, gap, _ = learnt(model, expert, rollout, key=key)
    assert gap == 0.0
    _, gap, _ = learnt(model, expert, rollout, config=QUADRATIC, key=key)
    assert gap >= 1.0


@both
def test_before_any_update_the_reward_is_zero(model, key):
    functions = model(CHOICE, ApprenticeshipConfig())
    rollout = rollout_of([[1, 2], [3, 4]], [0, 1])
    np.testing.assert_array_equal(functions.reward(functions.init(key), rollout.transitions), 0.0)


@both
def test_a_partial_step_goes_part_of_the_way_and_stays_in_the_class(model, key):
    # From 0 by 30 %, twice: 0.3, then 0.3 + 0.3 · 0.7 = 0.51 of the best weights, which do not
    # change here.
    expert, rollout = pairs_of([[3, 0]], [0]), rollout_of([[0, 1]], [1])
    best, _, _ = learnt(model, expert, rollout, key=key)
    functions = model(CHOICE, ApprenticeshipConfig(mix=0.3))
    state = functions.init(key)
    for share in (0.3, 0.51):
        state, _ = functions.update(state, expert, rollout, key)
        np.testing.assert_allclose(state.weights, share * best, rtol=1e-6)
