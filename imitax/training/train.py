"""`imitax.train`: names and numbers in, a `Training` out."""

from collections.abc import Sequence
from typing import Any

from imitax.demonstrations import Demonstrations
from imitax.envs.base import Env
from imitax.methods.registry import find_method
from imitax.training.callbacks import Callback
from imitax.training.config import make_config
from imitax.training.fit import Training, fit
from imitax.training.logging import Logger, Logging


def train(
    method: str,
    env: Env,
    demonstrations: Demonstrations | None = None,
    *,
    iterations: int | None = None,
    steps: int | None = None,
    settings: dict[str, Any] | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    **options: Any,
) -> Training:
    """Train `method` (see `imitax methods`) on `env`: policies and metrics.

    `iterations` and `steps` (environment steps per iteration) replace the loop's, `settings` any other value by
    its key ("reward.learning_rate"). `callbacks` are called with a `Moment` after every iteration; `loggers`
    (`TensorBoard`, `WandB`, or your own) get every iteration's metrics.

    Other options, as on the command line: `seeds` seeds from `seed` on are trained side by side; `agent` ("ppo",
    "trpo"); `trajectories` and `subsample` choose from the demonstrations; `preset`; `init` ("bc").

    Raises:
        ImitaxError: a name, a setting or the demonstrations do not fit, or numbers are no longer finite.
    """
    config = make_config(
        method,
        env.spec.id,
        overrides=overrides(method, iterations, steps, settings),
        backend=env.backend,
        time_limit=env.spec.time_limit,
        **options,
    )
    if not loggers:
        return fit(config, env, demonstrations, callbacks)
    with Logging(loggers, config) as log:
        return fit(config, env, demonstrations, [*callbacks, log])


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
