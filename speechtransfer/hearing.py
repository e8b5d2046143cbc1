"""A recogniser and a recording of any length -> what it hears in each frame, and where the pauses are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from speechtransfer.align import recognisers, responsible
from speechtransfer.audio import is_silent, probe, read
from speechtransfer.batches import collate
from speechtransfer.console import watched
from speechtransfer.errors import AudioError, SettingsError
from speechtransfer.manifest import Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.trimming import LOUDNESS_PERIOD, in_pauses, loudness

#: Seconds heard at once, and those heard with them on either side, since what an encoder makes of edges is poor.
_WINDOW, _CONTEXT = 20.0, 2.0


@dataclass(frozen=True)
class Heard:
    """What a recogniser heard in a recording.

    Attributes:
        log_posteriors: (T, V) natural logarithms of each label in each frame.
        period: seconds from one frame to the next.
        decibels: (N,) loudness in frames of ``LOUDNESS_PERIOD``.
        seconds: how long the recording is.
    """

    log_posteriors: np.ndarray
    period: float
    decibels: np.ndarray
    seconds: float

    def spans(self, frames: Sequence[tuple[int, int]]) -> list[tuple[float, float]]:
        """Seconds from which to which each of several utterances lasts, its borders in pauses; none overlaps another.

        Args:
            frames: of each, in order, the first that has a letter of it and the one behind the last.
        """
        scale = self.period / LOUDNESS_PERIOD
        count = len(self.decibels)
        edges = [(0, 0), *((round(first * scale), round(last * scale)) for first, last in frames), (count, count)]
        gaps = [in_pauses(self.decibels, one[1], two[0]) for one, two in pairwise(edges)]
        return [
            (round(before[1] * LOUDNESS_PERIOD, 2), min(self.seconds, round(behind[0] * LOUDNESS_PERIOD, 2)))
            for before, behind in pairwise(gaps)
        ]


def recogniser_for(model: Model, language: str | None) -> Ctc:
    """The output layer that writes a language.

    Raises:
        SettingsError: the model writes no letters, or has layers for other languages alone.
    """
    parts = recognisers(model.objective)
    number = responsible(parts, Utterance(Path(), language=language))
    if number is None:
        known = sorted({part.only["language"] for part in parts if "language" in part.only})
        raise SettingsError(f"the run writes {', '.join(known)}, not {language}. Say which with --language.")
    return parts[number]


def hear(model: Model, part: Ctc, audio: Path) -> Heard:
    """What a recogniser hears in a recording of any length, window by window: memory holds one window of sound.

    A frame is heard with the sound of ``_CONTEXT`` seconds around its window, so that it is as in the whole recording
    to an encoder that looks no further.

    Raises:
        AudioError: the recording cannot be read, or is silent.
    """
    encoder, seconds = model.encoder, probe(audio).seconds
    size, context = round(_WINDOW / encoder.period), round(_CONTEXT / encoder.period)
    device = next(model.parameters()).device
    posteriors, decibels, silent = [], [], True
    windows = range(0, math.ceil(seconds / encoder.period), size)
    model.eval()
    with torch.inference_mode():
        for first in watched(windows, "hearing"):
            begin = max(0, first - context)
            row = Utterance(audio, begin * encoder.period, min(seconds, (first + size + context) * encoder.period))
            wave = read(audio, encoder.sample_rate, row.start, row.end)
            frames = model.frames(collate([row], [wave]).to(device))
            found = part.log_posteriors(frames)[0, : int(frames.lengths[0])].cpu().numpy()
            posteriors.append(found[first - begin :][:size])
            own = wave[round((first - begin) * encoder.period * encoder.sample_rate) :]
            own = own[: round(size * encoder.period * encoder.sample_rate)]
            decibels.append(loudness(own, encoder.sample_rate))
            silent = silent and is_silent(own)
    if silent:
        raise AudioError(f"{audio}: is silent. Export its sound again.")
    return Heard(np.concatenate(posteriors), encoder.period, np.concatenate(decibels), seconds)
