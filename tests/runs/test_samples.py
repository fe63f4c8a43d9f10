"""The sample of observations that a run keeps."""

from types import SimpleNamespace

import numpy as np
import pytest

from imitax.demonstrations import Demonstrations
from imitax.errors import ImitaxError
from imitax.runs import samples
from imitax.runs.samples import SampleLog, load_samples, save_samples


def rollout(iteration, seeds=5, steps=40, envs=50, size=2):
    """Observations that tell their iteration and seed."""
    obs = np.zeros((seeds, steps, envs, size), np.float32)
    obs[..., 0], obs[..., 1] = iteration, np.arange(seeds)[:, None, None]
    return SimpleNamespace(obs=obs)


def filled(iterations, **options):
    log = SampleLog()
    for i in range(iterations):
        log(i, iterations, rollout(i, **options))
    return log


def shown(lengths=(3, 5), **options):
    episodes = [(np.full((n, 2), k), np.zeros(n, int)) for k, n in enumerate(lengths)]
    return Demonstrations.from_episodes(episodes, terminated=True, **options)


@pytest.mark.parametrize("iterations, moments", [(1, 1), (5, 5), (8, 8), (9, 8), (1500, 8)])
def test_a_few_moments_are_kept_first_and_last_among_them(iterations, moments):
    kept = filled(iterations, steps=2, envs=3).beside(None, None)
    assert len(kept.iterations) == moments
    assert (kept.iterations[0], kept.iterations[-1]) == (0, iterations - 1)
    assert kept.policy.shape == (moments, samples.SEEDS, 6, 2) and kept.policy.dtype == np.float32
    np.testing.assert_array_equal(kept.policy[:, :, 0, 0], np.tile(kept.iterations[:, None], 3))
    np.testing.assert_array_equal(kept.policy[:, :, 0, 1], np.tile(np.arange(3), (moments, 1)))


def test_the_sample_is_limited_and_the_same_each_time():
    first, again = (
        filled(3).beside(shown().observations, shown().complete_episode()) for _ in range(2)
    )
    assert first.policy.shape == (3, 3, samples.POINTS, 2)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_wide_observations_are_sampled_more_thinly():
    kept = filled(2, seeds=1, steps=100, envs=10, size=376).beside(None, None)
    assert kept.policy.shape[2] < samples.POINTS
    assert 8 * 3 * kept.policy[0, 0].size <= samples.NUMBERS


def test_seeds_with_different_numbers_of_observations_keep_as_many_as_the_fewest():
    log = SampleLog()
    log.keep(9, [np.zeros((30, 2)), np.ones((20, 2))])
    assert log.beside(None, None).policy.shape == (1, 2, 20, 2)


def test_demonstrations_are_kept_as_seen_and_one_episode_whole():
    whole = shown((3, 5))
    seen = whole.subsample(2, np.random.default_rng(0))
    kept = filled(1).beside(seen.observations, whole.complete_episode())
    np.testing.assert_array_equal(kept.demonstrations, seen.observations)
    np.testing.assert_array_equal(kept.episode, whole.observations[:3])


def test_without_whole_episodes_none_is_kept():
    seen = shown((3, 5)).subsample(2, np.random.default_rng(0))
    kept = filled(1).beside(seen.observations, seen.complete_episode())
    assert kept.episode.shape == (0, 2) and len(kept.demonstrations)
    nothing = filled(1).beside(None, None)
    assert nothing.demonstrations.shape == nothing.episode.shape == (0, 2)


def test_a_file_is_read_as_it_was_written(tmp_path):
    kept = filled(3).beside(shown().observations, shown().complete_episode())
    save_samples(kept, tmp_path / "visits.npz")
    for one, other in zip(kept, load_samples(tmp_path / "visits.npz"), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert load_samples(tmp_path / "none.npz") is None


@pytest.mark.parametrize("damage", ["cut", "text", "key", "shape", "pickle"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "visits.npz"
    kept = filled(3).beside(shown().observations, shown().complete_episode())._asdict()
    if damage == "key":
        del kept["episode"]
    if damage == "shape":
        kept["demonstrations"] = np.zeros((4, 7), np.float32)
    if damage == "pickle":
        kept["iterations"] = np.array([{}], object)
    np.savez(path, **kept)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    if damage == "text":
        path.write_text("nonsense")
    with pytest.raises(ImitaxError, match=r"File '.*visits.npz' is damaged \(.*remove it"):
        load_samples(path)
