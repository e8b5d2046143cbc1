"""What the text contract does beyond the common rules, language by language: data, keyed by ISO 639-3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from speechtransfer.errors import TextError


@dataclass(frozen=True)
class LanguageRules:
    """One language's rules; the default of each field is the common rule.

    Attributes:
        dotless: I is lower-cased to ı, and İ to i.
        initial: an apostrophe before a word's first letter is a letter.
        final: an apostrophe after a word's last letter is a letter.
        letters: characters that are letters here although Unicode says otherwise.
        inside: characters kept between two letters, as an apostrophe is.
        replaced: single characters, and how the orthography writes them.
        vowelled: vowel points may be stripped, since the language is written with and without them.
        words: what spaces separate; where it is no words, there is no word error rate.
        joined: spaces between ideographs and kana say nothing, and are removed.
        numerals: the language's name in num2words, where that knows it.
    """

    dotless: bool = False
    initial: bool = False
    final: bool = False
    letters: str = ""
    inside: str = ""
    replaced: tuple[tuple[str, str], ...] = ()
    vowelled: bool = False
    words: Literal["spaces", "none"] = "spaces"
    joined: bool = False
    numerals: str | None = None

    def __post_init__(self) -> None:
        """Refuse a replacement that would not be the same when it is applied again.

        Raises:
            TextError: more than one character is replaced, or what replaces it holds one that is; or an
                unknown kind of words.
        """
        if self.words not in ("spaces", "none"):
            raise TextError(f"words={self.words!r}: spaces divide words (spaces), or do not (none).")
        keys = {old for old, _ in self.replaced}
        if any(len(old) != 1 for old in keys) or any(keys & set(new) for _, new in self.replaced):
            raise TextError(f"replacements must be of single characters, and final: {self.replaced}.")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LanguageRules:
        """Rules as JSON holds them.

        Raises:
            TypeError: an unknown field, or one of another kind.
            KeyError: a field is missing.
            ValueError: a replacement is no pair.
        """
        for name, usual in vars(cls()).items():
            kind = {"replaced": list, "numerals": str | None}.get(name, type(usual))
            if not isinstance(values[name], kind):
                raise TypeError(f"{name}: {values[name]!r}")
        return cls(**{**values, "replaced": tuple((old, new) for old, new in values["replaced"])})

    def told(self) -> str:
        """The rules, for people."""
        said = {
            "I is lower-cased to ı": self.dotless,
            "a word may begin with an apostrophe": self.initial,
            "a word may end with an apostrophe": self.final,
            f"{' '.join(self.letters)} are letters": bool(self.letters),
            f"{' '.join(self.inside)} stays inside a word": bool(self.inside),
            f"{', '.join(f'{old} is written {new}' for old, new in self.replaced)}": bool(self.replaced),
            "spaces between ideographs and kana are removed": self.joined,
            "no spaces between words, so no WER": self.words == "none",
        }
        return "; ".join(text for text, holds in said.items() if holds) or "the common ones"


_PLAIN = LanguageRules()
#: Unicode 16, SpecialCasing.txt, conditions tr and az; CLDR has the same transform for tr and az. Kazakh and Tatar
#: are written in Cyrillic for the most part, where a Latin I is a foreign word's, so they are not here. Lithuanian
#: needs nothing: the dot that SpecialCasing adds under an accent (lt) is of dictionaries, not of transcripts.
_DOTLESS = LanguageRules(dotless=True)
#: A glottal stop or glottalisation that can end a word, whichever mark stands for it: the Mayan orthographies (ALMG
#: 1988; INALI 2014 for yua: ma', k'aak'), Navajo (góne'), Aymara (an ejective where the vowel is elided), Somali (lo').
_FINAL = LanguageRules(final=True)
#: A glottal stop that begins words and stands inside them: the Hawaiian 'okina (Pukui and Elbert 1986), the Samoan koma
#: liliu, the Tongan fakau'a (Churchward 1953), the Tahitian 'eta; Hausa 'y (CLDR's main exemplars of ha: ʼy).
#: Māori (mri) writes none.
_INITIAL = LanguageRules(initial=True)
#: An apostrophe inside words alone, which the common rules keep: Ukrainian and Belarusian (м'я, orthography of 2019 and
#: of 2008), Breton c'h, the Quechua ejectives (p'acha), Guarani puso (mba'e), Oromo hudhaa, French and Italian elision.
_INSIDE = _PLAIN
#: Pinyin GB/T 16159 apart, ideographs and kana are written without spaces (UAX 14, class ID); where a transcript has
#: one, it is a tokeniser's or a line break's. 〇 is the ideograph zero, a numeral (Nl) to Unicode alone.
_IDEOGRAPHS = LanguageRules(words="none", joined=True, letters="〇")
#: UAX 29, section 4: Thai, Lao, Khmer and Myanmar need a dictionary to find words; their spaces are of phrases. In
#: Tibetan and Dzongkha the tsheg divides syllables.
_UNSPACED = LanguageRules(words="none")
#: Tashkil and niqqud are optional (Unicode 16 core specification, 9.1 and 9.2). Not so where the same marks are the
#: vowels of an alphabet: Kashmiri, Uyghur, Yiddish.
_VOWELLED = LanguageRules(vowelled=True)
#: ISIRI 6219: Persian has its own kaf and yeh, for which Arabic keyboards give others; so has Urdu (UZT 1.01).
_PERSIAN = LanguageRules(vowelled=True, replaced=(("ك", "ک"), ("ي", "ی"), ("ى", "ی")))
#: Punt volat, the middle dot of l·l (Institut d'Estudis Catalans, Ortografia catalana 2017); CLDR's exemplars of ca.
_MIDDLE_DOT = LanguageRules(
    inside="·", replaced=(("ŀ", "l·"), ("Ŀ", "L·"), ("\u2027", "·"), ("\u2219", "·"), ("\u22c5", "·"))
)
#: Comma below (Romanian Academy 2003; SR 13411; CLDR's exemplars of ro); older keyboards gave the Turkish cedilla.
_COMMA_BELOW = LanguageRules(replaced=(("ş", "ș"), ("ţ", "ț"), ("Ş", "Ș"), ("Ţ", "Ț")))
#: Geresh makes letters (ג׳) and may end a word; gershayim stand inside acronyms (Academy of the Hebrew Language).
_GERESH = LanguageRules(vowelled=True, final=True, inside="״", replaced=(("׳", "'"),))
#: Tones written as superscripts, SIL's practical orthographies of Chinantec and of Chiquihuitlán Mazatec.
_SUPERSCRIPTS = LanguageRules(letters="¹²³⁴⁵")
#: Tones written as digits (Yoloxóchitl Mixtec: Amith and Castillo García, OpenSLR 89).
_DIGITS = LanguageRules(letters="1234")


def _each(codes: str, rules: LanguageRules) -> dict[str, LanguageRules]:
    return dict.fromkeys(codes.split(), rules)


def _numerals(table: Mapping[str, LanguageRules], names: Iterable[str]) -> dict[str, LanguageRules]:
    """The table with num2words' names, each ``code=name``; a language with nothing else of its own has plain rules."""
    pairs = (pair.split("=") for pair in names)
    return {**table, **{code: replace(table.get(code, _PLAIN), numerals=name) for code, name in pairs}}


#: Lower-casing is Unicode's for Greek and German: ς is written where a capital word ends (Unicode 16, 3.13,
#: Final_Sigma) and a written ς or σ stays; ẞ becomes ß, never ss (Rat für deutsche Rechtschreibung 2024, § 25 E3).
RULES: Mapping[str, LanguageRules] = _numerals(
    {
        **_each("tur aze azj crh gag", _DOTLESS),
        **_each("uzb uzn", _FINAL),  # oʻ and gʻ end words (togʻ); Uzbek Latin alphabet of 1995, CLDR's exemplars of uz
        **_each("yua quc kek cak mam tzo tzh nav som aym ayr ayc", _FINAL),
        **_each("haw smo ton tah hau", _INITIAL),
        "mlt": LanguageRules(initial=True, final=True),  # ta', ma'; 'il (Kunsill tal-Malti 2008)
        **_each("ukr bel bre que quz quy grn gug orm gaz fra ita ell", _INSIDE),
        **_each("zho cmn yue wuu hak nan gan hsn lzh jpn", _IDEOGRAPHS),
        **_each("tha lao khm mya shn bod dzo", _UNSPACED),
        **_each("ara arb apc acm acw afb aeb apd arq ars ary arz ayl ayn syc aii", _VOWELLED),
        **_each("fas pes prs urd", _PERSIAN),
        "heb": _GERESH,
        "cat": _MIDDLE_DOT,
        "ron": _COMMA_BELOW,
        **_each("cso cuc cpa maq", _SUPERSCRIPTS),
        "xty": _DIGITS,
    },
    # Left out, as num2words 0.5.14 has them: Amharic (a Latin letter in a million, and some numbers never end), Kannada
    # (ten lakh is wrong), Serbian (in Latin letters, whatever the transcripts are in), Turkish (all in one word).
    (
        *("ara=ar", "arb=ar", "aze=az", "azj=az", "bel=be", "ben=bn", "cat=ca", "ces=cs", "cym=cy"),
        *("dan=da", "deu=de", "eng=en", "epo=eo", "spa=es", "fas=fa", "pes=fa", "fin=fi", "fra=fr", "heb=he"),
        *("hun=hu", "ind=id", "isl=is", "ita=it", "jpn=ja", "kor=ko", "kaz=kz", "lit=lt", "lav=lv", "lvs=lv"),
        *("nld=nl", "nor=no", "nob=no", "pol=pl", "por=pt", "ron=ro", "rus=ru", "slk=sk", "slv=sl", "swe=sv"),
        *("tel=te", "tet=tet", "tgk=tg", "tha=th", "ukr=uk", "vie=vi"),
    ),
)


def rules_of(language: str) -> LanguageRules:
    """A language's rules.

    Raises:
        TextError: the table has none.
    """
    if language not in RULES:
        raise TextError(f"there are no rules of {language!r}; there are of {' '.join(sorted(RULES))}.")
    return RULES[language]
