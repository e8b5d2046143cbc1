"""Within-word whitening: what differs between clips of one word, such as their speakers, counts less."""

from __future__ import annotations

import torch
from torch import Tensor

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
