"""Buckets: full, tight, every item once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from speechtransfer.bucketing import bucket, padding_waste

RATE = 16_000
SIZES = st.lists(st.floats(0.05, 40.0) | st.floats(0.9, 1.0), min_size=0, max_size=60)


def naive_waste(groups: Sequence[Sequence[int]], sizes: Sequence[float]) -> float:
    padding = total = 0.0
    for group in groups:
        longest = max(sizes[index] for index in group)
        for index in group:
            padding += longest - sizes[index]
            total += longest
    return padding / total if total else 0.0


@example(sizes=[1.0, 0.95], most=60.0, waste=0.02)
@example(sizes=[1.0, 0.97], most=60.0, waste=0.02)
@given(sizes=SIZES, most=st.floats(0.5, 60.0), waste=st.sampled_from([0.0, 0.02, 0.1, 0.5]))
@settings(deadline=None)
def test_buckets_are_full_tight_and_hold_every_item_once(sizes: list[float], most: float, waste: float) -> None:
    groups = bucket(sizes, most, waste)
    assert sorted(index for group in groups for index in group) == list(range(len(sizes)))
    assert all(groups)
    for group in groups:
        assert len(group) == 1 or max(sizes[index] for index in group) * len(group) <= most + 1e-9
    assert naive_waste(groups, sizes) <= waste + 1e-9
    assert padding_waste(groups, sizes) == pytest.approx(naive_waste(groups, sizes), abs=1e-9)
    assert groups == bucket(sizes, most, waste)


@given(count=st.integers(1, 40), size=st.integers(1, 10), fit=st.integers(1, 12))
@settings(deadline=None)
def test_items_of_one_length_fill_their_buckets(count: int, size: int, fit: int) -> None:
    groups = bucket([float(size)] * count, float(size * fit), 0.0)
    assert len(groups) == -(-count // fit)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=40))
def test_without_waste_only_equal_lengths_share_a_bucket(lengths: list[int]) -> None:
    sizes = [length / RATE for length in lengths]
    groups = bucket(sizes, 1.0, 0.0)
    assert all(len({lengths[index] for index in group}) == 1 for group in groups)
    assert len(groups) == len(set(lengths))


def test_a_real_length_distribution_makes_few_batches() -> None:
    """A cap on each group alone leaves the long tail in batches of one; together they may share."""
    sizes = np.random.default_rng(0).lognormal(1.2, 0.5, 1000).tolist()
    groups = bucket(sizes, 30.0)
    assert naive_waste(groups, sizes) <= 0.02
    assert len(groups) < 1.15 * sum(sizes) / 30
