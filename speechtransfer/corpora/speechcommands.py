"""Speech Commands' layout -> Manifest: a folder for each word, ``validation_list.txt`` and ``testing_list.txt``."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from speechtransfer.corpora import folder
from speechtransfer.corpora.contract import Importer
from speechtransfer.corpora.media import plain_path
from speechtransfer.errors import DataError
from speechtransfer.files import read_text_lines
from speechtransfer.manifest import SILENCE, LedgerRow, Manifest, Utterance

_LISTS = {"validation_list.txt": "dev", "testing_list.txt": "test"}
_NOISE = "_background_noise_"
_TAKE = re.compile(r"(?P<speaker>.+?)_nohash_.*")
_RANGE = 2**27 - 1
_DEV_PERCENT = _TEST_PERCENT = 10.0


def recognises(data: str) -> bool:
    """Whether DATA holds one of the lists, ``_background_noise_``, or class folders of ``*_nohash_*`` files."""
    path = Path(data)
    return path.is_dir() and (
        any((path / name).is_file() for name in _LISTS) or (path / _NOISE).is_dir() or any(path.glob("*/*_nohash_*.*"))
    )


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read class folders, with the speaker that stands before ``_nohash_`` in a file's name.

    What the lists name is dev and test, all else train. Without lists, names with ``_nohash_`` decide as the data
    set's own ``which_set`` does, so that a speaker stays in one split; without such names there are no splits.
    Background noise has the label ``_silence_`` and is for training.

    Args:
        data: the folder.
        audio_roots: further folders that links in it may lead to.
        language: ISO 639-3 code of every row.

    Raises:
        DataError: as for class folders; an unreadable list, or a file that both lists name.
    """
    manifest = folder.load(data, audio_roots, language)
    base = Path(data).resolve()
    listed = _listed(base)
    lists = [name for name in _LISTS if (base / name).is_file()]
    hashed = not lists and any(_TAKE.fullmatch(row.audio.name) for row in manifest)

    def completed(row: Utterance) -> Utterance:
        name = row.audio.name
        take = _TAKE.fullmatch(name)
        split = row.split
        if row.label == _NOISE:
            return replace(row, label=SILENCE, split="train" if lists or hashed else split)
        if lists:
            split, _ = listed.pop(_key(row.audio.relative_to(base).as_posix()), ("train", ""))
        elif hashed:
            split = split_of(name)
        return replace(row, speaker=take["speaker"] if take else None, split=split)

    rows = tuple(map(completed, manifest))
    own = {str(base / name) for name in lists}
    ledger = [row for row in manifest.ledger if row.audio not in own]
    ledger += [LedgerRow(key, "no sound file", split=split, where=where) for key, (split, where) in listed.items()]
    return Manifest(rows, tuple(ledger))


def split_of(name: str) -> str:
    """The split of a file by its name up to ``_nohash_``, as Speech Commands' ``which_set`` at 10% and 10% gives it."""
    take = _TAKE.fullmatch(name)
    digest = hashlib.sha1((take["speaker"] if take else name).encode("utf-8", "surrogateescape")).hexdigest()
    percent = int(digest, 16) % (_RANGE + 1) * (100.0 / _RANGE)
    if percent < _DEV_PERCENT:
        return "dev"
    return "test" if percent < _DEV_PERCENT + _TEST_PERCENT else "train"


def _listed(base: Path) -> dict[str, tuple[str, str]]:
    """The split of each file that a list names, and the list's line."""
    listed: dict[str, tuple[str, str]] = {}
    for name, split in _LISTS.items():
        path = base / name
        for number, line in enumerate(read_text_lines(path), 1) if path.is_file() else ():
            if not line.strip():
                continue
            where = f"{path}:{number}"
            before, other = listed.setdefault(_key(line.strip()), (split, where))
            if before != split:
                raise DataError(f"{where}: {line.strip()} is already in {other}. Remove one of them.")
    return listed


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", plain_path(name).removeprefix("./"))


IMPORTER = Importer(
    looks_like="Speech Commands' layout: a folder for each word, beside validation_list.txt and testing_list.txt",
    recognises=recognises,
    load=load,
)
