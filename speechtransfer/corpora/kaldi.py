"""Kaldi data directories -> Manifest: ``wav.scp``, ``text``, and ``segments``, ``utt2spk``, ``utt2lang`` if there."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.corpora.contract import SPLIT_NAMES, Importer, UnusableError
from speechtransfer.corpora.iso639 import language_of, settle
from speechtransfer.corpora.media import Media
from speechtransfer.errors import DataError
from speechtransfer.files import read_text_lines
from speechtransfer.manifest import LedgerRow, Manifest, Utterance

_SPLITS = SPLIT_NAMES | {"eval": "test"}
_ARCHIVED = re.compile(r".*:\d+(\[.*\])?")


@dataclass(frozen=True)
class _Entry:
    """What one line says after its first field."""

    value: str
    where: str


_Table = dict[str, _Entry]


def recognises(data: str) -> bool:
    """Whether DATA, or a folder in it or in its ``data``, holds ``wav.scp``."""
    return Path(data).is_dir() and bool(_directories(Path(data)))


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read one data directory, or those in DATA or DATA/data, which are the splits.

    ``train``, ``dev`` (``valid``, ``validation``, ``val``) and ``test`` (``eval``) are splits, directories whose
    names begin with ``test`` further test sets; what is in others is in the ledger. Of an ``utt2spk`` in which every
    utterance is its own speaker nothing is learnt. Utterances without text or sound, texts without an utterance
    and recordings without a segment are in the ledger.

    Args:
        data: the folder.
        audio_roots: folders besides DATA that audio may lie in.
        language: ISO 639-3 code of utterances for which ``utt2lang`` states none.

    Raises:
        DataError: an unreadable file, an identifier twice in one, sound that a program would have to make,
            an utterance in two splits, another language than ``language``, or no row that can be used.
    """
    base = Path(data).resolve()
    media = Media(base, audio_roots)
    directories = _directories(base)
    if not directories:
        raise DataError(f"{data}: neither it nor a folder in it holds wav.scp.")
    rows: list[Utterance] = []
    ledger: list[LedgerRow] = []
    seen: dict[str, str | None] = {}
    for directory in directories:
        name = directory.name
        split = None if directory == base else _SPLITS.get(name, name if name.startswith("test") else None)
        part = _read(directory, split, media, language)
        if directory != base and split is None:
            part = _set_aside(part, name)
        ledger += part.ledger
        for row in part:
            if seen.setdefault(row.id, split) != split:
                raise DataError(f"{directory}: {row.id} is in the split {seen[row.id]} as well. Remove one of them.")
        rows += part
    if not rows:
        why = f" The first of {len(ledger)}: {ledger[0].reason}" if ledger else ""
        raise DataError(f"{data}: no utterance can be used.{why}")
    return Manifest(tuple(rows), tuple(ledger))


def _directories(folder: Path) -> list[Path]:
    """The data directories: the folder alone, or those in it, or those in its ``data``."""
    if (folder / "wav.scp").is_file():
        return [folder]
    for place in (folder, folder / "data"):
        if found := sorted(path.parent for path in place.glob("*/wav.scp") if path.is_file()):
            return found
    return []


def _read(folder: Path, split: str | None, media: Media, language: str | None) -> Manifest:
    sounds, texts = _entries(folder / "wav.scp"), _entries(folder / "text")
    _refuse_programs(sounds)
    segmented = (folder / "segments").is_file()
    spans = _entries(folder / "segments") if segmented else sounds
    speakers, languages = (
        _entries(folder / name) if (folder / name).is_file() else {} for name in ("utt2spk", "utt2lang")
    )
    if all(key == entry.value for key, entry in speakers.items()):
        speakers = {}
    rows: dict[str, Utterance] = {}
    ledger = []
    for key, span in spans.items():
        try:
            fields = span.value.split() if segmented else [key]
            if segmented and len(fields) != 3:
                raise UnusableError(f"a segment is a recording, a start and an end: {span.value}")
            audio, start, end = _span(fields, sounds, media, folder)
            if key not in texts or not texts[key].value:
                raise UnusableError("no transcript")
        except UnusableError as reason:
            ledger.append(LedgerRow(key, str(reason), split=split, where=span.where))
            continue
        stated = languages.get(key)
        row = Utterance(
            audio,
            start,
            end,
            text=texts[key].value,
            speaker=speakers[key].value or None if key in speakers else None,
            language=settle(language_of(stated.value), language, stated.where) if stated else language,
            split=split,
        )
        if rows.setdefault(row.id, row) is not row:
            ledger.append(LedgerRow(key, "the same sound as another utterance", split=split, where=span.where))
    cut = {span.value.partition(" ")[0] for span in spans.values()}
    for key, entry in sounds.items():
        if segmented and key not in cut:
            ledger.append(LedgerRow(key, "no segment of the recording", split=split, where=entry.where))
    for key, entry in texts.items():
        if key not in spans:
            ledger.append(LedgerRow(key, f"no sound for the text: {entry.value}", split=split, where=entry.where))
    return Manifest(tuple(rows.values()), tuple(ledger))


def _set_aside(part: Manifest, name: str) -> Manifest:
    return part.keep(lambda row: f"in a directory that is no split: {name}")


def _span(
    segment: Sequence[str], sounds: _Table, media: Media, folder: Path
) -> tuple[Path, float | None, float | None]:
    """The file of an utterance and its seconds; a segment is a recording, or a recording, a start and an end."""
    recording, *times = segment
    if recording not in sounds:
        raise UnusableError(f"no such recording in wav.scp: {recording}")
    start = end = None
    if times:
        try:
            start, end = map(float, times)
        except ValueError:
            raise UnusableError(f"a segment is a recording, a start and an end: {' '.join(segment)}") from None
        end = None if end == -1 else end  # Kaldi's mark for the recording's end
        if not 0 <= start < math.inf or (end is not None and not start < end < math.inf):
            raise UnusableError(f"the segment is empty or negative: {' '.join(segment)}")
    try:
        return media.find(sounds[recording].value, sounds[recording].where, folder), start, end
    except DataError as error:
        raise UnusableError(f"no sound file: {error}") from error


def _entries(path: Path) -> _Table:
    """The lines of a Kaldi table by their first field."""
    entries: _Table = {}
    for number, line in enumerate(read_text_lines(path), 1):
        key, _, value = re.sub(r"[ \t]+", " ", line.strip(" \t\r"), count=1).partition(" ")
        if not key:
            continue
        where = f"{path}:{number}"
        if "\0" in line:
            raise DataError(f"{where}: holds a null character. Make the file again.")
        if key in entries:
            raise DataError(f"{where}: {key} is already in {entries[key].where}. Remove one of them.")
        entries[key] = _Entry(value, where)
    return entries


def _refuse_programs(sounds: _Table) -> None:
    """Raise DataError where sound is not a file's: a program's output, standard input, or inside an archive."""
    odd = [key for key, entry in sounds.items() if _is_no_file(entry.value)]
    if odd:
        first = sounds[odd[0]]
        others = f" (and {len(odd) - 1} more)" if len(odd) > 1 else ""
        raise DataError(
            f"{first.where}: the sound of {odd[0]}{others} is no file but {first.value[:200]!r}. A pipe is a program, "
            "which is never run, and archives are not read. Convert the sound to files first, and name them here."
        )


def _is_no_file(name: str) -> bool:
    return name.startswith("|") or name.endswith("|") or name == "-" or bool(_ARCHIVED.fullmatch(name))


IMPORTER = Importer(
    looks_like="a Kaldi data directory: wav.scp and text; or a folder of such directories, train, dev and test",
    recognises=recognises,
    load=load,
)
