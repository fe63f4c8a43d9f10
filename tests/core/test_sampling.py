"""Minibatches: every pass is a permutation, and the permutations are uniform."""

import jax
import numpy as np
import pytest
from scipy.stats import chisquare

from imitax.core import sampling
from imitax.core.sampling import minibatches, shuffled


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9, 257, 5120, 65_536, 65_537])
def test_every_pass_holds_every_index_once(key, size):
    orders = np.asarray(shuffled(key, size, 3))
    assert orders.shape == (3, size)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.tile(np.arange(size), (3, 1)))
    if size > 100:
        assert (orders[0] != orders[1]).mean() > 0.9


@pytest.mark.parametrize("index_bits", [16, 0])  # 0: always the way of long arrays
def test_all_orders_are_equally_likely(key, monkeypatch, index_bits):
    # 4! = 24 orders, 24,000 draws: under uniformity the counts' chi-square has 23 degrees of
    # freedom.
    monkeypatch.setattr(sampling, "_INDEX_BITS", index_bits)
    orders = np.asarray(shuffled(key, 4, 24_000))
    counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24
    assert chisquare(counts).pvalue > 1e-3


def test_place_in_the_order_does_not_depend_on_the_index(key):
    # The place of one index is uniform on 0..n-1: mean (n - 1) / 2, variance (n² - 1) / 12.
    n, draws = 5120, 200
    places = np.argsort(np.asarray(shuffled(key, n, draws)), axis=1)
    scale = np.sqrt((n**2 - 1) / 12 / draws)
    z = (places.mean(axis=0) - (n - 1) / 2) / scale
    assert abs(z).max() < 5.5  # of 5120 near-normal values
    slope = np.corrcoef(np.arange(n), places.mean(axis=0))[0, 1]
    assert abs(slope) < 5 / np.sqrt(n)  # ties would favour small indices


def test_minibatches_split_each_pass_and_leave_the_remainder_out(key):
    index = np.asarray(minibatches(key, 11, 4, 3))
    assert index.shape == (12, 2)
    for one_pass in index.reshape(3, 8):
        assert len(set(one_pass)) == 8
        assert set(one_pass) < set(range(11))


def test_same_key_same_order(key):
    np.testing.assert_array_equal(minibatches(key, 100, 4, 2), minibatches(key, 100, 4, 2))
    other = jax.random.fold_in(key, 1)
    assert not np.array_equal(minibatches(key, 100, 4, 2), minibatches(other, 100, 4, 2))


def test_there_are_no_more_minibatches_than_indices(key):
    index = np.asarray(minibatches(key, 3, 4, 2))
    assert index.shape == (6, 1)
    np.testing.assert_array_equal(np.sort(index.reshape(2, 3), axis=1), [[0, 1, 2], [0, 1, 2]])
