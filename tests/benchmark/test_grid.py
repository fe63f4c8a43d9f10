"""The grids: their cells, names and selection."""

import pytest

from imitax.benchmark.grid import (
    CLASSIC,
    METHODS,
    MUJOCO,
    PLANS,
    ablation,
    all_cells,
    cells_of,
    classic,
    mujoco,
    select,
)
from imitax.benchmark.paper import published
from imitax.errors import ImitaxError


@pytest.mark.parametrize("benchmark", ["classic", "ablation", "mujoco"])
@pytest.mark.parametrize("agent", ["ppo", "trpo"])
def test_names_tell_cells_apart(benchmark, agent):
    names = [cell.name for cell in cells_of(benchmark, agent)]
    assert len(set(names)) == len(names)


def test_classic_holds_every_method_for_every_number_of_trajectories():
    names = {cell.name for cell in classic("trpo")}
    for env in CLASSIC:
        for count in PLANS[env].counts:
            for method in METHODS:
                assert f"{env}/{method}{'' if method == 'bc' else '-trpo'}/{count}" in names
        for control in ("constant-trpo", "gail-trpo/junk-random", "gail-trpo/junk-constant"):
            assert f"{env}/{control}" in names
            assert f"{env}/literal-{control}" in names
    assert {cell.preset for cell in classic() if cell.learner.startswith("literal")} == {"paper"}


def test_mujoco_is_the_rest_of_the_papers_table():
    names = [cell.name for cell in mujoco()]
    for env in ("Hopper-v5", "HalfCheetah-v5", "Walker2d-v5", "Ant-v5"):
        for count in (4, 11, 18, 25):
            assert {f"{env}/bc/{count}", f"{env}/gail-ppo/{count}"} <= set(names)
        assert [name for name in names if name.startswith(f"{env}/fem")] == [f"{env}/fem-ppo/4"]
        assert f"{env}/constant-ppo" in names and f"{env}/gail-ppo/junk-random" in names
    assert [name for name in names if name.startswith("Humanoid-v5/bc")] == ["Humanoid-v5/bc/80"]
    assert [name for name in names if name.startswith("Reacher-v5/bc")] == [
        f"Reacher-v5/bc/{count}" for count in (4, 11, 18)
    ]
    assert names.index("Humanoid-v5/gail-ppo/80") < names.index("Hopper-v5/gail-ppo/11")
    assert {cell.env for cell in mujoco()} == set(MUJOCO)


def test_every_published_result_of_gail_has_a_cell():
    cells = {(c.env, c.method, c.demos) for c in all_cells().values() if not c.preset}
    missing = {key for key in published() if key[1] == "gail"} - cells
    assert missing == {("Humanoid-v5", "gail", "160"), ("Humanoid-v5", "gail", "240")}  # left out


def test_only_cloning_is_shared_by_the_agents():
    shared = {cell.name for cell in classic("ppo")} & {cell.name for cell in classic("trpo")}
    assert shared == {cell.name for cell in classic() if cell.method == "bc"}


def test_ablation_is_forms_by_absorbing():
    assert len(ablation()) == 3 * 4 * 2
    cell = next(c for c in ablation() if c.name == "CartPole-v1/gail-ppo-logit-literal/4")
    assert dict(cell.settings) == {"reward.form": "logit", "reward.absorbing": False}


@pytest.mark.parametrize(
    ("patterns", "count"),
    [((), 69), (("*/gail-ppo/?",), 9), (("CartPole-v1/bc/1", "CartPole-v1/bc/1*"), 2)],
)
def test_selection(patterns, count):
    assert len(select(classic(), patterns)) == count


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("CartPole-v1/gail-pp/4", "did you mean CartPole-v1/gail-ppo/4"),
        ("x*", "No cell matches 'x*'"),
    ],
)
def test_unknown_cells_are_refused(pattern, message):
    with pytest.raises(ImitaxError, match=message.replace("*", r"\*")):
        select(classic(), (pattern,))


@pytest.mark.parametrize(("name", "agent"), [("clasic", "ppo"), ("classic", "sac")])
def test_unknown_benchmarks_and_agents_are_refused(name, agent):
    with pytest.raises(
        ImitaxError, match=r"Unknown (benchmark 'clasic': did you mean classic|agent 'sac')"
    ):
        cells_of(name, agent)
