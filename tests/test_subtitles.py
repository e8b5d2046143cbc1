"""Subtitles as people and players have them: what becomes a row, and what a damaged file is told."""

from __future__ import annotations

from pathlib import Path

import laid_out
import pytest
from pieces import SWAHILI, sounds, text

from speechtransfer.corpora import detect, load
from speechtransfer.errors import DataError
from speechtransfer.manifest import Utterance

TIMES = "00:00:00,100 --> 00:00:00,600"


def test_subtitles_are_spans_of_the_sound_of_their_name(tmp_path: Path) -> None:
    laid_out.subtitles(tmp_path)
    assert detect(str(tmp_path)) == "subtitles"
    text(tmp_path / "silence.srt", "")
    found = load(str(tmp_path), language="swh")
    assert [(row.audio.name, row.start, row.end, row.text) for row in found] == [
        ("news.wav", 0.1, 0.9, "Habari za asubuhi & jioni"),
        ("news.wav", 1.0, 1.9, "karibu"),
        ("talk.wav", 0.1, 0.6, f"{SWAHILI[0]} - ndiyo --> sana"),
        ("talk.wav", 1.4, 1.9, SWAHILI[1]),
    ]
    assert {row.language for row in found} == {"swh"}
    assert [(Path(str(line.where)).name, line.reason.split(":")[0]) for line in found.ledger] == [
        ("gone.srt:subtitle 1", "no sound file"),
        ("talk.srt:subtitle 2", "no text in the annotation"),
        ("talk.srt:subtitle 3", "an empty or impossible span"),
    ]
    (row,) = load(str(tmp_path / "talk.srt")).rows[:1]
    assert row == Utterance(tmp_path / "talk.wav", 0.1, 0.6, f"{SWAHILI[0]} - ndiyo --> sana")


def test_a_text_file_beside_each_recording_comes_first(tmp_path: Path) -> None:
    laid_out.subtitles(tmp_path)
    for name in ("talk", "news"):
        text(tmp_path / f"{name}.txt", "all of it")
    assert detect(str(tmp_path)) == "sidecar"


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("a.srt", ["1", "0:0:1 --> 0:0:2", "ab", "", "2", TIMES, "c"], "shows 2 subtitles, of which 1 can be read"),
        ("a.srt", ["no subtitle"], "shows 0 subtitles"),
        ("a.srt", [], "holds no annotation that can be used"),
        ("a.vtt", ["WEBVTT"], "holds no annotation that can be used"),
        ("a.vtt", ["WEBVTT", "", "00:00:00.100 --> soon", "ab"], "shows 0 subtitles"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    sounds(tmp_path, "a")
    text(tmp_path / name, *lines)
    with pytest.raises(DataError, match=message) as refused:
        load(str(tmp_path))
    assert str(refused.value).startswith((f"{tmp_path / name}: ", f"{tmp_path}: holds no"))


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    sounds(tmp_path, "a")
    (tmp_path / "a.srt").write_bytes(f"1\n{TIMES}\nma\xf1ana\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"a\.srt: is not UTF-8 text .*Save it as UTF-8"):
        load(str(tmp_path))
    (tmp_path / "a.srt").write_bytes(f"1\r\n{TIMES}\r\nma\u00f1ana\r\n".encode("utf-8-sig"))
    assert [row.text for row in load(str(tmp_path))] == ["ma\u00f1ana"]


def test_two_files_of_one_sound_are_refused(tmp_path: Path) -> None:
    sounds(tmp_path, "a.b")
    for name in ("a.b.en.srt", "a.b.sw.srt"):
        text(tmp_path / name, "1", "00:00:00,010 --> 00:00:00,060", name, "")
    with pytest.raises(DataError, match=r"a\.b\.en\.srt and a\.b\.sw\.srt are of one sound"):
        load(str(tmp_path))
    assert [row.text for row in load(str(tmp_path / "a.b.sw.srt"))] == ["a.b.sw.srt"]
