"""Sound as it comes: from a file of any length, standard input or a microphone, block by block in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import soxr

from speechtransfer.audio import probe
from speechtransfer.errors import AudioError, SettingsError

#: Seconds of a block from a microphone: what a listener would not notice as delay.
_MICROPHONE_BLOCK = 0.1
#: Bytes asked of a stream at a time.
_CHUNK = 1 << 13
#: Of a stream: what FFmpeg takes of a WAV file at a time, bytes in the place of two seconds (other formats divide
#: themselves), and microseconds that it hears of any to learn what it is.
_SMALL = {"max_size": "4096", "analyzeduration": "100000"}


class _Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _AsItComes:
    """A stream that gives what is there already, where it can say so, and waits for no more."""

    def __init__(self, stream: BinaryIO) -> None:
        self.read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)


def from_file(path: Path, sample_rate: int) -> Iterator[np.ndarray]:
    """Blocks (S,) float32 of a recording at ``sample_rate`` Hz, channels averaged; never the whole of it at once.

    Raises:
        AudioError: missing, empty, no sound, cut short, damaged, or values that are not finite.
    """
    probe(path)
    # Absolute, for FFmpeg takes what stands before a colon for a protocol.
    yield from _resampled(_decoded(os.fspath(path.absolute()), str(path)), sample_rate, str(path))


def from_stream(stream: BinaryIO, sample_rate: int, raw: int | None = None) -> Iterator[np.ndarray]:
    """Blocks (S,) float32 at ``sample_rate`` Hz of what is written to a stream, as soon as it is there.

    Of a sound file, FFmpeg hears the first seconds, four of WAV, before it can say what it is.

    Args:
        stream: binary, read to its end.
        sample_rate: Hz of the blocks.
        raw: the stream is bare 16-bit little-endian mono at so many Hz; None is a sound file of any format.

    Raises:
        AudioError: no sound.
        SettingsError: a rate below 1 Hz.
    """
    if raw is not None and raw < 1:
        raise SettingsError(f"{raw} Hz is no sample rate; 16000 is usual.")
    name = "standard input"
    pieces = _decoded(_AsItComes(stream), name) if raw is None else _bare(stream, raw)
    yield from _resampled(pieces, sample_rate, name)


def from_microphone(sample_rate: int) -> Iterator[np.ndarray]:
    """Blocks (S,) float32 at ``sample_rate`` Hz of the default microphone, without end.

    Raises:
        AudioError: sounddevice is not installed, or there is no microphone.
    """
    try:
        import sounddevice  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except (ImportError, OSError) as error:  # OSError: PortAudio itself is missing
        raise AudioError(
            f"a microphone needs sounddevice: pip install 'speechtransfer[microphone]' ({error})."
        ) from error
    try:
        with sounddevice.InputStream(samplerate=sample_rate, channels=1, dtype="float32") as stream:
            while True:
                block, _ = stream.read(round(_MICROPHONE_BLOCK * sample_rate))
                yield block[:, 0]
    except sounddevice.PortAudioError as error:
        raise AudioError(f"the microphone cannot be opened at {sample_rate} Hz: {error}.") from error


def _decoded(source: str | _Reads, name: str) -> Iterator[tuple[np.ndarray, int]]:
    """Pieces (S,) of what FFmpeg decodes, channels averaged, and their rate."""
    import av  # slow to import

    try:
        with av.open(source, "r", options=None if isinstance(source, str) else _SMALL) as container:
            if not container.streams.audio:
                raise AudioError(f"{name}: holds no audio track.")
            planar = av.AudioResampler(format="fltp")
            for frame in chain(container.decode(container.streams.audio[0]), (None,)):
                for piece in planar.resample(frame):
                    yield piece.to_ndarray().mean(axis=0), piece.sample_rate
    except av.FFmpegError as error:
        raise AudioError(f"{name}: is not sound that FFmpeg can read, or is damaged ({error.strerror}).") from error


def _bare(stream: BinaryIO, rate: int) -> Iterator[tuple[np.ndarray, int]]:
    """Pieces of bare 16-bit samples; a half sample waits for its other byte."""
    come, left = _AsItComes(stream), b""
    while chunk := come.read(_CHUNK):
        left += chunk
        whole = len(left) // 2 * 2
        yield np.frombuffer(left[:whole], "<i2").astype(np.float32) / 32768, rate
        left = left[whole:]


def _resampled(pieces: Iterable[tuple[np.ndarray, int]], sample_rate: int, name: str) -> Iterator[np.ndarray]:
    """The same sound at another rate; what the filter holds back comes last."""
    resampler: soxr.ResampleStream | None = None
    for wave, rate in pieces:
        if not np.isfinite(wave).all():
            raise AudioError(f"{name}: holds samples that are not finite numbers. Export it again.")
        if rate == sample_rate:
            yield wave
            continue
        resampler = resampler or soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        yield resampler.resample_chunk(wave)
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)
