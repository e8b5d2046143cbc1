"""Words of transcripts: what may name a folder, where a phrase stands, and how often a word is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer.errors import SettingsError, TextError
from speechtransfer.lexicon import Counted, counted, legible, places, wanted
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.text import TextContract

CONTRACT = TextContract()


def test_words_pass_the_contract_and_stand_once() -> None:
    assert wanted(["Yes", "turn LEFT!", "yes", "L\u2019ora"], CONTRACT) == ("yes", "turn left", "l'ora")


@pytest.mark.parametrize(
    "word", ["_unknown_", "_silence_", "a/b", "a\\b", ".hidden", "..", "a\0b", "x" * 256, "я" * 128]
)
def test_a_word_that_cannot_name_a_folder_is_refused(word: str) -> None:
    with pytest.raises(SettingsError, match="--words"):
        wanted(["yes", word], CONTRACT)


def test_words_that_are_none_are_refused() -> None:
    with pytest.raises(SettingsError, match="names no word"):
        wanted([], CONTRACT)
    with pytest.raises(TextError, match="digits"):
        wanted(["7"], CONTRACT)
    with pytest.raises(TextError, match="no letter"):
        wanted(["?!"], CONTRACT)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=8), st.lists(st.sampled_from("ab"), min_size=1, max_size=3))
def test_places_are_those_of_a_search_in_the_text(said: list[str], sought: list[str]) -> None:
    found = places(" ".join(said), " ".join(sought))
    naive, first = [], 0
    while first + len(sought) <= len(said):
        hit = said[first : first + len(sought)] == sought
        naive += [(first, first + len(sought) - 1)] if hit else []
        first += len(sought) if hit else 1
    assert found == naive


def test_a_word_is_not_found_within_another() -> None:
    assert places("one phone one", "one") == [(0, 0), (2, 2)]


def test_words_are_counted_over_legible_rows() -> None:
    texts = ["Yes, yes!", "no", "yes", "7", None]
    rows = tuple(
        Utterance(Path(f"/{n}.wav"), text=text, speaker=speaker)
        for n, (text, speaker) in enumerate(zip(texts, ["anna", "anna", "ben", None, None], strict=True))
    )
    kept = legible(Manifest(rows), CONTRACT)
    assert counted(kept, CONTRACT) == [Counted("yes", 3, 2, 2), Counted("no", 1, 1, 1)]
    assert [row.reason.split(":")[0] for row in kept.ledger] == ["unusable transcript", "no transcript"]
