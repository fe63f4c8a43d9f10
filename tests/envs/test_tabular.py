"""Tabular MDPs as environments: they move as their arrays say, and episodes end where they
should.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from imitax.core.spaces import size
from imitax.envs import make, tabular
from imitax.errors import ImitaxError
from imitax.experts.exact import exact_expert
from imitax.tabular.demonstrated import empirical_occupancy
from imitax.tabular.mdp import TabularMDP
from imitax.tabular.solve import occupancy, soft_value_iteration
from imitax.tabular.worlds import WORLDS, gridworld, mountain_car, random_mdp, world
from imitax.training.evaluation import record
from imitax.training.rollout import collect_native, start_native
from imitax.types import Discrete


def uniform_rollout(env, batch, horizon):
    """Transitions under uniformly random actions."""

    def act(obs, first, carry, key):
        return jax.random.randint(key, obs.shape[:1], 0, env.spec.action.n), carry

    state = start_native(env, batch, (), jax.random.key(0))
    _, rollout = jax.jit(lambda s, k: collect_native(env, act, s, horizon, k))(
        state, jax.random.key(1)
    )
    return jax.tree.map(np.asarray, rollout)


def test_transitions_have_the_probabilities_of_the_arrays(rng):
    # 200,000 transitions over 15 pairs: some 13,000 draws each, which deviate by 0.0044 at most (1
    # sigma).
    base = random_mdp(5, 3, rng, successors=3)
    ends = rng.uniform(0.0, 0.4, (5, 3))
    thinned = base.transition.multiply((1 - ends).reshape(-1, 1)).tocsr()
    mdp = TabularMDP(thinned, base.reward, base.initial, 0.9, ends)
    rollout = uniform_rollout(tabular.from_mdp(mdp, 50), 500, 400)
    state, following = rollout.obs.argmax(-1), rollout.next_obs.argmax(-1)
    going_on = ~rollout.terminated
    for s, a in np.ndindex(5, 3):
        here = (state == s) & (rollout.action == a)
        assert abs(rollout.terminated[here].mean() - ends[s, a]) < 0.02
        row = mdp.transition[[s * 3 + a], :].toarray()[0] / (1 - ends[s, a])
        found = np.bincount(following[here & going_on], minlength=5) / (here & going_on).sum()
        assert np.max(abs(found - row)) < 0.03
        np.testing.assert_allclose(rollout.reward[here], mdp.reward[s, a], rtol=1e-6)


def test_no_transition_crosses_the_end_of_an_episode():
    mdp = gridworld(["S..G"], slip=0.0)
    env = tabular.from_mdp(mdp, 5)
    rollout = uniform_rollout(env, 16, 200)
    state, following = rollout.obs.argmax(-1), rollout.next_obs.argmax(-1)
    ended = rollout.terminated | rollout.truncated
    assert ended.sum() > 100 and (rollout.terminated & rollout.truncated).any()
    assert (state[1:][ended[:-1]] == 0).all()  # a fresh start
    assert (state[1:][~ended[:-1]] == following[:-1][~ended[:-1]]).all()
    assert (rollout.truncated == (rollout.step == 4)).all()
    assert (rollout.terminated == ((state == 2) & (rollout.action == 1))).all()


def test_episodes_follow_the_occupancy():
    # The mean over 4,000 episodes of Σ γ^t 1[s, a]; its deviation is below 2 / √4000 ≈ 0.03 in
    # each entry.
    env = make("gridworld")
    mdp = env.model(0.9)
    shown = record(exact_expert(env, 0.02, 0.9), env, 4000)
    exact = occupancy(mdp, soft_value_iteration(mdp, temperature=0.02).policy)
    found = empirical_occupancy(mdp, shown)
    assert np.max(abs(found - exact)) < 0.1 and abs(found.sum() - exact.sum()) < 0.1


@pytest.mark.parametrize("name", WORLDS)
def test_worlds_by_name(name):
    env = make(name, time_limit=7)
    assert env.spec.id == name and env.spec.time_limit == 7
    assert env.spec.action == Discrete(world(name).actions)
    assert env.model(0.5).discount == 0.5 and env.model(0.5).name == name
    _, obs = env.reset(jax.random.key(0), 3)
    assert obs.shape == (3, size(env.spec.observation)) and (jnp.sum(obs, axis=1) == 1).all()


def test_too_many_states_for_one_hot_observations_are_told():
    with pytest.raises(ImitaxError, match="has 10201 states: expected at most 4096"):
        tabular.from_mdp(mountain_car(), 200)
