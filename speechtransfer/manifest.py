"""Utterance rows, JSON Lines manifests, their fingerprint, and the drop ledger."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import overload

from speechtransfer.errors import DataError
from speechtransfer.files import read_text_lines, write_lines

SPLITS = ("train", "dev", "test")
#: Labels that are no words: other speech, and no speech. Nothing is ever spotted as one of them.
UNKNOWN, SILENCE = "_unknown_", "_silence_"
RESERVED = (UNKNOWN, SILENCE)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One row of a manifest: a span of a sound file and what is known of it.

    Attributes:
        audio: the sound file, absolute.
        start: first second of the span; None is the file's beginning.
        end: last second of the span; None is the file's end.
        text: the transcript as the corpus gives it, before any text contract.
        label: the class, for classification and keyword spotting.
        speaker: an identifier of the voice, where known.
        language: ISO 639-3 code.
        domain: a recording condition or corpus name.
        split: ``train``, ``dev``, ``test`` or the name of a further test set.
        group: a scene, story or session, all of which belongs in one split.
        confidence: in [0, 1], of a recogniser that put the text where it is; nothing is learnt from it.
    """

    audio: Path
    start: float | None = None
    end: float | None = None
    text: str | None = None
    label: str | None = None
    speaker: str | None = None
    language: str | None = None
    domain: str | None = None
    split: str | None = None
    group: str | None = None
    confidence: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it is all of its file."""
        return self.start is None and self.end is None

    @property
    def id(self) -> str:
        """The audio path with its span: unique in a manifest, the same on every run."""
        if self.whole:
            return str(self.audio)
        return f"{self.audio}#{self.start or 0:.9g}-{'' if self.end is None else f'{self.end:.9g}'}"


_FIELDS = tuple(field.name for field in fields(Utterance))


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One utterance that was dropped, changed, or kept with a doubt, with the reason a user can act on."""

    audio: str
    reason: str
    action: str = "dropped"
    split: str | None = None
    where: str | None = None


@dataclass(frozen=True)
class Manifest(Sequence[Utterance]):
    """An immutable sequence of utterances with the ledger of what did not make it in.

    Used + dropped = given: whoever removes a row adds a ledger row for it (see ``keep``).
    """

    rows: tuple[Utterance, ...]
    ledger: tuple[LedgerRow, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> Manifest: ...
    def __getitem__(self, index: int | slice) -> Utterance | Manifest:
        if isinstance(index, slice):
            return Manifest(self.rows[index], self.ledger)
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Utterance]:
        return iter(self.rows)

    def keep(self, reason_to_drop: Callable[[Utterance], str | None]) -> Manifest:
        """Rows for which ``reason_to_drop`` gives None; each other row becomes a ledger row."""
        kept, dropped = [], []
        for row in self.rows:
            reason = reason_to_drop(row)
            if reason is None:
                kept.append(row)
            else:
                dropped.append(LedgerRow(audio=row.id, reason=reason, split=row.split))
        return Manifest(tuple(kept), self.ledger + tuple(dropped))

    def split(self, name: str) -> Manifest:
        """The rows of one split, without the ledger (which belongs to the whole)."""
        return Manifest(tuple(row for row in self.rows if row.split == name))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits present: train, dev and test first, further test sets after."""
        present = {row.split for row in self.rows if row.split is not None}
        further = sorted(present - set(SPLITS))
        return tuple(name for name in SPLITS if name in present) + tuple(further)

    @property
    def speakers(self) -> frozenset[str]:
        """The known speakers."""
        return frozenset(row.speaker for row in self.rows if row.speaker is not None)

    def fingerprint(self) -> str:
        """SHA-256 over the rows in order; file names count, the folders above them do not.

        Two checkouts of one corpus in different places have the same fingerprint.
        """
        digest = hashlib.sha256()
        for row in self.rows:
            values = asdict(row)
            values["audio"] = "/".join(row.audio.parts[-2:])
            del values["confidence"]
            if row.group is None:  # as before there were groups
                del values["group"]
            digest.update(json.dumps(values, sort_keys=True, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()


def write_ledger(path: Path, ledger: Iterable[LedgerRow]) -> None:
    """Write a ledger as JSON Lines."""
    write_lines(path, (asdict(row) for row in ledger))


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest as JSON Lines, its audio paths relative to the manifest's folder."""
    base = path.parent.resolve()
    rows = []
    for row in manifest:
        values = {name: value for name, value in asdict(row).items() if value is not None}
        values["audio"] = os.path.relpath(row.audio, base)
        rows.append(values)
    write_lines(path, rows)


def read_manifest(path: str | Path, audio_roots: Sequence[str | Path] = ()) -> Manifest:
    """Read a JSON Lines manifest.

    Args:
        path: the manifest; audio paths in it are relative to its folder.
        audio_roots: further folders that audio may lie in. Anything else is refused.

    Raises:
        DataError: no such file, a line that is not a JSON object, an unknown or mistyped field,
            an audio path outside the allowed folders, or the same utterance twice.
    """
    path = Path(path)
    lines = read_text_lines(path)
    base = path.parent.resolve()
    roots = readable(base, audio_roots)
    rows = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _parse_row(line, f"{path}:{number}", base, roots)
        if row.id in seen:
            raise DataError(f"{path}:{number}: {row.audio.name} is already on line {seen[row.id]}. Remove one of them.")
        seen[row.id] = number
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: holds no utterance. Each line is a JSON object with an 'audio' path.")
    return Manifest(tuple(rows))


def _parse_row(line: str, where: str, base: Path, roots: Sequence[Path]) -> Utterance:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits among them
        raise DataError(f"{where}: is not JSON ({error}).") from error
    if not isinstance(values, dict):
        raise DataError(f"{where}: is not a JSON object.")
    for name, value in values.items():
        if name not in _FIELDS:
            raise DataError(f"{where}: unknown field {name!r}; the fields are {', '.join(_FIELDS)}.")
        numeric = name in ("start", "end", "confidence")
        accepted: tuple[type, ...] = (int, float) if numeric else (str,)
        if value is not None and (isinstance(value, bool) or not isinstance(value, accepted)):
            raise DataError(f"{where}: {name!r} must be {'a number' if numeric else 'text'}, not {value!r}.")
    if not values.get("audio"):
        raise DataError(f"{where}: has no 'audio' path.")
    if values.get("text") is not None and not values["text"].strip():
        raise DataError(f"{where}: 'text' is empty. Leave the field out, or transcribe the utterance.")
    try:
        start, end = float(values.get("start") or 0), float(math.inf if values.get("end") is None else values["end"])
    except OverflowError:  # whole numbers of hundreds of digits
        start = end = math.nan
    if not 0 <= start < end or (end == math.inf and values.get("end") is not None):
        raise DataError(f"{where}: the span {values.get('start')} to {values.get('end')} s is empty or negative.")
    if values.get("confidence") is not None and not 0 <= values["confidence"] <= 1:
        raise DataError(f"{where}: 'confidence' must be from 0 to 1, not {values['confidence']}.")
    values["audio"] = resolve_inside(values["audio"], base, roots, where)
    return Utterance(**values)


def readable(base: Path, audio_roots: Iterable[str | Path]) -> list[Path]:
    """The folders that sound may lie in, links followed: the data's own (resolved already) and those named."""
    return [base, *(Path(root).resolve() for root in audio_roots)]


def resolve_inside(audio: str, base: Path, roots: Sequence[Path], where: str) -> Path:
    """An audio path of a corpus, absolute, and refused outside the folders that may be read.

    Raises:
        DataError: the path leaves every one of ``roots`` (the message names ``--audio-root``).
    """
    if "\0" in audio:
        raise DataError(f"{where}: the audio path holds a null character.")
    path = os.path.normpath(os.path.join(base, audio))
    resolved = os.path.realpath(path)  # Path's own ways are several times slower, and rows may be many
    if not any(os.path.commonpath((resolved, root)) == str(root) for root in roots):
        folder = os.path.dirname(resolved)
        raise DataError(f"{where}: {audio} lies outside {base}. Allow its folder with --audio-root {folder}")
    return Path(path)


def ledger_counts(ledger: Iterable[LedgerRow]) -> dict[str, int]:
    """How many rows each reason has, commonest first; details after a colon are folded."""
    counts = Counter(row.reason.split(":")[0] for row in ledger)
    return dict(counts.most_common())
