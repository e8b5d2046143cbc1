"""Whitening within words and discriminants, against covariances computed by hand and against SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from speechtransfer.errors import DataError
from speechtransfer.objectives.whitening import SHRINKAGE, by_channel, discriminant, within_words

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


def drawn_apart(classes: int, width: int, apart: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Forty values of each class, which lie about places of their own."""
    source = torch.Generator().manual_seed(7)
    numbers = torch.arange(classes).repeat_interleave(40)
    places = apart * torch.randn(classes, width, generator=source)
    scatter = torch.randn(len(numbers), width, generator=source) @ torch.randn(width, width, generator=source)
    return places[numbers] + scatter, numbers


def test_a_discriminant_is_a_second_librarys_generalised_eigenvectors() -> None:
    given, numbers = drawn_apart(5, 6)
    exact = given.double().numpy()
    apart = np.concatenate([exact[numbers == one] - exact[numbers == one].mean(0) for one in range(5)])
    within = apart.T @ apart / len(apart)
    shrunk = within + SHRINKAGE * np.trace(within) / 6 * np.eye(6)

    means = np.stack([exact[numbers == one].mean(0) for one in range(5)]) - exact.mean(0)
    _, theirs = scipy.linalg.eigh(means.T @ means, shrunk)
    expected = exact @ theirs[:, ::-1]
    found = (given @ discriminant(given, numbers, 4)).double().numpy()
    for k in range(4):
        column, other = found[:, k] - found[:, k].mean(), expected[:, k] - expected[:, k].mean()
        assert abs(np.corrcoef(column, other)[0, 1]) == pytest.approx(1.0, abs=1e-4)
    mapped = discriminant(given, numbers, 4).double().numpy()
    assert np.allclose(mapped.T @ shrunk @ mapped, np.eye(4), atol=1e-4)


def test_classes_do_not_differ_in_more_directions_than_they_can() -> None:
    given, numbers = drawn_apart(3, 6)
    found = discriminant(given, numbers, 5)
    assert found.shape == (6, 5)
    assert bool(found[:, :2].abs().sum(0).gt(0).all()) and not found[:, 2:].any()
    few = discriminant(given, numbers, 1)
    assert torch.allclose(few, found[:, :1])


@pytest.mark.parametrize("defect", ["one class", "all alike"])
def test_a_discriminant_of_nothing_is_refused(defect: str) -> None:
    given, numbers = drawn_apart(2, 3)
    given, numbers = (given, numbers * 0) if defect == "one class" else (torch.ones(80, 3), numbers)
    with pytest.raises(DataError, match="two words or more"):
        discriminant(given, numbers, 1)
