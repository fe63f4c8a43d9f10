"""What a run is given: which demonstrations it uses, and what stops it before anything is
compiled.
"""

from dataclasses import replace

import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.envs import make
from imitax.errors import ImitaxError
from imitax.training.config import make_config
from imitax.training.data import choose, hold_out
from imitax.training.fit import prepare

ENV = "CartPole-v1"


def episodes(count, steps=10):
    """Episodes whose observations say which they are."""
    return Demonstrations.from_episodes(
        [(np.full((steps, 4), float(i)), np.zeros(steps, int)) for i in range(count)],
        terminated=True,
    )


def seen(demonstrations):
    return np.unique(demonstrations.observations[:, 0]).tolist()


def test_cloning_trains_on_the_stated_share_of_the_episodes_and_validates_on_the_others():
    train, validation = hold_out(episodes(10), make_config("bc", ENV))
    assert (len(train), len(validation)) == (7, 3)  # 0.7 of 10 for training
    assert sorted(seen(train) + seen(validation)) == list(range(10))
    most = make_config("bc", ENV, overrides={"bc.train_fraction": 0.9})
    assert [len(part) for part in hold_out(episodes(10), most)] == [9, 1]


def test_the_first_trajectories_are_chosen_and_subsampled_with_the_seed_of_the_run():
    config = make_config("gail", ENV, trajectories=3, subsample=4, seed=5)
    chosen = choose(episodes(6), config)
    assert seen(chosen) == [0, 1, 2] and (chosen.lengths <= 3).all()
    assert chosen.fingerprint() == prepare(config, make(ENV), episodes(6)).fingerprint()
    assert choose(episodes(6), make_config("gail", ENV)).fingerprint() == episodes(6).fingerprint()


@pytest.mark.parametrize("method", ["bc", "gail"])
def test_imitation_without_demonstrations_is_refused(method):
    with pytest.raises(ImitaxError, match="learns from demonstrations"):
        prepare(make_config(method, ENV), make(ENV), None)


@pytest.mark.parametrize("method", ["bc", "gail"])
def test_states_alone_are_refused_by_methods_that_learn_from_actions(method):
    states = replace(episodes(3), actions=None)
    with pytest.raises(
        ImitaxError, match=f"^Method '{method}' needs actions, but these demonstrations hold"
    ):
        prepare(make_config(method, ENV), make(ENV), states)
    assert prepare(make_config("rl", ENV), make(ENV), states) is not None


@pytest.mark.parametrize("method", ["rl", "constant"])
def test_other_methods_need_none(method):
    assert prepare(make_config(method, ENV), make(ENV), None) is None


@pytest.mark.parametrize(
    "method, options, message",
    [
        ("gail", {"trajectories": 7}, "choose 7 trajectories, but these demonstrations hold 6"),
        ("gail", {"subsample": 0}, "subsample is 0"),
        ("gail", {"overrides": {"reward.form": "d"}}, "Unknown reward form 'd'"),
        ("constant", {"overrides": {"reward.form": "d"}}, "Unknown reward form 'd'"),
        (
            "bc",
            {"overrides": {"bc.train_fraction": 1}},
            "validation fraction must lie between 0 and 1",
        ),
        ("bc", {"trajectories": 1, "subsample": 10}, "One pair cannot be split"),
    ],
)
def test_what_would_stop_a_run_later_is_refused_at_once(method, options, message):
    with pytest.raises(ImitaxError, match=message):
        prepare(make_config(method, ENV, **options), make(ENV), episodes(6))


def test_demonstrations_of_another_environment_are_refused():
    with pytest.raises(ImitaxError, match="observations of Acrobot-v1 have size 6, found size 4"):
        prepare(make_config("gail", "Acrobot-v1"), make("Acrobot-v1"), episodes(2))
