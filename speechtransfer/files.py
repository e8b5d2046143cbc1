"""Files written whole or not at all, and where downloads are kept."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from speechtransfer.errors import DataError

#: Of a file that is read whole: the largest tables of public corpora have some hundred megabytes.
MOST_BYTES = 1 << 31


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: a temporary neighbour, flushed to disk, then renamed.

    Raises:
        DataError: the disk is full or the folder cannot be written; what was there is intact.
    """
    # A file name that is not UTF-8 holds lone surrogates; written as \udcXX, JSON reads them back.
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}). Free some disk space or choose another "
            "folder; nothing that was there before has been changed."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def read_content(path: Path) -> bytes:
    """All of a plain file; a pipe or a device, which may never end, is none.

    Raises:
        DataError: it cannot be read, is no plain file, or larger than ``MOST_BYTES``.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
            raise DataError(f"{path}: is no plain file but a pipe or a device. Copy what it gives to a file.")
        if found.st_size > MOST_BYTES:
            raise DataError(f"{path}: has {found.st_size / 1e9:.1f} GB, more than any list or transcript. Split it.")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark, its lines ended by line feeds.

    Raises:
        DataError: as ``read_content``, or it is not UTF-8.
    """
    try:
        return read_content(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error}). Save it as UTF-8.") from error


def read_text_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, split at line feeds alone: transcripts may hold other separators.

    Raises:
        DataError: as ``read_text``.
    """
    return read_text(path).removesuffix("\n").split("\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON Lines file that this package wrote.

    Raises:
        DataError: it cannot be read, or a line is damaged.
    """
    rows = []
    for number, line in enumerate(read_text_lines(path), 1):
        try:
            row = json.loads(line) if line else {}
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: is damaged ({error}). Make the file again.") from error
        if not isinstance(row, dict):
            raise DataError(f"{path}:{number}: is not a JSON object. Make the file again.")
        rows += [row] if row else []
    return rows


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON Lines atomically, keeping non-Latin text readable."""
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def cache_folder() -> Path:
    """Where downloads and computed features are kept.

    That is ``$SPEECHTRANSFER_CACHE``, else ``speechtransfer`` in the user's cache.
    """
    if own := os.environ.get("SPEECHTRANSFER_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speechtransfer"
