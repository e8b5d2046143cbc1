"""Frames and batches: what encoders give, what objectives take, and the masks between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from speechtransfer.errors import PlanError


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

    def select(self, chosen: Sequence[int]) -> Frames:
        """The items at these places alone, padded as they were."""
        if [*chosen] == [*range(len(self.lengths))]:
            return self
        taps = {name: values[chosen] for name, values in self.taps.items()}
        return Frames(self.values[chosen], self.lengths[chosen], self.period, taps)


#: As a batch's ``start``: it holds the encoder's own output, for the objective.
OUTPUT = "objective"


class Piece(NamedTuple):
    """One utterance within an item's sound: its id, and from which second to which it is heard there."""

    id: str
    start: float
    stop: float


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
            (B, T, D) with ``lengths`` in frames, or ``OUTPUT``; None for sound.
        pieces: the utterances of each item in training, in order: several where sounds were joined end to end.
    """

    wave: Tensor
    lengths: Tensor
    ids: tuple[str, ...]
    weight: Tensor
    fields: Mapping[str, tuple[str | None, ...]]
    start: str | None = None
    pieces: tuple[tuple[Piece, ...], ...] = ()

    def to(self, device: torch.device | str) -> Batch:
        """The same batch with its tensors on ``device``."""
        moved = {name: getattr(self, name).to(device) for name in ("wave", "lengths", "weight")}
        return replace(self, **moved)

    def select(self, chosen: Sequence[int]) -> Batch:
        """The items at these places alone, padded as they were."""
        if [*chosen] == [*range(len(self.ids))]:
            return self
        return Batch(
            self.wave[chosen],
            self.lengths[chosen],
            tuple(self.ids[index] for index in chosen),
            self.weight[chosen],
            {name: tuple(values[index] for index in chosen) for name, values in self.fields.items()},
            self.start,
            tuple(self.pieces[index] for index in chosen) if self.pieces else (),
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


def masked_parts(values: Tensor, lengths: Tensor) -> Tensor:
    """Means of (B, T, D) over the first and over the second half of the valid frames, and their maximum: (B, 3 D).

    The middle frame of an odd number is in both halves.
    """
    place = torch.arange(values.shape[1], device=values.device)
    first = place < ((lengths + 1) // 2)[:, None]
    second = (place >= (lengths // 2)[:, None]) & (place < lengths[:, None])
    halves = [half[..., None].to(values.dtype) for half in (first, second)]
    means = [(values * half).sum(1) / half.sum(1).clamp(min=1) for half in halves]
    return torch.cat([*means, masked_max(values, lengths)], 1)


def masked_max(values: Tensor, lengths: Tensor) -> Tensor:
    """Maximum of (B, T, D) over the valid frames of each item: (B, D); zero of an item without any, as the mean is."""
    mask = length_mask(lengths, values.shape[1])[..., None]
    most = values.masked_fill(~mask, torch.finfo(values.dtype).min).amax(1)
    return most.masked_fill(lengths[:, None] == 0, 0.0)


def tapped(frames: Frames, names: Sequence[str]) -> list[Tensor]:
    """The outputs (B, T, D) of the blocks of these names, all of the size of the last's.

    Raises:
        PlanError: the blocks have frames of different sizes.
    """
    outputs = [frames.taps[name] for name in names]
    if len({one.shape for one in (*outputs, frames.values)}) > 1:
        sizes = ", ".join(f"{name} {tuple(one.shape[1:])}" for name, one in zip(names, outputs, strict=True))
        raise PlanError(
            f"layers: frames of different sizes cannot be put together: {sizes}; the last block's are "
            f"{tuple(frames.values.shape[1:])}. Leave out those that differ."
        )
    return outputs
