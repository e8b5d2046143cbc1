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
        (
            "a.srt",
            ["1", TIMES, "ab", "", "2", "00:00:01,5 --> 00:00:02,000", "c"],
            "'00:00:01,5 -->' is no time with thou",
        ),
        ("a.srt", ["1", "00:00:01,000 --> 00:00:02.25", "c"], r"'--> 00:00:02\.' is no time with thousandths"),
        ("a.srt", ["no subtitle"], "cannot be read as .srt .*unmatched content: 'no subtitle"),
        (
            "a.srt",
            ["1", TIMES, "ab", "", "2", "00:00:01,000 --> soon", "c"],
            "holds no annotation|cannot be read as .srt",
        ),
        ("a.srt", [], "holds no annotation that can be used"),
        ("a.vtt", ["WEBVTT"], "holds no annotation that can be used"),
        ("a.vtt", ["WEBVTT", "", "00:00:00.100 --> soon", "ab"], "shows 1 subtitles, of which 0 can be read"),
        ("a.vtt", ["00:00:00.100 --> 00:00:00.200", "ab"], r"cannot be read as \.vtt \(Invalid format"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, lines: list[str], message: str) -> None:
    sounds(tmp_path, "a")
    text(tmp_path / name, *lines)
    with pytest.raises(DataError, match=message) as refused:
        load(str(tmp_path))
    assert str(refused.value).startswith((f"{tmp_path / name}: ", f"{tmp_path}: holds no"))


def test_nothing_but_what_is_shown_is_said(tmp_path: Path) -> None:
    sounds(tmp_path, "a b", seconds=9.0)
    text(
        tmp_path / "a.vtt",
        *("WEBVTT - a title", "", "STYLE", "::cue { color: red }", "", "intro", "00:01.000 --> 00:02.000", "hello", ""),
        *("second-cue", "00:00:03.250 --> 00:00:04.000 line:0", "<v Asha>I was born in", "1984", "", "NOTE by me"),
        *(
            "and more",
            "",
            "00:05.000 --> 00:06.000",
            "bye {was} <lang en>it</lang> 3 < 4 <00:05.500> <c.red>so</c>",
            "",
        ),
    )
    text(
        tmp_path / "b.srt",
        *("1", "00:00:01,000 --> 00:00:02,000", "<i>I</i> was {born} in", "1984", "", "", ""),
        *("2", "00:00:03,000 --> 00:00:04,000", r"{\an8}C:\new\hat if x < y then <z> and a<b and c>d", ""),
        *("3", "00:00:05,000 --> 00:00:06,000", "2001"),
    )
    assert [(row.audio.stem, row.start, row.text) for row in load(str(tmp_path))] == [
        ("a", 1.0, "hello"),
        ("a", 3.25, "I was born in 1984"),
        ("a", 5.0, "bye {was} it 3 < 4 so"),
        ("b", 1.0, "I was {born} in 1984"),
        ("b", 3.0, r"C:\new\hat if x < y then <z> and a<b and c>d"),
        ("b", 5.0, "2001"),
    ]
    text(tmp_path / "b.srt", "1", "100:00:01,000 --> 100:00:02,000", "late", "")
    assert (360001.0, 360002.0) in [(row.start, row.end) for row in load(str(tmp_path / "b.srt"))]


@pytest.mark.parametrize("name", ["a.2.srt", "a.2024.srt", "a.part two.srt", "a.sw.en.srt"])
def test_only_a_languages_code_is_left_off_a_name(tmp_path: Path, name: str) -> None:
    sounds(tmp_path, "a")
    text(tmp_path / "a.sw-TZ.srt", "1", "00:00:00,010 --> 00:00:00,060", "its own", "")
    text(tmp_path / name, "1", "00:00:00,010 --> 00:00:00,060", "another's", "")
    found = load(str(tmp_path))
    assert [row.text for row in found] == ["its own"]
    assert [line.reason.split(":")[0] for line in found.ledger] == ["no sound file"]


def test_one_file_of_them_makes_no_corpus_of_subtitles(tmp_path: Path) -> None:
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        sounds(tmp_path / word, "1 2 3")
    text(tmp_path / "yes" / "1.srt", "1", "00:00:00,010 --> 00:00:00,060", "yes", "")
    assert detect(str(tmp_path)) == "classes"
    assert detect(str(tmp_path / "yes" / "1.srt")) == "subtitles"


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
