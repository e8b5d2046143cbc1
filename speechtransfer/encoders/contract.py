"""The contract of every encoder: sound in, frames out, by named blocks that can be tapped, cut and frozen."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from torch import Tensor, nn

from speechtransfer.errors import PlanError
from speechtransfer.frames import Frames, length_mask
from speechtransfer.weights import Head

#: Changes log-mel features (B, T, F) with lengths (B,) during training.
Augment = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SourceCard:
    """Where an encoder comes from.

    Attributes:
        id: hub name or folder name.
        licence: SPDX identifier or the words of the source; None where it states none.
        languages: ISO 639-3 codes that it was trained on; empty where unknown.
        sha256: of the weights file; None for random weights.
        audio: content hashes of the recordings it was trained on, where known.
    """

    id: str
    licence: str | None = None
    languages: tuple[str, ...] = ()
    sha256: str | None = None
    audio: frozenset[str] = frozenset()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, hashes sorted."""
        return {**asdict(self), "languages": list(self.languages), "audio": sorted(self.audio)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SourceCard:
        """The inverse of ``as_dict``."""
        return cls(
            values["id"],
            values.get("licence"),
            tuple(values.get("languages", ())),
            values.get("sha256"),
            frozenset(values.get("audio", ())),
        )


class Encoder(nn.Module, ABC):
    """Maps wave (B, S) float32 at ``sample_rate`` with lengths (B,) to Frames.

    Attributes:
        family: the name that ``encoder.json`` keeps.
        width: D of the frames.
        sample_rate: Hz of the sound it takes.
        period: seconds from one frame to the next.
        blocks: names from input to output; the first is ``frontend``.
        causal: no frame depends on later sound (beyond its own window).
        pads_exactly: a padded batch gives what single utterances give.
        donor: the old output layer, where the checkpoint has one.
        discards: patterns of checkpoint keys outside this encoder.
        constants: patterns of parameters that are never trained.
        card: where it comes from.
    """

    family: str
    width: int
    sample_rate: int
    period: float
    blocks: tuple[str, ...]
    causal: bool
    pads_exactly: bool
    discards: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()

    def __init__(self, card: SourceCard) -> None:
        super().__init__()
        self.card = card
        self.donor: Head | None = None
        self._augment: Augment | None = None

    @classmethod
    @abstractmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Self:
        """An encoder with random weights from what ``settings`` gave."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What rebuilds this architecture with random weights: plain values for ``encoder.json``."""

    @abstractmethod
    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames that (B,) lengths in samples give, exactly: (B,) int64."""

    @abstractmethod
    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Run one block. ``frontend`` takes wave and samples, every other frames; gives (B, T, D), (B,)."""

    @abstractmethod
    def _drop_after(self, name: str) -> None:
        """Remove the modules of every block after ``name``, in place."""

    def forward(self, wave: Tensor, lengths: Tensor) -> Frames:
        """All blocks: wave (B, S) at ``sample_rate``, lengths (B,) in samples."""
        return self.run(wave, lengths)

    def run(
        self,
        x: Tensor,
        lengths: Tensor,
        start: str | None = None,
        stop: str | None = None,
        taps: Sequence[str] = (),
        mask: Tensor | None = None,
    ) -> Frames:
        """Run the blocks from ``start`` to ``stop``, both included.

        Args:
            x: wave (B, S), or, given ``start``, that block's input (B, T, D).
            lengths: (B,) valid samples, or frames given ``start``.
            start: the first block to run; None is the front end.
            stop: the last block to run; None is the last of all.
            taps: blocks whose output is wanted beside the result.
            mask: (B, T) bool, frames to replace by zeros in the front end's output or, given a later
                ``start``, in ``x``.

        Raises:
            PlanError: a block that this encoder does not have, stop before start, a tap outside them, or
                augmentation of features that a later ``start`` is past.
        """
        first, last = self._index(start or self.blocks[0]), self._index(stop or self.blocks[-1])
        if last < first:
            raise PlanError(f"{self.family}: block {stop!r} comes before {start!r}.")
        for name in taps:
            if not first <= self._index(name) <= last:
                raise PlanError(f"{self.family}: block {name!r} is tapped but does not run.")
        if first > 0 and self._augment is not None:
            raise PlanError(f"{self.family}: the features before {start!r} are past augmentation (cached).")
        if first > 0 and mask is not None:
            x = x.masked_fill(mask[..., None], 0.0)
        tapped = {}
        for name in self.blocks[first : last + 1]:
            x, lengths = self._block(name, x, lengths)
            if name == "frontend" and mask is not None:
                x = x.masked_fill(mask[..., None], 0.0)
            if name in taps:
                tapped[name] = x
        return Frames(x, lengths, self.period, tapped)

    def _index(self, name: str) -> int:
        if name not in self.blocks:
            raise PlanError(f"{self.family}: no block {name!r}; the blocks are {', '.join(self.blocks)}.")
        return self.blocks.index(name)

    def cut(self, name: str) -> Encoder:
        """A copy without the blocks after ``name``; its donor is void. This encoder is untouched."""
        index = self._index(name)
        result = copy.deepcopy(self)
        result._drop_after(name)
        result.blocks = self.blocks[: index + 1]
        result.donor = None
        result.card = replace(self.card, id=f"{self.card.id} cut after {name}")
        return result

    @contextmanager
    def augmented(self, augment: Augment | None) -> Iterator[None]:
        """Within this context the front end applies ``augment`` to its log-mel features."""
        self._augment = augment
        try:
            yield
        finally:
            self._augment = None

    def _augmented(self, features: Tensor, lengths: Tensor) -> Tensor:
        """What each family's front end calls between its features and its first layer."""
        return features if self._augment is None else self._augment(features, lengths)


def zero_beyond(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, D) with zeros after each item's length, so that padding never leaks through a convolution."""
    return x * length_mask(lengths, x.shape[1])[..., None].to(x.dtype)


def attention_mask(lengths: Tensor, size: int) -> Tensor | None:
    """(B, 1, 1, size) bool, True where attention may look; None when nothing is padded."""
    if bool((lengths == size).all()):
        return None
    # A row of length zero looks at frame 0, since a softmax over nothing is not a number.
    return length_mask(lengths.clamp(min=1), size)[:, None, None, :]
