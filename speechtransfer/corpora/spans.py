"""Annotated stretches of recordings -> Manifest, with a reason for each that can be no row."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.corpora.tiers import Annotation, Tier
from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance


@dataclass(frozen=True)
class Sound:
    """The recording of a file of annotations.

    Attributes:
        audio: the sound file.
        origin: second of it at which the annotations' time begins.
    """

    audio: Path
    origin: float = 0.0


def manifest_of(data: str, tiers: Iterable[Tier], hear: Callable[[Path], Sound], language: str | None) -> Manifest:
    """Rows for the annotations of tiers, file by file in order of time; what can be no row is in the ledger.

    Of annotations of the very same stretch the first stays, where all have one text. Where the texts differ
    nobody can know which of them is heard, and none stays.

    Args:
        data: for messages.
        tiers: those chosen.
        hear: the recording of a file. Its DataError is why the file's annotations are dropped.
        language: ISO 639-3 code of tiers that state none.

    Raises:
        DataError: no row is left.
    """
    by_file: dict[Path, list[tuple[Tier, Annotation]]] = defaultdict(list)
    for tier in tiers:
        by_file[tier.file] += [(tier, annotation) for annotation in tier.annotations]
    rows: list[tuple[Utterance, str]] = []
    ledger: list[LedgerRow] = []
    for file, given in by_file.items():
        if not given:
            continue
        try:
            sound, unheard = hear(file), None
        except DataError as error:
            sound, unheard = Sound(file), f"no sound file: {error}"
        for tier, annotation in sorted(given, key=lambda pair: _time(pair[1])):
            row = _utterance(tier, annotation, sound, language)
            if reason := unheard or _fault(annotation, row):
                ledger.append(LedgerRow(str(sound.audio), reason, where=annotation.where))
            else:
                rows.append((row, annotation.where))
    manifest = without_rivals(rows, ledger)
    if not manifest.rows:
        first = next(iter(manifest.ledger), None)
        why = f" The first of {len(manifest.ledger)}: {first.where}: {first.reason}" if first else ""
        raise DataError(f"{data}: holds no annotation that can be used.{why}")
    return manifest


def _time(annotation: Annotation) -> tuple[float, float]:
    """Sorting key: what has no time comes last."""
    start, end = annotation.start, annotation.end
    return math.inf if start is None else start, math.inf if end is None else end


def _utterance(tier: Tier, annotation: Annotation, sound: Sound, language: str | None) -> Utterance:
    start, end = (time if time is None else time + sound.origin for time in (annotation.start, annotation.end))
    language = tier.language or language
    return Utterance(sound.audio, start, end, annotation.text, speaker=tier.speaker, language=language)


def _fault(annotation: Annotation, row: Utterance) -> str | None:
    """Why an annotation can be no row; None where it can."""
    if annotation.fault or not annotation.text:
        return annotation.fault or "no text in the annotation"
    if row.start is None or row.end is None:
        return "no time is known for the annotation"
    if not 0 <= row.start < row.end < math.inf:
        return f"an empty or impossible span: {row.start:g} to {row.end:g} s"
    return None


def without_rivals(rows: Sequence[tuple[Utterance, str]], ledger: Sequence[LedgerRow]) -> Manifest:
    """A manifest in which no two rows are of one stretch of sound.

    Where several say the same of it the first stays, where they differ none.

    Args:
        rows: each with the place that it was read from.
        ledger: what was dropped before.
    """
    said: dict[str, dict[tuple[str | None, str | None], str]] = defaultdict(dict)
    for row, where in rows:
        said[row.id].setdefault((row.text, row.label), where)
    kept: dict[str, Utterance] = {}
    dropped = list(ledger)
    for row, where in rows:
        if len(said[row.id]) > 1:
            texts = " | ".join(str(text or label) for text, label in said[row.id])
            dropped.append(LedgerRow(row.id, f"the same stretch has different texts: {texts}", where=where))
        elif row.id in kept:
            first = said[row.id][row.text, row.label]
            dropped.append(LedgerRow(row.id, f"the same stretch and text as another annotation: {first}", where=where))
        else:
            kept[row.id] = row
    return Manifest(tuple(kept.values()), tuple(dropped))
