"""Data sets of the hub become rows from disk, parquet and streams; the rest is in the ledger or one error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from conftest import RATE
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Features, IterableDatasetDict, Value

from speechtransfer import corpora
from speechtransfer.audio import probe, write_wav
from speechtransfer.errors import DataError

SOUND = {"bytes": Value("binary"), "path": Value("string")}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hub"


@pytest.fixture
def wave(tmp_path: Path) -> Callable[[int], bytes]:
    """Makes WAV files of other lengths, as bytes."""

    def make(number: int) -> bytes:
        write_wav(tmp_path / "one.wav", np.full(100 + number, 0.1, np.float32), RATE)
        return (tmp_path / "one.wav").read_bytes()

    return make


def made(sounds: Sequence[Any], types: dict[str, Any] | None = None, **columns: Sequence[Any]) -> Dataset:
    """A data set whose sound is not encoded, which would need torchcodec."""
    kinds = {name: (types or {}).get(name, Value("string")) for name in columns}
    dataset = Dataset.from_dict({"audio": sounds, **columns}, Features({"audio": SOUND, **kinds}))
    return dataset.cast_column("audio", Audio())


def row(content: bytes | None, path: str | None = None) -> dict[str, Any]:
    return {"bytes": content, "path": path}


def save(dataset: Dataset | DatasetDict, folder: Path, form: str, plain: bool = False) -> str:
    """Save a data set; ``plain`` keeps the library from reading the files that rows name."""
    dataset = dataset.cast_column("audio", SOUND) if plain else dataset
    if form == "saved":
        dataset.save_to_disk(str(folder))
        return str(folder)
    for split, part in dataset.items() if isinstance(dataset, DatasetDict) else [("data", dataset)]:
        file = folder / {"shards": f"{split}-00000-of-00001", "nested": f"data/{split}-00000-of-00001"}.get(
            form, f"{split}/0000"
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        part.to_parquet(f"{file}.parquet")
    return str(folder)


@pytest.mark.parametrize("form", ["saved", "shards", "nested", "folders"])
def test_every_layout_has_the_same_rows(tmp_path: Path, cache: Path, wave: Callable[[int], bytes], form: str) -> None:
    sounds = [wave(number) for number in range(5)]
    types = {"gender": ClassLabel(names=["female", "male"]), "lang_id": ClassLabel(names=["swh", "sw_ke"])}
    parts = {
        split: made(
            [row(sounds[number], "clips/x.wav" if number else None)],
            types,
            raw_transcription=[f"Raw {number}."],
            transcription=[f" said {number} "],
            client_id=[f"s{number}"],
            gender=[0],
            lang_id=[number % 2],
        )
        for number, split in enumerate(("train", "validation", "test", "train.other", "invalidated"))
    }
    data = save(DatasetDict(parts), tmp_path / "corpus [1]", form)
    assert corpora.detect(data) == "hub"
    manifest = corpora.load(data, language="eng")
    told = {(one.text, one.split, one.speaker, one.language, one.audio.read_bytes()) for one in manifest}
    splits = ("train", "dev", "test", "train")
    assert told == {
        (f"said {number}", split, f"s{number}", ("swh", "eng")[number % 2], sounds[number])
        for number, split in enumerate(splits)
    }
    assert len(manifest.ledger) == 1 and "invalidated" in manifest.ledger[0].reason
    assert {one.audio.parent for one in manifest} == {cache / "corpus--1--"}
    assert [probe(one.audio).channels for one in manifest] == [1] * 4
    # Another reading writes nothing anew.
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*.wav")}
    assert corpora.load(data, language="eng") == manifest
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*") if path.is_file()} == before


def test_a_set_that_is_not_divided_has_no_splits(tmp_path: Path, wave: Callable[[int], bytes]) -> None:
    parts = {name: made([row(wave(number))], text=["a"]) for number, name in enumerate(("train", "clean", "noisy"))}
    for names in (("train",), ("clean", "noisy")):
        data = save(DatasetDict({name: parts[name] for name in names}), tmp_path / names[0], "saved")
        assert [one.split for one in corpora.load(data)] == [None] * len(names)
    parts["train"].save_to_disk(str(tmp_path / "one"))
    assert [one.split for one in corpora.load(str(tmp_path / "one"))] == [None]


@pytest.mark.parametrize("form", ["saved", "shards"])
def test_classes_have_names_and_what_is_missing_is_dropped(
    tmp_path: Path, wave: Callable[[int], bytes], form: str
) -> None:
    sounds = [row(wave(0)), None, row(wave(1)), row(b"", "gone.wav"), row(b"no sound"), row(None), row(wave(2))]
    labels = [1, 0, None, 0, 0, 0, -1]
    dataset = made(sounds, {"label": ClassLabel(names=["hapana", "ndiyo"])}, label=labels)
    manifest = corpora.load(save(dataset, tmp_path / "data", form, plain=True))
    assert [(one.label, one.text) for one in manifest] == [("ndiyo", None)]
    reasons = [one.reason.split(":")[0] for one in manifest.ledger]
    assert reasons == [
        *("no sound", "no transcript", "no sound file", "sound of a kind that is not known"),
        *("no sound", "no transcript"),
    ]
    assert all("row" in str(one.where) for one in manifest.ledger)


def test_a_path_is_read_only_where_it_may_be(tmp_path: Path, wave: Callable[[int], bytes]) -> None:
    inside, outside = tmp_path / "data" / "clips" / "a.wav", tmp_path / "elsewhere" / "b.wav"
    for number, path in enumerate((inside, outside)):
        path.parent.mkdir(parents=True)
        path.write_bytes(wave(number))
    sounds = [row(None, "/gone/clips/a.wav"), row(None, str(outside)), row(None, "hf://datasets/a/b/c.wav")]
    data = save(made(sounds, text=["a", "b", "c"]), tmp_path / "data", "shards", plain=True)
    manifest = corpora.load(data)
    assert [(one.audio, one.text) for one in manifest] == [(inside, "a")] and len(manifest.ledger) == 2
    manifest = corpora.load(data, audio_roots=[outside.parent])
    assert [one.audio for one in manifest] == [inside, outside] and len(manifest.ledger) == 1


@pytest.mark.parametrize(("texts", "kept"), [(("a", "a"), 1), (("a", "b"), 0)])
def test_one_sound_is_one_row(tmp_path: Path, wave: Callable[[int], bytes], texts: tuple[str, ...], kept: int) -> None:
    dataset = made([row(wave(0)), row(wave(0)), row(wave(1))], text=[*texts, "c"])
    manifest = corpora.load(save(dataset, tmp_path / "data", "saved"))
    assert len(manifest) == kept + 1 and len(manifest.ledger) == 2 - kept


@pytest.mark.parametrize(
    ("magic", "suffix"),
    [
        (b"RIFF\0\0\0\0WAVEfmt ", ".wav"),
        (b"fLaC", ".flac"),
        (b"OggS", ".ogg"),
        (b"ID3\4", ".mp3"),
        (b"\xff\xfb\x90", ".mp3"),
        (b"\0\0\0\x18ftypM4A ", ".m4a"),
        (b"FORM\0\0\0\0AIFF", ".aiff"),
    ],
)
def test_the_first_bytes_tell_the_kind(tmp_path: Path, magic: bytes, suffix: str) -> None:
    manifest = corpora.load(save(made([row(magic, "x.bin")], text=["a"]), tmp_path / "data", "saved"))
    assert manifest[0].audio.suffix == suffix


# By name, from the hub.


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, wave: Callable[[int], bytes]) -> list[Any]:
    """Streams a local data set whatever is asked for; holds what was asked."""
    asked: list[Any] = []

    def load_dataset(*arguments: Any, **options: Any) -> IterableDatasetDict:
        asked.append((arguments, options))
        parts = {"train": 0, "test": 1, "other": 2}
        sounds = {"train": row(wave(0)), "test": row(None, "hf://datasets/a/b/c.wav"), "other": row(wave(2))}
        made_parts = {name: made([sounds[name]], text=[f"text {number}"]) for name, number in parts.items()}
        return IterableDatasetDict({name: part.to_iterable_dataset() for name, part in made_parts.items()})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_a_name_is_streamed_and_no_code_is_trusted(
    cache: Path, served: list[Any], wave: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    remote = tmp_path / "remote.wav"
    remote.write_bytes(wave(1))
    monkeypatch.setattr("fsspec.open", lambda path: remote.open("rb"))
    assert corpora.detect("hub:google/fleurs:sw_ke") == "hub"
    manifest = corpora.load("hub:google/fleurs:sw_ke", language="swh")
    assert served == [(("google/fleurs", "sw_ke"), {"streaming": True})]
    assert [(one.text, one.split, one.language) for one in manifest] == [
        ("text 0", "train", "swh"),
        ("text 1", "test", "swh"),
    ]
    assert [one.audio.read_bytes() for one in manifest] == [wave(0), wave(1)]
    assert {one.audio.parent for one in manifest} == {cache / "google--fleurs--sw_ke"}
    assert [one.audio for one in manifest.ledger] == ["hub:google/fleurs:sw_ke other"]
    corpora.load("hub:google/fleurs")
    assert served[1] == (("google/fleurs", None), {"streaming": True})


def test_a_broken_network_is_one_error(served: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr("fsspec.open", fail)
    with pytest.raises(DataError, match=r"hf://datasets/a/b/c\.wav cannot be fetched \(ConnectionError: no route\)"):
        corpora.load("hub:a/b")
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(DataError, match="hub:a/b: cannot be had from the hub"):
        corpora.load("hub:a/b")


@pytest.mark.parametrize("name", ["", ":x", "../a", "a/b/c", "/etc", "https://x"])
def test_what_is_no_name_is_refused(served: list[Any], name: str) -> None:
    with pytest.raises(DataError, match="is no name of a data set"):
        corpora.load(f"hub:{name}")
    assert not served


# Bad input.


@pytest.mark.parametrize("form", ["saved", "shards"])
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sound": "audio", "words": "text"}, r"no column of sound; its columns are sound .*words \(string\)"),
        ({"audio": "audio", "words": "text"}, r"no column of text or labels .*words \(string\)"),
    ],
)
def test_missing_columns_are_told(tmp_path: Path, form: str, columns: dict[str, str], message: str) -> None:
    dataset = made([row(b"fLaC")], words=["a"])
    if "sound" in columns:
        dataset = dataset.cast_column("audio", SOUND).rename_column("audio", "sound")
        dataset = dataset.add_column("audio", [1])
        dataset = dataset.rename_column("audio", "number")
    if form == "saved":
        dataset.save_to_disk(str(tmp_path / "data"))
    else:
        (tmp_path / "data").mkdir()
        dataset.to_parquet(str(tmp_path / "data" / "train.parquet"))
    with pytest.raises(DataError, match=message):
        corpora.load(str(tmp_path / "data"))
