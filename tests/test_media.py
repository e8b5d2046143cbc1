"""Sound that a transcript names by the path of another machine is found, or refused with one message."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from speechtransfer.corpora.media import Media, plain_path
from speechtransfer.errors import DataError


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    base = tmp_path / "corpus"
    for name in ("a.wav", "day one/b.WAV", "day two/b.wav", "día/ñandú.wav", "notes.txt"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_bytes(b"")
    return base


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.wav", "a.wav"),
        ("./a.wav", "a.wav"),
        ("file:///C:/Users/me/rec/a.wav", "a.wav"),
        ("file:/C:/rec/a.wav", "a.wav"),
        ("file://server/share/a.wav", "a.wav"),
        (r"C:\Users\me\a.wav", "a.wav"),
        (r"\\server\share\A.WAV", "a.wav"),
        ("/home/me/a.wav", "a.wav"),
        ("file:///Volumes/stick/day%20two/b.wav", "day two/b.wav"),
        ("/elsewhere/day one/B.wav", "day one/b.WAV"),
        (unicodedata.normalize("NFD", "old/ñandú.wav"), "día/ñandú.wav"),
    ],
)
def test_paths_of_other_machines_are_found_by_name(corpus: Path, name: str, found: str) -> None:
    assert Media(corpus).find(name, "t.eaf") == corpus / found


def test_what_lies_beside_the_transcript_comes_first(corpus: Path) -> None:
    assert Media(corpus).find("b.wav", "t.eaf", corpus / "day two") == corpus / "day two/b.wav"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("c.wav", r"t\.eaf: c\.wav is not there.*--audio-root"),
        ("notes.txt\0.wav", "is not there"),
        ("/old/b.wav", r"t\.eaf: /old/b\.wav may be .*day one/b\.WAV or .*day two/b\.wav"),
        ("", "is not there"),
    ],
)
def test_what_is_missing_or_may_be_several_is_refused(corpus: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Media(corpus).find(name, "t.eaf")


def test_nothing_outside_is_read_unless_its_folder_is_named(corpus: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside" / "c.wav"
    outside.parent.mkdir()
    outside.write_bytes(b"")
    for name in (str(outside), "../outside/c.wav"):
        with pytest.raises(DataError, match=r"lies outside .*--audio-root"):
            Media(corpus).find(name, "t.eaf")
        assert Media(corpus, [outside.parent]).find(name, "t.eaf").resolve() == outside
    assert Media(corpus, [outside.parent]).find("D:/c.wav", "t.eaf") == outside
    (corpus / "c.wav").write_bytes(b"")  # the corpus's own file of that name
    assert Media(corpus).find(str(outside), "t.eaf") == corpus / "c.wav"


def test_urls_and_drives_are_plain_paths() -> None:
    assert plain_path("file:///C:/a%20b.wav") == "C:/a b.wav"
    assert plain_path("file:///home/a.wav") == "/home/a.wav"
    assert plain_path(r"D:\x\y.wav") == "D:/x/y.wav"
    assert plain_path("100%.wav") == "100%.wav"


@pytest.mark.parametrize("name", ["file://[x/a.wav", "http://[x/a.wav", f"{'x/' * 3000}a.wav", f"{'x' * 3000}/a.wav"])
def test_names_that_no_system_takes_are_found_by_their_last_part(corpus: Path, name: str) -> None:
    assert Media(corpus).find(name, "t.eaf") == corpus / "a.wav"


@pytest.mark.parametrize(
    ("transcript", "sounds", "found"),
    [
        ("s/t.eaf", "s/t.wav t.wav s/u.wav", "s/t.wav"),
        ("s/t.eaf", "wav/T.MP3", "wav/T.MP3"),
        ("eaf/s1/t.eaf", "wav/s1/t.wav wav/s2/t.wav", "wav/s1/t.wav"),
        ("t.eaf", "t.mp3 t.flac t.wav", "t.wav"),
        ("t.eaf", "t.mp3 t.FLAC t.aac", "t.FLAC"),
        ("t.eaf", "t.mp3 t.m4a", "t.m4a"),
        ("t.1.eaf", "t.1.wav t.wav", "t.1.wav"),
        ("día.eaf", unicodedata.normalize("NFD", "día.wav"), unicodedata.normalize("NFD", "día.wav")),
        ("t.eaf", "s/t.wav u/t.wav", None),
        ("t.eaf", "tt.wav t.txt", None),
    ],
)
def test_sound_like_a_transcript(tmp_path: Path, transcript: str, sounds: str, found: str | None) -> None:
    for name in sounds.split():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    if found is None:
        with pytest.raises(
            DataError, match=r"t\.eaf: (its sound may be .*s/t\.wav or |no sound file called t lies in)"
        ):
            Media(tmp_path).like(tmp_path / transcript)
    else:
        assert Media(tmp_path).like(tmp_path / transcript) == tmp_path / found


def test_sound_like_a_transcript_may_lie_in_a_folder_that_is_named(tmp_path: Path) -> None:
    for name in ("data/t.eaf", "other/t.wav"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="--audio-root"):
        Media(tmp_path / "data").like(tmp_path / "data/t.eaf")
    assert Media(tmp_path / "data", [tmp_path / "other"]).like(tmp_path / "data/t.eaf") == tmp_path / "other/t.wav"
    (tmp_path / "data/t.wav").symlink_to(tmp_path / "other/t.wav")
    with pytest.raises(DataError, match=r"t\.wav lies outside .*--audio-root"):
        Media(tmp_path / "data").like(tmp_path / "data/t.eaf")
