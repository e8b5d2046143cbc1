"""Kaldi data directories: what lhotse wrote is read back, no program is run, and nothing is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import corpora
from speechtransfer.errors import DataError

GOLDEN = Path(__file__).parent / "golden" / "kaldi"


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Lhotse's files of two recordings, beside sound that they name by the path of another machine."""
    folder = tmp_path / "corpus"
    shutil.copytree(GOLDEN, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name in ("day1", "day2"):
        clip(folder / "wav" / f"{name}.wav")
    return folder


def directory(folder: Path, **files: str) -> str:
    """A data directory of the files, with a clip for each ``.wav`` that ``wav.scp`` names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("wav", "wav.scp")).write_text(content, encoding="utf-8")
    for word in files.get("wav", "").split():
        if word.endswith(".wav") and "/" not in word:
            clip(folder / word)
    return str(folder)


def test_what_lhotse_wrote(exported: Path) -> None:
    assert corpora.detect(str(exported)) == "kaldi"
    manifest = corpora.load(str(exported))
    assert [(row.audio.name, row.start, row.end, row.text, row.speaker, row.language) for row in manifest] == [
        ("day1.wav", 0.0, 0.25, "habari ya asubuhi", "anna", "swh"),
        ("day2.wav", 0.1, 0.35, "ŋ'ombe  na   mbuzi", "anna", "swh"),
        ("day1.wav", 0.5, 0.75, "nzuri", "ben", "swh"),
    ]
    assert not manifest.ledger


def test_a_directory_without_segments_in_any_order(tmp_path: Path) -> None:
    data = directory(
        tmp_path,
        wav="b\tb.wav\r\na   a.wav\n\nc c.wav\nd d.wav\ne gone.mp3\n",
        text="d\na habari  ya leo\nb nzuri\nz pole\ne asante\n",
        utt2spk="a a\nb b\n",
    )
    (tmp_path / "d.wav").touch()
    manifest = corpora.load(data, language="swh")
    assert [(row.audio.name, row.text, row.speaker, row.language, row.start) for row in manifest] == [
        ("b.wav", "nzuri", None, "swh", None),
        ("a.wav", "habari  ya leo", None, "swh", None),
    ]
    reasons = dropped(manifest)
    assert reasons.pop("e").startswith("no sound file: ")
    assert reasons == {"c": "no transcript", "d": "no transcript", "z": "no sound for the text: pole"}


def test_segments_that_cannot_be_cut(tmp_path: Path) -> None:
    segments = "a r 0 1\nb r 1 -1\nc r 2 2\nd r -3 1\ne r nan 2\nf r 1\ng x 1 2\nh r 0 1\ni r 5 1e999\nj\nk r 0 1 A\n"
    data = directory(
        tmp_path, wav="r r.wav\ns s.wav\n", segments=segments, text="".join(f"{key} la\n" for key in "abcdefghijk")
    )
    manifest = corpora.load(data)
    assert [(row.start, row.end) for row in manifest] == [(0, 1), (1, None)]
    assert {key: reason.split(":")[0] for key, reason in dropped(manifest).items()} == {
        **dict.fromkeys("cdei", "the segment is empty or negative"),
        **dict.fromkeys("fjk", "a segment is a recording, a start and an end"),
        "g": "no such recording in wav.scp",
        "h": "the same sound as another utterance",
        "s": "no segment of the recording",
    }


@pytest.mark.parametrize(
    "name", ["sox a.wav -t wav - |", "sph2pipe -f wav a.sph|", "| cat", "-", "ark/raw.ark:1234", "a.ark:12[0:3]"]
)
def test_no_program_is_run_for_sound(tmp_path: Path, name: str) -> None:
    data = directory(tmp_path, wav=f"ok ok.wav\nrec {name}\nmore {name}\n", text="ok a\nrec b\n")
    with pytest.raises(DataError, match=r"wav\.scp:2: the sound of rec \(and 1 more\) .* never run.*Convert"):
        corpora.load(data)


@pytest.mark.parametrize("below", ["", "data"])
def test_directories_are_splits(tmp_path: Path, below: str) -> None:
    for name in ("train", "valid", "eval", "test_noisy", "extra"):
        directory(tmp_path / below / name, wav=f"{name} {name}.wav\n", text=f"{name} la\n")
    (tmp_path / below / "lang").mkdir()
    assert corpora.detect(str(tmp_path)) == "kaldi"
    manifest = corpora.load(str(tmp_path))
    assert {row.audio.stem: row.split for row in manifest} == {
        "train": "train",
        "valid": "dev",
        "eval": "test",
        "test_noisy": "test_noisy",
    }
    assert dropped(manifest) == {"extra.wav": "in a directory that is no split: extra"}


def test_an_utterance_in_two_splits(tmp_path: Path) -> None:
    for name in ("train", "test"):
        directory(tmp_path / name, wav="a ../a.wav\n", text="a la\n")
    clip(tmp_path / "a.wav")
    with pytest.raises(DataError, match=r"a\.wav is in the split test as well"):
        corpora.load(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"text": "a la\nb la\na pole\n"}, r"text:3: a is already in .*text:1"),
        ({"wav": "a a.wav\na b.wav\n"}, r"wav\.scp:2: a is already in .*wav\.scp:1"),
        ({"text": "b la\n"}, r"no utterance can be used\. The first of 2: no transcript"),
        ({"text": "a l\0a\n"}, "text:1: holds a null character"),
        ({"wav": "a ../b.wav\n"}, "--audio-root"),
        ({"wav": "\n"}, "no utterance can be used"),
        ({"utt2lang": "a fr\n"}, "utt2lang:1: the language is stated as fra, not swh"),
    ],
)
def test_directories_that_cannot_be_used(tmp_path: Path, files: dict[str, str], message: str) -> None:
    clip(tmp_path / "b.wav")
    data = directory(tmp_path / "a", **{"wav": "a a.wav\n", "text": "a la\n", **files})
    with pytest.raises(DataError, match=message):
        corpora.load(data, language="swh")


def test_a_directory_without_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"text: cannot be read \(No such file"):
        corpora.load(directory(tmp_path, wav="a a.wav\n"))
    with pytest.raises(DataError, match=r"neither it nor a folder in it holds wav\.scp"):
        corpora.load(str(tmp_path / "missing"), "kaldi")
