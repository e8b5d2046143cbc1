"""Units: what a recogniser's outputs stand for, from single characters to pieces of words and phones."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import regex

from speechtransfer.errors import TextError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: A letter with all that is written on it (Unicode Standard Annex 29, extended grapheme clusters).
CLUSTER = regex.compile(r"\X")
#: How often two pieces must stand side by side to become one: what is seen less cannot be learnt.
RAREST = 10
#: What the tokenizer calls a character that it has no piece of; no text after the contract holds it.
_UNKNOWN = "\0"


class Units(ABC):
    """How a word becomes units. Between words stands a unit of its own, unless ``boundary`` is empty.

    Attributes:
        kind: the name that files and settings have.
        called: what they are, for people.
        unknown: what they are called where an output for them is missing.
        boundary: the unit between words; empty where there is none.
        after: what is written after each unit.
    """

    kind: ClassVar[str]
    called: ClassVar[str]
    unknown: ClassVar[str]
    boundary: ClassVar[str] = " "
    after: ClassVar[str] = ""

    @property
    @abstractmethod
    def reachable(self) -> frozenset[str]:
        """Units that other text may need, beside those that training text is cut into."""

    @abstractmethod
    def cut(self, word: str) -> list[str]:
        """The units of a word that passed the text contract, in order; of writing, joined they are the word.

        Raises:
            TextError: a word that a lexicon lacks.
        """

    @abstractmethod
    def is_unit(self, symbol: str) -> bool:
        """Whether a symbol, other than the boundary, can be one unit."""

    @abstractmethod
    def as_dict(self) -> dict[str, Any]:
        """Plain values beside ``kind``, from which ``from_dict`` makes them again."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of ``as_dict``."""


@dataclass(frozen=True)
class Characters(Units):
    """Code points."""

    kind = "characters"
    called = unknown = "characters"
    reachable = frozenset()

    def cut(self, word: str) -> list[str]:
        """Its code points."""
        return list(word)

    def is_unit(self, symbol: str) -> bool:
        """One code point is."""
        return len(symbol) == 1

    def as_dict(self) -> dict[str, Any]:
        """Nothing further."""
        return {}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Characters:
        """Of nothing further."""
        return cls()


@dataclass(frozen=True)
class Clusters(Units):
    """Letters, each with the marks that stand on it: a tone, a vowel sign, a virama and what it joins."""

    kind = "clusters"
    called = unknown = "grapheme clusters"
    reachable = frozenset()

    def cut(self, word: str) -> list[str]:
        """Its extended grapheme clusters."""
        return list(CLUSTER.findall(word))

    def is_unit(self, symbol: str) -> bool:
        """One cluster is."""
        return CLUSTER.fullmatch(symbol) is not None

    def as_dict(self) -> dict[str, Any]:
        """Nothing further."""
        return {}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Clusters:
        """Of nothing further."""
        return cls()


@dataclass(frozen=True)
class Multigraphs(Units):
    """Letters of an orthography that are written with several characters (``ny``, ``tsh``); others are clusters.

    Attributes:
        listed: after the text contract, sorted, each once; the longest that fits is taken, from the left.
    """

    listed: tuple[str, ...]

    kind = "multigraphs"
    called = unknown = "letters"
    reachable = frozenset()

    def __post_init__(self) -> None:
        """Refuse a list that names no multigraph.

        Raises:
            TextError: it is empty, unsorted, or holds what is no text.
        """
        good = all(isinstance(one, str) and one and not regex.search(r"\s", one) for one in self.listed)
        if not self.listed or not good or list(self.listed) != sorted(set(self.listed)):
            raise TextError(f"multigraphs must be sorted, each once, without spaces, not {list(self.listed)[:5]}.")

    @cached_property
    def _known(self) -> tuple[frozenset[str], int]:
        """The list, and the clusters of its longest member."""
        return frozenset(self.listed), max(len(CLUSTER.findall(one)) for one in self.listed)

    def cut(self, word: str) -> list[str]:
        """Its letters; a mark stays with the letter that it stands on, whatever is listed."""
        clusters, (listed, longest) = CLUSTER.findall(word), self._known
        found, place = [], 0
        while place < len(clusters):
            sizes = range(min(longest, len(clusters) - place), 1, -1)
            size = next((size for size in sizes if "".join(clusters[place : place + size]) in listed), 1)
            found.append("".join(clusters[place : place + size]))
            place += size
        return found

    def is_unit(self, symbol: str) -> bool:
        """A listed letter or one cluster is."""
        return symbol in self.listed or CLUSTER.fullmatch(symbol) is not None

    def as_dict(self) -> dict[str, Any]:
        """The list."""
        return {"listed": list(self.listed)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Multigraphs:
        """The inverse of ``as_dict``."""
        return cls(tuple(values["listed"]))


@dataclass(frozen=True)
class Pieces(Units):
    """Frequent parts of words: byte-pair encoding over characters, inside words (Sennrich et al. 2016).

    A piece is the same output at the beginning of a word as within it, since it sounds the same; words are
    divided by the boundary.

    Attributes:
        merges: which two pieces become one, in the order in which they are joined.
    """

    merges: tuple[tuple[str, str], ...]

    kind = "bpe"
    called = "pieces of words (BPE)"
    unknown = "characters"

    def __post_init__(self) -> None:
        """Refuse merges of what is not there to be merged.

        Raises:
            TextError: a merge that is none, or of pieces that no earlier one made.
        """
        made: set[str] = set()
        for merge in self.merges:
            good = len(merge) == 2 and all(isinstance(one, str) and (len(one) == 1 or one in made) for one in merge)
            if not good:
                raise TextError(f"{merge!r} joins no two pieces that were made before it. Train the model again.")
            made.add("".join(merge))

    @classmethod
    def learnt(cls, texts: Iterable[str], size: int) -> Pieces:
        """At most ``size`` units of texts that passed the contract: their characters, the boundary, and pieces.

        Two pieces are joined only where they stand side by side ``RAREST`` times or more.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
        trainer = trainers.BpeTrainer(vocab_size=size - 1, min_frequency=RAREST, special_tokens=[], show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tuple((one, two) for one, two in json.loads(tokenizer.to_str())["model"]["merges"]))

    @cached_property
    def reachable(self) -> frozenset[str]:
        """Every piece, and the characters that they are made of."""
        return frozenset("".join(merge) for merge in self.merges) | frozenset("".join(map("".join, self.merges)))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer, models

        places = {piece: place for place, piece in enumerate((_UNKNOWN, *sorted(self.reachable)))}
        return Tokenizer(models.BPE(vocab=places, merges=list(self.merges), unk_token=_UNKNOWN, fuse_unk=False))

    def cut(self, word: str) -> list[str]:
        """Its pieces; a character that none was made of is one by itself."""
        return [word[start:end] for start, end in self._tokenizer.encode(word).offsets]

    def is_unit(self, symbol: str) -> bool:
        """A piece or one character is."""
        return len(symbol) == 1 or symbol in self.reachable

    def as_dict(self) -> dict[str, Any]:
        """The merges."""
        return {"merges": [list(merge) for merge in self.merges]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Pieces:
        """The inverse of ``as_dict``."""
        return cls(tuple(tuple(merge) for merge in values["merges"]))
