"""Windows of made-up streams: labels that say what is whole in them, and nothing from another split or speaker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from speechtransfer import practice
from speechtransfer.audio import Recordings, content_hash, read, write_wav
from speechtransfer.augmentation import Surroundings
from speechtransfer.manifest import SILENCE, UNKNOWN, Utterance
from speechtransfer.practice import moved, practise

RATE = 16_000
WINDOW = 0.9
HERTZ = {"high": 2000, "low": 400, "other": 1000}


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))


def clips(folder: Path, labels: Sequence[str] = ("high", "low"), speakers: str = "ab") -> list[Utterance]:
    """Synthetic: each word is a tone of its own between two silences."""
    rows = []
    for label in labels:
        for speaker in speakers:
            path = folder / f"{label}_{speaker}.wav"
            tone = 0.3 * np.sin(2 * np.pi * HERTZ[label] * np.arange(round(0.4 * RATE)) / RATE)
            write_wav(path, np.concatenate([np.zeros(4000), tone, np.zeros(3000)]), RATE)
            rows.append(Utterance(path, label=label, speaker=speaker, language="eng", split="train"))
    return rows


def seconds_of(wave: np.ndarray, label: str) -> float:
    """How long a tone is heard without a break: the power of its band over time, in frames of 10 ms."""
    frames = wave[: len(wave) // 160 * 160].reshape(-1, 160)
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(160))) ** 2
    heard = (spectrum[:, round(HERTZ[label] / 100)] > 5).tolist()
    return max((len(list(run)) / 100 for on, run in groupby(heard) if on), default=0.0)


def test_a_label_is_a_word_that_is_whole_in_the_window(tmp_path: Path) -> None:
    made = practise(clips(tmp_path), Recordings(RATE), WINDOW, 60, 0)
    assert {row.label for row in made} == {"high", "low", UNKNOWN, SILENCE}
    for row in made:
        wave = read(row.audio, RATE)
        assert len(wave) == round(WINDOW * RATE)
        if row.label in HERTZ:
            assert seconds_of(wave, str(row.label)) >= 0.36
        if row.label == SILENCE:
            assert max(seconds_of(wave, "high"), seconds_of(wave, "low")) < 0.08


def test_part_of_a_word_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "_MISSES", 0.0)
    made = practise(clips(tmp_path, ("high",), "a"), Recordings(RATE), 0.45, 80, 0)
    parts = [seconds_of(read(row.audio, RATE), "high") for row in made if row.label == UNKNOWN]
    assert len(parts) > 10
    assert max(parts) < 0.4


def test_near_misses_alone_are_never_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "_MISSES", 1.0)
    monkeypatch.setattr(practice, "_GAPS", (2.0, 3.0))  # so that nothing else reaches into the window
    made = practise(clips(tmp_path), Recordings(RATE), WINDOW, 30, 0)
    assert {row.label for row in made} <= {UNKNOWN, SILENCE}
    assert Counter(row.label for row in made)[UNKNOWN] > 40


def test_the_halves_of_a_near_miss_are_of_different_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def near_miss(draw: np.random.Generator, word: np.ndarray, ends: Sequence[np.ndarray]) -> np.ndarray:
        given.append(len(ends))
        for end in ends:
            assert not np.array_equal(end, word)
        return original(draw, word, ends)

    original = practice._near_miss
    monkeypatch.setattr(practice, "_near_miss", near_miss)
    monkeypatch.setattr(practice, "_MISSES", 1.0)
    practise(clips(tmp_path, ("high",), "ab"), Recordings(RATE), WINDOW, 10, 0)
    assert set(given) == {0}  # of one word alone, no end is another's
    given.clear()
    practise(clips(tmp_path), Recordings(RATE), WINDOW, 10, 0)
    assert set(given) == {1}


def test_windows_are_of_the_group_of_their_recording(tmp_path: Path) -> None:
    rows = clips(tmp_path)
    assert {row.group for row in practise(rows, Recordings(RATE), WINDOW, 3, 0)} == {row.id for row in rows}
    grouped = [replace(row, group="scene") for row in rows]
    assert {row.group for row in practise(grouped, Recordings(RATE), WINDOW, 3, 0)} == {"scene"}


def test_other_words_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "_MISSES", 0.0)
    rows = clips(tmp_path, ("high",), "a")
    other = [replace(row, label=UNKNOWN) for row in clips(tmp_path, ("other",), "a")]
    for row in practise([*rows, *other], Recordings(RATE), WINDOW, 60, 0):
        wave = read(row.audio, RATE)
        if row.label == UNKNOWN:
            assert seconds_of(wave, "high") < 0.36


def test_what_is_made_inherits_and_stays_with_its_speaker(tmp_path: Path) -> None:
    made = practise(clips(tmp_path), Recordings(RATE), WINDOW, 5, 0)
    assert {(row.split, row.language) for row in made} == {("train", "eng")}
    assert Counter(row.speaker for row in made) == {"a": 10, "b": 10}
    low_alone = clips(tmp_path / "more", ("low",), "a") + clips(tmp_path / "more", ("high",), "b")
    for row in practise(low_alone, Recordings(RATE), WINDOW, 20, 0):
        foreign = {"a": "high", "b": "low"}[str(row.speaker)]
        assert seconds_of(read(row.audio, RATE), foreign) == 0


def test_the_same_seed_makes_the_same_windows_whatever_else_there_is(tmp_path: Path) -> None:
    rows = clips(tmp_path)
    first = practise(rows, Recordings(RATE), WINDOW, 3, 0)
    assert practise(rows, Recordings(RATE), WINDOW, 3, 0) == first
    assert practise(rows, Recordings(RATE), WINDOW, 3, 1) != first
    alone = practise([row for row in rows if row.speaker == "a"], Recordings(RATE), WINDOW, 3, 0)
    assert alone == [row for row in first if row.speaker == "a"]


def test_given_background_takes_the_place_of_noise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "_BELOW", (0.0, 0.0))
    hum = 0.3 * np.sin(2 * np.pi * 3000 * np.arange(RATE) / RATE)
    write_wav(tmp_path / "hum.wav", hum, RATE)
    rows = [*clips(tmp_path), Utterance(tmp_path / "hum.wav", label=SILENCE, split="train")]
    made = practise(rows, Recordings(RATE), WINDOW, 10, 0)
    assert len(made) > 30
    for row in made:
        spectrum = np.abs(np.fft.rfft(read(row.audio, RATE))) ** 2
        near = spectrum[round(2950 * WINDOW) : round(3050 * WINDOW)].sum()
        assert near > 0.2 * spectrum.sum()


def test_copies_are_changed_in_time_with_their_recording_and_join_its_group(tmp_path: Path) -> None:
    rows, recordings = clips(tmp_path), Recordings(RATE)
    noisy = Surroundings(noise=1.0, snr=(10.0, 10.0))
    made = moved(rows, recordings, noisy, 2, 0)
    assert len(made) == len({row.id for row in made}) == 2 * len(rows)
    for place, copy in enumerate(made):
        row = rows[place // 2]
        assert (copy.label, copy.speaker, copy.split, copy.group) == (row.label, row.speaker, row.split, row.id)
        wave, changed = recordings(row), read(copy.audio, RATE)
        assert len(changed) == len(wave)
        noise = float(np.square(changed - wave).mean())
        assert 10 * np.log10(np.square(wave).mean() / noise) == pytest.approx(10.0, abs=0.1)
    assert moved(rows, recordings, noisy, 2, 0) == made
    assert moved(rows[1:], recordings, noisy, 2, 0) == made[2:]  # whatever else there is
    assert {row.audio for row in moved(rows, recordings, noisy, 2, 1)}.isdisjoint(row.audio for row in made)


def test_what_is_not_changed_is_not_copied(tmp_path: Path) -> None:
    rows = clips(tmp_path)
    assert moved(rows, Recordings(RATE), Surroundings(), 3, 0) == []
    some = moved(rows, Recordings(RATE), Surroundings(telephone=0.5), 8, 0)
    assert 0 < len(some) < 8 * len(rows)  # and the same telephone twice is one sound


def test_windows_of_quiet_speech_are_no_two_alike(tmp_path: Path) -> None:
    """Windows of the test that equalled some of training, in 16 bits zeros all of them, would be contaminated."""
    rows = clips(tmp_path)
    for row in rows:
        write_wav(row.audio, read(row.audio, RATE) / 300, RATE)
    made = practise(rows, Recordings(RATE), WINDOW, 40, 0)
    assert SILENCE in {row.label for row in made}
    assert len({content_hash(row.audio) for row in made}) == len(made)
