"""A character n-gram over a few transcripts, or over more of the language: what may be spelt next."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Stands before the first character and after the last.
END = "\n"
_Integers = NDArray[np.int64]
_Reals = NDArray[np.float64]


class LanguageModel(Protocol):
    """What a decoder asks of a model of texts."""

    def log_probability(self, history: str, character: str) -> float:
        """Natural logarithm of P(character | history); the history begins with ``END`` at the start of a text."""


@dataclass(frozen=True)
class CharacterNgram:
    """Interpolated n-gram with Witten-Bell smoothing (Witten and Bell 1991, method C; Chen and Goodman 1999, eq. 16).

    A history that training saw with t different successors in n places gives t / (n + t) of its
    probability to the next shorter history; below them all, every character is alike. It suits the few
    thousand characters of a small corpus, where the counts of counts that Kneser-Ney needs are not there.

    Attributes:
        texts: what it was counted on, sorted, each once: a prompt said twenty times is one prompt.
        order: the longest sequence counted, in characters.
    """

    texts: tuple[str, ...]
    order: int

    @classmethod
    def from_texts(cls, texts: Iterable[str], order: int) -> CharacterNgram:
        """The model of normalised texts, whatever their order."""
        return cls(tuple(sorted(set(texts))), order)

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {character: code for code, character in enumerate(sorted({END, *"".join(self.texts)}))}

    @cached_property
    def _levels(self) -> list[_Level]:
        """Histories of 0, 1, 2 ... characters, counted at the first use: what decodes nothing need not wait for it."""
        if not self.texts:
            return []
        stream = END + END.join(self.texts) + END
        codes = np.fromiter(map(self._codes.__getitem__, stream), np.int64, len(stream))
        places = np.arange(len(codes))
        # A history goes back to the END before its text and no further.
        starts = np.maximum.accumulate(np.where(codes == self._codes[END], places, 0))
        places, reach, size = places[1:], places[1:] - starts[:-1], len(self._codes)
        nodes = np.zeros_like(places)
        levels = [_Level.counted(nodes[:0], nodes, codes[places], size)]
        for length in range(1, self.order):
            deep = reach >= length
            places, reach, nodes = places[deep], reach[deep], nodes[deep]
            branches, nodes = np.unique(nodes * size + codes[places - length], return_inverse=True)
            levels.append(_Level.counted(branches, nodes, codes[places], size))
        return levels

    @cached_property
    def _told(self) -> dict[str, tuple[int | None, _Reals]]:
        return {}

    @cached_property
    def _logarithms(self) -> dict[str, array[float]]:
        return {}

    def log_probability(self, history: str, character: str) -> float:
        """Natural logarithm of P(character | history); the history begins with ``END`` at the start of a text."""
        context = history[max(0, len(history) - self.order + 1) :]
        found = self._logarithms.get(context)
        if found is None:
            probabilities = self._after(context)[1] if self.texts else np.ones(1)
            found = self._logarithms[context] = array("d", map(math.log, probabilities.tolist()))
        return found[self._codes.get(character, -1)]

    def _after(self, context: str) -> tuple[int | None, _Reals]:
        """The number of a history, None where it was not seen, and P of each code after it; last, of no known one.

        A decoder asks for many characters after one history, so all are reckoned at once, from those after the next
        shorter history.
        """
        if context in self._told:
            return self._told[context]
        level = self._levels[len(context)] if len(context) < len(self._levels) else None
        size, node = len(self._codes), None if context else 0
        if context:
            shorter, probabilities = self._after(context[1:])
            before = self._codes.get(context[0])
            if level is not None and shorter is not None and before is not None:
                node = _index(level.branches, shorter * size + before)
        else:
            probabilities = np.full(size + 1, 1 / int(self._levels[0].kinds[0]))
        if level is not None and node is not None:
            counts = np.zeros(size + 1, np.int64)
            first, last = np.searchsorted(level.successors, (node * size, (node + 1) * size))
            counts[level.successors[first:last] - node * size] = level.counts[first:last]
            seen, kinds = int(level.seen[node]), int(level.kinds[node])
            probabilities = (counts + kinds * probabilities) / (seen + kinds)
        self._told[context] = node, probabilities
        return node, probabilities


@dataclass(frozen=True)
class _Level:
    """The histories of one length.

    A history is a number: its place among the sorted ``branches``, each that of the history without its first
    character times the size of the alphabet, plus the code of that character.

    Attributes:
        branches: (histories,) sorted; empty for the one history of no characters.
        seen: (histories,) places where it was seen.
        kinds: (histories,) how many different characters came next.
        successors: (pairs,) sorted: history times the size of the alphabet, plus the code of what came next.
        counts: (pairs,) how often.
    """

    branches: _Integers
    seen: _Integers
    kinds: _Integers
    successors: _Integers
    counts: _Integers

    @classmethod
    def counted(cls, branches: _Integers, nodes: _Integers, following: _Integers, size: int) -> _Level:
        """Counts of the history before every place, and of the code there in an alphabet of a size."""
        successors, counts = np.unique(nodes * size + following, return_counts=True)
        return cls(branches, np.bincount(nodes), np.bincount(successors // size), successors, counts)


def _index(sorted_values: _Integers, value: int) -> int | None:
    """Where a value stands; None where it does not."""
    place = int(np.searchsorted(sorted_values, value))
    return place if place < len(sorted_values) and sorted_values[place] == value else None


@dataclass(frozen=True)
class Mixture:
    """Two models, one of them of more texts than were said (linear interpolation; Jelinek and Mercer 1980).

    Attributes:
        own: of the transcripts.
        wider: of the other texts.
        share: of the probability that is the wider one's, from 0 to 1.
    """

    own: CharacterNgram
    wider: CharacterNgram
    share: float

    def log_probability(self, history: str, character: str) -> float:
        """Natural logarithm of P(character | history); the history begins with ``END`` at the start of a text."""
        own = math.exp(self.own.log_probability(history, character))
        wider = math.exp(self.wider.log_probability(history, character))
        return math.log((1 - self.share) * own + self.share * wider)
