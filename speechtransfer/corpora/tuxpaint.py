"""Tux Paint's stamps, unpacked -> Manifest: short descriptions of pictures, read aloud in nine languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from speechtransfer.corpora.contract import Line, Packaged, is_sound, match, text_fault, too_fast, walk
from speechtransfer.errors import DataError
from speechtransfer.files import read_content
from speechtransfer.manifest import LedgerRow, Manifest, Utterance

PACKAGES = ("tuxpaint-stamps-default",)


@dataclass(frozen=True)
class Reader:
    """Who reads the stamps of one language.

    Attributes:
        code: the language in the names of files and lines.
        language: ISO 639-3.
        fastest: characters a second that the reader never exceeds. Many lines were written anew after
            their recording, which says the picture's name alone; a line that would take a faster
            reader than this is longer than what is said. Each figure lies in the gap, or at the
            dip, between the rates of the two kinds of clips.
        doubt: why rows that look right may yet be wrong. Such rows load, each with a note in the ledger.
    """

    code: str
    language: str
    fastest: float
    doubt: str | None = None

    @property
    def speaker(self) -> str:
        """The package credits one reader for most languages and does not say who read which file."""
        return f"tuxpaint-{self.code}"


READERS = (
    Reader("fr", "fra", 27),
    Reader("ru", "rus", 20),
    Reader("ro", "ron", 22),
    Reader("ca", "cat", 24),
    Reader("bg", "bul", 22),
    Reader("es", "spa", 19),
    Reader("be", "bel", 17),
    Reader("el", "ell", 18),
    # A recogniser had 52% of the characters wrong, which nobody who speaks Danish has looked into yet.
    Reader("da", "dan", 27, doubt="unverified: the Danish texts may not say what the clips say"),
)

# Clips that do not say their lines, by language and stamp, though with their pauses they are long enough. The
# letters are said by their names alone ("p" for "La lettre p.", 0.3 s without pauses); the Greek clips last
# as long as their noun alone would, at over 19 characters a second for the whole line; the Spanish one lasts
# as long as its neighbours, whose lines end in "con diéresis".
_WRONG = {
    "fr": {r"symbols/alphabets/english/.*": "the clip says the letter's name alone"},
    "ca": {r"symbols/alphabets/english/.*": "the clip says the letter's name alone"},
    "ro": {r".*/N_(filled|outline)": "the text is that of another letter"},
    "es": {r".*/O_with_umlaut_(filled|outline)": "the text lacks the end of what is said"},
    "el": {r"food/vegetables/(broccoli|corn|garlics|pumpkin_small)|animals/birds/hen": "the clip says part of it"},
}


def read_stamps(root: Path, reader: Reader) -> Manifest:
    """Make a manifest of the unpacked package.

    ``<stamp>_desc_<code>.ogg`` says the line ``<code>.utf8=`` of ``<stamp>.txt`` beside it. Files are
    reused across stamps: of clips with the same samples one stays. Rows have no split. Each line of the
    language and each of its sound files is either used or in the ledger; those of its regional varieties
    (``ca@valencia.utf8=``) are another corpus's.

    Args:
        root: the folder that the package was unpacked into; holds ``usr``.
        reader: of which language.

    Raises:
        DataError: the stamps are not there, a text file cannot be read, or no clip can be used.
    """
    folder = root / "usr/share/tuxpaint/stamps"
    sound = re.compile(rf"(?P<stamp>.+?)(?P<description>_desc)?_{reader.code}(\.\w+)+")
    lines: dict[str, Line] = {}
    clips: dict[Path, str] = {}
    ledger = []
    for path in walk(folder):
        if path.suffix == ".txt":
            key = path.relative_to(folder).with_suffix("").as_posix()
            for line in _lines(path, reader.code, root):
                if lines.setdefault(key, line) is not line:
                    ledger.append(LedgerRow(key, f"a second line for the same stamp: {line.text}", where=line.where))
        elif is_sound(path) and (named := sound.fullmatch(path.name)):
            if named["description"]:
                clips[path] = path.relative_to(folder).with_name(named["stamp"]).as_posix()
            else:
                ledger.append(LedgerRow(str(path), "a sound effect or a name, without a text"))

    def reason_to_drop(path: Path, line: Line) -> str | None:
        for stamps, reason in _WRONG.get(reader.code, {}).items():
            if re.fullmatch(stamps, clips[path]):
                return f"{reason}: {line.text}"
        return text_fault(line.text, reader.language) or too_fast(path, line.text, reader.fastest)

    def row(path: Path, line: Line) -> Utterance:
        return Utterance(path, text=line.text, speaker=reader.speaker, language=reader.language, domain="tuxpaint")

    manifest = match(clips, lines, reason_to_drop, row)
    if not len(manifest):
        raise DataError(f"{folder}: no clip can be used. Remove {root} and try again.")
    if reader.doubt is not None:
        wheres = ((str(row.audio), lines[clips[row.audio]].where) for row in manifest)
        ledger += [LedgerRow(path, reader.doubt, action="kept", where=where) for path, where in wheres]
    return Manifest(manifest.rows, (*manifest.ledger, *ledger))


def _lines(path: Path, code: str, root: Path) -> Iterator[Line]:
    """The lines of one language in a stamp's text file, whose first line is English and has no code."""
    try:
        content = read_content(path).decode("utf-8-sig")
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Remove {root} and try again.") from error
    start = f"{code}.utf8="
    for number, line in enumerate(content.splitlines(), 1):
        if line.startswith(start):
            yield Line(line.removeprefix(start).strip(), f"{path.name}:{number}")


CORPORA = {
    f"tuxpaint-{reader.code}": Packaged(PACKAGES, reader.language, partial(read_stamps, reader=reader))
    for reader in READERS
}
"""By the name behind ``debian:``; all are in one package, which is fetched once."""
