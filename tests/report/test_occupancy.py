"""Where expert and policy go: coordinates and distances."""

import base64

import numpy as np
import pytest

from imitax.report import occupancy
from imitax.report.occupancy import distance, occupancy_of
from imitax.runs.read import read_runs
from imitax.runs.samples import ObservationSamples, load_samples, save_samples


def decoded(text, data):
    """Coordinates [N, D] in units of their axes, as the page's script reads them."""
    packed = np.frombuffer(base64.b64decode(text), "<u2").reshape(-1, len(data["axes"]))
    low, high = np.array(data["ranges"]).T
    return low + packed / 65535 * (high - low), (high - low) / 65535


def replace(path, **arrays):
    visits = load_samples(path / "visits.npz")._replace(**arrays)
    save_samples(visits, path / "visits.npz")
    return visits


def test_points_are_the_observations(make_run):
    path = make_run()
    visits = load_samples(path / "visits.npz")
    data = occupancy_of(read_runs([path]), 0)
    assert data["axes"] == [
        *occupancy.NAMES["CartPole-v1"],
        "1st principal component",
        "2nd principal component",
    ]
    (run,) = data["runs"]
    assert run["iterations"] == (visits.iterations + 1).tolist() and run["seeds"] == [5, 6, 7]
    for text, wanted in (
        (run["policy"][2][1], visits.policy[2, 1]),
        (run["expert"], visits.demonstrations),
    ):
        points, step = decoded(text, data)
        np.testing.assert_allclose(points[:, :4], wanted, atol=step.max())


def test_components_are_uncorrelated_and_the_first_is_the_longest(make_run):
    path = make_run(seeds=1)
    rng = np.random.default_rng(0)
    line = rng.normal(size=(500, 1)) * [1.0, 2.0, -3.0, 1.0] + 0.1 * rng.normal(size=(500, 4))
    replace(
        path,
        policy=np.tile(line.astype(np.float32), (4, 1, 1, 1)),
        demonstrations=line.astype(np.float32),
    )
    data = occupancy_of(read_runs([path]), 0)
    points, _ = decoded(data["runs"][0]["expert"], data)
    first, second = points[:, 4], points[:, 5]
    assert first.std() > 10 * second.std() and abs(np.corrcoef(first, second)[0, 1]) < 0.05


def test_distance_is_in_deviations_of_the_expert(rng):
    y = rng.normal(3.0, 2.0, size=(2000, 2))
    np.testing.assert_allclose(distance(y, y), 0.0)
    np.testing.assert_allclose(
        distance(y + np.array([1.0, -4.0]), y), np.array([1.0, 4.0]) / y.std(axis=0), rtol=1e-9
    )
    y[:, 1] = 7.0  # does not vary, so it has no unit
    assert np.isnan(distance(y, y)[1])


def test_distances_fall_as_the_policy_comes_nearer(make_run):
    data = occupancy_of(read_runs([make_run(seeds=1)]), 0)
    each = [moment[0] for moment in data["runs"][0]["distances"]]
    assert each == sorted(each, reverse=True) and each[0] > 1.5 and each[-1] < 0.5


def test_a_run_without_demonstrations_borrows_the_expert(four_runs):
    data = occupancy_of(read_runs(four_runs), 0)
    assert data["runs"][3]["expert"] == data["runs"][0]["expert"]
    alone = occupancy_of(read_runs(four_runs[3:]), 0)
    assert alone["runs"][0]["expert"] is None and alone["runs"][0]["distances"] is None


def test_runs_that_kept_nothing_are_left_out(four_runs):
    (four_runs[1] / "visits.npz").unlink()
    data = occupancy_of(read_runs(four_runs), 1)
    assert data["runs"][1] is None and data["runs"][0] is not None
    (four_runs[0] / "visits.npz").unlink()
    assert occupancy_of(read_runs(four_runs[:2]), 0) is None


@pytest.mark.parametrize(
    "size, dimensions", [(1, 1), (2, 2), (5, 5), (40, occupancy.MAX_DIMENSIONS)]
)
def test_any_number_of_dimensions(make_run, size, dimensions):
    path = make_run(env="Other-v0", seeds=1)
    rng = np.random.default_rng(0)
    policy = rng.normal(size=(2, 1, 50, size)).astype(np.float32)
    policy[0, 0, :, -1] += 5.0  # the dimension that tells expert and policy apart
    expert = rng.normal(size=(30, size)).astype(np.float32)
    save_samples(
        ObservationSamples(np.array([0, 3]), policy, expert, expert[:5]), path / "visits.npz"
    )
    data = occupancy_of(read_runs([path]), 0)
    assert len(data["axes"]) == dimensions + 2 and f"observation {size - 1}" in data["axes"]
    assert max(data["start"]) < len(data["axes"])
    points, _ = decoded(data["runs"][0]["expert"], data)
    assert points.shape == (30, dimensions + 2) and np.isfinite(points).all()


def test_what_is_not_finite_is_left_out(make_run):
    path = make_run(seeds=1)
    policy = load_samples(path / "visits.npz").policy
    policy[-1, 0, 3] = np.inf
    policy[0, 0, :5] = np.nan
    replace(path, policy=policy)
    data = occupancy_of(read_runs([path]), 0)
    assert len(decoded(data["runs"][0]["policy"][-1][0], data)[0]) == policy.shape[2] - 1
    assert np.isfinite(data["ranges"]).all() and None not in np.ravel(data["runs"][0]["distances"])


def test_a_policy_that_went_astray_altogether(make_run):
    path, other = make_run(seeds=1), make_run("other")
    policy = load_samples(path / "visits.npz").policy
    policy[-1] = np.nan
    replace(path, policy=policy)
    (run,) = occupancy_of(read_runs([path]), 0)["runs"]
    assert run["policy"][-1] == [""] and run["distances"][-1] == [None]
    replace(path, policy=np.full_like(policy, np.nan))
    assert occupancy_of(read_runs([path]), 0) is None
    assert occupancy_of(read_runs([path, other]), 0)["runs"][0] is None


def test_many_points_are_thinned(make_run, monkeypatch):
    path = make_run()
    monkeypatch.setattr(occupancy, "MAX_BYTES", 4000)
    data = occupancy_of(read_runs([path]), 0)
    texts = [
        data["runs"][0]["expert"],
        *(x for moment in data["runs"][0]["policy"] for x in moment),
    ]
    assert sum(map(len, texts)) < 5000 and all(texts)
