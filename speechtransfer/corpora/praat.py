"""Praat's ``.TextGrid`` files -> Manifest: the intervals of the tiers that are utterances; and back, with praatio."""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechtransfer.corpora.contract import Importer
from speechtransfer.corpora.media import Media
from speechtransfer.corpora.spans import Sound, manifest_of
from speechtransfer.corpora.tiers import Annotation, Tier, choose, holds, transcripts
from speechtransfer.errors import DataError
from speechtransfer.files import read_content, write_atomically
from speechtransfer.manifest import Manifest, Utterance

_SUFFIX = ".textgrid"
_RESAVE = "Open it in Praat and choose Save > Save as text file."
_BINARY = b"ooBinaryFile"
_HEADER = re.compile(r'[^\n]*ooTextFile[^\n]*\n[^\n]*"TextGrid"')
# Both formats give the number of tiers after <exists>, and as the third number after a tier's name how many
# intervals or points it has.
_TIERS = re.compile(r"<exists>\D*?(\d+)")
_ENTRIES = re.compile(r'"(?:Interval|Text)Tier"[^"]*+"(?:[^"]|"")*+"(?:[^"\d]*+[\d.eE+-]++){2}[^"\d]*+(\d++)')


def recognises(data: str) -> bool:
    """Whether DATA is a .TextGrid file or a folder with one, with or without a choice of tiers after it."""
    return holds(data, _SUFFIX)


def load(data: str, audio_roots: Sequence[str | Path] = (), language: str | None = None) -> Manifest:
    """Read the intervals with text of TextGrids, each a span of the sound file of the TextGrid's own stem.

    ``folder#tier=NAME`` says which tiers are the utterances: several with commas between them, and ``*`` and ``?``
    stand for any letters; ``folder#type=interval`` takes all interval tiers. Where nothing is said, it is the one
    interval tier with text, which must have one name in all files. Praat has no speakers: where tiers of several
    names are chosen, a tier's name is the speaker. Intervals without text are pauses, and no utterances.

    Args:
        data: the folder or the .TextGrid file.
        audio_roots: folders besides the file's own that audio may lie in.
        language: ISO 639-3 code of every row.

    Raises:
        DataError: a damaged or binary file, tiers that nobody can choose for the user, or no interval that can
            be used.
    """
    base, files = transcripts(data, _SUFFIX)
    media = Media(base, audio_roots)
    chosen = choose(data, [tier for file in files for tier in _tiers(file)], _only)
    if len({tier.name for tier in chosen}) > 1:
        chosen = [replace(tier, speaker=tier.name) for tier in chosen]
    return manifest_of(data, chosen, lambda file: Sound(media.like(file)), language)


def write_textgrid(path: Path, seconds: float, rows: Sequence[Utterance], tier: str = "utterance") -> None:
    """Write the utterances of one recording as intervals of a TextGrid, empty ones between them.

    Raises:
        DataError: the file cannot be written.
    """
    from praatio.utilities.textgrid_io import getTextgridAsStr

    entries = [(row.start or 0.0, seconds if row.end is None else row.end, row.text or "") for row in rows]
    tiers = [{"class": "IntervalTier", "name": tier, "xmin": 0.0, "xmax": seconds, "entries": entries}]
    grid = {"xmin": 0.0, "xmax": seconds, "tiers": tiers}
    write_atomically(path, getTextgridAsStr(grid, "long_textgrid", includeBlankSpaces=True))


def _tiers(file: Path) -> list[Tier]:
    """The tiers of a file, their intervals or points without text left out.

    Raises:
        DataError: it cannot be read, or not wholly.
    """
    # Not every command reads TextGrids, and each should start at once.
    from praatio.utilities.textgrid_io import parseTextgridStr

    text = _text(file)
    try:
        # openTextgrid would read the file too, but it refuses two tiers of one name, and a file that ends
        # with its last quotation mark it takes for one interval less.
        grid = parseTextgridStr(text, includeEmptyIntervals=True)
        begins = float(grid["xmin"])
        tiers = [_tier(file, tier) for tier in grid["tiers"]]
        counts = [len(tier["entries"]) for tier in grid["tiers"]]
    except Exception as error:  # it raises whatever its first surprise leads to
        raise DataError(
            f"{file}: is not laid out as a TextGrid ({type(error).__name__}: {error}). {_RESAVE}"
        ) from error
    if begins:
        raise DataError(
            f"{file}: begins at {begins:g} s, and its sound file at 0: nobody can know how far they are apart. "
            "In Praat, Modify > Shift times to 0 s, and save it beside the sound that it was made for."
        )
    promised = [int(count[:9]) for count in _ENTRIES.findall(text)]
    if promised != counts or [str(len(counts))] != _TIERS.findall(text)[:1]:
        raise DataError(
            f"{file}: is damaged or cut short: its tiers or intervals are not as many as it says. {_RESAVE}"
        )
    return tiers


def _text(file: Path) -> str:
    """A file decoded as its first bytes say, its lines ended alike.

    Raises:
        DataError: it cannot be read, is binary, no TextGrid, or neither UTF-8 nor UTF-16.
    """
    content = read_content(file)
    if content.startswith(_BINARY):
        raise DataError(f"{file}: is a binary TextGrid. {_RESAVE}")
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except UnicodeError as error:
        raise DataError(
            f"{file}: is neither UTF-8 nor UTF-16 text ({error}). In Praat, set Text writing preferences to UTF-8, "
            "open the file and save it again."
        ) from error
    if not _HEADER.match(text):
        raise DataError(f"{file}: does not begin as a TextGrid does. {_RESAVE}")
    return f"{text}\n"


def _tier(file: Path, tier: dict[str, Any]) -> Tier:
    """One tier of praatio's dictionary of a TextGrid."""
    points = tier["class"] == "TextTier"
    annotations = []
    for number, (*times, text) in enumerate(tier["entries"], 1):
        where = f"{file}: {tier['name']}, {'point' if points else 'interval'} {number}"
        fault = "a point in time, which is no utterance" if points else None
        if text := text.strip():
            annotations.append(Annotation(where, text, float(times[0]), float(times[-1]), fault))
    return Tier(file, tier["name"], "point" if points else "interval", tuple(annotations))


def _only(tiers: Sequence[Tier]) -> list[Tier]:
    """The interval tiers with text, where they have one name and a file has one of them."""
    said = [tier for tier in tiers if tier.type == "interval" and tier.texts]
    alone = max(Counter(tier.file for tier in said).values(), default=0) == 1
    return said if alone and len({tier.name for tier in said}) == 1 else []


IMPORTER = Importer(
    looks_like="a folder with Praat's .TextGrid files beside the sound, or one of them; #tier=NAME chooses tiers",
    recognises=recognises,
    load=load,
)
