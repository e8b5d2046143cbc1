"""ELAN's annotations become rows with the times of what they refer to, and what can be none is in the ledger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clips import clip
from eaf import aligned, eaf, medium, recorded, referring, tier

from speechtransfer import audio, corpora
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return recorded(tmp_path)


def spans(manifest: Manifest) -> list[tuple[float | None, float | None, str | None, str | None]]:
    return [(row.start, row.end, row.text, row.speaker) for row in manifest]


def reasons(manifest: Manifest) -> dict[str, str]:
    """Why each annotation was dropped, by its identifier."""
    return {str(row.where).rpartition("#")[2]: row.reason for row in manifest.ledger}


# Files that pympi wrote.


def test_top_tiers_of_one_type_with_a_speaker_each_are_the_utterances(golden: Path) -> None:
    assert corpora.detect(str(golden)) == "elan"
    manifest = corpora.load(str(golden), language="deu")
    assert spans(manifest) == [
        (0.1, 0.7, "ça va", "Chloé"),
        (0.0, 0.4, "Schöne Grüße", "Anna"),
        (0.3, 0.62, "Ja, ähm, „gut“ & schön", "Björn"),
        (0.45, 0.8, "über Köln", "Anna"),
    ]
    assert [row.audio.relative_to(golden.resolve()).as_posix() for row in manifest] == [
        "sound/story.wav",
        *["moved/Aufnahmen/Gespräch 1.wav"] * 3,
    ]
    assert reasons(manifest) == {"a4": "no text in the annotation"}
    assert {row.language for row in manifest} == {"deu"}
    for row in manifest:
        audio.write_wav(row.audio, 0.3 * np.sin(np.arange(16_000) / 5), 16_000)
        assert len(audio.read(row.audio, 16_000, row.start, row.end)) == round((row.end - row.start) * 16_000)
    assert corpora.load(str(golden), language="deu") == manifest


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ("#type=translation", [(0.0, 0.4, "kind regards", "Anna")]),
        ("#tier=note@A", [(0.45, 0.8, "a city", "Anna")]),
        ("#tier=translation@*", [(0.0, 0.4, "kind regards", "Anna"), (0.45, 0.8, "via Cologne", "Anna")]),
        ("#tier=utterance@B, note@A", [(0.3, 0.62, "Ja, ähm, „gut“ & schön", "Björn"), (0.45, 0.8, "a city", "Anna")]),
        ("#type=utter*", None),
    ],
)
def test_tiers_are_chosen_after_the_path(golden: Path, choice: str, found: list[object] | None) -> None:
    assert corpora.detect(f"{golden}{choice}") == "elan"
    manifest = corpora.load(f"{golden}{choice}")
    assert spans(manifest) == (spans(corpora.load(str(golden))) if found is None else found)
    assert corpora.load(f"{golden}/eaf/talk.eaf{choice}", audio_roots=[golden]).rows == tuple(
        row for row in manifest if row.audio.stem != "story"
    )


def test_texts_that_share_a_stretch_cannot_all_be_right(golden: Path) -> None:
    with pytest.raises(
        DataError, match=r"no annotation that can be used. The first of 2: .*#a3: the same .*: ça \| va"
    ):
        corpora.load(f"{golden}#type=words")
    manifest = corpora.load(f"{golden}#type=translation")
    assert reasons(manifest) == dict.fromkeys(
        ("a7", "a8"), "the same stretch has different texts: via Cologne | a city"
    )


# The sound of a file.


@pytest.mark.parametrize(
    ("media", "sounds", "found", "start"),
    [
        (medium("/old/b.wav"), "b.wav", "b.wav", 0.1),
        (medium("/old/x.mp4", MIME_TYPE="video/mp4") + medium("b.wav"), "x.mp4 b.wav", "b.wav", 0.1),
        (medium("/old/x.mp4", MIME_TYPE="video/mp4") + medium("b.wav"), "x.mp4", "x.mp4", 0.1),
        (medium("file:///C:/x.mpg") + medium("b.wav"), "x.mpg b.wav", "b.wav", 0.1),
        (medium("file:///C:/x.mpg", RELATIVE_MEDIA_URL="./x.mpg"), "x.mpg", "x.mpg", 0.1),
        (medium("b.wav", TIME_ORIGIN="250"), "b.wav", "b.wav", 0.35),
        (medium("", RELATIVE_MEDIA_URL="../one/b.wav"), "one/b.wav two/b.wav", "one/b.wav", 0.1),
        (medium("http://[broken/b.wav") + medium("file://[broken/b.wav"), "b.wav", "b.wav", 0.1),
        (medium("gone.wav"), "a.mp3 a.wav", "a.wav", 0.1),
        (medium(f"{'long' * 99}.wav"), "a.flac", "a.flac", 0.1),
        ("", "a.mp3 A.flac", "A.flac", 0.1),
        ("", "wav/a.wav", "wav/a.wav", 0.1),
    ],
)
def test_the_sound_is_what_is_linked_else_what_has_the_stem(
    tmp_path: Path, media: str, sounds: str, found: str, start: float
) -> None:
    data = eaf(tmp_path / "a.eaf", tier("t", aligned("a1", 100, 300)), media=media)
    for name in sounds.split():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (row,) = corpora.load(data)
    assert (row.audio.relative_to(tmp_path).as_posix(), row.start) == (found, start)


def test_annotations_without_sound_are_in_the_ledger(tmp_path: Path) -> None:
    eaf(tmp_path / "a.eaf", tier("t", aligned("a1", 100, 300), aligned("a2", 300, 500)), media=medium("/old/b.wav"))
    with pytest.raises(DataError, match=r"The first of 2: .*a\.eaf#a1: no sound file: .*/old/b\.wav is not there"):
        corpora.load(str(tmp_path))
    eaf(tmp_path / "c.eaf", tier("t", aligned("a1", 100, 300)), media="")
    clip(tmp_path / "c.wav")
    manifest = corpora.load(str(tmp_path))
    assert [row.audio.name for row in manifest] == ["c.wav"]
    assert [row.reason.split(":")[0] for row in manifest.ledger] == ["no sound file"] * 2


# Tiers and times.


def test_what_nobody_can_choose_for_the_user_is_listed(tmp_path: Path) -> None:
    words = tier("words", aligned("a1", 0, 9), aligned("a2", 9, 12, ""), PARTICIPANT="Eva")
    eaf(tmp_path / "a.eaf", words, tier("gloss", referring("a3", "a1"), kind="ref", PARENT_REF="words"))
    clip(tmp_path / "a.wav")
    assert len(corpora.load(str(tmp_path))) == 1
    eaf(tmp_path / "b.eaf", tier("noise", aligned("a1", 0, 9), kind="events"), tier("empty"))
    with pytest.raises(DataError) as caught:
        corpora.load(str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: which of its tiers are the utterances?") and "#tier=NAME" in message
    assert message.splitlines()[1:] == [
        "  words: type speech, at the top, of Eva, 2 annotations, 1 of them with text, in 1 file",
        "  gloss: type ref, under words, of Eva, 1 annotations, 1 of them with text, in 1 file",
        "  noise: type events, at the top, 1 annotations, 1 of them with text, in 1 file",
        "  empty: type speech, at the top, 0 annotations, 0 of them with text, in 1 file",
    ]


@pytest.mark.parametrize(
    ("one", "two", "plain"), [("A", "B", True), ("A", "A", False), ("", "", False), ("A", "", True)]
)
def test_two_top_tiers_are_plain_where_each_has_its_speaker(tmp_path: Path, one: str, two: str, plain: bool) -> None:
    first = tier("1", aligned("a1", 0, 9, "one"), PARTICIPANT=one)
    data = eaf(tmp_path / "a.eaf", first, tier("2", aligned("a2", 0, 7, "two"), PARTICIPANT=two))
    clip(tmp_path / "a.wav")
    if plain:
        assert spans(corpora.load(data)) == [(0, 0.007, "two", two or None), (0, 0.009, "one", one or None)]
    else:
        with pytest.raises(DataError, match="which of its tiers"):
            corpora.load(data)
    assert len(corpora.load(f"{data}#tier=1,2")) == 2


def test_times_that_are_none_are_in_the_ledger(tmp_path: Path) -> None:
    annotations = [
        aligned("a1", 500, 900),
        aligned("a2", 300, 300),
        aligned("a3", 300, 200),
        aligned("a4", -5, 200),
        aligned("a5", None, 200),
        aligned("a6", 0, "9" * 400),
        aligned("a7", 500, 900),
    ]
    data = eaf(tmp_path / "a.eaf", tier("t", *annotations))
    clip(tmp_path / "a.wav")
    manifest = corpora.load(data)
    assert spans(manifest) == [(0.5, 0.9, "word", None)]
    assert reasons(manifest) == {
        "a2": "an empty or impossible span: 0.3 to 0.3 s",
        "a3": "an empty or impossible span: 0.3 to 0.2 s",
        "a4": "an empty or impossible span: -0.005 to 0.2 s",
        "a5": "no time is known for the annotation",
        "a6": "an empty or impossible span: 0 to inf s",
        "a7": f"the same stretch and text as another annotation: {data}#a1",
    }


def test_references_in_a_circle_have_no_time_and_long_chains_have_one(tmp_path: Path) -> None:
    chain = [referring(f"a{number + 1}", f"a{number}", "") for number in range(1, 20_000)]
    circle = [referring("a90001", "a90002"), referring("a90002", "a90001"), referring("a90003", "a90002")]
    last, own, lost = referring("a90004", "a20000"), referring("a90005", "a90005"), referring("a90006", "a0")
    top = tier("top", aligned("a1", 0, 50), PARENT_REF="below")
    below = tier("below", *chain, *circle, last, own, lost, PARENT_REF="top")
    data = eaf(tmp_path / "a.eaf", top, below)
    clip(tmp_path / "a.wav")
    manifest = corpora.load(f"{data}#tier=below")
    assert spans(manifest) == [(0, 0.05, "word", None)] and len(manifest.ledger) == 20_004
    timeless = {name for name, reason in reasons(manifest).items() if reason.startswith("no time")}
    assert timeless == {"a90001", "a90002", "a90003", "a90005", "a90006"}


@pytest.mark.parametrize(("stated", "language"), [("nld", "nld"), ("und", "eng"), ("x-private", "eng"), ("", "eng")])
def test_a_tier_may_state_its_language(tmp_path: Path, stated: str, language: str) -> None:
    data = eaf(tmp_path / "a.eaf", tier("t", aligned("a1", 0, 90), LANG_REF=stated))
    clip(tmp_path / "a.wav")
    assert corpora.load(data, language="eng")[0].language == language
