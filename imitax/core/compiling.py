"""How programs are compiled: quickly, ahead of time, and kept on disk, so that the second run
starts sooner.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

# LLVM's first level. The higher ones lengthen compilation (by a fifth to a half) and gain nothing
# here: the time is in matrix products, which are library calls, and XLA has fused the rest before
# LLVM sees it (benchmarks/README.md).
_OFTEN = {"xla_backend_optimization_level": 1}
# For programs that run once or seldom: half the compilation time, code that is slower.
_SELDOM = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}

_cache_is_set = False


def cache_folder() -> Path:
    """$IMITAX_CACHE, or imitax in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "imitax"
    return Path(os.environ.get("IMITAX_CACHE", default))


def jit(function: Callable, seldom: bool = False, **options: Any) -> Any:
    """`jax.jit` with the persistent cache on, and on a CPU with options that shorten compilation.

    `seldom`: the program runs so seldom that its own speed matters less than that of the compiler.
    """
    import jax

    enable_compilation_cache()
    if jax.default_backend() == "cpu":
        options["compiler_options"] = _OFTEN | (_seldom_options() if seldom else {})
    return jax.jit(function, **options)


@cache
def _seldom_options() -> dict[str, Any]:
    """`_SELDOM`, or nothing where this XLA does not know them."""
    import jax

    try:
        jax.jit(lambda: 0).lower().compile(compiler_options=_SELDOM)
    except Exception:  # its kind differs between versions
        return {}
    return _SELDOM


class Program:
    """A jitted function that can be compiled before it is called, beside other work.

    Arguments are told apart by the shapes and types of their arrays.
    """

    def __init__(self, function: Callable, **options: Any):
        self._function = jit(function, **options)
        self._programs: dict[Any, Future] = {}

    def compile_ahead(self, *arguments: Any) -> None:
        """Begin to compile for arguments, which may be `jax.ShapeDtypeStruct`s."""
        self._program(arguments)

    def __call__(self, *arguments: Any) -> Any:
        return self._program(arguments).result()(*arguments)

    def _program(self, arguments: tuple) -> Future:
        import jax

        leaves, structure = jax.tree.flatten(arguments)
        key = structure, tuple((x.shape, x.dtype) for x in leaves)
        if key not in self._programs:
            shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in leaves]
            lowered = jax.tree.unflatten(structure, shapes)
            self._programs[key] = _compilers().submit(
                lambda: self._function.lower(*lowered).compile()
            )
        return self._programs[key]


@cache
def _compilers() -> ThreadPoolExecutor:
    """Threads that compile: XLA lets others run meanwhile."""
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="imitax-compiler")


def enable_compilation_cache() -> None:
    """Point JAX at the folder, unless the user already pointed it elsewhere; does it once."""
    global _cache_is_set
    if _cache_is_set:
        return
    _cache_is_set = True
    import jax

    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
