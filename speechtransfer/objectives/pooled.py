"""What objectives share that give one label to an utterance: frames pooled over time, refusals, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.acceptance import Acceptance
from speechtransfer.errors import DataError, PlanError
from speechtransfer.frames import Frames, length_mask, masked_max, masked_mean, masked_parts, tapped
from speechtransfer.manifest import RESERVED, SILENCE, UNKNOWN, Utterance
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


class LayerMix(nn.Module):
    """A learned weighted sum of several blocks' outputs (Yang et al. 2021, arXiv:2105.01051, section 3).

    Each output is normalised first, frame by frame, so that a loud block is not a heavy one.

    Args:
        names: of the blocks.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.weight = nn.Parameter(torch.zeros(len(self.names)))

    def forward(self, frames: Frames) -> Frames:
        """The frames with the sum as their values.

        Raises:
            PlanError: see ``tapped``.
        """
        outputs = tapped(frames, self.names)
        normed = torch.stack([functional.layer_norm(one, one.shape[-1:]) for one in outputs], -1)
        return replace(frames, values=(normed * self.weight.softmax(0)).sum(-1))


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


def attention_for(width: int, pooling: Pooling) -> Attention | None:
    """What learns to weigh frames of ``width`` channels, where the pooling asks for it."""
    return Attention(width) if pooling == "attentive" else None


def hidden_layers(width: int, hidden: Sequence[int]) -> nn.ModuleList:
    """Linear layers of these widths, the first over ``width`` channels; see ``through``."""
    pairs = zip((width, *hidden), hidden, strict=False)
    return nn.ModuleList(nn.Linear(before, after) for before, after in pairs)


def through(layers: nn.ModuleList, dropout: nn.Module, x: Tensor) -> Tensor:
    """(B, D) through hidden layers, each after dropout and before a ReLU."""
    for layer in layers:
        x = functional.relu(layer(dropout(x)))
    return x


def resampled(rows: Sequence[Utterance]) -> list[str]:
    """What the bootstrap resamples of each row: its speaker where two or more and all are known, else its recording.

    What was cut or made of one recording is named by its ``group``.
    """
    by_speaker = len({row.speaker for row in rows}) > 1 and all(row.speaker for row in rows)
    return [row.speaker if by_speaker and row.speaker else row.group or row.id for row in rows]


def unlabelled(utterance: Utterance, field: str, labels: Sequence[str], frames: int) -> str | None:
    """Why an utterance cannot be learnt: no label, one that is not among the known, or no frame at all."""
    value = getattr(utterance, field)
    if value is None:
        return f"no {field}"
    if value not in labels:
        return f"unknown {field}: {value}"
    return None if frames else "shorter than one frame"


def predicted(
    values: Sequence[str], sure: Sequence[float], words: Sequence[str], scores: Tensor, acceptance: Acceptance
) -> list[Prediction]:
    """Predictions with the scores (B, words) of all words, and those that are accepted where there are thresholds."""
    found = []
    for value, confidence, row in zip(values, sure, scores.tolist(), strict=True):
        # Rounded once, here: what is written and what is counted are the same.
        by_word = {word: round(score, 6) for word, score in zip(words, row, strict=True)}
        accepted = acceptance.accepted(by_word) if acceptance.thresholds else None
        found.append(Prediction(value, confidence, by_word, accepted))
    return found


def score_predictions(
    rows: Sequence[Utterance], predictions: Sequence[Prediction], field: str, labels: Sequence[str]
) -> Scores:
    """Accuracy, macro-F1 and detection; intervals resample what ``resampled`` says.

    A label that training never saw is an error, never a row left out. But where ``_unknown_`` was never a label,
    what reaches no threshold is heard as that, and so is ``_silence_`` that was none either: a closed set can name no
    stranger, only refuse it.

    Raises:
        DataError: a row without a label.
    """
    refused = {UNKNOWN, SILENCE} - set(labels)
    strangers = UNKNOWN not in labels and any(getattr(row, field) in refused for row in rows)
    labelled = []
    for row, group, prediction in zip(rows, resampled(rows), predictions, strict=True):
        said = getattr(row, field)
        if said is None:
            raise DataError(f"{row.id}: has no {field}, so nothing can be scored on it.")
        scores, accepted, heard = dict(prediction.scores) or None, prediction.accepted, prediction.value
        if strangers and accepted is not None and heard not in accepted:
            if said in refused:
                heard = said
            elif heard not in RESERVED:  # that no word was said may have been learnt, and be right
                heard = UNKNOWN
        labelled.append(Transcription(row.id, said, heard, group, scores=scores, accepted=accepted))
    return score_labels(labelled)
