"""Exported policies act like ours, and files that do not are never kept."""

import json
import sys

import jax
import numpy as np
import pytest

from imitax.core.spaces import is_box, size, vector
from imitax.core.statistics import Moments
from imitax.errors import ImitaxError
from imitax.networks import LOG_STD_FLOOR, GaussianPolicy, mlp, mlp_policy
from imitax.policies import onnx as export
from imitax.policies.onnx import build, compare, export_onnx, export_safetensors, metadata, probes
from imitax.policies.policy import TrainedPolicy, load_policies
from imitax.types import Box, Discrete, EnvSpec

DISCRETE = EnvSpec("Acrobot-v1", vector(6), Discrete(3), 500)
BOX = EnvSpec("Any-v0", vector(3), Box((-2.0, 0.0), (2.0, 5.0)), 200)
SPECS = pytest.mark.parametrize("spec", [DISCRETE, BOX], ids=["Discrete", "Box"])


def make(spec, seed=0, hidden=(8, 5), log_std=(-0.5, -9.0)):
    """A random policy with large weights; the last observation never varied."""
    rng = np.random.default_rng(seed)
    network = mlp(jax.random.key(seed), (size(spec.observation), *hidden, size(spec.action)), 0.01)
    if is_box(spec.action):
        network = GaussianPolicy(network, jax.numpy.asarray(log_std))
        network = GaussianPolicy(jax.tree.map(lambda x: 100.0 * x, network.mean), network.log_std)
    mean, variance = rng.normal(size=(2, size(spec.observation)))
    variance = variance**2
    variance[-1] = 0.0
    moments = Moments(*map(jax.numpy.float32, (50.0, mean, variance)))
    return TrainedPolicy(spec, mlp_policy(spec, hidden), network, moments)


def run(path, observations):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"observation": observations}), strict=True))


@SPECS
@pytest.mark.parametrize("hidden", [(100, 100), (4,)])
def test_actions_and_distribution_are_ours(tmp_path, spec, hidden):
    policy = make(spec, hidden=hidden)
    observations = np.random.default_rng(1).normal(0.0, 2.0, (300, size(spec.observation)))
    check = export_onnx(policy, tmp_path / "policy.onnx", observations)
    assert check.observations == 512 + 300 and max(check.largest_difference.values()) < 1e-4
    for batch in (1, 300):
        obs = observations[:batch].astype(np.float32)
        got = run(tmp_path / "policy.onnx", obs)
        for name, values in policy.distribution(obs).items():
            assert got[name].shape == values.shape == (batch, size(spec.action))
            np.testing.assert_allclose(got[name], values, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(got["action"], policy(obs), rtol=1e-4, atol=2e-4)
        assert got["action"].dtype == (np.int64 if spec is DISCRETE else np.float32)
    assert len(np.unique(got["action"], axis=0)) > 2


def test_box_actions_stay_within_their_bounds_and_the_deviation_above_its_floor(tmp_path):
    export_onnx(make(BOX), tmp_path / "policy.onnx")
    got = run(
        tmp_path / "policy.onnx", np.random.default_rng(0).normal(0, 5, (500, 3)).astype(np.float32)
    )
    np.testing.assert_array_equal(got["action"].min(axis=0), [-2.0, 0.0])
    np.testing.assert_array_equal(got["action"].max(axis=0), [2.0, 5.0])
    assert (np.abs(got["mean"]) > 1).any()  # before clipping
    np.testing.assert_allclose(np.unique(got["log_std"], axis=0), [[-0.5, LOG_STD_FLOOR]])


@SPECS
def test_file_tells_what_it_is(tmp_path, spec):
    import onnx
    import onnxruntime

    export_onnx(make(spec), tmp_path / "policy.onnx")
    told = (
        onnxruntime.InferenceSession(tmp_path / "policy.onnx").get_modelmeta().custom_metadata_map
    )
    assert told == metadata(spec)
    assert (told["env_id"], told["observation_size"]) == (spec.id, str(size(spec.observation)))
    actions = {"kind": "Discrete", "n": 3}
    if spec is BOX:
        actions = {"kind": "Box", "low": [-2, 0], "high": [2, 5], "shape": [2], "dtype": "float32"}
    assert json.loads(told["action_space"]) == actions and told["imitax_version"]
    model = onnx.load(tmp_path / "policy.onnx")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    kinds = {node.op_type for node in model.graph.node}
    common = {"Sub", "Div", "Clip", "MatMul", "Add", "Tanh"}
    assert kinds == common | (
        {"ArgMax"} if spec is DISCRETE else {"Mul", "Max", "Min", "Shape", "Expand"}
    )


@SPECS
def test_another_policy_is_told_apart(spec):
    data = build(make(spec, seed=1)).SerializeToString()
    with pytest.raises(ImitaxError, match=r"differs? by .*nothing was written"):
        compare(make(spec), data, probes(make(spec)))


def test_wrong_actions_with_the_right_distribution_are_told():
    for spec, wrong in ((DISCRETE, "ArgMin"), (BOX, "Max")):
        model = build(make(spec))
        model.graph.node[[n.output[0] for n in model.graph.node].index("action")].op_type = wrong
        with pytest.raises(ImitaxError, match=r"acts otherwise|actions differ"):
            compare(make(spec), model.SerializeToString(), probes(make(spec)))


def test_ties_are_counted_and_allowed():
    policy = make(DISCRETE)
    # all logits equal: the first is taken
    params = jax.tree.map(jax.numpy.zeros_like, policy.params)
    policy = TrainedPolicy(DISCRETE, policy.family, params, policy.normaliser)
    model = build(policy)
    assert compare(policy, model.SerializeToString(), probes(policy)).ties == 0
    argmax = next(node for node in model.graph.node if node.op_type == "ArgMax")
    argmax.attribute.append(__import__("onnx").helper.make_attribute("select_last_index", 1))
    assert compare(policy, model.SerializeToString(), probes(policy)).ties == 512


def test_nothing_is_left_of_a_file_that_fails_its_check(tmp_path, monkeypatch):
    other = build(make(DISCRETE, seed=1))
    monkeypatch.setattr(export, "build", lambda policy: other)
    with pytest.raises(ImitaxError, match="nothing was written"):
        export_onnx(make(DISCRETE), tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


def test_files_are_not_written_over(tmp_path):
    policy = make(DISCRETE)
    for name in ("policy.onnx", "taken.json"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(ImitaxError, match=r"policy\.onnx' exists"):
        export_onnx(policy, tmp_path / "policy.onnx")
    with pytest.raises(ImitaxError, match=r"taken\.json' exists"):
        export_safetensors([policy], tmp_path / "taken.safetensors")
    with pytest.raises(ImitaxError, match=r"ending '\.pb': expected \.onnx"):
        export_onnx(policy, tmp_path / "policy.pb")
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}
    with pytest.raises(ImitaxError, match="cannot be written"):
        export_onnx(policy, tmp_path / "policy.onnx" / "below.onnx")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_missing_extra_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImitaxError, match=r"pip install 'imitax\[onnx\]'\.$"):
        export_onnx(make(DISCRETE), tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


@SPECS
def test_safetensors_hold_every_bit(tmp_path, spec):
    policies = [make(spec, seed) for seed in range(2)]
    export_safetensors(policies, tmp_path / "new" / "copy.safetensors")
    assert sorted(f.name for f in (tmp_path / "new").iterdir()) == ["copy.json", "copy.safetensors"]
    loaded = load_policies(tmp_path / "new" / "copy.safetensors")
    for ours, theirs in zip(policies, loaded, strict=True):
        trees = [(policy.params, policy.normaliser) for policy in (ours, theirs)]
        pairs = zip(*map(jax.tree.leaves, trees), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
