"""The headline figures, against the summaries they come from."""

import re

import pytest

from imitax.report.results import labels_of, results_of
from imitax.report.words import facts, interval, lead, number, score
from imitax.runs.command import repeat_command
from imitax.runs.read import read_runs


def results(paths):
    runs = read_runs(paths)
    return runs, results_of(runs, labels_of(runs))


def test_rows_hold_what_the_summaries_say(four_runs):
    runs, table = results(four_runs)
    assert [row.run for row in table.rows] == [0, 1, 2, 3, None, None] and table.lead == 0
    assert table.expert == 500.0 and table.random == runs[0].summary["random"]["mean"]
    for row, run in zip(table.rows, runs, strict=False):
        described = run.summary["deterministic"]
        estimate = row.deterministic
        assert (estimate.middle, [estimate.low, estimate.high]) == (
            described["interquartile_mean"],
            described["interval"],
        )
        span = table.expert - table.random
        assert estimate.score == pytest.approx((estimate.middle - table.random) / span)
        assert estimate.score_low == pytest.approx((estimate.low - table.random) / span)
    expert, random = table.rows[-2:]
    assert (expert.sampled.score, random.sampled.score) == (
        1.0,
        0.0,
    ) and expert.deterministic is None
    assert "4 demonstrated episodes" in expert.note


def test_the_headline_is_the_first_imitating_method(four_runs):
    assert results(four_runs[::-1])[1].lead == 3  # GAIL, though it was given last
    assert results(four_runs[1:])[1].lead == 0  # no such method: the first run


def test_without_demonstrations_there_are_no_scores(make_run):
    runs, table = results([make_run(method="rl", demonstrations=False)])
    assert table.expert is None and table.rows[0].deterministic.score is None
    assert [row.label for row in table.rows] == ["PPO on the true reward", "a random policy"]
    assert re.fullmatch(
        r"PPO on the true reward returns <b>[\d.]+</b> \[.*\]; a random policy returns [\d.]+\.",
        lead(table),
    )
    assert [name for name, *_ in facts(table, runs[0].summary)] == [
        "Return",
        "Random policy",
        "Seeds",
        "Training",
    ]


def test_an_expert_that_is_no_better_than_chance_gives_no_scores(make_run):
    import json

    path = make_run()
    summary = json.loads((path / "summary.json").read_text())
    summary["expert"] = summary["random"]
    (path / "summary.json").write_text(json.dumps(summary))
    _, table = results([path])
    assert all(row.sampled.score is None for row in table.rows)
    assert "returns" in lead(table)


def test_the_lead_compares(four_runs):
    _, table = results(four_runs)
    sentence = lead(table)
    assert sentence.startswith(
        f"GAIL scores <b>{score(table.rows[0].deterministic.score)}</b> [0.9"
    )
    assert (
        "Behaviour cloning scores 0.9" in sentence and "constant reward (control) 0.00" in sentence
    )
    assert sentence.endswith(".") and "1, the expert" in sentence


def test_labels_tell_runs_apart(make_run):
    paths = [make_run("a/gail"), make_run("b/gail"), make_run("c/other"), make_run("d/bc", "bc")]
    runs = read_runs(paths)
    assert labels_of(runs[2:]) == ["GAIL", "behaviour cloning"]
    assert labels_of([runs[0], runs[2]]) == ["GAIL · gail", "GAIL · other"]
    assert labels_of(runs[:3]) == [f"GAIL · {paths[0]}", f"GAIL · {paths[1]}", "GAIL · other"]


def test_numbers_are_short_and_have_a_true_minus():
    assert [number(x) for x in (-81.84, 4567.8, 0.123, -0.001, 0.0)] == [
        "−81.8",
        "4,568",
        "0.12",
        "0.00",
        "0.00",
    ]
    assert interval(-1.5, 20.25) == "[−1.50, 20.2]" and interval(0.4, 1.006, 2) == "[0.40, 1.01]"


def test_the_command_names_every_setting(four_runs):
    gail, bc, constant, rl = map(repeat_command, read_runs(four_runs))
    assert gail.startswith(
        "imitax train gail CartPole-v1 --demos shown.npz --agent ppo --seeds 3 --seed 5"
    )
    assert (
        "--episodes 10" in gail
        and "agent.hidden=100,100" in gail
        and "reward.absorbing=true" in gail
    )
    assert all(len(line) < 100 for line in gail.splitlines())
    assert all(line.endswith("\\") for line in gail.splitlines()[:-1])
    assert bc.startswith("imitax train bc ") and "--agent" not in bc and "bc.epochs=300" in bc
    assert rl.startswith("imitax expert CartPole-v1") and "--demos" not in rl
    assert "--trajectories" not in constant


def test_the_command_quotes_what_a_shell_would_read(make_run):
    import json

    path = make_run()
    config = json.loads((path / "config.json").read_text())
    config["demonstrations"]["source"] = "a b; rm $HOME.npz"
    config["run"] |= {"time_limit": 200, "subsample": 5, "backend": "native", "trajectories": 2}
    (path / "config.json").write_text(json.dumps(config))
    command = repeat_command(read_runs([path])[0])
    assert "--demos 'a b; rm $HOME.npz'" in command
    for option in ("--time-limit 200", "--subsample 5", "--backend native", "--trajectories 2"):
        assert option in command
