"""Tests of Parakeet: checkpoints that transformers saved load strictly and give what transformers gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from families import PARAKEET, build, noise, settled
from safetensors.torch import load_file, save_file
from transformers import ParakeetCTCConfig, ParakeetEncoderConfig, ParakeetFeatureExtractor, ParakeetTDTConfig
from transformers.models.parakeet.modeling_parakeet import ParakeetEncoder, ParakeetForCTC, ParakeetForTDT

from speechtransfer.errors import SourceError
from speechtransfer.sources import load_encoder


def saved(folder: Path, kind: str = "ctc") -> Any:
    torch.manual_seed(3)
    encoder = ParakeetEncoderConfig(**PARAKEET)
    model: Any
    if kind == "encoder":
        model = ParakeetEncoder(encoder)
    elif kind == "tdt":
        small = {"vocab_size": 9, "blank_token_id": 8, "decoder_hidden_size": 8, "num_decoder_layers": 1}
        model = ParakeetForTDT(ParakeetTDTConfig(encoder_config=encoder, **small))
    else:
        model = ParakeetForCTC(ParakeetCTCConfig(encoder_config=encoder, vocab_size=5, pad_token_id=4))
    settled(model).save_pretrained(folder)  # type: ignore[operator]
    return model


@pytest.mark.parametrize("kind", ["ctc", "encoder", "tdt"])
@torch.inference_mode()
def test_checkpoints_are_transformers(kind: str, tmp_path: Path) -> None:
    model = saved(tmp_path, kind)
    encoder = load_encoder(tmp_path).eval()
    assert (encoder.family, encoder.width, encoder.blocks[-1]) == ("parakeet", 16, "layer2")
    assert encoder.period == 0.08
    wave, lengths = noise(16000, 9001)
    found = encoder(wave, lengths)
    extract = ParakeetFeatureExtractor(24)
    items = [item[:length].numpy() for item, length in zip(wave, lengths.tolist(), strict=True)]
    inputs = extract(items, sampling_rate=16000, return_tensors="pt")
    theirs = model if kind == "encoder" else model.encoder
    expected = theirs(inputs.input_features, attention_mask=inputs.attention_mask)
    assert found.lengths.tolist() == expected.attention_mask.sum(1).tolist()
    for item, frames in enumerate(found.lengths.tolist()):
        torch.testing.assert_close(
            found.values[item, :frames], expected.last_hidden_state[item, :frames], rtol=1e-4, atol=1e-4
        )
    # Given equal features the rest is the same to rounding: the tolerance above is the features'.
    features, frames = encoder.mel(wave, lengths, lambda values, _: values)  # type: ignore[operator]
    mask = torch.arange(features.shape[1]) < frames[:, None]
    again = theirs(features, attention_mask=mask).last_hidden_state
    for item, count in enumerate(found.lengths.tolist()):
        torch.testing.assert_close(found.values[item, :count], again[item, :count], rtol=1e-5, atol=1e-5)
    assert (encoder.donor is None) == (kind != "ctc")


def test_the_convolution_that_is_a_head_becomes_a_donor(tmp_path: Path) -> None:
    model = saved(tmp_path)
    donor = load_encoder(tmp_path).donor
    assert donor is not None
    assert donor.labels is None
    assert torch.equal(donor.weight, model.ctc_head.weight[..., 0])
    assert torch.equal(donor.bias, model.ctc_head.bias)
    pieces = {"<unk>": 0, "▁a": 1, "b": 2, "▁": 3}
    tokenizer = {"model": {"type": "BPE", "vocab": pieces}, "added_tokens": [{"id": 4, "content": "<pad>"}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    donor = load_encoder(tmp_path).donor
    assert donor is not None
    assert donor.labels == ("<unk>", "▁a", "b", "▁", "<pad>")


def test_features_are_as_the_preprocessor_says(tmp_path: Path) -> None:
    saved(tmp_path)
    ParakeetFeatureExtractor(24, hop_length=80, win_length=200).save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path)
    assert encoder.period == 0.04
    assert encoder.frame_lengths(torch.tensor([16000])).tolist() == [25]
    assert encoder.settings()["preprocessor"] == {
        "sampling_rate": 16000,
        "hop_length": 80,
        "n_fft": 512,
        "win_length": 200,
        "preemphasis": 0.97,
    }


def test_every_key_is_accounted_for(tmp_path: Path) -> None:
    saved(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.subsampling.linear.bias"]
    save_file({**tensors, "encoder.layers.3.norm_out.bias": torch.zeros(16)}, path)
    with pytest.raises(SourceError) as caught:
        load_encoder(tmp_path)
    assert "missing: subsampling.linear.bias; unexpected: encoder.layers.3.norm_out.bias" in str(caught.value)


def test_layers_are_not_dropped_in_training() -> None:
    encoder = build("parakeet")
    encoder.config.layerdrop = 1.0  # type: ignore[union-attr]
    wave, lengths = noise(9000)
    values = encoder.train()(wave, lengths).values
    values.sum().backward()
    assert all(value.grad is not None for value in encoder.parameters())
