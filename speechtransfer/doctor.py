"""What must hold before training: every utterance is heard, read and judged, and nothing is dropped unsaid."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from speechtransfer.audio import is_silent
from speechtransfer.console import watched
from speechtransfer.corpora.contract import is_sound
from speechtransfer.errors import AudioError, DataError, TextError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, ledger_counts
from speechtransfer.measure import Measured, measure
from speechtransfer.splits import leaks
from speechtransfer.text import TextContract

if TYPE_CHECKING:
    from speechtransfer.batches import Sound
    from speechtransfer.encoders.contract import Encoder
    from speechtransfer.objectives.contract import Objective

#: A missing file is a mistake in the data as a whole, never a row to drop in silence.
_TRAINING = (None, "train", "dev")
#: Decoders and hashes free the interpreter lock; beyond so many threads the disk is the limit.
_MOST_THREADS = 8
#: Files that wait for them at a time: a job that waits takes a kilobyte.
_WAITING = 1000
_SILENT = "silent: no sample rises above -90 dBFS"


@dataclass(frozen=True)
class Examined:
    """What the doctor found.

    Attributes:
        manifest: the rows that can be used; the ledger holds the others.
        errors: faults that forbid training, each with what to do.
        seconds: of usable sound by split (``all`` where rows have none).
        said: usable transcripts after the text contract, by id; empty where another field is learnt.
    """

    manifest: Manifest
    errors: tuple[str, ...]
    seconds: dict[str, float]
    said: dict[str, str]

    @property
    def sizes(self) -> list[tuple[str, int, float]]:
        """Name, utterances and minutes of each split."""
        counts = Counter(row.split or "all" for row in self.manifest)
        return [(name, counts[name], total / 60) for name, total in self.seconds.items()]


def unusable_audio(recordings: Sound, utterance: Utterance) -> str | None:
    """Why an utterance's sound cannot be learnt from (unreadable, truncated, silent), or None.

    The kind of fault stands before a colon, where the ledger's reader counts by it; no path stands in it.
    """
    try:
        wave = recordings(utterance)
    except AudioError as error:
        return _unusable(utterance, error)
    return _SILENT if is_silent(wave) else None


def _unusable(row: Utterance, error: AudioError) -> str:
    return "unusable sound: " + str(error).removeprefix(f"{row.audio}: ")


def listen(rows: Sequence[Utterance]) -> tuple[dict[str, Measured], dict[str, str]]:
    """Decode every recording once, two at a time or more, and measure it.

    Returns:
        What was measured of each utterance that can be used, by id; why of each other it cannot, as
        ``unusable_audio``.
    """
    measured: dict[str, Measured] = {}
    faults: dict[str, str] = {}
    # Spans of one file follow each other in one thread: what only FFmpeg can read is kept decoded from one to the next.
    files = [[*group] for _, group in groupby(rows, key=lambda row: row.audio)]

    def hear(group: list[Utterance]) -> list[tuple[str, Measured | str]]:
        return [(row.id, _heard(row)) for row in group]

    def results() -> Iterator[tuple[str, Measured | str]]:
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            for first in range(0, len(files), _WAITING):
                for found in pool.map(hear, files[first : first + _WAITING]):
                    yield from found

    for name, found in watched(results(), "listening", len(rows)):
        if isinstance(found, str):
            faults[name] = found
        else:
            measured[name] = found
    return measured, faults


def _heard(row: Utterance) -> Measured | str:
    try:
        found = measure(row.audio, row.start, row.end)
    except AudioError as error:
        return _unusable(row, error)
    return _SILENT if found.silent else found


def examine(manifest: Manifest, recordings: Sound, contract: TextContract, field: str = "text") -> Examined:
    """Read every recording and transcript, and say which can be used.

    Args:
        manifest: what an importer gave.
        recordings: the reader.
        contract: what transcripts must pass.
        field: what the objective learns from, ``text`` or ``label``.
    """
    heard = ((row, unusable_audio(recordings, row)) for row in watched(manifest.rows, "examining"))
    faults = {row.id: fault for row, fault in heard if fault is not None}
    return judge(manifest, faults, recordings.seconds, contract, field)


def judge(
    manifest: Manifest,
    faults: Mapping[str, str],
    seconds: Callable[[Utterance], float],
    contract: TextContract,
    field: str = "text",
) -> Examined:
    """Say which utterances can be used, their sound having been heard.

    Rows without a split, or in train or dev, are dropped into the ledger. A row of a test split is never
    dropped: what makes it unusable is an error, also where the importer found it, and so are a missing
    file, a split left empty, and a recording that stands in two splits.

    Args:
        manifest: what an importer gave.
        faults: why the sound of an utterance cannot be used, by its id.
        seconds: of an utterance that can be.
        contract: what transcripts must pass.
        field: what the objective learns from, ``text`` or ``label``.
    """
    errors: list[str] = []
    reasons: dict[str, str] = {}
    said: dict[str, str] = {}
    for row in manifest.rows:
        reason = _missing(row) or faults.get(row.id) or _unusable_field(row, field)
        if reason is None and field == "text":
            try:
                said[row.id] = contract.apply(row.text or "")
            except TextError as error:
                reason = f"unusable transcript: {error}"
        if reason is None:
            continue
        if not row.audio.is_file() or row.split not in _TRAINING:
            errors.append(f"{row.id}: {reason}")
        reasons[row.id] = reason
    errors += [f"{row.audio}: {row.reason}" for row in manifest.ledger if _lost_from_a_test(row)]
    kept = manifest.keep(lambda row: reasons.get(row.id))
    given, left = set(manifest.splits), set(kept.splits)
    errors += [f"the {name} split would be empty: each of its rows is unusable." for name in sorted(given - left)]
    if not len(kept):
        errors.append(_nothing_left(kept.ledger, manifest, field))
    whole = {row.audio for row in kept if row.whole}
    crossing = leaks(kept, lambda row: str(row.audio) if row.audio in whole else row.id)
    errors += [f"{audio} is in the splits {', '.join(names)} at once." for audio, names in crossing.items()]
    return Examined(kept, tuple(errors), seconds_by_split(kept, seconds), said)


def _nothing_left(ledger: Sequence[LedgerRow], given: Manifest, field: str) -> str:
    """Why no utterance is left, by the commonest reason, and which task could use them."""
    if not ledger:
        return "no utterance can be used: there is none."
    kind, count = next(iter(ledger_counts(ledger).items()))
    first = next(row for row in ledger if row.reason.startswith(kind))
    told = f"no utterance can be used. Of {count} in {len(ledger)}, {first.audio} first: {first.reason.rstrip('.')}."
    other = "label" if field == "text" else "text"
    if any(getattr(row, field) is not None for row in given) or all(getattr(row, other) is None for row in given):
        return told
    meant = "--task keywords (or grades)" if field == "text" else "--task ctc"
    return f"{told} The rows have a {other}: did you mean {meant}?"


def _lost_from_a_test(row: LedgerRow) -> bool:
    """Whether an importer dropped a test utterance; a stray file beside the sound is none."""
    sound = is_sound(Path(row.audio)) or is_sound(Path(row.audio.rpartition("#")[0]))
    return row.action == "dropped" and row.split not in _TRAINING and sound


def _missing(row: Utterance) -> str | None:
    return None if row.audio.is_file() else "there is no such file"


def _unusable_field(row: Utterance, field: str) -> str | None:
    if getattr(row, field) is None:
        return "no transcript" if field == "text" else f"no {field}"
    return None


def seconds_by_split(rows: Iterable[Utterance], seconds: Callable[[Utterance], float]) -> dict[str, float]:
    """Seconds of sound of each split; ``all`` where rows have none."""
    totals: dict[str, float] = {}
    for row in rows:
        name = row.split or "all"
        totals[name] = totals.get(name, 0.0) + seconds(row)
    return totals


def require(examined: Examined) -> Manifest:
    """The usable rows.

    Raises:
        DataError: the examination found errors; the message holds the first of them.
    """
    if examined.errors:
        shown = "\n".join(examined.errors[:5])
        more = f"\n... and {len(examined.errors) - 5} more" if len(examined.errors) > 5 else ""
        raise DataError(shown + more)
    return examined.manifest


def learnable(train: Manifest, encoder: Encoder, objective: Objective, recordings: Sound) -> Manifest:
    """Training rows that the objective can learn at the encoder's real stride; others enter the ledger.

    Raises:
        DataError: none is left.
    """
    import torch  # slow to import, and most of what the doctor does needs none of it

    samples = [len(recordings(row)) for row in train]
    frames = encoder.frame_lengths(torch.tensor(samples, dtype=torch.int64)).tolist()
    counts = dict(zip((row.id for row in train), frames, strict=True))
    kept = train.keep(lambda row: objective.unfit(row, counts[row.id]))
    if not len(kept):
        reason = kept.ledger[-1].reason if kept.ledger else "it was empty"
        raise DataError(f"the train split has no utterance that can be learnt from ({reason}).")
    return kept
