"""Manifests: rows in and out, refusals, the ledger."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from speechtransfer import manifest as manifests
from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, read_manifest


def rows(count: int) -> Manifest:
    """Rows of 1, 1.5, 2 and 2.5 s in turn."""
    return Manifest(
        tuple(Utterance(Path(f"/c/{index}.wav"), 0.0, 1 + index % 4 / 2, f"prompt {index}") for index in range(count))
    )


def seconds(row: Utterance) -> float:
    return row.end - row.start


def test_a_manifest_round_trips(tmp_path: Path) -> None:
    written = Manifest(
        (
            Utterance(tmp_path / "clips/ä.wav", text="Здравствуй, мир", language="rus", split="train"),
            Utterance(tmp_path / "clips/b.wav", start=0.5, end=2.25, label="да", speaker="anna", split="dev"),
            Utterance(tmp_path / "clips/b.wav", start=3.0, domain="phone", split="elsewhere"),
        )
    )
    manifests.write_manifest(tmp_path / "m.jsonl", written)
    content = (tmp_path / "m.jsonl").read_text(encoding="utf-8")
    assert read_manifest(tmp_path / "m.jsonl") == written
    assert "Здравствуй" in content
    assert str(tmp_path) not in content
    assert written.splits == ("train", "dev", "elsewhere")
    assert written.speakers == {"anna"}
    assert written[1].id.endswith("b.wav#0.5-2.25")
    assert written[2].id.endswith("b.wav#3-")


def test_a_manifest_may_move_with_its_audio(tmp_path: Path) -> None:
    line = '{"audio": "clips/a.wav", "text": "a"}\n'
    places = [tmp_path / "here", tmp_path / "there"]
    for place in places:
        place.mkdir()
        (place / "m.jsonl").write_text("\ufeff" + line, encoding="utf-8")
    here, there = (read_manifest(place / "m.jsonl") for place in places)
    assert here != there
    assert here.fingerprint() == there.fingerprint()
    assert here.fingerprint() != Manifest((replace(here[0], text="b"),)).fingerprint()
    assert here.fingerprint() != Manifest((replace(here[0], group="scene"),)).fingerprint()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"text": "a"}', "no 'audio'"),
        ('{"audio": ""}', "no 'audio'"),
        ('{"audio": "b.wav", "txt": "a"}', "unknown field 'txt'; the fields are audio, start"),
        ('{"audio": 3}', "'audio' must be text"),
        ('{"audio": "b.wav", "start": "1"}', "'start' must be a number"),
        ('{"audio": "b.wav", "end": true}', "'end' must be a number"),
        ('{"audio": "b.wav", "text": " "}', "'text' is empty"),
        ('{"audio": "b.wav", "start": -1}', "empty or negative"),
        ('{"audio": "b.wav", "start": 2, "end": 2}', "empty or negative"),
        ('{"audio": "b.wav", "end": NaN}', "empty or negative"),
        ('{"audio": "a.wav"}', "already on line 1"),
        ('{"audio": "b\\u0000.wav"}', "null character"),
        ('{"audio": "../a.wav"}', "--audio-root"),
        ('{"audio": "/etc/passwd"}', "--audio-root"),
        ('{"audio": "clips/../../a.wav"}', "--audio-root"),
    ],
)
def test_a_bad_row_is_refused_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"audio": "a.wav"}\n\n' + line + "\n")
    with pytest.raises(DataError, match=message) as caught:
        read_manifest(path)
    assert f"{path}:3" in str(caught.value)


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "missing.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(DataError, match="holds no utterance"):
        read_manifest(tmp_path / "empty.jsonl")
    (tmp_path / "latin.jsonl").write_bytes('{"audio": "a.wav", "text": "señor"}'.encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        read_manifest(tmp_path / "latin.jsonl")


def test_audio_elsewhere_needs_leave(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "sound").mkdir()
    (tmp_path / "data/link").symlink_to(tmp_path / "sound")
    path = tmp_path / "data/m.jsonl"
    for audio in ("../sound/a.wav", str(tmp_path / "sound/a.wav"), "link/a.wav"):
        path.write_text(json.dumps({"audio": audio}))
        with pytest.raises(DataError, match="lies outside"):
            read_manifest(path)
        assert len(read_manifest(path, audio_roots=[tmp_path / "sound"])) == 1


def test_keep_moves_rows_to_the_ledger() -> None:
    given = rows(50)
    kept = given.keep(lambda row: "too short: " + row.id if seconds(row) < 2 else None)
    assert len(kept) + len(kept.ledger) == 50
    assert set(kept) <= set(given)
    assert manifests.ledger_counts(kept.ledger) == {"too short": len(kept.ledger)}


def test_slices_and_splits() -> None:
    given = Manifest(tuple(replace(row, split="dev") for row in rows(4)), (LedgerRow("x", "y"),))
    assert isinstance(given[1:3], Manifest)
    assert len(given[1:3]) == 2
    assert len(given.split("dev")) == 4
    assert not given.split("dev").ledger
    assert not given.split("train")


def test_the_ledger_is_written_as_json_lines(tmp_path: Path) -> None:
    manifests.write_ledger(tmp_path / "l.jsonl", [LedgerRow("a.wav", "пусто", where="t:3")])
    assert json.loads((tmp_path / "l.jsonl").read_text(encoding="utf-8")) == {
        "audio": "a.wav",
        "reason": "пусто",
        "action": "dropped",
        "split": None,
        "where": "t:3",
    }
