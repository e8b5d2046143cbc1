"""A release of Common Voice, unpacked -> Manifest: ``clips/`` beside ``validated.tsv`` and its splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from speechtransfer.corpora.clips import Clips
from speechtransfer.corpora.contract import Importer, words
from speechtransfer.corpora.delimited import Record, read_records
from speechtransfer.corpora.iso639 import language_of, settle
from speechtransfer.errors import DataError
from speechtransfer.manifest import SPLITS, LedgerRow, Manifest, Utterance

_VALIDATED = "validated"
_NOT_VALIDATED = ("invalidated", "other")
_TABLES = (*SPLITS, _VALIDATED, *_NOT_VALIDATED)
_COLUMNS = ("client_id", "path", "sentence")


def recognises(data: str) -> bool:
    """Whether DATA is a folder that holds ``clips/`` and a table of a release."""
    folder = Path(data)
    return (folder / "clips").is_dir() and any((folder / f"{name}.tsv").is_file() for name in _TABLES)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read a release's tables; they name the speaker ``client_id``, and the language ``locale``.

    The splits are the release's. A validated clip in none of them is learnt from too, unless its speaker or its
    sentence is in dev or test. Where a release has no splits, its validated clips have none. All other clips
    of the tables, rows whose sound is missing, and files that no table names, are in the ledger.

    Args:
        data: the folder of one language.
        audio_roots: folders besides DATA that audio may lie in.
        language: ISO 639-3 code of rows that state none, or a member of the macrolanguage that they state.

    Raises:
        DataError: no table, or one that cannot be read; a clip named twice; another language than ``language``;
            or no row that can be used.
    """
    base = Path(data).resolve()
    named = {name: base / f"{name}.tsv" for name in _TABLES}
    tables = {name: read_records(path, "\t", _COLUMNS) for name, path in named.items() if path.is_file()}
    if not tables.keys() - set(_NOT_VALIDATED):
        raise DataError(f"{data}: holds none of {', '.join(f'{name}.tsv' for name in (*SPLITS, _VALIDATED))}.")
    clips = Clips(base / "clips", base, audio_roots)
    rows, ledger = [], []
    seen: dict[Path, str] = {}
    left_out, used = set(), set()
    for record, split, reason in _given(tables):
        name = record.cells.get("path", "")
        row = reason or _utterance(record, split, clips, language)
        if not isinstance(row, Utterance):
            ledger.append(LedgerRow(name or record.where, row, split=split, where=record.where))
            left_out.add(name)
            continue
        if row.audio in seen:
            raise DataError(f"{record.where}: {name} is already in {seen[row.audio]}. Remove one of them.")
        seen[row.audio] = record.where
        used.add(name)
        rows.append(row)
    for table in _NOT_VALIDATED:
        for record in tables.get(table, ()):
            name = record.cells.get("path", "")
            if name in used:
                ledger.append(LedgerRow(name, f"used, but also in {table}.tsv", action="kept", where=record.where))
            elif not name or name not in left_out:
                ledger.append(LedgerRow(name or record.where, f"not validated: {table}.tsv", where=record.where))
                left_out.add(name)
    if not rows:
        why = f" The first: {ledger[0].reason}" if ledger else ""
        raise DataError(f"{data}: no clip of the {len(ledger)} in its tables can be used.{why}")
    told = (record.cells.get("path", "") for records in tables.values() for record in records)
    ledger += [LedgerRow(str(path), "no row in any table") for path in clips.beyond(told)]
    return Manifest(tuple(rows), tuple(ledger))


def _given(tables: Mapping[str, list[Record]]) -> Iterator[tuple[Record, str | None, str | None]]:
    """Each row of a split, each further row that was validated, the split that it is for, and why it is left out."""
    splits = [name for name in SPLITS if name in tables]
    for split in splits:
        yield from ((record, split, record.fault) for record in tables[split])
    held_out = [record.cells for name in splits if name != "train" for record in tables[name]]
    speakers = {cells.get("client_id") for cells in held_out}
    sentences = {words(cells.get("sentence", "")) for cells in held_out}
    taken = {record.cells.get("path") for split in splits for record in tables[split]}
    for record in tables.get(_VALIDATED, ()):
        if record.cells.get("path") in taken:
            continue
        reason = record.fault
        if splits and not reason:
            if not record.cells["client_id"]:
                reason = "in no split, and its speaker is not known"
            elif record.cells["client_id"] in speakers:
                reason = "in no split, and its speaker is in dev or test"
            elif words(record.cells["sentence"]) in sentences:
                reason = f"in no split, and its sentence is in dev or test: {record.cells['sentence']}"
        yield record, "train" if splits else None, reason


def _utterance(record: Record, split: str | None, clips: Clips, language: str | None) -> Utterance | str:
    """The row of a clip, or why there is none."""
    cells = record.cells
    if not cells["sentence"]:
        return "no transcript"
    stated = settle(language_of(cells.get("locale", "")), language, record.where)
    try:
        audio = clips.find(cells["path"], record.where)
    except DataError as error:
        return f"no sound file: {error}"
    return Utterance(audio, text=cells["sentence"], speaker=cells["client_id"] or None, language=stated, split=split)


IMPORTER = Importer(
    looks_like="a release of Common Voice: clips/ beside validated.tsv, or train.tsv, dev.tsv and test.tsv",
    recognises=recognises,
    load=load,
)
