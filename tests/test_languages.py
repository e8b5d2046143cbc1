"""Tests of the rules of languages: known texts, what must hold of every language, and that version 1 stays as it is."""

from __future__ import annotations

import hashlib
import json
import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer.errors import SettingsError, TextError
from speechtransfer.languages import RULES, LanguageRules
from speechtransfer.text import LANGUAGE_VERSION, TextContract
from speechtransfer.textsettings import ContractSettings, usual_contract
from speechtransfer.vocabulary import Vocabulary

#: What version 1 made of every letter, mark, sign and digit of Unicode 3.2, computed before there was a version 2.
FIRST = {
    "": "e2c8276cec3cadd285a9d04ddc5a03d672d4145f6692eb40aa9bee2019cb4b16",
    "unicode=NFKC": "c868a8ec46acf30e7befc1527b475478697a45fecac18f6a32b910370787426f",
    "case=keep": "f44299183ee7acb9d5573f80ad01f96939bc891bef1c3ed1a9412f2ec0b2c49d",
    "digits=keep": "6ed2a7f4e59e411eed19fd61cd3c8322a32b1ea15b036b454d6245c1484a5171",
}
WIDE = (range(0x3500), range(0x9F00, 0xAC20), range(0xF800, 0x10500), range(0x1D100, 0x1D200))
#: One language of each kind of rules; the many that share them need not be tried one by one.
KINDS = {rules: code for code, rules in reversed(RULES.items())}
QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None)
# What the rules are about, beside any letter, mark, sign and space at all.
TELLING = st.sampled_from(
    "'ʻʼ’·ŀLIİıi\u0307\u0327şŢΣσςẞßـ\u064b\u0654\u05c1׳״\"〇語か\u3099ー¹²\u200c\u200dक\u094d -.'a"
)
ANYTHING = st.text(st.one_of(TELLING, st.characters(categories=("L", "M", "Z", "P", "S", "Cf"))), max_size=24)


def of(language: str, **choices: str) -> TextContract:
    return TextContract(LANGUAGE_VERSION, language=language, **choices)  # type: ignore[arg-type]


CONTRACTS = {
    "plain": TextContract(),
    **{code: of(code) for code in KINDS.values()},
    **{f"{code} stripped": of(code, marks="strip") for rules, code in KINDS.items() if rules.vowelled},
    **{f"{code} keeping": of(code, digits="keep", case="keep") for code in ("tur", "mlt", "cat", "ron")},
}


@pytest.mark.parametrize("choice", FIRST)
def test_version_1_is_what_it_always_was(choice: str) -> None:
    name, _, value = choice.partition("=")
    contract, found = TextContract(**({name: value} if name else {})), hashlib.sha256()  # type: ignore[arg-type]
    for character in (chr(code) for codes in WIDE for code in codes):
        if unicodedata.ucd_3_2_0.category(character) in ("Cn", "Co", "Cs"):
            continue
        for text in (f"o{character}b {character}N", f"'{character}' ا{character}\u200d{character}"):
            try:
                found.update(contract.apply(text).encode())
            except TextError as error:
                found.update(str(error).encode())
    assert found.hexdigest() == FIRST[choice]
    saved = Vocabulary(("a",), contract).as_dict()["contract"]
    assert saved == {"version": 1, "unicode": "NFC", "case": "lower", "digits": "refuse"} | (
        {name: value} if name else {}
    )


@pytest.mark.parametrize("name", CONTRACTS)
@QUICK
@given(ANYTHING)
def test_every_language_keeps_letters_and_words_whole_and_is_stable(name: str, text: str) -> None:
    contract = CONTRACTS[name]
    if contract.digits == "refuse":
        text = regex.sub(r"\p{N}", "", text)
    try:
        once = contract.apply(text)
    except TextError:
        assert not regex.search(r"[\p{L}--[ʻʼˋˊـ]]", text, regex.V1), "a text with a letter is never emptied"
        return
    assert contract.apply(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert not regex.search(r"(?:^| )\p{M}|  |^ | $", once), "a mark is never alone"
    vocabulary = Vocabulary.from_texts([text], contract)
    assert vocabulary.decode(vocabulary.encode(text)) == once


@pytest.mark.parametrize("name", CONTRACTS)
@QUICK
@given(st.text(st.characters(categories=("Ll", "Lo", "Mn", "Mc")), min_size=1, max_size=12))
def test_letters_and_marks_of_any_script_are_one_word(name: str, rest: str) -> None:
    # Marks may make one letter of two spellings or be stripped as points; none ever divides what it stands in.
    assert " " not in CONTRACTS[name].apply(f"q{rest}")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("tur", "ISPARTA İzmir I\u0307ZMİR i\u0307zmir kılıç", "ısparta izmir izmir izmir kılıç"),
        ("aze", "QIZIL İşıq", "qızıl işıq"),
        ("crh", "QIRIM", "qırım"),
        ("lit", "IŠ Į i\u0307\u0301", "iš į i\u0307\u0301"),
        ("deu", "STRAẞE Straße STRASSE", "straße straße strasse"),
        ("ell", "ΟΔΥΣΣΕΥΣ, ΣΑΣ ας", "οδυσσευς σας ας"),
        ("uzn", "Oʻzbek togʻ, sanʼat maʼno bogʼ!", "o'zbek tog' san'at ma'no bog'"),
        ("haw", "ʻŌlelo Hawaiʻi, ‘aʻole ʻ", "'ōlelo hawai'i 'a'ole"),
        ("smo", "le ʻaiga fa‘aSāmoa", "le 'aiga fa'asāmoa"),
        ("ton", "ko e ʻOtua", "ko e 'otua"),
        ("ukr", "М’ята, п'ять 'слово'", "м'ята п'ять слово"),
        ("bre", "C’hoazh ar c'hi", "c'hoazh ar c'hi"),
        ("quz", "P'acha k’anka", "p'acha k'anka"),
        ("aym", "Jach’a jach'", "jach'a jach'"),
        ("hau", "ʼyanci 'ya'ya", "'yanci 'ya'ya"),
        ("nav", "Tʼáá ałʼąą góneʼ.", "t'áá ał'ąą góne'"),
        ("grn", "Mba’épa", "mba'épa"),
        ("som", "lo' go'aan", "lo' go'aan"),
        ("mlt", "Ta' Malta, 'il hemm ma’", "ta' malta 'il hemm ma'"),
        ("yua", "K'aak' ''ma'ba'ax''", "k'aak' ma'ba'ax"),
        ("cat", "COL·LEGI, paral·lel · coŀlegi col‧legi", "col·legi paral·lel col·legi col·legi"),
        ("fra", "L’été, l' aujourd'hui", "l'été l aujourd'hui"),
        ("heb", "שָׁלוֹם צה״ל ג׳ירפה וכו׳", "שָׁלוֹם צה״ל ג'ירפה וכו'"),
        ("arb", "مُحَـمَّد", "مُحَمَّد"),
        ("fas", "مي‌خواهم كتاب", "می‌خواهم کتاب"),
        ("ron", "Paşa ŢARĂ s\u0327i", "pașa țară și"),
        ("jpn", "今日は いい 天気、ですね。 ok です", "今日はいい天気ですね ok です"),
        ("zho", "二 〇 年, hello 世界 你好", "二〇年 hello 世界你好"),
        ("kor", "오늘은 날씨가 좋다.", "오늘은 날씨가 좋다"),
        ("tha", "สวัสดี ครับ", "สวัสดี ครับ"),
        ("cso", "Jmɨ́¹² tsá², ", "jmɨ́¹² tsá²"),
        ("xty", "Ya1 ko4o4 3!", "ya1 ko4o4 3"),
        ("ben", "ক্\u200dষ ক্\u200cষ", "ক্\u200dষ ক্\u200cষ"),
    ],
)
def test_known_texts_of_languages(language: str, text: str, expected: str) -> None:
    assert of(language).apply(text) == unicodedata.normalize("NFC", expected)


def test_points_are_stripped_by_choice_and_never_a_hamza() -> None:
    assert of("arb", marks="strip").apply("مُحَمَّدٌ أَكَلَ هٰذَا") == "محمد أكل هذا"
    assert of("arb", marks="strip").apply("\u0627\u0610\u0653") == "\u0622"
    assert of("heb", marks="strip").apply("שָׁלוֹם é") == "שלום é"
    assert of("syc", marks="strip").apply("ܫ\u0732ܠ\u0740") == "ܫܠ"
    assert of("urd", marks="strip").apply("\u0647\u0654\u064e") == "\u0647\u0654"
    for language in ("eng", "kor", "tur"):
        with pytest.raises(TextError, match="marks='strip'"):
            of(language, marks="strip")


def test_where_spaces_separate_no_words_it_is_known() -> None:
    without = {code for code in RULES if not of(code).has_words}
    assert without >= {"zho", "cmn", "yue", "jpn", "tha", "lao", "khm", "mya"}
    assert not without & {"kor", "vie", "eng", "arb"}
    assert TextContract().has_words


@pytest.mark.parametrize(("rules", "code"), KINDS.items())
def test_a_saved_contract_keeps_its_rules(rules: LanguageRules, code: str) -> None:
    vocabulary = Vocabulary(("a",), of(code))
    saved = json.loads(json.dumps(vocabulary.as_dict()))
    assert Vocabulary.from_dict(saved) == vocabulary
    assert Vocabulary.from_dict(saved).hash == vocabulary.hash
    assert vocabulary.hash != Vocabulary(("a",)).hash
    assert hash(vocabulary.contract) == hash(of(code))
    saved["contract"]["rules"]["replaced"] = [["q", "k"]]
    assert Vocabulary.from_dict(saved).contract.apply("q") == "k", "not today's table"


@pytest.mark.parametrize(
    "damage",
    [
        {"rules": None},
        {"rules": {}},
        {"rules": {"initial": True}},
        {"language": None},
        {"version": 1},
        {"marks": "gone"},
        {"tones": "strip"},
        {"replaced": [["a"]]},
        {"replaced": [["a", "aa"]]},
        {"replaced": [["ab", "c"]]},
        {"letters": 3},
        {"words": "syllables"},
        {"initial": "yes"},
        {"further": True},
    ],
)
def test_a_damaged_contract_of_a_language_is_refused(damage: dict[str, object]) -> None:
    saved = json.loads(json.dumps(Vocabulary(("a",), of("mlt")).as_dict()))
    of_rules = {"replaced", "letters", "initial", "words", "further"} & damage.keys()
    (saved["contract"]["rules"] if of_rules else saved["contract"]).update(damage)
    with pytest.raises(TextError):
        Vocabulary.from_dict(saved)


def test_a_recipe_asks_for_rules_and_the_plain_ones_are_unasked() -> None:
    assert ContractSettings().contract("tur") == TextContract()
    assert usual_contract("tur").contract("tur") == of("tur")
    assert usual_contract("swh").contract("swh") == TextContract() == usual_contract(None).contract(None)
    assert ContractSettings("language", "strip", "words").contract("arb") == of("arb", marks="strip", digits="words")
    for settings_, language, error in (
        (ContractSettings(marks="strip"), "arb", SettingsError),
        (ContractSettings(digits="words"), "eng", SettingsError),
        (ContractSettings("language"), None, SettingsError),
        (ContractSettings("language"), "qqq", TextError),
        (ContractSettings("language", marks="strip"), "eng", TextError),
        (ContractSettings("language", digits="words"), "uzn", TextError),
    ):
        with pytest.raises(error):
            settings_.contract(language)
    assert all(rules.told() for rules in RULES.values())
    assert "I is lower-cased to ı" in RULES["tur"].told()
