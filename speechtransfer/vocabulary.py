"""The Vocabulary: the outputs of a CTC head, and how texts become their indices and are written again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from speechtransfer.errors import TextError
from speechtransfer.pronunciation import Phones
from speechtransfer.text import TextContract
from speechtransfer.units import Characters, Clusters, Multigraphs, Pieces, Units

_KINDS: dict[str, type[Units]] = {one.kind: one for one in (Characters, Clusters, Multigraphs, Pieces, Phones)}


@dataclass(frozen=True)
class Vocabulary:
    """The output symbols of a CTC head: index 0 is the blank, the rest are sorted units.

    The blank and the word boundary are roles, not strings: the blank has no symbol, and the boundary is
    the space, wherever a checkpoint calls it ``|``.

    Attributes:
        symbols: the units after the blank, sorted by code point.
        contract: the text contract that transcripts pass through first.
        units: what a symbol is, and how words are cut into them.
    """

    symbols: tuple[str, ...]
    contract: TextContract = field(default_factory=TextContract)
    units: Units = field(default_factory=Characters)

    blank = 0

    def __post_init__(self) -> None:
        """Refuse what is no sorted set of units, since the order is the meaning of a head's rows.

        Raises:
            TextError: a symbol that is not one unit, one that stands twice, or out of order.
        """
        symbols, units = list(self.symbols), self.units
        if not all(isinstance(one, str) and one and (one == units.boundary or units.is_unit(one)) for one in symbols):
            raise TextError(f"a vocabulary's symbols must be single {units.called}, not {symbols[:5]} ...")
        if not symbols or symbols != sorted(set(symbols)):
            raise TextError(f"a vocabulary's symbols must be sorted, each once, not {symbols[:5]} ...")

    @classmethod
    def from_texts(
        cls, texts: Iterable[str | None], contract: TextContract | None = None, units: Units | None = None
    ) -> Vocabulary:
        """The units of the training texts, and of no other split; characters, unless others are given.

        Raises:
            TextError: a missing text, one that breaks the contract, a word that the lexicon lacks, or no text at all.
        """
        contract, units = contract or TextContract(), units or Characters()
        symbols: set[str] = set(units.reachable)
        empty = True
        for text in texts:
            if text is None:
                raise TextError("an utterance has no text. Filter such rows out before the vocabulary is built.")
            symbols.update(_cut(contract.apply(text), units))
            empty = False
        if empty:
            raise TextError("no training text: a vocabulary needs at least one transcript.")
        return cls(tuple(sorted(symbols)), contract, units)

    def __len__(self) -> int:
        """How many outputs a head needs, the blank included."""
        return len(self.symbols) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """One label an output; the blank's is empty."""
        return ("", *self.symbols)

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """What each output writes: its label, and between phones a space; the blank writes nothing."""
        return ("", *(symbol + self.units.after for symbol in self.symbols))

    @property
    def writes(self) -> bool:
        """Whether its units are written as the text that they are cut from; phones are not."""
        return not self.units.after

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {symbol: index for index, symbol in enumerate(self.symbols, 1)}

    def encode(self, text: str) -> list[int]:
        """Indices of the normalised text.

        Raises:
            TextError: a unit that the training text never had, a word that the lexicon lacks, or a broken contract.
        """
        pieces = self.pieces(text)
        unknown = sorted(set(pieces) - self._positions.keys())
        if unknown:
            raise TextError(f"{text!r} holds {self.units.unknown} outside the vocabulary: {' '.join(unknown)}")
        return [self._positions[piece] for piece in pieces]

    def decode(self, indices: Sequence[int]) -> str:
        """The text of output indices (blanks already removed); outer spaces are trimmed."""
        return " ".join("".join(self.spellings[index] for index in indices).split())

    def normal(self, text: str) -> str:
        """The text that an errorless recogniser gives: what the contract makes of it, or its phones between spaces.

        Raises:
            TextError: a word that the lexicon lacks, or a broken contract.
        """
        return self.contract.apply(text) if self.writes else " ".join(self.pieces(text))

    def pieces(self, text: str) -> list[str]:
        """The units of the normalised text, those between words among them, with or without an output.

        Raises:
            TextError: a word that the lexicon lacks, or a broken contract.
        """
        return _cut(self.contract.apply(text), self.units)

    def words(self, text: str) -> list[list[str]]:
        """The units of each word; in ``encode`` the boundary stands between words, where the units have one.

        Raises:
            TextError: as ``encode``, but for units that training never had.
        """
        return [self.units.cut(word) for word in self.contract.apply(text).split(" ")]

    def unseen(self, texts: Iterable[str]) -> Counter[str]:
        """Units of ``texts`` (normalised) that no output stands for, with their counts; words that a lexicon lacks."""
        found: Counter[str] = Counter()
        for normal in map(self.contract.apply, texts):
            for number, word in enumerate(normal.split(" ")):
                try:
                    pieces = _cut_word(number, word, self.units)
                except TextError:
                    pieces = [word]
                found.update(piece for piece in pieces if piece not in self._positions)
        return found

    @property
    def hash(self) -> str:
        """SHA-256 of the symbols, the units and the contract."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``objective.json``; characters are saved as they were before there were other units."""
        contract = self.contract.as_dict()
        if self.units == Characters():
            return {"characters": list(self.symbols), "contract": contract}
        units = {"kind": self.units.kind, **self.units.as_dict()}
        return {"symbols": list(self.symbols), "contract": contract, "units": units}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Vocabulary:
        """The inverse of ``as_dict``.

        Raises:
            TextError: fields are missing, or belong to a later version.
        """
        try:
            contract = TextContract.from_dict(values["contract"])
            if "units" not in values:
                return cls(tuple(values["characters"]), contract)
            units = _KINDS[values["units"]["kind"]].from_dict(values["units"])
            return cls(tuple(values["symbols"]), contract, units)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TextError(f"a saved vocabulary lacks or mistypes {error}. Save the model again.") from error


def _cut(normal: str, units: Units) -> list[str]:
    """The units of a whole text, those between words among them."""
    return [piece for number, word in enumerate(normal.split(" ")) for piece in _cut_word(number, word, units)]


def _cut_word(number: int, word: str, units: Units) -> list[str]:
    """The units of a text's word number ``number``, behind the one that parts it from the last."""
    return [*([units.boundary] if number and units.boundary else []), *units.cut(word)]
