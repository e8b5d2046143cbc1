"""Where in a recording the speech is, by energy: from its first to its last sound, never less."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

#: A frame is part of the speech where it is at most so far below the loudest; what follows a loud vowel is softer.
_RANGE_DB = 35.0
#: Seconds of a frame, and those kept before and after: a plosive's closure and a fricative's end are soft.
_FRAME, _MARGIN = 0.01, 0.05
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


def window_for(seconds: Sequence[float]) -> float:
    """Seconds of a window that holds nearly all of the words with some room, a tenth of a second at a time."""
    return math.ceil(10 * (float(np.quantile(np.asarray(seconds), _HELD)) + _SPARE) - 1e-9) / 10
