"""A folder with ``metadata.csv`` or ``metadata.tsv`` -> Manifest."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from speechtransfer.corpora.contract import SPLIT_NAMES, Importer, is_sound, walk
from speechtransfer.errors import DataError
from speechtransfer.files import read_text
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, readable, resolve_inside

COLUMNS = {
    "audio": ("file_name", "audio", "path", "file"),
    "text": ("text", "sentence", "transcription", "transcript"),
    "label": ("label",),
    "speaker": ("speaker", "client_id"),
    "language": ("language",),
    "split": ("split",),
    "start": ("start",),
    "end": ("end",),
}
"""The column names that each field of a row may have; of several in one table, the first counts."""

_NAMES = ("metadata.csv", "metadata.tsv")
_SUFFIXES = (".csv", ".tsv")


def recognises(data: str) -> bool:
    """Whether DATA is a .csv or .tsv file, or a folder that holds ``metadata.csv`` or ``metadata.tsv``."""
    path = Path(data)
    if path.is_file():
        return path.suffix.lower() in _SUFFIXES
    return any((path / name).is_file() for name in _NAMES)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read a table of utterances, UTF-8 with or without a byte order mark, one header line.

    A table separated by commas (or semicolons, where the header has no comma) follows CSV's quoting; one
    separated by tabs has none. Rows without a transcript or label, and sound files of the folder that no
    row names, become ledger rows.

    Args:
        data: the folder or the table.
        audio_roots: folders besides the table's own that audio may lie in.
        language: ISO 639-3 code of rows that state none.

    Raises:
        DataError: an unreadable table, columns or fields that do not fit, an impossible span, a row whose
            file is missing or lies outside the folders allowed, the same utterance twice, or no row.
    """
    table = _table(Path(data))
    base = table.parent.resolve()
    roots = readable(base, audio_roots)
    rows: list[Utterance] = []
    ledger: list[LedgerRow] = []
    named: set[Path] = set()
    seen: dict[str, str] = {}
    for where, values in _records(table):
        row = _utterance(values, where, base, roots, language)
        named.add(row.audio)
        if row.id in seen:
            raise DataError(f"{where}: {row.id} is already in {seen[row.id]}. Remove one of them.")
        seen[row.id] = where
        if row.text is None and row.label is None:
            ledger.append(LedgerRow(row.id, "no transcript", split=row.split, where=where))
        else:
            rows.append(row)
    if not rows:
        raise DataError(f"{table}: holds no row with a transcript or label.")
    for path in walk(base):
        if is_sound(path) and path not in named:
            ledger.append(LedgerRow(str(path), f"no row in {table.name}"))
    return Manifest(tuple(rows), tuple(ledger))


def _table(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [path / name for name in _NAMES if (path / name).is_file()]
    if len(found) != 1:
        holds = f"both {' and '.join(_NAMES)}" if found else f"neither {' nor '.join(_NAMES)}"
        raise DataError(f"{path}: holds {holds}. Keep or name one table.")
    return found[0]


def _records(table: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Where each row stands, and its non-empty values by field of ``COLUMNS``."""
    content = read_text(table)
    header_line = content.split("\n", 1)[0]
    if table.suffix.lower() == ".tsv":
        reader = csv.reader(io.StringIO(content, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        delimiter = ";" if ";" in header_line and "," not in header_line else ","
        reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        places = _places([name.strip().lower() for name in header], table)
        for cells in reader:
            where = f"{table}:{reader.line_num}"
            if len(cells) > len(header):
                raise DataError(
                    f"{where}: has {len(cells)} fields, the header {len(header)}. Quote texts that hold the separator."
                )
            values = {field: cells[place].strip() for field, place in places.items() if place < len(cells)}
            if any(cell.strip() for cell in cells):
                yield where, {field: value for field, value in values.items() if value}
    except csv.Error as error:
        raise DataError(f"{table}:{reader.line_num}: is not a well-formed table ({error}).") from error


def _places(header: list[str], table: Path) -> dict[str, int]:
    """Index of the column of each field that the table has."""
    places = {
        field: header.index(name)
        for field, names in COLUMNS.items()
        for name in [next((name for name in names if name in header), None)]
        if name is not None
    }
    for needed in (("audio",), ("text", "label")):
        if not any(field in places for field in needed):
            names = [name for field in needed for name in COLUMNS[field]]
            raise DataError(
                f"{table}: has no column {', '.join(names[:-1])} or {names[-1]}; "
                f"its header is {', '.join(header) or 'empty'}."
            )
    return places


def _utterance(
    values: dict[str, str], where: str, base: Path, roots: Sequence[Path], language: str | None
) -> Utterance:
    if "audio" not in values:
        raise DataError(f"{where}: names no sound file.")
    audio = resolve_inside(values["audio"], base, roots, where)
    if not os.path.isfile(audio):  # unlike Path's, false of a name that no file can have
        raise DataError(f"{where}: {values['audio']} does not exist. Correct the row or add the file.")
    start, end = (_seconds(values.get(field), where) for field in ("start", "end"))
    if end is not None and end <= (start or 0.0):
        raise DataError(f"{where}: the span {start or 0.0:g} to {end:g} s is empty.")
    split = values.get("split")
    return Utterance(
        audio,
        start=start,
        end=end,
        text=values.get("text"),
        label=values.get("label"),
        speaker=values.get("speaker"),
        language=values.get("language", language),
        split=SPLIT_NAMES.get(split, split) if split else None,
    )


def _seconds(value: str | None, where: str) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise DataError(f"{where}: {value!r} is no time in seconds; write it like 12.5.")
    return seconds


IMPORTER = Importer(
    looks_like=f"a folder that holds {' or '.join(_NAMES)}, or such a table",
    recognises=recognises,
    load=load,
)
