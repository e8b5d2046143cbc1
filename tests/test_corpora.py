"""Corpora of every kind become manifests in which each given utterance is used or in the ledger."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import corpora
from speechtransfer.corpora.contract import natural, text_fault, too_fast
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest, Utterance, write_manifest

# Finding out what DATA is.


def test_each_format_is_recognised(tmp_path: Path) -> None:
    clip(tmp_path / "words/yes/1.wav")
    clip(tmp_path / "splits/train/yes/1.wav")
    table = clip(tmp_path / "table/a.wav").with_name("metadata.csv")
    table.write_text("file_name,text\na.wav,yes\n")
    write_manifest(tmp_path / "m.jsonl", Manifest((Utterance(tmp_path / "table/a.wav", text="yes"),)))
    known = {
        "words": "classes",
        "splits": "classes",
        "table": "table",
        "table/metadata.csv": "table",
        "m.jsonl": "manifest",
    }
    for name, format in known.items():
        assert corpora.detect(str(tmp_path / name)) == format
        manifest = corpora.load(str(tmp_path / name), language="eng")
        assert len(manifest) == 1 and manifest[0].language == "eng"
    assert corpora.detect("debian:asterisk-ru") == "debian"


def test_a_manifest_in_a_folder_speaks_for_its_class_folders(tmp_path: Path) -> None:
    wave = clip(tmp_path / "yes/1.wav")
    clip(tmp_path / "no/2.wav")
    write_manifest(tmp_path / "manifest.jsonl", Manifest((Utterance(wave, label="yes", speaker="anna"),)))
    (row,) = corpora.load(str(tmp_path))
    assert (corpora.detect(str(tmp_path)), row.speaker) == ("manifest", "anna")
    assert {row.label for row in corpora.load(str(tmp_path), format="classes")} == {"yes", "no"}


def test_what_no_importer_knows_lists_the_formats(tmp_path: Path) -> None:
    clip(tmp_path / "flat.wav")
    for data, message in ((tmp_path, "none of the formats"), (tmp_path / "no", "no such file or folder")):
        with pytest.raises(DataError, match=message) as caught:
            corpora.detect(str(data))
        assert all(name in str(caught.value) for name in corpora.IMPORTERS)
    with pytest.raises(DataError, match="'mp3' is no format; the formats are lhotse, manifest, debian"):
        corpora.load(str(tmp_path), format="mp3")


def test_numbers_in_names_sort_as_numbers() -> None:
    names = ["rec_10.wav", "rec_2.wav", "rec_1.wav", "a.wav", "10.wav", "9.wav", "rec.wav"]
    ordered = ["9.wav", "10.wav", "a.wav", "rec.wav", "rec_1.wav", "rec_2.wav", "rec_10.wav"]
    assert sorted(names, key=natural) == ordered


# What any package's importer finds wrong with a line or its clip.


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [
        ("Un' ora, due ore: tutto bene?", "ita", None),
        ("« Où ? » — chez l’œnologue…", "fra", None),
        ("Ой, подъём!", "rus", None),
        ("Ο Γιώργος· ναι;", "ell", None),
        ("п'ять ʼ", "rus", None),
        ("n\u00ba um", "por", "a symbol or web address in the text, read out as words"),
        ("за 5 минут", "rus", "digits in the text, which are read out as words"),
        ("за \u0665 минут", "rus", "digits in the text, which are read out as words"),
        ("paon {mâle}", "fra", "a remark in brackets in the text"),
        ("caf\ufffd", "fra", "a mis-encoded letter in the text"),
        ("dix €", "fra", "a symbol or web address in the text, read out as words"),
        ("www.example.org", "eng", "a symbol or web address in the text, read out as words"),
        ("пeрвый", "rus", "Latin letters in a Cyrillic text"),
        ("Ο με oύμλαουτ", "ell", "Latin letters in a Greek text"),
        ("Ηello", "eng", "Greek letters in a Latin text"),
        ("Гимель", "bel", "letters that the language does not write"),
        ("Гимель", "rus", None),
    ],
)
def test_lines_that_nobody_knows_how_to_read(text: str, language: str, reason: str | None) -> None:
    assert text_fault(text, language) == (reason and f"{reason}: {text}")


def test_clips_that_cannot_hold_their_text(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.wav")  # 0.1 s
    assert too_fast(path, "Ab!", 20) is None and too_fast(path, "a?b", 30) is None
    assert too_fast(path, "abc", 20) == "the clip is too short for its text: 3 characters in 0.10 s: abc"
    path.write_bytes(b"")
    assert too_fast(path, "abc", 20) is None, "the doctor says what is wrong with a damaged clip"


# Class folders.


def test_class_folders(tmp_path: Path) -> None:
    for name in ("так/10.wav", "так/2.wav", "ні/1.WAV", "deep/er/1.wav", "loose.wav"):
        clip(tmp_path / name)
    (tmp_path / "так/notes.txt").touch()
    (tmp_path / ".git").mkdir()
    clip(tmp_path / ".git/1.wav")
    manifest = corpora.load(str(tmp_path), "classes", language="ukr")
    assert [(row.label, row.audio.name) for row in manifest] == [
        ("ні", "1.WAV"),
        ("так", "2.wav"),
        ("так", "10.wav"),
    ]
    assert dropped(manifest) == {
        "notes.txt": "not a sound file by its name",
        "1.wav": "not directly in a class folder",
        "loose.wav": "not directly in a class folder",
    }
    assert all(row.split is None and row.text is None for row in manifest)


def test_split_folders_above_class_folders(tmp_path: Path) -> None:
    for name in ("train/yes/1.wav", "train/no/1.wav", "dev/yes/2.wav", "test/no/3.wav", "test/stray.wav"):
        clip(tmp_path / name)
    manifest = corpora.load(str(tmp_path))
    assert manifest.splits == ("train", "dev", "test") and len(manifest) == 4
    assert {row.label for row in manifest} == {"yes", "no"}
    assert [(row.split, row.reason) for row in manifest.ledger] == [("test", "not directly in a class folder")]


def test_a_word_may_be_called_test(tmp_path: Path) -> None:
    for word in ("test", "train", "bus"):
        clip(tmp_path / word / "1.wav")
    assert {row.label for row in corpora.load(str(tmp_path))} == {"test", "train", "bus"}


def test_class_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        corpora.load(str(tmp_path / "missing"), "classes")
    with pytest.raises(DataError, match="holds no sound file"):
        corpora.load(str(tmp_path), "classes")
    clip(tmp_path / "train/yes/1.wav")
    clip(tmp_path / "yes/1.wav")
    with pytest.raises(DataError, match="yes/ stands beside it"):
        corpora.load(str(tmp_path))


def test_links_out_of_the_folder_need_leave(tmp_path: Path) -> None:
    clip(tmp_path / "data/no/1.wav")
    (tmp_path / "data/yes").mkdir()
    (tmp_path / "data/yes/1.wav").symlink_to(clip(tmp_path / "elsewhere/1.wav"))
    with pytest.raises(DataError, match="--audio-root"):
        corpora.load(str(tmp_path / "data"))
    assert len(corpora.load(str(tmp_path / "data"), audio_roots=[tmp_path / "elsewhere"])) == 2


# Tables.


def table(folder: Path, content: str | bytes, name: str = "metadata.csv", clips: str = "a b") -> str:
    for stem in clips.split():
        clip(folder / f"{stem}.wav")
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    return str(folder)


def test_a_table_with_every_column(tmp_path: Path) -> None:
    content = (
        "\ufeffFile_Name,sentence,client_id,language,split,start,end\r\n"
        'a.wav,"Yes, ""sir""",anna,swh,validation,0.01,0.05\r\n'
        "a.wav,no,,,other voices,0.05,\r\n"
    )
    manifest = corpora.load(table(tmp_path, content, clips="a"), language="eng")
    path = tmp_path.resolve() / "a.wav"
    assert manifest.rows == (
        Utterance(path, 0.01, 0.05, 'Yes, "sir"', speaker="anna", language="swh", split="dev"),
        Utterance(path, 0.05, None, "no", language="eng", split="other voices"),
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metadata.tsv", 'path\ttext\na.wav\the said "no\n'),
        ("metadata.csv", 'file;transcript\na.wav;he said "no\n'),
        ("metadata.csv", 'audio,label,transcription\na.wav,,"he said ""no"\n'),
    ],
)
def test_tables_of_other_dialects(tmp_path: Path, name: str, content: str) -> None:
    (row,) = corpora.load(table(tmp_path, content, name, clips="a"))
    assert row.text == 'he said "no' and row.label is None


def test_rows_without_text_and_files_without_row_are_in_the_ledger(tmp_path: Path) -> None:
    content = "file,text\na.wav,yes\nb.wav,  \n\n"
    manifest = corpora.load(table(tmp_path, content, clips="a b c sub/d"))
    assert [row.text for row in manifest] == ["yes"]
    assert dropped(manifest) == {
        "b.wav": "no transcript",
        "c.wav": "no row in metadata.csv",
        "d.wav": "no row in metadata.csv",
    }
    assert manifest.ledger[0].where.endswith("metadata.csv:3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,text\na.wav,yes\nmissing.wav,no\n", r"metadata.csv:3: missing.wav does not exist"),
        (f"file,text\n{'9' * 300}.wav,yes\n", r"metadata.csv:2: 9+.wav does not exist"),
        ("file,text\n../a.wav,yes\n", r"metadata.csv:2: .*--audio-root"),
        ("file,text\n/etc/passwd,yes\n", r"metadata.csv:2: .*--audio-root"),
        ("file,text\n,yes\n", r"metadata.csv:2: names no sound file"),
        ("file,text\na.wav,yes, please\n", r"metadata.csv:2: has 3 fields, the header 2"),
        ("file,text\na.wav,yes\na.wav,no\n", r"metadata.csv:3: .*already in .*metadata.csv:2"),
        ("file,text,start\na.wav,yes,soon\n", r"metadata.csv:2: 'soon' is no time"),
        ("file,text,start\na.wav,yes,nan\n", r"metadata.csv:2: 'nan' is no time"),
        ('file,text,start\na.wav,yes,"1,5"\n', r"metadata.csv:2: '1,5' is no time"),
        ("file,text,start,end\na.wav,yes,2,1\n", r"metadata.csv:2: the span 2 to 1 s is empty"),
        ('file,text\na.wav,"yes\n', r"not a well-formed table"),
        ("file,text\na.wav,\n", r"holds no row with a transcript"),
        ("file,words\na.wav,yes\n", r"has no column text, sentence, .* or label; its header is file, words"),
        ("name,text\na.wav,yes\n", r"has no column file_name, audio, path or file"),
        ("", r"its header is empty"),
        ("file,text\na.wav,señor\n".encode("latin-1"), r"is not UTF-8 text"),
        ("file,text\na.wav,yes\n".encode("utf-16"), r"is not UTF-8 text"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        corpora.load(table(tmp_path, content))


def test_two_tables_or_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither metadata\.csv nor metadata\.tsv"):
        corpora.load(str(tmp_path), "table")
    table(tmp_path, "file,text\na.wav,yes\n", "metadata.tsv")
    with pytest.raises(DataError, match=r"both metadata\.csv and metadata\.tsv"):
        corpora.load(table(tmp_path, "file,text\na.wav,yes\n"))


def test_a_name_is_looked_for_in_the_users_folders_of_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As sources are; what lies here by that name goes first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SPEECHTRANSFER_DATA", f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}")
    with pytest.raises(DataError, match=r"words: no such file or folder, nor one under \$SPEECHTRANSFER_DATA"):
        corpora.load("words")
    clip(tmp_path / "two" / "words" / "yes" / "a.wav")
    assert corpora.detect("words") == "classes"
    assert [row.audio for row in corpora.load("words")] == [tmp_path / "two" / "words" / "yes" / "a.wav"]
    clip(tmp_path / "words" / "no" / "b.wav")
    assert [row.label for row in corpora.load("words")] == ["no"]
