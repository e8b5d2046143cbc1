"""Texts and sound files that go by one name -> pairs: by the whole name, or by the number that it ends in."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from speechtransfer.corpora.contract import is_sound
from speechtransfer.corpora.media import name_key, plain_path
from speechtransfer.manifest import LedgerRow

_T = TypeVar("_T")
_LAST_NUMBER = re.compile(r"(?<![0-9])[0-9]+$")


@dataclass(frozen=True)
class Named:
    """A text and what it calls its recording: ``rec_10``, ``rec_10.wav``, a path, or ``10``."""

    name: str
    text: str
    where: str

    @property
    def key(self) -> str:
        """What files of that name are called, without folders and a sound file's ending."""
        path = PurePosixPath(plain_path(self.name))
        return name_key(path.stem if is_sound(Path(path)) else path.name)


@dataclass(frozen=True)
class Pairs:
    """What was found for some texts.

    Attributes:
        found: each text with its sound file.
        ledger: the texts without a file, the files without a text, and pairs that rest on a number alone.
    """

    found: tuple[tuple[Named, Path], ...]
    ledger: tuple[LedgerRow, ...]


def pair(texts: Sequence[Named], sounds: Sequence[Path]) -> Pairs:
    """Find the sound file of each text, never by order.

    A name that one text and one file have pairs them; of several such files a path in the name chooses. What is left is
    paired by the number that the name ends in, where of all texts and of all files only one ends in it.
    """
    files, rivals = defaultdict(list), Counter(text.key for text in texts)
    for path in sounds:
        files[name_key(path.stem)].append(path)
    found: list[tuple[Named, Path]] = []
    ledger: list[LedgerRow] = []
    left: list[Named] = []
    settled: set[Path] = set()
    for text in texts:
        paths = _chosen(files.get(text.key, []), text.name)
        settled.update(paths)
        if not paths:
            left.append(text)
        elif rivals[text.key] > 1 and len(files[text.key]) == 1:
            ledger.append(_without(text, "several rows name one sound file"))
        elif len(paths) > 1:
            several = ", ".join(str(path) for path in paths[:3])
            ledger.append(_without(text, f"several sound files of that name: {several}"))
        else:
            found.append((text, paths[0]))
    claims = Counter(path for _, path in found)
    ledger += [_without(text, "several rows name one sound file") for text, path in found if claims[path] > 1]
    found = [(text, path) for text, path in found if claims[path] == 1]
    spoken, written = (
        _by_number((path, name_key(path.stem)) for path in sounds),
        _by_number((one, one.key) for one in texts),
    )
    for text in left:
        number = _number(text.key)
        takes = spoken.get(number or "", [])
        if number is not None and len(takes) == len(written[number]) == 1 and takes[0] not in settled:
            found.append((text, takes[0]))
            settled.add(takes[0])
            reason = f"paired by its number alone: {text.name}"
            ledger.append(LedgerRow(str(takes[0]), reason, action="kept", where=text.where))
        else:
            ledger.append(_without(text, "no sound file of that name"))
    ledger += [LedgerRow(str(path), "no row names it") for path in sounds if path not in settled]
    return Pairs(tuple(found), tuple(ledger))


def _chosen(paths: list[Path], name: str) -> list[Path]:
    """Of several files those whose path ends like the name."""
    end = "/" + name_key(plain_path(name)).removeprefix("./")
    return [path for path in paths if name_key(path.as_posix()).endswith(end)] or paths if len(paths) > 1 else paths


def _without(text: Named, reason: str) -> LedgerRow:
    return LedgerRow(text.name or text.where, reason, where=text.where)


def _by_number(named: Iterable[tuple[_T, str]]) -> dict[str, list[_T]]:
    """What ends in each number."""
    ending: dict[str, list[_T]] = defaultdict(list)
    for one, key in named:
        if (number := _number(key)) is not None:
            ending[number].append(one)
    return ending


def _number(key: str) -> str | None:
    """The number at the end of a name, without zeros before it: as text, since it may be of any length."""
    match = _LAST_NUMBER.search(key)
    return (match[0].lstrip("0") or "0") if match else None
