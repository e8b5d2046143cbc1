"""Dictionaries as text without sound: which of their fields are words of the language, and files that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from speechtransfer.corpora.dictionaries import dictd_headwords, is_standard_format, lift_texts, standard_format_texts
from speechtransfer.corpora.prose import read_prose
from speechtransfer.errors import DataError
from speechtransfer.text import TextContract

CONTRACT = TextContract()
LIFT = """<?xml version="1.0" encoding="UTF-8"?>
<lift version="0.13" producer="SIL.FLEx 9.1">
<header><ranges/></header>
<entry id="a"><lexical-unit><form lang="seh"><text>nyumba</text></form>
  <form lang="seh-fonipa-x-etic"><text>ɲumba</text></form><form lang="seh-Zxxx-x-audio"><text>n.wav</text></form>
  </lexical-unit>
  <variant><form lang="seh"><text>mnyumba</text></form></variant>
  <sense><gloss lang="en"><text>house</text></gloss>
    <definition><form lang="en"><text>a house</text></form></definition>
    <example><form lang="seh"><text>Nyumba <span>yake</span>
      ni kubwa.</text></form><translation><form lang="en"><text>His house is big.</text></form></translation></example>
    <subsense><example><form lang="seh"><text>Ndiri kunyumba</text></form></example></subsense></sense></entry>
<entry id="b"><lexical-unit><form lang="seh"><text>tond</text></form></lexical-unit>
  <citation><form lang="seh"><text>tonda</text></form></citation></entry>
<entry id="x" dateDeleted="2013-08-09T00:00:00Z"><lexical-unit><form lang="seh"><text>gone</text></form></lexical-unit>
  </entry>
<entry id="c"><lexical-unit><form lang="seh"><text>-pha</text></form></lexical-unit></entry>
<entry id="d"><lexical-unit><form lang="seh"><text></text></form></lexical-unit></entry>
</lift>
"""
TOOLBOX = """\\_sh v3.0  400  MDF 4.0

\\lx wata
\\hm 1
\\ps n
\\ge water
\\xv Wata e kol,
e kol tumas.
\\xe Water is cold.
\\xv Bigpela ~ i kam.
\\va woda
\\pl watas
\\se wata-mel

\\lx ka-
\\lx go
\\lc golong
\\nt a note
\\dt 12/Mar/2004
"""


def test_a_lift_file_gives_headwords_as_cited_variants_and_examples(tmp_path: Path) -> None:
    (tmp_path / "words.LIFT").write_text(LIFT, "utf-8")
    wanted = ["nyumba", "mnyumba", "Nyumba yake ni kubwa.", "Ndiri kunyumba", "tonda"]
    assert lift_texts(tmp_path / "words.LIFT") == wanted
    sentences = tuple(sorted(map(CONTRACT.apply, wanted)))
    for name in (tmp_path / "words.LIFT", f"{tmp_path / 'words.LIFT'}#seh", tmp_path):
        assert read_prose([str(name)], CONTRACT).sentences == sentences


def test_of_several_writing_systems_one_has_to_be_named(tmp_path: Path) -> None:
    path = tmp_path / "words.lift"
    path.write_text(
        LIFT.replace("</lexical-unit>", '<form lang="seh-Arab"><text>ن</text></form></lexical-unit>'), "utf-8"
    )
    with pytest.raises(DataError, match=r"words\.lift: has headwords in seh, seh-Arab\. .* as in words\.lift#seh"):
        read_prose([str(path)], CONTRACT)
    assert read_prose([f"{path}#seh-Arab"], CONTRACT).sentences == ("ن",)
    with pytest.raises(DataError, match=r"words\.lift: has no headword in swh, but in seh, seh-Arab"):
        read_prose([f"{path}#swh"], CONTRACT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (LIFT[: len(LIFT) // 2], r"w\.lift: is no XML"),
        ("<lift/>", r"w\.lift: has no headword"),
        (LIFT.replace('"seh"', '"en-fonipa"'), r"w\.lift: has headwords in en-fonipa, .*\. Name .*w\.lift#en-fonipa"),
    ],
)
def test_a_lift_file_without_words_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "w.lift").write_text(content, "utf-8")
    with pytest.raises(DataError, match=message):
        read_prose([str(tmp_path / "w.lift")], CONTRACT)


def test_a_path_with_a_hash_is_a_path_where_it_exists(tmp_path: Path) -> None:
    (tmp_path / "a.lift#b").mkdir()
    (tmp_path / "a.lift#b" / "t.txt").write_text("one")
    assert read_prose([str(tmp_path / "a.lift#b")], CONTRACT).sentences == ("one",)
    with pytest.raises(DataError, match=r"absent\.lift: cannot be read"):
        read_prose([str(tmp_path / "absent.lift#seh")], CONTRACT)


def test_a_toolbox_dictionary_gives_its_vernacular_fields(tmp_path: Path) -> None:
    wanted = ["wata", "Wata e kol, e kol tumas.", "woda", "watas", "wata-mel", "go", "golong"]
    assert standard_format_texts(TOOLBOX.splitlines()) == wanted
    for name, content in (("d.txt", TOOLBOX), ("d.db", "\n" + TOOLBOX.partition("\n\n")[2])):
        (tmp_path / name).write_text(content, "utf-8")
        read = read_prose([str(tmp_path / name)], CONTRACT)
        assert read.sentences == tuple(sorted(map(CONTRACT.apply, wanted)))


@pytest.mark.parametrize(("suffix", "mark"), [(".csv", ","), (".csv", ";"), (".tsv", "\t")])
def test_of_a_table_the_named_column_is_read(tmp_path: Path, suffix: str, mark: str) -> None:
    path = tmp_path / f"words{suffix}"
    rows = [("Headword", "Gloss"), ("nyumba", "house"), ("-pha", "kill"), ("maji moto", "hot water")]
    path.write_text("\n".join(map(mark.join, rows)), "utf-8-sig")
    assert read_prose([f"{path}#headword"], CONTRACT).sentences == ("maji moto", "nyumba")
    with pytest.raises(
        DataError, match=r"is a table\. Name the column .*words.*#COLUMN; its header is Headword, Gloss"
    ):
        read_prose([str(path)], CONTRACT)
    with pytest.raises(DataError, match="has no column word; its header is headword, gloss"):
        read_prose([f"{path}#word"], CONTRACT)
    path.write_text(mark.join(("Headword", "Gloss")) + "\nnyumba\n", "utf-8")
    with pytest.raises(DataError, match=r":2: the row and the header differ in length: 1 and 2 fields\. Correct"):
        read_prose([f"{path}#headword"], CONTRACT)


def test_text_has_no_parts(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("one")
    with pytest.raises(DataError, match=r"t\.txt#seh: only a LIFT file or a table has parts to name"):
        read_prose([f"{tmp_path / 't.txt'}#seh"], CONTRACT)


def test_prose_is_no_dictionary() -> None:
    assert not is_standard_format(["He said \\lx once.", "\\lx wata"])
    assert not is_standard_format([])


def _dictd(home: Path, articles: list[tuple[str, str]]) -> None:
    """A dictionary as dictfmt writes it, its numbers in base 64 by another way than they are read."""
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    home.mkdir(parents=True)
    body, index = b"", []
    for head, article in articles:
        places = []
        for number in (len(body), len(article.encode())):
            bits = f"{number:b}".zfill(6 * -(-max(1, number.bit_length()) // 6))
            places.append("".join(digits[int(bits[at : at + 6], 2)] for at in range(0, len(bits), 6)))
        index.append("\t".join((head, *places)))
        body += article.encode()
    (home / "x.dict.dz").write_bytes(gzip.compress(body))
    (home / "x.index").write_text("\n".join(index) + "\n", "utf-8")


ARTICLES = [
    ("00databaseinfo", "00databaseinfo\nabout /it/\n"),
    ("ιορδάνης", "Ιορδάνης /ˌiorðˈanis/ <pn>\nJordan\n"),
    ("πράσινο τσάι", "πράσινο τσάι <n> (x)\ngreen tea\n"),
    ("lipo", "lipo (pl: {malipo})\n\npayment\n" * 20),
    ("last", "last"),
]


def test_headwords_of_a_dictionarys_package_are_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "debian" / "dict-freedict-xxx-yyy" / "usr/share/dictd"
    _dictd(home, ARTICLES)
    assert list(dictd_headwords(home)) == ["Ιορδάνης", "πράσινο τσάι", "lipo", "last"]
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path))
    assert read_prose(["debian:dict-freedict-xxx-yyy"], CONTRACT).sentences == (
        "last",
        "lipo",
        "ιορδάνης",
        "πράσινο τσάι",
    )


@pytest.mark.parametrize("damage", ["cut", "digits", "absent", "letters"])
def test_a_damaged_dictionary_is_named(tmp_path: Path, damage: str) -> None:
    _dictd(tmp_path / "d", ARTICLES)
    packed, index = tmp_path / "d" / "x.dict.dz", tmp_path / "d" / "x.index"
    if damage == "cut":
        packed.write_bytes(packed.read_bytes()[:40])
    elif damage == "absent":
        packed.unlink()
    elif damage == "letters":
        packed.write_bytes(gzip.compress(b"\xff" * 500))
    else:
        index.write_text("word\t?\t!\n")
    with pytest.raises(DataError, match=r"x\.index: is damaged|x\.dict\.dz: cannot be read"):
        list(dictd_headwords(tmp_path / "d"))


def test_phonetic_forms_are_taken_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "w.lift").write_text(LIFT, "utf-8")
    assert lift_texts(tmp_path / "w.lift", "seh-fonipa-x-etic") == ["ɲumba"]
