"""What tests share with training, and the interval that is foretold: against simulated errors that come in clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechtransfer.audio import Recordings
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.score import error_rate, exact_interval
from speechtransfer.separation import foretold, shared, told


def row(place: int, split: str | None, speaker: str | None = None) -> Utterance:
    return Utterance(Path(f"/{place}.wav"), text="x", speaker=speaker, split=split)


def test_a_leak_is_a_doubt_about_the_test_row() -> None:
    rows = [row(0, "train", "a"), row(1, "dev", "b"), row(2, "test", "a"), row(3, "far", "c"), row(4, None, "a")]
    said = {"/0.wav": "one", "/1.wav": "two", "/2.wav": "three", "/3.wav": "two", "/4.wav": "one"}
    found = [(one.id, one.kind, one.detail) for one in shared(rows, said)]
    assert found == [
        ("/2.wav", "a speaker of a test that train or dev has too", "'a' in test"),
        ("/3.wav", "a prompt of a test that train or dev has too", "'two' in far"),
    ]


def test_labels_are_no_prompts_and_one_voice_is_said_once() -> None:
    rows = [row(0, "train", "a"), row(1, "test", "a")]
    assert shared(rows, {}) == []
    assert told(rows, {})[1] == "test: speaker-dependent, since train or dev has 1 of its 1 speakers"
    assert shared([row(0, "train"), row(1, "test")], {}) == []


@pytest.mark.parametrize(
    ("voices", "line"),
    [
        (("a", "b", "c"), None),
        (("a", "b", "b"), "test: speaker-dependent, since train or dev has 1 of its 1 speakers"),
        (("a", None, "c"), "test: speaker-dependent, since some of its rows, or of train and dev, name no speaker"),
        (("a", "b", None), "test: speaker-dependent, since some of its rows, or of train and dev, name no speaker"),
    ],
)
def test_speaker_dependence_is_what_a_task_calls_so(voices: tuple[str | None, ...], line: str | None) -> None:
    from speechtransfer.tasks import Corpus, _notes

    rows = [
        row(place, split, voice) for place, split, voice in zip(range(3), ("train", "dev", "test"), voices, strict=True)
    ]
    lines = told(rows, {one.id: one.id for one in rows})[1:]
    assert lines == ([line] if line else [])
    corpus = Corpus(Manifest(tuple(rows)), Recordings(16_000), {}, by_speaker=False)
    assert bool(lines) == ("speaker-dependent" in _notes(rows[:2], rows[2:], corpus))


def test_a_split_is_told_by_its_size() -> None:
    rows = [row(0, "train", "a"), row(1, "test", "b"), row(2, "test", "c")]
    (line,) = told(rows, {"/0.wav": "a", "/1.wav": "ten letters", "/2.wav": "ten letters"})
    assert line.startswith("test: 22 characters in 1 prompts: an error rate of 10% would have a 95% interval of about")
    assert told(rows, {})[0].startswith("test: 2 recordings: ") and "at best" in told(rows, {})[0]
    assert told([row(0, None)], {}) == []


def test_single_characters_are_independent() -> None:
    assert foretold([1] * 200) == exact_interval(20, 200)


def test_the_interval_is_as_wide_as_that_of_clustered_errors() -> None:
    """Prompts of 5 to 100 characters whose own error rates vary so that characters of one correlate by 0.06."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 101, 150)
    total = 1 / 0.06 - 1
    widths = []
    for seed in range(20):
        errors = rng.binomial(lengths, rng.beta(0.1 * total, 0.9 * total, len(lengths)))
        one = error_rate(errors, lengths, [*range(len(lengths))], seed, 500)
        widths.append(one.high - one.low)
    low, high = foretold([*map(int, lengths)])
    assert high - low == pytest.approx(np.mean(widths), rel=0.12)
