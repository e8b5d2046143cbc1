"""The text contract: what a transcript becomes before training, scoring and use."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import regex

from speechtransfer.errors import TextError
from speechtransfer.languages import LanguageRules, rules_of
from speechtransfer.numerals import spell

#: Of contracts that know no language, and of those that do.
CONTRACT_VERSION, LANGUAGE_VERSION = 1, 2
#: Marks that stand for an apostrophe; inside a word it is a letter (l'ora, don't, o'zbek).
_APOSTROPHES = dict.fromkeys(map(ord, "'\u2018\u2019\u02bc\u0060\u00b4\u02bb\u2032"), "'")
#: What no reader sees and no word is divided by: the soft hyphen, word joiners, marks of direction.
_INVISIBLE = dict.fromkeys(
    map(ord, "\u00ad\u2060\ufeff\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
)
#: Joiners carry meaning inside Indic and Arabic-script words.
_JOINERS = "\u200c\u200d"
#: What a saved contract of version 1 holds.
_FIRST_FIELDS = ("version", "unicode", "case", "digits")
_COMMON = LanguageRules()
_PAIRS = ("()", "[]", "{}", "<>", "（）", "［］", "｛｝", "【】", "〔〕", "⟨⟩")
_BRACKETS = "|".join(rf"\{pair[0]}[^\{pair[0]}\{pair[1]}]*\{pair[1]}" for pair in _PAIRS)
_BRACKETED = regex.compile(_BRACKETS)
_IN_WORD, _ELIDED = r"[\p{L}\p{M}\p{N}]", "['\u2019\u02bc]?"
#: What touches a letter is of that word, over an apostrophe as well: mo(t)s, l'(homme).
_REMARK = regex.compile(rf"(?<!{_IN_WORD}{_ELIDED})(?:{_BRACKETS})(?!{_ELIDED}{_IN_WORD})")
_OPENED = regex.compile(rf"[{''.join(regex.escape(pair[0]) for pair in _PAIRS)}]\p{{L}}")
_TATWEEL = "\u0640"
_DOTLESS = {ord("I"): "ı", ord("İ"): "i"}
#: Points of Arabic, Hebrew and Syriac; the hamza and the madda above a letter are part of it.
_POINTS = regex.compile(
    r"[\u0591-\u05c7\u0610-\u061a\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06ed\u0711\u0730-\u074a\u08ca-\u08ff&&\p{Mn}]",
    regex.V1,
)
_IDEOGRAPH = r"[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}]"
_BETWEEN_IDEOGRAPHS = regex.compile(rf"(?<={_IDEOGRAPH}\p{{M}}*) (?={_IDEOGRAPH})")


@dataclass(frozen=True)
class TextContract:
    """How transcripts are normalised, saved with each model so that it never drifts.

    Letters, combining marks and word-internal apostrophes are kept; punctuation and symbols become
    spaces; spaces collapse. Marks are never stripped from a letter: accents, vowel signs and tones are
    text. A mark on anything else (the variation selector of an emoji) goes where its base goes.

    A language's contract (version 2) follows its rules too, and keeps them as they were when it was made.

    Attributes:
        version: raised when the rules change, so that an old model keeps its own.
        unicode: the Unicode normalisation form, ``NFC`` or ``NFKC``.
        case: ``lower``, or ``keep`` for scripts and languages where case is not to be folded.
        digits: ``refuse`` (a digit's reading is not known from the text), ``keep``, or of a language that
            num2words knows ``words``: plain whole numbers are written out, all others refused.
        language: ISO 639-3; None for the rules that are common to all.
        marks: ``keep``, or ``strip`` for the vowel points of languages that are written without them too.
        remarks: in brackets; ``keep`` for words that are said, ``drop`` for a transcriber's notes (``[laughs]``), or
            ``refuse`` for transcripts that hold any. Brackets within a word are refused under both.
        rules: of the language; those of the table where none are given.
    """

    version: int = CONTRACT_VERSION
    unicode: Literal["NFC", "NFKC"] = "NFC"
    case: str = "lower"
    digits: str = "refuse"
    language: str | None = None
    marks: Literal["keep", "strip"] = "keep"
    rules: LanguageRules | None = None
    remarks: Literal["keep", "drop", "refuse"] = "keep"

    def __post_init__(self) -> None:
        """Refuse values that name no rule.

        Raises:
            TextError: an unknown version, form, case, digits, marks, remarks or language.
        """
        if self.language is not None and self.rules is None:
            object.__setattr__(self, "rules", rules_of(self.language))
        rules = self.rules or _COMMON
        allowed = {
            "version": (CONTRACT_VERSION if self.language is None else LANGUAGE_VERSION,),
            "unicode": ("NFC", "NFKC"),
            "case": ("lower", "keep"),
            "digits": ("refuse", "keep", "words") if rules.numerals else ("refuse", "keep"),
            "marks": ("keep", "strip") if rules.vowelled else ("keep",),
            "rules": (None,) if self.language is None else (rules,),
            "remarks": ("keep", "drop", "refuse"),
        }
        whose = f" of {self.language}" if self.language else ""
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise TextError(
                    f"text contract{whose}: {name}={getattr(self, name)!r} is not one of {', '.join(map(str, values))}."
                )

    @property
    def has_words(self) -> bool:
        """Whether what spaces separate are words, so that errors may be counted in them."""
        return (self.rules or _COMMON).words == "spaces"

    def apply(self, text: str) -> str:
        """The normalised text. Applying it twice changes nothing more.

        Raises:
            TextError: the text holds digits (under ``digits="refuse"``) or brackets that may mean either, or nothing is
                left of it.
        """
        rules = self.rules or _COMMON
        folded = self._normal(text if self.remarks == "keep" else self._without_remarks(text))
        if self.rules:
            folded = self._normal(self._prepared(folded, rules))
        if self.case == "lower":
            # Lower-casing can decompose (Turkish dotted I), so the form is restored after it.
            folded = self._normal(folded.lower())
        if self.rules:
            folded = self._normal(self._respelt(folded, rules))
        kept: list[str] = []
        for previous, character, following in zip(" " + folded, folded, folded[1:] + " ", strict=False):
            kind = _kind(character, rules)
            before = kept[-1] if kept else " "
            if kind == "N":
                if self.digits != "keep":
                    raise TextError(self._refusal(text, character))
                kept.append(character)
            elif (
                kind == "L"
                or (kind == "M" and before != " ")
                or (
                    (character == "'" or character in _JOINERS or character in rules.inside)
                    and _kind(before, rules) in "LM"
                    and _kind(following, rules) in "LM"
                )
                or (character == "'" and _at_an_edge(previous, before, following, rules))
            ):
                kept.append(character)
            elif character not in _JOINERS:
                kept.append(" ")
        result = " ".join("".join(kept).split())
        if rules.joined:
            result = _BETWEEN_IDEOGRAPHS.sub("", result)
        if not any(unicodedata.category(character)[0] in "LN" for character in result):
            raise TextError(f"no letter is left of {text!r}. Transcribe the utterance, or remove it.")
        return result

    def _without_remarks(self, text: str) -> str:
        """The text less its remarks, those within others first."""
        rest = text
        while self.remarks == "drop" and (less := _REMARK.sub(" ", rest)) != rest:
            rest = less
        if found := _BRACKETED.search(rest):
            whole = f"{found[0]!r} in {text!r}"
            if self.remarks == "refuse":
                raise TextError(f"a remark in brackets, {whole}. Leave it out, or set contract.remarks.")
            raise TextError(f"brackets within a word, {whole}: write the word as it is said.")
        if self.remarks != "keep" and (found := _OPENED.search(rest)):
            raise TextError(f"a bracket that nothing closes, {found[0]!r} in {text!r}. Close it, or leave it out.")
        return rest

    def _prepared(self, text: str, rules: LanguageRules) -> str:
        """What comes before lower-casing: numbers as words, and a dotless capital."""
        if self.digits == "words" and rules.numerals:
            text = spell(text, rules.numerals)
        return text.translate(_DOTLESS) if rules.dotless and self.case == "lower" else text

    def _respelt(self, text: str, rules: LanguageRules) -> str:
        """What comes after it: the orthography's own characters, and no tatweel."""
        text = text.translate({ord(old): new for old, new in rules.replaced}).replace(_TATWEEL, "")
        if rules.dotless:  # what lower-casing elsewhere made of İ
            text = regex.sub("i\u0307+", "i", text)
        return _POINTS.sub("", text) if self.marks == "strip" else text

    def _refusal(self, text: str, digit: str) -> str:
        refusal = f"digits in {text!r}: how {digit!r} is read aloud cannot be known. Write it out in words."
        if self.digits == "words":
            return f"{refusal} Whole numbers of up to 12 digits that stand alone between spaces need not be."
        if self.rules and self.rules.numerals:
            return f"{refusal} Or let plain whole numbers be written out: contract.digits=words."
        return refusal

    def _normal(self, text: str) -> str:
        """The Unicode form, where normalising can itself make apostrophes (U+1FFD, U+0149)."""
        table = _APOSTROPHES | _INVISIBLE
        composed = unicodedata.normalize("NFC", text).translate(table)
        return unicodedata.normalize(self.unicode, composed).translate(table)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for ``objective.json``; of the rules that are common to all, those of version 1."""
        values = asdict(self)
        if self.remarks == "keep":  # as models of before have it, whose hash is of what is written here
            del values["remarks"]
        named = (*_FIRST_FIELDS, "remarks")
        return values if self.language is not None else {name: values[name] for name in named if name in values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TextContract:
        """The inverse of ``as_dict``.

        Raises:
            TextError: rules of a later version.
            KeyError, TypeError, ValueError: values that are none of a contract.
        """
        names = _FIRST_FIELDS if values["version"] == CONTRACT_VERSION else tuple(vars(TextContract()))
        saved = {name: values[name] for name in names if name != "remarks"}
        saved["remarks"] = values.get("remarks", "keep")
        if further := sorted(set(values) - set(saved)):
            raise TextError(f"a saved text contract has further rules ({', '.join(further)}): it is newer than this.")
        if "rules" in saved:
            saved["rules"] = LanguageRules.from_dict(saved["rules"])
        return cls(**saved)


def remarks(text: str) -> list[str]:
    """What stands in brackets in a text and touches no word: said, or a transcriber's note."""
    return [found[0] for found in _REMARK.finditer(text)]


def _kind(character: str, rules: LanguageRules) -> str:
    """The first letter of its Unicode category, as the language has it."""
    return "L" if character in rules.letters else unicodedata.category(character)[0]


def _at_an_edge(previous: str, before: str, following: str, rules: LanguageRules) -> bool:
    """Whether a lone apostrophe at the edge of a word is a letter; two in a row are a quotation mark."""
    begins = before == " " and previous != "'" and _kind(following, rules) == "L"
    ends = _kind(before, rules) in "LM" and following != "'" and _kind(following, rules) not in "LM"
    return (rules.initial and begins) or (rules.final and ends)
