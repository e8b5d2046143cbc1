"""Files written whole or not at all, and where downloads are kept."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from speechtransfer.errors import DataError


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


def read_text_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 file, split at line feeds alone: transcripts may hold other separators.

    Raises:
        DataError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error}). Save it as UTF-8.") from error


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
