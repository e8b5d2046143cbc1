"""A text file for each recording: what lacks its other half, or is no text, is in the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import corpora
from speechtransfer.errors import DataError


def spoken(folder: Path, **texts: str | bytes) -> str:
    for name, text in texts.items():
        path = clip(folder / f"{name.replace('__', '/')}.wav").with_suffix(".txt")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(folder)


def test_each_recording_has_its_text(tmp_path: Path) -> None:
    data = spoken(tmp_path, a="\ufeffHabari\r\n  ya leo\n", day1__b="ŋ'ombe", day2__b="mbuzi")
    assert corpora.detect(data) == "sidecar"
    manifest = corpora.load(data, language="swh")
    assert [(row.audio.stem, row.text, row.language, row.split) for row in manifest] == [
        ("a", "Habari ya leo", "swh", None),
        ("b", "ŋ'ombe", "swh", None),
        ("b", "mbuzi", "swh", None),
    ]
    assert not manifest.ledger


def test_folders_called_after_splits(tmp_path: Path) -> None:
    data = spoken(tmp_path, train__a="one", validation__b="two", test__x__c="three")
    assert {row.text: row.split for row in corpora.load(data)} == {"one": "train", "two": "dev", "three": "test"}
    spoken(tmp_path, loose="four")
    assert {row.split for row in corpora.load(data)} == {None}


def test_what_cannot_be_used_is_in_the_ledger(tmp_path: Path) -> None:
    data = spoken(tmp_path, ok="yes", empty=" \n", nul="a\0b", old="señor".encode("latin-1"), two="one text")
    clip(tmp_path / "two.flac")
    clip(tmp_path / "bare.wav")
    (tmp_path / "lone.txt").write_text("no sound")
    manifest = corpora.load(data)
    assert [row.text for row in manifest] == ["yes"]
    reasons = dropped(manifest)
    assert reasons.pop("old.wav").startswith("unreadable text: ")
    assert reasons == {
        "empty.wav": "empty.txt is empty",
        "nul.wav": "a null character in nul.txt",
        "two.flac": "several recordings of one text: two.flac, two.wav",
        "two.wav": "several recordings of one text: two.flac, two.wav",
        "bare.wav": "no .txt file beside it",
        "lone.txt": "no recording beside the text",
    }


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no recording with a text.*The first of 1: a\.txt is empty"):
        corpora.load(spoken(tmp_path / "a", a=""))
    with pytest.raises(DataError, match="is not a folder"):
        corpora.load(str(tmp_path / "missing"), "sidecar")


def test_class_folders_with_a_few_notes_are_class_folders(tmp_path: Path) -> None:
    data = spoken(tmp_path, yes__1="a note")
    for name in ("yes/2", "no/1", "no/2"):
        clip(tmp_path / f"{name}.wav")
    assert corpora.detect(data) == "classes"
