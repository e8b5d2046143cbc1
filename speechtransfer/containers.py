"""What libsndfile leaves undone with sound files: what only FFmpeg reads, and WAV files that were cut short."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np

from speechtransfer.errors import AudioError

_DECODER_SLACK = 0.25  # seconds that FFmpeg may decode short of a header's promise (coder delay)
_STREAMED = 0x7FFF_F000  # WAV chunk sizes from here on, and 0, mean "length not known in advance"


@dataclass(frozen=True)
class AudioInfo:
    """What the header of a sound file says."""

    frames: int  # samples of one channel
    sample_rate: int  # Hz
    channels: int
    subtype: str  # the coding, as its decoder names it: PCM_16, MPEG_LAYER_III, aac

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate


@lru_cache(maxsize=1)  # the spans of one long recording are read one after the other
def decode_by_ffmpeg(path: Path, modified: int) -> tuple[np.ndarray, AudioInfo]:
    """A whole recording, decoded by FFmpeg through PyAV.

    Args:
        path: the sound file.
        modified: its time in ns, so that what is kept is not a former version of it.

    Returns:
        (S,) float32 with channels averaged, and what it is.

    Raises:
        AudioError: no sound that FFmpeg can read, cut short, or damaged.
    """
    import av  # slow to import, and most corpora never need it

    pieces: list[np.ndarray] = []
    try:
        with av.open(os.fspath(path.absolute())) as container:  # or a colon in the name would end a protocol
            if not container.streams.audio:
                raise AudioError(f"{path}: holds no audio track. Remove it, or export its sound.")
            stream = container.streams.audio[0]
            planar = av.AudioResampler(format="fltp")
            for frame in chain(container.decode(stream), (None,)):
                pieces += [piece.to_ndarray().mean(axis=0) for piece in planar.resample(frame)]
            wave = np.concatenate([np.zeros(0, np.float32), *pieces])
            info = AudioInfo(len(wave), stream.rate, stream.channels, stream.codec_context.name)
            promised = float((stream.duration or 0) * (stream.time_base or 0))
    except av.FFmpegError as error:
        if pieces:
            raise damaged(path, error) from error
        raise AudioError(
            f"{path}: is not a sound file that libsndfile or FFmpeg can read ({error.strerror}). "
            "Convert it to WAV or FLAC, or remove it."
        ) from error
    if not len(wave):
        raise damaged(path, "it holds no samples")
    if info.seconds < promised - _DECODER_SLACK:
        raise truncated(path, round(promised * stream.rate), len(wave), "samples")
    return wave, info


def require_whole_wav(path: Path) -> None:
    """Refuse a WAV file whose data chunk runs past the file's end, which libsndfile silently shortens.

    Raises:
        AudioError: it does, or the file cannot be read. Files of another kind pass.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
                return
            while len(header := file.read(8)) == 8:
                name, length = struct.unpack("<4sI", header)
                if name == b"data":
                    held = size - file.tell()
                    if held < length < _STREAMED:
                        raise truncated(path, length, held, "bytes of sound")
                    return
                file.seek(length + length % 2, os.SEEK_CUR)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}). Check its permissions.") from error


def truncated(path: Path, promised: int, held: int, unit: str) -> AudioError:
    """What to raise on a file that ends before its header says."""
    return AudioError(
        f"{path}: is cut short: its header promises {promised} {unit}, the file holds {held}. "
        "Copy it again from the original."
    )


def damaged(path: Path, what: object) -> AudioError:
    """What to raise on a file that its decoder gives up on."""
    return AudioError(f"{path}: is damaged ({what}). Export it again from the original, or remove it.")
