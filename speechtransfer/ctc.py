"""The connectionist temporal classification loss, and the exact check that it is feasible."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from speechtransfer.errors import DataError


def required_frames(target: Sequence[int]) -> int:
    """The fewest frames that can spell ``target``: its labels, and a blank between equal neighbours.

    Graves et al. 2006, "Connectionist temporal classification": equal neighbours merge unless a blank
    stands between them.
    """
    repeats = sum(one == two for one, two in pairwise(target))
    return len(target) + repeats


def ctc_loss(logits: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]], blank: int = 0) -> Tensor:
    """Negative log-likelihood of each item over the length of its target.

    Args:
        logits: (B, T, V), before any softmax.
        lengths: (B,) valid frames.
        targets: one sequence of labels an item, none empty.
        blank: index of the blank.

    Returns:
        (B,) float32, finite.

    Raises:
        DataError: an item has fewer frames than its target requires. Such items are found before
            training; an infinite loss is never turned into zero.
    """
    for index, (frames, target) in enumerate(zip(lengths.tolist(), targets, strict=True)):
        if not target or frames < required_frames(target):
            raise DataError(
                f"item {index}: {frames} frames cannot spell {len(target)} labels "
                f"(at least {required_frames(target)} are needed). Check the transcript against the audio."
            )
    sizes = torch.tensor([len(target) for target in targets], device=logits.device)
    flat = torch.tensor([label for target in targets for label in target], device=logits.device)
    losses = functional.ctc_loss(
        logits.float().log_softmax(-1).transpose(0, 1), flat, lengths, sizes, blank=blank, reduction="none"
    )
    return losses / sizes
