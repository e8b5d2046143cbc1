"""The text contract (what a transcript becomes before training, scoring and use) and the Vocabulary."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from speechtransfer.errors import TextError

CONTRACT_VERSION = 1
#: Marks that stand for an apostrophe; inside a word it is a letter (l'ora, don't, o'zbek).
_APOSTROPHES = dict.fromkeys(map(ord, "'\u2018\u2019\u02bc\u0060\u00b4\u02bb\u2032"), "'")
#: What no reader sees and no word is divided by: the soft hyphen, word joiners, marks of direction.
_INVISIBLE = dict.fromkeys(
    map(ord, "\u00ad\u2060\ufeff\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)
#: Joiners carry meaning inside Indic and Arabic-script words.
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class TextContract:
    """How transcripts are normalised, saved with each model so that it never drifts.

    Letters, combining marks and word-internal apostrophes are kept; punctuation and symbols become
    spaces; spaces collapse. Marks are never stripped from a letter: accents, vowel signs and tones are
    text. A mark on anything else (the variation selector of an emoji) goes where its base goes.

    Attributes:
        version: raised when the rules change, so that an old model keeps its own.
        unicode: the Unicode normalisation form, ``NFC`` or ``NFKC``.
        case: ``lower``, or ``keep`` for scripts and languages where case is not to be folded.
        digits: ``refuse`` (a digit's reading is not known from the text) or ``keep``.
    """

    version: int = CONTRACT_VERSION
    unicode: Literal["NFC", "NFKC"] = "NFC"
    case: str = "lower"
    digits: str = "refuse"

    def __post_init__(self) -> None:
        """Refuse values that name no rule.

        Raises:
            TextError: an unknown version, form, case or digits rule.
        """
        allowed = {
            "version": (CONTRACT_VERSION,),
            "unicode": ("NFC", "NFKC"),
            "case": ("lower", "keep"),
            "digits": ("refuse", "keep"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise TextError(
                    f"text contract: {name}={getattr(self, name)!r} is not one of {', '.join(map(str, values))}."
                )

    def apply(self, text: str) -> str:
        """The normalised text. Applying it twice changes nothing more.

        Raises:
            TextError: the text holds digits (under ``digits="refuse"``), or nothing is left of it.
        """
        folded = self._normal(text)
        if self.case == "lower":
            # Lower-casing can decompose (Turkish dotted I), so the form is restored after it.
            folded = self._normal(folded.lower())
        kept: list[str] = []
        for character, following in zip(folded, folded[1:] + " ", strict=False):
            category = unicodedata.category(character)
            before = kept[-1] if kept else " "
            inside = unicodedata.category(before)[0] in "LM" and unicodedata.category(following)[0] in "LM"
            if category[0] == "N":
                if self.digits == "refuse":
                    raise TextError(
                        f"digits in {text!r}: how {character!r} is read aloud cannot be known. Write it out in words."
                    )
                kept.append(character)
            elif (
                category[0] == "L"
                or (category[0] == "M" and before != " ")
                or (inside and (character == "'" or character in _JOINERS))
            ):
                kept.append(character)
            elif character not in _JOINERS:
                kept.append(" ")
        result = " ".join("".join(kept).split())
        if not any(unicodedata.category(character)[0] in "LN" for character in result):
            raise TextError(f"no letter is left of {text!r}. Transcribe the utterance, or remove it.")
        return result

    def _normal(self, text: str) -> str:
        """The Unicode form, where normalising can itself make apostrophes (U+1FFD, U+0149)."""
        table = _APOSTROPHES | _INVISIBLE
        composed = unicodedata.normalize("NFC", text).translate(table)
        return unicodedata.normalize(self.unicode, composed).translate(table)


@dataclass(frozen=True)
class Vocabulary:
    """The output symbols of a CTC head: index 0 is the blank, the rest are sorted characters.

    The blank and the word boundary are roles, not strings: the blank has no symbol, and the boundary is
    the space, wherever a checkpoint calls it ``|``.

    Attributes:
        characters: the symbols after the blank, sorted by code point.
        contract: the text contract that transcripts pass through first.
    """

    characters: tuple[str, ...]
    contract: TextContract = field(default_factory=TextContract)

    blank = 0

    def __post_init__(self) -> None:
        """Refuse what is no sorted set of characters, since the order is the meaning of a head's rows.

        Raises:
            TextError: a symbol that is not one character, one that stands twice, or out of order.
        """
        symbols = list(self.characters)
        if not all(isinstance(symbol, str) and len(symbol) == 1 for symbol in symbols):
            raise TextError(f"a vocabulary's symbols must be single characters, not {symbols[:5]} ...")
        if not symbols or symbols != sorted(set(symbols)):
            raise TextError(f"a vocabulary's characters must be sorted, each once, not {symbols[:5]} ...")

    @classmethod
    def from_texts(cls, texts: Iterable[str | None], contract: TextContract | None = None) -> Vocabulary:
        """The characters of the training texts, and of no other split.

        Raises:
            TextError: a missing text, one that breaks the contract, or no text at all.
        """
        contract = contract or TextContract()
        characters: set[str] = set()
        for text in texts:
            if text is None:
                raise TextError("an utterance has no text. Filter such rows out before the vocabulary is built.")
            characters.update(contract.apply(text))
        if not characters:
            raise TextError("no training text: a vocabulary needs at least one transcript.")
        return cls(tuple(sorted(characters)), contract)

    def __len__(self) -> int:
        """How many outputs a head needs, the blank included."""
        return len(self.characters) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """One label an output; the blank's is empty."""
        return ("", *self.characters)

    def encode(self, text: str) -> list[int]:
        """Indices of the normalised text.

        Raises:
            TextError: a character that the training text never had, or a broken contract.
        """
        positions = {character: index for index, character in enumerate(self.characters, 1)}
        normal = self.contract.apply(text)
        unknown = sorted(set(normal) - positions.keys())
        if unknown:
            raise TextError(f"{text!r} holds characters outside the vocabulary: {' '.join(unknown)}")
        return [positions[character] for character in normal]

    def decode(self, indices: Sequence[int]) -> str:
        """The text of output indices (blanks already removed); outer spaces are trimmed."""
        return " ".join("".join(self.labels[index] for index in indices).split())

    def unseen(self, texts: Iterable[str]) -> Counter[str]:
        """Characters of ``texts`` (normalised) that no output can write, with their counts."""
        known = set(self.characters)
        return Counter(character for text in texts for character in self.contract.apply(text) if character not in known)

    @property
    def hash(self) -> str:
        """SHA-256 of the symbols and the contract."""
        canonical = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``objective.json``."""
        return {"characters": list(self.characters), "contract": asdict(self.contract)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Vocabulary:
        """The inverse of ``as_dict``.

        Raises:
            TextError: fields are missing, or belong to a later version.
        """
        try:
            saved = {name: values["contract"][name] for name in [item.name for item in fields(TextContract)]}
            if further := sorted(set(values["contract"]) - set(saved)):
                raise TextError(
                    f"a saved text contract has further rules ({', '.join(further)}): it is newer than this."
                )
            return cls(tuple(values["characters"]), TextContract(**saved))
        except (KeyError, TypeError) as error:
            raise TextError(f"a saved vocabulary lacks or mistypes {error}. Save the model again.") from error
