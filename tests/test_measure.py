"""What is measured of sound: against naive sums over all of it at once, in any coding, and at its edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from conftest import RATE, tone

from speechtransfer import audio
from speechtransfer.audio import content_hash, is_silent
from speechtransfer.errors import AudioError
from speechtransfer.measure import measure


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def written(path: Path, wave: np.ndarray, rate: int = RATE) -> Path:
    soundfile.write(path, np.round(32767 * wave).astype(np.int16), rate)
    return path


def test_pieces_sum_to_the_whole(tmp_path: Path) -> None:
    """Over several pieces, each figure is what one naive pass over all samples gives."""
    wave = noise(40) + 0.05
    wave[262_140:262_150] = 1.0  # across the first border between pieces
    wave[300_000:300_002] = -1.0  # two are no run
    path = written(tmp_path / "a.wav", wave)
    found, whole = measure(path), audio.read(path, RATE).astype(np.float64)
    assert found.seconds == 40 and found.sample_rate == RATE
    assert found.offset == pytest.approx(whole.mean(), abs=1e-7)
    assert found.level == pytest.approx(20 * np.log10(whole.std()), abs=1e-3)
    assert found.peak == pytest.approx(20 * np.log10(np.abs(whole - whole.mean()).max()), abs=1e-3)
    rail = np.abs(whole) > 0.9999
    assert found.clipped * len(wave) == sum(all(rail[place - 1 : place + 2]) for place in range(1, len(wave) - 1)) == 8
    assert found.content == content_hash(path)


def test_a_coding_without_loss_and_a_span_change_nothing(tmp_path: Path) -> None:
    wave = noise(1)
    path = written(tmp_path / "a.wav", wave)
    assert measure(written(tmp_path / "a.flac", wave)) == measure(path)
    part = measure(written(tmp_path / "b.wav", wave[RATE // 4 : RATE // 2]))
    assert measure(path, 0.25, 0.5) == part != measure(path)


@pytest.mark.parametrize(
    ("stored", "limited", "least", "most"),
    [(16_000, 8000, 3500, 4100), (44_100, 8000, 3500, 4100), (48_000, 11_025, 4900, 5700)],
)
def test_a_narrow_band_is_found_in_a_wide_file(
    tmp_path: Path, stored: int, limited: int, least: int, most: int
) -> None:
    wide = noise(2, stored)
    narrow = soxr.resample(soxr.resample(wide, stored, limited), limited, stored)
    assert measure(written(tmp_path / "wide.wav", wide, stored)).bandwidth == stored / 2
    assert least < measure(written(tmp_path / "narrow.wav", narrow, stored)).bandwidth < most


@pytest.mark.parametrize("rate", [4000, 8000])
def test_a_telephone_s_own_file_is_not_narrow(tmp_path: Path, rate: int) -> None:
    assert measure(written(tmp_path / "a.wav", noise(1, rate), rate)).bandwidth == rate / 2


def test_a_gentle_slope_is_no_cliff(tmp_path: Path) -> None:
    """12 dB an octave, as a voice falls."""
    falling = np.cumsum(np.cumsum(noise(2) / 100))
    falling -= np.convolve(falling, np.ones(200) / 200, "same")
    assert measure(written(tmp_path / "a.wav", falling / np.abs(falling).max())).bandwidth == RATE / 2


def test_edges(tmp_path: Path) -> None:
    wave = tone("aaa")
    cut = measure(written(tmp_path / "cut.wav", wave))
    assert cut.begins == pytest.approx(0, abs=1) and cut.ends == pytest.approx(0, abs=1)
    faded = wave * np.hanning(len(wave))
    whole = measure(written(tmp_path / "whole.wav", faded))
    assert whole.begins < -40 and whole.ends < -40


@pytest.mark.parametrize("samples", [1, 7, 100])
def test_very_short_sound(tmp_path: Path, samples: int) -> None:
    found = measure(written(tmp_path / "a.wav", noise(1)[:samples]))
    assert found.seconds == samples / RATE and found.bandwidth == RATE / 2


@pytest.mark.parametrize("wave", [np.zeros(RATE), np.full(RATE, 0.5), noise(1) * 1e-4, noise(1)])
def test_silence_is_what_it_is_elsewhere(tmp_path: Path, wave: np.ndarray) -> None:
    path = written(tmp_path / "a.wav", wave)
    assert measure(path).silent == is_silent(audio.read(path, RATE))


def test_pieces_are_the_reader_s_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([noise(1), noise(1, seed=1)], 1), RATE)
    pieces = [wave for wave, rate in audio.blocks(path, 0.1, 0.9, 1000) if rate == RATE]
    assert [len(piece) for piece in pieces] == [1000] * 12 + [800]
    np.testing.assert_array_equal(np.concatenate(pieces), audio.read(path, RATE, 0.1, 0.9))


def test_a_damaged_file_is_refused_as_by_the_reader(tmp_path: Path) -> None:
    path = written(tmp_path / "a.flac", noise(2))
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(AudioError) as read:
        audio.read(path, RATE)
    with pytest.raises(AudioError) as measured:
        measure(path)
    assert str(path) in str(measured.value) and type(read.value) is type(measured.value)


@pytest.mark.parametrize("rate", [1, 50, 66, 67])
def test_sound_of_a_damaged_header_is_measured_all_the_same(tmp_path: Path, rate: int) -> None:
    found = measure(written(tmp_path / "a.wav", noise(3, rate=50), rate))
    assert found.sample_rate == rate and 0 <= found.bandwidth <= rate / 2
