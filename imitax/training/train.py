"""`imitax.train`: names and numbers in, a `Training` out."""

from collections.abc import Callable, Sequence
from typing import Any

from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env
from imitax.methods.registry import CUSTOM, Parts, find_method
from imitax.training.callbacks import Callback
from imitax.training.config import make_config
from imitax.training.fit import Training, fit
from imitax.training.logging import Logger, Logging
from imitax.types import Agent, EnvSpec, Policy, RewardModel


def train(
    method: str | RewardModel,
    env: Env,
    demonstrations: Demonstrations | None = None,
    *,
    agent: str | Callable[[EnvSpec, Policy], Agent] | None = None,
    policy: Policy | None = None,
    iterations: int | None = None,
    steps: int | None = None,
    settings: dict[str, Any] | None = None,
    callbacks: Sequence[Callback | Logger] = (),
    **options: Any,
) -> Training:
    """Train a method (see `imitax methods`), or with a reward model of your own: policies and
    metrics.

    `agent` is "ppo", "trpo" or a constructor of your own; `policy` a family of policies that takes
    the place of the settings' multilayer perceptron. `iterations` and `steps` (environment steps
    per iteration) replace the loop's, `settings` any other value by its key
    ("reward.learning_rate"). `callbacks` are called with a `Moment` after every iteration; loggers
    (`TensorBoard`, `WandB`, or your own) may be among them.

    Other options, as on the command line: `seeds` seeds from `seed` on are trained side by side;
    `trajectories` and `subsample` choose from the demonstrations; `preset`; `init` ("bc").

    Raises:
        ImitaxError: a name, a setting or the demonstrations do not fit, or numbers are no longer
            finite.
    """
    parts = Parts(
        None if isinstance(method, str) else method, agent if callable(agent) else None, policy
    )
    name = method if isinstance(method, str) else CUSTOM
    config = make_config(
        name,
        env.spec.id,
        agent=CUSTOM if callable(agent) else agent,
        overrides=overrides(name, iterations, steps, settings),
        backend=env.backend,
        time_limit=env.spec.time_limit,
        **options,
    )
    loggers = [callback for callback in callbacks if isinstance(callback, Logger)]
    others = [callback for callback in callbacks if not isinstance(callback, Logger)]
    with Logging(loggers, config) as log:
        return fit(config, env, demonstrations, [*others, log], parts=parts)


def overrides(
    method: str, iterations: int | None, steps: int | None, settings: dict | None
) -> dict[str, Any]:
    """Short options as settings; those of `settings` come last."""
    result: dict[str, Any] = {}
    if iterations is not None:
        result[find_method(method).kind.length_setting] = iterations
    if steps is not None:
        result["loop.env_steps"] = steps
    return result | (settings or {})
