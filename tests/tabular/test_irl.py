"""Maximum causal entropy IRL: gradients, exact recovery, shaping, transfer."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from imitax.errors import ImitaxError
from imitax.tabular.irl import linear, mce_irl, neural, shaping_distance, tabular
from imitax.tabular.solve import expectation, occupancy, soft_value_iteration
from imitax.tabular.worlds import gridworld


@pytest.fixture
def features(rng):
    return rng.normal(size=(5, 3, 4))


def soft_expert(mdp, reward):
    solution = soft_value_iteration(mdp, reward)
    return solution.policy, occupancy(mdp, solution.policy)


@pytest.mark.parametrize("kind", ["linear", "pairs", "states", "neural"])
def test_gradients_of_rewards_are_their_slopes(kind, small, features, rng):
    rewards = {
        "linear": linear(features),
        "pairs": tabular(small),
        "states": tabular(small, of_state=True),
        "neural": neural(features, (6, 5)),
    }[kind]
    theta, weights = (
        rewards.initial + 0.1 * rng.normal(size=rewards.initial.shape),
        rng.normal(size=(5, 3)),
    )
    slopes = approx_fprime(theta, lambda t: np.sum(weights * rewards.reward(t)), 1e-7)
    np.testing.assert_allclose(rewards.pullback(theta, weights), slopes, atol=1e-5)


def test_linear_rewards_match_feature_expectations_and_come_back(small, features):
    truth = np.array([1.0, -2.0, 0.5, 0.3])
    _, rho = soft_expert(small, features @ truth)
    learnt = mce_irl(small, rho, linear(features))
    gap = expectation(learnt.rho, features) - expectation(rho, features)
    assert np.max(abs(gap)) < 1e-6
    np.testing.assert_allclose(learnt.rho, rho, atol=1e-6)
    # Four features of 15 pairs with 5 states: potentials are not among them, so θ itself is
    # identified.
    np.testing.assert_allclose(learnt.parameters, truth, atol=1e-4)
    assert learnt.gaps[-1] < 1e-6 < learnt.gaps[0]
    assert np.all(np.diff(learnt.objective) > -1e-12)  # a concave problem, climbed


def test_tabular_rewards_come_back_up_to_shaping(small):
    _, rho = soft_expert(small, small.reward)
    learnt = mce_irl(small, rho, tabular(small))
    np.testing.assert_allclose(learnt.rho, rho, atol=1e-5)
    assert np.max(abs(learnt.reward - small.reward)) > 0.1  # not the true reward …
    assert shaping_distance(small, learnt.reward, small.reward) < 1e-4  # … but up to a potential


def test_shaping_distance_by_construction(small, rng):
    # r' = r + γ E[Φ(s')] − Φ(s) leaves every soft-optimal policy as it was (Ng et al. 1999); a
    # bonus does not.
    potential = rng.normal(size=5)
    shaped = small.reward - potential[:, None] + 0.9 * (small.transition @ potential).reshape(5, 3)
    assert shaping_distance(small, shaped, small.reward) < 1e-10
    np.testing.assert_allclose(
        soft_value_iteration(small, shaped).policy, soft_value_iteration(small).policy, atol=1e-8
    )
    shaped[0, 0] += 1.0
    assert shaping_distance(small, shaped, small.reward) > 0.1


def test_a_neural_reward_matches_what_a_linear_one_can_not(small, rng):
    one_hot = np.eye(15).reshape(5, 3, 15)
    _, rho = soft_expert(small, small.reward)
    few = rng.normal(size=(5, 3, 2))
    wide = mce_irl(small, rho, neural(one_hot, (16,)), iterations=400)
    narrow = mce_irl(small, rho, linear(few))
    assert abs(wide.rho - rho).max() < 1e-2 < abs(narrow.rho - rho).max()


def test_the_learnt_reward_transfers_to_a_changed_world():
    # Rewards of the cells, learnt where the way leads round on the left, used where it leads round
    # on the right.
    before = gridworld(["S...", ".###", "...."], slip=0.1, discount=0.95)
    after = gridworld(["S...", "###.", "...."], slip=0.1, discount=0.95)
    truth = np.zeros(12)
    truth[11] = 5.0  # the far corner, where an episode goes on
    reward = np.repeat(truth[:, None], 4, axis=1)
    _, rho = soft_expert(before, reward)
    learnt = mce_irl(before, rho, tabular(before, of_state=True), l2=1e-3)

    def quality(policy):
        return expectation(occupancy(after, policy), reward)

    best, random = quality(soft_expert(after, reward)[0]), quality(np.full((12, 4), 0.25))
    planned_again, old_policy = (
        quality(soft_expert(after, learnt.reward)[0]),
        quality(learnt.policy),
    )
    assert (planned_again - random) / (best - random) > 0.9
    assert (old_policy - random) / (best - random) < 0.5


def test_regularisation_keeps_rewards_finite(small):
    # An expert that always takes the first action: only an infinite reward explains it.
    rho = occupancy(small, np.eye(3)[np.zeros(5, int)])
    learnt = mce_irl(small, rho, tabular(small), l2=1e-2)
    assert np.max(abs(learnt.reward)) < 50
    assert learnt.policy[:, 0].min() > 0.7


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: mce_irl(m, np.zeros((2, 2)), tabular(m)), r"shape \(2, 2\): expected \[5, 3\]"),
        (lambda m: mce_irl(m, np.zeros((5, 3)), tabular(m), l2=-1.0), "l2 is -1.0"),
    ],
)
def test_bad_arguments_are_refused(small, call, message):
    with pytest.raises(ImitaxError, match=message):
        call(small)
