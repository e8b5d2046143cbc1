"""A character n-gram over a few transcripts: what a recogniser may expect to be spelt next."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

#: Stands before the first character and after the last.
END = "\n"


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
    def _counts(self) -> dict[str, Counter[str]]:
        """Successors of every history, counted at the first use: a model that decodes nothing need not wait for it."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for text in self.texts:
            bounded = f"{END}{text}{END}"
            for place in range(1, len(bounded)):
                for length in range(min(self.order, place + 1)):
                    counts[bounded[place - length : place]][bounded[place]] += 1
        return dict(counts)

    @cached_property
    def _known(self) -> dict[tuple[str, str], float]:
        return {}

    def log_probability(self, history: str, character: str) -> float:
        """Natural logarithm of P(character | history); the history begins with ``END`` at the start of a text."""
        context = history[max(0, len(history) - self.order + 1) :]
        if (context, character) not in self._known:
            self._known[context, character] = math.log(self._probability(context, character))
        return self._known[context, character]

    def _probability(self, context: str, character: str) -> float:
        probability = 1 / max(1, len(self._counts.get("", ())))
        for length in range(len(context) + 1):
            successors = self._counts.get(context[len(context) - length :])
            if successors is None:  # no longer history was seen either
                break
            seen, kinds = successors.total(), len(successors)
            probability = (successors[character] + kinds * probability) / (seen + kinds)
        return probability
