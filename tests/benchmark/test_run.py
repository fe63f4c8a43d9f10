"""Running cells: only missing ones run, and results are neither lost nor mixed."""

import json

import numpy as np
import pytest

from imitax import formats, make
from imitax.benchmark import raw
from imitax.benchmark.grid import classic, controls, mujoco, references, select
from imitax.benchmark.run import Options, _runs, config_of, demonstrations_of, run
from imitax.errors import ImitaxError

CELLS = select(
    classic(), ("CartPole-v1/bc/4", "CartPole-v1/gail-ppo/1", "CartPole-v1/constant-ppo")
)
QUICK = {"seeds": 2, "iterations": 3, "steps": 256, "episodes": 3, "expert_iterations": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with the results of `CELLS`."""
    options = Options(tmp_path_factory.mktemp("classic"), **QUICK)
    reports = []
    added = run(CELLS, options, 1, lambda cell, lines: reports.append((cell.name, len(lines))))
    return options, reports, added


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of that folder, to be spoilt."""
    import shutil

    shutil.copytree(finished[0].folder, tmp_path / "copy")
    return finished[0]._replace(folder=tmp_path / "copy")


def test_every_cell_and_seed_has_its_line(finished):
    options, reports, added = finished
    assert added == 2 + 3 * 2
    assert dict(reports) == {"CartPole-v1/expert": 1, "CartPole-v1/random": 1} | {
        c.name: 2 for c in CELLS
    }
    results = raw.read(options.raw)
    line = results["CartPole-v1/gail-ppo/1"][1]
    assert len(line["deterministic"]) == len(line["sampled"]) == 3
    assert len(line["curve"]) == 3
    assert line["env_steps"] == 3 * 256
    assert line["time_limit"] == 200
    assert line["settings"]["reward"]["absorbing"] is True
    assert line["demonstrations"]["trajectories"] == 1
    assert line["versions"]["jax"]
    assert line["deterministic"] != results["CartPole-v1/gail-ppo/1"][0]["deterministic"]
    assert results["CartPole-v1/bc/4"][0]["env_steps"] == 0
    assert results["CartPole-v1/constant-ppo"][0]["demonstrations"] is None
    assert len(results["CartPole-v1/random"][0]["sampled"]) == 30


def test_a_second_call_runs_nothing(finished):
    options, _, _ = finished
    before = options.raw.read_bytes()
    assert run(CELLS, options, 1, lambda *_: pytest.fail("something was run")) == 0
    assert options.raw.read_bytes() == before


def test_only_what_is_missing_is_run_and_comes_out_the_same(copy):
    before = raw.read(copy.raw)
    kept = [
        x for x in copy.raw.read_text().splitlines() if '"CartPole-v1/bc/4", "seed": 1' not in x
    ]
    copy.raw.write_text("\n".join(kept) + "\n")
    assert run(CELLS, copy, 1, lambda *_: None) == 1
    line = raw.read(copy.raw)["CartPole-v1/bc/4"][1]
    for name in ("deterministic", "sampled", "demonstrations", "settings"):
        assert line[name] == before["CartPole-v1/bc/4"][1][name]


def test_an_interrupted_run_keeps_what_was_finished(copy):
    lines = copy.raw.read_text().splitlines()
    ends = [x for x in lines if "/expert" in x or "/random" in x]
    copy.raw.write_text("\n".join(ends) + "\n")

    def stop(cell, lines):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(CELLS, copy, 1, stop)
    assert len(copy.raw.read_text().splitlines()) == len(ends) + 2
    rest = []
    run(CELLS, copy, 2, lambda cell, lines: rest.append(cell.name))
    assert sorted(rest) == sorted(cell.name for cell in CELLS[1:])
    assert raw.read(copy.raw).keys() == {json.loads(x)["cell"] for x in lines}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"iterations": 4},
            r"gail-ppo/1' with seed 0, made with loop.iterations 3, now 4|loop.iterations 3, now 4",
        ),
        ({"episodes": 4}, "30 evaluation episodes, now 40"),
        (
            {"expert_iterations": 2},
            "CartPole-v1/expert' with seed 0, made with loop.iterations 1, now 2",
        ),
        ({"seeds": 0}, "Option seeds is 0"),
        ({"iterations": 0}, "Option iterations is 0"),
    ],
)
def test_results_of_other_settings_are_not_mixed(finished, change, message):
    options, _, _ = finished
    before = options.raw.read_bytes()
    with pytest.raises(ImitaxError, match=message):
        run(CELLS, options._replace(**change), 1, lambda *_: None)
    assert options.raw.read_bytes() == before


def test_an_expert_without_its_demonstrations_is_refused(copy):
    copy.demonstrations("CartPole-v1").unlink()
    with pytest.raises(
        ImitaxError, match=r"CartPole-v1-paper.npz' is missing, .* expected both or neither"
    ):
        run(CELLS, copy, 1, lambda *_: None)


def test_a_call_interrupted_while_the_expert_was_written_can_be_repeated(copy):
    before = formats.load(copy.demonstrations("CartPole-v1")).fingerprint()
    copy.raw.unlink()  # the expert's files are there, its line is not
    assert run(CELLS[:1], copy, 1, lambda *_: None) == 2 + 2
    assert formats.load(copy.demonstrations("CartPole-v1")).fingerprint() == before


def test_workers_are_at_least_one(finished):
    with pytest.raises(ImitaxError, match="Option workers is 0"):
        run(CELLS, finished[0], 0, lambda *_: None)


def test_demonstrations_are_subsampled_and_the_smaller_sets_are_the_first_of_the_larger(finished):
    options, _, _ = finished
    env = make("CartPole-v1", time_limit=200)
    expert = formats.load(options.demonstrations("CartPole-v1"))
    assert len(expert) == 10
    cell = select(classic(), ("CartPole-v1/gail-ppo/7",))[0]
    demonstrations = demonstrations_of(cell, env, options)
    assert len(demonstrations) == 7
    np.testing.assert_array_equal(demonstrations.episode_steps, expert.episode_steps[:7])
    assert np.all(demonstrations.lengths <= -(-expert.lengths[:7] // 10))
    assert demonstrations.fingerprint() == demonstrations_of(cell, env, options).fingerprint()


def test_junk_is_random_or_constant(finished):
    options, _, _ = finished
    env = make("CartPole-v1", time_limit=200)
    constant, random, same = controls("CartPole-v1", "ppo")
    assert demonstrations_of(constant, env, options) is None
    assert len(set(demonstrations_of(random, env, options).actions)) == 2
    assert set(demonstrations_of(same, env, options).actions) == {0}


def test_ours_and_literal_differ_in_what_follows_termination(finished):
    for cell in classic("trpo"):
        config = config_of(cell, finished[0])
        if cell.method in ("gail", "constant"):
            assert config.settings["reward"].absorbing is not cell.learner.startswith("literal")
            assert config.agent == "trpo"
        # the preset has its own, but the benchmark gives all cells the same
        if cell.method != "bc":
            assert config.settings["loop"].iterations == 3


def test_seeds_in_a_row_go_together():
    assert list(_runs({0, 1, 3, 4, 5, 8})) == [[0, 1], [3, 4, 5], [8]]
    assert list(_runs(set())) == []


def test_a_line_from_before_a_setting_existed_counts_as_one_with_its_default(copy):
    text = copy.raw.read_text()
    assert '"final_lr_fraction": 1.0' in text and '"warm_up": 10' in text
    older = text.replace('"final_lr_fraction": 1.0, ', "").replace(', "warm_up": 10', "")
    assert older.count("final_lr_fraction") == older.count("warm_up") == 0
    copy.raw.write_text(older)
    assert run(CELLS, copy, 1, lambda *_: pytest.fail("something was run")) == 0
    copy.raw.write_text(text.replace('"final_lr_fraction": 1.0', '"final_lr_fraction": 0.5'))
    with pytest.raises(ImitaxError, match=r"made with agent.final_lr_fraction 0.5, now 1.0"):
        run(CELLS, copy, 1, lambda *_: None)


def test_demonstrations_of_mujoco_are_kept_subsampled(tmp_path):
    pytest.importorskip("mujoco")
    cells = select(mujoco(), ("Hopper-v5/bc/4",))
    options = Options(
        tmp_path, "native", **QUICK | {"iterations": None, "steps": None, "episodes": 1}
    )
    cell = cells[0]._replace(settings=(("bc.epochs", 2),))
    assert run([cell], options, 1, lambda *_: None) == 2 + 2
    kept = formats.load(options.demonstrations("Hopper-v5"))
    assert len(kept) == 25 and (kept.lengths <= -(-kept.episode_steps // 20)).all()
    demonstrations = demonstrations_of(cell, make("Hopper-v5"), options)
    assert (
        len(demonstrations) == 4 and demonstrations.fingerprint() == kept.choose(4).fingerprint()
    )  # not subsampled again


def test_mujoco_uses_the_tuned_settings():
    options = Options("anywhere", "native", 3, iterations=None, steps=None)
    gail = next(cell for cell in mujoco() if cell.name == "Hopper-v5/gail-ppo/4")
    expert = references("Hopper-v5")[0]
    for cell, iterations in ((gail, 300), (expert, 750)):
        settings = config_of(cell, options).settings
        assert settings["loop"].iterations == iterations
        assert settings["agent"].final_lr_fraction == 0.1
        assert settings["loop"].env_steps == 4096
    assert config_of(gail, options).settings["reward"].gradient_penalty == 1.0
