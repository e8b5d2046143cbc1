"""Sound as it comes, against the whole of it read at once; and what is no sound."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from speechtransfer.audio import read
from speechtransfer.errors import AudioError, SettingsError
from speechtransfer.listening import from_file, from_microphone, from_stream

RATE = 16_000


def noise(seconds: float = 1.3, rate: int = RATE) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * rate))).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_file_in_blocks_is_the_file_at_once(tmp_path: Path, rate: int, name: str) -> None:
    soundfile.write(tmp_path / name, noise(rate=rate), rate)
    blocks = list(from_file(tmp_path / name, RATE))
    whole = read(tmp_path / name, RATE)
    assert len(blocks) > 1
    assert np.concatenate(blocks) == pytest.approx(whole, abs=1e-5)


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([noise(), -0.5 * noise()], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
    assert np.concatenate(list(from_file(tmp_path / "a.wav", RATE))) == pytest.approx(0.25 * noise(), abs=1e-6)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG"])
def test_standard_input_is_a_sound_file(kind: str) -> None:
    held = io.BytesIO()
    soundfile.write(held, noise(), RATE, format=kind)
    held.seek(0)
    whole, _ = soundfile.read(io.BytesIO(held.getvalue()), dtype="float32")
    assert np.concatenate(list(from_stream(held, RATE))) == pytest.approx(whole, abs=1e-3)


class Trickle(io.BytesIO):
    """Gives seven bytes at a time, so that samples are torn in two."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return super().read1(7)


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_bare_samples_may_come_in_any_pieces(rate: int) -> None:
    samples = (noise(0.1, rate) * 32767).astype("<i2")
    heard = np.concatenate(list(from_stream(Trickle(samples.tobytes()), rate, rate)))
    assert heard == pytest.approx(samples / 32768, abs=1e-7)
    assert len(np.concatenate(list(from_stream(Trickle(samples.tobytes()), RATE, rate)))) == len(samples) * RATE // rate


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(AudioError, match=r"a\.wav"):
        list(from_file(tmp_path / "a.wav", RATE))
    with pytest.raises(AudioError, match="standard input"):
        list(from_stream(io.BytesIO(b"no sound"), RATE))
    with pytest.raises(AudioError, match="no such file"):
        list(from_file(tmp_path / "b.wav", RATE))
    with pytest.raises(SettingsError, match="0 Hz"):
        list(from_stream(io.BytesIO(b""), RATE, 0))


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    wave = noise()
    wave[77] = np.nan
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        list(from_file(tmp_path / "a.wav", RATE))


def test_a_microphone_is_read_in_short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def __init__(self, samplerate: int, channels: int, dtype: str) -> None:
            assert (samplerate, channels, dtype) == (RATE, 1, "float32")

        def __enter__(self) -> Stream:
            return self

        def __exit__(self, *_: object) -> None: ...

        def read(self, size: int) -> tuple[np.ndarray, bool]:
            return np.full((size, 1), 0.5, np.float32), False

    fake: Any = SimpleNamespace(InputStream=Stream, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    block = next(from_microphone(RATE))
    assert block.shape == (1600,)
    assert (block == 0.5).all()


def test_without_sounddevice_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(AudioError, match=r"speechtransfer\[microphone\]"):
        next(from_microphone(RATE))


class Live(io.BytesIO):
    """Sound that is being written: whole buffers of it would have to be waited for."""

    given = 0

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("waits for all that is asked for")

    def read1(self, size: int | None = -1, /) -> bytes:
        piece = super().read1(1000)
        self.given += len(piece)
        return piece


@pytest.mark.parametrize(("kind", "most"), [("WAV", 0.1), ("FLAC", 2.5), ("MP3", 0.8), ("OGG", 1.7)])
def test_a_sound_file_in_a_pipe_is_heard_as_it_comes(kind: str, most: float) -> None:
    """Once its format is known, no block is further behind than the format's own frames and pages are long."""
    held = Live()
    soundfile.write(held, noise(20.0), RATE, format=kind)
    size, heard, behind = held.seek(0, io.SEEK_END), 0.0, []
    held.seek(0)
    for block in from_stream(held, RATE):
        heard += len(block) / RATE
        behind.append((heard, 20.0 * held.given / size - heard))
    assert max(lag for second, lag in behind if second > 5) < most
    assert heard > 19.9


def test_a_colon_in_a_name_ends_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("12:30.wav", noise(), RATE)
    assert sum(map(len, from_file(Path("12:30.wav"), RATE))) == len(noise())
