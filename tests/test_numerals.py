"""Tests of numerals: plain whole numbers become words, and whatever would have to be guessed is refused."""

from __future__ import annotations

import unicodedata

import pytest

from speechtransfer.errors import TextError
from speechtransfer.languages import RULES
from speechtransfer.numerals import spell
from speechtransfer.text import LANGUAGE_VERSION, TextContract

KNOWN = sorted(code for code, rules in RULES.items() if rules.numerals)


def of(language: str, digits: str = "words") -> TextContract:
    return TextContract(LANGUAGE_VERSION, digits=digits, language=language)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("eng", "Room 7, please 21!", "room seven please twenty one"),
        ("eng", "0 1000000", "zero one million"),
        ("fra", "il a 21 ans", "il a vingt et un ans"),
        ("rus", "дом 5", "дом пять"),
        ("arb", "٣ بيوت", "ثلاثة بيوت"),
        ("ron", "21 de zile", "douăzeci și unu de zile"),
        ("ukr", "9 разів", "дев'ять разів"),
        ("kaz", "21 үй", "жиырма бір үй"),
    ],
)
def test_plain_whole_numbers_become_words(language: str, text: str, expected: str) -> None:
    assert of(language).apply(text) == expected


@pytest.mark.parametrize(
    "number",
    [
        *("5.", "5.5", "5,5", "12:30", "1/2", "-5", "+5", "5%", "5 %", "$5", "$ 5", "5 €", "5 °C", "007", "1st", "A4"),
        *("12 345", "1\u00a0000", "12, 345", "1.000", "1'000", "1234567890123", "²", "½", "Ⅳ", "(5)", "5-6", "№5"),
    ],
)
def test_what_would_be_guessed_is_refused(number: str) -> None:
    with pytest.raises(TextError, match=r"digits in .* Whole numbers of up to 12 digits"):
        of("eng").apply(f"about {number} then")


@pytest.mark.parametrize("language", KNOWN)
def test_every_language_of_the_table_counts_in_its_own_letters(language: str) -> None:
    contract = of(language)
    said = [contract.apply(str(number)) for number in (*range(101), 999, 1984, 1_000_000)]
    assert len(set(said)) == len(said)
    assert all(contract.apply(text) == text for text in said)
    assert len({"LATIN" in unicodedata.name(letter) for letter in "".join(said) if letter.isalpha()}) == 1, (
        "two scripts"
    )


def test_digits_are_refused_unless_asked_and_the_refusal_says_what_helps() -> None:
    with pytest.raises(TextError, match=r"digits in 'a 5'.*contract\.digits=words"):
        of("eng", "refuse").apply("a 5")
    with pytest.raises(TextError, match=r"words\.$"):
        TextContract().apply("a 5")
    with pytest.raises(TextError, match="digits='words'"):
        TextContract(digits="words")
    with pytest.raises(TextError, match="no words for 5"):
        spell("5", "xx")
