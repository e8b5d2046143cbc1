"""Batches measured in seconds of audio: bucketed by length, little padding, random by (seed, epoch, id)."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from speechtransfer.audio import Recordings, change_speed, is_silent
from speechtransfer.errors import AudioError, SettingsError
from speechtransfer.frames import Batch, pad
from speechtransfer.manifest import Manifest, Utterance

#: Share of a training batch that may be padding.
MOST_WASTE = 0.02
_FIELDS = ("text", "label", "language", "speaker", "domain")


@dataclass(frozen=True)
class BatchSettings:
    """How training batches are made.

    Attributes:
        seconds: of audio in a batch, at most (a longer utterance is a batch of its own).
        speeds: factors of speed perturbation, one drawn for each utterance and epoch; ``(1.0,)`` is none.
        waste: share of a batch that may be padding.
    """

    seconds: float = 30.0
    speeds: tuple[float, ...] = (0.9, 1.0, 1.1)
    waste: float = MOST_WASTE

    def __post_init__(self) -> None:
        """Refuse settings that make no batch.

        Raises:
            SettingsError: no seconds, no speed, a speed that is not positive.
        """
        if self.seconds <= 0 or not self.speeds or min(self.speeds) <= 0 or not 0 <= self.waste < 1:
            raise SettingsError("batches: seconds and speeds must be positive, and waste in [0, 1).")


def item_seed(seed: int, epoch: int, name: str) -> int:
    """A 64-bit seed that depends on (seed, epoch, utterance id) alone, never on worker or order."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{epoch}/{name}".encode(), digest_size=8).digest(), "big")


def bucket(sizes: Sequence[float], most: float, waste: float = MOST_WASTE) -> list[list[int]]:
    """Group items of like size: no group over ``most`` when padded, all together at most ``waste`` padding.

    Within that the groups are as full as one cap a group allows: lengths are sparse among long
    utterances, where a tight cap for each group would leave most of them alone in theirs.

    Returns:
        Indices; every item once.
    """
    caps = [waste * step / 4 for step in range(16, 4, -1)]
    trials = (_bucket(sizes, most, cap) for cap in caps)
    return next((groups for groups in trials if padding_waste(groups, sizes) <= waste), _bucket(sizes, most, waste))


def _bucket(sizes: Sequence[float], most: float, cap: float) -> list[list[int]]:
    """From the longest down, so that the first of a group is what the others are padded to."""
    order = sorted(range(len(sizes)), key=lambda index: (-sizes[index], index))
    groups: list[list[int]] = []
    longest = total = 0.0
    for index in order:
        padded = longest * (len(groups[-1]) + 1) if groups else 0.0
        if groups and padded <= most and padded - (total + sizes[index]) <= cap * padded:
            groups[-1].append(index)
            total += sizes[index]
        else:
            groups.append([index])
            longest = total = sizes[index]
    return groups


def padding_waste(groups: Sequence[Sequence[int]], sizes: Sequence[float]) -> float:
    """Share of padded batches that is padding, over all groups."""
    padded = sum(max(sizes[index] for index in group) * len(group) for group in groups)
    return 1 - sum(sizes[index] for group in groups for index in group) / padded if padded else 0.0


def collate(utterances: Sequence[Utterance], waves: Sequence[np.ndarray]) -> Batch:
    """Pad waves (S_i,) into a batch with every utterance's fields."""
    wave, lengths = pad([torch.from_numpy(np.ascontiguousarray(wave)) for wave in waves])
    fields = {name: tuple(getattr(row, name) for row in utterances) for name in _FIELDS}
    return Batch(wave, lengths, tuple(row.id for row in utterances), torch.ones(len(utterances)), fields)


class TrainingBatches:
    """Epochs of training batches: speed-perturbed, bucketed anew, in random order.

    Args:
        manifest: the training rows.
        recordings: the reader.
        settings: sizes and speeds.
        seed: the training seed.
        fits: whether an utterance can be learnt from at so many samples; a speed at which it cannot
            (too few frames for its transcript) gives way to its own speed.
    """

    def __init__(
        self,
        manifest: Manifest,
        recordings: Recordings,
        settings: BatchSettings,
        seed: int,
        fits: Callable[[Utterance, int], bool] = lambda utterance, samples: True,
    ) -> None:
        self.manifest = manifest
        self.recordings = recordings
        self.settings = settings
        self.seed = seed
        self._fits = fits
        self._seconds = [recordings.seconds(row) for row in manifest]

    def plan(self, epoch: int) -> tuple[list[list[int]], list[float], list[float]]:
        """Groups in the order of training, and each item's speed and seconds after it."""
        speeds = []
        for row, seconds in zip(self.manifest, self._seconds, strict=True):
            speed = random.Random(item_seed(self.seed, epoch, row.id)).choice(self.settings.speeds)
            samples = round(seconds / speed * self.recordings.sample_rate)
            speeds.append(speed if self._fits(row, samples) else 1.0)
        sizes = [seconds / speed for seconds, speed in zip(self._seconds, speeds, strict=True)]
        groups = bucket(sizes, self.settings.seconds, self.settings.waste)
        random.Random(item_seed(self.seed, epoch, "order")).shuffle(groups)
        return groups, speeds, sizes

    def steps(self, epoch: int = 0) -> int:
        """Batches in an epoch."""
        return len(self.plan(epoch)[0])

    def waste(self, epoch: int = 0) -> float:
        """Share of an epoch's padded audio that is padding."""
        groups, _, sizes = self.plan(epoch)
        return padding_waste(groups, sizes)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from number ``first`` on; the next is read while one is learnt from."""
        groups, speeds, _ = self.plan(epoch)

        def sound(index: int) -> np.ndarray:
            row = self.manifest[index]
            wave = self.recordings(row)
            changed = change_speed(wave, speeds[index])
            # A header's seconds round otherwise than the samples do, and a span may overrun its file.
            return changed if self._fits(row, len(changed)) else change_speed(wave, 1.0)

        def load(group: list[int]) -> Batch:
            return collate([self.manifest[index] for index in group], [sound(index) for index in group])

        return prefetched([*groups[first:]], load)


def scoring_batches(manifest: Manifest, recordings: Recordings, seconds: float, exact: bool) -> Iterator[Batch]:
    """Every utterance once, longest first, none dropped.

    Args:
        manifest: the rows.
        recordings: the reader.
        seconds: of padded audio in a batch.
        exact: the encoder pads exactly; otherwise only utterances of one length share a batch.
    """
    sizes = [round(recordings.seconds(row) * recordings.sample_rate) / recordings.sample_rate for row in manifest]
    groups = bucket(sizes, seconds, 0.1 if exact else 0.0)

    def load(group: list[int]) -> Batch:
        rows = [manifest[index] for index in group]
        return collate(rows, [recordings(row) for row in rows])

    for batch in prefetched(groups, load):
        yield from [batch] if exact else _by_length(batch)


def _by_length(batch: Batch) -> Iterator[Batch]:
    """Parts of a batch without padding: what headers say of a length may be a sample off."""
    for length in batch.lengths.unique().tolist():
        places = (batch.lengths == length).nonzero().flatten()
        chosen = places.tolist()
        fields = {name: tuple(values[i] for i in chosen) for name, values in batch.fields.items()}
        ids = tuple(batch.ids[i] for i in chosen)
        yield Batch(batch.wave[places, :length], batch.lengths[places], ids, batch.weight[places], fields)


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


def unusable_audio(recordings: Recordings, utterance: Utterance) -> str | None:
    """Why an utterance's sound cannot be learnt from (unreadable, truncated, silent), or None.

    The kind of fault stands before a colon, where the ledger's reader counts by it; no path stands in it.
    """
    try:
        wave = recordings(utterance)
    except AudioError as error:
        return "unusable sound: " + str(error).removeprefix(f"{utterance.audio}: ")
    return "silent: no sample rises above -90 dBFS" if is_silent(wave) else None
