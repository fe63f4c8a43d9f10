"""The catalogue and the registry name the same methods, and what the one says of them holds in the
other.
"""

import pytest

from imitax.catalogue import METHODS, MethodInfo, method_info, method_title
from imitax.methods import registry


def test_the_registry_holds_the_same_methods():
    assert list(registry.METHODS) == list(METHODS)
    assert all(entry.info is METHODS[name] for name, entry in registry.METHODS.items())


def test_titles():
    titles = [method_title(name, "trpo") for name in METHODS]
    assert titles == [
        "behaviour cloning",
        "GAIL",
        "FEM",
        "GTAL",
        "MCE IRL",
        "constant reward (control)",
        "TRPO on the true reward",
    ]
    assert method_title("{agent} {0}", "ppo") == "PPO {0}"  # a name from a file is no template


def test_methods_that_learn_a_reward():
    assert [name for name, info in METHODS.items() if info.learns_reward] == [
        "gail",
        "fem",
        "gtal",
        "mce_irl",
    ]
    assert [name for name, info in METHODS.items() if not info.demonstrations] == ["constant", "rl"]


@pytest.mark.parametrize("name", METHODS)
def test_what_is_exact_plans(name):
    assert METHODS[name].exact == (registry.METHODS[name].kind is registry.Kind.PLANNING)


def test_a_method_of_somebody_else_is_named_after_itself():
    assert method_info("mine") == MethodInfo("mine", "", demonstrations=True, reward="learnt")
