"""What an importer is: how it recognises its kind of corpus, and how it makes a manifest of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest

SOUND_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".aif", ".aiff", ".au", ".caf"}
    | {".gsm", ".w64", ".webm", ".wma", ".3gp"}
)
"""File name endings, in lower case, that are taken for sound; everything else is not opened."""


@dataclass(frozen=True)
class Importer:
    """One kind of corpus.

    Every utterance that an importer is given is accounted for: it is in the manifest's rows, or a
    ledger row with action ``dropped`` says why not. Importers read tables and file names; whether the
    sound is sound is for the data doctor to find out.

    Attributes:
        looks_like: what the format looks like, for the message that lists the known formats.
        recognises: whether DATA (a path, or a name such as ``debian:asterisk-ru``) is of this kind,
            decided from names alone and without writing anything.
        load: (DATA, folders that audio may lie in besides DATA's own, language of rows that state
            none) -> Manifest. Raises DataError on what a user must mend.
    """

    looks_like: str
    recognises: Callable[[str], bool]
    load: Callable[[str, Sequence[str | Path], str | None], Manifest]


def is_sound(path: Path) -> bool:
    """Whether a file's name ends like a sound file's."""
    return path.suffix.lower() in SOUND_SUFFIXES


def natural(path: Path | str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key under which ``rec_2.wav`` comes before ``rec_10.wav``."""
    parts = re.split(r"([0-9]+)", str(path))  # every second part is a number
    return tuple((index % 2, int(part) if index % 2 else 0, part) for index, part in enumerate(parts))


def walk(folder: Path) -> list[Path]:
    """All files below a folder in natural order, hidden files and folders left out.

    Raises:
        DataError: a folder that cannot be listed.
    """
    files = []
    try:
        for entry in folder.iterdir():
            if entry.name.startswith("."):
                continue
            files += walk(entry) if entry.is_dir() else [entry]
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}). Check the path.") from error
    return sorted(files, key=natural)
