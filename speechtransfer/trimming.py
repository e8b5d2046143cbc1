"""Where in a recording the speech is, by energy: its first and last sound, and the pauses between."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: A frame is part of the speech where it is at most so far below the loudest; what follows a loud vowel is softer.
_RANGE_DB = 35.0
#: Seconds of a frame, and those kept before and after: a plosive's closure and a fricative's end are soft.
_FRAME, _MARGIN = 0.01, 0.05
#: A pause: so many frames in a row, so many decibels below speech, or in noise so much of the way from the quietest
#: frame to speech.
_PAUSE, _QUIET_DB, _QUIET = 8, 30.0, 0.3
#: Frames around a gap whose loudest say how loud speech is; frames in which a pause is looked for; frames kept of it.
_AROUND, _REACH, _KEPT = 100, 50, 10
#: Seconds of a frame of ``loudness``.
LOUDNESS_PERIOD = _FRAME
#: Of the speech of all recordings, the share that a window must hold; and seconds to spare around it.
_HELD, _SPARE = 0.95, 0.3


def speech_span(wave: np.ndarray, sample_rate: int) -> tuple[int, int]:
    """The first sample of the speech in (S,) and the one after its last; pauses inside belong to it.

    A recording so noisy that no frame is far below the loudest is kept whole.
    """
    size = max(1, round(_FRAME * sample_rate))
    count = -(-len(wave) // size)
    if not count:
        return 0, 0
    padded = np.pad(np.asarray(wave, dtype=np.float64), (0, count * size - len(wave)))
    power = np.square(padded.reshape(count, size)).mean(axis=1)
    loud = np.flatnonzero(power >= power.max() * 10 ** (-_RANGE_DB / 10))
    margin = round(_MARGIN * sample_rate)
    return max(0, int(loud[0]) * size - margin), min(len(wave), (int(loud[-1]) + 1) * size + margin)


def loudness(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Decibels of full scale of (S,) samples in frames of ``LOUDNESS_PERIOD``; an unfinished one at the end is none."""
    size = round(_FRAME * sample_rate)
    frames = np.asarray(wave[: len(wave) // size * size], dtype=np.float64).reshape(-1, size)
    decibels: np.ndarray = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    return decibels


def in_pauses(decibels: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """Where speech that ends by frame ``first`` is cut off, and where speech that begins by ``last`` begins.

    That is in the first pause behind the one and in the last before the other, often the same, with up to a tenth of a
    second of it. Where no pause is near, it is the quietest frame near by: in speech without pauses a dip in loudness.

    Args:
        decibels: (N,) of the whole recording, from ``loudness``.
        first: where the gap between the two begins.
        last: where it ends.

    Returns:
        Two frames, in order, from ``first`` to ``last``.
    """
    gap = decibels[first:last]
    if not len(gap):
        return first, first
    speech = float(np.quantile(decibels[max(0, first - _AROUND) : last + _AROUND], 0.9))
    quiet = gap <= max(speech - _QUIET_DB, gap.min() + _QUIET * (speech - gap.min()))
    return first + _into_pause(gap, quiet), last - _into_pause(gap[::-1], quiet[::-1])


def _into_pause(gap: np.ndarray, quiet: np.ndarray) -> int:
    """Frames from the beginning of a gap into its first pause."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]]))).reshape(-1, 2)
    for start, stop in turns[turns[:, 0] <= _REACH].tolist():
        if stop - start >= _PAUSE:
            return int(start + min(_KEPT, (stop - start) // 2))
    return int(gap[:_REACH].argmin())


def window_for(seconds: Sequence[float]) -> float:
    """Seconds of a window that holds nearly all of the words with some room, a tenth of a second at a time."""
    return math.ceil(10 * (float(np.quantile(np.asarray(seconds), _HELD)) + _SPARE) - 1e-9) / 10
