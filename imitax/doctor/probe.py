"""`python -m imitax.doctor.probe`: use what training uses, and report every stage.

A line of JSON is printed before a stage begins and when it has ended, so that the process that
started this one knows where it crashed or hung.
"""

import json
import time
from collections.abc import Callable
from typing import Any

from imitax.errors import one_line


def main() -> None:
    """Run the stages up to the first that fails."""
    for name, stage in STAGES.items():
        print(json.dumps({"stage": name}), flush=True)
        start = time.perf_counter()
        try:
            result = stage()
        except Exception as error:
            message = f"{type(error).__name__}: {one_line(error)}"
            print(json.dumps({"stage": name, "error": message}), flush=True)
            return
        seconds = round(time.perf_counter() - start, 2)
        print(json.dumps({"stage": name, "found": result, "seconds": seconds}), flush=True)


def devices() -> dict[str, Any]:
    """What JAX computes on."""
    import jax

    return {"platform": jax.default_backend(), "devices": [str(device) for device in jax.devices()]}


def compiled_function() -> str:
    """A small program, compiled as those of a run are."""
    import jax.numpy as jnp

    from imitax.core.compiling import jit

    value = float(jit(lambda x: jnp.tanh(x @ x.T).sum())(jnp.eye(8)))
    if abs(value - 8 * 0.7615942) > 1e-4:
        raise ArithmeticError(f"8 tanh 1 was computed as {value}")
    return "a small program gives the right result"


def native_step() -> str:
    """One step of a JAX environment."""
    import jax
    import jax.numpy as jnp

    from imitax.core.compiling import jit
    from imitax.envs import make

    env = make("CartPole-v1", "native")
    key = jax.random.key(0)
    state, _ = jit(env.reset, static_argnums=1)(key, 2)
    _, step = jit(env.step)(state, jnp.zeros(2, jnp.int32), key)
    return _one_step(step.reward)


def gymnasium_step() -> str:
    """One step of a Gymnasium environment."""
    import numpy as np

    from imitax.envs import make

    batch = make("CartPole-v1", "gymnasium").open(2)
    try:
        batch.reset([0, 1])
        return _one_step(batch.step(np.zeros(2, np.int64)).reward)
    finally:
        batch.close()


def _one_step(reward) -> str:
    if [float(r) for r in reward] != [1.0, 1.0]:
        raise ArithmeticError(f"CartPole-v1 rewarded a step with {reward}")
    return "CartPole-v1 takes a step"


STAGES: dict[str, Callable[[], Any]] = {
    "JAX": devices,
    "compiled function": compiled_function,
    "native environment": native_step,
    "Gymnasium environment": gymnasium_step,
}


if __name__ == "__main__":
    main()
