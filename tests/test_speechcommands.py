"""Speech Commands' layout: its lists, its rule for splits checked against its published lists, its noise."""

from __future__ import annotations

from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import corpora
from speechtransfer.corpora.speechcommands import split_of
from speechtransfer.errors import DataError
from speechtransfer.manifest import SILENCE

# Speakers of the published data set's own lists.
VALIDATION = "8b775397 2643992f 060cd039 f5e5e8b0 dbb40d24 d57febf0 16db1582 171b56dc 66cff190 22aa3665 b1426003"
TESTING = "2aa787cf ffa76c4a 24ad3ebe d7467392 5828dfa2 91223b83 f0ae7203 95ba4996 94de6a6a caf9fceb 82b99576"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    folder = tmp_path / "words"
    for name in ("yes/aa_nohash_0.wav", "yes/bb_nohash_0.wav", "no/aa_nohash_1.wav", "no/cc_nohash_0.wav"):
        clip(folder / name)
    clip(folder / "_background_noise_/tap.wav")
    (folder / "_background_noise_/README.md").touch()
    (folder / "validation_list.txt").write_text("yes/bb_nohash_0.wav\nyes/gone_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("no/cc_nohash_0.wav\r\n\n")
    return folder


def test_the_lists_are_the_splits(words: Path) -> None:
    assert corpora.detect(str(words)) == "speechcommands"
    manifest = corpora.load(str(words), language="eng")
    assert {(row.label, row.audio.name, row.speaker, row.split) for row in manifest} == {
        ("yes", "aa_nohash_0.wav", "aa", "train"),
        ("yes", "bb_nohash_0.wav", "bb", "dev"),
        ("no", "aa_nohash_1.wav", "aa", "train"),
        ("no", "cc_nohash_0.wav", "cc", "test"),
        (SILENCE, "tap.wav", None, "train"),
    }
    assert dropped(manifest) == {"README.md": "not a sound file by its name", "gone_nohash_0.wav": "no sound file"}
    assert {row.language for row in manifest} == {"eng"}


@pytest.mark.parametrize(("speakers", "split"), [(VALIDATION, "dev"), (TESTING, "test")])
def test_the_rule_gives_the_published_lists(speakers: str, split: str) -> None:
    assert {split_of(f"{speaker}_nohash_{take}.wav") for speaker in speakers.split() for take in range(3)} == {split}


def test_the_rule_leaves_four_fifths_to_training() -> None:
    splits = [split_of(f"{number:08x}_nohash_0.wav") for number in range(5000)]
    shares = [splits.count(name) / len(splits) for name in ("train", "dev", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_without_lists_the_rule_decides(words: Path) -> None:
    for name in ("validation_list.txt", "testing_list.txt"):
        (words / name).unlink()
    for speaker in (*VALIDATION.split(), *TESTING.split()):
        clip(words / "yes" / f"{speaker}_nohash_3.wav")
    assert corpora.detect(str(words)) == "speechcommands"
    splits = {row.speaker: row.split for row in corpora.load(str(words))}
    assert {splits[speaker] for speaker in VALIDATION.split()} == {"dev"}
    assert {splits[speaker] for speaker in TESTING.split()} == {"test"}
    assert splits[None] == "train"


def test_names_that_tell_nothing_leave_the_splits_open(tmp_path: Path) -> None:
    for name in ("yes/1.wav", "no/2.wav", "_background_noise_/hum.wav"):
        clip(tmp_path / name)
    manifest = corpora.load(str(tmp_path))
    assert {(row.label, row.speaker, row.split) for row in manifest} == {
        ("yes", None, None),
        ("no", None, None),
        (SILENCE, None, None),
    }


def test_a_file_in_both_lists(words: Path) -> None:
    (words / "testing_list.txt").write_text("\n./yes\\bb_nohash_0.wav\n")
    with pytest.raises(DataError, match=r"testing_list\.txt:2: .* is already in .*validation_list\.txt:1"):
        corpora.load(str(words))
