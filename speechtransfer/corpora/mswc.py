"""The Multilingual Spoken Words Corpus -> Manifest: ``clips/<word>/*.opus`` beside ``<lang>_splits.csv``."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from speechtransfer.corpora.clips import Clips
from speechtransfer.corpora.contract import SPLIT_NAMES, Importer
from speechtransfer.corpora.delimited import Record, read_records
from speechtransfer.corpora.iso639 import language_of, settle
from speechtransfer.corpora.media import name_key, plain_path
from speechtransfer.errors import DataError
from speechtransfer.manifest import SPLITS, LedgerRow, Manifest, Utterance

_COLUMNS = ("link", "word", "valid", "speaker")
_VALIDITY = {"true": None, "false": "not valid"}


def recognises(data: str) -> bool:
    """Whether DATA, or a folder in it, holds ``clips/`` and a table of splits."""
    return Path(data).is_dir() and bool(_languages(Path(data)))


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read the splits of one language, or of several in a folder each.

    ``<lang>_splits.csv`` is read where it is there, otherwise ``<lang>_train.csv``, ``_dev`` and ``_test``. Rows that
    are not valid or whose sound is missing, and clips that no row names, are in the ledger.

    Args:
        data: the folder of a language (it holds ``clips``), or a folder of such folders.
        audio_roots: folders besides DATA that audio may lie in.
        language: ISO 639-3 code where the tables' names tell none, or a member of the macrolanguage that they tell.

    Raises:
        DataError: a table that cannot be read, a clip named twice, another language than ``language``, or no row
            that can be used.
    """
    base = Path(data).resolve()
    folders = _languages(base)
    if not folders:
        raise DataError(f"{data}: neither it nor a folder in it holds clips/ and a <lang>_splits.csv.")
    rows: dict[Path, Utterance] = {}
    places: dict[Path, str] = {}
    ledger = []
    for folder in folders:
        clips = Clips(folder / "clips", base, audio_roots)
        links = []
        for table, split in _tables(folder):
            stated = settle(language_of(table.stem.rpartition("_")[0]), language, str(table))
            for record in read_records(table, ",", _COLUMNS if split else ("set", *_COLUMNS)):
                link = record.cells.get("link", "")
                row = _utterance(record, split, clips, stated)
                if isinstance(row, Utterance):
                    if row.audio in rows:
                        raise DataError(f"{record.where}: {link} is already in {places[row.audio]}. Remove one.")
                    rows[row.audio], places[row.audio] = row, record.where
                else:
                    ledger.append(LedgerRow(link or record.where, row, where=record.where))
                links.append(link)
        ledger += [LedgerRow(str(path), "no row in any table") for path in clips.beyond(links)]
    if not rows:
        why = f" The first of {len(ledger)}: {ledger[0].reason}" if ledger else ""
        raise DataError(f"{data}: no clip can be used.{why}")
    return Manifest(tuple(rows.values()), tuple(ledger))


def _languages(folder: Path) -> list[Path]:
    candidates = [folder] if (folder / "clips").is_dir() else sorted(path.parent for path in folder.glob("*/clips"))
    return [path for path in candidates if _tables(path)]


def _tables(folder: Path) -> list[tuple[Path, str | None]]:
    """The tables of a language, and the split that each is for; None where its rows say."""
    whole = sorted(folder.glob("*_splits.csv"))
    if whole:
        return [(path, None) for path in whole]
    return [(path, split) for split in SPLITS for path in sorted(folder.glob(f"*_{split}.csv"))]


def _utterance(record: Record, split: str | None, clips: Clips, language: str | None) -> Utterance | str:
    """The row of a clip, or why there is none."""
    cells = record.cells
    if record.fault:
        return record.fault
    if not cells["word"]:
        return "no word"
    validity = cells["valid"].lower()
    if (reason := _VALIDITY.get(validity, f"neither True nor False in the column VALID: {validity}")) is not None:
        return reason
    split = split or SPLIT_NAMES.get(cells["set"].lower())
    if split is None:
        return f"none of TRAIN, DEV and TEST in the column SET: {cells['set']}"
    try:
        audio = clips.find(cells["link"], record.where)
    except DataError as error:
        return f"no sound file: {error}"
    word = PurePosixPath(plain_path(cells["link"])).parent.name
    if word and name_key(word) != name_key(audio.parent.name):  # words cut out of one sentence have one file name
        return f"no sound file: {audio} has its name, but is of another word"
    label = unicodedata.normalize("NFC", cells["word"])
    return Utterance(audio, label=label, speaker=cells["speaker"] or None, language=language, split=split)


IMPORTER = Importer(
    looks_like="a language of the Multilingual Spoken Words Corpus: clips/<word>/ beside <lang>_splits.csv",
    recognises=recognises,
    load=load,
)
