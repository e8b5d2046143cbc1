"""Frames and batches: what encoders give, what objectives take, and the masks between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True)
class Frames:
    """A batch of frame sequences.

    Attributes:
        values: (B, T, D) float.
        lengths: (B,) int64, the valid frames of each item.
        period: seconds from one frame to the next.
        taps: outputs of further blocks by name, each (B, T, D').
    """

    values: Tensor
    lengths: Tensor
    period: float
    taps: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def mask(self) -> Tensor:
        """(B, T) bool, True on valid frames."""
        return length_mask(self.lengths, self.values.shape[1])


@dataclass(frozen=True)
class Batch:
    """A padded batch of utterances.

    Attributes:
        wave: (B, S) float32, zero beyond each length.
        lengths: (B,) int64, the samples of each item.
        ids: the utterance ids.
        weight: (B,) float32, the weight of each item in a loss.
        fields: per field name (``text``, ``label``, ``language``, ``speaker``, ``domain``) one value
            an item, None where the item lacks it.
        start: name of the block that ``wave`` is the input of, when it holds cached activations
            (B, T, D) with ``lengths`` in frames; None for sound.
    """

    wave: Tensor
    lengths: Tensor
    ids: tuple[str, ...]
    weight: Tensor
    fields: Mapping[str, tuple[str | None, ...]]
    start: str | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on ``device``."""
        return Batch(
            self.wave.to(device),
            self.lengths.to(device),
            self.ids,
            self.weight.to(device),
            self.fields,
            self.start,
        )


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B, size) bool from (B,) lengths, True on the first ``lengths[i]`` places of row i."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack (S_i, ...) tensors into (B, max S, ...) with zeros behind, and their lengths (B,)."""
    lengths = torch.tensor([len(sequence) for sequence in sequences], dtype=torch.int64)
    return torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True), lengths


def masked_mean(values: Tensor, lengths: Tensor) -> Tensor:
    """Mean of (B, T, D) over the valid frames of each item: (B, D)."""
    mask = length_mask(lengths, values.shape[1])[..., None].to(values.dtype)
    return (values * mask).sum(1) / mask.sum(1).clamp(min=1)


def masked_max(values: Tensor, lengths: Tensor) -> Tensor:
    """Maximum of (B, T, D) over the valid frames of each item: (B, D)."""
    mask = length_mask(lengths, values.shape[1])[..., None]
    return values.masked_fill(~mask, torch.finfo(values.dtype).min).amax(1)
