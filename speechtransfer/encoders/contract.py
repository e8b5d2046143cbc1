"""The contract of every encoder: sound in, frames out, by named blocks that can be tapped, cut and frozen."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from torch import Tensor, nn

from speechtransfer.errors import PlanError
from speechtransfer.frames import Frames, length_mask
from speechtransfer.weights import Head

#: Changes features (B, T, F) with lengths (B,) during training.
Augment = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class SourceCard:
    """Where an encoder comes from.

    Attributes:
        id: hub name or folder name.
        licence: SPDX identifier or the words of the source; None where it states none.
        languages: ISO 639-3 codes that it was trained on; empty where unknown.
        sha256: of the weights file; None for random weights.
        audio: content hashes of the recordings that it, or what taught it, was trained on, where known.
        teachers: ids of the encoders whose frames it learnt to predict, and of theirs.
    """

    id: str
    licence: str | None = None
    languages: tuple[str, ...] = ()
    sha256: str | None = None
    audio: frozenset[str] = frozenset()
    teachers: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, hashes sorted."""
        return {
            **asdict(self),
            "languages": list(self.languages),
            "audio": sorted(self.audio),
            "teachers": list(self.teachers),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SourceCard:
        """The inverse of ``as_dict``."""
        return cls(
            values["id"],
            values.get("licence"),
            tuple(values.get("languages", ())),
            values.get("sha256"),
            frozenset(values.get("audio", ())),
            tuple(values.get("teachers", ())),
        )

    def learnt(self, name: str, languages: Iterable[str], audio: Iterable[str], teachers: Sequence[SourceCard]) -> Self:
        """The card of what was made of this encoder by training on recordings, beside teachers or alone.

        Args:
            name: the new id.
            languages: of the recordings.
            audio: their content hashes.
            teachers: cards of the encoders whose frames were predicted.
        """
        taught = dict.fromkeys(each for one in teachers for each in (one.id, *one.teachers))
        return replace(
            self,
            id=name,
            languages=tuple(sorted({*self.languages, *languages})),
            sha256=None,
            audio=self.audio.union(audio, *(one.audio for one in teachers)),
            teachers=tuple(dict.fromkeys((*self.teachers, *taught))),
        )


@dataclass(frozen=True)
class Support:
    """What a family supports, in words for people: its row of the README's table.

    Attributes:
        checkpoints: what it loads.
        frames: the time from one frame to the next.
        donor: the old output layer that can be grafted from.
        padding: where a padded batch gives what single utterances give.
        long_sound: how sound of any length is heard.
    """

    checkpoints: str
    frames: str
    donor: str
    padding: str
    long_sound: str


class Encoder(nn.Module, ABC):
    """Maps wave (B, S) float32 at ``sample_rate`` with lengths (B,) to Frames.

    Attributes:
        family: the name that ``encoder.json`` keeps.
        support: what the family supports, in words.
        width: D of the frames.
        sample_rate: Hz of the sound it takes.
        period: seconds from one frame to the next.
        periods: the same for blocks whose frames have another.
        blocks: names from input to output; the first is ``frontend``.
        homes: the block of each module, where that is neither in ``layers`` nor called as its block.
        causal: no frame depends on later sound (beyond its own window).
        pads_exactly: a padded batch gives what single utterances give.
        donor: the old output layer, where the checkpoint has one.
        head: the module of a checkpoint that is its old output layer; None where there is none to take.
        prefixes: what may stand before the keys of a checkpoint.
        renames: how a parameter's name begins, and how its key in a checkpoint does; the longest that fits.
        discards: patterns of checkpoint keys outside this encoder.
        constants: patterns of parameters that are never trained.
        card: where it comes from.
    """

    family: str
    support: Support
    width: int
    sample_rate: int
    period: float
    periods: Mapping[str, float] = {}
    blocks: tuple[str, ...]
    homes: Mapping[str, str] = {}
    causal: bool
    pads_exactly: bool
    head: str | None = None
    prefixes: tuple[str, ...] = ("",)
    renames: Mapping[str, str] = {}
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
        return Frames(x, lengths, self.periods.get(self.blocks[last], self.period), tapped)

    def _index(self, name: str) -> int:
        if name not in self.blocks:
            raise PlanError(f"{self.family}: no block {name!r}; the blocks are {', '.join(self.blocks)}.")
        return self.blocks.index(name)

    def block_of(self, parameter: str) -> str:
        """The block that owns a parameter, by its name within the encoder."""
        module, _, rest = parameter.partition(".")
        return f"layer{rest.partition('.')[0]}" if module == "layers" else self.homes.get(module, module)

    def pattern(self, *blocks: str) -> str:
        """What makes a ``Rule`` match the parameters of these blocks and no others, whatever the family.

        Raises:
            PlanError: a block that this encoder does not have, or no parameter in any of them.
        """
        for name in blocks:
            self._index(name)
        owned = [name for name, _ in self.named_parameters() if self.block_of(name) in blocks]
        if not owned:
            raise PlanError(f"{self.family}: there is no parameter in {', '.join(blocks)}.")
        starts = dict.fromkeys(".".join(name.split(".")[: 1 + name.startswith("layers.")]) for name in owned)
        return rf"encoder\.(?:{'|'.join(map(re.escape, starts))})\..*"

    def key(self, name: str) -> str:
        """What a checkpoint calls the parameter or buffer ``name``, without a prefix."""
        starts = sorted((start for start in self.renames if name.startswith(start)), key=len)
        return self.renames[starts[-1]] + name.removeprefix(starts[-1]) if starts else name

    def cut(self, name: str) -> Encoder:
        """A copy without the blocks after ``name``; its donor is void. This encoder is untouched."""
        index = self._index(name)
        result = copy.deepcopy(self)
        result._drop_after(name)
        result.blocks = self.blocks[: index + 1]
        result.period = self.periods.get(name, self.period)
        result.donor = None
        result.card = replace(self.card, id=f"{self.card.id} cut after {name}")
        return result

    @contextmanager
    def augmented(self, augment: Augment | None) -> Iterator[None]:
        """Within this context the front end applies ``augment`` to its features, just before its first layer.

        On the wave itself there are none: there it is what the convolutions make of it, before the projection.
        """
        self._augment = augment
        try:
            yield
        finally:
            self._augment = None

    def _augmented(self, features: Tensor, lengths: Tensor) -> Tensor:
        """What each family's front end calls between its features and its first layer."""
        return features if self._augment is None else self._augment(features, lengths)


class PlainEncoder(Encoder):
    """An encoder whose checkpoint is a plain state dict, of which the tensors alone tell the sizes."""

    @classmethod
    @abstractmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], card: SourceCard) -> Self:
        """An encoder with random weights, of the sizes of a checkpoint's tensors; the default where it lacks them."""


def zero_beyond(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, D) with zeros after each item's length, so that padding never leaks through a convolution."""
    return x * length_mask(lengths, x.shape[1])[..., None].to(x.dtype)


def attention_mask(lengths: Tensor, size: int) -> Tensor | None:
    """(B, 1, 1, size) bool, True where attention may look; None when nothing is padded."""
    if bool((lengths == size).all()):
        return None
    # A row of length zero looks at frame 0, since a softmax over nothing is not a number.
    return length_mask(lengths.clamp(min=1), size)[:, None, None, :]
