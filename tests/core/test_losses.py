"""Closed forms of every loss and reward form. Logits are high for the expert."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core import losses
from imitax.core.losses import REWARD_FORMS, gradient_penalty, reward_form
from imitax.errors import ImitaxError

# Compiled, as in training; one program each is also quicker than one for every operation.
bernoulli_entropy = jax.jit(losses.bernoulli_entropy)
clipped_surrogate = jax.jit(losses.clipped_surrogate, static_argnums=2)
cross_entropy = jax.jit(losses.cross_entropy, static_argnums=1)
discriminator_loss = jax.jit(losses.discriminator_loss)
standardise = jax.jit(losses.standardise, static_argnums=1)

LN2 = np.log(2.0)
MASSES = [0.0, 0.25, 0.3, 0.7, 0.999, 1.0]


def floats(*x):
    return jnp.asarray(x, jnp.float32)


def scalar(x):
    return jnp.asarray(x, jnp.float32)


def log_d(logit):
    """log sigmoid in float64."""
    return -np.logaddexp(0.0, -np.asarray(logit, np.float64))


# Reward forms
# -------------------------------------------------------------------------------------------

FORMULAS = {  # in float64, from D alone; log(1 − D) is log sigmoid of the opposite logit
    "log_d": log_d,
    "neg_log_one_minus_d": lambda x: -log_d(-x),
    "logit": lambda x: log_d(x) - log_d(-x),
    "d_minus_one": lambda x: np.exp(log_d(x)) - 1.0,
}


def test_every_reward_form_has_a_formula_here():
    assert set(FORMULAS) == set(REWARD_FORMS)


@pytest.mark.parametrize("name", FORMULAS)
def test_reward_form_formula(name):
    logit = np.concatenate([np.linspace(-200.0, 200.0, 401), np.linspace(-5.0, 5.0, 101)])
    reward = reward_form(name)(jnp.asarray(logit, jnp.float32))
    np.testing.assert_allclose(
        reward, FORMULAS[name](logit.astype(np.float32)), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", FORMULAS)
def test_reward_form_is_stable_and_rises(name):
    logit = jnp.linspace(-200.0, 200.0, 4001)
    reward, slope = jax.jit(jax.vmap(jax.value_and_grad(reward_form(name))))(logit)
    assert np.all(np.isfinite(reward)) and np.all(np.isfinite(slope))
    # Never falls: more like the expert is never paid less. The slack is one unit in the last place
    # of 1.
    assert np.all(np.diff(reward) >= -1.2e-7)
    assert np.all(np.asarray(slope) >= 0.0)


@pytest.mark.parametrize(
    "name, sign", [("log_d", -1), ("neg_log_one_minus_d", 1), ("d_minus_one", -1)]
)
def test_reward_form_sign(name, sign):
    reward = np.asarray(reward_form(name)(jnp.linspace(-200.0, 200.0, 4001)))
    assert np.all(sign * reward >= 0.0)
    assert np.all(sign * reward[1900:2101] > 0.0)  # strictly for |logit| ≤ 10


def test_logit_form_is_odd():
    logit = jnp.linspace(-200.0, 200.0, 401)
    np.testing.assert_array_equal(reward_form("logit")(-logit), -reward_form("logit")(logit))


def test_reward_forms_at_the_extremes():
    ends = floats(-200, 200)
    np.testing.assert_array_equal(reward_form("log_d")(ends), [-200.0, 0.0])
    np.testing.assert_array_equal(reward_form("neg_log_one_minus_d")(ends), [0.0, 200.0])
    np.testing.assert_array_equal(reward_form("logit")(ends), [-200.0, 200.0])
    np.testing.assert_array_equal(reward_form("d_minus_one")(ends), [-1.0, 0.0])


def test_unknown_reward_form_is_told():
    with pytest.raises(ImitaxError, match=r"'log_e'.*log_d"):
        reward_form("log_e")


# Discriminator
# ------------------------------------------------------------------------------------------


def zero_logit_loss(expert, policy, expert_mass, policy_mass):
    masses = scalar(expert_mass), scalar(policy_mass)
    return np.asarray(
        discriminator_loss(jnp.zeros(expert), jnp.zeros(policy), scalar(0.0), *masses)
    )


@pytest.mark.parametrize("expert_mass", MASSES)
@pytest.mark.parametrize("policy_mass", MASSES)
def test_discriminator_loss_of_zero_logits(expert_mass, policy_mass):
    # Every cross-entropy is softplus(0) = ln 2 and the weights 1 − m and m sum to 1, twice: 2 ln
    # 2. One and two pairs, whose mean is exact; the weights are rounded, so the tolerance is 1 ulp
    # of float32.
    loss = zero_logit_loss(1, 2, expert_mass, policy_mass)
    np.testing.assert_array_max_ulp(loss, np.float32(2.0 * LN2), maxulp=1)


def test_discriminator_loss_of_zero_logits_is_exact():
    # Masses that are powers of two leave nothing to round: tolerance 0 ulp.
    for mass in (0.0, 0.5, 1.0):
        assert zero_logit_loss(1, 2, mass, mass) == np.float32(2.0 * LN2)


@pytest.mark.parametrize("pairs", [7, 64, 5120])
def test_discriminator_loss_of_many_zero_logits(pairs):
    # The float32 mean of many equal numbers is itself a few ulp off.
    np.testing.assert_allclose(zero_logit_loss(pairs, pairs, 0.3, 0.6), 2.0 * LN2, rtol=2e-6)


def test_discriminator_loss_by_hand():
    # With logits ln k, D = k / (1 + k).
    #   expert live: k = 1, 3     −log D = ln 2, ln 4/3            mean ½ ln 8/3
    #   policy live: k = 1/3, 1   −log(1 − D) = ln 4/3, ln 2       mean ½ ln 8/3
    #   absorbing:   k = 2        −log D = ln 3/2, −log(1 − D) = ln 3
    # masses 1/4 (expert) and 1/2 (policy):
    #   (¾ · ½ ln 8/3 + ¼ ln 3/2) + (½ · ½ ln 8/3 + ½ ln 3)
    loss = discriminator_loss(
        jnp.log(floats(1, 3)),
        jnp.log(floats(1 / 3, 1)),
        jnp.log(scalar(2)),
        scalar(0.25),
        scalar(0.5),
    )
    expected = (
        0.75 * 0.5 * np.log(8 / 3) + 0.25 * np.log(3 / 2) + 0.25 * np.log(8 / 3) + 0.5 * np.log(3)
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_discriminator_loss_rewards_the_right_label():
    def loss(expert, policy):
        return discriminator_loss(floats(expert), floats(policy), scalar(0), scalar(0), scalar(0))

    assert loss(5, -5) < 0.02 and loss(-5, 5) > 10.0


def test_discriminator_loss_is_stable():
    def loss(expert, policy, absorbing):
        return discriminator_loss(expert, policy, absorbing, scalar(0.3), scalar(0.4))

    logits = floats(-200, 200), floats(200, -200), scalar(200)
    value, slopes = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*logits)
    # ½ · 200 on each live side, weighted 0.7 and 0.6; the absorbing logit costs the policy side
    # 0.4 · 200
    np.testing.assert_allclose(value, 0.7 * 100 + 0.6 * 100 + 0.4 * 200, rtol=1e-6)
    assert all(np.all(np.isfinite(s)) for s in slopes)


# Four kinds of pair, as often as said here on each side, and absorbed shares that differ.
EXPERT_COUNTS, POLICY_COUNTS = np.asarray([4, 3, 2, 1]), np.asarray([1, 1, 6, 2])
EXPERT_MASS, POLICY_MASS = 0.2, 0.6


def expected_loss(table, absorbing):
    expert, policy = (
        jnp.asarray(np.repeat(np.arange(4), n)) for n in (EXPERT_COUNTS, POLICY_COUNTS)
    )
    masses = scalar(EXPERT_MASS), scalar(POLICY_MASS)
    return discriminator_loss(table[expert], table[policy], absorbing, *masses)


def test_optimal_logit_is_the_log_density_ratio():
    # Let a = (1 − m_E) ρ_E(x) and b = (1 − m_π) ρ_π(x) be the occupancies of a live pair, and a =
    # m_E, b = m_π those of the absorbing state. The loss is Σ_x a [softplus(l) − l] + b
    # softplus(l), and its derivative in l is a (σ(l) − 1) + b σ(l) = 0   ⇔   σ(l) = a / (a + b),
    # that is l = log a / b:   live:       log ρ_E(x) / ρ_π(x) + log (1 − m_E) / (1 − m_π)
    # absorbing:  log m_E / m_π (With label smoothing: tests/rewards/test_losses.py.)
    a = np.append((1 - EXPERT_MASS) * EXPERT_COUNTS / EXPERT_COUNTS.sum(), EXPERT_MASS)
    b = np.append((1 - POLICY_MASS) * POLICY_COUNTS / POLICY_COUNTS.sum(), POLICY_MASS)
    best = np.log(a / b)
    table, absorbing = jnp.asarray(best[:4], jnp.float32), scalar(best[4])
    loss_and_slopes = jax.jit(jax.value_and_grad(expected_loss, (0, 1)))
    least, slopes = loss_and_slopes(table, absorbing)
    np.testing.assert_allclose(slopes[0], np.zeros(4), atol=1e-7)
    np.testing.assert_allclose(slopes[1], 0.0, atol=1e-7)
    # and it is a minimum: the loss rises in every direction
    for shift in (-0.5, 0.5):
        assert loss_and_slopes(table, absorbing + shift)[0] > least
        for x in range(4):
            assert (
                loss_and_slopes(table + shift * np.eye(4, dtype=np.float32)[x], absorbing)[0]
                > least
            )


def test_label_smoothing_keeps_optimal_logits_finite():
    # σ(l) = 1 − s is the optimum where only the expert goes: the slope changes its sign there.
    best = np.log(0.9 / 0.1)
    slope = jax.grad(lambda logit: cross_entropy(logit, 0.9))
    assert slope(scalar(best - 0.1)) < 0.0 < slope(scalar(best + 0.1))


@pytest.mark.parametrize("target", [0.0, 0.1, 0.5, 1.0])
def test_cross_entropy_formula(target):
    logit = np.linspace(-50.0, 50.0, 101)
    expected = -target * log_d(logit) - (1 - target) * log_d(-logit)
    np.testing.assert_allclose(
        cross_entropy(jnp.asarray(logit, jnp.float32), target), expected, rtol=1e-5, atol=5e-6
    )


def test_bernoulli_entropy():
    logit = np.linspace(-30.0, 30.0, 121)
    d, other = np.exp(log_d(logit)), np.exp(log_d(-logit))
    expected = -d * log_d(logit) - other * log_d(-logit)
    entropy = bernoulli_entropy(jnp.asarray(logit, jnp.float32))
    np.testing.assert_allclose(entropy, expected, atol=5e-6)
    assert np.all(np.asarray(entropy) >= 0.0)
    assert bernoulli_entropy(scalar(0.0)) == np.float32(LN2)
    np.testing.assert_array_equal(bernoulli_entropy(floats(-200, 200)), [0.0, 0.0])


def test_bernoulli_entropy_gradient():
    # H = softplus(l) − lσ(l);  H' = σ − σ − lσ(1 − σ) = −lσ(l)σ(−l)
    logit = np.linspace(-200.0, 200.0, 401)
    slope = jax.jit(jax.vmap(jax.grad(bernoulli_entropy)))(jnp.asarray(logit, jnp.float32))
    expected = -logit * np.exp(log_d(logit) + log_d(-logit))
    np.testing.assert_allclose(slope, expected, atol=5e-6)


# Clipped surrogate
# --------------------------------------------------------------------------------------


@jax.jit
def surrogate_and_slope(ratio, advantage):
    return jax.value_and_grad(clipped_surrogate)(ratio, advantage, 0.25)


@pytest.mark.parametrize(
    "ratio, advantage, loss, slope",
    [
        # ε = ¼: the objective is min(ρA, clip(ρ, ¾, 1¼)A), the loss its negative.
        # inside the clip: −ρA, slope −A
        (1.125, 2.0, -2.25, -2.0),
        (0.875, 2.0, -1.75, -2.0),
        (1.125, -2.0, 2.25, 2.0),
        (0.875, -2.0, 1.75, 2.0),
        (1.0, 2.0, -2.0, -2.0),  # where training starts: both branches agree, the full slope
        # too far in the direction that pays: constant at the clip, no slope
        (2.0, 2.0, -2.5, 0.0),
        (0.5, -2.0, 1.5, 0.0),
        # too far in the direction that costs: not clipped, so that it can come back
        (0.5, 2.0, -1.0, -2.0),
        (2.0, -2.0, 4.0, 2.0),
        (3.0, 0.0, 0.0, 0.0),
    ],
)
def test_clipped_surrogate(ratio, advantage, loss, slope):
    value, grad = surrogate_and_slope(floats(ratio), floats(advantage))
    assert value == loss and grad[0] == slope


def test_clipped_surrogate_is_a_mean():
    # −(2.5 + 1 − 1.5 − 4) / 4, and each slope a quarter of the one by itself
    value, grad = surrogate_and_slope(floats(2, 0.5, 0.5, 2), floats(2, 2, -2, -2))
    assert value == 0.5
    np.testing.assert_array_equal(grad, [0.0, -0.5, 0.0, 0.5])


# Gradient penalty
# ---------------------------------------------------------------------------------------


@pytest.fixture
def linear_penalty(rng, key):
    """Weights w -> the penalty of w·x + 2 and its slope in w."""
    expert, policy = jnp.asarray(rng.normal(size=(2, 8, 2)), jnp.float32)
    return jax.jit(
        jax.value_and_grad(lambda w: gradient_penalty(lambda x: x @ w + 2.0, expert, policy, key))
    )


def test_gradient_penalty_of_a_linear_network(linear_penalty):
    # ∇_x (w·x + b) = w everywhere, so the penalty is (‖w‖ − 1)²: 16, 0 and 0.81.
    for weight in [(3.0, 4.0), (0.6, 0.8), (0.1, 0.0)]:
        expected = (np.hypot(*weight) - 1.0) ** 2
        np.testing.assert_allclose(
            linear_penalty(floats(*weight))[0], expected, rtol=1e-5, atol=1e-10
        )
    # d/dw (‖w‖ − 1)² = 2 (‖w‖ − 1) w / ‖w‖ = 2 · 4 · (3, 4) / 5
    np.testing.assert_allclose(linear_penalty(floats(3, 4))[1], [4.8, 6.4], rtol=1e-5)


def test_gradient_penalty_of_a_zero_network_is_smooth(linear_penalty):
    # An output layer of zeros: ‖∇‖ = 0 and the penalty 1, with a finite slope for the weights.
    value, slope = linear_penalty(floats(0, 0))
    np.testing.assert_allclose(value, 1.0, rtol=1e-5)
    assert np.all(np.isfinite(slope))


def test_gradient_penalty_points_lie_between_pairs(key):
    # f(x) = ½x² has slope x, so (√penalty + 1) of one pair is the point where it was taken.
    @jax.jit
    @jax.vmap
    def penalty(key, expert, policy):
        return gradient_penalty(lambda x: 0.5 * jnp.sum(x**2, -1), expert, policy, key)

    keys, three, seven = (
        jax.random.split(key, 20),
        jnp.full((20, 1, 1), 3.0),
        jnp.full((20, 1, 1), 7.0),
    )
    np.testing.assert_allclose(
        np.sqrt(penalty(keys, three, three)) + 1.0, np.full(20, 3.0), rtol=1e-5
    )
    points = np.sqrt(penalty(keys, three, seven)) + 1.0
    assert 3.0 <= min(points) < 4.0 and 6.0 < max(points) <= 7.0


# Standardise
# --------------------------------------------------------------------------------------------


def test_standardise(rng):
    x = rng.normal(3.0, 5.0, size=(40, 3)).astype(np.float32)
    y = standardise(jnp.asarray(x), 0.05)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(y, (wide - wide.mean()) / wide.std(), rtol=1e-4, atol=1e-5)


def test_standardise_uses_the_floor():
    # deviation 0.01 < floor 0.05: (±0.01) / 0.05 = ±0.2; above the floor it is ±1
    y = standardise(floats(-0.01, 0.01), 0.05)
    np.testing.assert_allclose(y, [-0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(standardise(floats(-0.01, 0.01), 0.005), [-1.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 1.0, -0.25, 3.0])
@pytest.mark.parametrize("shape", [(4,), (80, 64)])
def test_standardise_of_a_constant_is_zero(constant, shape):
    np.testing.assert_array_equal(standardise(jnp.full(shape, constant), 0.05), np.zeros(shape))


@pytest.mark.parametrize("shape", [(100,), (7, 3), (80, 64), (128, 16)])
def test_standardise_of_any_constant_is_exactly_zero(rng, shape):
    for constant in 10.0 * rng.normal(size=20):
        y = standardise(jnp.full(shape, constant, jnp.float32), 0.05)
        np.testing.assert_array_equal(y, np.zeros(shape))


def test_standardise_keeps_noise_small(rng):
    # Rounding noise around a constant, far below the floor, stays noise.
    x = jnp.asarray(1.0 + 1e-6 * rng.normal(size=1000), jnp.float32)
    assert np.max(np.abs(standardise(x, 0.05))) < 2e-4
