"""Phones by a lexicon: read from a file, checked against the transcripts, and saved with the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex

from speechtransfer.errors import DataError, TextError
from speechtransfer.files import read_text_lines
from speechtransfer.text import TextContract
from speechtransfer.units import Units

#: Of words that are missing, how many a message names.
_NAMED = 50
#: A further pronunciation, as CMUdict marks it: ``read(2)``.
_FURTHER = regex.compile(r"\(\d+\)$")
#: What Kaldi and MFA may put between a word and its phones.
_PROBABILITY = regex.compile(r"\d*\.\d+")


@dataclass(frozen=True)
class Phones(Units):
    """Sounds, by a lexicon. What is recognised is a row of phones, which cannot be written as words again.

    Attributes:
        entries: the phones of each word, which passed the text contract.
    """

    entries: Mapping[str, tuple[str, ...]]

    kind = "phones"
    called = "phones (of which words cannot be written again)"
    unknown = "phones or words"
    boundary = ""
    after = " "
    reachable = frozenset()

    def __post_init__(self) -> None:
        """Refuse words without phones, and phones that would be several.

        Raises:
            TextError: no word, or such an entry.
        """
        bad = [word for word, phones in self.entries.items() if not phones or not all(map(self.is_unit, phones))]
        if bad or not self.entries:
            raise TextError(f"a lexicon needs one phone or more for each word, without spaces in them: {bad[:5]}.")

    def require(self, words: Iterable[str]) -> None:
        """Refuse words that the lexicon lacks.

        Raises:
            TextError: it names them.
        """
        absent = sorted(set(words) - self.entries.keys())
        if absent:
            more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
            raise TextError(
                f"words that the lexicon lacks ({len(absent)}): {', '.join(absent[:_NAMED])}{more}. Add their phones."
            )

    def cut(self, word: str) -> list[str]:
        """Its phones.

        Raises:
            TextError: the lexicon lacks it.
        """
        self.require([word])
        return list(self.entries[word])

    def is_unit(self, symbol: str) -> bool:
        """Any name without spaces is."""
        return bool(symbol) and not regex.search(r"\s", symbol)

    def as_dict(self) -> dict[str, Any]:
        """The lexicon."""
        return {"entries": {word: " ".join(phones) for word, phones in sorted(self.entries.items())}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Phones:
        """The inverse of ``as_dict``."""
        return cls({word: tuple(phones.split(" ")) for word, phones in values["entries"].items()})


def read_lexicon(path: str, contract: TextContract) -> Phones:
    """A lexicon: a word a line, then its phones, between tabs or spaces; ``;;;`` begins a comment (CMUdict).

    Words pass the text contract, as transcripts do; what it refuses or divides is in no transcript and left out. Of
    a word's pronunciations the first is taken: which one was said cannot be known from the text.

    Raises:
        DataError: it cannot be read, a line has no phone, or a probability in its place; or no word is left.
    """
    entries: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(read_text_lines(Path(path)), 1):
        word, *phones = line.split() or [";;;"]
        if word.startswith(";;;"):
            continue
        if not phones:
            raise DataError(f"{path}:{number}: {word!r} has no phones. Write the word, then its phones.")
        if _PROBABILITY.fullmatch(phones[0]):
            raise DataError(f"{path}:{number}: {phones[0]} is a probability, not a phone. Remove such columns.")
        try:
            normal = contract.apply(_FURTHER.sub("", word))
        except TextError:
            continue
        if " " not in normal:
            entries.setdefault(normal, tuple(phones))
    if not entries:
        raise DataError(f"{path}: holds no word that transcripts could hold. Write a word a line, then its phones.")
    return Phones(entries)
