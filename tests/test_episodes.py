"""Episodes: so many words with so many clips in each batch, every clip about once, random by seed and epoch alone."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speechtransfer.audio import Recordings
from speechtransfer.batches import BatchSettings, TrainingBatches
from speechtransfer.episodes import episodes
from speechtransfer.errors import SettingsError
from speechtransfer.manifest import Manifest, Utterance

LABELS = [word for word, count in {"a": 8, "b": 8, "c": 8, "d": 8}.items() for _ in range(count)]


def draw(seed: int) -> object:
    return lambda name: random.Random(f"{seed}/{name}")


def dealt(labels: list[str | None], words: int, clips: int, seed: int = 0) -> list[list[int]]:
    return episodes(labels, words, clips, draw(seed))  # type: ignore[arg-type]


@pytest.mark.parametrize(("words", "clips"), [(2, 2), (3, 4), (4, 8), (2, 3)])
def test_a_batch_holds_so_many_words_with_so_many_clips(words: int, clips: int) -> None:
    heard: Counter[int] = Counter()
    for group in dealt(LABELS, words, clips):
        counts = Counter(LABELS[index] for index in group)
        assert len(counts) == words
        assert set(counts.values()) == {clips}
        assert len(set(group)) == len(group)
        heard.update(group)
    assert set(heard) == set(range(len(LABELS)))
    assert max(heard.values()) <= 3


def test_where_all_comes_out_even_every_clip_is_heard_once() -> None:
    heard = Counter(index for group in dealt(LABELS, 4, 2) for index in group)
    assert set(heard.values()) == {1}


def test_rare_words_give_what_they_have_and_are_heard_more_often() -> None:
    labels: list[str | None] = ["a"] * 12 + [None] + ["b"] * 3 + ["c"]
    groups = dealt(labels, 2, 4)
    heard = Counter(index for group in groups for index in group)
    assert heard.keys() == set(range(17)) - {12}
    assert len(groups) == 3
    for group in groups:
        counts = Counter(labels[index] for index in group)
        assert len(counts) == 2
        assert all(count == min(4, labels.count(word)) for word, count in counts.items())
    more_words_than_there_are = dealt(labels, 9, 4)
    assert all({labels[index] for index in group} == {"a", "b", "c"} for group in more_words_than_there_are)


def test_they_depend_on_what_is_drawn_alone() -> None:
    assert dealt(LABELS, 3, 4) == dealt(LABELS, 3, 4)
    assert dealt(LABELS, 3, 4) != dealt(LABELS, 3, 4, seed=1)
    with pytest.raises(SettingsError, match="an episode compares words, but the training rows are of 1"):
        dealt(["a", "a", None], 2, 2)


class Silence(Recordings):
    """As much nothing as an utterance's times say."""

    def __call__(self, utterance: Utterance) -> np.ndarray:
        return np.zeros(round(self.seconds(utterance) * 16_000), np.float32)


def batches(seed: int, episode: tuple[int, int] | None, reverse: bool = False) -> TrainingBatches:
    rows = [Utterance(Path(f"/u{k}"), 0.0, 0.3 + k / 100, label=label) for k, label in enumerate(LABELS)]
    settings = BatchSettings(seconds=2.0, speeds=(1.0,), episode=episode)
    return TrainingBatches(Manifest(tuple(rows[::-1] if reverse else rows)), Silence(16_000), settings, seed)


def test_training_batches_are_episodes_by_seed_and_epoch() -> None:
    made = batches(1, (3, 4))
    order = [batch.ids for batch in made.epoch(0)]
    for batch in made.epoch(0):
        assert set(Counter(batch.fields["label"]).values()) == {4}
        assert len(set(batch.fields["label"])) == 3
    assert [batch.ids for batch in made.epoch(0)] == order
    assert [batch.ids for batch in made.epoch(0, first=1)] == order[1:]
    assert [batch.ids for batch in made.epoch(1)] != order
    assert [batch.ids for batch in batches(2, (3, 4)).epoch(0)] != order
    assert made.steps() == len(order)
    assert 0 < made.waste() < 0.5


@pytest.mark.parametrize("values", [{"episode": (1, 4)}, {"episode": (4, 1)}, {"episode": (4, 4), "join": 2.0}])
def test_episodes_in_which_nothing_can_be_compared_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match="batches: episode="):
        replace(BatchSettings(), **values)
