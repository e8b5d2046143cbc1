"""What must hold before training: every utterance is heard, read and judged, and nothing is dropped unsaid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import track

from speechtransfer.audio import Recordings
from speechtransfer.batches import unusable_audio
from speechtransfer.corpora.contract import is_sound
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import DataError, TextError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance
from speechtransfer.objectives.contract import Objective
from speechtransfer.splits import leaks
from speechtransfer.text import TextContract

#: A missing file is a mistake in the data as a whole, never a row to drop in silence.
_TRAINING = (None, "train", "dev")


@dataclass(frozen=True)
class Examined:
    """What the doctor found.

    Attributes:
        manifest: the rows that can be used; the ledger holds the others.
        errors: faults that forbid training, each with what to do.
        seconds: of usable sound by split (``all`` where rows have none).
    """

    manifest: Manifest
    errors: tuple[str, ...]
    seconds: dict[str, float]


def examine(manifest: Manifest, recordings: Recordings, contract: TextContract, field: str = "text") -> Examined:
    """Read every recording and transcript, and say which can be used.

    Rows without a split, or in train or dev, are dropped into the ledger. A row of a test split is never
    dropped: what makes it unusable is an error, also where the importer found it, and so are a missing
    file, a split left empty, and a recording that stands in two splits.

    Args:
        manifest: what an importer gave.
        recordings: the reader.
        contract: what transcripts must pass.
        field: what the objective learns from, ``text`` or ``label``.
    """
    errors: list[str] = []
    reasons: dict[str, str] = {}
    for row in track(manifest.rows, description="examining", transient=True):
        reason = _missing(row) or unusable_audio(recordings, row) or _unusable_field(row, contract, field)
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
        errors.append("no utterance can be used. The ledger has the reason for each.")
    whole = {row.audio for row in kept if not row.start and row.end is None}
    crossing = leaks(kept, lambda row: str(row.audio) if row.audio in whole else row.id)
    errors += [f"{audio} is in the splits {', '.join(names)} at once." for audio, names in crossing.items()]
    return Examined(kept, tuple(errors), _seconds(kept, recordings))


def _lost_from_a_test(row: LedgerRow) -> bool:
    """Whether an importer dropped a test utterance; a stray file beside the sound is none."""
    sound = is_sound(Path(row.audio)) or is_sound(Path(row.audio.rpartition("#")[0]))
    return row.action == "dropped" and row.split not in _TRAINING and sound


def _missing(row: Utterance) -> str | None:
    return None if row.audio.is_file() else "there is no such file"


def _unusable_field(row: Utterance, contract: TextContract, field: str) -> str | None:
    value = getattr(row, field)
    if value is None:
        return "no transcript" if field == "text" else f"no {field}"
    if field == "text":
        try:
            contract.apply(value)
        except TextError as error:
            return f"unusable transcript: {error}"
    return None


def _seconds(rows: Iterable[Utterance], recordings: Recordings) -> dict[str, float]:
    totals: dict[str, float] = {}
    for row in rows:
        name = row.split or "all"
        totals[name] = totals.get(name, 0.0) + recordings.seconds(row)
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


def learnable(train: Manifest, encoder: Encoder, objective: Objective, recordings: Recordings) -> Manifest:
    """Training rows that the objective can learn at the encoder's real stride; others enter the ledger.

    Raises:
        DataError: none is left.
    """
    samples = [len(recordings(row)) for row in train]
    frames = encoder.frame_lengths(torch.tensor(samples, dtype=torch.int64)).tolist()
    counts = dict(zip((row.id for row in train), frames, strict=True))
    kept = train.keep(lambda row: objective.unfit(row, counts[row.id]))
    if not len(kept):
        reason = kept.ledger[-1].reason if kept.ledger else "it was empty"
        raise DataError(f"the train split has no utterance that can be learnt from ({reason}).")
    return kept
