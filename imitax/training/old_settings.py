"""What version 0.1.0 called and meant by its settings. Never imports JAX, for readers of runs."""

from typing import Any

RENAMED = {
    "loop.steps": "loop.env_steps",
    "loop.envs": "loop.max_envs",
    "agent.trace": "agent.gae_lambda",
    "agent.entropy": "agent.entropy_coef",
    "agent.decay_iterations": "agent.final_lr_fraction",
    "reward.steps": "reward.updates",
    "reward.entropy": "reward.entropy_coef",
    "reward.step": "reward.mix",
}
WHOLE_PASSES = 10**12  # gradient steps: cloning had no limit but its epochs
_CLONING = {"patience": 0, "min_updates": 0, "max_updates": WHOLE_PASSES}


def translated(groups: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Groups of settings under their present names.

    `agent.decay_iterations` remains where it was not the run's length: nothing expresses that now.
    """
    result: dict[str, dict[str, Any]] = {group: {} for group in groups}
    for group, values in groups.items():
        for name, value in values.items():
            if name == "decay_iterations" and group == "agent":
                result[group] |= _decay(value, groups.get("loop", {}).get("iterations"))
            else:
                new = RENAMED.get(f"{group}.{name}", f"{group}.{name}")
                result[group][new.partition(".")[2]] = value
    if "epochs" in result.get("bc", {}):
        result["bc"] = _CLONING | result["bc"]
    return result


def _decay(iterations: Any, length: Any) -> dict[str, Any]:
    """The learning rate fell linearly to a tenth within so many iterations; 0: it did not."""
    if not iterations:
        return {}
    return {"final_lr_fraction": 0.1} if iterations == length else {"decay_iterations": iterations}
