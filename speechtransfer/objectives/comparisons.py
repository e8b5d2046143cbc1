"""What compares the clips of a batch: losses of metric learning over embeddings on the unit sphere."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional


def prototype(embedded: Tensor) -> Tensor:
    """(E,) of length 1: the mean of embeddings (N, E), back on the sphere."""
    return functional.normalize(embedded.mean(0), dim=-1)


def prototypes(embedded: Tensor, said: Tensor, temperature: float, margin: float) -> Tensor:
    """Cross-entropy of each query over the batch's supports, by squared distance (Snell et al., equation 2)."""
    supports: list[Tensor] = []
    queries: list[Tensor] = []
    targets: list[int] = []
    for word in said.unique().tolist():
        own = (said == word).nonzero().flatten()
        if len(own) < 2:
            continue
        half = len(own) // 2
        queries.append(embedded[own[half:]])
        targets += [len(supports)] * (len(own) - half)
        supports.append(prototype(embedded[own[:half]]))
    if len(supports) < 2:
        return embedded.sum() * 0.0
    squared = (torch.cat(queries)[:, None] - torch.stack(supports)).square().sum(-1)
    return functional.cross_entropy(-squared / temperature, torch.tensor(targets, device=squared.device))


def triplet(embedded: Tensor, said: Tensor, temperature: float, margin: float) -> Tensor:
    """Mean over the triplets that violate the margin of how much they do (Schroff et al., equation 3)."""
    from pytorch_metric_learning.losses import TripletMarginLoss

    return _of_pairs(TripletMarginLoss(margin), embedded, said)


def ntxent(embedded: Tensor, said: Tensor, temperature: float, margin: float) -> Tensor:
    """Mean over pairs of one word's clips of their cross-entropy against other words' (Chen et al., equation 1)."""
    from pytorch_metric_learning.losses import NTXentLoss

    return _of_pairs(NTXentLoss(temperature), embedded, said)


def siamese(embedded: Tensor, said: Tensor, temperature: float, margin: float) -> Tensor:
    """Distances of one word's pairs, and what other pairs lack of the margin, each a mean over those above zero."""
    from pytorch_metric_learning.losses import ContrastiveLoss

    return _of_pairs(ContrastiveLoss(pos_margin=0.0, neg_margin=margin), embedded, said)


def _of_pairs(compare: Callable[[Tensor, Tensor], Tensor], embedded: Tensor, said: Tensor) -> Tensor:
    return compare(embedded, said) if len(said) > 1 else embedded.sum() * 0.0


#: By name: embeddings (B, E) and the number of each one's word (B,), a temperature and a margin, to a scalar.
COMPARISONS: Mapping[str, Callable[[Tensor, Tensor, float, float], Tensor]] = {
    "prototypes": prototypes,
    "triplet": triplet,
    "ntxent": ntxent,
    "siamese": siamese,
}
