"""Tests of the Whisper encoder: it is transformers', at each clip's own length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from families import build, noise, whisper
from torch import Tensor
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speechtransfer.audio import read
from speechtransfer.encoders.whisper import Whisper
from speechtransfer.sources import load_encoder
from speechtransfer.weights import read_tensors

SHARED = Path(__file__).parents[2] / "shared"


def transformers_twin(ours: Whisper, config: WhisperConfig) -> WhisperEncoder:
    config._attn_implementation = "eager"  # written out, where ours is the fused one
    theirs = WhisperEncoder(config).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs


@torch.inference_mode()
def test_whisper_equals_transformers_on_thirty_seconds() -> None:
    ours = build("whisper")
    theirs = transformers_twin(ours, WhisperConfig(**ours.settings()))
    wave, _ = noise(480000)
    wave[:, -400:] = 0.0  # past the end transformers mirrors the sound; Whisper, and we, hear silence
    features = WhisperFeatureExtractor()(wave[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    expected = theirs(features).last_hidden_state
    found = ours(wave, torch.tensor([480000]))
    assert found.lengths.tolist() == [1500]
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("positions", "samples", "windows"),
    [(1500, 640000, [1000, 1000]), (20, 13120, [14, 14, 13]), (20, 12800, [20, 20]), (20, 6400, [20])],
)
@torch.inference_mode()
def test_whisper_attends_long_sound_in_equal_windows(positions: int, samples: int, windows: list[int]) -> None:
    torch.manual_seed(2)
    ours = whisper(positions).eval()
    theirs = transformers_twin(ours, WhisperConfig(**ours.settings()))
    wave, lengths = noise(samples)
    wave = wave * torch.linspace(0.2, 3.0, samples)
    found = ours.run(wave, lengths, taps=("frontend",))
    assert found.lengths.tolist() == [sum(windows)] == [found.values.shape[1]]
    mel = ours.mel(wave, lengths)[0].transpose(1, 2)
    hidden = torch.nn.functional.gelu(theirs.conv2(torch.nn.functional.gelu(theirs.conv1(mel)))).transpose(1, 2)
    table = theirs.embed_positions.weight
    outputs = []
    for part in hidden.split(windows, dim=1):
        part = part + table[: part.shape[1]]  # positions count from the start of each window
        for layer in theirs.layers:
            part = layer(part, None)
        outputs.append(theirs.layer_norm(part))
    torch.testing.assert_close(found.values, torch.cat(outputs, dim=1), rtol=1e-4, atol=1e-4)


def correlation(ours: Tensor, theirs: Tensor) -> float:
    size = min(len(ours), len(theirs))
    return float(torch.corrcoef(torch.stack([ours[:size].flatten(), theirs[:size].flatten()]))[0, 1])


@pytest.mark.shared
@torch.inference_mode()
def test_real_whisper_without_padding_hears_what_transformers_hears_with_it() -> None:
    """The same network exactly; without 30 s of silence to attend to, the same content.

    Measured on six digits (0.2 to 0.6 s; four of them are asked here): 0.62 to 0.85 with transformers' frames
    of the same recording, at most 0.49 with those of another; on 5 s of digits 0.975, on 29 s 0.997.
    """
    folder = SHARED / "sources" / "whisper-tiny.en-encoder"
    ours = load_encoder(folder).eval()
    assert (type(ours), ours.blocks[-2], len(ours.card.sha256 or "")) == (Whisper, "layer3", 64)
    theirs = WhisperEncoder(WhisperConfig.from_pretrained(folder)).eval()
    tensors = read_tensors(folder / "model.safetensors")
    theirs.load_state_dict({key.removeprefix("model.encoder."): value for key, value in tensors.items()})
    extract = WhisperFeatureExtractor.from_pretrained(folder)
    names = ("0/jackson_00", "3/theo_10", "5/george_20", "1/lucas_07")
    waves = [read(SHARED / "corpora" / "digits_en" / f"{name}.wav", 16000) for name in names]

    def padded(wave: np.ndarray) -> Tensor:
        return theirs(extract(wave, sampling_rate=16000, return_tensors="pt").input_features).last_hidden_state[0]

    def unpadded(wave: np.ndarray) -> Tensor:
        return ours(torch.from_numpy(wave)[None], torch.tensor([len(wave)])).values[0]

    silent = np.pad(waves[0], (0, 480000 - len(waves[0])))
    torch.testing.assert_close(unpadded(silent), padded(waves[0]), rtol=1e-3, atol=1e-3)
    apart, together = [unpadded(wave) for wave in waves], [padded(wave) for wave in waves]
    table = [[correlation(one, other) for other in together] for one in apart]
    for item, row in enumerate(table):
        own = row.pop(item)
        assert own > max(0.55, max(row) + 0.1), (names[item], own, row)
    five = np.tile(np.concatenate(waves), 3)[:80000]
    assert correlation(unpadded(five), padded(five)) > 0.95
