"""Raw lines made by hand."""

import pytest


@pytest.fixture
def line():
    """Builds a valid line of raw results; fields can be given."""

    def make(cell, seed=0, deterministic=(100.0,), sampled=(90.0,), **fields):
        return {
            "cell": cell,
            "seed": seed,
            "time_limit": 200,
            "settings": {},
            "demonstrations": None,
            "deterministic": list(deterministic),
            "sampled": list(sampled),
            "curve": [],
            "env_steps": 1000,
            "seconds": 2.0,
            "versions": {},
        } | fields

    return make
