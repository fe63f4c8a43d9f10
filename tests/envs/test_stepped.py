"""Native environments stepped by Python: the same episodes, for callers that JAX cannot
compile.
"""

import jax
import numpy as np
import pytest

import imitax
from imitax.envs import make
from imitax.envs.base import HostEnv, stepped_by_host


def played(env, seeds, steps):
    """First observations, and `steps` answers to action 1 everywhere."""
    batch = stepped_by_host(env).open(len(seeds))
    first = batch.reset(seeds)
    answers = [batch.step(np.ones(len(seeds), np.int32)) for _ in range(steps)]
    batch.close()
    return first, answers


def test_it_is_the_same_environment_under_its_own_name():
    env = make("gridworld")
    host = stepped_by_host(env)
    assert (
        isinstance(host, HostEnv)
        and host.spec == env.spec
        and host.backend == env.backend == "native"
    )
    assert host.model is env.model


def test_arrays_are_the_callers_own_and_episodes_stay_apart():
    first, answers = played(make("CartPole-v1"), [3, 4], 40)
    assert (np.abs(first) <= 0.05).all()
    obs = first
    for answer in answers:
        assert all(type(x) is np.ndarray and x.flags.writeable for x in answer)
        over = answer.terminated | answer.truncated
        np.testing.assert_array_equal(answer.obs[~over], answer.next_obs[~over])
        assert (np.abs(answer.obs[over]) <= 0.05).all() and (
            np.abs(answer.next_obs[over, 2]) > 0.2
        ).all()
        # A cart moves by its velocity of before: 0.02 s a step.
        np.testing.assert_allclose(answer.next_obs[:, 0], obs[:, 0] + 0.02 * obs[:, 1], atol=1e-6)
        obs = answer.obs
    assert np.stack([x.terminated for x in answers]).sum() >= 4


def test_seeds_repeat_and_differ():
    env = make("CartPole-v1")
    (first, steps), (again, same), (other, _) = (
        played(env, seeds, 5) for seeds in ([3, 4], [3, 4], [3, 5])
    )
    np.testing.assert_array_equal(first, again)
    for one, two in zip(steps, same, strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, two)
    assert not np.array_equal(first, other) and not np.array_equal(first[0], first[1])


@pytest.mark.parametrize("name", ["gridworld", "random-mdp"])
def test_a_function_plays_worlds_that_only_jax_has(name):
    env, rows = imitax.make(name), []

    def expert(obs):
        rows.append(obs.copy())
        return obs.argmax(axis=1) % 2  # a rule that can be checked afterwards

    shown = imitax.record(expert, env, 2)
    assert len(shown) == 2 and shown.env_id == name and (shown.observations.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(shown.actions, shown.observations.argmax(axis=1) % 2)
    assert rows[0].shape == (2, env.spec.observation.shape[0]) and len(rows) == shown.lengths.max()
    # Every step is one that the arrays of the world allow, and the returns are theirs.
    mdp, state, start = env.model(0.9), shown.observations.argmax(axis=1), 0
    transition = mdp.transition.toarray().reshape(mdp.states, mdp.actions, mdp.states)
    for length, total in zip(shown.lengths, shown.returns, strict=True):
        s, a = state[start : start + length], shown.actions[start : start + length]
        assert (transition[s[:-1], a[:-1], s[1:]] > 0).all()
        assert total == pytest.approx(mdp.reward[s, a].sum(), rel=1e-5)
        start += length
    assert shown.fingerprint() == imitax.record(expert, env, 2).fingerprint()
