"""What is odd in usable transcripts: letters, spellings and pairings that are more often a mistake than meant."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from statistics import median

from speechtransfer.manifest import Utterance
from speechtransfer.text import TextContract, remarks

#: Scripts that share their words.
_TOGETHER = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "KATAKANA-HIRAGANA": "CJK"}
#: A script with so many of all letters is that of the corpus.
_MAIN = 0.9
#: A letter written no oftener, among so many letters at least, is a slip or a foreign name.
_RARE, _ENOUGH = 2, 2000
#: Deviations from the corpus's own pace beyond which text and sound hardly belong together, and at least how many
#: times faster or slower than its middle: a reader who never varies is no reason to doubt small differences.
_DEVIATIONS, _TIMES, _FEWEST = 4.0, 2.0, 20
#: A short word with a stop, and the letter after it: where that is a capital, a sentence may end there.
_SHORTENED = re.compile(r"(?<!\w)([^\W\d_]{1,4}\.)\s+(?=([^\W\d_]))")


@dataclass(frozen=True)
class Symptom:
    """One doubt about one utterance, which is used all the same.

    Attributes:
        id: of the utterance.
        kind: what is odd, the same words for all of a kind.
        detail: where it is, and what to look at.
    """

    id: str
    kind: str
    detail: str


def by_kind(symptoms: Sequence[Symptom]) -> list[tuple[Symptom, int]]:
    """The first of each kind and how many there are, the most frequent kind first."""
    firsts = {one.kind: one for one in reversed(symptoms)}
    return [(firsts[kind], count) for kind, count in Counter(one.kind for one in symptoms).most_common()]


def by_utterance(symptoms: Iterable[Symptom]) -> dict[str, list[Symptom]]:
    """All of an utterance together, by its id."""
    found: dict[str, list[Symptom]] = {}
    for one in symptoms:
        found.setdefault(one.id, []).append(one)
    return found


def written(rows: Sequence[Utterance], contract: TextContract) -> list[Symptom]:
    """What is odd in how the transcripts are written, each measured by the corpus as a whole.

    Args:
        rows: the utterances.
        contract: that their transcripts pass; one that leaves remarks out leaves none to doubt.
    """
    texts = [(row, row.text) for row in rows if row.text]
    letters = Counter(one for _, text in texts for one in unicodedata.normalize("NFC", text).lower() if one.isalpha())
    found = [
        *_scripts(texts, letters),
        *_rare(texts, letters),
        *_unheard(texts),
        *_in_pieces(texts),
        *_abbreviations(texts),
        *(_in_brackets(texts) if contract.remarks == "keep" else ()),
    ]
    order = {row.id: place for place, row in enumerate(rows)}
    return sorted(found, key=lambda one: (order[one.id], one.kind))


def paired(rows: Sequence[Utterance], seconds: Sequence[float]) -> list[Symptom]:
    """Transcripts with far more or fewer letters a second than the corpus has: another recording's, or cut off.

    Args:
        rows: the utterances.
        seconds: of their sound.
    """
    paces = {
        row.id: math.log(sum(map(str.isalpha, row.text)) / length)
        for row, length in zip(rows, seconds, strict=True)
        if row.text and length > 0 and any(map(str.isalpha, row.text))
    }
    if len(paces) < _FEWEST:
        return []
    middle = median(paces.values())
    # The median deviation, as a standard deviation would be if paces were normal (Hampel 1974).
    spread = 1.4826 * median(abs(pace - middle) for pace in paces.values())
    least = max(_DEVIATIONS * spread, math.log(_TIMES))
    found = []
    for name, pace in paces.items():
        if abs(pace - middle) > least:
            kind = "much text for its sound" if pace > middle else "little text for its sound"
            told = f"{math.exp(pace):.1f} letters a second, where half of the corpus has over {math.exp(middle):.1f}"
            found.append(Symptom(name, kind, told))
    return found


_Texts = Sequence[tuple[Utterance, str]]


def _scripts(texts: _Texts, letters: Counter[str]) -> Iterator[Symptom]:
    """Words of two scripts, and words of another script than nearly all of the corpus."""
    counted: Counter[str] = Counter()
    for letter, times in letters.items():
        counted[_script(letter)] += times
    main, times = max(counted.items(), key=lambda one: one[1], default=("", 0))
    known = main if times >= _MAIN * counted.total() else None
    for row, text in texts:
        for word in text.split():
            own = _scripts_of(word)
            if len(own) > 1:
                counts = Counter(_script(one) for one in word if one.isalpha())
                usual = max(own, key=lambda script: (counts[script], script == known))
                strange = next(one for one in word if one.isalpha() and _script(one) not in ("", usual))
                told = f"{strange!r} in {word!r} is {unicodedata.name(strange)}, the rest is {usual.title()}"
                yield Symptom(row.id, "letters of two scripts in one word", told)
            elif own and known and known not in own:
                told = f"{word!r} is {own[0].title()}, the corpus {known.title()}"
                yield Symptom(row.id, "a word in another script", told)


@lru_cache(1 << 16)  # the same words come again and again
def _scripts_of(word: str) -> tuple[str, ...]:
    """The scripts of a word's letters, in order of their first."""
    return tuple(dict.fromkeys(script for one in word if one.isalpha() and (script := _script(one))))


@cache
def _script(letter: str) -> str:
    """The script of a letter by its Unicode name; empty for what stands in any, such as modifiers."""
    name = unicodedata.name(letter, "").split()
    return "" if not name or name[0] in ("MODIFIER", "FULLWIDTH", "HALFWIDTH") else _TOGETHER.get(name[0], name[0])


def _rare(texts: _Texts, letters: Counter[str]) -> Iterator[Symptom]:
    total = letters.total()
    rare = {letter for letter, times in letters.items() if times <= _RARE} if total >= _ENOUGH else set()
    for row, text in texts if rare else ():
        for letter in sorted(rare.intersection(unicodedata.normalize("NFC", text).lower())):
            told = f"{letter!r} is written {letters[letter]} times in {total} letters"
            yield Symptom(row.id, "a rare letter", told)


def _unheard(texts: _Texts) -> Iterator[Symptom]:
    """Letters that only dev or a test has, which no model can learn to write."""
    known = {one for row, text in texts if row.split == "train" for one in _folded(text)}
    for row, text in texts if known else ():
        if row.split not in (None, "train") and (strange := sorted(set(_folded(text)) - known)):
            told = f"{', '.join(map(repr, strange))} in {row.split} is in no transcript of train"
            yield Symptom(row.id, "a letter that train lacks", told)


def _folded(text: str) -> Iterable[str]:
    return filter(str.isalpha, unicodedata.normalize("NFC", text).lower())


def _in_pieces(texts: _Texts) -> Iterator[Symptom]:
    """Letters and marks apart (NFD) where other transcripts have them together (NFC)."""
    pieces = [(row, text) for row, text in texts if unicodedata.normalize("NFC", text) != text]
    if len(pieces) == len(texts) or not any(unicodedata.normalize("NFD", text) != text for _, text in texts):
        return
    for row, _ in pieces:
        yield Symptom(row.id, "accents apart from their letters", "NFD, where others are NFC: both are read as NFC")


def _abbreviations(texts: _Texts) -> Iterator[Symptom]:
    """Words that may be read aloud otherwise than they are spelt."""
    lower = sum(any(map(str.islower, text)) for _, text in texts)
    for row, text in texts:
        short = [word for word, following in _SHORTENED.findall(text) if following.islower()]
        if 2 * lower > len(texts):  # in a corpus of capitals they say nothing
            words = (word.strip(".,;:!?\"'()") for word in text.split())
            short += [word for word in words if len(word) > 1 and word.isalpha() and word.isupper()]
        if short:
            told = f"{', '.join(dict.fromkeys(short))}: is it spelt as it is said?"
            yield Symptom(row.id, "an abbreviation", told)


def _in_brackets(texts: _Texts) -> Iterator[Symptom]:
    """Notes that nobody said, unless they are words that somebody did."""
    for row, text in texts:
        if found := remarks(text):
            told = f"{', '.join(dict.fromkeys(found))}: read as said; contract.remarks=drop leaves notes out"
            yield Symptom(row.id, "a remark in brackets", told)
