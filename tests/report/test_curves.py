"""The numbers behind the curves."""

import numpy as np
import pytest

from imitax.report import curves
from imitax.report.curves import curves_of, panel_data, panels_of, rounded
from imitax.report.results import labels_of, results_of
from imitax.runs.read import read_runs
from imitax.stats.estimates import band
from imitax.stats.figures import forward_fill


def test_curves_are_bands_over_seeds(make_run):
    (run,) = read_runs([make_run(seeds=4, iterations=6)])
    (curve_data,) = curves_of([run])
    assert curve_data["iterations"] == [1, 2, 3, 4, 5, 6]
    assert curve_data["steps"] == [5120 * i for i in curve_data["iterations"]]
    assert curve_data["seconds"] == [1.5, 1.75, 2.0, 2.25, 2.5, 2.75]
    returns = curve_data["series"]["episode_return"]
    middle, low, high = band(forward_fill(run.metrics["episode_return"]))
    for name, wanted in (("middle", middle), ("low", low), ("high", high)):
        assert returns[name] == rounded(wanted) and returns[name][0] is None
    np.testing.assert_allclose(
        returns["seeds"][3][1:], run.metrics["episode_return"][3, 1:], rtol=1e-4
    )
    assert "absorbing_logit" not in curve_data["series"]  # no figure shows it


def test_one_seed_has_no_band_and_cloning_no_steps(make_run):
    (curve_data,) = curves_of(read_runs([make_run(method="bc", seeds=1)]))
    assert curve_data["steps"] is curve_data["seconds"] is None
    assert set(curve_data["series"]["train_loss"]) == {"middle", "seeds"}


def test_long_curves_are_averaged_over_blocks(make_run, monkeypatch):
    monkeypatch.setattr(curves, "MAX_POINTS", 4)
    (run,) = read_runs([make_run(seeds=1, iterations=40)])
    monkeypatch.setattr(curves, "MAX_NUMBERS", 10**9)
    (curve_data,) = curves_of([run])
    assert curve_data["iterations"] == [10, 20, 30, 40]
    blocks = run.metrics["entropy"].reshape(4, 10).mean(axis=1)
    np.testing.assert_allclose(curve_data["series"]["entropy"]["middle"], blocks, rtol=1e-4)


def test_many_runs_are_drawn_more_coarsely(make_run, monkeypatch):
    runs = read_runs([make_run("a", iterations=100), make_run("b", "constant", iterations=100)])
    monkeypatch.setattr(curves, "MAX_NUMBERS", 3000)
    curve_data = curves_of(runs)
    numbers = sum(
        len(x) for r in curve_data for s in r["series"].values() for x in (s["middle"], *s["seeds"])
    )
    assert 20 <= len(curve_data[0]["iterations"]) < 100 and numbers < 3000


def test_only_figures_with_numbers_are_there(four_runs):
    runs = read_runs(four_runs)
    sections = {panel.section for panel in panels_of(runs)}
    assert sections == {"learning", "discriminator", "reward", "policy", "cloning"}
    assert {panel.section for panel in panels_of(runs[1:2])} == {"cloning"}
    assert {panel.section for panel in panels_of(runs[3:])} == {"learning", "reward", "policy"}
    assert "Feature gap" not in {panel.title for panel in panels_of(runs)}


def test_the_return_has_lines_for_expert_and_chance(four_runs):
    runs = read_runs(four_runs)
    results = results_of(runs, labels_of(runs))
    data = panel_data(panels_of(runs)[0], results)
    assert data["levels"] == [[500.0, "expert"], [pytest.approx(20, abs=2), "random"]]
    assert panel_data(panels_of(runs)[-1], results)["epochs"]
