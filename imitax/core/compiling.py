"""How programs are compiled: quickly, and kept on disk, so that the second run starts seconds sooner."""

import os
from collections.abc import Callable
from pathlib import Path

_cache_is_set = False


def cache_folder() -> Path:
    """$IMITAX_CACHE, or imitax in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "imitax"
    return Path(os.environ.get("IMITAX_CACHE", default))


def jit(function: Callable, **options) -> Callable:
    """`jax.jit` with the persistent cache on, and LLVM's first optimisation level on a CPU.

    The higher levels lengthen compilation (by a fifth to a half) and gain nothing here: the
    time is in matrix products, which are library calls, and XLA has fused the rest before LLVM sees it
    (benchmarks/README.md).
    """
    import jax

    enable_compilation_cache()
    if jax.default_backend() == "cpu":
        options["compiler_options"] = {"xla_backend_optimization_level": 1}
    return jax.jit(function, **options)


def enable_compilation_cache() -> None:
    """Point JAX at the folder, unless the user already pointed it elsewhere; does it once."""
    global _cache_is_set
    if _cache_is_set:
        return
    _cache_is_set = True
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
