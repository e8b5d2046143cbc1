"""Common Voice's releases: their splits, the clips that may be learnt from besides, and all others in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from clips import clip, dropped

from speechtransfer import corpora
from speechtransfer.corpora.iso639 import CODES, language_of, settle
from speechtransfer.errors import DataError
from speechtransfer.manifest import Manifest

# Of releases 6.1 and 17.0.
OLD = ["client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent", "locale", "segment"]
NEW = [*OLD[:2], "sentence_id", "sentence", "sentence_domain", *OLD[3:7], "accents", "variant", "locale", "segment"]
Row = tuple[str, str, str]  # speaker, clip, sentence


def release(
    folder: Path, tables: Mapping[str, list[Row]], columns: list[str] = NEW, locale: str = "sw", suffix: str = ".mp3"
) -> str:
    """A release; clips are WAV files under an ``.mp3`` name, which decoders tell by their content."""
    for name, rows in tables.items():
        lines = ["\t".join(columns)]
        for speaker, stem, sentence in rows:
            values = {"client_id": speaker, "path": f"{stem}.mp3", "sentence": sentence, "locale": locale}
            lines.append("\t".join(values.get(column, "") for column in columns))
            if not (folder / "clips" / f"{stem}{suffix}").exists():
                clip(folder / "clips" / f"{stem}.wav").rename(folder / "clips" / f"{stem}{suffix}")
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder)


SPLITS: dict[str, list[Row]] = {
    "train": [("anna", "t1", 'Alisema: "ndiyo'), ("anna", "t2", "Habari")],
    "dev": [("ben", "d1", "Karibu sana")],
    "test": [("carla", "e1", "Kwa heri")],
}


def by_split(manifest: Manifest) -> list[tuple[str | None, str]]:
    return [(row.split, row.audio.stem) for row in manifest]


@pytest.mark.parametrize("columns", [OLD, NEW, list(reversed(NEW))])
def test_a_release_with_splits(tmp_path: Path, columns: list[str]) -> None:
    data = release(tmp_path, SPLITS, columns)
    assert corpora.detect(data) == "commonvoice"
    manifest = corpora.load(data)
    assert by_split(manifest) == [("train", "t1"), ("train", "t2"), ("dev", "d1"), ("test", "e1")]
    row = manifest[0]
    assert (row.text, row.speaker, row.language) == ('Alisema: "ndiyo', "anna", "swa")
    assert not manifest.ledger


def test_validated_clips_in_no_split_are_learnt_from_unless_they_leak(tmp_path: Path) -> None:
    further = [
        ("dan", "v1", "Asante"),
        ("anna", "v2", "Pole"),
        ("ben", "v3", "Asante"),
        ("carla", "v4", "Asante"),
        ("dan", "v5", "karibu SANA!"),
        ("", "v6", "Asante"),
    ]
    data = release(tmp_path, {**SPLITS, "validated": [*SPLITS["train"], *SPLITS["dev"], *SPLITS["test"], *further]})
    manifest = corpora.load(data)
    assert by_split(manifest)[4:] == [("train", "v1"), ("train", "v2")]
    assert {name: reason.split(":")[0] for name, reason in dropped(manifest).items()} == {
        "v3.mp3": "in no split, and its speaker is in dev or test",
        "v4.mp3": "in no split, and its speaker is in dev or test",
        "v5.mp3": "in no split, and its sentence is in dev or test",
        "v6.mp3": "in no split, and its speaker is not known",
    }
    assert all(row.split == "train" and row.where for row in manifest.ledger)


def test_without_splits_what_was_validated_has_none(tmp_path: Path) -> None:
    tables = {
        "validated": [("anna", "a", "Habari"), ("", "b", "Pole"), ("anna", "c", " ")],
        "other": [("ben", "o", "Asante"), ("anna", "a", "Habari")],
        "invalidated": [("ben", "i", "Asante")],
    }
    data = release(tmp_path, tables)
    clip(tmp_path / "clips/stray.wav")
    (tmp_path / "clips/b.mp3").unlink()
    manifest = corpora.load(data)
    assert by_split(manifest) == [(None, "a")]
    reasons = dropped(manifest)
    assert reasons.pop("b.mp3").startswith("no sound file: ")
    assert reasons == {
        "c.mp3": "no transcript",
        "o.mp3": "not validated: other.tsv",
        "i.mp3": "not validated: invalidated.tsv",
        "stray.wav": "no row in any table",
    }
    assert [row.reason for row in manifest.ledger if row.action == "kept"] == ["used, but also in other.tsv"]


def test_clips_that_were_converted_are_found(tmp_path: Path) -> None:
    manifest = corpora.load(release(tmp_path, SPLITS, suffix=".wav"))
    assert {row.audio.suffix for row in manifest} == {".wav"} and not manifest.ledger


def test_rows_of_another_length_than_the_header_are_left_out(tmp_path: Path) -> None:
    data = release(tmp_path, SPLITS)
    table = tmp_path / "train.tsv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([*lines[:2], lines[2][:15], lines[2].replace("Habari", "Ha\tbari")]))
    manifest = corpora.load(data)
    assert by_split(manifest)[:2] == [("train", "t1"), ("dev", "d1")]
    faults = [row.reason for row in manifest.ledger]
    assert [fault.split(":")[0] for fault in faults] == ["the row and the header differ in length"] * 2
    assert faults[1].endswith("14 and 13 fields")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({**SPLITS, "test": [("ben", "t1", "Habari")]}, r"test\.tsv:2: t1\.mp3 is already in .*train\.tsv:2"),
        ({"validated": [("b", "x", "a"), ("c", "x", "b")]}, r"validated\.tsv:3: x\.mp3 is already in"),
        ({"validated": [("b", "x", "")]}, "no clip of the 1 in its tables can be used. The first: no transcript"),
        ({"validated": []}, "no clip of the 0"),
    ],
)
def test_releases_that_cannot_be_used(tmp_path: Path, tables: Mapping[str, list[Row]], message: str) -> None:
    (tmp_path / "clips").mkdir()
    with pytest.raises(DataError, match=message):
        corpora.load(release(tmp_path, tables))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path\tsentence\n", r"train\.tsv: has no column client_id; its header is path, sentence"),
        ("path\tclient_id\tsentence\tpath\n", r"has 2 columns path"),
        ("", "its header is empty"),
        ("client_id\tpath\tsentence\n".encode("utf-16"), "is not UTF-8"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, content: str | bytes, message: str) -> None:
    data = release(tmp_path, SPLITS)
    (tmp_path / "train.tsv").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message):
        corpora.load(data)


def test_clips_that_nobody_validated_are_not_learnt_from(tmp_path: Path) -> None:
    data = release(tmp_path, {"other": [("b", "x", "a")]})
    assert corpora.detect(data) == "commonvoice"
    with pytest.raises(DataError, match=r"holds none of train\.tsv, .*validated\.tsv"):
        corpora.load(data)


def test_no_clip_outside_the_folder_is_read(tmp_path: Path) -> None:
    data = release(tmp_path / "sw", SPLITS)
    clip(tmp_path / "secret.wav")
    table = tmp_path / "sw/test.tsv"
    table.write_text(table.read_text().replace("e1.mp3", "../../secret.wav"))
    manifest = corpora.load(data)
    assert manifest.splits == ("train", "dev") and "--audio-root" in dropped(manifest)["secret.wav"]
    assert corpora.load(data, audio_roots=[tmp_path]).splits == ("train", "dev", "test")


# Languages.


@pytest.mark.parametrize(
    ("locale", "code"),
    [
        ("sw", "swa"),
        ("sv-SE", "swe"),
        ("zh-CN", "zho"),
        ("nan-tw", "nan"),
        ("ga-IE", "gle"),
        ("rm-sursilv", "roh"),
        ("KAB", "kab"),
        ("en_GB.UTF-8", "eng"),
        ("xx", None),
        ("", None),
        ("english", None),
        ("s\0", None),
    ],
)
def test_locales(locale: str, code: str | None) -> None:
    assert language_of(locale) == code


def test_every_language_of_two_letters_is_known() -> None:
    assert len(CODES) == 184 and all(len(two) == 2 and len(code) == 3 for two, code in CODES.items())


@pytest.mark.parametrize(
    ("stated", "asked", "code"),
    [("swa", "swh", "swh"), ("ara", "ara", "ara"), (None, "swh", "swh"), ("arz", "ara", "arz"), ("swe", None, "swe")],
)
def test_what_a_user_says_of_the_language(stated: str | None, asked: str | None, code: str) -> None:
    assert settle(stated, asked, "t.tsv:2") == code


@pytest.mark.parametrize("asked", ["fra", "swe", "arb"])
def test_a_language_that_contradicts_the_locale(tmp_path: Path, asked: str) -> None:
    with pytest.raises(DataError, match=rf"train\.tsv:2: the language is stated as swa, not {asked}"):
        corpora.load(release(tmp_path, SPLITS), language=asked)


def test_a_locale_that_nobody_knows_leaves_the_language_to_the_user(tmp_path: Path) -> None:
    data = release(tmp_path, SPLITS, locale="xx")
    assert {row.language for row in corpora.load(data)} == {None}
    assert {row.language for row in corpora.load(data, language="swh")} == {"swh"}
