"""JAX strictness, and the small fixtures that every test may use."""

import jax
import numpy as np
import pytest

jax.config.update("jax_numpy_dtype_promotion", "standard")


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "rank_promotion: the code under test broadcasts arrays of different rank, so let it (core only)",
    )


@pytest.fixture(autouse=True)
def strict_ranks(request):
    """In tests/core, adding [B, A] to [A] is an error unless the test is marked `rank_promotion`."""
    in_core = request.node.path.parent.name == "core"
    allowed = not in_core or request.node.get_closest_marker("rank_promotion")
    with jax.numpy_rank_promotion("allow" if allowed else "raise"):
        yield


@pytest.fixture
def rng():
    """A numpy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def key():
    """A JAX key with a fixed seed."""
    return jax.random.key(0)
