"""Manifests: rows in and out, refusals, and the properties of splits."""

from __future__ import annotations

import errno
import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from speechtransfer import manifest as manifests
from speechtransfer.errors import DataError
from speechtransfer.manifest import LedgerRow, Manifest, Utterance, read_manifest


def rows(count: int, prompts: int, speakers: int = 1, seed: int = 0) -> Manifest:
    draw = random.Random(seed)
    return Manifest(
        tuple(
            Utterance(
                Path(f"/corpus/{index}.wav"),
                start=0.0,
                end=draw.uniform(1, 3),
                text=f"prompt {draw.randrange(prompts)}",
                speaker=f"speaker {draw.randrange(speakers)}",
            )
            for index in range(count)
        )
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
    assert "Здравствуй" in content and str(tmp_path) not in content
    assert written.splits == ("train", "dev", "elsewhere")
    assert written.speakers == {"anna"}
    assert written[1].id.endswith("b.wav#0.5-2.25") and written[2].id.endswith("b.wav#3-")


def test_a_manifest_may_move_with_its_audio(tmp_path: Path) -> None:
    line = '{"audio": "clips/a.wav", "text": "a"}\n'
    places = [tmp_path / "here", tmp_path / "there"]
    for place in places:
        place.mkdir()
        (place / "m.jsonl").write_text("\ufeff" + line, encoding="utf-8")
    here, there = (read_manifest(place / "m.jsonl") for place in places)
    assert here != there and here.fingerprint() == there.fingerprint()
    assert here.fingerprint() != Manifest((replace(here[0], text="b"),)).fingerprint()


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


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.jsonl"
    manifests.write_atomically(path, "old")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="No space left on device"):
        manifests.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_keep_moves_rows_to_the_ledger() -> None:
    given = rows(50, 10)
    kept = given.keep(lambda row: "too short: " + row.id if seconds(row) < 2 else None)
    assert len(kept) + len(kept.ledger) == 50
    assert set(kept) <= set(given)
    assert manifests.ledger_counts(kept.ledger) == {"too short": len(kept.ledger)}


def test_slices_and_splits() -> None:
    given = Manifest(tuple(replace(row, split="dev") for row in rows(4, 4)), (LedgerRow("x", "y"),))
    assert isinstance(given[1:3], Manifest) and len(given[1:3]) == 2
    assert len(given.split("dev")) == 4 and not given.split("dev").ledger and not given.split("train")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("by_speaker", [False, True])
def test_folds_are_disjoint_cover_everything_and_weigh_the_same(seed: int, by_speaker: bool) -> None:
    given = rows(400, 200, speakers=40, seed=seed)
    prompt = (lambda row: row.id) if by_speaker else (lambda row: row.text)
    parts = manifests.folds(given, 5, seed, seconds, prompt=prompt, by_speaker=by_speaker)
    assert sorted(index for part in parts for index in part) == list(range(400))
    loads = [sum(seconds(given[index]) for index in part) for part in parts]
    assert max(loads) < 1.1 * min(loads)
    key = (lambda row: row.speaker) if by_speaker else (lambda row: row.text)
    kinds = [{key(given[index]) for index in part} for part in parts]
    assert sum(len(kind) for kind in kinds) == len(set().union(*kinds))
    assert parts == manifests.folds(given, 5, seed, seconds, prompt=prompt, by_speaker=by_speaker)


@pytest.mark.xfail(strict=True, reason="folds() sorts by weight after shuffling, which undoes the seed")
def test_another_seed_is_another_cut() -> None:
    given = rows(100, 100)
    assert manifests.folds(given, 5, 0, seconds) != manifests.folds(given, 5, 1, seconds)


def test_spans_of_one_recording_stay_together() -> None:
    given = Manifest(
        tuple(
            Utterance(Path(f"/c/{index // 4}.wav"), start=index, end=index + 1, text=str(index)) for index in range(40)
        )
    )
    for part in manifests.folds(given, 5, 0, seconds):
        assert len(part) == 8 and len({given[index].audio for index in part}) == 2


def test_too_few_groups_for_the_folds() -> None:
    with pytest.raises(DataError, match="only 3 groups that share no prompt; 5 parts"):
        manifests.folds(rows(60, 3), 5, 0, seconds)
    with pytest.raises(DataError, match="only 1 groups that share no prompt or speaker"):
        manifests.folds(rows(60, 60), 5, 0, seconds, by_speaker=True)


def test_each_fold_tests_every_row_once_and_leaks_nothing() -> None:
    given = rows(100, 40)
    parts = manifests.folds(given, 5, 0, seconds)
    tested = []
    for fold in range(5):
        named = manifests.assign(given, parts, fold)
        assert named.splits == ("train", "dev", "test")
        assert manifests.leaks(named, lambda row: row.text) == {}
        tested += [row.id for row in named.split("test")]
    assert sorted(tested) == sorted(row.id for row in given)


def test_leaks_are_found() -> None:
    names = ("train", "test", "train", None)
    given = Manifest(
        tuple(
            Utterance(Path(f"/{index}.wav"), text="same", speaker=str(index), split=name)
            for index, name in enumerate(names)
        )
    )
    assert manifests.leaks(given, lambda row: row.text) == {"same": ("test", "train")}
    assert manifests.leaks(given, lambda row: row.speaker) == {}
    assert manifests.leaks(given, lambda row: None) == {}


def test_smaller_amounts_are_subsets_in_the_original_order() -> None:
    given = rows(200, 50)
    small, large = (manifests.take_seconds(given, amount, 0, seconds) for amount in (30, 90))
    assert set(small) < set(large) < set(given)
    assert 30 <= sum(map(seconds, small)) < 33
    order = [given.rows.index(row) for row in large]
    assert order == sorted(order)
    assert manifests.take_seconds(given, 1e9, 0, seconds) == given


def test_the_ledger_is_written_as_json_lines(tmp_path: Path) -> None:
    manifests.write_ledger(tmp_path / "l.jsonl", [LedgerRow("a.wav", "пусто", where="t:3")])
    assert json.loads((tmp_path / "l.jsonl").read_text(encoding="utf-8")) == {
        "audio": "a.wav",
        "reason": "пусто",
        "action": "dropped",
        "split": None,
        "where": "t:3",
    }
