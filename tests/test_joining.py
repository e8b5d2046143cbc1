"""Joining utterances end to end: every one once, never over the bound, sound and text in one order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speechtransfer.audio import Recordings
from speechtransfer.batches import BatchSettings, TrainingBatches, join_rows
from speechtransfer.errors import SettingsError
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.objectives import Ctc, Sum
from speechtransfer.vocabulary import Vocabulary

RATE = 1000
GAP = RATE // 10


class Levels(Recordings):
    """Utterance number k is a constant level of (k + 1) / 1000, so that its place in a joined sound shows."""

    def __init__(self) -> None:
        super().__init__(RATE)

    def __call__(self, utterance: Utterance) -> np.ndarray:
        number = int(utterance.audio.stem)
        return np.full(round(self.seconds(utterance) * RATE), (number + 1) / 1000, dtype=np.float32)


def manifest(count: int = 40) -> Manifest:
    lengths = np.random.default_rng(0).uniform(0.3, 3.0, count).round(3)
    rows = (Utterance(Path(f"/c/{k}.wav"), 0.0, float(end), text=f"word{k}") for k, end in enumerate(lengths))
    return Manifest(tuple(rows))


def batches(join: float, rows: Manifest | None = None) -> TrainingBatches:
    settings = BatchSettings(seconds=20, speeds=(1.0,), join=join)
    return TrainingBatches(rows or manifest(), Levels(), settings, 1)


def test_without_joining_every_chain_is_one_utterance() -> None:
    assert batches(0).plan(0).chains == [(index,) for index in range(40)]


@pytest.mark.parametrize("epoch", range(5))
def test_every_utterance_is_once_in_a_chain_within_the_bound(epoch: int) -> None:
    plan = batches(8).plan(epoch)
    assert sorted(index for chain in plan.chains for index in chain) == list(range(40))
    assert any(len(chain) > 2 for chain in plan.chains)
    assert sum(len(chain) == 1 for chain in plan.chains) > 5
    for chain, size in zip(plan.chains, plan.sizes, strict=True):
        assert len(chain) == 1 or size <= 8
    assert sorted(number for group in plan.groups for number in group) == list(range(len(plan.chains)))


def test_chains_differ_between_epochs_and_not_with_the_order_of_rows() -> None:
    rows = manifest()
    backwards = Manifest(rows.rows[::-1])

    def named(plan_of: TrainingBatches, source: Manifest, epoch: int) -> set[tuple[str, ...]]:
        return {tuple(source[index].id for index in chain) for chain in plan_of.plan(epoch).chains}

    assert named(batches(8), rows, 0) != named(batches(8), rows, 1)
    assert named(batches(8), rows, 0) == named(batches(8, backwards), backwards, 0)


def test_sound_and_text_are_joined_in_one_order_with_silence_between() -> None:
    seen = 0
    for batch in batches(8).epoch(0):
        for wave, length, text in zip(batch.wave.numpy(), batch.lengths.tolist(), batch.fields["text"], strict=True):
            sound = wave[:length]
            numbers = [int(word.removeprefix("word")) for word in str(text).split()]
            pieces = [np.full(round(float(manifest()[k].end or 0) * RATE), (k + 1) / 1000) for k in numbers]
            expected = pieces[0]
            for piece in pieces[1:]:
                expected = np.concatenate([expected, np.zeros(GAP), piece])
            np.testing.assert_allclose(sound, expected, atol=1e-7)
            seen += len(numbers)
    assert seen == 40


def test_what_cannot_be_learnt_joined_stays_alone() -> None:
    """A vocabulary of single words has no output for the space between two."""
    settings, judged = BatchSettings(seconds=20, join=8), []

    def fits(row: Utterance, samples: int) -> bool:
        judged.append((row.text, samples))
        return " " not in (row.text or "")

    plan = TrainingBatches(manifest(), Levels(), settings, 1, fits).plan(0)
    assert sorted(plan.chains) == [(index,) for index in range(40)]
    # What is judged is the joined sound: its words at their speeds, and the silence between them.
    for text, samples in judged:
        numbers = [int(word.removeprefix("word")) for word in str(text).split()]
        sound = sum(float(manifest()[k].end or 0) for k in numbers) * RATE
        assert sound / 1.1 - 9 < samples - GAP * (len(numbers) - 1) < sound / 0.9 + 9


def test_an_epoch_of_joined_sound_goes_on_where_it_stopped() -> None:
    whole, rest = list(batches(8).epoch(1)), list(batches(8).epoch(1, 2))
    assert [batch.ids for batch in rest] == [batch.ids for batch in whole[2:]]
    assert all(np.array_equal(one.wave, two.wave) for one, two in zip(rest, whole[2:], strict=True))


def test_a_joined_row_without_any_text_has_none() -> None:
    bare = [replace(row, text=None) for row in manifest(2)]
    assert join_rows(bare).text is None
    assert join_rows([bare[0]]) is bare[0]


def test_a_join_longer_than_a_batch_is_refused() -> None:
    with pytest.raises(SettingsError, match="join"):
        BatchSettings(seconds=5, join=6)


def test_what_is_joined_is_of_one_language_where_each_has_an_output_layer() -> None:
    """Joined to Italian, Spanish would be learnt by the Italian layer."""
    rows = Manifest(tuple(replace(row, language=("ita", "spa")[k % 2]) for k, row in enumerate(manifest())))
    settings = BatchSettings(seconds=20, speeds=(1.0,), join=8)
    heads = {name: (1.0, Ctc(Vocabulary(("w",)), only={"language": name})) for name in ("ita", "spa")}
    plan = TrainingBatches(rows, Levels(), settings, 1, apart=Sum(**heads).apart).plan(0)
    languages = [{rows[index].language for index in chain} for chain in plan.chains]
    assert all(len(one) == 1 for one in languages)
    assert {len(chain) for chain in plan.chains} > {1, 2}
    assert sorted(index for chain in plan.chains for index in chain) == list(range(40))
    mixed = TrainingBatches(rows, Levels(), settings, 1, apart=Ctc(Vocabulary(("w",))).apart).plan(0)
    assert any(len({rows[index].language for index in chain}) == 2 for chain in mixed.chains)
