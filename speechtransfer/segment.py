"""A recogniser, one long recording and its text -> an utterance for each line, with its times and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from speechtransfer.corpora.prose import sentences_of
from speechtransfer.errors import DataError, SettingsError, TextError
from speechtransfer.files import read_text_lines
from speechtransfer.hearing import hear, recogniser_for
from speechtransfer.manifest import LedgerRow, Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.trellis import ANY, place
from speechtransfer.vocabulary import Vocabulary

#: Of a line's letters, the share that the recogniser may lack: a line in letters that it never saw would fit anywhere.
_MOST_UNKNOWN = 0.25


@dataclass(frozen=True)
class Line:
    """A line of a text, or a sentence of it.

    Attributes:
        file: of the text.
        number: of the line in it, from 1.
        text: as it stands there.
    """

    file: Path
    number: int
    text: str

    @property
    def where(self) -> str:
        """File and line, as ledgers name them."""
        return f"{self.file}:{self.number}"


@dataclass(frozen=True)
class Segment:
    """A line where it is said.

    Attributes:
        line: what is said.
        row: the span of the recording, with the text and the confidence.
        letters: each with the second of the recording where the recogniser is sure of it.
    """

    line: Line
    row: Utterance
    letters: tuple[tuple[float, str], ...]

    @property
    def confidence(self) -> float:
        """As ``segment`` gives it."""
        return self.row.confidence or 0.0


@dataclass(frozen=True)
class Segmentation:
    """Every line of a text: placed or dropped.

    Attributes:
        segments: the lines that were placed and are sure enough, in order.
        doubtful: those placed that are not.
        ledger: a row for each line dropped, the doubtful among them, and for lines kept with unknown letters.
        seconds: of the recording.
    """

    segments: tuple[Segment, ...]
    doubtful: tuple[Segment, ...]
    ledger: tuple[LedgerRow, ...]
    seconds: float

    @property
    def manifest(self) -> Manifest:
        """The segments as rows of a corpus."""
        return Manifest(tuple(segment.row for segment in self.segments), self.ledger)


def read_transcript(path: Path, by: Literal["lines", "sentences"] = "lines") -> tuple[Line, ...]:
    """The lines of a UTF-8 text file that are not empty, or the sentences of each of them.

    Raises:
        DataError: it cannot be read, is not UTF-8, or holds no text.
    """
    lines = []
    for number, line in enumerate(read_text_lines(path), 1):
        parts = sentences_of(line) if by == "sentences" else [line.strip()]
        lines += [Line(path, number, part) for part in parts if part]
    if not lines:
        raise DataError(f"{path}: holds no text. Write a line for each utterance.")
    return tuple(lines)


def segment(
    model: Model, audio: Path, lines: Sequence[Line], least_confidence: float = 0.0, language: str | None = None
) -> Segmentation:
    """Find each line of a text in a recording of it; segments + dropped ledger rows = lines.

    Speech that is not in the text and lines that are not said may be anywhere (see ``trellis.place``). A line's span
    begins and ends in the pauses around it, and overlaps no other. Letters that the recogniser cannot write are heard
    as any, if they are few; the line keeps them and the ledger says so.

    Confidence is the geometric mean over a line's letters of the posterior of the path through its frames: of each
    letter, and of the blanks behind it, in which something else may be heard. It is no probability that the line is
    placed right, and compares lines of one recogniser alone: a weak one is unsure of all.

    Args:
        model: a recogniser, or a sum that has one; it is put in eval mode.
        audio: the recording.
        lines: in the order in which they are said.
        least_confidence: lines below it are dropped, in [0, 1].
        language: ISO 639-3, of rows, and of the output layer where there are several.

    Raises:
        SettingsError: no recogniser for the language, or a confidence that is none.
        AudioError: the recording cannot be read, or is silent.
        DataError: no line is in the recogniser's letters, or none is heard.
    """
    if not 0 <= least_confidence <= 1:
        raise SettingsError(f"--least-confidence {least_confidence:g}: must be between 0 and 1.")
    part = recogniser_for(model, language)
    vocabulary = part.vocabulary
    numbers = {unit: number for number, unit in enumerate(vocabulary.labels)}
    spelt: list[tuple[Line, list[str]]] = []
    ledger = []
    for line in lines:
        try:
            spelt.append((line, _legible(line, vocabulary)))
        except TextError as error:
            ledger.append(LedgerRow(str(audio), f"unusable transcript: {error}", where=line.where))
    if not spelt:
        raise DataError(f"no line can be aligned; the first: {ledger[0].where}: {ledger[0].reason}")
    heard = hear(model, part, audio)
    labels = [[numbers.get(unit, ANY) for unit in units] for _, units in spelt]
    rest = [Vocabulary.blank, *([numbers[" "]] if " " in numbers else [])]
    places = place(heard.log_posteriors, labels, rest)
    if not any(places):
        raise DataError(
            f"{audio}: none of {len(spelt)} lines is heard in its {heard.seconds:.0f} s. Check that the text is of "
            "this recording and the run of its language."
        )
    spans = iter(heard.spans([(one.first[0], one.last[-1] + 1) for one in places if one]))
    segments: list[Segment] = []
    doubtful: list[Segment] = []
    behind = 0.0
    for (line, units), found in zip(spelt, places, strict=True):
        if found is None:
            ledger.append(LedgerRow(str(audio), f"not heard: expected behind {behind:.2f} s", where=line.where))
            continue
        start, behind = next(spans)
        confidence = round(math.exp(found.log_posterior), 4)
        row = Utterance(audio, start, behind, line.text, language=language, confidence=confidence)
        middles = (heard.period * (first + last + 1) / 2 for first, last in zip(found.first, found.last, strict=True))
        one = Segment(line, row, tuple(zip(middles, units, strict=True)))
        if confidence < least_confidence:
            doubtful.append(one)
            ledger.append(LedgerRow(row.id, f"low confidence: {confidence:.3f}", where=line.where))
            continue
        segments.append(one)
        if unknown := sorted(set(units) - numbers.keys()):
            reason = f"unknown letters: {' '.join(unknown)}, heard as any"
            ledger.append(LedgerRow(row.id, reason, action="kept", where=line.where))
    return Segmentation(tuple(segments), tuple(doubtful), tuple(ledger), heard.seconds)


def _legible(line: Line, vocabulary: Vocabulary) -> list[str]:
    """The recogniser's units of a line; spaces are left out where it has none.

    Raises:
        TextError: the contract refuses it, the lexicon lacks a word, or the recogniser too many of its letters.
    """
    known = set(vocabulary.symbols)
    units = [unit for unit in vocabulary.pieces(line.text) if unit != " " or unit in known]
    unknown = [unit for unit in units if unit not in known]
    if len(unknown) > _MOST_UNKNOWN * len(units):
        raise TextError(
            f"{len(unknown)} of {len(units)} letters are unknown to the recogniser: {' '.join(sorted(set(unknown)))}"
        )
    return units
