"""Batches: full, tight, every item once; what is random depends on (seed, epoch, id) alone."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from speechtransfer.audio import Recordings, change_speed
from speechtransfer.batches import (
    BatchSettings,
    TrainingBatches,
    collate,
    item_seed,
    prefetched,
    scoring_batches,
)
from speechtransfer.errors import AudioError, SettingsError
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest, Utterance

RATE = 16_000


class Reader(Recordings):
    """Sound made up from an utterance's times; headers (of ``only``) promise ``lies`` samples too many."""

    def __init__(self, lies: int = 0, only: set[str] | None = None) -> None:
        super().__init__(RATE)
        self.lies, self.only = lies, only

    def __call__(self, utterance: Utterance) -> np.ndarray:
        lies = self.lies if self.only is None or utterance.id in self.only else 0
        length = round((utterance.end - utterance.start) * RATE) - lies
        return np.random.default_rng(item_seed(0, 0, utterance.id) % 2**32).uniform(-1, 1, length).astype(np.float32)


def made(lengths: Sequence[float]) -> Manifest:
    return Manifest(
        tuple(Utterance(Path(f"/{index}.wav"), 0.0, length, f"text {index}") for index, length in enumerate(lengths))
    )


def test_item_seeds_are_the_same_for_ever() -> None:
    """Golden values: another machine, another order, another Python must draw what this one drew."""
    import hashlib

    expected = int(hashlib.blake2b(b"1/2/clips/\xd1\x91.wav", digest_size=8).hexdigest(), 16)
    assert item_seed(1, 2, "clips/ё.wav") == expected
    seeds = [item_seed(seed, epoch, name) for seed in range(5) for epoch in range(5) for name in "abcde"]
    assert len(set(seeds)) == 125
    assert all(0 <= seed < 2**64 for seed in seeds)


def speeds_of(lengths: Manifest, epoch: int, seed: int = 1, **values: object) -> dict[str, float]:
    batches = TrainingBatches(lengths, Reader(), BatchSettings(**values), seed)
    return dict(zip((row.id for row in lengths), batches.plan(epoch).speeds, strict=True))


def test_a_speed_is_drawn_for_each_seed_epoch_and_utterance() -> None:
    given = made(np.linspace(1, 3, 300).tolist())
    speeds = speeds_of(given, epoch=0)
    assert speeds_of(given, epoch=0) == speeds
    # Neither the order of the rows, nor what else there is, nor the batch size matters.
    turned = Manifest(tuple(reversed(given.rows))[::3])
    assert speeds_of(turned, 0, seconds=5.0) == {row.id: speeds[row.id] for row in turned}
    for other in (speeds_of(given, epoch=1), speeds_of(given, 0, seed=2)):
        agreed = sum(other[name] == speed for name, speed in speeds.items())
        assert 60 < agreed < 140  # a third of 300, by chance
    assert set(speeds.values()) == {0.9, 1.0, 1.1}
    assert min(Counter(speeds.values()).values()) > 70
    assert set(speeds_of(given, 0, speeds=(1.0,)).values()) == {1.0}


def test_the_sound_is_that_of_the_drawn_speed() -> None:
    given, reader = made(np.linspace(1, 2, 12).tolist()), Reader()
    batches = TrainingBatches(given, reader, BatchSettings(seconds=6.0, speeds=(0.9, 1.1)), 1)
    speeds, seen = speeds_of(given, 3, speeds=(0.9, 1.1)), []
    for batch in batches.epoch(3):
        assert batch.wave.shape[1] == int(batch.lengths.max())
        for name, wave, length, text in zip(batch.ids, batch.wave, batch.lengths, batch.fields["text"], strict=True):
            row = next(row for row in given if row.id == name)
            assert torch.equal(wave[:length], torch.from_numpy(change_speed(reader(row), speeds[name])))
            assert not wave[length:].any()
            assert text == row.text
            seen.append(name)
    assert sorted(seen) == sorted(row.id for row in given)


def test_a_speed_that_makes_an_utterance_infeasible_gives_way() -> None:
    given = made([1.0, 1.5, 2.0, 2.5, 3.0] * 8)
    needed = {row.id: round(0.95 * (row.end or 0) * RATE) for row in given[:20]}  # these cannot be played faster

    def fits(row: Utterance, samples: int) -> bool:
        return samples >= needed.get(row.id, 0)

    batches = TrainingBatches(given, Reader(), BatchSettings(speeds=(0.9, 1.1)), 1, fits)
    speeds, sizes = batches.plan(0).speeds, batches.plan(0).sizes
    free = speeds_of(given, 0, speeds=(0.9, 1.1))
    for row, speed, size in zip(given, speeds, sizes, strict=True):
        assert speed == (1.0 if row.id in needed and free[row.id] == 1.1 else free[row.id])
        assert size == pytest.approx((row.end or 0) / speed)
    assert {speeds[index] for index in range(20)} == {0.9, 1.0}
    assert {speeds[index] for index in range(20, 40)} == {
        0.9,
        1.1,
    }


def test_a_speed_is_judged_by_the_samples_that_there_are() -> None:
    """A span may overrun its file by 50 ms, and training must not stop on it."""
    given = made([1.0] * 30)
    lies, least = 800, round(RATE / 1.1) - 400  # feasible by the header at 1.1, not by the file

    def fits(row: Utterance, samples: int) -> bool:
        return samples >= least

    batches = TrainingBatches(given, Reader(lies), BatchSettings(seconds=2.0, speeds=(1.0, 1.1)), 1, fits)
    assert 1.1 in batches.plan(0).speeds
    lengths = {int(length) for batch in batches.epoch(0) for length in batch.lengths}
    assert lengths == {RATE - lies}


def same(one: Batch, two: Batch) -> bool:
    return one.ids == two.ids and torch.equal(one.wave, two.wave) and torch.equal(one.lengths, two.lengths)


def test_an_epoch_goes_on_where_it_stopped() -> None:
    batches = TrainingBatches(made(np.linspace(0.5, 2, 25).tolist()), Reader(), BatchSettings(seconds=4.0), 1)
    whole = list(batches.epoch(2))
    assert len(whole) == batches.steps(2) > 5
    for first in (0, 1, 4, len(whole) - 1, len(whole)):
        rest = list(batches.epoch(2, first))
        assert len(rest) == len(whole) - first
        assert all(map(same, rest, whole[first:]))


def test_epochs_differ_in_order_and_hold_every_utterance_once() -> None:
    given = made(np.linspace(0.5, 4, 80).tolist())
    batches = TrainingBatches(given, Reader(), BatchSettings(seconds=6.0), 1)
    orders = [[batch.ids for batch in batches.epoch(epoch)] for epoch in (0, 1)]
    for order in orders:
        assert sorted(name for ids in order for name in ids) == sorted(row.id for row in given)
    assert orders[0] != orders[1]
    assert orders[0] == [batch.ids for batch in batches.epoch(0)]
    lengths = [float(given.rows[int(ids[0][1:].split(".")[0])].end or 0) for ids in orders[0]]
    assert lengths != sorted(lengths)
    assert lengths != sorted(lengths, reverse=True)
    assert max(batches.waste(epoch) for epoch in range(3)) <= 0.02


def test_a_long_utterance_is_a_batch_of_its_own() -> None:
    batches = TrainingBatches(made([9.0, 1.0, 1.0, 1.0]), Reader(), BatchSettings(seconds=4.0, speeds=(1.0,)), 1)
    assert sorted(len(batch.ids) for batch in batches.epoch(0)) == [1, 3]


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("lies", [0, 1, 800])
def test_scoring_drops_nothing_and_keeps_equal_lengths_together_where_it_must(exact: bool, lies: int) -> None:
    given = made([3.0, 1.0, 1.0, 1.00003, 2.0, 9.0, 1.0, 2.0, 2.02, 2.01])
    reader = Reader(lies, only={given[1].id, given[7].id})
    batches = list(scoring_batches(given, reader, 6.0, exact))
    assert sorted(name for batch in batches for name in batch.ids) == sorted(row.id for row in given)
    for batch in batches:
        assert exact or len(set(batch.lengths.tolist())) == 1
        assert batch.wave.shape == (len(batch.ids), int(batch.lengths.max()))
        assert len(batch.ids) == 1 or batch.wave.numel() <= 6.0 * RATE
        for name, wave, length, text in zip(batch.ids, batch.wave, batch.lengths, batch.fields["text"], strict=True):
            row = next(row for row in given if row.id == name)
            assert torch.equal(wave[:length], torch.from_numpy(reader(row)))
            assert text == row.text
    assert max(len(batch.ids) for batch in batches) > 1


def test_collating_keeps_every_field_and_pads_with_zeros() -> None:
    rows = [Utterance(Path("/a"), text="a", speaker="x"), Utterance(Path("/b"), label="l", language="rus", domain="d")]
    batch = collate(rows, [np.ones(3, np.float32), np.ones(5, np.float32)[::-1]])
    assert batch.wave.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.lengths.tolist() == [3, 5]
    assert batch.fields == {
        "text": ("a", None),
        "label": (None, "l"),
        "language": (None, "rus"),
        "speaker": ("x", None),
        "domain": (None, "d"),
    }
    assert batch.ids == ("/a", "/b")
    assert batch.weight.tolist() == [1, 1]


def test_the_next_batch_loads_while_one_is_used_and_no_further() -> None:
    begun: list[int] = []

    def load(group: list[int]) -> Batch:
        begun.append(group[0])
        return collate([Utterance(Path(str(group[0])))], [np.zeros(1, np.float32)])

    stream = prefetched([[index] for index in range(5)], load)
    assert next(stream).ids == ("0",)
    deadline = time.monotonic() + 5
    while begun != [0, 1] and time.monotonic() < deadline:
        time.sleep(0.001)
    assert begun == [0, 1]
    assert [batch.ids[0] for batch in stream] == ["1", "2", "3", "4"]
    assert list(prefetched([], load)) == []
    before = threading.active_count()
    next(prefetched([[7], [8]], load))
    assert threading.active_count() <= before + 1  # an abandoned stream ends its thread


def test_a_fault_in_loading_reaches_the_reader() -> None:
    def load(group: list[int]) -> Batch:
        if group == [1]:
            raise AudioError("broken.wav: is damaged")
        return collate([Utterance(Path("a"))], [np.zeros(1, np.float32)])

    stream = prefetched([[0], [1], [2]], load)
    next(stream)
    with pytest.raises(AudioError, match="is damaged"):
        next(stream)


@pytest.mark.parametrize(
    "values", [{"seconds": 0}, {"speeds": ()}, {"speeds": (1.0, 0.0)}, {"waste": 1.0}, {"waste": -0.1}]
)
def test_settings_that_make_no_batch_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="batches: "):
        BatchSettings(**values)


def test_clips_shorter_than_a_frame_are_one_of_padding_among_kept_frames() -> None:
    """As an encoder gives them: what pools or compares frames needs one to look at, of length zero."""
    rows = [Utterance(Path(f"/{n}.wav"), label="a") for n in range(2)]
    batch = collate(rows, [np.zeros((0, 3), np.float32)] * 2, start="objective")
    assert batch.wave.shape == (2, 1, 3) and not batch.wave.any()
    assert batch.lengths.tolist() == [0, 0]
