"""Class folders -> Manifest: ``FOLDER/<label>/*.wav``, or ``FOLDER/<split>/<label>/*.wav``."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from speechtransfer.corpora.contract import Importer, is_sound, walk
from speechtransfer.errors import DataError
from speechtransfer.manifest import SPLITS, LedgerRow, Manifest, Utterance, readable, resolve_inside


def recognises(data: str) -> bool:
    """Whether DATA is a folder with sound files in its subfolders, or in those of its split folders."""
    folder = Path(data)
    if not folder.is_dir():
        return False
    above_files = 2 if _is_split(folder) else 1
    return any(is_sound(path) for path in folder.glob("*/" * above_files + "*"))


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read class folders; a label is a folder's name in Unicode's composed form (NFC).

    Where all subfolders of DATA are called ``train``, ``dev`` or ``test``, they are the splits and
    the class folders lie in them. Files that lie elsewhere, or whose names are not a sound file's,
    become ledger rows.

    Args:
        data: the folder.
        audio_roots: further folders that links in it may lead to.
        language: ISO 639-3 code of every row.

    Raises:
        DataError: not a folder, split folders beside others, a link that leads outside, or no row.
    """
    if not Path(data).is_dir():
        raise DataError(f"{data}: is not a folder. Class folders are FOLDER/<label>/*.wav.")
    base = Path(data).resolve()
    roots = readable(base, audio_roots)
    split_layout = _is_split(base)
    rows, ledger = [], []
    for path in walk(base):
        *folders, _ = path.relative_to(base).parts
        split = folders.pop(0) if split_layout and folders else None
        if not is_sound(path):
            ledger.append(LedgerRow(str(path), "not a sound file by its name", split=split))
        elif len(folders) != 1:
            ledger.append(LedgerRow(str(path), "not directly in a class folder", split=split))
        else:
            audio = resolve_inside(str(path), base, roots, str(path))
            label = unicodedata.normalize("NFC", folders[0])
            rows.append(Utterance(audio, label=label, language=language, split=split))
    if not rows:
        raise DataError(f"{data}: holds no sound file in a class folder. Put each in FOLDER/<label>/.")
    return Manifest(tuple(rows), tuple(ledger))


def _is_split(folder: Path) -> bool:
    """Whether the subfolders are splits and not classes.

    Raises:
        DataError: class folders in ``train`` while other folders stand beside the splits.
    """
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    splits = [path for path in inside if path.name in SPLITS and any(sub.is_dir() for sub in path.iterdir())]
    others = [path.name for path in inside if path.name not in SPLITS]
    if splits and others:
        raise DataError(
            f"{folder}: {splits[0].name}/ holds folders, as a split does, but {others[0]}/ stands beside it. "
            f"Move {others[0]}/ into one of {', '.join(SPLITS)}."
        )
    return bool(splits)


IMPORTER = Importer(
    looks_like="a folder with one subfolder of sound files for each class",
    recognises=recognises,
    load=load,
)
