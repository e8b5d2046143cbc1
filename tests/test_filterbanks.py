"""Tests of the filterbanks: those of transformers' own feature extractors, alone and in a batch, or of librosa."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import ParakeetFeatureExtractor, SeamlessM4TFeatureExtractor

from speechtransfer.encoders.filterbanks import FlooredMel, NemoMel, StackedFbank

SAMPLES = (16000, 9001, 8160, 4000, 1999)


def same(values: Tensor, lengths: Tensor) -> Tensor:
    return values


def sound() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    wave = torch.full((len(SAMPLES), 16500), float("nan"))
    for item, count in enumerate(SAMPLES):
        wave[item, :count] = 0.1 * torch.randn(count, generator=generator) * torch.linspace(0.1, 2, count)
    return wave, torch.tensor(SAMPLES)


BANKS: dict[str, tuple[Callable[[], StackedFbank | NemoMel], Callable[[], object]]] = {
    "w2v-BERT": (lambda: StackedFbank({}), SeamlessM4TFeatureExtractor),
    "Parakeet": (lambda: NemoMel({}, 80), ParakeetFeatureExtractor),
    "Parakeet, 128 bands": (lambda: NemoMel({}, 128), lambda: ParakeetFeatureExtractor(feature_size=128)),
    "Parakeet, other sizes": (
        lambda: NemoMel({"n_fft": 400, "win_length": 320, "hop_length": 100, "preemphasis": 0.9}, 40),
        lambda: ParakeetFeatureExtractor(40, n_fft=400, win_length=320, hop_length=100, preemphasis=0.9),
    ),
    "Parakeet, no emphasis": (
        lambda: NemoMel({"preemphasis": None}, 80),
        lambda: ParakeetFeatureExtractor(preemphasis=None),
    ),
}


@pytest.mark.parametrize("name", BANKS)
def test_features_are_those_of_transformers(name: str) -> None:
    ours, extract = BANKS[name][0](), BANKS[name][1]()
    wave, samples = sound()
    values, lengths = ours(wave, samples, same)
    assert torch.equal(ours.frame_count(samples), lengths)
    assert values.shape[1] >= int(lengths.max())
    for item, count in enumerate(SAMPLES):
        expected = extract(wave[item, :count].numpy(), sampling_rate=16000, return_tensors="pt")  # type: ignore[operator]
        frames = int(expected.attention_mask.sum())
        assert lengths[item] == frames
        theirs = expected.input_features[0, :frames].float()
        torch.testing.assert_close(values[item, :frames], theirs, rtol=1e-4, atol=1e-4)
        assert not values[item, frames:].any()
        single, _ = ours(wave[item : item + 1, :count], samples[item : item + 1], same)
        torch.testing.assert_close(single[0, :frames], values[item, :frames], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "bands", "frames"), [("w2v-BERT", 80, 98), ("Parakeet", 80, 100)])
def test_augmentation_sees_normalised_bands(name: str, bands: int, frames: int) -> None:
    seen: list[Tensor] = []

    def hide(values: Tensor, lengths: Tensor) -> Tensor:
        seen.append(values)
        return torch.zeros_like(values)

    wave, samples = sound()
    values, _ = BANKS[name][0]()(wave[:1], samples[:1], hide)
    assert not values.any()
    assert seen[0].shape[2] == bands
    valid = seen[0][0, :frames]
    torch.testing.assert_close(valid.mean(0), torch.zeros(bands), rtol=0, atol=1e-4)
    torch.testing.assert_close(valid.std(0), torch.ones(bands), rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["w2v-BERT", "Parakeet"])
@pytest.mark.parametrize("count", [0, 1, 159, 160, 320, 400, 559, 560])
def test_sound_too_short_for_statistics_is_finite(name: str, count: int) -> None:
    bank = BANKS[name][0]()
    wave = 0.1 * torch.randn(1, count, generator=torch.Generator().manual_seed(1))
    values, lengths = bank(wave, torch.tensor([count]), same)
    assert torch.isfinite(values).all()
    assert values.shape[1] >= 1
    assert lengths.tolist() == [count // 160 if name == "Parakeet" else int(count >= 560)]


@pytest.mark.parametrize("centred", [True, False])
def test_floored_features_are_those_of_librosa(centred: bool) -> None:
    wave = (0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(2))).numpy()
    wave[3000:5000] = 0.0  # silence
    features = FlooredMel(40, centred)
    values, lengths = features(torch.from_numpy(wave)[None], torch.tensor([8000]))
    # librosa's window stands in the middle of its 512 samples, 56 before and after it.
    padded = wave if centred else np.pad(wave, (400 - 160 + 56, 56))
    power = librosa.feature.melspectrogram(
        y=padded,
        sr=16000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        center=centred,
        pad_mode="constant",
        n_mels=40,
        htk=True,
        norm=None,
    )
    expected = np.maximum(np.log(np.maximum(power, 1e-10)), -10.0).T
    assert (lengths.tolist(), values.shape) == ([51 if centred else 50], (1, *expected.shape))
    torch.testing.assert_close(values[0], torch.from_numpy(expected), rtol=1e-4, atol=1e-4)
    assert (values[0] == -10.0).any()
    assert features.context * features.hop >= 400 - 160
