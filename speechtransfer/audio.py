"""Sound files in and out: the only reader of recordings, with resampling and speed perturbation."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from speechtransfer.containers import AudioInfo, damaged, decode_by_ffmpeg, require_whole_wav, truncated
from speechtransfer.errors import AudioError, SettingsError
from speechtransfer.files import write_atomically
from speechtransfer.manifest import Utterance

SILENCE_DB = -90.0  # peak, of full scale, below which a recording holds nothing: one step of 16 bits
SPAN_SLACK = 0.05  # seconds by which a span may overrun its file: annotation tools round their times


def probe(path: str | Path) -> AudioInfo:
    """Read the header of a sound file. What only FFmpeg can read is decoded: its headers are estimates.

    Raises:
        AudioError: missing, empty, no sound, no samples, or a WAV file that was cut short.
    """
    file = _open(Path(path))
    if file is None:
        return decode_by_ffmpeg(Path(path), Path(path).stat().st_mtime_ns)[1]
    with file:
        return _info(file)


def read(path: str | Path, sample_rate: int, start: float | None = None, end: float | None = None) -> np.ndarray:
    """Decode a recording or a span of it: mono, at the rate that the caller wants.

    Any rate, channel count and sample format will do. Libsndfile seeks to a span and decodes nothing
    else; what it cannot read, such as MP4 named ``.mp3``, FFmpeg (through PyAV) decodes whole.
    Channels are averaged; resampling is soxr's high quality.

    Args:
        path: the sound file.
        sample_rate: Hz of what is returned.
        start: first second; None is the beginning.
        end: last second; None is the end. It may overrun the file by ``SPAN_SLACK`` seconds.

    Returns:
        (S,) float32, full scale at 1.

    Raises:
        AudioError: missing, empty, no sound, no samples, cut short, values that are not finite, or a
            span that is empty or lies beyond the file.
    """
    wave, rate = _decode(Path(path), start, end)
    return wave if rate == sample_rate else soxr.resample(wave, rate, sample_rate, quality="HQ")


def is_silent(wave: np.ndarray) -> bool:
    """Whether (S,) samples hold nothing: no sample, or a peak about the mean below ``SILENCE_DB``."""
    return not len(wave) or bool(np.abs(wave - wave.mean()).max() < 10 ** (SILENCE_DB / 20))


class Content:
    """The content hash of sound that comes in pieces."""

    def __init__(self, sample_rate: int) -> None:
        """Of no sample yet, at a rate in Hz."""
        self._digest = hashlib.sha256(struct.pack("<I", sample_rate))

    def add(self, wave: np.ndarray) -> None:
        """Samples (S,) that follow."""
        self._digest.update(_to_int16(wave).tobytes())

    @property
    def hash(self) -> str:
        """As ``content_hash``, of what was added."""
        return self._digest.hexdigest()[:16]


def content_hash(path: str | Path) -> str:
    """Sixteen hexadecimal digits of SHA-256 over the rate and the mono samples in 16 bits.

    A WAV file and its FLAC copy share it; a resampled or lossy copy does not.

    Raises:
        AudioError: as ``read``.
    """
    file = Path(path)
    return _content_hash(file, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=1 << 20)  # splits, the source's card and its guard all ask for the same recordings
def _content_hash(path: Path, modified: int) -> str:
    content = Content(probe(path).sample_rate)
    for wave, _ in blocks(path):
        content.add(wave)
    return content.hash


def change_speed(wave: np.ndarray, factor: float) -> np.ndarray:
    """Play (S,) samples ``factor`` times as fast, pitch and tempo together, by resampling.

    Ko et al. 2015, "Audio augmentation for speech recognition": copies at 0.9 and 1.1.

    Returns:
        (round(S / factor),) float32.

    Raises:
        SettingsError: a factor that is not positive and finite.
    """
    if not 0 < factor < float("inf"):
        raise SettingsError(f"A speed factor must be positive, not {factor}; 0.9 and 1.1 are usual.")
    length = round(len(wave) / factor)
    if factor == 1 or not length:
        return np.array(wave[:length], dtype=np.float32)
    # The filter's end effects may leave it a sample or two off: cut, or extend by zeros.
    changed = soxr.resample(np.asarray(wave, dtype=np.float32), factor, 1.0, quality="LQ")[:length]
    return np.pad(changed, (0, length - len(changed)))


def write_wav(path: str | Path, wave: np.ndarray, sample_rate: int) -> None:
    """Write (S,) samples as a 16-bit WAV file, whole or not at all; values beyond full scale are clipped.

    Raises:
        DataError: the file cannot be written; what was there is intact.
    """
    _write(Path(path), wave, sample_rate, "WAV")


def write_flac(path: str | Path, wave: np.ndarray, sample_rate: int) -> None:
    """As ``write_wav``, in FLAC: the same samples in about half the bytes.

    Raises:
        DataError: the file cannot be written; what was there is intact.
    """
    _write(Path(path), wave, sample_rate, "FLAC")


def _write(path: Path, wave: np.ndarray, sample_rate: int, format: str) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, _to_int16(wave), sample_rate, format=format, subtype="PCM_16")
    write_atomically(path, buffer.getvalue())


class Recordings:
    """Utterance -> samples, keeping the latest used in memory up to a budget.

    Its calls raise AudioError where ``read`` and ``probe`` do.

    Attributes:
        sample_rate: Hz.
        period: seconds from one sample to the next.
    """

    #: No block of an encoder takes what it reads but the first.
    start: str | None = None

    def __init__(self, sample_rate: int, budget_bytes: int = 1 << 30) -> None:
        """Return samples at ``sample_rate`` Hz; keep at most ``budget_bytes`` of them."""
        self.sample_rate, self.period = sample_rate, 1 / sample_rate
        self.budget_bytes = budget_bytes
        self._waves: OrderedDict[str, np.ndarray] = OrderedDict()
        self._held_bytes = 0
        self._lock = threading.Lock()  # training loads its next batch while dev is scored
        self._lengths: dict[Path, float] = {}

    def __call__(self, utterance: Utterance) -> np.ndarray:
        """Samples (S,) float32 of one utterance. They are shared between calls: do not write into them."""
        key = utterance.id
        with self._lock:
            if key in self._waves:
                self._waves.move_to_end(key)
                return self._waves[key]
        wave = read(utterance.audio, self.sample_rate, utterance.start, utterance.end)
        with self._lock:
            if wave.nbytes <= self.budget_bytes and self._waves.setdefault(key, wave) is wave:
                self._held_bytes += wave.nbytes
                while self._held_bytes > self.budget_bytes:
                    self._held_bytes -= self._waves.popitem(last=False)[1].nbytes
        return wave

    def seconds(self, utterance: Utterance) -> float:
        """Duration of one utterance from its span and the file's header, without decoding."""
        audio, end = utterance.audio, utterance.end
        if end is None and audio not in self._lengths:
            self._lengths[audio] = probe(audio).seconds
        return (self._lengths[audio] if end is None else end) - (utterance.start or 0.0)


def blocks(
    path: str | Path, start: float | None = None, end: float | None = None, size: int = 1 << 18
) -> Iterator[tuple[np.ndarray, int]]:
    """What ``read`` gives, but at the file's own rate, and in pieces as they are decoded.

    Memory holds one piece (the whole of what only FFmpeg can read).

    Yields:
        (S,) float32 and Hz; ``size`` samples, fewer in the last. There is one piece at least.

    Raises:
        AudioError: as ``read``.
    """
    path = Path(path)
    file = _open(path)
    if file is None:
        whole, info = decode_by_ffmpeg(path, path.stat().st_mtime_ns)
        first, last = _span(path, info, start, end)
        for at in range(first, last, size):
            yield _finite(path, whole[at : min(at + size, last)].copy(), at), info.sample_rate
        return
    with file:
        info = _info(file)
        first, last = _span(path, info, start, end)
        try:
            if file.seekable():
                file.seek(first)
            elif first:  # GSM: what stands before the span is decoded with it
                file.read(first)
            for at in range(first, last, size):
                wanted = min(size, last - at)
                channels = file.read(wanted, dtype="float32", always_2d=True)
                wave = channels[:, 0] if info.channels == 1 else channels.mean(axis=1)
                if len(wave) < wanted:
                    raise truncated(path, last, at + len(wave), "samples")
                yield _finite(path, wave, at), info.sample_rate
        except soundfile.LibsndfileError as error:
            raise damaged(path, error) from error


def _decode(path: Path, start: float | None = None, end: float | None = None) -> tuple[np.ndarray, int]:
    """A span's samples, (S,) float32 with channels averaged, at the file's own rate; and that rate."""
    [whole] = blocks(path, start, end, sys.maxsize)
    return whole


def _finite(path: Path, wave: np.ndarray, first: int) -> np.ndarray:
    """Samples of a file from number ``first`` on, refused where they are no numbers."""
    finite = np.isfinite(wave)
    if not finite.all():
        raise AudioError(
            f"{path}: {np.count_nonzero(~finite)} of its samples are not finite numbers, the first at sample "
            f"{first + int(np.argmin(finite))}. Export it again without the filter that made them."
        )
    return wave


def _open(path: Path) -> soundfile.SoundFile | None:
    """The file open in libsndfile, after the checks that need no decoder; None where it cannot read it."""
    if not path.is_file():
        raise AudioError(f"{path}: no such file. Correct the path, or remove the row that names it.")
    if not path.stat().st_size:
        raise AudioError(f"{path}: is empty (0 bytes). Copy or record it again.")
    require_whole_wav(path)
    try:
        file = soundfile.SoundFile(os.fsencode(path))
    except (soundfile.LibsndfileError, TypeError):  # TypeError: soundfile's word on .raw files
        return None
    if file.frames:
        return file
    file.close()  # FFmpeg finds what there is behind a streaming program's length of 0
    return None


def _info(file: soundfile.SoundFile) -> AudioInfo:
    return AudioInfo(file.frames, file.samplerate, file.channels, file.subtype)


def _span(path: Path, info: AudioInfo, start: float | None, end: float | None) -> tuple[int, int]:
    """First sample and the one after the last of a span in seconds, refused beyond the file."""
    begin, stop = start or 0.0, info.seconds if end is None else end
    if begin < 0 or begin >= info.seconds or stop > info.seconds + SPAN_SLACK:
        raise AudioError(
            f"{path}: the span {begin:g} to {stop:g} s lies beyond the file's {info.seconds:.2f} s. "
            "Correct the span's times."
        )
    first, last = round(begin * info.sample_rate), min(round(stop * info.sample_rate), info.frames)
    if last <= first:
        raise AudioError(f"{path}: the span {begin:g} to {stop:g} s is empty. Correct the span's times.")
    return first, last


def _to_int16(wave: np.ndarray) -> np.ndarray:
    """(S,) samples in 16 bits, little endian; the inverse of libsndfile's reading of 16-bit files."""
    scaled = np.round(np.asarray(wave, dtype=np.float64) * 32768)
    return np.clip(scaled, -32768, 32767).astype("<i2")
