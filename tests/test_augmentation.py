"""Noise, rooms and telephones: their physics against closed forms, and that a seed decides everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from speechtransfer.audio import Recordings
from speechtransfer.augmentation import (
    Surroundings,
    add_noise,
    coloured_noise,
    in_room,
    over_telephone,
    room_response,
    surround,
)
from speechtransfer.batches import BatchSettings, TrainingBatches
from speechtransfer.errors import SettingsError
from speechtransfer.manifest import Manifest, Utterance

RATE = 16_000
ALWAYS = Surroundings(noise=1.0, room=1.0, telephone=1.0)


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.1 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def decibels(wave: np.ndarray) -> float:
    return float(10 * np.log10(np.square(wave, dtype=np.float64).mean()))


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_noise_lies_below_the_speech_by_the_decibels_asked_for(snr: float) -> None:
    speech, noise = tone(440), coloured_noise(RATE, 1.0, np.random.default_rng(0))
    added = add_noise(speech, noise, snr).astype(np.float64) - speech
    assert decibels(speech) - decibels(added) == pytest.approx(snr, abs=1e-3)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_falls_with_frequency_by_its_slope(slope: float) -> None:
    spectrum = np.abs(np.fft.rfft(coloured_noise(1 << 18, slope, np.random.default_rng(1)))) ** 2
    octaves = [spectrum[1 << k : 1 << (k + 1)].mean() for k in range(8, 16)]
    fall = np.diff(10 * np.log10(octaves))
    assert fall == pytest.approx(np.full(7, -slope * 10 * np.log10(2)), abs=0.6)


@pytest.mark.parametrize(
    ("hertz", "loss"), [(1000, (-0.2, 0.5)), (2000, (-0.2, 0.5)), (50, (20, 400)), (6000, (20, 400))]
)
def test_a_telephone_passes_its_band_alone(hertz: float, loss: tuple[float, float]) -> None:
    middle = slice(RATE // 4, -RATE // 4)  # without the filter's start and end
    heard = decibels(tone(hertz)[middle]) - decibels(over_telephone(tone(hertz), RATE)[middle])
    assert loss[0] < heard < loss[1]


def test_a_telephone_at_its_own_rate_keeps_its_band() -> None:
    speech = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    assert np.isfinite(over_telephone(speech, 6000)).all()


def test_a_room_is_a_convolution_in_time_with_the_sound() -> None:
    speech, response = tone(300, 0.05), np.array([1.0, 0.0, 0.5])
    naive = np.array([sum(response[k] * speech[n - k] for k in range(3) if n >= k) for n in range(len(speech))])
    naive *= np.sqrt(np.square(speech).mean() / np.square(naive).mean())
    assert in_room(speech, response) == pytest.approx(naive, abs=1e-6)


def test_rooms_begin_with_their_direct_sound_and_differ() -> None:
    one, other = room_response(0, RATE), room_response(1, RATE)
    assert np.abs(one).max() == abs(one[0]) > 0
    assert not np.array_equal(one[:500], other[:500])
    assert np.square(one[: RATE // 50]).sum() > np.square(one[RATE // 20 :]).sum()  # it decays


def test_a_seed_decides_everything_and_the_length_stays() -> None:
    speech = tone(500, 0.3)
    once, again, other = (surround(speech, RATE, ALWAYS, seed) for seed in (7, 7, 8))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)
    assert once.shape == speech.shape
    assert once.dtype == np.float32


def test_without_shares_the_very_sound_comes_back() -> None:
    speech = tone(500, 0.1)
    assert surround(speech, RATE, Surroundings(), 1) is speech


def test_one_share_moves_nothing_of_another() -> None:
    speech = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    alone = surround(speech, RATE, Surroundings(telephone=1.0), 3)
    assert np.array_equal(alone, over_telephone(speech, RATE))


def test_shares_are_the_shares_of_utterances() -> None:
    speech = tone(500, 0.02)
    changed = sum(surround(speech, RATE, Surroundings(noise=0.3), seed) is not speech for seed in range(1000))
    assert 250 < changed < 350


@pytest.mark.parametrize("wave", [np.zeros(800, np.float32), np.zeros(1, np.float32)])
def test_silence_stays_silence(wave: np.ndarray) -> None:
    assert np.array_equal(surround(wave, RATE, ALWAYS, 1), wave)


@pytest.mark.parametrize("wrong", [{"noise": 1.5}, {"room": -0.1}, {"telephone": float("nan")}, {"snr": (9.0, 1.0)}])
def test_what_is_no_share_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Surroundings(**wrong)  # type: ignore[arg-type]


class Levels(Recordings):
    """Every utterance is one constant level, so that what was added to it shows."""

    def __call__(self, utterance: Utterance) -> np.ndarray:
        return np.full(round(self.seconds(utterance) * self.sample_rate), 0.1, dtype=np.float32)


def test_training_batches_hold_other_utterances_changed_each_epoch() -> None:
    rows = Manifest(tuple(Utterance(Path(f"/c/{k}.wav"), 0.0, 0.2 + k / 100, text="a") for k in range(40)))
    settings = BatchSettings(seconds=2, speeds=(1.0,), surroundings=Surroundings(noise=0.5))

    def noisy(seed: int, epoch: int) -> set[str]:
        batches = TrainingBatches(rows, Levels(1000), settings, seed).epoch(epoch)
        items = [item for batch in batches for item in zip(batch.ids, batch.wave, batch.lengths, strict=True)]
        return {name for name, wave, length in items if np.ptp(wave[:length].numpy()) > 0}

    assert 10 < len(noisy(1, 0)) < 30
    assert noisy(1, 0) == noisy(1, 0)
    assert noisy(1, 0) != noisy(1, 1)
    assert noisy(1, 0) != noisy(2, 0)
