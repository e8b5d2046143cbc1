"""The Multilingual Spoken Words Corpus: its splits, and each clip that is not valid or not there in the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import corpora
from speechtransfer.errors import DataError

ROWS = (
    "TRAIN,habari/a.opus,habari,True,anna,FEMALE",
    "TRAIN,habari/b.opus,habari,True,ben,NAN",
    "DEV,habari/c.opus,habari,True,carla,MALE",
    'TEST,"ndiyo, sana/a.opus","ndiyo, sana",True,anna,OTHER',
    "TEST,habari/d.opus,habari,False,dan,MALE",
    "TEST,habari/e.opus,habari,True,dan,MALE",
)


def corpus(folder: Path, rows: tuple[str, ...] = ROWS, suffix: str = ".opus") -> str:
    """A language's folder as the corpus lays it out; clips are WAV files, which decoders tell by their content."""
    for name in ("habari/a", "habari/b", "habari/c", "habari/d", "ndiyo, sana/a"):
        path = clip(folder / "clips" / f"{name}.wav")
        path.rename(path.with_suffix(suffix))
    content = "\n".join(["SET,LINK,WORD,VALID,SPEAKER,GENDER", *rows])
    (folder / f"{folder.name}_splits.csv").write_text(content + "\n", encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize("suffix", [".opus", ".wav"])
def test_the_splits_of_a_language(tmp_path: Path, suffix: str) -> None:
    data = corpus(tmp_path / "sw", suffix=suffix)
    assert corpora.detect(data) == "mswc"
    manifest = corpora.load(data, language="swh")
    assert [(row.label, row.audio.stem, row.speaker, row.split, row.language) for row in manifest] == [
        ("habari", "a", "anna", "train", "swh"),
        ("habari", "b", "ben", "train", "swh"),
        ("habari", "c", "carla", "dev", "swh"),
        ("ndiyo, sana", "a", "anna", "test", "swh"),
    ]
    reasons = dropped(manifest)
    assert reasons.pop("e.opus").startswith("no sound file: ")
    assert reasons == {"d.opus": "not valid"}


def test_a_table_for_each_split_and_clips_of_no_row(tmp_path: Path) -> None:
    data = corpus(tmp_path / "cnh")
    (tmp_path / "cnh/cnh_splits.csv").unlink()
    for split, stem in (("train", "a"), ("dev", "b"), ("test", "c")):
        content = f"LINK,WORD,VALID,SPEAKER,GENDER\nhabari/{stem}.opus,habari,True,anna,MALE\n"
        (tmp_path / f"cnh/cnh_{split}.csv").write_text(content)
    manifest = corpora.load(data)
    assert [(row.split, row.audio.stem, row.language) for row in manifest] == [
        ("train", "a", "cnh"),
        ("dev", "b", "cnh"),
        ("test", "c", "cnh"),
    ]
    assert dropped(manifest) == {"d.opus": "no row in any table", "a.opus": "no row in any table"}


def test_several_languages(tmp_path: Path) -> None:
    for name in ("sw", "ky"):
        corpus(tmp_path / name)
    assert corpora.detect(str(tmp_path)) == "mswc"
    assert {row.language for row in corpora.load(str(tmp_path))} == {"swa", "kir"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((*ROWS, "TEST,habari/a.opus,habari,True,x,MALE"), r"csv:8: habari/a\.opus is already in .*csv:2"),
        (ROWS[4:], "no clip can be used. The first of [0-9]+: not valid"),
        (("ALL,habari/a.opus,habari,True,x,MALE",), "none of TRAIN, DEV and TEST in the column SET: ALL"),
        (("TEST,habari/a.opus,habari,maybe,x,MALE",), "neither True nor False in the column VALID: maybe"),
        (("TEST,habari/a.opus",), "the row and the header differ in length: 2 and 6 fields"),
        (('TEST,"habari/a.opus',), "is not a well-formed table"),
        (("TEST,../../secret.wav,habari,True,x,MALE",), "--audio-root"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, rows: tuple[str, ...], message: str) -> None:
    clip(tmp_path / "secret.wav")
    with pytest.raises(DataError, match=message):
        corpora.load(corpus(tmp_path / "sw", rows))


def test_another_language_than_the_tables_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="stated as swa, not fra"):
        corpora.load(corpus(tmp_path / "sw"), language="fra")


def test_what_is_no_such_corpus(tmp_path: Path) -> None:
    clip(tmp_path / "clips/yes.wav")
    assert corpora.detect(str(tmp_path)) == "classes"
    with pytest.raises(DataError, match=r"neither it nor a folder in it holds clips/"):
        corpora.load(str(tmp_path), "mswc")


def test_the_clip_of_another_word_is_not_taken_for_one_that_is_missing(tmp_path: Path) -> None:
    """Words cut out of one sentence have one file name, each in the folder of its word."""
    data = corpus(tmp_path / "sw", tuple(row for row in ROWS if "ndiyo" not in row))
    (tmp_path / "sw" / "clips" / "habari" / "a.opus").unlink()
    manifest = corpora.load(data)
    assert "a" not in {row.audio.stem for row in manifest}
    assert any("has its name, but is of another word" in row.reason for row in manifest.ledger)
