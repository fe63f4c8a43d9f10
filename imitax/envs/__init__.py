"""Environments: `make` finds one by id on the fastest backend that has it."""

from collections.abc import Callable

from imitax.envs.base import Env
from imitax.errors import ImitaxError, unknown

BACKENDS = ("auto", "native", "envpool", "gymnasium")


def make(env: str | Callable, backend: str = "auto", time_limit: int | None = None) -> Env:
    """Environment `env`: an id, or a function without arguments that makes a Gymnasium
    environment.

    `backend` native: JAX through gymnax, and small worlds given as arrays; envpool: EnvPool's
    native threads; gymnasium: anything with Box or Discrete observations and Discrete or bounded
    Box actions; auto: native if there is one, then EnvPool for Gymnasium's MuJoCo tasks where it
    is installed. `time_limit`: steps, by default the environment's.
    """
    from imitax.envs import host, native, pool, tabular

    if backend not in BACKENDS:
        raise unknown("backend", backend, BACKENDS)
    if time_limit is not None and time_limit < 1:
        raise ImitaxError(f"Time limit is {time_limit}: expected at least 1 step.")
    in_jax = (*native.IDS, *tabular.IDS)
    if backend == "native" and env not in in_jax:
        raise unknown("native environment", str(env), in_jax)
    if backend == "envpool" or (backend == "auto" and env in pool.IDS and pool.installed()):
        return pool.make(str(env), time_limit)
    if backend != "gymnasium" and env in tabular.IDS:
        return tabular.make(env, time_limit)
    if backend != "gymnasium" and env in native.IDS:
        return native.make(env, time_limit)
    if isinstance(env, str) and not host.is_registered(env):
        names = host.ids() if backend == "gymnasium" else [*in_jax, *host.ids()]
        raise unknown("environment", env, names)
    return host.make(env, time_limit)
