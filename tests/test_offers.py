"""The listing of sources: what lies in the package and under the variable, and what of it cannot be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from speechtransfer import cli
from speechtransfer.offers import find_run, offers
from speechtransfer.sources import DEFAULT_SOURCE, load_encoder, packaged_sources


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of sources: a dnn's state dict, a checkpoint of an unknown type, and what is no source."""
    for name in ("digits", "stranger", "empty", "owner"):
        (tmp_path / name).mkdir()
    sizes = {"0": (128, 80), "2": (64, 128), "4": (10, 64)}
    state = {f"{key}.weight": torch.zeros(size) for key, size in sizes.items()}
    state |= {f"{key}.bias": torch.zeros(size[0]) for key, size in sizes.items()}
    torch.save(state, tmp_path / "digits" / "pretrained_weights.pth")
    (tmp_path / "digits" / "README.md").write_text("---\nlicense: mit\n---\n")
    (tmp_path / "stranger" / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "stranger" / "model.safetensors").write_bytes(b"x")
    shutil.copytree(tmp_path / "digits", tmp_path / "owner" / "model")  # as a hub names them
    (tmp_path / "notes.txt").write_text("no source")
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", str(tmp_path))
    return tmp_path


def test_what_is_listed_can_be_loaded_by_its_name(shelf: Path) -> None:
    listed = {one.name: one for one in offers()}
    assert next(iter(listed)) == DEFAULT_SOURCE
    assert listed.keys() == {DEFAULT_SOURCE, "digits", "stranger", "owner/model"}
    assert listed[DEFAULT_SOURCE].languages == ("bel", "bul", "ces", "eng", "fra", "ita", "nld", "ron", "spa")
    assert 0 < listed[DEFAULT_SOURCE].megabytes <= 8
    assert (listed["digits"].family, listed["digits"].licence, listed["digits"].languages) == ("dnn", "mit", ())
    for name in (DEFAULT_SOURCE, "digits", "owner/model"):
        assert load_encoder(name).family == listed[name].family


def test_a_packaged_source_is_a_recogniser_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = Path(DEFAULT_SOURCE)
    assert find_run(name) == packaged_sources() / DEFAULT_SOURCE
    clip = packaged_sources().parent / "synthetic" / "clips" / "00.ogg"
    with pytest.raises(SystemExit, match="0"):
        cli.main(["transcribe", DEFAULT_SOURCE, str(clip)])
    assert capsys.readouterr().out.startswith(f"{clip}\t")
    name.mkdir()  # what lies here goes before
    assert find_run(name) == name
    assert find_run(Path("neither")) == Path("neither")


def test_what_cannot_be_loaded_says_why(shelf: Path) -> None:
    stranger = {one.name: one for one in offers()}["stranger"]
    assert stranger.family is None
    assert "'bert' is not among the known" in str(stranger.fault)


def test_the_command_lists_sources_and_families(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["sources"])
    assert not stopped.value.code
    said = capsys.readouterr().out
    assert f"{DEFAULT_SOURCE} (default)" in " ".join(said.split())
    for name in ("digits", "conformer", "whisper", "waveform", "parakeet"):
        assert name in said
