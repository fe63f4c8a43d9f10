"""Policies: plain callables on numpy input, and their files."""

import json

import jax
import numpy as np
import pytest

from imitax.core.distributions import categorical
from imitax.core.normaliser import empty_normaliser, merge_observations
from imitax.core.spaces import is_box, size, vector
from imitax.errors import ImitaxError
from imitax.networks import GaussianPolicy, feedforward, mlp, mlp_policy
from imitax.policies.policy import TrainedPolicy, check_policy, load_policies, save_policies
from imitax.types import Box, Discrete, EnvSpec

DISCRETE = EnvSpec("Acrobot-v1", vector(6), Discrete(3), 500)
BOX = EnvSpec("Any-v0", vector(3), Box((-2.0, 0.0), (2.0, 5.0)), 200)
SPECS = pytest.mark.parametrize("spec", [DISCRETE, BOX], ids=["Discrete", "Box"])


def make(spec, seed=0):
    """A random policy with large weights, so that its actions differ and leave the box before
    clipping.
    """
    key_network, key_obs = jax.random.split(jax.random.key(seed))
    # Not as `mlp_policy` starts, with outputs that are 0.
    network = mlp(key_network, (size(spec.observation), 8, 5, size(spec.action)), 0.01)
    if is_box(spec.action):
        network = GaussianPolicy(network, jax.numpy.full(size(spec.action), -0.5))
    network = jax.tree.map(lambda x: 100.0 * x, network)
    seen = 2.0 + 3.0 * jax.random.normal(key_obs, (50, size(spec.observation)))
    normaliser = merge_observations(spec.observation, empty_normaliser(spec.observation), seen)
    return TrainedPolicy(spec, mlp_policy(spec, (8, 5)), network, normaliser)


def observations(spec, n=64):
    return np.random.default_rng(1).normal(2.0, 3.0, (n, size(spec.observation)))


@SPECS
def test_one_observation_and_many_give_the_same_actions(spec):
    policy, obs = make(spec), observations(spec)
    actions = policy(obs)
    assert actions.shape == ((64,) if spec is DISCRETE else (64, 2))
    single = [policy(one) for one in obs]
    np.testing.assert_allclose(single, actions, rtol=1e-5)
    np.testing.assert_array_equal(policy(obs.tolist()), actions)


def test_discrete_actions_are_whole_numbers_of_the_space():
    policy, obs = make(DISCRETE), observations(DISCRETE)
    assert type(policy(obs[0])) is int and np.issubdtype(policy(obs).dtype, np.integer)
    assert set(policy(obs).tolist()) == {0, 1, 2}
    assert set(policy.sampler(0)(obs).tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("stochastic", [False, True])
def test_box_actions_are_in_units_of_the_environment_and_within_its_bounds(stochastic):
    policy, obs = make(BOX), observations(BOX)
    actions = (policy.sampler(0) if stochastic else policy)(obs)
    assert actions.shape == (64, 2) and policy(obs[0]).shape == (2,)
    # weights are large: both ends are reached
    np.testing.assert_array_equal(actions.min(axis=0), [-2, 0])
    np.testing.assert_array_equal(actions.max(axis=0), [2, 5])


@SPECS
def test_sampler_repeats_with_its_seed_and_leaves_the_policy_deterministic(spec):
    policy, obs = make(spec), observations(spec)
    before = policy(obs)
    first, again, other = (policy.sampler(seed) for seed in (3, 3, 4))
    draws = [first(obs), first(obs)]
    np.testing.assert_array_equal([again(obs), again(obs)], draws)
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(other(obs), draws[0])
    np.testing.assert_array_equal(policy(obs), before)


@pytest.mark.parametrize("shape", [(), (5,), (7,), (4, 5), (0, 5), (2, 3, 6)])
def test_observations_of_another_shape_are_refused(shape):
    with pytest.raises(ImitaxError, match=r"expects \(6,\) or \(N, 6\)"):
        make(DISCRETE)(np.zeros(shape))


def same_bits(one, other):
    trees = [(policy.params, policy.normaliser) for policy in (one, other)]
    leaves = zip(*map(jax.tree.leaves, trees), strict=True)
    return all(
        np.asarray(a).tobytes() == np.asarray(b).tobytes() and a.dtype == b.dtype for a, b in leaves
    )


@SPECS
def test_files_hold_every_bit(tmp_path, spec):
    policies = [make(spec, seed) for seed in range(3)]
    save_policies(policies, tmp_path / "policy.safetensors")
    loaded = load_policies(tmp_path / "policy.safetensors")
    assert len(loaded) == 3 and all(policy.spec == spec for policy in loaded)
    assert all(same_bits(a, b) for a, b in zip(policies, loaded, strict=True))
    assert not same_bits(loaded[0], loaded[1])
    np.testing.assert_array_equal(loaded[2](observations(spec)), policies[2](observations(spec)))
    save_policies(loaded, tmp_path / "again.safetensors")
    for suffix in (".safetensors", ".json"):
        one, two = (
            (tmp_path / name).with_suffix(suffix).read_bytes() for name in ("policy.x", "again.x")
        )
        assert one == two


def test_description_is_readable(tmp_path):
    save_policies([make(DISCRETE)] * 2, tmp_path / "policy.safetensors")
    told = json.loads((tmp_path / "policy.json").read_text())
    assert told["env"] == {
        "id": "Acrobot-v1",
        "observation": {"kind": "Box", "low": None, "high": None, "shape": [6], "dtype": "float32"},
        "action": {"kind": "Discrete", "n": 3},
        "time_limit": 500,
    }
    assert told["hidden"] == [8, 5] and told["seeds"] == 2
    assert told["parameters_per_seed"] == 6 * 8 + 8 + 8 * 5 + 5 + 5 * 3 + 3
    assert told["tensors"]["seed0.network.weights.0"] == [6, 8]


@pytest.fixture
def saved(tmp_path):
    """The path of a good file, with its description beside it."""
    save_policies([make(DISCRETE), make(DISCRETE, 1)], tmp_path / "policy.safetensors")
    return tmp_path / "policy.safetensors"


def refused(path, message):
    with pytest.raises(ImitaxError, match=message) as caught:
        load_policies(path)
    assert str(path.parent) in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
def test_missing_file_is_named(saved, suffix):
    saved.with_suffix(suffix).unlink()
    refused(saved, f"policy{suffix}' is missing")


@pytest.mark.parametrize("content", [b"", b"nonsense" * 9, b"\xff" * 100])
def test_what_is_no_safetensors_file_is_refused(saved, content):
    saved.write_bytes(content)
    refused(saved, "cannot be read")


def test_files_cut_off_anywhere_are_refused(saved):
    for file in (saved, saved.with_suffix(".json")):
        whole = file.read_bytes()
        for end in range(0, len(whole) - 2, max(1, len(whole) // 40)):
            file.write_bytes(whole[:end])
            refused(saved, "cannot be read")
        file.write_bytes(whole)
    assert len(load_policies(saved)) == 2


def in_env(told, **changes):
    return told | {"env": told["env"] | changes}


BAD_DESCRIPTIONS = {
    "a list": lambda told: [1],
    "no env": lambda told: {key: value for key, value in told.items() if key != "env"},
    "env is text": lambda told: told | {"env": "Acrobot-v1"},
    "no kind": lambda told: in_env(told, action={"n": 3}),
    "space is null": lambda told: in_env(told, action=None),
    "another space": lambda told: in_env(told, action={"kind": "Discrete", "n": 4}),
    "unknown space": lambda told: in_env(told, action={"kind": "Text", "n": 3}),
    "negative size": lambda told: in_env(told, observation_size=-6),
    "negative shape": lambda told: in_env(
        told, observation=told["env"]["observation"] | {"shape": [-6]}
    ),
    "another shape": lambda told: in_env(
        told, observation=told["env"]["observation"] | {"shape": [7]}
    ),
    "other layers": lambda told: told | {"hidden": [8]},
    "layers of text": lambda told: told | {"hidden": ["8", "five"]},
    "empty layer": lambda told: told | {"hidden": [8, 0]},
    "hidden is null": lambda told: told | {"hidden": None},
    "more seeds": lambda told: told | {"seeds": 3},
    "no seeds": lambda told: told | {"seeds": 0},
    "seeds of text": lambda told: told | {"seeds": "two"},
}


@pytest.mark.parametrize("change", BAD_DESCRIPTIONS.values(), ids=BAD_DESCRIPTIONS.keys())
def test_descriptions_that_do_not_fit_are_refused(saved, change):
    file = saved.with_suffix(".json")
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    refused(saved, "cannot be read|has (nothing|shape)")


OLD_SPACES = {
    "Discrete": {"kind": "Discrete", "n": 3},
    "Box": {"kind": "Box", "low": [-2.0, 0.0], "high": [2.0, 5.0]},
}


@SPECS
def test_a_description_of_version_0_1_0_is_read(tmp_path, spec):
    # That version wrote a size for the observations, and other keys for the spaces. Tensors are
    # the same.
    policy = make(spec)
    save_policies([policy], tmp_path / "policy.safetensors")
    told = json.loads((tmp_path / "policy.json").read_text())
    told["env"] = {
        "id": spec.id,
        "observation_size": size(spec.observation),
        "action_space": OLD_SPACES[type(spec.action).__name__],
        "time_limit": spec.time_limit,
    }
    (tmp_path / "policy.json").write_text(json.dumps(told))
    (loaded,) = load_policies(tmp_path / "policy.safetensors")
    assert loaded.spec == spec and same_bits(loaded, policy)
    np.testing.assert_array_equal(loaded(observations(spec)), policy(observations(spec)))


@SPECS
def test_loaded_policies_are_of_the_family_of_those_that_are_trained(tmp_path, spec):
    # Equal families are one object, so that they share what is compiled, and are played side by
    # side.
    save_policies([make(spec)], tmp_path / "policy.safetensors")
    (loaded,) = load_policies(tmp_path / "policy.safetensors")
    assert loaded.family is mlp_policy(spec, (8, 5))


def test_only_networks_that_a_file_can_describe_are_saved(tmp_path):
    family = feedforward(
        categorical, lambda key: {"w": np.zeros((6, 3))}, lambda params, obs: obs @ params["w"]
    )
    policy = TrainedPolicy(
        DISCRETE, family, {"w": np.zeros((6, 3), np.float32)}, make(DISCRETE).normaliser
    )
    assert policy(np.zeros(6)) == 0
    with pytest.raises(
        ImitaxError, match=r"Only policies whose network is a multilayer perceptron .* found dict"
    ):
        policy.save(tmp_path / "policy.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_parameters_of_the_distribution_have_their_names():
    assert list(make(DISCRETE).distribution(observations(DISCRETE))) == ["logits"]
    box = make(BOX).distribution(observations(BOX))
    assert {name: values.shape for name, values in box.items()} == {
        "mean": (64, 2),
        "log_std": (64, 2),
    }


def test_a_policy_for_other_spaces_is_refused():
    check_policy(make(BOX), BOX)
    bounded = EnvSpec("Any-v1", Box(-1.0, 1.0, (3,)), BOX.action, 50)
    check_policy(make(BOX), bounded)  # where observations lie does not matter to a network
    others = (vector(4), BOX.action), (vector(3), Box(-1.0, 1.0, (2,))), (vector(3), Discrete(2))
    for other in (EnvSpec("Any-v0", *spaces, 200) for spaces in others):
        with pytest.raises(ImitaxError, match="The policy is for 'Any-v0' with 3 observations"):
            check_policy(make(BOX), other)
