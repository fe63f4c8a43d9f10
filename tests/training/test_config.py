"""Settings as data: what comes from where, and what is refused."""

import dataclasses
import json
import math

import pytest

from imitax.core.settings import describe
from imitax.errors import ImitaxError
from imitax.methods.adversarial import LoopConfig
from imitax.methods.registry import AGENTS, METHODS, default_settings
from imitax.training.config import (
    check_config,
    config_from_dict,
    describe_settings,
    make_config,
    make_configs,
    override,
    parse_assignments,
    preset_names,
)

ENV = "Acrobot-v1"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("preset", [None, *preset_names()])
def test_every_configuration_survives_json(method, agent, preset):
    if preset is not None and method not in ("gail", "constant"):
        with pytest.raises(
            ImitaxError, match=f"Preset '{preset}' has no settings for method '{method}'"
        ):
            make_config(method, ENV, agent=agent, preset=preset)
        return
    config = make_config(method, ENV, agent=agent, preset=preset, seed=3, seeds=2, time_limit=100)
    check_config(config)
    assert config_from_dict(json.loads(json.dumps(config.as_dict()))) == config


@pytest.mark.parametrize("method", METHODS)
def test_defaults_are_those_of_the_classes(method):
    assert make_config(method, "Any-v0").settings == default_settings(method, "ppo")


def test_original_preset_is_the_original_setting():
    config = make_config("gail", ENV, preset="original")
    reward, loop = config.settings["reward"], config.settings["loop"]
    assert (config.agent, loop.iterations, loop.env_steps) == ("ppo", 300, 5000)
    assert (reward.learning_rate, reward.updates, reward.batch_size) == (2e-4, 1, -1)
    assert (reward.form, reward.absorbing) == ("d_minus_one", False)


@pytest.mark.parametrize(
    "env, form",
    [(ENV, "log_d"), ("MountainCar-v0", "log_d"), ("CartPole-v1", "neg_log_one_minus_d")],
)
def test_paper_preset_takes_trpo_and_the_sign_of_the_environment(env, form):
    config = make_config("gail", env, preset="paper")
    assert config.agent == "trpo" and config.settings["reward"].form == form
    assert (config.settings["agent"].max_kl, config.settings["agent"].damping) == (0.01, 0.1)
    assert not config.settings["reward"].absorbing
    assert make_config("constant", env, preset="paper").settings["reward"].form == form


def test_values_tuned_for_an_environment_come_before_presets_and_overrides():
    def learning_rate(method, env, **options):
        return make_config(method, env, **options).settings["agent"].learning_rate

    usual = default_settings("gail", "ppo")["agent"].learning_rate
    assert (
        learning_rate("gail", ENV) == learning_rate("constant", "MountainCar-v0") == 3e-3 != usual
    )
    assert learning_rate("gail", "Pendulum-v1") == learning_rate("rl", ENV) == usual
    assert learning_rate("gail", ENV, preset="original") == 1e-3
    assert learning_rate("gail", ENV, overrides={"agent.learning_rate": 1e-4}) == 1e-4


def test_a_preset_of_one_agent_leaves_the_other_agents_settings_alone():
    config = make_config("gail", ENV, agent="ppo", preset="paper")
    assert config.settings["agent"] == make_config("gail", ENV, agent="ppo").settings["agent"]
    assert config.settings["reward"].form == "log_d"


def test_overrides_come_last():
    overrides = {"reward.learning_rate": "0.5", "agent.hidden": (8,)}
    config = make_config("gail", ENV, preset="original", overrides=overrides)
    assert config.settings["reward"].learning_rate == 0.5 and config.settings["agent"].hidden == (
        8,
    )
    assert config.settings["reward"].form == "d_minus_one"


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("reward.learning_rate", "3e-4", 3e-4),
        ("reward.learning_rate", 1, 1.0),
        ("reward.updates", "5", 5),
        ("reward.updates", 5.0, 5),
        ("reward.absorbing", "False", False),
        ("reward.absorbing", "true", True),
        ("reward.form", "logit", "logit"),
        ("reward.hidden", "8", (8,)),
        ("reward.hidden", "8,16", (8, 16)),
        ("reward.hidden", "(8, 16)", (8, 16)),
        ("reward.hidden", [8, 16], (8, 16)),
        ("reward.hidden", "", ()),
    ],
)
def test_text_becomes_the_type_of_the_setting(key, value, expected):
    settings = default_settings("gail", "ppo")
    found = getattr(override(settings, key, value)["reward"], key.removeprefix("reward."))
    assert found == expected and type(found) is type(expected)
    assert settings == default_settings("gail", "ppo")


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("reward.learning_rate", "fast", "'reward.learning_rate' is 'fast': expected a number"),
        ("reward.updates", "1.5", "'reward.updates' is '1.5': expected a whole number"),
        ("reward.updates", 1.5, "expected a whole number"),
        ("reward.updates", math.inf, "expected a whole number"),
        ("reward.updates", None, "expected a whole number"),
        ("reward.absorbing", "maybe", "expected true or false"),
        ("reward.hidden", "8,wide", "expected whole numbers with commas"),
        ("reward.hidden", 8, "expected whole numbers with commas"),
        ("reward.learning_rat", "1", "'reward.learning_rat': did you mean reward.learning_rate"),
        ("learning_rate", "1", "Unknown setting 'learning_rate'"),
        ("reward.", "1", "Unknown setting"),
        ("", "1", "Unknown setting ''"),
    ],
)
def test_wrong_settings_are_named(key, value, message):
    with pytest.raises(ImitaxError, match=message):
        override(default_settings("gail", "ppo"), key, value)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"seeds": 0}, "Option seeds is 0: expected at least 1"),
        ({"subsample": 0}, "Option subsample is 0: expected at least 1"),
        ({"trajectories": -1}, "Option trajectories is -1: expected at least 1"),
        ({"seed": -1}, "Option seed is -1: expected at least 0"),
        ({"seed": 2**31}, "Option seed is 2147483648: expected at least 0 and at most 2147483647"),
        ({"seed": 2**31 - 1, "seeds": 2}, "Option seed is 2147483647: .* at most 2147483646"),
        ({"overrides": {"loop.iterations": 0}}, "'loop.iterations' is 0: expected at least 1"),
        ({"overrides": {"loop.env_steps": -5}}, "'loop.env_steps' is -5"),
        ({"overrides": {"agent.hidden": "8,0"}}, "'agent.hidden' is 0"),
        (
            {"overrides": {"agent.learning_rate": "nan"}},
            "'agent.learning_rate' is nan: expected a finite",
        ),
        (
            {"overrides": {"agent.learning_rate": -1}},
            "'agent.learning_rate' is -1.0: expected at least 0",
        ),
        ({"overrides": {"agent.discount": 1.01}}, "'agent.discount' is 1.01: .* at most 1"),
        (
            {"overrides": {"reward.batch_size": -2}},
            "'reward.batch_size' is -2: expected at least -1",
        ),
        (
            {"overrides": {"loop.env_steps": 3}},
            "'agent.minibatches' is 4: expected at most the 3 steps",
        ),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message):
    with pytest.raises(ImitaxError, match=message):
        check_config(make_config("gail", ENV, **changes))


def test_borders_of_the_ranges_are_allowed():
    least = {
        "loop.pretrain": 0,
        "reward.batch_size": -1,
        "agent.discount": 1.0,
        "reward.entropy_coef": 0.0,
    }
    check_config(make_config("gail", ENV, overrides=least | {"loop.env_steps": 4}, seed=2**31 - 1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"method": "gial"}, "Unknown method 'gial': did you mean gtal or gail"),
        ({"agent": "pop"}, "Unknown agent 'pop': did you mean ppo"),
        ({"method": "bc", "agent": "pop"}, "Unknown agent 'pop'"),
        ({"preset": "papers"}, "Unknown preset 'papers': did you mean paper"),
        ({"preset": "_environments"}, "Unknown preset"),
        (
            {"method": "bc", "overrides": {"loop.env_steps": 5}},
            "Unknown setting 'loop.env_steps': known: bc.",
        ),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(arguments, message):
    with pytest.raises(ImitaxError, match=message):
        make_config(**{"method": "gail", "env": ENV, **arguments})


def test_assignments_are_taken_apart_at_the_first_equals_sign():
    assert parse_assignments(["a.b=1", " c = x=y "]) == {"a.b": "1", "c": "x=y"}
    assert parse_assignments(()) == {}
    with pytest.raises(ImitaxError, match=r"'a\.b' has no '='"):
        parse_assignments(["a.b"])


def damaged(**changes):
    """A configuration's data with some keys replaced, or left out where None."""
    data = make_config("gail", ENV).as_dict() | changes
    return {key: value for key, value in data.items() if key not in changes or value is not None}


@pytest.mark.parametrize(
    "data, message",
    [
        (damaged(colour="red"), "Unknown configuration key 'colour'"),
        (damaged(method="gial"), "Unknown method 'gial'"),
        (damaged(agent="pop"), "Unknown agent 'pop'"),
        (damaged(method=None), "configuration is damaged.*method"),
        (damaged(settings=None), "configuration is damaged.*settings"),
        (damaged(settings=[1]), "configuration is damaged"),
        (damaged(settings={"loop": 3}), "configuration is damaged"),
        (damaged(settings={"loop": {"stride": 3}}), "Unknown setting 'loop.stride'"),
        (
            damaged(settings={"loop": {"env_steps": "many"}}),
            "'loop.env_steps' is 'many': expected a whole number",
        ),
        (damaged(env=None), "configuration is damaged.*env"),
        ([1, 2], "Unknown configuration key|damaged"),
        (None, "configuration is damaged"),
    ],
)
def test_damaged_configurations_are_refused(data, message):
    with pytest.raises(ImitaxError, match=message):
        config_from_dict(data)


@pytest.mark.parametrize(
    "config", [entry.config for entry in (*METHODS.values(), *AGENTS.values())]
)
def test_every_setting_has_a_default_and_a_meaning(config):
    told = describe_settings(config)
    assert list(told) == [f.name for f in dataclasses.fields(config)]
    assert all(setting["meaning"] for setting in told.values())


def test_a_rate_may_fall_over_the_training():
    def fraction(env=ENV, **overrides):
        return make_config("gail", env, overrides=overrides).settings["agent"].final_lr_fraction

    assert fraction() == 1.0 and fraction("Hopper-v5") == 0.1
    assert fraction("Hopper-v5", **{"agent.final_lr_fraction": "0"}) == 0.0
    with pytest.raises(
        ImitaxError, match=r"Setting 'agent.final_lr_fraction' is 1.5: .* at most 1"
    ):
        check_config(make_config("gail", ENV, overrides={"agent.final_lr_fraction": 1.5}))


def test_an_unknown_start_is_refused():
    with pytest.raises(ImitaxError, match=r"Unknown value of option init 'rl': known: bc"):
        check_config(make_config("gail", ENV, init="rl"))


# Where ranges stand
# ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", [LoopConfig, *(entry.config for entry in (*METHODS.values(), *AGENTS.values()))]
)
def test_defaults_lie_in_the_ranges_that_fields_declare(config):
    for field in dataclasses.fields(config):
        declared, default = describe(field), field.default
        for number in default if isinstance(default, tuple) else (default,):
            if isinstance(number, int | float):
                assert declared.low <= number <= declared.high, field.name


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("agent", AGENTS)
def test_a_number_just_outside_its_declared_range_is_refused(method, agent):
    init = "bc" if METHODS[method].loop else None
    settings = default_settings(method, agent, init)
    tried = 0
    for group, values in settings.items():
        for field in dataclasses.fields(values):
            declared, kind = describe(field), type(field.default)
            if kind not in (int, float):
                continue
            beyond = (
                [declared.low - 1, declared.high + 1]
                if declared.high < math.inf
                else [declared.low - 1]
            )
            for number in beyond:
                with pytest.raises(
                    ImitaxError, match=f"^Setting '{group}.{field.name}' is {kind(number)}: "
                ):
                    changed = {f"{group}.{field.name}": number}
                    check_config(
                        make_config(method, ENV, agent=agent, init=init, overrides=changed)
                    )
                tried += 1
    assert tried >= 5


# A clone's own settings
# ------------------------------------------------------------------------------


def test_a_start_from_a_clone_has_the_clones_settings():
    config = make_config("gail", ENV, init="bc", overrides={"agent.hidden": "8", "bc.epochs": 7})
    assert config.settings["bc"].hidden == (8,) and config.settings["bc"].epochs == 7
    assert config.as_dict()["settings"]["bc"]["epochs"] == 7
    assert config_from_dict(json.loads(json.dumps(config.as_dict()))) == config
    # as method bc there
    assert make_config("gail", "Hopper-v5", init="bc").settings["bc"].epochs == 3000
    assert "bc" not in make_config("gail", ENV).settings
    with pytest.raises(ImitaxError, match=r"Unknown setting 'bc.epochs'"):
        make_config("gail", ENV, overrides={"bc.epochs": 7})


def test_a_clone_has_the_layers_of_the_policy_that_starts_from_it():
    config = make_config("gail", ENV, init="bc", overrides={"bc.hidden": "16"})
    with pytest.raises(
        ImitaxError, match=r"'bc.hidden' is \(16,\), but .* has \(100, 100\) \(agent.hidden\)"
    ):
        check_config(config)


# Several values
# --------------------------------------------------------------------------------------


def test_several_values_of_a_number_are_several_configurations():
    overrides = {
        "agent.learning_rate": "1e-3,3e-3",
        "reward.entropy_coef": "0, 1e-3",
        "agent.hidden": "8,9",
    }
    named = make_configs("gail", ENV, overrides=overrides, seed=4)
    assert next(iter(named)) == "agent.learning_rate=1e-3,reward.entropy_coef=0"
    configs = list(named.values())
    numbers = [
        (c.settings["agent"].learning_rate, c.settings["reward"].entropy_coef) for c in configs
    ]
    assert numbers == [(1e-3, 0.0), (1e-3, 1e-3), (3e-3, 0.0), (3e-3, 1e-3)]
    # one value of a setting with commas
    assert {c.settings["agent"].hidden for c in configs} == {(8, 9)}
    one = overrides | {"agent.learning_rate": "3e-3", "reward.entropy_coef": "1e-3"}
    assert configs[3] == make_config("gail", ENV, overrides=one, seed=4)
    assert make_configs("gail", ENV) == {"": make_config("gail", ENV)}


@pytest.mark.parametrize(
    "key, text, message",
    [
        ("agent.learning_rate", "1e-3,", "'agent.learning_rate' is '': expected a number"),
        ("loop.iterations", "5,6", "'loop.iterations' is '5,6': expected a whole number"),
        ("reward.form", "log_d,logit", None),
        ("agent.learning_rte", "1,2", "did you mean agent.learning_rate"),
    ],
)
def test_only_numbers_with_a_point_come_in_several_values(key, text, message):
    if message is None:
        (config,) = make_configs("gail", ENV, overrides={key: text}).values()
        assert config.settings["reward"].form == text  # which the method refuses
        return
    with pytest.raises(ImitaxError, match=message):
        make_configs("gail", ENV, overrides={key: text})
