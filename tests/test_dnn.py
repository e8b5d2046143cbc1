"""Tests of the founding document's network: a plain state dict is a source, and its output layer a donor."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from families import noise
from safetensors.torch import save_file
from torch import Tensor, nn

from speechtransfer.encoders.dnn import Dnn
from speechtransfer.errors import PlanError, SettingsError, SourceError
from speechtransfer.objectives import Ctc
from speechtransfer.sources import find_source, load_encoder
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary
from speechtransfer.weights import sha256


def founding(mels: int = 80, first: int = 128, second: int = 64, classes: int = 10) -> nn.Sequential:
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Linear(mels, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, classes)
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    torch.save(founding().state_dict(), folder / "pretrained_weights.pth")
    return folder


@torch.inference_mode()
def test_a_state_dict_is_found_by_folder_and_by_file(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, tensors = source / "pretrained_weights.pth", source / "net.safetensors"
    save_file(founding().state_dict(), tensors)
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert find_source("source") == Path("source")
    monkeypatch.chdir(source)
    assert find_source("source") == source
    assert find_source("net.safetensors") == Path("net.safetensors")
    wave, lengths = noise(8000, 3111)
    for name in ("source", source, path, tensors):
        encoder = load_encoder(name)
        assert (encoder.family, encoder.width, encoder.period) == ("dnn", 64, 0.01)
        assert encoder.blocks == ("frontend", "layer0", "layer1")
        assert encoder.card.id == str(name)
        assert encoder.card.sha256 == sha256(tensors if name == tensors else path)
        net = founding()
        mel, _ = encoder.mel(wave, lengths)  # type: ignore[operator]
        assert mel.shape == (2, 50, 80)
        assert torch.equal(encoder(wave, lengths).values, net[:4](mel))
        assert encoder.donor is not None
        assert torch.equal(encoder.donor.weight, net[4].weight)
        assert torch.equal(encoder.donor.bias, net[4].bias)
        assert (encoder.donor.labels, encoder.donor.contract) == (None, None)


def test_its_output_layer_is_replaced_row_by_row_or_whole(source: Path) -> None:
    encoder, vocabulary = load_encoder(source), Vocabulary(("a", "b"))
    with pytest.raises(PlanError, match="no labels"):
        Transfer().apply(encoder, Ctc(vocabulary))
    model, plan = Transfer(graft={"a": 7, "": 9}).apply(encoder, Ctc(vocabulary))
    assert plan.shared_labels == ("", "a")
    assert torch.equal(model.objective.heads["output"].weight[:2], founding()[4].weight[[9, 7]])
    _, plan = Transfer(graft="fresh").apply(encoder, Ctc(vocabulary))
    assert plan.shared_labels == ()


def test_other_sizes_are_those_of_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    torch.save(founding(40, 24, 12, 3).state_dict(), path)
    encoder = load_encoder(path)
    assert (encoder.width, encoder.settings()) == (12, {"mels": 40, "hidden": [24, 12]})
    cut = encoder.cut("layer0")
    assert (cut.width, cut.settings()) == (24, {"mels": 40, "hidden": [24]})
    assert (encoder.cut("frontend").width, encoder.width) == (40, 12)
    assert load_encoder("random:dnn").settings() == {"mels": 80, "hidden": [128, 64]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"2.bias": None}, r"missing: 2\.bias"),
        ({"0.weight": None}, r"missing: 0\.weight"),
        ({"6.weight": torch.zeros(2, 2)}, r"unexpected: 6\.weight"),
        ({"2.weight": torch.zeros(64, 127)}, r"of another shape: 2\.weight is \(64, 127\), expected \(64, 128\)"),
        ({"4.weight": torch.zeros(10, 63)}, r"the output layer 4 is \(10, 63\) with 10 biases"),
        ({"4.weight": torch.zeros(10)}, r"the output layer 4 is \(10,\) with 10 biases"),
        ({"4.bias": torch.zeros(9)}, r"the output layer 4 is \(10, 64\) with 9 biases"),
        ({"0.weight": torch.zeros(128)}, r"of another shape: 0\.weight"),
    ],
)
def test_every_key_is_accounted_for(source: Path, change: dict[str, Tensor | None], message: str) -> None:
    state = {**founding().state_dict(), **change}
    path = source / "pretrained_weights.pth"
    torch.save({key: value for key, value in state.items() if value is not None}, path)
    with pytest.raises(SourceError, match=message) as caught:
        load_encoder(source)
    assert str(path) in str(caught.value)


def test_weights_of_something_else_are_told_from_a_dnn(tmp_path: Path) -> None:
    save_file({"encoder.layers.0.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(SourceError, match=r"is no state dict of a family.*dnn, 0\.weight.*give the folder"):
        load_encoder(tmp_path / "model.safetensors")


def test_a_pickle_of_objects_is_not_opened(source: Path) -> None:
    torch.save(founding(), source / "pretrained_weights.pth")
    with pytest.raises(SourceError, match="damaged or holds more than tensors"):
        load_encoder(source)


def test_sizes_that_cannot_be_built_are_refused() -> None:
    for mels, hidden in ((0, (4, 4)), (80, (0, 4)), (80, (4, 4, 4))):
        with pytest.raises(SettingsError, match="dnn"):
            Dnn(mels, hidden)
