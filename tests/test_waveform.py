"""Tests of wav2vec2 and its kin: checkpoints that transformers saved load strictly and give what transformers gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from families import CARD, FAMILIES, WAVEFORM, noise, settled, waveform
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCTC,
    AutoModelForPreTraining,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2FeatureExtractor,
)

from speechtransfer.encoders.waveform import Waveform
from speechtransfer.errors import PlanError, SourceError
from speechtransfer.sources import load_encoder

#: Those with a norm after the layers, and those whose padding is not harmless.
NORM_LAST = {"wav2vec2", "mms", "hubert_batch", "wavlm", "unispeech", "conformer_relative", "conformer_rotary"}
INEXACT = {"wav2vec2_group", "wavlm_group", "hubert_batch", "conformer_relative", "conformer_rotary"}
every = pytest.mark.parametrize("name", sorted(WAVEFORM))
HEADS = {"model": AutoModel, "ctc": AutoModelForCTC, "pretraining": AutoModelForPreTraining}
EXTRA = {"vocab_size": 7, "codevector_dim": 8, "proj_codevector_dim": 8, "num_codevectors_per_group": 4}


def saved(folder: Path, name: str, head: str, **values: Any) -> Any:
    """A checkpoint as transformers writes it; gives the model."""
    torch.manual_seed(3)
    values = {**WAVEFORM[name], **EXTRA, **values}
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    model = settled(HEADS[head].from_config(config))
    model.save_pretrained(folder)  # type: ignore[operator]
    return model


def theirs(model: Any, wave: Tensor) -> Tensor:
    """What transformers gives for one item (1, S): its own features, its own forward."""
    base = getattr(model, model.base_model_prefix, model)
    bert = base.config.model_type == "wav2vec2-bert"
    extract = SeamlessM4TFeatureExtractor() if bert else Wav2Vec2FeatureExtractor()
    found = extract(wave[0].numpy(), sampling_rate=16000, return_tensors="pt")
    if bert:
        return base(found.input_features, attention_mask=found.attention_mask).last_hidden_state
    return base(found.input_values).last_hidden_state


@every
@torch.inference_mode()
def test_checkpoints_with_a_ctc_head_are_transformers(name: str, tmp_path: Path) -> None:
    model = saved(tmp_path, name, "ctc")
    encoder = load_encoder(tmp_path).eval()
    assert (encoder.family, encoder.width, encoder.card.languages) == ("waveform", 16, ())
    wave, samples = 0.1 * torch.randn(1, 9600, generator=torch.Generator().manual_seed(1)) + 0.02, torch.tensor([9600])
    found, expected = encoder(wave, samples), theirs(model, wave)
    # SEW's groups leave over a frame of 75, which transformers fills with zeros.
    frames = found.values.shape[1]
    assert expected.shape[1] - frames == name.startswith("sew")
    assert not expected[:, frames:].any()
    close = 1e-4 if name.startswith("w2v_bert") else 2e-5  # the filterbank's, 1e-5 given equal features
    torch.testing.assert_close(found.values, expected[:, :frames], rtol=1e-5, atol=close)
    if name.startswith("w2v_bert"):
        features, _ = encoder.frontend.fbank(wave, samples, lambda values, _: values)  # type: ignore[union-attr, operator]
        again = model.wav2vec2_bert(features).last_hidden_state
        torch.testing.assert_close(found.values, again, rtol=1e-5, atol=1e-5)
    assert encoder.donor is not None
    assert torch.equal(encoder.donor.weight, model.lm_head.weight)
    assert torch.equal(encoder.donor.bias, model.lm_head.bias)
    assert encoder.donor.labels is None
    last = "norm" if name in NORM_LAST else "upsample" if name.startswith("sew") else None
    assert encoder.blocks == ("frontend", "layer0", "layer1", "layer2", *([last] if last else []))


@pytest.mark.parametrize(
    ("name", "head"),
    [
        *((name, "model") for name in ("wav2vec2", "unispeech_sat", "sew_d", "w2v_bert")),
        *((name, "pretraining") for name in ("wav2vec2", "unispeech", "unispeech_sat", "conformer_rotary")),
    ],
)
@torch.inference_mode()
def test_checkpoints_without_one_have_no_donor(name: str, head: str, tmp_path: Path) -> None:
    model = saved(tmp_path, name, head)
    keys = load_file(tmp_path / "model.safetensors").keys()
    assert any("quantizer" in key for key in keys) == (head == "pretraining")
    encoder = load_encoder(tmp_path).eval()
    assert encoder.donor is None
    wave = 0.1 * torch.randn(1, 7000, generator=torch.Generator().manual_seed(1))
    found, expected = encoder(wave, torch.tensor([7000])).values, theirs(model, wave)
    torch.testing.assert_close(found, expected[:, : found.shape[1]], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", sorted(set(WAVEFORM) - set(FAMILIES)))
@torch.inference_mode()
def test_every_block_can_be_the_first_to_run(name: str) -> None:
    torch.manual_seed(4)
    encoder = waveform(name)
    wave, lengths = noise(5000, 3111)
    whole = encoder.run(wave, lengths, taps=encoder.blocks)
    for block, following in zip(encoder.blocks, encoder.blocks[1:], strict=False):
        part = encoder.run(wave, lengths, stop=block)
        assert torch.equal(part.values, whole.taps[block])
        assert torch.equal(encoder.run(part.values, part.lengths, start=following).values, whole.values)
        cut = encoder.cut(block)
        assert torch.equal(cut(wave, lengths).values, part.values)
        rebuilt = Waveform.from_settings(json.loads(json.dumps(cut.settings())), cut.card).eval()
        rebuilt.load_state_dict(cut.state_dict())
        assert torch.equal(rebuilt(wave, lengths).values, part.values)
        assert (rebuilt.blocks, rebuilt.pads_exactly, rebuilt.period) == (cut.blocks, cut.pads_exactly, cut.period)


@every
@torch.inference_mode()
def test_padding_is_harmless_where_the_encoder_says_so(name: str) -> None:
    torch.manual_seed(4)
    encoder = waveform(name)
    assert encoder.pads_exactly == (name not in INEXACT)
    wave, lengths = noise(9000, 4001, 6400)
    batch = encoder(wave, lengths)
    apart = 0.0
    for item, count in enumerate(lengths.tolist()):
        single = encoder(wave[item : item + 1, :count], lengths[item : item + 1])
        valid = int(single.lengths[0])
        apart = max(apart, float((batch.values[item, :valid] - single.values[0, :valid]).abs().max()))
    assert apart < 1e-4 if encoder.pads_exactly else apart > 1e-3
    together, equal = noise(5000, 5000)
    pair = encoder(together, equal).values
    torch.testing.assert_close(pair[:1], encoder(together[:1], equal[:1]).values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["wav2vec2", "hubert", "unispeech", "w2v_bert"])
@torch.inference_mode()
def test_padded_batches_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    model = saved(tmp_path, name, "model")
    encoder = load_encoder(tmp_path).eval()
    wave, lengths = noise(9000, 4001)
    items = [item[:length].numpy() for item, length in zip(wave, lengths.tolist(), strict=True)]
    extract: Any = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    if name == "w2v_bert":
        extract = SeamlessM4TFeatureExtractor()
    expected = model(**extract(items, sampling_rate=16000, padding=True, return_tensors="pt")).last_hidden_state
    found = encoder(wave, lengths)
    for item, frames in enumerate(found.lengths.tolist()):
        torch.testing.assert_close(found.values[item, :frames], expected[item, :frames], rtol=1e-5, atol=1e-4)


@torch.inference_mode()
def test_the_wave_is_normalised_as_the_preprocessor_says(tmp_path: Path) -> None:
    saved(tmp_path, "wav2vec2", "model")
    wave, lengths = noise(5000)
    wave = 3.0 * wave + 0.5

    def heard(encoder: Any, sound: Tensor) -> Tensor:
        return encoder.eval()(sound, lengths).values

    plain = load_encoder(tmp_path)  # says nothing: normalised
    torch.testing.assert_close(heard(plain, wave), heard(plain, 0.1 * wave - 0.3), rtol=1e-4, atol=1e-4)
    for file, content in (
        ("processor_config.json", {"feature_extractor": {"do_normalize": False, "sampling_rate": 16000}}),
        ("preprocessor_config.json", {"do_normalize": False}),
    ):
        (tmp_path / file).write_text(json.dumps(content))
        raw = load_encoder(tmp_path)
        assert raw.settings()["preprocessor"] == content.get("feature_extractor", content)
        assert not torch.allclose(heard(raw, wave), heard(raw, 0.1 * wave - 0.3), rtol=1e-2, atol=1e-2)
        normal = torch.from_numpy(Wav2Vec2FeatureExtractor()(wave[0].numpy(), sampling_rate=16000).input_values[0])
        torch.testing.assert_close(heard(raw, normal[None]), heard(plain, wave), rtol=1e-4, atol=1e-4)
        (tmp_path / file).unlink()
    (tmp_path / "preprocessor_config.json").write_text("[]")
    with pytest.raises(SourceError, match=r"preprocessor_config\.json: is not a JSON object"):
        load_encoder(tmp_path)


def test_positions_with_weight_norm_load_under_both_of_its_names(tmp_path: Path) -> None:
    saved(tmp_path, "wav2vec2", "ctc")
    expected, path = load_encoder(tmp_path).state_dict(), tmp_path / "model.safetensors"
    tensors, new = load_file(path), ".parametrizations.weight.original"
    forms: list[dict[str, Tensor]] = [{}, {}]
    for key, value in tensors.items():
        bare = key.replace(".weight_g", f"{new}0").replace(".weight_v", f"{new}1")
        forms[0][bare] = value
        forms[1][bare.replace(f"{new}0", ".weight_g").replace(f"{new}1", ".weight_v")] = value
    assert len(forms[0].keys() - forms[1].keys()) == 2
    for form in forms:
        save_file(form, path)
        assert all(torch.equal(value, expected[key]) for key, value in load_encoder(tmp_path).state_dict().items())
    save_file({**forms[0], **{key: value.clone() for key, value in forms[1].items()}}, path)
    with pytest.raises(SourceError, match=r"unexpected: .*weight_g"):
        load_encoder(tmp_path)


@pytest.mark.parametrize("name", ["wav2vec2", "w2v_bert"])
@torch.inference_mode()
def test_a_subsampling_adapter_is_left_out_and_its_head_with_it(name: str, tmp_path: Path) -> None:
    extra = {"use_intermediate_ffn_before_adapter": True} if name == "w2v_bert" else {}
    model = saved(tmp_path, name, "ctc", add_adapter=True, num_adapter_layers=1, **extra)
    encoder = load_encoder(tmp_path).eval()
    assert encoder.donor is None
    base = getattr(model, model.base_model_prefix)
    base.adapter = base.intermediate_ffn = None
    wave = 0.1 * torch.randn(1, 7000, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(encoder(wave, torch.tensor([7000])).values, theirs(model, wave), rtol=1e-5, atol=2e-5)


def test_keys_are_named_as_the_checkpoint_has_them(tmp_path: Path) -> None:
    saved(tmp_path, "wavlm", "ctc")
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    del tensors["wavlm.encoder.layers.0.attention.rel_attn_embed.weight"]
    tensors["wavlm.encoder.layers.7.layer_norm.weight"] = torch.zeros(16)
    save_file(tensors, path)
    with pytest.raises(SourceError) as caught:
        load_encoder(tmp_path)
    assert "missing: encoder.layers.0.attention.rel_attn_embed.weight" in str(caught.value)
    assert "unexpected: wavlm.encoder.layers.7.layer_norm.weight" in str(caught.value)


@pytest.mark.parametrize("name", ["sew", "sew_d"])
@torch.inference_mode()
def test_sew_hears_half_the_frames_between_its_ends(name: str) -> None:
    encoder = waveform(name)
    wave, lengths = noise(5000, 3111)
    whole, inside = encoder(wave, lengths), encoder.run(wave, lengths, stop="layer1")
    assert (whole.lengths == 2 * inside.lengths).all()
    assert inside.period == pytest.approx(2 * whole.period) == pytest.approx(0.016)
    cut = encoder.cut("layer1")
    assert cut.period == inside.period == cut(wave, lengths).period
    assert torch.equal(cut.frame_lengths(lengths), inside.lengths)
    assert encoder.period == whole.period


@pytest.mark.parametrize("name", sorted({*FAMILIES, "conformer_rotary", "conformer_relative"} & WAVEFORM.keys()))
def test_nothing_is_random_and_nothing_is_left_over(name: str) -> None:
    torch.manual_seed(4)
    drops = dict.fromkeys(("layerdrop", "mask_time_prob", "mask_feature_prob"), 0.9)
    encoder = settled(Waveform.from_settings({**WAVEFORM[name], **drops, "conformer_conv_dropout": 0.0}, CARD))
    wave, lengths = noise(4000, 3000)
    with torch.inference_mode():
        expected = encoder(wave, lengths).values.clone()  # type: ignore[operator]
    encoder.train()
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()
    values = encoder(wave, lengths).values  # type: ignore[operator]
    torch.testing.assert_close(values, expected, rtol=1e-5, atol=1e-5)
    values.sum().backward()  # what inference left over cannot be learnt through
    assert all(value.grad is not None for value in encoder.parameters())


def test_dropout_is_the_checkpoints_own() -> None:
    encoder = Waveform.from_settings({**WAVEFORM["wavlm"], "attention_dropout": 0.5}, CARD).train()
    wave, lengths = noise(4000)
    assert not torch.equal(encoder(wave, lengths).values, encoder(wave, lengths).values)
    encoder.eval()
    assert torch.equal(encoder(wave, lengths).values, encoder(wave, lengths).values)


def test_augmentation_of_cached_frames_is_refused() -> None:
    encoder = waveform("mms")
    front = encoder.run(*noise(4000), stop="frontend")
    with encoder.augmented(lambda features, lengths: features), pytest.raises(PlanError, match="past augmentation"):
        encoder.run(front.values, front.lengths, start="layer0")
