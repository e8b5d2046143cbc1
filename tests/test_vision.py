"""Tests of the networks of pictures: as transformers computes them, from torchvision's keys, strictly."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from families import noise, settled
from safetensors.torch import save_file
from torch import Tensor
from transformers import MobileNetV2Config, MobileNetV2Model, ResNetConfig, ResNetModel

from speechtransfer.encoders.vision import Backbone, Vision
from speechtransfer.errors import PlanError, SettingsError, SourceError
from speechtransfer.objectives import Classify, Ctc
from speechtransfer.offers import offers
from speechtransfer.sources import load_encoder
from speechtransfer.transfer import Rule, Transfer, set_live
from speechtransfer.vocabulary import Vocabulary

#: Parameters of torchvision's models with their thousand classes, as its documentation has them.
SIZES: Mapping[Backbone, int] = {"resnet18": 11_689_512, "mobilenet_v2": 3_504_872}
each = pytest.mark.parametrize("backbone", SIZES)


def tiny(backbone: Backbone = "resnet18") -> Vision:
    """Small, but MobileNetV2's first stage as of full size without a shortcut, which transformers never gives it."""
    torch.manual_seed(4)
    return settled(Vision(backbone, 32, 1 / 16 if backbone == "resnet18" else 0.5))  # type: ignore[return-value]


def state_dict(encoder: Vision, classes: int = 5) -> dict[str, Tensor]:
    """What torchvision would have saved: the encoder's values under its keys, and an output layer."""
    state = {encoder.key(name): value for name, value in encoder.state_dict().items()}
    head = {f"{encoder.head}.weight": torch.randn(classes, encoder.width), f"{encoder.head}.bias": torch.randn(classes)}
    return {**state, **head}


def resnet(encoder: Vision) -> ResNetModel:
    """transformers' own ResNet with the weights of ours."""
    widths = [channels for channels, _ in encoder.shapes[2:]]
    config = ResNetConfig(embedding_size=widths[0], hidden_sizes=widths, depths=[2, 2, 2, 2], layer_type="basic")
    state = {}
    for name, value in state_dict(encoder).items():
        parts = name.split(".")
        if parts[0] in ("conv1", "bn1"):
            place = f"embedder.embedder.{'convolution' if parts[0] == 'conv1' else 'normalization'}"
        elif parts[0].startswith("layer"):
            inner = "shortcut" if parts[2] == "downsample" else f"layer.{int(parts[2][-1]) - 1}"
            convolution = parts[2].startswith("conv") or parts[2:4] == ["downsample", "0"]
            kind = "convolution" if convolution else "normalization"
            place = f"encoder.stages.{int(parts[0][-1]) - 1}.layers.{parts[1]}.{inner}.{kind}"
        else:
            continue
        state[f"{place}.{parts[-1]}"] = value
    model = ResNetModel(config)
    model.load_state_dict(state, strict=True)
    return model.eval()


def mobilenet(encoder: Vision) -> MobileNetV2Model:
    """transformers' own MobileNetV2 with the weights of ours, which stand in the same order."""
    config = MobileNetV2Config(depth_multiplier=encoder.scale, min_depth=8, tf_padding=False, layer_norm_eps=1e-5)
    model = MobileNetV2Model(config, add_pooling_layer=False)
    names, values = model.state_dict().keys(), encoder.layers.state_dict().values()
    model.load_state_dict(dict(zip(names, values, strict=True)), strict=True)
    return model.eval()


THEIRS: Mapping[Backbone, Callable[[Vision], torch.nn.Module]] = {"resnet18": resnet, "mobilenet_v2": mobilenet}


@each
@torch.inference_mode()
def test_frames_are_those_of_transformers(backbone: Backbone) -> None:
    encoder = tiny(backbone)
    theirs = THEIRS[backbone](encoder)
    wave, lengths = noise(40_000, 9_000)
    frames = encoder(wave, lengths)
    assert frames.lengths.tolist() == [8, 2]
    for item, (samples, count) in enumerate(zip(lengths.tolist(), frames.lengths.tolist(), strict=True)):
        mel, _ = encoder.mel(wave[item : item + 1, :samples], lengths[item : item + 1])
        picture = ((mel + 5.0) / 4.5).mT[:, None].repeat(1, 3, 1, 1)
        expected = theirs(picture).last_hidden_state.mean(2)[0].T
        torch.testing.assert_close(frames.values[item, :count], expected, rtol=1e-4, atol=1e-4)


@each
def test_it_is_of_the_size_that_torchvision_has(backbone: Backbone) -> None:
    encoder = Vision(backbone)
    assert sum(value.numel() for value in encoder.parameters()) + 1000 * encoder.width + 1000 == SIZES[backbone]
    assert encoder.period == pytest.approx(0.32)
    assert (encoder.width, encoder.head) == ((512, "fc") if backbone == "resnet18" else (1280, "classifier.1"))


@each
@torch.inference_mode()
def test_torchvisions_keys_load_by_folder_and_by_file(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, (wave, lengths) = tiny(backbone), noise(8000, 3111)
    state = state_dict(encoder)
    assert ("layer2.0.downsample.1.running_var" if backbone == "resnet18" else "features.18.1.running_var") in state
    # What torch saved before it counted batches has no counts.
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    (tmp_path / "net").mkdir()
    torch.save(state, tmp_path / "net" / "pretrained_weights.pth")
    torch.save(old, tmp_path / "old.pth")
    save_file(state, tmp_path / "net.safetensors")
    monkeypatch.setenv("SPEECHTRANSFER_SOURCES", str(tmp_path))
    assert {one.name: one.family for one in offers()}["net"] == "vision"
    for name in ("net", tmp_path / "old.pth", tmp_path / "net.safetensors"):
        loaded = load_encoder(name).eval()
        assert isinstance(loaded, Vision)
        assert loaded.settings() == {**encoder.settings(), "bands": 64}
        for key, value in encoder.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value) or key.endswith("num_batches_tracked")
        assert loaded.donor is not None
        assert torch.equal(loaded.donor.weight, state[f"{encoder.head}.weight"])
        assert loaded.donor.labels is None
        assert torch.isfinite(loaded(wave, lengths).values).all()
    with pytest.raises(PlanError, match="no labels"):
        Transfer().apply(loaded, Classify(("no", "yes")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bn1.bias": None}, r"missing: bn1\.bias"),
        ({"conv1.weight": None}, r"missing: conv1\.weight"),
        ({"layer1.2.conv1.weight": torch.zeros(4, 4, 3, 3)}, r"unexpected: layer1\.2\.conv1\.weight"),
        ({"conv1.weight": torch.zeros(4, 1, 7, 7)}, r"conv1\.weight is \(4, 1, 7, 7\), expected \(4, 3, 7, 7\)"),
        ({"bn1.running_mean": torch.zeros(3)}, r"of another shape: bn1\.running_mean"),
        ({"fc.weight": torch.zeros(5, 31)}, r"the output layer fc is \(5, 31\) with 5 biases"),
    ],
)
def test_every_key_is_accounted_for(tmp_path: Path, change: dict[str, Tensor | None], message: str) -> None:
    path, state = tmp_path / "net.pth", {**state_dict(tiny()), **change}
    torch.save({key: value for key, value in state.items() if value is not None}, path)
    with pytest.raises(SourceError, match=message) as caught:
        load_encoder(path)
    assert str(path) in str(caught.value)


def test_a_state_dict_of_no_family_is_told_what_there_is(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "alexnet.pth")
    with pytest.raises(SourceError, match=r"alexnet\.pth: is no state dict.*dnn, 0\.weight.*cnn, fc1.*vision, bn1"):
        load_encoder(tmp_path / "alexnet.pth")


@each
def test_frozen_blocks_keep_their_statistics_and_live_ones_learn(backbone: Backbone) -> None:
    encoder, (wave, lengths) = tiny(backbone), noise(16_000, 12_000)
    frozen, last = ("layer0", "layer1"), encoder.blocks[-1]
    rules = (Rule(encoder.pattern(*frozen), scale=0), Rule(r".*"))
    model, plan = Transfer(rules, graft="fresh").apply(encoder, Classify(("no", "yes")))
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    set_live(model, plan, 0)
    model.encoder(wave, lengths).values.square().sum().backward()
    torch.optim.Adam((value for value in model.parameters() if value.grad is not None), lr=1e-2).step()
    after = model.encoder.state_dict()
    moved = {model.encoder.block_of(name) for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == set(encoder.blocks[3:])
    counted = {name for name in after if re.search(rf"layers\.{last[5:]}\..*(running|tracked)", name)}
    assert counted
    assert all(not torch.equal(after[name], before[name]) for name in counted)


def test_intermediate_frames_keep_their_bands() -> None:
    encoder = tiny()
    assert [encoder.cut(name).width for name in encoder.blocks] == [32, 4 * 8, 4 * 8, 8 * 4, 16 * 2, 32]
    periods = [encoder.cut(name).period for name in encoder.blocks]
    assert periods == pytest.approx([0.01, 0.04, 0.04, 0.08, 0.16, 0.32])
    vocabulary = Vocabulary(("a", "b"))
    with pytest.raises(PlanError, match="too coarse"):
        Transfer().apply(encoder, Ctc(vocabulary))
    _, plan = Transfer(cut="layer2").apply(encoder, Ctc(vocabulary))
    assert plan.trainable > 0


def test_settings_that_cannot_be_built_are_refused() -> None:
    wrong = ({"backbone": "vgg"}, {"bands": 0}, {"scale": 0.0}, {"layers": 6}, {"layers": -1})
    for values in wrong:
        with pytest.raises(SettingsError):
            Vision(**values)  # type: ignore[arg-type]
