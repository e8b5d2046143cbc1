"""Dictionaries of a language -> its words and examples: LIFT, Toolbox, tables, and Debian's packages of them."""

from __future__ import annotations

import gzip
import string
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from speechtransfer.corpora.contract import walk
from speechtransfer.corpora.delimited import read_records
from speechtransfer.errors import DataError
from speechtransfer.files import read_content, read_text_lines

LIFT = ".lift"
TABLES = (".csv", ".tsv")
#: Fields of Multi-Dictionary Formatter files that are written in the language: the headword, how it is cited, one below
#: it, a variant, a plural, an example.
_FIELDS = ("lx", "lc", "se", "va", "pl", "xv")
#: Parts of a language tag that say that a form is no spelling: phonetic, phonemic, or a recording's name.
_NO_SPELLINGS = {"fonipa", "fonupa", "etic", "emic", "zxxx", "audio"}
#: At the edge of what is no word by itself: affixes, clitics, and what is not attested.
_BOUND = "-‐‑=*"
#: Stands for the headword in examples, in whatever form it would have there.
_STAND_IN = "~"
#: Digits of the numbers in a dictd index (RFC 2229's dictionaries).
_DIGITS = {digit: value for value, digit in enumerate(f"{string.ascii_uppercase}{string.ascii_lowercase}0123456789+/")}
#: What may follow a headword on the first line of a dictd article: its pronunciation, its part of speech, notes.
_ASIDE = ("/", "<", "[", "(", "{")


def lift_texts(path: Path, language: str | None = None) -> list[str]:
    """Headwords, variants and example sentences of a LIFT file, as FLEx, WeSay and others export their dictionaries.

    Of an entry the citation form is taken where it has one, since a lexeme may be a stem. Affixes and clitics are
    left out, and so are the translations of examples. Phonetic forms are taken where they are named alone.

    Args:
        path: the file.
        language: the tag of the writing system to take, as the file has it; None takes that in which headwords are
            spelt.

    Raises:
        DataError: a damaged file, no headword, or headwords in several writing systems, of which none or another
            is named.
    """
    try:
        every = ElementTree.fromstring(read_content(path)).findall("entry")
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: is no XML ({error}). Export the dictionary again.") from error
    entries = [entry for entry in every if entry.get("dateDeleted") is None]
    found = dict.fromkeys(tag for entry in entries for tag, _ in _forms(entry, "lexical-unit", "citation"))
    if not found:
        raise DataError(f"{path}: has no headword. Give a LIFT file, as FLEx exports dictionaries.")
    spelt = [tag for tag in found if not _NO_SPELLINGS & {*tag.lower().split("-")}]
    if (language is None and len(spelt) != 1) or (language is not None and language not in found):
        wrong = "has headwords" if language is None else f"has no headword in {language}, but"
        known = spelt or [*found]
        raise DataError(f"{path}: {wrong} in {', '.join(known)}. Name one of them, as in {path.name}#{known[0]}.")
    chosen = language or spelt[0]
    texts = []
    for entry in entries:
        heads = _written(entry, chosen, "citation") or _written(entry, chosen, "lexical-unit")
        texts += [*heads, *_written(entry, chosen, "variant", "sense/example", "sense/subsense/example")]
    return _words(texts)


def _forms(entry: ElementTree.Element, *places: str) -> list[tuple[str, str]]:
    """Writing system and text of every form at these places."""
    forms = [form for place in places for form in entry.findall(f"{place}/form")]
    told = [(form.get("lang", ""), " ".join("".join(form.itertext()).split())) for form in forms]
    return [(tag, text) for tag, text in told if text]


def _written(entry: ElementTree.Element, language: str, *places: str) -> list[str]:
    return [text for tag, text in _forms(entry, *places) if tag == language]


def is_standard_format(lines: Iterable[str]) -> bool:
    """Whether lines are those of a Toolbox or Shoebox dictionary: the first field is their header's or a headword's."""
    first = next((line for line in lines if line.strip()), "")
    return first.startswith(("\\_sh ", "\\lx "))


def standard_format_texts(lines: Iterable[str]) -> list[str]:
    """Headwords, citation forms, subentries, variants, plurals and examples of a Toolbox dictionary.

    Fields are named as in the Multi-Dictionary Formatter (Coward and Grimes 2000); a line without a name goes on
    with the field before it. Affixes and clitics are left out.
    """
    fields: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith("\\"):
            name, _, text = line[1:].partition(" ")
            fields.append((name, text))
        elif fields:
            fields[-1] = (fields[-1][0], f"{fields[-1][1]} {line}")
    return _words(" ".join(text.split()) for name, text in fields if name in _FIELDS)


def column_texts(path: Path, column: str | None) -> list[str]:
    """What stands in one column of a table: the others are glosses, in another language. Affixes are left out.

    Args:
        path: a table with a header, ``.tsv`` or ``.csv`` with commas or, where its header has none, semicolons.
        column: its name, in either case.

    Raises:
        DataError: no such column, none named, or a damaged row.
    """
    header = next((line for line in read_text_lines(path) if line.strip()), "")
    separated = "," if "," in header else ";"
    delimiter = "\t" if path.suffix.lower() == ".tsv" else separated
    if column is None:
        raise DataError(
            f"{path}: is a table. Name the column with words of the language, as in {path.name}#COLUMN; its header is "
            f"{', '.join(name.strip() for name in header.split(delimiter))[:200] or 'empty'}."
        )
    texts, name = [], column.strip().lower()
    for record in read_records(path, delimiter, [name]):
        if record.fault is not None:
            raise DataError(f"{record.where}: {record.fault}. Correct the row.")
        texts.append(record.cells[name])
    return _words(texts)


def dictd_headwords(home: Path) -> Iterator[str]:
    """The headwords of the dictionaries in a folder, an ``.index`` beside a ``.dict.dz`` each.

    The index has them in lower case; as they are written they stand on the first line of their articles.

    Raises:
        DataError: a damaged dictionary.
    """
    for index in [file for file in walk(home) if file.suffix == ".index"] if home.is_dir() else []:
        try:
            articles = gzip.decompress(read_content(index.with_suffix(".dict.dz")))
            places = [line.split("\t")[:3] for line in read_text_lines(index)]
            for head, start, size in places:
                if not head.startswith("00database"):  # about the dictionary itself
                    first = _number(start)
                    yield _headword(articles[first : first + _number(size)].decode())
        except (ValueError, KeyError, EOFError, OSError, zlib.error) as error:
            raise DataError(f"{index}: is damaged ({error}). Remove {home} to fetch it again.") from error


def _number(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * len(_DIGITS) + _DIGITS[digit]
    return number


def _headword(article: str) -> str:
    line = article.lstrip("\n").partition("\n")[0]
    ends = [place for mark in _ASIDE if (place := line.find(f" {mark}")) > 0]
    return line[: min(ends, default=len(line))].strip()


def _words(texts: Iterable[str]) -> list[str]:
    """What can be said by itself."""
    whole = (text for text in texts if text and _STAND_IN not in text)
    return [text for text in whole if text[0] not in _BOUND and text[-1] not in _BOUND]
