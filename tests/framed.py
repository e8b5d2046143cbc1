"""Small frames and batches with labels, for tests of what pools them."""

from __future__ import annotations

from pathlib import Path

import torch

from speechtransfer.frames import Batch, Frames, pad
from speechtransfer.manifest import Utterance

LENGTHS = (9, 4, 1)


def frames(padding: float = 0.0) -> Frames:
    pieces = [torch.randn(length, 6, generator=torch.Generator().manual_seed(length)) for length in LENGTHS]
    values, lengths = pad(pieces)
    for item, length in enumerate(LENGTHS):
        values[item, length:] = padding
    return Frames(values, lengths, 0.02)


def batch(*labels: str | None, weight: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Batch:
    ids = tuple(f"u{index}" for index in range(len(labels)))
    return Batch(torch.zeros(3, 1), torch.ones(3, dtype=torch.int64), ids, torch.tensor(weight), {"label": labels})


def row(label: str | None, name: str = "a.wav", speaker: str | None = None) -> Utterance:
    return Utterance(Path("/sound") / name, label=label, speaker=speaker)
