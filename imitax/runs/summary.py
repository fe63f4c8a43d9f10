"""What came out of a run: evaluations on fresh episodes, as plain data."""

from typing import Any

import numpy as np

from imitax.envs.base import Env
from imitax.files.write import finite
from imitax.stats.estimates import describe_returns, normalised
from imitax.training.evaluation import evaluate, evaluate_random
from imitax.training.fit import Training


def summarise(training: Training, env: Env, episodes: int) -> dict[str, Any]:
    """Deterministic and sampled evaluation, beside the random policy and the demonstrations' own
    return.
    """
    random = describe_returns(evaluate_random(env, episodes).returns)
    demonstrations = training.demonstrations
    expert = None
    if demonstrations is not None and np.isfinite(demonstrations.returns).all():
        expert = describe_returns(demonstrations.returns)
    summary: dict[str, Any] = {
        "method": training.config.method,
        "env": training.config.env,
        "seeds": training.config.seeds,
        "seconds": round(training.seconds, 3),
        "env_steps_per_seed": training.env_steps,
        "random": random,
        "expert": expert,
    }
    for name, stochastic in (("deterministic", False), ("sampled", True)):
        result = evaluate(training.policies, env, episodes, stochastic)
        described = describe_returns(result.returns)
        if expert is not None:
            score = normalised(described["interquartile_mean"], random["mean"], expert["mean"])
            described["normalised"] = float(score)
        described["episode_length"] = float(result.lengths.mean())
        summary[name] = described
    summary["final"] = {
        name: _finite_mean(values[:, -1]) for name, values in training.metrics.items()
    }
    return finite(summary)


def _finite_mean(values: np.ndarray) -> float | None:
    """Mean over the seeds that have a value (no episode may have ended in the last iteration)."""
    values = values[np.isfinite(values)]
    return values.mean().item() if values.size else None
