"""A run folder round-trips, and every kind of damage to it is an error that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from speechtransfer.audio import Recordings
from speechtransfer.checkpoint import build_encoder, load, read_json, save, write_json
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.encoders.whisper import Whisper
from speechtransfer.errors import SourceError
from speechtransfer.evaluate import predict
from speechtransfer.manifest import Manifest
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc
from speechtransfer.text import TextContract
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary

CARD = SourceCard("mine", "CC-BY-4.0", ("rus", "swh"), "ab" * 32, frozenset({"cafe", "beef"}))
WHISPER = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "num_mel_bins": 20}


@pytest.fixture(params=["conformer", "conformer cut", "whisper", "whisper cut"])
def model(request: pytest.FixtureRequest, tiny: Callable[..., Encoder]) -> Model:
    """Families, whole and cut, under a vocabulary with a contract of its own."""
    torch.manual_seed(1)
    family, cut = request.param.split()[0], "cut" in request.param
    encoder = tiny(layers=2) if family == "conformer" else Whisper.from_settings(WHISPER)
    encoder.card = CARD
    vocabulary = Vocabulary(tuple(" 'абё"), TextContract(unicode="NFKC", case="keep", digits="keep"))
    made, _ = Transfer(cut="layer0" if cut else None).apply(encoder, Ctc(vocabulary, dropout=0.3))
    torch.nn.init.normal_(made.objective.output.weight, std=3.0)  # so that it says something
    return made


def test_a_run_folder_gives_the_same_predictions(
    model: Model, synthetic: Manifest, recordings: Recordings, tmp_path: Path
) -> None:
    save(model, tmp_path)
    torch.manual_seed(99)
    again = load(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder.json", "model.safetensors", "objective.json"]
    assert not any(module.training for module in again.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    rows = synthetic[:4]
    expected = predict(model, rows, recordings)
    assert predict(again, rows, recordings) == expected
    assert any(one.value for one in expected)
    assert again.encoder.card == model.encoder.card
    assert again.encoder.blocks == model.encoder.blocks
    assert again.encoder.settings() == model.encoder.settings()
    assert again.objective.vocabulary == model.objective.vocabulary
    assert again.objective.dropout.p == 0.3


def test_half_precision_halves_the_file_and_hardly_moves_the_frames(
    tiny: Callable[..., Encoder], synthetic: Manifest, recordings: Recordings, tmp_path: Path
) -> None:
    model, _ = Transfer().apply(tiny(), Ctc(Vocabulary(("a", "b"))))
    model.eval()
    save(model, tmp_path / "whole")
    save(model, tmp_path / "half", torch.float16)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.65 * sizes[0]
    assert {value.dtype for value in load_file(tmp_path / "half" / "model.safetensors").values()} == {torch.float16}
    again = load(tmp_path / "half")
    assert {value.dtype for value in again.state_dict().values()} == {torch.float32}
    wave = torch.from_numpy(recordings(synthetic[5]))[None]
    lengths = torch.tensor([wave.shape[1]])
    with torch.no_grad():
        expected, found = (one.encoder(wave, lengths).values for one in (model, again))
    assert not torch.equal(expected, found)
    assert torch.allclose(expected, found, atol=0.02)


def test_saving_leaves_the_model_as_it_was(tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    model, _ = Transfer().apply(tiny(), Ctc(Vocabulary(("a",))))
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    save(model, tmp_path, torch.float16)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.fixture
def folder(tiny: Callable[..., Encoder], tmp_path: Path) -> Path:
    """A good run folder."""
    model, _ = Transfer().apply(tiny(), Ctc(Vocabulary(("a", "b"))))
    save(model, tmp_path)
    load(tmp_path)
    return tmp_path


def changed(path: Path, **values: Any) -> None:
    write_json(path, {**read_json(path), **values})


ENCODER: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown family": lambda values: {**values, "family": "wavlm"},
    "a family that is no text": lambda values: {**values, "family": ["conformer"]},
    "no family": lambda values: {"settings": values["settings"], "card": values["card"]},
    "no card": lambda values: {**values, "card": None},
    "a card without id": lambda values: {**values, "card": {}},
    "a list": lambda values: [values],
    "an unknown size": lambda values: {**values, "settings": {**values["settings"], "depth": 3}},
    "a size that is no number": lambda values: {**values, "settings": {**values["settings"], "width": "wide"}},
    "an impossible size": lambda values: {**values, "settings": {**values["settings"], "kernel": 2}},
    "another size": lambda values: {**values, "settings": {**values["settings"], "width": 32}},
    "more layers": lambda values: {**values, "settings": {**values["settings"], "layers": 2}},
    "no settings": lambda values: {**values, "settings": None},
    "a broken front end": lambda values: {**values, "settings": {**values["settings"], "mel": {"n_mels": -1}}},
    "a Whisper that cannot be": lambda values: {
        **values,
        "family": "whisper",
        "settings": {"d_model": "x"},
    },
}
OBJECTIVE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown kind": lambda values: {**values, "kind": "masked"},
    "a kind that is no text": lambda values: {**values, "kind": ["ctc"]},
    "no kind": lambda values: {"vocabulary": values["vocabulary"]},
    "no vocabulary": lambda values: {"kind": "ctc", "dropout": 0.1},
    "a list": lambda values: [values],
    "unsorted characters": lambda values: {**values, "vocabulary": {**values["vocabulary"], "characters": ["b", "a"]}},
    "characters too many": lambda values: {
        **values,
        "vocabulary": {**values["vocabulary"], "characters": ["a", "b", "c"]},
    },
    "characters that are a number": lambda values: {**values, "vocabulary": {**values["vocabulary"], "characters": 7}},
    "a later contract": lambda values: {
        **values,
        "vocabulary": {**values["vocabulary"], "contract": {**values["vocabulary"]["contract"], "version": 99}},
    },
    "an impossible dropout": lambda values: {**values, "dropout": 5},
    "a dropout that is text": lambda values: {**values, "dropout": "much"},
}


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(pytest.param("encoder.json", damage, id=f"encoder: {name}") for name, damage in ENCODER.items()),
        *(pytest.param("objective.json", damage, id=f"objective: {name}") for name, damage in OBJECTIVE.items()),
    ],
)
def test_damaged_descriptions_are_named(folder: Path, file: str, damage: Callable[[Any], Any]) -> None:
    write_json(folder / file, damage(read_json(folder / file)))
    with pytest.raises(SourceError) as caught:
        load(folder)
    assert str(folder) in str(caught.value) or "family" in str(caught.value)


def test_an_unknown_family_lists_the_known(folder: Path) -> None:
    changed(folder / "encoder.json", family="wavlm")
    with pytest.raises(SourceError, match="'wavlm' is no encoder family; the families are conformer, whisper"):
        load(folder)


@pytest.mark.parametrize("file", ["encoder.json", "objective.json", "model.safetensors"])
@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, None])
def test_damaged_files_are_named(folder: Path, file: str, damage: bytes | None) -> None:
    if damage is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(damage)
    with pytest.raises(SourceError, match=file.replace(".", r"\.")):
        load(folder)


def test_weights_must_fit_exactly(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = load_file(path)
    missing = {name: value for name, value in tensors.items() if name != "objective.output.bias"}
    misshapen = {**tensors, "objective.output.bias": torch.zeros(9)}
    for wrong, named in (
        (missing, "missing: objective.output.bias"),
        ({**tensors, "objective.extra": torch.zeros(1)}, "unexpected: objective.extra"),
        (misshapen, r"objective.output.bias is \(9,\), expected \(3,\)"),
    ):
        save_file(wrong, path)
        with pytest.raises(SourceError, match=named):
            load(folder)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match="is damaged"):
        load(folder)


def test_what_is_no_folder_is_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no run folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(SourceError, match=r"encoder\.json does not describe an encoder"):
        build_encoder(None, "here")


def test_json_keeps_its_values_and_stays_readable(tmp_path: Path) -> None:
    values = {"б": [1, 2.5, None, True, "ё"], "x": {"y": 0.1 + 0.2}}
    write_json(tmp_path / "v.json", values)
    assert read_json(tmp_path / "v.json") == values
    assert "ё" in (tmp_path / "v.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "v.json").read_text())["x"]["y"] == 0.1 + 0.2


def test_cards_round_trip() -> None:
    assert SourceCard.from_dict(json.loads(json.dumps(CARD.as_dict()))) == CARD
    assert SourceCard.from_dict({"id": "x"}) == SourceCard("x") != replace(CARD, id="x")
