"""Frozen features on disk: those of the encoder itself, one file an utterance, with an index that finds them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from speechtransfer import cli
from speechtransfer.audio import read, write_wav
from speechtransfer.checkpoint import read_json
from speechtransfer.embedding import embed
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.errors import AudioError, PlanError, SettingsError
from speechtransfer.files import read_lines
from speechtransfer.manifest import Manifest, Utterance

RATE = 16_000


@pytest.fixture
def encoder() -> Conformer:
    torch.manual_seed(0)
    return Conformer(ConformerSettings(width=16, layers=2, heads=2, kernel=3, expansion=2, dropout=0.5))


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Synthetic noise: two recordings of one name in two folders, and a span of a third."""
    rng = np.random.default_rng(0)
    for name, seconds in (("a/clip.wav", 0.5), ("b/clip.wav", 0.9), ("c/long.wav", 3.0)):
        path = tmp_path / name
        path.parent.mkdir()
        write_wav(path, 0.1 * rng.standard_normal(int(seconds * RATE)), RATE)
    return Manifest(
        (
            Utterance(tmp_path / "a/clip.wav", label="yes"),
            Utterance(tmp_path / "c/long.wav", 1.0, 1.7, text="a b"),
            Utterance(tmp_path / "b/clip.wav", speaker="anna"),
        )
    )


def test_every_file_holds_what_the_encoder_says_of_its_recording_alone(
    encoder: Conformer, manifest: Manifest, tmp_path: Path
) -> None:
    done = embed(encoder, manifest, tmp_path / "out")
    index = read_lines(tmp_path / "out" / "index.jsonl")
    assert [line["audio"] for line in index] == [str(row.audio) for row in manifest]
    encoder.eval()
    for line, row in zip(index, manifest, strict=True):
        wave = torch.from_numpy(read(row.audio, RATE, row.start, row.end))[None]
        with torch.inference_mode():
            alone = encoder(wave, torch.tensor([wave.shape[1]])).values[0].numpy()
        stored = np.load(tmp_path / "out" / line["features"])
        assert stored.dtype == np.float32
        assert stored == pytest.approx(alone, abs=1e-5)
        assert line["frames"] == len(stored)
    assert (done.files, done.frames, done.width) == (3, sum(line["frames"] for line in index), 16)
    assert (index[0]["label"], index[1]["text"], index[1]["start"], index[2]["speaker"]) == ("yes", "a b", 1.0, "anna")
    assert "text" not in index[0]


def test_a_block_may_be_chosen_and_is_named(encoder: Conformer, manifest: Manifest, tmp_path: Path) -> None:
    embed(encoder, manifest, tmp_path / "out", "layer0")
    described = read_json(tmp_path / "out" / "source.json")
    assert (described["block"], described["width"], described["seconds_a_frame"]) == ("layer0", 16, 0.04)
    first = read_lines(tmp_path / "out" / "index.jsonl")[0]
    wave = torch.from_numpy(read(first["audio"], RATE))[None]
    with torch.inference_mode():
        expected = encoder.eval().run(wave, torch.tensor([wave.shape[1]]), stop="layer0").values[0].numpy()
    assert np.load(tmp_path / "out" / first["features"]) == pytest.approx(expected, abs=1e-5)
    assert encoder.blocks[-1] == "layer1"


def test_a_folder_with_files_is_left_alone(encoder: Conformer, manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(SettingsError, match="is not empty"):
        embed(encoder, manifest, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_what_cannot_be_embedded_is_named(encoder: Conformer, manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="layer9"):
        embed(encoder, manifest, tmp_path / "out", "layer9")
    assert not (tmp_path / "out").exists()
    with pytest.raises(AudioError, match=r"gone\.wav"):
        embed(encoder, Manifest((Utterance(tmp_path / "gone.wav"),)), tmp_path / "out")
    assert not (tmp_path / "out" / "source.json").exists()


def test_the_command_takes_files_and_a_corpus(
    manifest: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"audio": str(row.audio), "text": "a"} for row in manifest if row.start is None]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number, given in enumerate((["a/clip.wav", "c/long.wav"], ["rows.jsonl"])):
        paths = [str(tmp_path / name) for name in given]
        with pytest.raises(SystemExit) as stopped:
            cli.main(["embed", "random:conformer", *paths, "--out", str(tmp_path / f"out{number}")])
        assert not stopped.value.code
        assert len(read_lines(tmp_path / f"out{number}" / "index.jsonl")) == 2
    assert "read as manifest" in capsys.readouterr().out
