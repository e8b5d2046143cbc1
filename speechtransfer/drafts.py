"""A recogniser and a recording of any length -> what is said in it, utterance by utterance, to read or to correct."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speechtransfer.hearing import Heard, hear, recogniser_for
from speechtransfer.manifest import Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.vocabulary import Vocabulary

_BESIDE = 1e-6
#: Seconds without a letter that part two utterances.
_PAUSE = 0.6
#: Seconds that an utterance may last before a shorter gap parts it.
LONGEST = 20.0


@dataclass(frozen=True)
class Draft:
    """What a recogniser makes of a recording.

    Attributes:
        rows: its utterances in order, with span, text and confidence; none where nothing is said.
        seconds: of the recording.
        text: all of it.
        confidence: the mean over the utterances, by their length; None where there is none.
    """

    rows: tuple[Utterance, ...]
    seconds: float
    text: str
    confidence: float | None


def draft(model: Model, audio: Path, language: str | None = None, longest: float = LONGEST) -> Draft:
    """Write down what is said in a recording of any length; memory holds one window of its sound.

    Utterances are what lies between gaps of more than half a second without a letter, their borders in the pauses
    around them. One that is longer than may be is parted at the longest gap near its middle, between words where it has
    some. Each is decoded by itself, as recordings of one utterance are.

    Args:
        model: a recogniser, or a sum that has one; it is put in eval mode.
        audio: the recording.
        language: ISO 639-3, of rows, and of the output layer where there are several.
        longest: seconds of an utterance, but for the pauses at its ends.

    Raises:
        SettingsError: no recogniser for the language.
        AudioError: the recording cannot be read, or is silent.
    """
    part = recogniser_for(model, language)
    heard = hear(model, part, audio)
    places = _utterances(part, heard, longest / heard.period)
    rows = []
    for start, end in heard.spans(places):
        # Borders are decimal fractions, which division leaves a little beside the frame that they are.
        first, last = math.floor(start / heard.period + _BESIDE), math.ceil(end / heard.period - _BESIDE)
        own = torch.from_numpy(heard.log_posteriors[None, first:last])
        (found,) = part.decode(own, torch.tensor([own.shape[1]]))
        if found.value:
            rows.append(Utterance(audio, start, end, found.value, language=language, confidence=found.confidence))
    between = " " if part.vocabulary.contract.has_words or not part.vocabulary.writes else ""
    lengths = np.array([(row.end or 0.0) - (row.start or 0.0) for row in rows])
    sure = float(np.average([row.confidence or 0.0 for row in rows], weights=lengths)) if rows else None
    return Draft(tuple(rows), heard.seconds, between.join(row.text or "" for row in rows), sure)


def _utterances(part: Ctc, heard: Heard, longest: float) -> list[tuple[int, int]]:
    """Of each utterance of so many frames at most the first with a letter and the one behind the last."""
    best = heard.log_posteriors.argmax(1)
    spaces = np.isin(best, [number for number, label in enumerate(part.vocabulary.labels) if label == " "])
    letters = np.flatnonzero((best != Vocabulary.blank) & ~spaces)
    if not len(letters):
        return []
    parts = np.split(letters, 1 + np.flatnonzero(np.diff(letters) * heard.period > _PAUSE))
    return [(int(one[0]), int(one[-1]) + 1) for whole in parts for one in _parted(whole, spaces, longest)]


def _parted(letters: np.ndarray, spaces: np.ndarray, longest: float) -> list[np.ndarray]:
    """Frames with letters, parted until each part is short enough."""
    length = letters[-1] - letters[0] + 1
    if length <= longest:
        return [letters]
    gaps, counted = np.diff(letters), np.concatenate([[0], np.cumsum(spaces)])
    aside = np.abs(letters[1:] + letters[:-1] - letters[0] - letters[-1]) / 2
    words, middle = counted[letters[1:]] > counted[letters[:-1]], aside <= length / 4
    usable = next((one for one in (middle & words, words, middle) if one.any()), gaps > 0)
    place = int(np.lexsort((aside, -gaps, ~usable))[0]) + 1
    return [*_parted(letters[:place], spaces, longest), *_parted(letters[place:], spaces, longest)]
