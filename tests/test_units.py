"""Tests of how words are cut into units, and of vocabularies of them: against brute force, and there and back."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer.ctc import required_frames
from speechtransfer.errors import TextError
from speechtransfer.text import TextContract
from speechtransfer.units import RAREST, Characters, Clusters, Multigraphs, Pieces, Units
from speechtransfer.vocabulary import Vocabulary

ROOT = Path(__file__).parents[1]
CONTRACT = TextContract()
QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
#: Letters, marks that do not compose, viramas, joiners, jamo, and what is neither.
ODD = "aeɛŋßяथतक्षिா\u0301\u0323\u0308\u200c\u200d\u093c한\u1112\u1161กี้ัഎൎ'’ -.😀"
TEXTS = st.text(st.sampled_from(ODD) | st.characters(categories=("L", "M", "P", "Zs")), min_size=1, max_size=24)
LISTED = Multigraphs(("ch", "nch", "ng", "ng'", "ny", "tsh"))
PIECES = Pieces((("a", "e"), ("ae", "a"), ("क", "्"), ("e", "e")))
KINDS: tuple[Units, ...] = (Characters(), Clusters(), LISTED, PIECES)


def normal(text: str) -> str | None:
    try:
        return CONTRACT.apply(text)
    except TextError:
        return None


@pytest.mark.parametrize("units", KINDS, ids=lambda units: units.kind)
@QUICK
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_any_text_is_encoded_and_written_again(units: Units, texts: list[str]) -> None:
    legible = [text for text in texts if normal(text)]
    if not legible:
        return
    vocabulary = Vocabulary.from_texts(legible, units=units)
    assert not vocabulary.unseen(legible)
    for text in legible:
        indices = vocabulary.encode(text)
        assert vocabulary.decode(indices) == vocabulary.normal(text) == normal(text)
        assert Vocabulary.blank not in indices and max(indices) < len(vocabulary)
        assert ["".join(word) for word in vocabulary.words(text)] == (normal(text) or "").split(" ")
    saved = json.loads(json.dumps(vocabulary.as_dict()))
    again = Vocabulary.from_dict(saved)
    assert again == vocabulary
    assert again.hash == vocabulary.hash
    assert copy.deepcopy(again).encode(legible[0]) == vocabulary.encode(legible[0])


@QUICK
@given(st.sampled_from([Clusters(), LISTED]), TEXTS)
def test_no_cluster_is_ever_divided(units: Units, text: str) -> None:
    for word in (normal(text) or "").split(" "):
        ends = {found.end() for found in regex.finditer(r"\X", word)}
        at = 0
        for unit in units.cut(word):
            at += len(unit)
            assert at in ends


def longest_match(word: str, listed: tuple[str, ...]) -> list[str]:
    """Every listed letter tried at every place, by characters; one may end only where a cluster does."""
    ends = sorted({found.end() for found in regex.finditer(r"\X", word)})
    found, at = [], 0
    while at < len(word):
        fits = [one for one in listed if word.startswith(one, at) and at + len(one) in ends]
        unit = max(fits, key=len, default=word[at : next(end for end in ends if end > at)])
        found.append(unit)
        at += len(unit)
    return found


@settings(QUICK, max_examples=300)
@given(st.text("nchgtsy'a\u0301", min_size=1, max_size=10))
def test_multigraphs_are_the_longest_that_fit(text: str) -> None:
    for word in (normal(text) or "").split(" "):
        assert LISTED.cut(word) == longest_match(word, LISTED.listed)


@pytest.mark.parametrize(
    ("units", "word", "expected"),
    [
        (LISTED, "nchitshanyang'oma", ["nch", "i", "tsh", "a", "ny", "a", "ng'", "o", "m", "a"]),
        (LISTED, "cy\u0302ch", ["c", "y\u0302", "ch"]),
        (LISTED, "nỳny\u0301ń", ["n", "ỳ", "n", "y\u0301", "ń"]),
        (Multigraphs(("ẹ\u0301n",)), "ẹ\u0301nẹn", ["ẹ\u0301n", "ẹ", "n"]),
        (Clusters(), "ọ\u0300rọ\u0300", ["ọ\u0300", "r", "ọ\u0300"]),
        (Clusters(), "कि", ["कि"]),
        (Clusters(), "l'été", ["l", "'", "é", "t", "é"]),
        (PIECES, "aeaaeekeक्", ["aea", "ae", "e", "k", "e", "क्"]),
    ],
)
def test_words_by_hand(units: Units, word: str, expected: list[str]) -> None:
    assert units.cut(word) == expected


def test_pieces_apply_merges_in_their_order() -> None:
    """Sennrich et al. 2016, section 3.2: each merge in its turn, everywhere, from the left."""
    word = "aaeeaeaaee"
    pieces = list(word)
    for one, two in PIECES.merges:
        at = 0
        while at < len(pieces) - 1:
            if (pieces[at], pieces[at + 1]) == (one, two):
                pieces[at : at + 2] = [one + two]
            at += 1
    assert PIECES.cut(word) == pieces


def pairs(texts: list[str]) -> Counter[tuple[str, str]]:
    return Counter((one, two) for text in texts for word in text.split() for one, two in zip(word, word[1:]))  # noqa: B905, RUF007


def test_pieces_are_learnt_of_what_stands_together_often() -> None:
    texts = ["the thin path"] * RAREST + ["xyxyxyxyxy"]
    pieces = Pieces.learnt(texts, 40)
    assert pieces.merges[0] == pairs(texts).most_common(1)[0][0] == ("t", "h")
    assert ("x", "y") not in pieces.merges, "rarer than RAREST"
    assert "path" in pieces.reachable
    assert len(Vocabulary.from_texts(texts, units=Pieces.learnt(texts, 13))) - 1 == 13
    assert not any(" " in piece for piece in pieces.reachable)


def test_a_part_of_a_known_piece_can_be_written_too() -> None:
    vocabulary = Vocabulary.from_texts(["the the"], units=Pieces((("t", "h"), ("th", "e"))))
    assert vocabulary.symbols == (" ", "e", "h", "t", "th", "the")
    assert vocabulary.encode("the het th") == [6, 1, 3, 2, 4, 1, 5]
    assert vocabulary.unseen(["xthe x"]) == Counter("xx")


def test_pieces_are_the_same_in_every_process() -> None:
    code = (
        "from speechtransfer.units import Pieces\n"
        "words = 'one two three four five six seven eight nine ten'.split()\n"
        "print(Pieces.learnt([f'{a} {b}' for a in words for b in words], 60).merges)"
    )
    found = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("units", "needed"), [(Characters(), 9), (Multigraphs(("ch",)), 8), (Pieces((("c", "h"), ("ch", "a"))), 6)]
)
def test_frames_are_needed_for_units_and_their_repeats(units: Units, needed: int) -> None:
    """ "chcha nn": 8 characters and one repeat; ch ch a, boundary, n n: 6 and two; ch cha, boundary, n n: 5 and one."""
    vocabulary = Vocabulary.from_texts(["chcha nn"], units=units)
    assert required_frames(vocabulary.encode("chcha nn")) == needed


def test_the_hash_tells_units_apart() -> None:
    hashes = {Vocabulary.from_texts(["chat"], units=units).hash for units in KINDS}
    assert len(hashes) == len(KINDS)


def test_characters_are_saved_as_before_there_were_units() -> None:
    saved = Vocabulary.from_texts(["ab"]).as_dict()
    assert saved == {
        "characters": ["a", "b"],
        "contract": {"version": 1, "unicode": "NFC", "case": "lower", "digits": "refuse"},
    }
    assert Vocabulary.from_dict(saved).hash == "b4066fb41fe7545576c94a6e2d5054fa9891a49c24bba8b38a69bd5be57edee8"


GOOD = Vocabulary.from_texts(["chat"], units=Multigraphs(("ch",))).as_dict()


@pytest.mark.parametrize(
    "damage",
    [
        {"symbols": ["a", "ch", "q", "th"]},
        {"symbols": ["ch", "a"]},
        {"symbols": ["", "a"]},
        {"symbols": None},
        {"units": None},
        {"units": {"kind": "runes"}},
        {"units": {"kind": "multigraphs"}},
        {"units": {"kind": "multigraphs", "listed": []}},
        {"units": {"kind": "multigraphs", "listed": ["sh", "ch"]}},
        {"units": {"kind": "multigraphs", "listed": ["c h"]}},
        {"units": {"kind": "multigraphs", "listed": [3]}},
        {"units": {"kind": "clusters"}},
        {"units": {"kind": "bpe"}},
        {"units": {"kind": "bpe", "merges": [["a", "bc"]]}},
        {"units": {"kind": "bpe", "merges": [["a"]]}},
        {"units": {"kind": "bpe", "merges": [["a", 3]]}},
        {"units": {"kind": "phones", "entries": {}}},
        {"units": {"kind": "phones", "entries": {"a": ""}}},
        {"units": {"kind": "phones", "entries": ["a"]}},
    ],
)
def test_a_damaged_table_of_units_is_refused(damage: dict[str, object]) -> None:
    assert Vocabulary.from_dict(GOOD).symbols == ("a", "ch", "t")
    with pytest.raises(TextError):
        Vocabulary.from_dict({**GOOD, **damage})
