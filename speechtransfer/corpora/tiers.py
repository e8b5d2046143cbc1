"""Tiers of annotated recordings: which of them are utterances, as the user says or as is plain."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from speechtransfer.corpora.contract import walk
from speechtransfer.errors import DataError

_CHOICE = re.compile(r"(.+)#(tier|type)=(.*)", re.DOTALL)
_MOST_LISTED = 50  # tiers in a message; a folder of a thousand files may have one a speaker


@dataclass(frozen=True)
class Annotation:
    """One stretch of a recording and what was written for it.

    Attributes:
        where: the file it was read from, and its place there.
        text: as it is written, without surrounding white space.
        start: its first second, None where nobody can know.
        end: its last second, likewise.
        fault: why it can be no utterance, where its kind of tier says so.
    """

    where: str
    text: str
    start: float | None = None
    end: float | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Tier:
    """One line of annotations in a file.

    Attributes:
        file: the file that it is in.
        name: its name there.
        type: ELAN's linguistic type, or ``interval`` or ``point``.
        annotations: in the file's order.
        parent: the tier that it depends on, if any.
        speaker: whoever is heard, where known.
        language: ISO 639-3, where the tier states it.
    """

    file: Path
    name: str
    type: str
    annotations: tuple[Annotation, ...]
    parent: str | None = None
    speaker: str | None = None
    language: str | None = None

    @property
    def texts(self) -> int:
        """How many of its annotations have text."""
        return sum(1 for annotation in self.annotations if annotation.text)


@dataclass(frozen=True)
class Choice:
    """The tiers that a user asks for: any that one of the patterns fits, by name or by type."""

    by: str  # "tier" or "type"
    patterns: tuple[str, ...]

    def fits(self, tier: Tier, pattern: str) -> bool:
        """Whether a pattern is a tier's name (or type), as it stands or with ``*`` and ``?`` for any letters."""
        given = tier.name if self.by == "tier" else tier.type
        value, pattern = (unicodedata.normalize("NFC", text) for text in (given, pattern))
        return value == pattern or fnmatchcase(value, pattern)


def parted(data: str) -> tuple[str, Choice | None]:
    """DATA's path and the choice of tiers after it: ``folder#tier=words,text*`` or ``folder#type=ortho``.

    A path that exists as it stands has no choice after it, whatever its name.
    """
    found = None if Path(data).exists() else _CHOICE.fullmatch(data)
    if found is None:
        return data, None
    path, by, patterns = found.groups()
    return path, Choice(by, tuple(filter(None, (pattern.strip() for pattern in patterns.split(",")))))


def holds(data: str, *suffixes: str) -> bool:
    """Whether DATA is a file whose name ends in one of these, or a folder with such a file anywhere below.

    A folder with a table of utterances is the table's, unless tiers are asked for.
    """
    name, choice = parted(data)
    path = Path(name)
    if path.is_file():
        return path.suffix.lower() in suffixes
    if choice is None and any((path / table).is_file() for table in ("metadata.csv", "metadata.tsv")):
        return False
    for _, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if any(name.lower().endswith(suffixes) and not name.startswith(".") for name in names):
            return True
    return False


def transcripts(data: str, *suffixes: str) -> tuple[Path, list[Path]]:
    """The folder that paths start from, and the files in it (or the one named) whose names end so.

    Raises:
        DataError: no such path, or none in it.
    """
    path = Path(parted(data)[0]).resolve()
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{data}: no such file or folder. Check the path.")
        return path.parent, [path]
    if not (files := [file for file in walk(path) if file.suffix.lower() in suffixes]):
        raise DataError(f"{path}: holds no file whose name ends in {' or '.join(suffixes)}.")
    return path, files


def choose(data: str, tiers: Sequence[Tier], default: Callable[[Sequence[Tier]], Sequence[Tier]]) -> Sequence[Tier]:
    """The tiers that DATA asks for, or where it asks for none those of ``default``.

    Args:
        data: the path, with or without a choice after it.
        tiers: of all its files.
        default: picks tiers where nothing is asked; none where that would be a guess.

    Raises:
        DataError: nothing fits a pattern, or nothing is asked and the default will not guess. The message
            lists the tiers.
    """
    path, choice = parted(data)
    if choice is None:
        if chosen := default(tiers):
            return chosen
        raise DataError(
            f"{path}: which of its tiers are the utterances? Name them after the path: '{path}#tier=NAME', or "
            f"'{path}#type=TYPE'; several with commas between them, and * and ? stand for any letters. {_listed(tiers)}"
        )
    for pattern in choice.patterns:
        if not any(choice.fits(tier, pattern) for tier in tiers):
            what = "name" if choice.by == "tier" else "type"
            raise DataError(f"{path}: none of its tiers has the {what} {pattern!r}. {_listed(tiers)}")
    if not choice.patterns:
        raise DataError(f"{data}: names no {choice.by} after the '='. {_listed(tiers)}")
    return [tier for tier in tiers if any(choice.fits(tier, pattern) for pattern in choice.patterns)]


def _listed(tiers: Iterable[Tier]) -> str:
    """The tiers of all files, one a line; those alike but for their file are one."""
    alike: dict[Tier, list[Tier]] = defaultdict(list)
    for tier in tiers:
        alike[replace(tier, file=Path(), annotations=())].append(tier)
    if not alike:
        return "It holds no tier at all."
    lines = []
    for kind, group in alike.items():
        what = [f"type {kind.type}", f"under {kind.parent}" if kind.parent else "at the top"]
        what += [f"of {kind.speaker}"] if kind.speaker else []
        count, texts = sum(len(tier.annotations) for tier in group), sum(tier.texts for tier in group)
        what.append(f"{count} annotations, {texts} of them with text, in {len(group)} file{'s' * (len(group) > 1)}")
        lines.append(f"\n  {kind.name}: {', '.join(what)}")
    more = f"\n  and {len(lines) - _MOST_LISTED} more" if len(lines) > _MOST_LISTED else ""
    return f"Its tiers are:{''.join(lines[:_MOST_LISTED])}{more}"
