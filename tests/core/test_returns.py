"""Discounted sums, advantages and the absorbed share, against derivations and slow loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core import returns

# Compiled, as in training; one program each is also quicker than one for every operation.
absorbing_mass = jax.jit(returns.absorbing_mass, static_argnums=2)
discounted_sum = jax.jit(returns.discounted_sum, static_argnums=1)
generalised_advantage = jax.jit(
    returns.generalised_advantage, static_argnames=("discount", "gae_lambda")
)

T, B = 40, 3


def floats(*x):
    return jnp.asarray(x, jnp.float32)


def bools(*x):
    return jnp.asarray(x, bool)


def slow_advantage(reward, value, next_value, terminated, truncated, discount, gae_lambda):
    """Σ_k (γλ)^k δ_{t+k} up to the end of the episode, in float64, one sum for each t and
    environment.
    """
    advantage = np.zeros(reward.shape)
    for b in range(reward.shape[1]):
        for t in range(reward.shape[0]):
            weight = 1.0
            for k in range(t, reward.shape[0]):
                bootstrap = 0.0 if terminated[k, b] else discount * float(next_value[k, b])
                advantage[t, b] += weight * (float(reward[k, b]) + bootstrap - float(value[k, b]))
                if terminated[k, b] or truncated[k, b]:
                    break
                weight *= discount * gae_lambda
    return advantage


@pytest.fixture
def experience(rng):
    """Random reward, value, next_value, terminated, truncated [T, B]; next values are unrelated to
    values.
    """
    reward, value, next_value = rng.normal(size=(3, T, B)).astype(np.float32)
    ends = rng.random((T, B))
    # Some steps end both ways: termination on the last step of the time limit.
    return tuple(
        map(jnp.asarray, (reward, value, next_value, ends < 0.1, (ends > 0.05) & (ends < 0.2)))
    )


def test_gae_by_hand():
    # γ = λ = 1/2, so γλ = 1/4 and every number below is exact in binary.   t    r   V   V'  end
    # δ = r + γ(1 − terminated)V' − V     A = δ + γλ A_{t+1} unless ended   0    1   2   1
    # 1 + 1/2 − 2 = −1/2                  −1/2 + 1/4 · 1 = −1/4   1    2   1   4   terminated   2 +
    # 0   − 1 =  1                     1   2    3   0   1                3 + 1/2 − 0 =  7/2
    # 7/2 + 1/4 · 6 =  5   3    4   1   6   truncated    4 + 3   − 1 =  6                     6   4
    # 5   2   4                5 + 2   − 2 =  5                     5  (the rollout stops)
    advantage = generalised_advantage(
        reward=floats(1, 2, 3, 4, 5),
        value=floats(2, 1, 0, 1, 2),
        next_value=floats(1, 4, 1, 6, 4),
        terminated=bools(0, 1, 0, 0, 0),
        truncated=bools(0, 0, 0, 1, 0),
        discount=0.5,
        gae_lambda=0.5,
    )
    np.testing.assert_array_equal(advantage, [-0.25, 1.0, 5.0, 6.0, 5.0])


@pytest.mark.parametrize("discount, gae_lambda", [(0.99, 0.95), (0.9, 0.0), (1.0, 1.0), (0.0, 0.9)])
def test_gae_equals_slow_double_loop(experience, discount, gae_lambda):
    advantage = generalised_advantage(*experience, discount, gae_lambda)
    assert advantage.dtype == jnp.float32
    expected = slow_advantage(*map(np.asarray, experience), discount, gae_lambda)
    np.testing.assert_allclose(advantage, expected, rtol=1e-5, atol=1e-5)


def test_gae_of_any_batch_shape(experience):
    together = generalised_advantage(*experience, 0.99, 0.95)
    alone = generalised_advantage(
        *(jnp.asarray(np.asarray(x)[:, 1]) for x in experience), 0.99, 0.95
    )
    np.testing.assert_allclose(alone, together[:, 1], rtol=1e-6, atol=1e-6)
    one = jax.vmap(lambda *x: generalised_advantage(*x, 0.99, 0.95), in_axes=1, out_axes=1)
    mapped = jax.jit(one)(*experience)
    np.testing.assert_allclose(mapped, together, rtol=1e-6, atol=1e-6)


def test_lambda_zero_is_the_one_step_error(experience):
    reward, value, next_value, terminated, _ = experience
    expected = reward + 0.9 * jnp.where(terminated, 0.0, next_value) - value
    np.testing.assert_allclose(
        generalised_advantage(*experience, 0.9, 0.0), expected, rtol=1e-6, atol=1e-6
    )


def test_lambda_one_is_monte_carlo_minus_value(rng):
    # With V'_t = V_{t+1} inside an episode the values telescope:
    #   Σ_k γ^k (r_{t+k} + γ V_{t+k+1} − V_{t+k}) = Σ_k γ^k r_{t+k} + γ^n V'_last − V_t,
    # n steps from t to the end, with V'_last counted unless the episode terminated.
    discount = 0.9
    reward, value = rng.normal(size=(2, 12)).astype(np.float32)
    terminated, truncated = np.zeros(12, bool), np.zeros(12, bool)
    terminated[3], truncated[8] = True, True
    last_values = {3: 50.0, 8: 7.0, 11: -3.0}  # the first must not count
    next_value = np.append(value[1:], 0.0).astype(np.float32)
    for t, v in last_values.items():
        next_value[t] = v
    expected = np.zeros(12)
    for first, last, bootstrap in [(0, 3, 0.0), (4, 8, 7.0), (9, 11, -3.0)]:
        tail = bootstrap
        for t in range(last, first - 1, -1):
            tail = float(reward[t]) + discount * tail
            expected[t] = tail - float(value[t])
    inputs = map(jnp.asarray, (reward, value, next_value, terminated, truncated))
    advantage = generalised_advantage(*inputs, discount, 1.0)
    np.testing.assert_allclose(advantage, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("end", ["terminated", "truncated"])
def test_nothing_crosses_a_border(experience, rng, end):
    reward, value, next_value, terminated, truncated = experience
    border = 20
    terminated = terminated.at[border].set(end == "terminated")
    truncated = truncated.at[border].set(end == "truncated")
    before = generalised_advantage(reward, value, next_value, terminated, truncated, 0.99, 0.95)

    def perturbed(x):
        return x.at[border + 1 :].add(
            jnp.asarray(1e6 * rng.normal(size=(T - border - 1, B)), jnp.float32)
        )

    other = perturbed(reward), perturbed(value), perturbed(next_value)
    after = generalised_advantage(*other, terminated, truncated, 0.99, 0.95)
    assert np.asarray(before)[: border + 1].tobytes() == np.asarray(after)[: border + 1].tobytes()
    assert np.all(np.asarray(before)[border + 1 :] != np.asarray(after)[border + 1 :])


def test_what_follows_within_an_episode_counts(experience):
    # The counterpart of the border test: without a border the same perturbation is felt.
    reward, value, next_value, terminated, _ = experience
    never = jnp.zeros_like(terminated)
    before = generalised_advantage(reward, value, next_value, never, never, 0.99, 0.95)
    after = generalised_advantage(
        reward.at[-1].add(100.0), value, next_value, never, never, 0.99, 0.95
    )
    np.testing.assert_allclose(
        after[0] - before[0], 100.0 * (0.99 * 0.95) ** (T - 1) * np.ones(B), rtol=1e-3
    )


@jax.jit
@jax.value_and_grad
def last_advantage(next_value, terminated, truncated):
    return generalised_advantage(
        floats(1), floats(2), next_value[None], terminated, truncated, 0.5, 0.5
    )[0]


@pytest.mark.parametrize(
    "terminated, truncated, slope", [(0, 0, 0.5), (0, 1, 0.5), (1, 0, 0.0), (1, 1, 0.0)]
)
def test_only_termination_stops_the_bootstrap(terminated, truncated, slope):
    # A = r + γ(1 − terminated)V' − V, so dA/dV' = γ, or 0 after termination.
    advantage, found = last_advantage(jnp.asarray(3.0), bools(terminated), bools(truncated))
    assert advantage == 1.0 + slope * 3.0 - 2.0 and found == slope


def test_discounted_sum_by_hand():
    # γ = 1/2:  4,  2 + 4/2 = 4,  1 + 4/2 = 3
    np.testing.assert_array_equal(discounted_sum(floats(1, 2, 4), 0.5), [3.0, 4.0, 4.0])


def test_discounted_sum_limits(rng):
    reward = jnp.asarray(rng.normal(size=(T, B)), jnp.float32)
    np.testing.assert_array_equal(discounted_sum(reward, 0.0), reward)
    backward_sums = np.cumsum(np.asarray(reward, np.float64)[::-1], axis=0)[::-1]
    np.testing.assert_allclose(discounted_sum(reward, 1.0), backward_sums, rtol=1e-5, atol=1e-5)


def test_discounted_sum_of_a_constant():
    # Σ_{k<n} γ^k = (1 − γ^n) / (1 − γ)
    left = np.arange(30, 0, -1)
    sums = discounted_sum(jnp.ones(30), 0.9)
    np.testing.assert_allclose(sums, (1.0 - 0.9**left) / (1.0 - 0.9), rtol=1e-5)


def episodes(*ends):
    """terminated and step of whole episodes: (length, terminated) each."""
    terminated = [done and t == length - 1 for length, done in ends for t in range(length)]
    step = [t for length, _ in ends for t in range(length)]
    return jnp.asarray(terminated, bool), jnp.asarray(step, jnp.int32)


@pytest.mark.parametrize(
    "ends, expected",
    [
        # limit 10: an episode whose last step is 3 has 4 live steps and 10 − 4 = 6 absorbed ones
        ([(4, True)], 6 / 10),
        ([(4, True)] * 3, 6 / 10),
        # 6 absorbed steps among 4 + 10 live ones; the truncated episode adds none
        ([(4, True), (10, False)], 6 / 20),
        ([(1, True)], 9 / 10),
        ([(10, True)], 0.0),  # terminated on the very last step
        ([(10, False), (5, False)], 0.0),  # cut off, not ended
        ([(2, True), (7, True)], (8 + 3) / 20),
    ],
)
def test_absorbing_mass_of_whole_episodes(ends, expected):
    mass = absorbing_mass(*episodes(*ends), 10)
    assert mass.shape == () and mass.dtype == jnp.float32
    np.testing.assert_allclose(mass, expected, rtol=1e-6)


def test_absorbing_mass_ignores_layout():
    terminated, step = episodes((2, True), (6, True))
    whole = absorbing_mass(terminated, step, 10)
    np.testing.assert_array_equal(
        absorbing_mass(terminated.reshape(4, 2), step.reshape(4, 2), 10), whole
    )


def test_absorbing_mass_counts_as_many_steps_as_the_limit():
    # Whole terminated episodes of lengths n_i fill exactly K · limit steps, whatever the lengths:
    # Σ(limit − n_i) / (Σ(limit − n_i) + Σ n_i) = 1 − Σ n_i / (K · limit).
    lengths = [1, 17, 200, 63]
    mass = absorbing_mass(*episodes(*((n, True) for n in lengths)), 200)
    np.testing.assert_allclose(mass, 1.0 - sum(lengths) / (4 * 200), rtol=1e-6)
