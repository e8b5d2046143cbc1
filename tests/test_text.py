"""Tests of the text contract and the Vocabulary: expected texts are known by construction, not computed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer.errors import TextError
from speechtransfer.text import LANGUAGE_VERSION, TextContract, remarks
from speechtransfer.vocabulary import Vocabulary

ROOT = Path(__file__).parents[1]
CONTRACT = TextContract()
CONTRACTS = (CONTRACT, TextContract(unicode="NFKC"), TextContract(case="keep"), TextContract(digits="keep"))
DROP, REFUSE = TextContract(remarks="drop"), TextContract(remarks="refuse")
APOSTROPHES = "'\u2018\u2019\u02bc\u02bb\u00b4`\u2032"
# Letters and marks of scripts that ASCII-stripping empties and that accent-stripping breaks.
SCRIPTS = {
    "Latin": "aZéßıİŋøÑ\u0301\u0308\u0323",
    "Greek": "αΒάῆω\u0313\u0345",
    "Cyrillic": "яЙёЪқ\u0301",
    "Devanagari": "कषत्रािीं\u093c",
    "Bengali": "কষ্টোৌ",
    "Tamil": "தமிழ்ொ",
    "Arabic": "بئؤۀ\u064b\u0651",
    "Hebrew": "אשּׁ\u05b8",
    "Thai": "กี้ำเ",
    "Hangul": "한\u1112\u1161\u11ab",
    "Han": "語一丁",
    "Kana": "がカ\u3099ー",
    "Ethiopic": "አማ",
    "Yoruba": "ẹọṣ\u0300\u0301",
}


def words(script: str) -> st.SearchStrategy[str]:
    """Words of one script: a letter, then letters and marks."""
    letters = [c for c in SCRIPTS[script] if unicodedata.category(c)[0] == "L"]
    return st.builds(str.__add__, st.sampled_from(letters), st.text(SCRIPTS[script], max_size=6))


WORDS = st.sampled_from(sorted(SCRIPTS)).flatmap(words)
SEPARATORS = st.sampled_from(
    [" ", ", ", "! ", " - ", "\u2014", "\u2013", "-", "\n", "\u00a0", " \u00ab", "\u0964 ", " 😀\ufe0f "]
)
# Everything Python calls a letter, a mark, a space, punctuation, a symbol or a format character.
ANYTHING = st.text(st.characters(categories=("L", "M", "Z", "P", "S", "Cf")), max_size=30)
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)


@QUICK
@given(st.lists(st.tuples(WORDS, SEPARATORS), min_size=1, max_size=5))
def test_letters_and_marks_stay_and_all_else_divides_words(pieces: list[tuple[str, str]]) -> None:
    text = "".join(word + separator for word, separator in pieces)
    lowered = (unicodedata.normalize("NFC", word).lower() for word, _ in pieces)
    expected = " ".join(unicodedata.normalize("NFC", word) for word in lowered)
    assert CONTRACT.apply(text) == expected
    for form in ("NFC", "NFD"):
        assert CONTRACT.apply(unicodedata.normalize(form, text)) == expected


@QUICK
@given(ANYTHING)
def test_applying_twice_changes_nothing_and_no_letter_is_lost(text: str) -> None:
    for contract in CONTRACTS:
        letters = regex.sub(f"[{APOSTROPHES}]", "", unicodedata.normalize(contract.unicode, text))
        try:
            once = contract.apply(text)
        except TextError:
            assert not regex.search(r"\p{L}", letters)
            continue
        assert contract.apply(once) == once
        assert contract.apply(f" ({text}\u2026") == once
        assert unicodedata.is_normalized(contract.unicode, once)
        assert not regex.search(r"[^\p{L}\p{M}'\u200c\u200d ]|  |^ | $", once)
        assert not regex.search(r"(?:^| )\p{M}", once), "a mark without its letter"
        assert len(regex.findall(r"\p{L}", contract.apply(letters))) <= len(regex.findall(r"\p{L}", once))


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_every_letter_and_mark_of_unicode_is_stable(form: str) -> None:
    contract = TextContract(unicode=form)
    ranges = (range(0x3400), range(0xA000, 0xAC10), range(0xF900, 0x12000), range(0x1D100, 0x1F000))
    for code in (code for codes in ranges for code in codes):
        if unicodedata.category(chr(code))[0] in "LM":
            text = f"o{chr(code)}b {chr(code)}n"
            once = contract.apply(text)
            assert contract.apply(once) == once, hex(code)
            assert contract.apply(unicodedata.normalize("NFD", text)) == once, hex(code)


@pytest.mark.parametrize("mark", [*APOSTROPHES, "\u1ffd", "\u1fef"])
def test_an_apostrophe_is_one_letter_inside_a_word_and_nothing_at_its_edge(mark: str) -> None:
    for text in (f"Don{mark}t", unicodedata.normalize("NFD", f"Don{mark}t")):
        assert CONTRACT.apply(text) == "don't"
    assert CONTRACT.apply(f"l{mark}été o{mark}\u200bzbek") == "l'été o zbek"
    assert CONTRACT.apply(f"{mark}quoted{mark} {mark} rock {mark}n{mark} roll") == "quoted rock n roll"
    assert CONTRACT.apply(f"a{mark}{mark}b") == "a b"


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("İSTANBUL", "i\u0307stanbul"),
        ("ISPARTA", "isparta"),
        ("STRASSE Straße STRAẞE", "strasse straße straße"),
        ("ΟΔΥΣΣΕΥΣ, ΣΑΣ.", "οδυσσευς σας"),
        ("e\u0301te\u0301", "été"),
        ("\u1112\u1161\u11ab", "한"),
        ("क्\u200dष क्\u200cष", "क्\u200dष क्\u200cष"),
        ("नमस्ते\u200d, दुनिया।", "नमस्ते दुनिया"),
        ("می\u200cخواهم\u200c.", "می\u200cخواهم"),
        ("می\u200c\u200cخواهم", "می\u200cخواهم"),
        ("well-known \u2014 twenty\u2013one", "well known twenty one"),
        ("Wör\u00adter\ufeff", "wörter"),
        ("\u202bשלום\u202c", "שלום"),
        ("hi ❤\ufe0f you", "hi you"),
        ("a\u00a0\t\r\nb", "a b"),
        ("¿qué? ¡sí!", "qué sí"),
        ("x<y & z", "x y z"),
        ("ẹ\u0301 kú ọ̀rọ̀", "ẹ\u0301 kú ọ̀rọ̀"),
        ("ʼ a", "a"),
    ],
)
def test_known_texts(given_text: str, expected: str) -> None:
    assert CONTRACT.apply(given_text) == unicodedata.normalize("NFC", expected)


@pytest.mark.parametrize("digit", ["7", "٣", "४", "²", "½", "Ⅳ", "⑨", "１"])
def test_digits_are_refused_by_name_or_kept_where_asked(digit: str) -> None:
    with pytest.raises(TextError, match=f"digits.*{digit}"):
        CONTRACT.apply(f"room {digit}")
    assert TextContract(digits="keep").apply(f"Room {digit}!") == f"room {digit}".lower()
    assert TextContract(digits="keep").apply(digit) == digit.lower()


def test_case_and_form_are_choices() -> None:
    assert TextContract(case="keep").apply("Ab ΣΣ") == "Ab ΣΣ"
    assert TextContract(unicode="NFKC").apply("ﬁ Ａ ŉa") == "fi a na"
    assert TextContract(unicode="NFKC", case="keep").apply("ŉa Ŀa") == "na L a"
    assert CONTRACT.apply("ﬁ") == "ﬁ"
    for wrong in (
        {"version": 2},
        {"unicode": "NFD"},
        {"case": "upper"},
        {"digits": "spell"},
        {"remarks": "delete"},
    ):
        with pytest.raises(TextError, match=next(iter(wrong))):
            TextContract(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Bonjour [rires].", "bonjour"),
        ("(rires) Bonjour, (bruit 3) Paul!", "bonjour paul"),
        ("a [rires (forts) de {tous}] b", "a b"),
        ("a <unk> b\uff08\u7b11\uff09 \u3010\u96d1\u97f3\u3011c", None),
        ("a \uff08\u7b11\uff09, \u3010\u96d1\u97f3\u3011 c", "a c"),
        ("\u00ab(rires)\u00bb oui", "oui"),
        ("un) deux :(", "un deux"),
    ],
)
def test_remarks_in_brackets_are_left_out_where_asked(text: str, said: str | None) -> None:
    if said is None:
        with pytest.raises(TextError, match="brackets within a word"):
            DROP.apply(text)
    else:
        assert DROP.apply(text) == said


def test_remarks_are_said_unless_asked_otherwise() -> None:
    assert CONTRACT.apply("Bonjour [rires] (oui)") == "bonjour rires oui"
    assert remarks("Bonjour [rires] (oui), mo(t)s (a [b] [c (d)])") == ["[rires]", "(oui)", "[b]", "[c (d)]"]
    with pytest.raises(TextError, match=r"no letter is left of '\[rires\]'"):
        DROP.apply("[rires]")
    for text in ("Bonjour [rires]", "mo(t)s", "[rires 3]"):
        with pytest.raises(TextError, match=r"a remark in brackets, '[\[(]"):
            REFUSE.apply(text)
    assert REFUSE.apply("Bonjour :)") == "bonjour"
    for contract in (DROP, REFUSE):
        with pytest.raises(TextError, match=r"a bracket that nothing closes, '\[r' in 'oui \[rires'\. Close it"):
            contract.apply("oui [rires")
    assert CONTRACT.apply("oui [rires") == "oui rires"


@pytest.mark.parametrize(
    "text", ["mo(t)s", "(mo)ts", "mot[s]", "[de]s mots [rires]", "b(é)", "l'(homme) oui", "(qu)\u2019il"]
)
def test_brackets_within_a_word_may_mean_either(text: str) -> None:
    with pytest.raises(TextError, match="brackets within a word"):
        DROP.apply(text)


REMARKS = st.recursive(
    st.sampled_from(["rires", "bruit 3", ""]),
    lambda inner: st.builds(
        lambda parts, pair: pair[0] + " ".join(parts) + pair[1],
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from(["()", "[]", "{}", "<>", "\uff08\uff09"]),
    ),
    max_leaves=6,
).filter(lambda remark: remark[:1] in set("([{<\uff08"))


@QUICK
@given(st.lists(st.one_of(words("Latin"), REMARKS), max_size=6))
def test_words_between_remarks_stay_whatever_is_within_them(pieces: list[str]) -> None:
    spoken = " ".join(one for one in pieces if one[:1].isalpha())
    if not spoken:
        with pytest.raises(TextError, match="no letter"):
            DROP.apply(" ".join(pieces))
        return
    said = DROP.apply(", ".join(pieces))
    assert said == DROP.apply(" ".join(pieces)) == CONTRACT.apply(spoken) == DROP.apply(said)


@pytest.mark.parametrize("text", ["", "  ", "...", "—", "'", "😀", "\u0301", "\u200d", "''", "\u00ad"])
def test_text_without_a_letter_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="no letter"):
        CONTRACT.apply(text)


def test_vocabulary_is_sorted_and_knows_no_other_text() -> None:
    vocabulary = Vocabulary.from_texts(["Zebra, a-b", "ça l’eau"])
    assert vocabulary.symbols == tuple(sorted(set("zebra a b ça l'eau")))
    assert vocabulary.labels == ("", *vocabulary.symbols)
    assert len(vocabulary) == len(vocabulary.labels)
    assert vocabulary == Vocabulary.from_texts(reversed(["zebra a b", "ça l'eau"]))
    with pytest.raises(TextError, match="x y"):
        vocabulary.encode("bay x")
    assert vocabulary.unseen(["Xyx!", "zebra y"]) == Counter({"x": 2, "y": 2})
    assert not vocabulary.unseen(["ZEBRA"])
    for empty in ([], [None], ["  "]):
        with pytest.raises(TextError):
            Vocabulary.from_texts(empty)


@QUICK
@given(st.lists(WORDS, min_size=1, max_size=6))
def test_encode_and_decode_are_inverse(given_words: list[str]) -> None:
    text = " ".join(given_words)
    vocabulary = Vocabulary.from_texts([text])
    indices = vocabulary.encode(text)
    assert vocabulary.decode(indices) == CONTRACT.apply(text)
    assert Vocabulary.blank == 0
    assert 0 not in indices
    assert max(indices) == len(vocabulary) - 1
    saved = json.loads(json.dumps(vocabulary.as_dict()))
    again = Vocabulary.from_dict(saved)
    assert again == vocabulary
    assert again.hash == vocabulary.hash


def test_the_hash_tells_symbols_and_contracts_apart() -> None:
    plain = Vocabulary.from_texts(["abc"])
    others = (Vocabulary.from_texts(["abcd"]), Vocabulary.from_texts(["abc"], TextContract(case="keep")))
    assert len({plain.hash, *(other.hash for other in others)}) == 3


def test_a_model_of_before_there_were_remarks_is_the_same() -> None:
    assert CONTRACT.as_dict() == GOOD["contract"], "the hash of a vocabulary is of what is written"
    assert TextContract.from_dict(GOOD["contract"]) == CONTRACT  # type: ignore[arg-type]
    plain = Vocabulary.from_texts(["abc"])
    dropped = Vocabulary.from_texts(["abc [d]"], DROP)
    assert dropped.symbols == plain.symbols
    assert dropped.hash != plain.hash
    assert Vocabulary.from_dict(dropped.as_dict()).contract == DROP
    turkish = TextContract(LANGUAGE_VERSION, language="tur", remarks="drop")
    assert TextContract.from_dict(json.loads(json.dumps(turkish.as_dict()))) == turkish
    assert turkish.apply("I\u015fIK [G\u00dcL\u00dc\u015e]") == "\u0131\u015f\u0131k"
    assert "remarks" not in replace(turkish, remarks="keep").as_dict()


def test_order_and_hash_are_the_same_in_every_process() -> None:
    code = (
        "from speechtransfer.vocabulary import Vocabulary\n"
        "v = Vocabulary.from_texts(['Größe και нет कि', 'the quick brown fox'])\n"
        "print(v.hash, ascii(v.symbols))"
    )
    found = set()
    for seed in ("0", "1", "4321"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


GOOD = {"characters": ["a", "b"], "contract": {"version": 1, "unicode": "NFC", "case": "lower", "digits": "refuse"}}


@pytest.mark.parametrize(
    "damage",
    [
        {"characters": None},
        {"characters": 3},
        {"characters": []},
        {"characters": ["b", "a"]},
        {"characters": ["a", "a"]},
        {"characters": ["a", 1]},
        {"characters": ["a", "bc"]},
        {"characters": ["", "a"]},
        {"contract": None},
        {"contract": []},
        {"contract": {"version": 1}},
        {"contract": {**GOOD["contract"], "version": 99}},  # type: ignore[dict-item]
        {"contract": {**GOOD["contract"], "case": ["lower"]}},  # type: ignore[dict-item]
        {"contract": {**GOOD["contract"], "tones": "strip"}},  # type: ignore[dict-item]
    ],
)
def test_a_damaged_vocabulary_is_refused(damage: dict[str, object]) -> None:
    assert Vocabulary.from_dict(GOOD).symbols == ("a", "b")
    with pytest.raises(TextError):
        Vocabulary.from_dict({**GOOD, **damage})


@pytest.mark.parametrize("values", [{}, [], None, "a", {"characters": ["a"]}, {"contract": GOOD["contract"]}])
def test_a_vocabulary_with_parts_missing_is_refused(values: object) -> None:
    with pytest.raises(TextError, match="vocabulary"):
        Vocabulary.from_dict(values)  # type: ignore[arg-type]
