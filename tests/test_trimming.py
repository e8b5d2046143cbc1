"""Trimming: the whole of the speech is kept, whatever surrounds it."""

from __future__ import annotations

import numpy as np
import pytest

from speechtransfer.trimming import in_pauses, loudness, speech_span, window_for

RATE = 16_000


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("before", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("after", [0.0, 0.7])
def test_the_silence_around_a_word_goes_and_none_of_the_word(rate: int, before: float, after: float) -> None:
    draw = np.random.default_rng(0)
    sizes = [round(seconds * rate) for seconds in (before, 0.4, after)]
    word = 0.3 * np.sin(np.arange(sizes[1]) / 3) * np.hanning(sizes[1])
    wave = np.concatenate([np.zeros(sizes[0]), word, np.zeros(sizes[2])]) + 1e-4 * draw.standard_normal(sum(sizes))
    first, last = speech_span(wave, rate)
    loud = np.flatnonzero(np.abs(wave) > 0.02)
    assert first <= loud[0]
    assert last > loud[-1]
    assert first >= sizes[0] - 0.07 * rate
    assert last <= sizes[0] + sizes[1] + 0.07 * rate


def test_a_pause_inside_a_word_stays() -> None:
    tone, pause = 0.3 * np.sin(np.arange(1600) / 3), np.zeros(4000)
    first, last = speech_span(np.concatenate([tone, pause, tone]), RATE)
    assert (first, last) == (0, 7200)


def test_noise_without_a_quiet_part_is_kept_whole() -> None:
    assert speech_span(np.random.default_rng(0).standard_normal(5000), RATE) == (0, 5000)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_very_short_sound_is_kept(length: int) -> None:
    assert speech_span(np.ones(length, np.float32), RATE) == (0, length)


def test_silence_is_kept_whole() -> None:
    assert speech_span(np.zeros(1600, np.float32), RATE) == (0, 1600)


def test_a_window_holds_nearly_all_words_with_room() -> None:
    assert window_for([0.5] * 100) == pytest.approx(0.8)
    assert window_for([0.5] * 99 + [9.0]) == pytest.approx(0.8)
    assert window_for([0.5, 1.0]) == pytest.approx(1.3)


def sound(*pieces: tuple[int, float]) -> np.ndarray:
    """Decibels of so many frames each."""
    return np.concatenate([np.full(frames, decibels) for frames, decibels in pieces])


def test_loudness_is_of_whole_hundredths_of_a_second() -> None:
    assert loudness(np.full(1700, 0.1, np.float32), RATE) == pytest.approx([-20.0] * 10)


@pytest.mark.parametrize(
    ("pieces", "gap", "cuts"),
    [
        # The letters end before the sound does: the cut is in the pause, with a tenth of a second of it.
        ([(30, -20), (60, -70), (30, -20)], (20, 100), (40, 80)),
        # A short pause is halved; a stop in a word is none.
        ([(30, -20), (12, -70), (30, -20)], (25, 50), (36, 36)),
        ([(30, -20), (4, -70), (20, -20), (40, -70), (30, -20)], (25, 100), (64, 84)),
        # Speech that is not in the text stands between two pauses.
        ([(30, -20), (30, -70), (99, -20), (30, -70), (30, -20)], (25, 195), (40, 179)),
        # Noise: 15 dB below speech is a pause. Without one, the quietest frame.
        ([(30, -20), (60, -35), (30, -20)], (20, 100), (40, 80)),
        ([(30, -20), (1, -26), (30, -20)], (20, 40), (30, 31)),
    ],
)
def test_borders_lie_in_pauses(pieces: list[tuple[int, float]], gap: tuple[int, int], cuts: tuple[int, int]) -> None:
    assert in_pauses(sound(*pieces), *gap) == cuts


@pytest.mark.parametrize("seed", range(50))
def test_borders_are_in_order_and_in_their_gap(seed: int) -> None:
    draw = np.random.default_rng(seed)
    decibels = sound(*((int(draw.integers(1, 90)), float(draw.choice([-20, -22, -40, -70]))) for _ in range(9)))
    first, last = np.sort(draw.integers(0, len(decibels) + 1, 2)).tolist()
    end, start = in_pauses(decibels, first, last)
    assert first <= end <= start <= last
