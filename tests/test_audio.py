"""Reading sound: every format that must just work, every defect that must be named."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechtransfer import audio
from speechtransfer.errors import AudioError, DataError, SettingsError
from speechtransfer.manifest import Utterance

RATE = 16000
real = audio.read


def tone(seconds: float = 0.5, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def saved(path: Path, wave: np.ndarray, rate: int = RATE, **how: str) -> Path:
    soundfile.write(path, wave, rate, **how)
    return path


def write_mp4(path: Path, wave: np.ndarray, rate: int) -> None:
    import av

    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_every_sample_format_reads_the_same_tone(tmp_path: Path, subtype: str) -> None:
    wave = audio.read(saved(tmp_path / "a.wav", tone(), subtype=subtype), RATE)
    assert wave.dtype == np.float32 and wave.shape == (RATE // 2,)
    assert np.abs(wave - tone()).max() < (1e-4 if subtype not in ("PCM_U8", "ULAW") else 0.03)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_any_rate_becomes_the_one_asked_for(tmp_path: Path, rate: int) -> None:
    wave = audio.read(saved(tmp_path / "a.wav", tone(rate=rate), rate, subtype="FLOAT"), RATE)
    assert wave.dtype == np.float32 and abs(len(wave) - RATE // 2) <= 1
    assert np.abs(wave[400:7600] - tone()[400:7600]).max() < 2e-3


def test_channels_are_averaged(tmp_path: Path) -> None:
    stereo = np.stack([tone(), np.zeros_like(tone())], axis=1)
    assert np.allclose(audio.read(saved(tmp_path / "a.wav", stereo), RATE), tone() / 2, atol=1e-4)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.aiff", "a.au"])
def test_compressed_and_other_containers(tmp_path: Path, name: str) -> None:
    wave = audio.read(saved(tmp_path / name, tone(1.0)), RATE)
    assert abs(len(wave) - RATE) <= 2400
    assert np.sqrt(np.mean(wave**2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.03)


def test_mp4_named_mp3_falls_back_to_ffmpeg(tmp_path: Path) -> None:
    write_mp4(path := tmp_path / "a.mp3", tone(1.0, 44100), 44100)
    info = audio.probe(path)
    assert (info.sample_rate, info.channels, info.subtype) == (44100, 1, "aac")
    assert info.seconds == pytest.approx(1.0, abs=0.1)
    assert len(audio.read(path, RATE, 0.25, 0.75)) == RATE // 2


def test_truncated_mp4_is_refused(tmp_path: Path) -> None:
    write_mp4(path := tmp_path / "a.m4a", tone(4.0), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut short|damaged"):
        audio.read(path, RATE)


def test_probe_reads_the_header(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.wav", np.stack([tone(), tone()], axis=1), subtype="PCM_24")
    assert audio.probe(path) == audio.AudioInfo(RATE // 2, RATE, 2, "PCM_24")
    assert audio.probe(path).seconds == 0.5


def test_a_span_is_that_part_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.wav", tone(1.0), subtype="FLOAT")
    assert np.array_equal(audio.read(path, RATE, 0.25, 0.5), tone(1.0)[4000:8000])
    assert np.array_equal(audio.read(path, RATE, start=0.9), tone(1.0)[14400:])
    assert len(audio.read(path, RATE, 0.5, 1.0 + audio.SPAN_SLACK / 2)) == 8000


@pytest.mark.parametrize(
    ("span", "message"),
    [((0.5, 1.2), "beyond"), ((1.0, None), "beyond"), ((-0.1, 0.5), "beyond"), ((0.5, 0.5), "empty")],
)
def test_an_impossible_span_is_refused(tmp_path: Path, span: tuple[float, float | None], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        audio.read(saved(tmp_path / "a.wav", tone(1.0)), RATE, *span)


def test_names_that_are_not_ascii(tmp_path: Path) -> None:
    path = tmp_path / "запись ñ.wav"
    soundfile.write(str(path), tone(), RATE)
    assert len(audio.read(path, RATE)) == RATE // 2


# Defects: one bad file in an otherwise good corpus.


def defect_missing(path: Path) -> None:
    pass


def defect_folder(path: Path) -> None:
    path.mkdir()


def defect_empty(path: Path) -> None:
    path.touch()


def defect_no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), RATE)


def defect_not_sound(path: Path) -> None:
    path.write_text("this is a shopping list, not a recording\n" * 50)


def defect_truncated(path: Path) -> None:
    soundfile.write(path, tone(), RATE)
    path.write_bytes(path.read_bytes()[:9000])


def defect_header_alone(path: Path) -> None:
    soundfile.write(path, tone(), RATE)
    path.write_bytes(path.read_bytes()[:44])


def defect_nan(path: Path) -> None:
    wave = tone()
    wave[100:103] = np.nan
    soundfile.write(path, wave, RATE, subtype="FLOAT")


def defect_infinite(path: Path) -> None:
    wave = tone()
    wave[7] = -np.inf
    soundfile.write(path, wave, RATE, subtype="FLOAT")


@pytest.mark.parametrize(
    ("defect", "message"),
    [
        (defect_missing, "no such file"),
        (defect_folder, "no such file"),
        (defect_empty, r"empty \(0 bytes\)"),
        (defect_no_samples, "no samples"),
        (defect_not_sound, "not a sound file"),
        (defect_truncated, "cut short.* 16000 bytes of sound, the file holds 8956"),
        (defect_header_alone, "cut short"),
        (defect_nan, "3 of its samples are not finite numbers, the first at sample 100"),
        (defect_infinite, "1 of its samples are not finite numbers, the first at sample 7"),
    ],
)
def test_a_defect_is_named_with_its_file(tmp_path: Path, defect, message: str) -> None:
    path = tmp_path / "bad.wav"
    defect(path)
    for attempt in (lambda: audio.read(path, 8000), lambda: audio.content_hash(path)):
        with pytest.raises(AudioError, match=message) as caught:
            attempt()
        assert str(path) in str(caught.value)


def test_truncated_flac_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE)
    path = saved(tmp_path / "a.flac", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"cut short|damaged"):
        audio.read(path, RATE)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_lengths_that_streaming_programs_leave_open_are_tolerated(tmp_path: Path, length: int) -> None:
    path = saved(tmp_path / "a.wav", tone())
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", length)
    path.write_bytes(data)
    assert len(audio.read(path, RATE)) == RATE // 2


def test_silence_is_readable_and_detectable(tmp_path: Path) -> None:
    assert audio.is_silent(audio.read(saved(tmp_path / "a.wav", np.zeros(RATE)), RATE))
    assert audio.is_silent(np.full(RATE, 0.2, np.float32)), "a constant offset is silence"
    assert audio.is_silent(np.zeros(0, np.float32))
    assert not audio.is_silent(tone() * 1e-3)


# What is made of it.


def test_content_hash_ignores_name_and_container_and_nothing_else(tmp_path: Path) -> None:
    steps = (tone() * 32767).astype(np.int16)  # libsndfile rounds float samples differently for each
    wav, flac = saved(tmp_path / "a.wav", steps), saved(tmp_path / "b.flac", steps)
    assert audio.content_hash(wav) == audio.content_hash(flac)
    assert len(audio.content_hash(wav)) == 16
    others = [
        saved(tmp_path / "quieter.wav", steps // 2),
        saved(tmp_path / "shorter.wav", steps[:-1]),
        saved(tmp_path / "same_samples_other_rate.wav", steps, 8000),
    ]
    assert len({audio.content_hash(path) for path in (wav, *others)}) == 4


def test_write_wav_returns_the_samples_it_was_given(tmp_path: Path) -> None:
    steps = np.arange(-32768, 32768, 7) / 32768
    audio.write_wav(tmp_path / "a.wav", steps, RATE)
    assert np.array_equal(audio.read(tmp_path / "a.wav", RATE), steps.astype(np.float32))
    assert audio.probe(tmp_path / "a.wav").subtype == "PCM_16"
    audio.write_wav(tmp_path / "a.wav", np.array([2.0, -2.0]), RATE)
    assert np.allclose(audio.read(tmp_path / "a.wav", RATE), [1, -1], atol=1e-4)


def test_write_flac_returns_the_samples_it_was_given(tmp_path: Path) -> None:
    wave = tone().astype(np.float32)
    audio.write_flac(tmp_path / "a.flac", wave, 8000)
    assert (audio.probe(tmp_path / "a.flac").sample_rate, audio.probe(tmp_path / "a.flac").subtype) == (8000, "PCM_16")
    assert audio.read(tmp_path / "a.flac", 8000) == pytest.approx(wave, abs=2**-15)


def test_write_wav_to_an_impossible_place(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"):
        audio.write_wav(tmp_path / "file" / "a.wav", tone(), RATE)


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1, 1.37])
def test_speed_changes_length_and_pitch_together(factor: float) -> None:
    changed = audio.change_speed(tone(1.0), factor)
    assert changed.dtype == np.float32 and len(changed) == round(RATE / factor)
    peak = np.abs(np.fft.rfft(changed)).argmax() * RATE / len(changed)
    assert peak == pytest.approx(440 * factor, abs=1.5)


def test_speed_leaves_its_input_alone_and_refuses_nonsense() -> None:
    wave = tone()
    audio.change_speed(wave, 1.0)[:] = 0
    assert np.array_equal(wave, tone())
    assert len(audio.change_speed(np.zeros(0, np.float32), 0.9)) == 0
    for factor in (0, -1, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="speed factor"):
            audio.change_speed(wave, factor)


def test_recordings_are_decoded_once_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Utterance(saved(tmp_path / f"{index}.wav", tone(0.1 * (index + 1)))) for index in range(3)]
    rows.append(Utterance(rows[2].audio, start=0.1, end=0.2))
    decoded = []
    monkeypatch.setattr(audio, "read", lambda path, *rest: decoded.append(path) or real(path, *rest))
    recordings = audio.Recordings(RATE, budget_bytes=4 * (1600 + 3200))
    assert [len(recordings(rows[index])) for index in (0, 1, 0, 1)] == [1600, 3200, 1600, 3200]
    assert len(decoded) == 2
    recordings(rows[2])  # 4800 samples: displaces both
    recordings(rows[0])
    assert len(decoded) == 4
    assert np.array_equal(recordings(rows[3]), recordings(rows[2])[1600:3200])


def test_recordings_larger_than_the_budget_are_read_and_not_kept(tmp_path: Path) -> None:
    recordings = audio.Recordings(RATE, budget_bytes=10)
    row = Utterance(saved(tmp_path / "a.wav", tone()))
    assert recordings(row) is not recordings(row)


def test_seconds_need_no_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.wav", tone(1.0, 8000), 8000)
    monkeypatch.setattr(audio, "read", None)
    seconds = audio.Recordings(RATE).seconds
    assert seconds(Utterance(path)) == 1.0
    assert seconds(Utterance(path, start=0.25)) == 0.75
    assert seconds(Utterance(tmp_path / "not_opened.wav", start=1.0, end=1.5)) == 0.5


@pytest.mark.parametrize("suffix", ["gsm", "wav"])
def test_a_span_is_read_where_the_coding_cannot_seek(tmp_path: Path, suffix: str) -> None:
    """GSM 06.10, in which Asterisk's second voices come, has frames that lean on those before them."""
    path = tmp_path / f"a.{suffix}"
    form = "RAW" if suffix == "gsm" else "WAV"
    soundfile.write(path, tone(2.0, 8000), 8000, format=form, subtype="GSM610")
    whole = audio.read(path, 8000)
    assert len(whole) == 16000
    assert np.array_equal(audio.read(path, 8000, 0.5, 1.25), whole[4000:10000])
    assert np.abs(whole - tone(2.0, 8000))[800:-800].max() < 0.1
