"""Reading run folders, and what is wrong with those that cannot be read."""

import json

import numpy as np
import pytest

from imitax.errors import ImitaxError
from imitax.runs.read import read_run, read_runs


def edit(path, change):
    """Rewrite a JSON file."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_a_run_is_read(make_run):
    run = read_run(make_run(seeds=2, iterations=3))
    assert run.seeds == [5, 6] and run.run["method"] == "gail"
    np.testing.assert_array_equal(run.iterations, [0, 1, 2])
    np.testing.assert_array_equal(run.seconds, [1.5, 1.75, 2.0])
    assert not {"iteration", "seed", "seconds"} & set(run.metrics)
    returns = run.metrics["episode_return"]
    assert (
        returns.shape == (2, 3)
        and np.isnan(returns[:, 0]).all()
        and np.isfinite(returns[:, 1:]).all()
    )
    lines = [json.loads(text) for text in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert returns[1, 2] == next(
        x["episode_return"] for x in lines if (x["iteration"], x["seed"]) == (2, 6)
    )
    assert run.visits.policy.shape[1] == 2


def test_a_run_of_an_older_version_is_read(make_run):
    path = make_run()
    (path / "visits.npz").unlink()
    text = (path / "metrics.jsonl").read_text()
    lines = [{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in text.splitlines()]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    edit(path / "config.json", lambda config: [config.pop(key) for key in ("versions", "started")])
    run = read_run(path)
    assert run.seconds is None and run.visits is None and "episode_return" in run.metrics


def test_metrics_that_come_later_are_missing_before(make_run):
    path = make_run(seeds=1, iterations=2)
    lines = [json.loads(x) for x in (path / "metrics.jsonl").read_text().splitlines()]
    del lines[0]["entropy"]  # as in iterations in which only the reward model learns
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    entropy = read_run(path).metrics["entropy"]
    assert np.isnan(entropy[0, 0]) and entropy[0, 1] == lines[1]["entropy"]


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "summary.json"])
def test_an_incomplete_run_is_refused(make_run, name):
    path = make_run()
    (path / name).unlink()
    with pytest.raises(ImitaxError, match=f"Run folder '{path}' is incomplete: {name} is missing"):
        read_run(path)


def remove(key):
    return lambda data: data.pop(key)


def put(group, key, value):
    return lambda data: data[group].__setitem__(key, value)


def change(**values):
    return lambda data: data.update(values)


DAMAGED = {
    "no run": ("config.json", remove("run"), "'run.method' is None, expected text"),
    "method": ("config.json", put("run", "method", 3), "'run.method' is 3, expected text"),
    "seed": ("config.json", put("run", "seed", "x"), "'run.seed' is 'x', expected a whole number"),
    "settings": (
        "config.json",
        put("run", "settings", []),
        r"'run.settings' is \[\], expected an object",
    ),
    "no random": ("summary.json", remove("random"), "'random.mean' is None, expected a number"),
    "number": (
        "summary.json",
        put("sampled", "mean", True),
        "'sampled.mean' is True, expected a number",
    ),
    "list": (
        "summary.json",
        put("sampled", "interval", [1, "2"]),
        "'sampled.interval' is .* expected a list",
    ),
    "seeds": ("summary.json", put("sampled", "seed_means", [1.0]), "the means of 3 seed"),
    "group": ("config.json", put("run", "settings", {"loop": 3}), "'loop' are 3, expected an"),
    "demonstrations": ("config.json", change(demonstrations="x"), "'demonstrations' is 'x'"),
    "versions": ("config.json", change(versions=[1]), "'versions' is .* expected an object"),
    "expert": ("summary.json", change(expert={"mean": 1.0}), "'expert.interval' is None"),
    "NaN": (
        "summary.json",
        put("random", "mean", float("nan")),
        "'random.mean' is nan, expected a number",
    ),
    "its interval": (
        "summary.json",
        put("expert", "interval", [1.0]),
        "a malformed estimate 'expert'",
    ),
    "interval": ("summary.json", put("deterministic", "interval", [1.0]), "expected an interval"),
}


@pytest.mark.parametrize("name, change, message", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_field_is_named(make_run, name, change, message):
    path = make_run()
    edit(path / name, change)
    with pytest.raises(ImitaxError, match=message) as caught:
        read_run(path)
    assert str(path / name) in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', "null"])
@pytest.mark.parametrize("name", ["config.json", "summary.json"])
def test_a_file_of_another_form_is_named(make_run, name, text):
    path = make_run()
    (path / name).write_text(text)
    with pytest.raises(ImitaxError, match=name):
        read_run(path)


LINES = {
    "no JSON": ("{", "line 2: expected an object of numbers"),
    "no object": ("[1]", "line 2"),
    "no seed": ('{"iteration": 0}', "line 2"),
    "text": ('{"iteration": 0, "seed": 6, "kl": "x"}', "line 2"),
    "list": ('{"iteration": 0, "seed": 6, "kl": [1]}', "line 2"),
    "another seed": (
        '{"iteration": 0, "seed": 9}',
        "lacks lines: expected one for each iteration and 3",
    ),
}


@pytest.mark.parametrize("text, message", LINES.values(), ids=LINES)
def test_a_damaged_line_is_named(make_run, text, message):
    path = make_run()
    lines = (path / "metrics.jsonl").read_text().splitlines()
    lines[1] = text
    (path / "metrics.jsonl").write_text("\n".join(lines))
    with pytest.raises(ImitaxError, match=message):
        read_run(path)


def test_metrics_that_are_empty_or_cut_off_are_refused(make_run):
    path = make_run()
    lines = (path / "metrics.jsonl").read_text().splitlines()
    for text in ("", "\n".join(lines[:-1])):
        (path / "metrics.jsonl").write_text(text)
        with pytest.raises(ImitaxError, match="lacks lines"):
            read_run(path)


def test_only_runs_that_can_be_compared_are_read_together(make_run, tmp_path):
    one, other = make_run("one"), make_run("other", env="Acrobot-v1")
    with pytest.raises(ImitaxError, match="at least one run folder, found none"):
        read_runs([])
    with pytest.raises(ImitaxError, match=r"of different tasks .* CartPole-v1.* Acrobot-v1"):
        read_runs([one, other])
    with pytest.raises(ImitaxError, match="is given twice"):
        read_runs([one, one / ".." / "one"])
    with pytest.raises(ImitaxError, match="does not exist"):
        read_runs([one, tmp_path / "none"])
    short = make_run("short")
    edit(short / "config.json", put("run", "time_limit", 200))
    with pytest.raises(ImitaxError, match="CartPole-v1 with a time limit of 200"):
        read_runs([one, short])
