"""Utterances joined end to end: each once an epoch, text and sound in one order, and only what can be learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from speechtransfer.audio import Recordings, change_speed
from speechtransfer.batches import BatchSettings, TrainingBatches
from speechtransfer.errors import SettingsError
from speechtransfer.manifest import Manifest, Utterance

RATE = 16_000


class Reader(Recordings):
    """Noise as long as an utterance's times say."""

    def __call__(self, utterance: Utterance) -> np.ndarray:
        length = round((utterance.end - utterance.start) * RATE)
        return np.random.default_rng(length).uniform(0.1, 1, length).astype(np.float32)


ROWS = Manifest(tuple(Utterance(Path(f"/{i}.wav"), 0.0, 0.6 + i / 100, f"text{i}", speaker=str(i)) for i in range(120)))
BY_TEXT = {row.text: (index, row) for index, row in enumerate(ROWS)}


def batches(join: float = 6.0, seconds: float = 12.0, **options: object) -> TrainingBatches:
    return TrainingBatches(ROWS, Reader(RATE), BatchSettings(seconds, join=join), 1, **options)


@pytest.mark.parametrize("epoch", [0, 1])
def test_joined_sound_is_its_utterances_in_the_order_of_its_text(epoch: int) -> None:
    made, seen = batches(), []
    plan = made.plan(epoch)
    for batch in made.epoch(epoch):
        for wave, length, text, name in zip(batch.wave, batch.lengths, batch.fields["text"], batch.ids, strict=True):
            members = [BY_TEXT[word] for word in text.split(" ")]
            pieces = []
            for index, row in members:
                sound = change_speed(made.recordings(row), plan.speeds[index])
                pieces += [np.zeros(RATE // 10, np.float32), sound] if pieces else [sound]
            assert torch.equal(wave[:length], torch.from_numpy(np.concatenate(pieces)))
            assert not wave[length:].any()
            assert all(row.id in name for _, row in members)
            assert len(members) == 1 or length <= 6.0 * RATE
            seen += [index for index, _ in members]
        assert len(batch.ids) == 1 or batch.wave.numel() <= 12.0 * RATE * 1.001
    assert sorted(seen) == list(range(120))
    joined = sum(len(chain) for chain in plan.chains if len(chain) > 1)
    assert 40 < joined < 80  # half of them, but for chains of one
    assert made.waste(epoch) <= 0.02


def test_each_epoch_joins_others_and_goes_on_where_it_stopped() -> None:
    made = batches()
    assert made.plan(0) == batches().plan(0)
    assert set(made.plan(0).chains) != set(made.plan(1).chains)
    whole = list(made.epoch(0))
    rest = list(made.epoch(0, 3))
    assert [batch.ids for batch in rest] == [batch.ids for batch in whole[3:]]
    assert all(torch.equal(one.wave, two.wave) for one, two in zip(rest, whole[3:], strict=True))


def test_nothing_is_joined_unless_asked() -> None:
    assert batches(join=0.0).plan(0).chains == [(index,) for index in range(120)]
    assert all(len(chain) == 1 for chain in batches(join=0.5).plan(0).chains)  # shorter than any two


def test_what_cannot_be_learnt_joined_stays_alone() -> None:
    """A vocabulary of single words has no output for the space between two."""
    plan = batches(fits=lambda row, samples: " " not in (row.text or "")).plan(0)
    assert sorted(plan.chains) == [(index,) for index in range(120)]

    def roomy(row: Utterance, samples: int) -> bool:  # what a joined sound is judged by is its own length
        words = (row.text or "").split(" ")
        expected = sum((BY_TEXT[word][1].end or 0) * RATE for word in words) + RATE / 10 * (len(words) - 1)
        assert 0.9 * expected - 10 < samples < 1.12 * expected + 10
        return True

    assert any(len(chain) > 2 for chain in batches(fits=roomy).plan(0).chains)


@pytest.mark.parametrize("join", [-1.0, 12.1])
def test_a_join_must_fit_its_batch(join: float) -> None:
    with pytest.raises(SettingsError, match="join="):
        batches(join=join)
