"""Maps learnt from labelled speech under which what differs within a word, such as its speakers, counts less."""

from __future__ import annotations

import torch
from torch import Tensor

from speechtransfer.errors import DataError

#: Of the mean variance, added to every direction: few clips say little of most directions. On Ukrainian digits of
#: speakers outside the test, 0.3 and 3 were as good.
SHRINKAGE = 1.0
#: Of the mean deviation, added to every channel's own: one that hardly moves is not blown up to noise.
_SHARE = 0.3


def within_words(values: Tensor, words: Tensor) -> Tensor | None:
    """The symmetric map (D, D) under which words scatter alike in all directions about their own means.

    W^-1/2 for the covariance W of clips about their word's mean, shrunk towards a multiple of the identity, so that
    directions in which one word is said differently count less: within-class covariance normalisation (Hatch,
    Kajarekar and Stolcke 2006, "Within-class covariance normalization for SVM-based speaker recognition").

    Args:
        values: (N, D) of the clips.
        words: (N,) the number of each one's word.

    Returns:
        None where no word has two clips, so that nothing is known of its scatter.
    """
    parts = [values[words == word].double() for word in words.unique().tolist()]
    apart = torch.cat([part - part.mean(0) for part in parts])
    known = len(values) - len(parts)
    scatter = apart.square().sum() / max(known, 1) / values.shape[1]
    if not known or not scatter > 0:
        return None
    apart = apart / (known * scatter).sqrt()
    if len(apart) < apart.shape[1]:  # all directions beyond the clips' own are alike
        _, deviations, rows = torch.linalg.svd(apart, full_matrices=False)
        variances, directions = deviations.square(), rows.T
    else:
        variances, directions = torch.linalg.eigh(apart.T @ apart)
    beyond = SHRINKAGE**-0.5
    scales = (variances.clamp(min=0) + SHRINKAGE).rsqrt() - beyond
    whiten: Tensor = (directions * scales) @ directions.T + beyond * torch.eye(apart.shape[1]).to(apart)
    return whiten.to(values.dtype)


def by_channel(values: Tensor) -> Tensor:
    """The diagonal map (D, D) under which each channel of (N, D) varies about alike."""
    deviation = values.std(0, correction=0)
    return torch.diag(1 / (deviation + _SHARE * deviation.mean()).clamp(min=1e-6))


def discriminant(values: Tensor, classes: Tensor, size: int) -> Tensor:
    """The map (D, size) to the directions in which classes differ most, by how much each class varies there.

    Linear discriminant analysis (Haeb-Umbach and Ney 1992, "Linear discriminant analysis for improved large vocabulary
    continuous speech recognition"), with the covariance within classes shrunk as in ``within_words``. Classes differ
    in one direction fewer than there are of them; columns beyond are zero.

    Args:
        values: (N, D).
        classes: (N,) numbers.
        size: how many directions.

    Raises:
        DataError: values of a single class, or that are all alike.
    """
    _, numbers, counts = classes.unique(return_inverse=True, return_counts=True)
    exact = values.double()
    sums = exact.new_zeros(len(counts), exact.shape[1]).index_add_(0, numbers, exact)
    means = sums / counts[:, None]
    apart = exact - means[numbers]
    within = apart.T @ apart / len(exact)
    mean = within.trace() / len(within)
    if len(counts) < 2 or not mean > 0:
        raise DataError("a metric needs sounds of two kinds that vary: give several recordings of two words or more.")
    variances, directions = torch.linalg.eigh(within + SHRINKAGE * mean * torch.eye(len(within)).to(within))
    whiten = (directions * variances.rsqrt()) @ directions.T
    spread = (means - exact.mean(0)) @ whiten
    _, deviations, rows = torch.linalg.svd(spread, full_matrices=False)
    known = int((deviations[:size] > 1e-9 * deviations[0]).sum())
    found = exact.new_zeros(exact.shape[1], size)
    found[:, :known] = whiten @ rows[:known].T
    return found.to(values.dtype)
