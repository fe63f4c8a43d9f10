"""Policies for other programs: ONNX built by hand from seven kinds of node, and plain parameters.

The only place that imports onnx and onnxruntime.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from imitax.core.spaces import bounds, describe, is_index, size
from imitax.core.statistics import LIMIT, scale
from imitax.errors import ImitaxError, missing, one_line
from imitax.files.write import creating, new_file
from imitax.networks import LOG_STD_FLOOR
from imitax.policies.policy import TrainedPolicy, save_policies
from imitax.types import EnvSpec

OPSET, IR_VERSION = 17, 8  # of 2022: old runtimes read them, and no newer node is needed
TOLERANCE = 1e-4  # of the distribution's parameters, relative where they are larger than 1
_RANDOM = 512  # observations of the check, beside those that are given


class Check(NamedTuple):
    """What the same observations gave here and under onnxruntime."""

    observations: int
    ties: int  # Discrete actions that differ since two logits are equal but for rounding
    largest_difference: dict[str, float]  # output -> absolute


def export_onnx(
    policy: TrainedPolicy, path: str | os.PathLike, observations: np.ndarray | None = None
) -> Check:
    """Write `policy` as an ONNX file that gives the same actions, which is checked before it gets
    its name.

    Input `observation` [batch, O] float32, raw. Outputs `action` [batch] int64 or [batch, A]
    float32, the deterministic action in the environment's units, and the distribution's
    parameters: `logits` [batch, n], or `mean` and `log_std` [batch, A] of the action scaled to
    [−1, 1], before clipping. `observations` [N, O]: checked beside random ones.

    Raises:
        ImitaxError: the extra is not installed, the file exists, has another suffix or cannot be
            written, or the outputs differ.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401  (before anything is built in vain)
    except ImportError as error:
        raise missing("Export to ONNX", "onnx") from error
    path = new_file(Path(path), ".onnx")
    model = build(policy)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    result = compare(policy, data, probes(policy, observations))
    with creating(path) as partial:
        partial.write_bytes(data)
    return result


def export_safetensors(policies: list[TrainedPolicy], path: str | os.PathLike) -> None:
    """Copy plain parameters: `path` (.safetensors) and its description beside it (.json)."""
    path = new_file(Path(path), ".safetensors")
    new_file(path.with_suffix(".json"), ".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_policies(policies, path)
    except OSError as error:
        raise ImitaxError(f"'{path}' cannot be written: {one_line(error)}.") from error


def build(policy: TrainedPolicy) -> Any:
    """The ONNX model: normalise, clip, MatMul, Add, Tanh, and the most likely action."""
    from onnx import TensorProto, helper

    spec, graph = policy.spec, _Graph()
    moments = policy.normaliser
    x = graph.add("Sub", "observation", graph.constant("obs_mean", moments.mean))
    x = graph.add("Div", x, graph.constant("obs_std", scale(moments)))
    x = graph.add("Clip", x, graph.constant("low", -LIMIT), graph.constant("high", LIMIT))
    discrete = is_index(spec.action)
    if discrete:
        graph.layers(policy.params, x, "logits")
        graph.add("ArgMax", "logits", output="action", axis=-1, keepdims=0)
    else:
        graph.layers(policy.params.mean, x, "mean")
        _box_action(graph, policy)
    outputs_size = size(spec.action)
    parameters = ["logits"] if discrete else ["mean", "log_std"]
    kind, shape = (
        (TensorProto.INT64, ["batch"]) if discrete else (TensorProto.FLOAT, ["batch", outputs_size])
    )
    outputs = [helper.make_tensor_value_info("action", kind, shape)]
    outputs += [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", outputs_size])
        for n in parameters
    ]
    taken = helper.make_tensor_value_info(
        "observation", TensorProto.FLOAT, ["batch", size(spec.observation)]
    )
    model = helper.make_model(
        helper.make_graph(graph.nodes, "policy", [taken], outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="imitax",
        producer_version=_version(),
    )
    helper.set_model_props(model, metadata(spec))
    return model


class _Graph:
    """Nodes and constants in the order in which they are added."""

    def __init__(self):
        self.nodes: list = []
        self.constants: list = []

    def constant(self, name: str, value) -> str:
        from onnx import numpy_helper

        array = np.asarray(value)
        array = array if array.dtype == np.int64 else array.astype(np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes) -> str:
        from onnx import helper

        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def layers(self, network, x: str, output: str) -> None:
        last = len(network.weights) - 1
        for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            x = self.add("MatMul", x, self.constant(f"weight_{i}", weight))
            x = self.add(
                "Add", x, self.constant(f"bias_{i}", bias), output=output if i == last else None
            )
            if i < last:
                x = self.add("Tanh", x)


def _box_action(graph: _Graph, policy: TrainedPolicy) -> None:
    """As `core.spaces.to_environment`: clip to ±1, scale to the box, clip what rounding left
    outside.
    """
    low, high = (bound.astype(np.float32) for bound in bounds(policy.spec.action))
    x = graph.add("Clip", "mean", graph.constant("minus_one", -1.0), graph.constant("one", 1.0))
    x = graph.add("Add", x, "one")
    x = graph.add("Mul", x, graph.constant("half_width", 0.5 * (high - low)))
    x = graph.add("Add", x, graph.constant("action_low", low))
    x = graph.add("Max", x, "action_low")
    graph.add("Min", x, graph.constant("action_high", high), output="action")
    log_std = np.maximum(np.asarray(policy.params.log_std), np.float32(LOG_STD_FLOOR))
    shape = graph.add("Shape", "mean")
    graph.add("Expand", graph.constant("log_std_row", log_std[None]), shape, output="log_std")


def metadata(spec: EnvSpec) -> dict[str, str]:
    """What a file tells of itself: texts, as the format wants it."""
    return {
        "env_id": spec.id,
        "observation_size": str(size(spec.observation)),
        "action_space": json.dumps(describe(spec.action)),
        "time_limit": str(spec.time_limit),
        "imitax_version": _version(),
    }


def probes(policy: TrainedPolicy, observations: np.ndarray | None = None) -> np.ndarray:
    """[N, O] to compare on: random observations, near to far from those of training, then the
    given ones.
    """
    rng = np.random.default_rng(0)
    mean, std = np.asarray(policy.normaliser.mean), np.asarray(scale(policy.normaliser))
    spread = rng.choice([0.1, 1.0, 3.0, 30.0], (_RANDOM, 1))  # 30: beyond where they are clipped
    drawn = mean + spread * std * rng.normal(size=(_RANDOM, len(mean)))
    given = np.empty((0, len(mean))) if observations is None else np.asarray(observations)
    return np.concatenate([drawn, given]).astype(np.float32)


def compare(policy: TrainedPolicy, data: bytes, observations: np.ndarray) -> Check:
    """Run both on `observations` [N, O]; `ImitaxError` if they differ by more than rounding
    can.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    theirs = dict(zip(names, session.run(None, {"observation": observations}), strict=True))
    ours = {"action": np.asarray(policy(observations)), **policy.distribution(observations)}
    largest = {}
    for name in names[1:]:
        difference = np.abs(theirs[name] - ours[name])
        largest[name] = float(difference.max())
        if not (difference <= TOLERANCE * (1.0 + np.abs(ours[name]))).all():
            raise ImitaxError(
                f"Output '{name}' of the ONNX file differs by {largest[name]:.2g}, more than by "
                "rounding: nothing was written."
            )
    if not is_index(policy.spec.action):
        difference = np.abs(theirs["action"] - ours["action"])
        if not (difference <= TOLERANCE * (1.0 + np.abs(ours["action"]))).all():
            raise ImitaxError(
                f"The ONNX file's actions differ by {difference.max():.2g}: nothing was written."
            )
        return Check(len(observations), 0, largest | {"action": float(difference.max())})
    # Where the two best logits are nearer to each other than the rounding, either action is right.
    differ = theirs["action"] != ours["action"]
    best = np.sort(ours["logits"], axis=-1)
    gap = best[:, -1] - best[:, -2] if best.shape[1] > 1 else np.full(len(best), np.inf)
    if (wrong := differ & (gap > 2.0 * largest["logits"])).any():
        raise ImitaxError(
            f"The ONNX file acts otherwise for {wrong.sum()} observations: nothing was written."
        )
    return Check(len(observations), int(differ.sum()), largest)


def _version() -> str:
    from importlib.metadata import version

    return version("imitax")
