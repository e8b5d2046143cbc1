"""Batches measured in seconds of audio: bucketed by length, little padding, random by (seed, epoch, id)."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from speechtransfer.audio import change_speed
from speechtransfer.augmentation import Surroundings, surround
from speechtransfer.bucketing import MOST_WASTE, bucket, padding_waste
from speechtransfer.episodes import episodes
from speechtransfer.errors import SettingsError
from speechtransfer.frames import Batch, Piece, pad
from speechtransfer.manifest import Manifest, Utterance

#: Seconds of silence between joined utterances: room for the space between their texts.
_GAP = 0.1
_FIELDS = ("text", "label", "language", "speaker", "domain")


class Sound(Protocol):
    """What batches are read from: ``Recordings``, or cached activations.

    Attributes:
        start: the block that takes what it reads; None for sound.
        period: seconds from one sample, or frame, to the next.
    """

    start: str | None
    period: float

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """(S,) samples or (T, D) frames."""

    def seconds(self, utterance: Utterance) -> float:
        """Duration of the utterance."""


@dataclass(frozen=True)
class BatchSettings:
    """How training batches are made.

    Attributes:
        seconds: of audio in a batch, at most (a longer utterance is a batch of its own).
        speeds: factors of speed perturbation, one drawn for each utterance and epoch; ``(1.0,)`` is none.
        join: seconds up to which half of the utterances, other ones each epoch, are joined end to end; 0 is
            none. Prompts and words are short; joined, they teach a recogniser what long sound is like.
        waste: share of a batch that may be padding.
        surroundings: noise, rooms and telephones.
        episode: words, and clips of each, in every batch, for losses that compare clips; None batches by length.
            Within one, lengths differ: more may be padding than ``waste``, and ``seconds`` bounds nothing.
    """

    seconds: float = 30.0
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    join: float = 0.0
    waste: float = MOST_WASTE
    surroundings: Surroundings = field(default_factory=Surroundings)
    episode: tuple[int, int] | None = None

    @property
    def changes(self) -> bool:
        """Whether the sound that is learnt from differs from what was recorded."""
        return bool(self.join) or any(speed != 1 for speed in self.speeds) or self.surroundings.changes

    def __post_init__(self) -> None:
        """Refuse settings that make no batch.

        Raises:
            SettingsError: no seconds, no positive speed, a join over the batch, an episode of one word.
        """
        if self.seconds <= 0 or not self.speeds or min(self.speeds) <= 0 or not 0 <= self.waste < 1:
            raise SettingsError("batches: seconds and speeds must be positive, and waste in [0, 1).")
        if not 0 <= self.join <= self.seconds:
            raise SettingsError(f"batches: join={self.join} must be between 0 and the batch's {self.seconds} seconds.")
        if self.episode is not None and (len(self.episode) != 2 or min(self.episode) < 2 or self.join):
            raise SettingsError(f"batches: episode={self.episode} must be two words or more of two clips, and join=0.")


def item_seed(seed: int, epoch: int, name: str) -> int:
    """A 64-bit seed that depends on (seed, epoch, utterance id) alone, never on worker or order."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{epoch}/{name}".encode(), digest_size=8).digest(), "big")


def collate(
    utterances: Sequence[Utterance],
    waves: Sequence[np.ndarray],
    pieces: Sequence[tuple[Piece, ...]] = (),
    start: str | None = None,
) -> Batch:
    """Pad waves (S_i,), or the frames (T_i, D) that block ``start`` takes, into a batch with all their fields."""
    wave, lengths = pad([torch.from_numpy(np.ascontiguousarray(wave)) for wave in waves])
    if not wave.shape[1]:  # clips shorter than a frame are one of padding here, as they are to an encoder
        wave = wave.new_zeros(len(wave), 1, *wave.shape[2:])
    fields = {name: tuple(getattr(row, name) for row in utterances) for name in _FIELDS}
    ids = tuple(row.id for row in utterances)
    return Batch(wave, lengths, ids, torch.ones(len(utterances)), fields, start, tuple(pieces))


@dataclass(frozen=True)
class EpochPlan:
    """One epoch before its sound is read.

    Attributes:
        groups: batches, in the order of training; each holds numbers of chains.
        chains: row indices of utterances joined end to end; most hold one.
        speeds: of each row.
        sizes: seconds of each chain after speed perturbation.
    """

    groups: list[list[int]]
    chains: list[tuple[int, ...]]
    speeds: list[float]
    sizes: list[float]


class TrainingBatches:
    """Epochs of training batches: speed-perturbed, bucketed anew, in random order.

    Args:
        manifest: the training rows.
        recordings: the reader.
        settings: sizes and speeds.
        seed: the training seed.
        fits: whether an utterance can be learnt from at so many samples; a speed at which it cannot
            (too few frames for its transcript) gives way to its own speed.
        apart: fields of which utterances that are joined have one value.
    """

    def __init__(
        self,
        manifest: Manifest,
        recordings: Sound,
        settings: BatchSettings,
        seed: int,
        fits: Callable[[Utterance, int], bool] = lambda utterance, samples: True,
        apart: Sequence[str] = (),
    ) -> None:
        self.manifest = manifest
        self.recordings = recordings
        self.settings = settings
        self.seed = seed
        self._fits = fits
        self._kinds = [tuple(str(getattr(row, name)) for name in apart) for row in manifest]
        self._seconds = [recordings.seconds(row) for row in manifest]

    def plan(self, epoch: int) -> EpochPlan:
        """What an epoch consists of, before any sound is read."""
        speeds = []
        for row, seconds in zip(self.manifest, self._seconds, strict=True):
            speed = self._random(epoch, row.id).choice(self.settings.speeds)
            samples = round(seconds / speed / self.recordings.period)
            speeds.append(speed if speed == 1 or self._fits(row, samples) else 1.0)
        sizes = [seconds / speed for seconds, speed in zip(self._seconds, speeds, strict=True)]
        chains = [part for chain in self._chains(epoch, sizes) for part in self._learnable(chain, sizes)]
        joined = [sum(sizes[index] for index in chain) + _GAP * (len(chain) - 1) for chain in chains]
        if self.settings.episode is None:
            groups = bucket(joined, self.settings.seconds, self.settings.waste)
        else:  # nothing is joined then: a chain's number is its row's
            labels = [row.label for row in self.manifest]
            groups = episodes(labels, *self.settings.episode, lambda name: self._random(epoch, name))
        self._random(epoch, "order").shuffle(groups)
        return EpochPlan(groups, chains, speeds, joined)

    def _random(self, epoch: int, name: str) -> random.Random:
        return random.Random(item_seed(self.seed, epoch, name))

    def _chains(self, epoch: int, sizes: Sequence[float]) -> list[tuple[int, ...]]:
        """Every index once, alone or with those it is joined to."""
        draws = [self._random(epoch, f"join/{row.id}").random() for row in self.manifest]
        chosen = [index for index, draw in enumerate(draws) if self.settings.join and draw < 0.5]
        alone = sorted(set(range(len(sizes))) - set(chosen))
        chains: list[tuple[int, ...]] = [(index,) for index in alone]
        chain: list[int] = []
        total = 0.0
        for index in sorted(chosen, key=lambda index: (self._kinds[index], draws[index])):
            # Lengths differ between chains, so that no one length is learnt.
            target = self.settings.join * (0.4 + 1.2 * (draws[chain[0]] if chain else 0.0))
            strange = chain and self._kinds[chain[0]] != self._kinds[index]
            if strange or (chain and total + sizes[index] + _GAP > target):
                chains.append(tuple(chain))
                chain, total = [], 0.0
            chain.append(index)
            total += sizes[index] + _GAP
        return [*chains, tuple(chain)] if chain else chains

    def _learnable(self, chain: tuple[int, ...], sizes: Sequence[float]) -> list[tuple[int, ...]]:
        """A chain, or its utterances alone where it cannot be learnt from (no output for the space between words)."""
        gaps = _GAP * (len(chain) - 1)
        samples = int((sum(sizes[index] for index in chain) + gaps) / self.recordings.period) - len(chain)
        if len(chain) == 1 or self._fits(join_rows([self.manifest[index] for index in chain]), samples):
            return [chain]
        return [(index,) for index in chain]

    def steps(self, epoch: int = 0) -> int:
        """Batches in an epoch."""
        return len(self.plan(epoch).groups)

    def waste(self, epoch: int = 0) -> float:
        """Share of an epoch's padded audio that is padding."""
        plan = self.plan(epoch)
        return padding_waste(plan.groups, plan.sizes)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from number ``first`` on; the next is read while one is learnt from."""
        plan = self.plan(epoch)

        def sound(index: int) -> np.ndarray:
            row = self.manifest[index]
            wave = self.recordings(row)
            if self.recordings.start is not None:
                return wave
            changed = change_speed(wave, plan.speeds[index])
            # A header's seconds round otherwise than the samples do, and a span may overrun its file.
            changed = changed if self._fits(row, len(changed)) else change_speed(wave, 1.0)
            seed = item_seed(self.seed, epoch, f"sound/{row.id}")
            return surround(changed, round(1 / self.recordings.period), self.settings.surroundings, seed)

        def load(group: list[int]) -> Batch:
            chains = [plan.chains[number] for number in group]
            rows = [join_rows([self.manifest[index] for index in chain]) for chain in chains]
            joined = [self._join([self.manifest[index].id for index in chain], map(sound, chain)) for chain in chains]
            waves, pieces = zip(*joined, strict=True)
            return collate(rows, waves, pieces, self.recordings.start)

        return prefetched([*plan.groups[first:]], load)

    def _join(self, names: Sequence[str], waves: Iterable[np.ndarray]) -> tuple[np.ndarray, tuple[Piece, ...]]:
        """Waves end to end with gaps between, and where each of them lies."""
        period = self.recordings.period
        gap = np.zeros(round(_GAP / period), dtype=np.float32)
        parts: list[np.ndarray] = []
        pieces: list[Piece] = []
        start = 0
        for name, wave in zip(names, waves, strict=True):
            parts += [gap, wave] if parts else [wave]
            pieces.append(Piece(name, start * period, (start + len(wave)) * period))
            start += len(wave) + len(gap)
        return np.concatenate(parts), tuple(pieces)


def join_rows(rows: Sequence[Utterance]) -> Utterance:
    """One row for sounds joined end to end: their texts with a space between, the first's other fields."""
    if len(rows) == 1:
        return rows[0]
    text = " ".join(row.text for row in rows if row.text is not None) or None
    return replace(rows[0], audio=Path("+".join(row.id for row in rows)), start=None, end=None, text=text)


def scoring_batches(manifest: Manifest, recordings: Sound, seconds: float, exact: bool) -> Iterator[Batch]:
    """Every utterance once, longest first, none dropped.

    Args:
        manifest: the rows.
        recordings: the reader.
        seconds: of padded audio in a batch.
        exact: the encoder pads exactly; otherwise only utterances of one length share a batch.
    """
    sizes = [round(recordings.seconds(row) / recordings.period) * recordings.period for row in manifest]
    groups = bucket(sizes, seconds, 0.1 if exact else 0.0)

    def load(group: list[int]) -> Batch:
        rows = [manifest[index] for index in group]
        return collate(rows, [recordings(row) for row in rows], start=recordings.start)

    for batch in prefetched(groups, load):
        yield from [batch] if exact else _by_length(batch)


def _by_length(batch: Batch) -> Iterator[Batch]:
    """Parts of a batch without padding: what headers say of a length may be a sample off."""
    for length in batch.lengths.unique().tolist():
        places = (batch.lengths == length).nonzero().flatten()
        chosen = batch.select(places.tolist())
        yield replace(chosen, wave=chosen.wave[:, :length])


def prefetched(groups: Sequence[list[int]], load: Callable[[list[int]], Batch]) -> Iterator[Batch]:
    """Batches in order, the next loading in a thread of its own; decoding frees the interpreter lock."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(load, groups[0]) if groups else None
        for following in [*groups[1:], None]:
            if waiting is None:
                return
            batch = waiting.result()
            waiting = pool.submit(load, following) if following is not None else None
            yield batch
