"""What objectives share that give one label to an utterance: frames pooled over time, refusals, scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from speechtransfer.errors import DataError, PlanError
from speechtransfer.frames import Frames, length_mask, masked_max, masked_mean, masked_parts
from speechtransfer.manifest import Utterance
from speechtransfer.objectives.contract import Prediction
from speechtransfer.score import Scores, Transcription, score_labels

Pooling = Literal["mean", "max", "attentive", "parts"]


class Attention(nn.Module):
    """Self-attentive pooling (Lin et al. 2017, arXiv:1703.03130, one hop): a learned weight for each frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.weigh = nn.Linear(width, 1, bias=False)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) and (B,) to (B, D); frames beyond the length weigh nothing."""
        scores = self.weigh(torch.tanh(self.project(values))).squeeze(-1)
        mask = length_mask(lengths.clamp(min=1), values.shape[1])
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        pooled: Tensor = (weights[..., None] * values).sum(1)
        return pooled


def pool(frames: Frames, pooling: Pooling, attention: Attention | None) -> Tensor:
    """(B, D) of frames (B, T, D): their mean, their maximum, or a learned weighting; (B, 3 D) of ``parts``.

    Raises:
        PlanError: the weighting is not there yet.
    """
    pools = {"mean": masked_mean, "max": masked_max, "parts": masked_parts, "attentive": attention}
    found = pools[pooling]
    if found is None:
        raise PlanError("the head has no width yet. Transfer.apply gives it the encoder's.")
    pooled: Tensor = found(frames.values, frames.lengths)
    return pooled


def pooled_width(width: int, pooling: Pooling) -> int:
    """Channels of what ``pool`` makes of frames of ``width`` channels."""
    return 3 * width if pooling == "parts" else width


def unlabelled(utterance: Utterance, field: str, labels: Sequence[str], frames: int) -> str | None:
    """Why an utterance cannot be learnt: no label, one that is not among the known, or no frame at all."""
    value = getattr(utterance, field)
    if value is None:
        return f"no {field}"
    if value not in labels:
        return f"unknown {field}: {value}"
    return None if frames else "shorter than one frame"


def score_predictions(rows: Sequence[Utterance], predictions: Sequence[Prediction], field: str) -> Scores:
    """Accuracy and macro-F1; intervals resample speakers where two or more are known, else utterances.

    A label that training never saw is an error, never a row left out.

    Raises:
        DataError: a row without a label.
    """
    by_speaker = len({row.speaker for row in rows}) > 1 and all(row.speaker for row in rows)
    labelled = []
    for row, prediction in zip(rows, predictions, strict=True):
        said = getattr(row, field)
        if said is None:
            raise DataError(f"{row.id}: has no {field}, so nothing can be scored on it.")
        group = row.speaker if by_speaker and row.speaker else row.id
        labelled.append(Transcription(row.id, said, prediction.value, group))
    return score_labels(labelled)
