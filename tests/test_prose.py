"""Text without sound: what is a sentence, what is left out, how much is taken, and files that are no text."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from speechtransfer.cli import main
from speechtransfer.corpora import prose
from speechtransfer.corpora.pages import page_lines
from speechtransfer.corpora.prose import read_prose
from speechtransfer.errors import DataError
from speechtransfer.text import TextContract

CONTRACT = TextContract()
SYNTHETIC = Path(__file__).parents[1] / "data" / "synthetic"


def test_a_line_is_one_or_more_sentences_each_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "verses.txt"
    path.write_text(
        "In the beginning. It was DARK! Was it?\n\nit was dark\nTen commandments, not 10.\n...\n", "utf-8-sig"
    )
    read = read_prose([str(path)], CONTRACT)
    assert read.sentences == ("in the beginning", "it was dark", "was it")
    assert (read.left_out, read.beyond) == (2, 0)


def test_a_folder_is_its_text_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "deep" / "b.TXT").write_text("two")
    (tmp_path / "c.csv").write_text("three")
    assert read_prose([str(tmp_path)], CONTRACT).sentences == ("one", "two")


PAGE = """<!DOCTYPE html><html lang="xx"><head><title>The title</title><style>p { color: red }</style>
<script>if (a < b) { document.write("<p>written</p>"); }</script></head><body>
<p>Press the <b>green</b> key,
and w<i>ai</i>t.<p>An open paragraph &amp; more<br>after a break
<table><tr><td>cell<td>next cell</table><!-- <p>remark</p> --><script src="x.js"/></script><div>last<ul><li>one</ul>"""


def test_a_page_gives_a_line_for_each_block_that_a_reader_sees(tmp_path: Path) -> None:
    assert page_lines(PAGE) == [
        "The title",
        "Press the green key, and wait.",
        "An open paragraph & more",
        "after a break",
        "cell",
        "next cell",
        "last",
        "one",
    ]
    (tmp_path / "page.HTML").write_text(PAGE)
    (tmp_path / "words.txt").write_text("a < b > c")
    read = read_prose([str(tmp_path)], CONTRACT)
    assert {"press the green key and wait", "next cell", "a b c"} < set(read.sentences)
    assert not {"written", "remark"} & set(" ".join(read.sentences).split())


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_page_is_read_as_far_as_it_can_be(seed: int) -> None:
    characters, generator = list(PAGE), random.Random(seed)
    for _ in range(12):
        characters[generator.randrange(len(characters))] = generator.choice("<>&;/!-\"' \n")
    lines = page_lines("".join(characters))
    assert all(line == " ".join(line.split()) != "" for line in lines)


def test_help_pages_are_read_from_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("libreoffice-help-xx", "libreoffice-help-xx-yy"):
        home = tmp_path / "debian" / package / "usr/share/libreoffice/help/xx/text"
        home.mkdir(parents=True)
        (home / "open.html").write_text(PAGE)
        (home / "icon.svg").write_bytes(b"\xff\x00")
        monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path))
        assert "press the green key and wait" in read_prose([f"debian:{package}"], CONTRACT).sentences


def test_sayings_are_read_from_their_package_without_who_said_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "debian" / "fortunes-xx" / "usr/share/games/fortunes/xx"
    home.mkdir(parents=True)
    (home / "love").write_text("Love is\nblind. Hate too.\n\t\t-- Nobody\n%\nSecond\n")
    (home / "love.u8").symlink_to("love")
    (home / "love.dat").write_bytes(b"\xff\x00")
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path))
    assert read_prose(["debian:fortunes-xx"], CONTRACT).sentences == ("hate too", "love is blind", "second")


def test_of_much_text_as_much_as_is_counted_is_taken_from_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"{first}{second}" for first in "abcdefghij" for second in "klmnopqrst"]
    (tmp_path / "t.txt").write_text("\n".join(words))
    monkeypatch.setattr(prose, "MOST_CHARACTERS", 50)
    read = read_prose([str(tmp_path / "t.txt")], CONTRACT)
    assert (len(read.sentences), read.beyond) == (25, 75)
    assert {word[0] for word in read.sentences} == set("abcdefghij")
    assert read == read_prose([str(tmp_path / "t.txt")], CONTRACT)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("latin.txt", "caf\xe9".encode("latin-1"), "latin.txt: is not UTF-8"),
        ("absent.txt", None, "absent.txt: cannot be read"),
        ("numbers.txt", b"1 2 3\n4\n", "no sentence without digits"),
        ("empty.txt", b"", "no sentence without digits"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_prose([str(tmp_path / name)], CONTRACT)


def test_folders_without_text_and_packages_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file in it ends in \.txt, \.html"):
        read_prose([str(tmp_path)], CONTRACT)
    for name in ("asterisk-ru", "libreoffice-help-common", "fortunes-"):
        with pytest.raises(DataError, match=f"debian:{name}: no package of text"):
            read_prose([f"debian:{name}"], CONTRACT)


def test_adapt_says_how_much_it_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.txt").write_text("one two three\n4 five\n")
    out = tmp_path / "run"
    training = ("--source", "random:conformer", "--steps", "1", "--set", "folds=2")
    with pytest.raises(SystemExit) as ended:
        main(["adapt", str(SYNTHETIC), "--out", str(out), "--texts", str(tmp_path / "t.txt"), *training])
    assert ended.value.code == 0
    assert "1 sentences of text, 13 characters; 1 left out" in capsys.readouterr().out
