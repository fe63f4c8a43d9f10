"""Controls: the same run without what it is said to learn from."""

import pytest

from imitax.cli.terminal import live_bar
from imitax.diagnosis.controls import control, verdict
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.experts.demonstrate import load_demonstrations
from imitax.runs import folder as runs
from imitax.training.config import make_config

TINY = {"loop.iterations": 2, "loop.env_steps": 64, "loop.max_envs": 4, "agent.hidden": (8,)}


def trained(path, method="gail", **settings):
    env = make("Acrobot-v1")
    demonstrations = load_demonstrations("Acrobot-v1/4", env.spec)
    overrides = {"bc.hidden": (8,), "bc.epochs": 2} if method == "bc" else TINY | settings
    config = make_config(method, "Acrobot-v1", overrides=overrides, seeds=2, seed=4, subsample=2)
    runs.train_to_folder(config, env, demonstrations, path, runs.FolderOptions(2))
    return runs.load_run(path)


def test_controls_repeat_everything_else(tmp_path):
    run = trained(
        tmp_path / "run",
        **{"reward.absorbing": False, "reward.form": "d_minus_one", "reward.hidden": (8,)},
    )
    result = control(run, tmp_path / "controls", live_bar)
    assert set(result) == {"run", "constant", "junk", "verdict"}
    assert all(len(result[name]["interval"]) == 2 for name in ("run", "constant", "junk"))
    constant, junk = (runs.load_run(tmp_path / "controls" / name) for name in ("constant", "junk"))
    assert (
        constant.config.method == "constant"
        and constant.config.settings["reward"].form == "d_minus_one"
    )
    assert not constant.config.settings["reward"].absorbing
    for other in (constant, junk):
        assert other.config.settings["loop"] == run.config.settings["loop"]
        assert other.config.settings["agent"] == run.config.settings["agent"]
        assert (other.config.seed, other.config.seeds, other.config.subsample) == (4, 2, 2)
    assert junk.config.settings == run.config.settings
    assert junk.summary["expert"]["mean"] < -400  # what it was shown is a random policy
    with pytest.raises(ImitaxError, match="exists"):
        control(run, tmp_path / "controls", live_bar)


def test_what_has_no_control_is_told(tmp_path):
    with pytest.raises(ImitaxError, match="is of 'bc': controls are for gail"):
        control(trained(tmp_path / "run", "bc"), tmp_path / "controls", live_bar)


@pytest.mark.parametrize(
    ("own", "constant", "junk", "words"),
    [
        (1.0, 0.0, 0.02, "comes from the demonstrations"),
        (1.0, 0.5, 0.1, "part of the result does not come"),
        (0.9, 1.0, 0.0, "says nothing about the demonstrations"),
        (0.1, 0.0, 0.0, "nothing was learnt"),
    ],
)
def test_verdicts(own, constant, junk, words):
    scores = {"run": own, "constant": constant, "junk": junk}
    assert words in verdict({name: {"score": score} for name, score in scores.items()})
