"""Transcripts beside their sound: too long for the encoder's frames, and not what a recogniser hears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE

from speechtransfer.audio import write_wav
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import PlanError, SettingsError
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Classify
from speechtransfer.plausible import unheard, unspellable
from speechtransfer.text import TextContract

TEXTS = [f"{one}{two} {three}" for one in "abcd" for two in "abcd" for three in "ab"]


@pytest.fixture
def heard(tmp_path: Path, spoken: Callable[[str], np.ndarray]) -> Manifest:
    rows = []
    for place, text in enumerate(TEXTS):
        write_wav(tmp_path / f"{place}.wav", spoken(text), RATE)
        rows.append(Utterance(tmp_path / f"{place}.wav", text=text))
    return Manifest(tuple(rows))


def test_true_transcripts_are_not_doubted(listener: Model, heard: Manifest) -> None:
    assert unheard(listener, heard) == []


def test_swapped_transcripts_are_found_the_least_heard_first(listener: Model, heard: Manifest) -> None:
    rows = list(heard)
    rows[20], rows[3] = replace(rows[20], text="ac a"), replace(rows[3], text="cc c")
    assert (TEXTS[20], TEXTS[3]) == ("cc a", "ab b")
    found = unheard(listener, Manifest(tuple(rows)))
    assert [one.id for one in found] == [rows[3].id, rows[20].id]
    assert {one.kind for one in found} == {"a transcript that is hardly heard in its sound"}
    assert "least heard is 'ac'" in found[1].detail


def test_what_the_recogniser_cannot_write_is_named(listener: Model, heard: Manifest) -> None:
    rows = [replace(heard[0], text="az b"), replace(heard[1], text="ab" * 200), *heard.rows[2:]]
    found = unheard(listener, Manifest(tuple(rows)))
    assert [one.kind for one in found] == ["a transcript that the recogniser cannot write"] * 2
    assert "unknown characters: z" in found[0].detail and "too few frames" in found[1].detail


def test_few_transcripts_have_no_middle(listener: Model, heard: Manifest) -> None:
    wrong = replace(heard[0], text="dd d")
    assert unheard(listener, Manifest((wrong, *heard.rows[1:19]))) == []
    assert [one.id for one in unheard(listener, Manifest((wrong, *heard.rows[1:20])))] == [wrong.id]


def test_a_spotter_hears_no_transcripts(tiny: Callable[..., Encoder], heard: Manifest) -> None:
    with pytest.raises(SettingsError, match="writes no letters"):
        unheard(Model(tiny(), Classify(("a", "b"))), heard)


def test_a_transcript_needs_a_frame_a_letter_and_a_blank_between_equal_ones(tiny: Callable[..., Encoder]) -> None:
    """At 40 ms a frame, 0.4 s are ten frames."""
    texts = {"abcdabcdab": True, "abcdabcdabc": False, "aabbaab": True, "aabbaabb": False}
    rows = Manifest(tuple(Utterance(Path(f"/{text}.wav"), text=text) for text in texts))
    found = unspellable(rows, lambda row: 0.4 - 1 / RATE, tiny(), TextContract())
    assert found.keys() == {f"/{text}.wav" for text, fits in texts.items() if not fits}
    assert found["/aabbaabb.wav"] == "label longer than its audio: 12 frames needed, 10 there"


def test_letters_with_marks_of_their_own_are_counted_as_adapt_would(tiny: Callable[..., Encoder]) -> None:
    """Ten clusters of two characters each fit ten frames."""
    rows = Manifest(tuple(Utterance(Path(f"/{place}.wav"), text="\u0915\u093f\u0932\u0940" * 2) for place in range(40)))
    assert unspellable(rows, lambda row: 0.16 + 1 / RATE, tiny(), TextContract()) == {}
    assert len(unspellable(rows, lambda row: 0.12, tiny(), TextContract())) == 40


def test_of_no_transcript_none_is_too_long(tiny: Callable[..., Encoder]) -> None:
    assert unspellable(Manifest(()), lambda row: 1.0, tiny(), TextContract()) == {}


def test_an_encoder_of_pictures_cannot_spell(tiny: Callable[..., Encoder]) -> None:
    encoder = tiny()
    encoder.period = 0.32
    with pytest.raises(PlanError, match="too coarse"):
        unspellable(Manifest((Utterance(Path("/a.wav"), text="a"),)), lambda row: 1.0, encoder, TextContract())
