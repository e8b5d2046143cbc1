"""Whitening within words, against covariances computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechtransfer.objectives.whitening import SHRINKAGE, by_channel, within_words

WORDS = torch.tensor([0, 0, 1, 1, 1, 2, 0, 2])


def values() -> torch.Tensor:
    drawn = torch.randn(8, 4, generator=torch.Generator().manual_seed(2))
    return drawn * torch.tensor([5.0, 1.0, 0.2, 1.0]) + WORDS[:, None]


@pytest.mark.parametrize("width", [4, 11])
def test_it_undoes_the_scatter_within_words_as_far_as_it_is_known(width: int) -> None:
    """With more clips than channels, and with fewer."""
    wide = torch.cat([values(), torch.randn(8, 7, generator=torch.Generator().manual_seed(3))], 1)[:, :width]
    given, words = wide.double().numpy(), WORDS.numpy()
    apart = np.concatenate([given[words == word] - given[words == word].mean(0) for word in range(3)])
    covariance = apart.T @ apart / (8 - 3)
    shrunk = covariance / (np.trace(covariance) / width) + SHRINKAGE * np.eye(width)
    found = within_words(wide, WORDS)
    assert found is not None
    assert torch.allclose(found, found.T, atol=1e-6)
    assert np.allclose(found.double().numpy() @ shrunk @ found.double().numpy(), np.eye(width), atol=1e-5)
    assert found.dtype == torch.float32


def test_it_does_not_depend_on_the_order_or_on_where_words_lie() -> None:
    order = torch.tensor([3, 1, 7, 0, 2, 6, 5, 4])
    found, again = within_words(values(), WORDS), within_words((values() + 9 * WORDS[:, None])[order], WORDS[order])
    assert found is not None and again is not None
    assert torch.allclose(found, again, atol=1e-5)


@pytest.mark.parametrize(("rows", "words"), [([0, 2, 5], [0, 1, 2]), ([0, 0, 5], [0, 0, 2])])
def test_it_is_none_where_no_word_scatters(rows: list[int], words: list[int]) -> None:
    assert within_words(values()[rows], torch.tensor(words)) is None


def test_channels_vary_alike_unless_they_hardly_do() -> None:
    still = values()
    still[:, 2] = 3.0
    scaled = still @ by_channel(still)
    deviation = scaled.std(0, correction=0)
    assert bool((deviation < 1).all()) and float(deviation[0]) > 0.6
    assert float(deviation[2]) == 0.0
    assert torch.isfinite(by_channel(torch.ones(3, 4))).all()
