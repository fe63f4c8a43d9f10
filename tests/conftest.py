"""Strictness and quick compilation for all tests, small fixtures, and made-up run folders."""

import ctypes
import gc
import importlib.util
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

# One thread for each worker and what it starts: two that use all cores slow each other down.
os.environ.setdefault("PJRT_NPROC", "1")
os.environ.setdefault("NPROC", "1")

import jax
import numpy as np
import pytest
from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

# Every call of a function of the package checks the types and shapes that it declares; compiled
# ones were checked when they were traced. An int may stand where a float is declared, as PEP 484
# has it.
typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
install_import_hook("imitax", f"{__name__}.typechecked")
KEPT_MEGABYTES = 1000  # of a worker, from module to module


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "rank_promotion: the code under test broadcasts arrays of different rank, so let it",
    )
    # One folder of compiled programs for all workers, which inherit it; gone with the session.
    if "IMITAX_CACHE" not in os.environ:
        config.compilation_cache = os.environ["IMITAX_CACHE"] = tempfile.mkdtemp(
            prefix="imitax-tests-"
        )


def pytest_unconfigure(config):
    if folder := getattr(config, "compilation_cache", None):
        del os.environ["IMITAX_CACHE"]
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    # Adding [B, A] to [A] is an error: a missing axis would go unnoticed.
    strict = item.get_closest_marker("rank_promotion") is None
    jax.config.update("jax_numpy_rank_promotion", "raise" if strict else "allow")
    # Most of the time goes into compiling; only learning runs of minutes need fast programs.
    jax.config.update("jax_disable_most_optimizations", item.get_closest_marker("slow") is None)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Let go of compiled programs between modules, but only once they fill the memory: tracing and
    lowering them anew is most of the work.
    """
    last = nextitem is not None and nextitem.path != item.path
    if last and sys.platform == "linux" and _resident_megabytes() > KEPT_MEGABYTES:
        for name, module in list(sys.modules.items()):
            if name.startswith(("imitax.training", "imitax.policies", "imitax.networks")):
                for function in vars(module).values():
                    getattr(function, "cache_clear", lambda: None)()
        jax.clear_caches()
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


@pytest.fixture
def rng():
    """A numpy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def logged_compilations():
    """A context in which every thread logs what it compiles; `jax.log_compiles` is this one's alone."""

    @contextmanager
    def context():
        jax.config.update("jax_log_compiles", True)
        try:
            yield
        finally:
            jax.config.update("jax_log_compiles", False)

    return context


@pytest.fixture
def key():
    """A JAX key with a fixed seed."""
    return jax.random.key(0)


def _run_folders():
    """tests/run_folders.py, which imports the package and so comes after the hook."""
    path = Path(__file__).with_name("run_folders.py")
    spec = importlib.util.spec_from_file_location("run_folders", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_folders = _run_folders()


@pytest.fixture
def make_run(tmp_path):
    """Builds a run folder below `tmp_path`; see `write_run` for the options."""
    return lambda name="run", *arguments, **options: run_folders.write_run(
        tmp_path / name, *arguments, **options
    )


@pytest.fixture
def four_runs(tmp_path):
    """Four runs that may be changed; see `write_four`."""
    return run_folders.write_four(tmp_path)


@pytest.fixture(scope="session")
def shared_runs(tmp_path_factory):
    """The same for tests that only read them."""
    return run_folders.write_four(tmp_path_factory.mktemp("shared"))
