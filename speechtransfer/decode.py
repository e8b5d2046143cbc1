"""From frame posteriors to label sequences: greedy decoding with its confidence."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Path:
    """A decoded item.

    Attributes:
        labels: output indices, repeats merged, blanks removed.
        frames: the frame where each label begins.
        confidence: geometric mean over the frames of the best posterior; 1.0 where there is no frame.
    """

    labels: tuple[int, ...]
    frames: tuple[int, ...]
    confidence: float


def greedy(logits: Tensor, lengths: Tensor, blank: int = 0) -> list[Path]:
    """The best label of every frame, repeats merged and blanks removed.

    Args:
        logits: (B, T, V), before any softmax.
        lengths: (B,) valid frames.
        blank: index of the blank.
    """
    best, indices = logits.detach().float().log_softmax(-1).max(-1)
    paths = []
    for scores, row, length in zip(best, indices.tolist(), lengths.tolist(), strict=True):
        labels, frames, previous = [], [], blank
        for frame, label in enumerate(row[:length]):
            if label not in (blank, previous):
                labels.append(label)
                frames.append(frame)
            previous = label
        confidence = float(scores[:length].mean().exp()) if length else 1.0
        paths.append(Path(tuple(labels), tuple(frames), confidence))
    return paths
