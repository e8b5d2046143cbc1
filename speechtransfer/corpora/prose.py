"""Text of a language without sound -> sentences: what a recogniser may expect to hear beside its transcripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speechtransfer.corpora.contract import walk
from speechtransfer.corpora.debian import PREFIX, fetch
from speechtransfer.corpora.dictionaries import (
    LIFT,
    TABLES,
    column_texts,
    dictd_headwords,
    is_standard_format,
    lift_texts,
    standard_format_texts,
)
from speechtransfer.corpora.pages import page_lines
from speechtransfer.errors import DataError, TextError
from speechtransfer.files import cache_folder, read_text_lines
from speechtransfer.text import TextContract

#: More than this counts no better, and every user of the model would wait for the counting.
MOST_CHARACTERS = 4_000_000
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？।॥۔؟።։])\s+")
_PAGES = (".html", ".htm")
_SOURCE = re.compile(r"\s*--\s")  # who said it, on a line of its own


@dataclass(frozen=True)
class Prose:
    """Sentences of one language.

    Attributes:
        sentences: after the text contract, each once, sorted.
        left_out: how many the contract refuses: digits that nobody wrote out, and what has no letter.
        beyond: how many there are beyond ``MOST_CHARACTERS``; which are kept is the same each time.
    """

    sentences: tuple[str, ...]
    left_out: int = 0
    beyond: int = 0


def read_prose(data: Iterable[str], contract: TextContract) -> Prose:
    """The sentences of some texts. A line is one or more of them; in sayings, all lines between two ``%`` are.

    Args:
        data: a UTF-8 file, plain or HTML; a dictionary, whose headwords and examples are taken: LIFT (``words.lift``,
            or ``words.lift#swh`` where it has headwords in several writing systems), Toolbox's, or a table with the
            column of its words (``words.csv#headword``); a folder of files that end in ``.txt``, ``.html``, ``.htm``
            or ``.lift``; or a package fetched with apt-get: sayings such as ``debian:fortunes-ru``, an office's help
            pages such as ``debian:libreoffice-help-ru``, or the headwords of a dictionary such as
            ``debian:dict-freedict-ell-eng``.
        contract: what the transcripts pass.

    Raises:
        DataError: nothing there, a file that is not UTF-8, or no sentence that the contract accepts.
    """
    names, found, left_out = tuple(data), set(), 0
    for line in (line for name in names for line in _lines(name)):
        for sentence in sentences_of(line):
            try:
                found.add(contract.apply(sentence))
            except TextError:
                left_out += 1
    if names and not found:
        raise DataError(f"{', '.join(names)}: no sentence without digits is there. Give plain text of the language.")
    sentences = sorted(found)
    # Evenly from the whole, since the beginning of a sorted list is one kind of sentence.
    share = min(1.0, MOST_CHARACTERS / max(1, sum(map(len, sentences))))
    kept = tuple(text for place, text in enumerate(sentences) if int((place + 1) * share) > int(place * share))
    return Prose(kept, left_out, len(sentences) - len(kept))


def sentences_of(line: str) -> list[str]:
    """The sentences of a line, each with the mark that ends it."""
    return [sentence.strip() for sentence in _SENTENCE_END.split(line) if sentence.strip()]


def _lines(name: str) -> Iterator[str]:
    if name.startswith(PREFIX):
        yield from _packaged(name)
    elif Path(name).is_dir():
        yield from _folder(Path(name))
    elif Path(name).exists() or "#" not in name:
        yield from _file(Path(name))
    else:
        file, _, part = name.rpartition("#")
        yield from _file(Path(file), part)


def _file(file: Path, part: str | None = None) -> Iterator[str]:
    if file.suffix.lower() == LIFT:
        yield from lift_texts(file, part)
        return
    if file.suffix.lower() in TABLES:
        yield from column_texts(file, part)
        return
    if part is not None:
        raise DataError(f"{file}#{part}: only a LIFT file or a table has parts to name. Leave #{part} out.")
    lines = read_text_lines(file)
    if file.suffix.lower() in _PAGES:
        yield from page_lines("\n".join(lines))
    else:
        yield from standard_format_texts(lines) if is_standard_format(lines) else lines


def _folder(folder: Path) -> Iterator[str]:
    files = [file for file in walk(folder) if file.suffix.lower() in (*_PAGES, LIFT, ".txt")]
    if not files:
        raise DataError(f"{folder}: no file in it ends in .txt, .html, .htm or {LIFT}. Give UTF-8 text.")
    for file in files:
        yield from _file(file)


def _packaged(name: str) -> Iterator[str]:
    package = name.removeprefix(PREFIX)
    kind = next((kind for kind in _PACKAGES if re.fullmatch(rf"{kind}-[a-z]{{2,3}}(-[a-z]{{2,3}})?", package)), None)
    if kind is None:
        known = " or ".join(f"{PREFIX}{kind}-{one}" for kind, (one, _, _) in _PACKAGES.items())
        raise DataError(f"{name}: no package of text; known are those such as {known}.")
    _, place, read = _PACKAGES[kind]
    yield from read(fetch([package], cache_folder()) / place)


def _sayings(home: Path) -> Iterator[str]:
    # A package names its UTF-8 files twice: the second name, in .u8, says that they are.
    for file in [file for file in walk(home) if file.suffix == ".u8"] if home.is_dir() else []:
        saying: list[str] = []
        for line in [*read_text_lines(file), "%"]:
            if line.rstrip() == "%":
                yield " ".join(saying)
                saying = []
            elif not _SOURCE.match(line):
                saying.append(line.strip())


#: Packages of text by what stands before the language in their names: one such, where the text lies, what reads it.
_PACKAGES: dict[str, tuple[str, str, Callable[[Path], Iterable[str]]]] = {
    "fortunes": ("ru", "usr/share/games/fortunes", _sayings),
    "libreoffice-help": ("ru", "usr/share/libreoffice/help", _folder),
    "dict-freedict": ("ell-eng", "usr/share/dictd", dictd_headwords),
}
