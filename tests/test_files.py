"""Files are whole or untouched, and read back as they were written."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechtransfer import files
from speechtransfer.errors import DataError


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Failing:
    """A file that takes so many bytes, then finds the disk full."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def write(self, data: bytes) -> None:
        self.file.write(data[: self.room])
        if len(data) > self.room:
            full()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "m.jsonl"
    files.write_atomically(path, "old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(DataError, match=r"m\.jsonl: cannot be written \(No space left on device\)"):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_in_the_middle_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.jsonl"
    files.write_lines(path, [{"a": 1}])
    opened = os.fdopen
    monkeypatch.setattr(os, "fdopen", lambda handle, mode: Failing(opened(handle, mode), 100))
    with pytest.raises(DataError, match="No space left on device"):
        files.write_lines(path, [{"a": number} for number in range(1000)])
    assert files.read_lines(path) == [{"a": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_loses_nothing_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.jsonl"
    files.write_atomically(path, "old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_whole_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "deep" / "down" / "x.bin", []
    synced, replaced = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(os.fstat(handle).st_size) or synced(handle))
    monkeypatch.setattr(os, "replace", lambda old, new: seen.append(os.path.exists(new)) or replaced(old, new))
    files.write_atomically(path, bytes(100_000))
    assert seen == [100_000, False]
    assert path.stat().st_size == 100_000
    files.write_atomically(path, b"")
    assert seen[2:] == [0, True]
    assert path.read_bytes() == b""
    assert path.stat().st_mode & 0o777 == 0o644


def test_where_nothing_can_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    for path in (tmp_path / "file" / "x.json", tmp_path / "folder"):
        with pytest.raises(DataError, match="cannot be written"):
            files.write_atomically(path, "x")
    assert (tmp_path / "file").read_text() == "a file"
    assert (tmp_path / "folder" / "inside").is_dir()
    assert len(list(tmp_path.iterdir())) == 2


TEXTS = st.text(st.characters(exclude_categories=("Cs",)) | st.just("\udcff"), max_size=8)


@settings(max_examples=40)
@given(rows=st.lists(st.dictionaries(TEXTS, TEXTS | st.integers() | st.none(), min_size=1, max_size=3), max_size=4))
def test_any_rows_read_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "r.jsonl"
    files.write_lines(path, rows)
    assert path.read_bytes().count(b"\n") == len(rows)
    assert files.read_lines(path) == rows


def test_other_scripts_and_odd_file_names_stay_readable(tmp_path: Path) -> None:
    odd = os.fsdecode(b"ni\xf1o.wav")
    files.write_lines(tmp_path / "r.jsonl", [{"audio": odd, "text": "ёж\u2028ёж\x85"}])
    raw = (tmp_path / "r.jsonl").read_bytes()
    assert "ёж".encode() in raw
    assert b"\\udcf1" in raw
    assert json.loads(raw)["audio"] == odd
    assert os.fsencode(files.read_lines(tmp_path / "r.jsonl")[0]["audio"]) == b"ni\xf1o.wav"


@pytest.mark.parametrize("line", ["{", "[1]", '"a"', "3", "[" * 50_000, "{} {}"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.jsonl").write_text('{"a": 1}\n\n' + line + "\n")
    with pytest.raises(DataError, match=r"r\.jsonl:3: is "):
        files.read_lines(tmp_path / "r.jsonl")


def test_lines_of_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes("\ufeffone\r\ntwo\u2028still two\n".encode())
    assert files.read_text_lines(tmp_path / "t") == ["one", "two\u2028still two"]
    (tmp_path / "l").write_bytes(b"ni\xf1o")
    with pytest.raises(DataError, match="not UTF-8"):
        files.read_text_lines(tmp_path / "l")
    with pytest.raises(DataError, match="No such file"):
        files.read_text_lines(tmp_path / "missing")
