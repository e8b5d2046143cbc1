"""A table with one header line -> its rows by column, and why a row cannot be read."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.errors import DataError
from speechtransfer.files import read_text_lines


@dataclass(frozen=True)
class Record:
    """One row of a table.

    Attributes:
        where: the file and line.
        cells: by the name of their column in lower case, without blanks around them; of a row
            that is cut short, the first.
        fault: why the row cannot be relied on; None where it can.
    """

    where: str
    cells: Mapping[str, str]
    fault: str | None = None


def read_records(table: Path, delimiter: str, needed: Sequence[str]) -> list[Record]:
    """The rows of a table in UTF-8, blank lines left out.

    Args:
        table: the file. Where tabs separate, nothing is quoted; elsewhere CSV's rules hold.
        delimiter: what separates the fields.
        needed: columns that must be there; they may stand in any order, among others.

    Raises:
        DataError: it cannot be read, is not well-formed, or lacks a column or has it twice.
    """
    lines = io.StringIO("\n".join(read_text_lines(table)))
    if delimiter == "\t":
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    records = []
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        for name in needed:
            if header.count(name) != 1:
                has = f"has {header.count(name)} columns" if name in header else "has no column"
                raise DataError(f"{table}: {has} {name}; its header is {', '.join(header)[:200] or 'empty'}.")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                values = dict(zip(header, (cell.strip() for cell in cells), strict=False))
                records.append(Record(f"{table}:{reader.line_num}", values, _fault(cells, len(header))))
    except csv.Error as error:
        raise DataError(f"{table}:{reader.line_num}: is not a well-formed table ({error}).") from error
    return records


def _fault(cells: Sequence[str], count: int) -> str | None:
    if len(cells) != count:
        return f"the row and the header differ in length: {len(cells)} and {count} fields"
    if any("\0" in cell for cell in cells):
        return "a null character in the row"
    return None
