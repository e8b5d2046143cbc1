"""A list of names and texts beside sound files -> Manifest: LJSpeech's ``metadata.csv``, or a spreadsheet's export."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from speechtransfer.corpora import tables
from speechtransfer.corpora.contract import Importer, is_sound, walk
from speechtransfer.corpora.pairing import Named, Pairs, pair
from speechtransfer.errors import DataError
from speechtransfer.files import read_text_lines
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, readable, resolve_inside

_SUFFIXES = (".csv", ".tsv", ".txt")
_SEPARATORS = ("\t", "|", ";", ",", " ")
_NO_LISTS = ("readme", "license", "licence", "copying", "changelog")
_LJSPEECH = "metadata.csv"
_BY_NAME = (_LJSPEECH, "metadata.tsv")  # tables whose header names their columns, unless they are LJSpeech's


def recognises(data: str) -> bool:
    """Whether DATA is a list without known column names, or a folder that holds one beside one folder of sound."""
    path = Path(data)
    if path.is_file():
        return path.suffix.lower() in _SUFFIXES and _is_list(path) and not _names_columns(path)
    if not path.is_dir() or not (found := _lists(path)):
        return False
    places = {file.parent for file in walk(path) if is_sound(file)}
    return len(places) == 1 or (bool(places) and found[0].name == _LJSPEECH)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Pair each line of a list, UTF-8, with the sound file that it names; order counts for nothing.

    A line holds a name and a text, separated by a tab, ``|``, ``;``, a comma or a blank: whichever finds most files.
    LJSpeech's ``metadata.csv`` has ``|`` and may have the text a third time, as it is read out, which is then
    taken. A name is that of a file with or without its ending, or its number where each number is there once.
    Lines without a file (so is a header), files without a line, and what may be several, are in the ledger. A
    list whose header names its columns is read as a table.

    Args:
        data: the folder or the list.
        audio_roots: folders besides the list's own that audio may lie in.
        language: ISO 639-3 code of every row.

    Raises:
        DataError: no list or several, an unreadable one, or one of which no name is a sound file's.
    """
    table = _list(Path(data))
    if _names_columns(table):
        return tables.load(str(table), audio_roots, language)
    base = table.parent.resolve()
    roots = readable(base, audio_roots)
    by_file: dict[Path, Path] = {}  # a link and what it leads to are one recording
    for path in (path for root in roots for path in walk(root) if is_sound(path)):
        by_file.setdefault(Path(os.path.realpath(path)), path)
    sounds = list(by_file.values())
    content = "\n".join(read_text_lines(table))
    attempts = [_paired(table, content, separator, sounds) for separator in _separators(table)]
    pairs, faults = max(attempts, key=_success)
    if not pairs.found:
        names = [row.audio for row in pairs.ledger if row.where] or [row.audio for row in faults]
        raise DataError(
            f"{table}: no line begins with the name of a sound file. Names are such as "
            f"{' and '.join(name[:80] for name in names[:2]) or 'none'}; files are such as "
            f"{' and '.join(path.name for path in sounds[:2]) or 'none'}. Give each line the name of its file."
        )
    rows = [
        Utterance(resolve_inside(str(path), base, roots, text.where), text=text.text, language=language)
        for text, path in pairs.found
    ]
    return Manifest(tuple(rows), (*faults, *_unexplained(pairs, faults)))


def _unexplained(pairs: Pairs, faults: Sequence[LedgerRow]) -> list[LedgerRow]:
    """The ledger of the pairs, without the files whose lines are among the faults: neither is counted twice."""
    left = [Path(row.audio) for row in pairs.ledger if row.where is None]
    lines = [Named(row.audio, "", row.where or "") for row in faults]
    explained = {str(path) for _, path in pair(lines, left).found}
    return [row for row in pairs.ledger if row.where is not None or row.audio not in explained]


def _paired(table: Path, content: str, separator: str, sounds: Sequence[Path]) -> tuple[Pairs, list[LedgerRow]]:
    """What one separator finds, and the lines that it cannot make two columns of."""
    texts, faults = [], []
    for where, (name, *rest) in _rows(table, content, separator):
        if table.name == _LJSPEECH and len(rest) == 2:
            rest = [rest[1] or rest[0]]
        if len(rest) == 1 and rest[0] and "\0" not in name + rest[0]:
            texts.append(Named(name, rest[0], where))
        else:
            reason = "no transcript" if not any(rest) else f"not a name and a text: {1 + len(rest)} columns"
            faults.append(LedgerRow(name or where, reason, where=where))
    return pair(texts, sounds), faults


def _success(attempt: tuple[Pairs, list[LedgerRow]]) -> tuple[int, int]:
    """How many lines found their files, and how many more have two columns."""
    pairs, _ = attempt
    return len(pairs.found), sum(row.where is not None for row in pairs.ledger)


def _rows(table: Path, content: str, separator: str) -> Iterator[tuple[str, list[str]]]:
    """Where each line stands that is not blank, and its columns up to the last that holds anything."""
    if separator in ";,":
        reader = csv.reader(io.StringIO(content), delimiter=separator, strict=True)
        try:
            rows = [(reader.line_num, cells) for cells in reader]
        except csv.Error:
            return  # another separator does better, or no line is found at all
    else:
        lines = enumerate(content.split("\n"), 1)
        rows = [(number, line.split(None, 1) if separator == " " else line.split(separator)) for number, line in lines]
    for number, cells in rows:
        cells = [cell.strip() for cell in cells]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield f"{table}:{number}", cells


def _separators(table: Path) -> tuple[str, ...]:
    return ("|",) if table.name == _LJSPEECH else _SEPARATORS


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(4096).decode("utf-8-sig", "replace").partition("\n")[0]
    except OSError:
        return ""


def _is_list(path: Path) -> bool:
    """Whether the first line has a separator; LJSpeech's own where the file has its name."""
    separators = _SEPARATORS if path.name not in _BY_NAME else ("|",)
    return any(separator in _first_line(path).strip() for separator in separators)


def _names_columns(path: Path) -> bool:
    """Whether a spreadsheet's first line is a header that says which column names the sound."""
    line = _first_line(path) if path.suffix.lower() != ".txt" else ""
    cells = {cell.strip().strip('"').lower() for separator in _SEPARATORS[:-1] for cell in line.split(separator)}
    return bool(cells & {*tables.COLUMNS["audio"]})


def _lists(folder: Path) -> list[Path]:
    """The lists directly in a folder: LJSpeech's alone, where it is there."""
    if any((folder / name).is_file() for name in _BY_NAME):
        own = folder / _LJSPEECH
        return [own] if own.is_file() and _is_list(own) and not _names_columns(own) else []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _SUFFIXES
        and path.is_file()
        and not path.name.lower().startswith((".", *_NO_LISTS))
        and _is_list(path)
    ]


def _list(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = _lists(path)
    if len(found) != 1:
        holds = f"several lists ({', '.join(one.name for one in found[:3])})" if found else "no list of names and texts"
        raise DataError(f"{path}: holds {holds}. Name the list itself, a .csv, .tsv or .txt file.")
    return found[0]


IMPORTER = Importer(
    looks_like="sound files beside a list of their names and texts: LJSpeech's metadata.csv, or any .csv, .tsv or .txt",
    recognises=recognises,
    load=load,
)
