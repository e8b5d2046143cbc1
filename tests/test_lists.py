"""Lists of names and texts: lines and files are paired by name or number, never by order, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import corpora
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest


def pile(folder: Path, content: str | bytes, name: str = "list.csv", sounds: str = "rec_1 rec_2 rec_10") -> str:
    """A pile of recordings with a list beside them."""
    for stem in sounds.split():
        clip(folder / f"{stem}.wav")
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder)


def texts(manifest: Manifest) -> dict[str, str | None]:
    return {row.audio.stem: row.text for row in manifest}


def test_ljspeech(tmp_path: Path) -> None:
    content = 'LJ001-0001|He said "5|He said "five\nLJ001-0002|in being|\nLJ001-0003|gone|gone\nLJ001-0004||\n'
    data = pile(tmp_path, content, "metadata.csv", "wavs/LJ001-0001 wavs/LJ001-0002 wavs/LJ001-0009")
    assert corpora.detect(data) == "list"
    manifest = corpora.load(data, language="eng")
    assert texts(manifest) == {"LJ001-0001": 'He said "five', "LJ001-0002": "in being"}
    assert {row.language for row in manifest} == {"eng"}
    assert dropped(manifest) == {
        "LJ001-0003": "no sound file of that name",
        "LJ001-0004": "no transcript",
        "LJ001-0009.wav": "no row names it",
    }


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("rec_2,ni hao\nrec_10,la\nrec_1,habari\n", "list.csv"),
        ('\ufeffrec_2.wav;"ni hao";;\r\nrec_10.wav;la;;\r\nrec_1.wav;habari;;\r\n', "export.csv"),
        ("rec_10\tla\nrec_1\thabari\n\nrec_2\tni hao\n", "list.tsv"),
        ("D:\\old\\REC_10.WAV|la\nwav/rec_1.mp3|habari\n./rec_2|ni hao\n", "list.txt"),
        ("rec_10 la\nrec_1 habari\nrec_2  ni hao\n", "prompts.txt"),
        ("file,text\nrec_10.wav,la\nrec_1.wav,habari\nrec_2.wav,ni hao\n", "table.csv"),
        ("10,la\n2,ni hao\n01,habari\n", "list.csv"),
        ("sentence 10;la\nsentence 2;ni hao\nsentence 1;habari\n", "list.csv"),
    ],
)
def test_lists_of_many_kinds(tmp_path: Path, content: str, name: str) -> None:
    data = pile(tmp_path, content, name)
    for path in (data, str(tmp_path / name)):
        assert corpora.detect(path) == ("table" if name == "table.csv" and path != data else "list")
        manifest = corpora.load(path)
        assert texts(manifest) == {"rec_1": "habari", "rec_2": "ni hao", "rec_10": "la"}
        assert not dropped(manifest)


def test_a_table_of_labels_is_a_table(tmp_path: Path) -> None:
    pile(tmp_path, "file,label\nrec_1.wav,yes\n")
    assert corpora.detect(str(tmp_path / "list.csv")) == "table"
    for data in (tmp_path, tmp_path / "list.csv"):
        assert [(row.label, row.text) for row in corpora.load(str(data))] == [("yes", None)]


def test_commas_and_semicolons_in_texts(tmp_path: Path) -> None:
    content = 'rec_1;yes, please\nrec_2;"no; thanks"\nrec_10;a, b, c\n'
    expected = {"rec_1": "yes, please", "rec_2": "no; thanks", "rec_10": "a, b, c"}
    assert texts(corpora.load(pile(tmp_path, content))) == expected


def test_pairs_by_number_are_told_of(tmp_path: Path) -> None:
    manifest = corpora.load(pile(tmp_path, "No.,Sentence\nrec_1,habari\n10,la\n7,pole\n"))
    assert texts(manifest) == {"rec_1": "habari", "rec_10": "la"}
    assert [row.reason for row in manifest.ledger if row.action == "kept"] == ["paired by its number alone: 10"]
    assert dropped(manifest) == {
        "No.": "no sound file of that name",
        "7": "no sound file of that name",
        "rec_2.wav": "no row names it",
    }


@pytest.mark.parametrize(
    ("content", "sounds", "reason"),
    [
        ("ok,a\nrec_1,b\nrec_1,c\n", "ok rec_1", {"rec_1": "several rows name one sound file"}),
        ("ok,a\nrec_1,b\nrec_1.wav,c\n", "ok rec_1", {"rec_1": "several rows name one sound file"}),
        ("ok,a\nx_1,b\ny_1,c\n", "ok rec_1", {"x_1": "no sound file of that name"}),
        ("ok,a\n1,b\n", "ok rec_1 old_1", {"1": "no sound file of that name", "old_1.wav": "no row names it"}),
        ("ok,a\nrec_1,b\n1,c\n", "ok rec_1", {"1": "no sound file of that name"}),
        ("ok,a\nrec_1,b,anna\n", "ok rec_1", {"rec_1": "not a name and a text: 3 columns"}),
    ],
)
def test_what_may_be_several_is_left_out(tmp_path: Path, content: str, sounds: str, reason: dict[str, str]) -> None:
    manifest = corpora.load(pile(tmp_path, content, sounds=sounds))
    assert manifest[0].text == "a"
    assert dropped(manifest).items() >= reason.items()


def test_one_name_in_two_folders(tmp_path: Path) -> None:
    content = "anna/a.wav,one\nben\\a.wav,two\nb,three\n"
    data = pile(tmp_path, content, sounds="anna/a ben/a anna/b ben/b")
    manifest = corpora.load(data, "list")
    assert {row.audio.parent.name: row.text for row in manifest} == {"anna": "one", "ben": "two"}
    assert dropped(manifest)["b"].startswith("several sound files of that name: ")


def test_order_pairs_nothing(tmp_path: Path) -> None:
    data = pile(tmp_path, "first,habari\nsecond,la\n", sounds="rec_1 rec_2")
    with pytest.raises(DataError, match=r"such as first and second; files are such as rec_1\.wav and rec_2\.wav"):
        corpora.load(data)


def test_lists_that_are_not_one(tmp_path: Path) -> None:
    data = pile(tmp_path, "rec_1,habari\n")
    (tmp_path / "README.txt").write_text("Recorded in May, at home.")
    assert len(corpora.load(data)) == 1
    (tmp_path / "more.csv").write_text("rec_2,la\n")
    with pytest.raises(DataError, match=r"several lists \(list\.csv, more\.csv\)\. Name the list itself"):
        corpora.load(data)
    assert texts(corpora.load(str(tmp_path / "more.csv"))) == {"rec_2": "la"}
    with pytest.raises(DataError, match="holds no list of names and texts"):
        corpora.load(str(clip(tmp_path / "empty/a.wav").parent), "list")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_list_in_another_encoding(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(DataError, match=r"list\.csv: is not UTF-8 text"):
        corpora.load(pile(tmp_path, "rec_1,señor\n".encode(encoding)), "list")


def test_class_folders_beside_notes_are_class_folders(tmp_path: Path) -> None:
    pile(tmp_path, "Recorded in May, at home.\n", "notes.txt", sounds="yes/1 no/1")
    assert corpora.detect(str(tmp_path)) == "classes"


def test_links_out_of_the_folder_need_leave(tmp_path: Path) -> None:
    data = pile(tmp_path / "data", "a,habari\nb,la\n", sounds="b")
    (tmp_path / "data/a.wav").symlink_to(clip(tmp_path / "elsewhere/a.wav"))
    with pytest.raises(DataError, match="--audio-root"):
        corpora.load(data)
    assert len(corpora.load(data, audio_roots=[tmp_path / "elsewhere"])) == 2
