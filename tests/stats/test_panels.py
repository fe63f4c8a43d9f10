"""Panels and figures of a run."""

import numpy as np
import pytest

from imitax.stats.figures import learning_curves
from imitax.stats.panels import COLUMNS, PANELS, panels_with


def test_every_metric_has_one_panel_and_every_panel_one_title():
    metrics = [name for panel in PANELS for name, _ in panel.lines]
    titles = [panel.title for panel in PANELS]
    assert len(metrics) == len(set(metrics)) and len(titles) == len(set(titles))
    assert len({column.heading for column in COLUMNS}) == len(COLUMNS)


def test_panels_are_those_with_metrics():
    assert [panel.title for panel in panels_with({"kl", "policy_score", "unknown"})] == [
        "Discriminator scores",
        "Change of the policy",
    ]


def panels_of(metrics, summary=None):
    """The visible axes of the learning curves."""
    return [axis for axis in learning_curves(metrics, summary).axes if axis.get_visible()]


def test_learning_curves_show_what_there_is():
    rng = np.random.default_rng(0)
    returns = rng.normal(size=(3, 20))
    returns[:, 0] = np.nan  # no episode ended
    metrics = {
        "episode_return": returns,
        "expert_score": rng.uniform(size=(3, 20)),
        "absorbing_logit": returns,
    }
    summary = {"expert": {"mean": 2.0}, "random": {"mean": -1.0}}
    left, right = panels_of(metrics | {"policy_score": np.full((3, 20), np.nan)}, summary)
    assert (left.get_title(), left.get_ylabel()) == ("Return of training episodes", "true return")
    assert left.get_xlabel() == right.get_xlabel() == "iteration"
    labels = [text.get_text() for text in left.get_legend().get_texts()]
    assert labels == ["sampled actions", "expert", "random"]
    assert [line.get_ydata()[0] for line in left.get_lines()[1:]] == [2.0, -1.0]
    assert right.get_title() == "Discriminator scores"


@pytest.mark.parametrize("summary", [None, {"expert": None}])
def test_without_references_there_are_none(summary):
    (axis,) = panels_of({"episode_return": np.zeros((1, 5))}, summary)
    assert len(axis.get_lines()) == 1 and axis.get_legend() is None


def test_cloning_counts_epochs():
    (axis,) = panels_of({"train_loss": np.ones((2, 9)), "validation_loss": np.ones((2, 9))})
    assert axis.get_xlabel() == "round" and axis.get_ylabel() == "negative log likelihood, nats"


def test_a_run_without_numbers_has_an_empty_figure():
    assert panels_of({"episode_return": np.full((1, 3), np.nan)}) == []
