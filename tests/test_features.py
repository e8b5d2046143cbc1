"""Tests of the front ends: equal to librosa, transformers and torchaudio; exact in padded batches."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchaudio.compliance import kaldi
from transformers import WhisperFeatureExtractor

from speechtransfer.errors import DataError, SettingsError
from speechtransfer.features import (
    STD_FLOOR,
    Cmvn,
    CmvnStatistics,
    FrontEnd,
    KaldiFbank,
    KaldiSettings,
    LogMel,
    MelSettings,
    SpecAugment,
)

DIGITS = Path(__file__).parents[2] / "shared" / "corpora" / "digits_en"
RATES = (8000, 16000)
Kind = Literal["htk", "slaney"]
FRONT_ENDS: dict[str, Callable[[], FrontEnd]] = {
    "whisper": LogMel,
    "htk": lambda: LogMel(MelSettings("htk")),
    "slaney": lambda: LogMel(MelSettings("slaney", n_mels=64, n_fft=512, win_length=400)),
    "causal": lambda: LogMel(MelSettings("slaney", centred=False)),
    "kaldi": KaldiFbank,
}


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def chirp(samples: int, rate: int) -> np.ndarray:
    """A sweep from 50 Hz to just under half the rate, in noise 40 dB below, as any recording has."""
    time, seconds = np.arange(samples) / rate, samples / rate
    sweep = np.sin(2 * np.pi * (50 * time + (rate / 2 - 100) / (2 * seconds) * time**2))
    return 0.5 * sweep.astype(np.float32) + 0.03 * noise(samples)


def alone(front_end: nn.Module, wave: np.ndarray) -> Tensor:
    values, lengths = front_end(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))
    assert lengths.tolist() == [values.shape[1]]
    return values[0]


def close(ours: Tensor, theirs: np.ndarray | Tensor, tolerance: float = 1e-4) -> None:
    torch.testing.assert_close(ours, torch.as_tensor(theirs), rtol=tolerance, atol=tolerance, check_dtype=False)


def by_librosa(wave: np.ndarray, settings: MelSettings) -> np.ndarray:
    htk = settings.kind == "htk"
    power = librosa.feature.melspectrogram(
        y=wave, sr=settings.sample_rate, n_fft=settings.n_fft, win_length=settings.win_length,
        hop_length=settings.hop_length, n_mels=settings.n_mels, fmin=settings.f_min, fmax=settings.f_max,
        htk=htk, norm=None if htk else "slaney", center=True, pad_mode="constant",
    )  # fmt: skip
    return np.log(np.maximum(power.T, 1e-10))


def by_torchaudio(wave: np.ndarray, settings: KaldiSettings) -> Tensor:
    return kaldi.fbank(
        torch.from_numpy(wave)[None] * 32768.0, dither=0.0, window_type="povey", low_freq=settings.f_min,
        high_freq=settings.f_max or 0.0, num_mel_bins=settings.n_mels, sample_frequency=settings.sample_rate,
        frame_length=settings.frame_length, frame_shift=settings.frame_shift,
    )  # fmt: skip


def by_whisper(wave: np.ndarray, n_mels: int = 80) -> np.ndarray:
    extract = WhisperFeatureExtractor(feature_size=n_mels)
    out = extract(wave, sampling_rate=16000, return_tensors="np", return_attention_mask=True)
    return out.input_features[0, :, : out.attention_mask.sum()].T


def sounds(rate: int) -> list[np.ndarray]:
    return [noise(rate + 77), chirp(rate, rate)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n_mels", [23, 40, 80, 128])
@pytest.mark.parametrize("kind", ["htk", "slaney"])
def test_log_mel_equals_librosa(kind: Kind, n_mels: int, rate: int) -> None:
    plain: dict[str, Any] = {"n_fft": 1024}
    for more in (plain, plain | {"win_length": 401, "hop_length": 100, "f_min": 60.0, "f_max": 3900.0}):
        if n_mels == 128:
            more["n_fft"] = 2048
        settings = MelSettings(kind, rate, n_mels, **more)
        for wave in sounds(rate):
            close(alone(LogMel(settings), wave), by_librosa(wave, settings))


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("samples", [1, 160, 161, 399, 16000, 20001])
def test_log_mel_equals_whisper(n_mels: int, samples: int) -> None:
    click_at_end = np.zeros(samples, np.float32)
    click_at_end[-1] = 1.0  # louder in the frames past the end than in those within
    for wave in (noise(samples), chirp(samples, 16000), click_at_end, np.zeros(samples, np.float32)):
        close(alone(LogMel(MelSettings(n_mels=n_mels)), wave), by_whisper(wave, n_mels))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n_mels", [23, 40, 80, 128])
def test_kaldi_equals_torchaudio(n_mels: int, rate: int) -> None:
    length = 25.0 if n_mels < 128 else 64.0  # 128 bands of a 25 ms window leave some without an FFT bin
    for settings in (
        KaldiSettings(rate, n_mels, length),
        KaldiSettings(rate, n_mels, length, frame_shift=12.5, f_min=0.0, f_max=rate / 2 - 200),
    ):
        for wave in sounds(rate):
            close(alone(KaldiFbank(settings), wave), by_torchaudio(wave, settings))


def test_kaldi_equals_torchaudio_on_pure_tones_and_silence() -> None:
    turns = 440 * np.arange(16000) / 16000  # leakage lies at 1e-13 of the peak
    tone = (0.5 * np.sin(2 * np.pi * turns)).astype(np.float32)
    for wave in (tone, np.zeros(16000, np.float32), np.full(16000, 0.25, np.float32)):
        close(alone(KaldiFbank(), wave), by_torchaudio(wave, KaldiSettings()), 1e-3)


@pytest.mark.shared
def test_parity_on_recordings() -> None:
    import soundfile

    files = sorted(DIGITS.glob("**/*.wav"))[::400]
    assert files
    for file in files:
        wave, rate = soundfile.read(file, dtype="float32")
        for kind in ("htk", "slaney"):
            settings = MelSettings(kind, rate, 40)
            close(alone(LogMel(settings), wave), by_librosa(wave, settings))
        close(alone(KaldiFbank(KaldiSettings(rate)), wave), by_torchaudio(wave, KaldiSettings(rate)))
        wave = librosa.resample(wave, orig_sr=rate, target_sr=16000)
        close(alone(LogMel(), wave), by_whisper(wave))


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_batched_equals_single_whatever_the_padding(name: str) -> None:
    front_end = FRONT_ENDS[name]()
    sizes = [16000, 1, 0, 7777, 399, 400, 160, 12000]
    wave = torch.from_numpy(np.stack([noise(17000, seed) for seed in range(len(sizes))]))
    wave[3] *= 30.0  # one loud utterance must not move the others' clipping
    lengths = torch.tensor(sizes)
    dirty, frames = front_end(wave, lengths)
    wave[torch.arange(17000) >= lengths[:, None]] = float("nan")
    assert torch.equal(front_end(wave, lengths)[0], dirty)
    assert dirty.shape == (len(sizes), front_end.frame_count(17000), front_end.width)
    for row, size in enumerate(sizes):
        single = alone(front_end, wave[row, :size].numpy())
        assert len(single) == frames[row] == front_end.frame_count(size)
        torch.testing.assert_close(dirty[row, : len(single)], single, rtol=1e-5, atol=1e-5)
        assert not dirty[row, len(single) :].any()


def test_frame_counts() -> None:
    for samples, whisper, plain, causal, fbank in (
        (0, 0, 0, 0, 0), (1, 1, 1, 0, 0), (160, 1, 2, 1, 0),
        (161, 2, 2, 1, 0), (400, 3, 3, 2, 1), (560, 4, 4, 3, 2),
    ):  # fmt: skip
        counts = [FRONT_ENDS[name]().frame_count(samples) for name in ("whisper", "htk", "causal", "kaldi")]
        assert counts == [whisper, plain, causal, fbank]
    assert LogMel().frame_count(torch.tensor([0, 161])).tolist() == [0, 2]


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_front_ends_have_no_state_and_survive_mixed_precision(name: str) -> None:
    front_end = FRONT_ENDS[name]()
    assert not front_end.state_dict()
    assert not list(front_end.parameters())
    assert front_end.period == 0.01
    wave, lengths = torch.from_numpy(noise(8000))[None], torch.tensor([8000])
    plain = front_end(wave, lengths)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(front_end(wave, lengths)[0], plain)
    double = front_end.double()(wave, lengths)[0]
    assert double.dtype == torch.float64
    close(plain.double(), double, 1e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_gpu_equals_cpu(name: str) -> None:
    front_end, wave = FRONT_ENDS[name](), torch.from_numpy(np.stack([noise(9000), chirp(9000, 16000)]))
    lengths = torch.tensor([9000, 5000])
    on_cpu = front_end(wave, lengths)[0]
    close(front_end.cuda()(wave.cuda(), lengths.cuda())[0].cpu(), on_cpu, 1e-3)


def test_gradients_reach_the_wave() -> None:
    wave = torch.from_numpy(noise(2000))[None].requires_grad_()
    LogMel(MelSettings("htk"))(wave, torch.tensor([1500]))[0].sum().backward()
    assert wave.grad is not None
    assert wave.grad[0, :1500].any()
    assert not wave.grad[0, 1500:].any()


@pytest.mark.parametrize("kind", ["htk", "slaney"])
def test_causal_frames_see_no_later_sample(kind: Kind) -> None:
    front_end = LogMel(MelSettings(kind, centred=False))
    wave = noise(8000)
    before = alone(front_end, wave)
    for frame in (0, 1, 2, 20):
        changed = wave.copy()
        changed[(frame + 1) * 160 :] = noise(8000, seed=1)[(frame + 1) * 160 :]
        after = alone(front_end, changed)
        torch.testing.assert_close(after[: frame + 1], before[: frame + 1])
        assert not torch.allclose(after[frame + 1], before[frame + 1])


def test_causal_frame_covers_the_window_before_its_end() -> None:
    wave, front_end = noise(1600), LogMel(MelSettings("htk", centred=False))
    spectrum = np.abs(np.fft.rfft(wave[5 * 160 - 400 : 5 * 160] * np.hanning(401)[:-1])) ** 2
    bank = librosa.filters.mel(sr=16000, n_fft=400, n_mels=80, htk=True, norm=None)
    close(alone(front_end, wave)[4], np.log(bank @ spectrum).astype(np.float32))


def test_settings_go_to_json() -> None:
    for settings in (MelSettings("htk", n_mels=23), KaldiSettings(8000)):
        assert type(settings)(**json.loads(json.dumps(dataclasses.asdict(settings)))) == settings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (MelSettings("bark"), "bark"),  # type: ignore[arg-type]
        (MelSettings(n_mels=0), "n_mels=0"),
        (MelSettings(f_max=9000.0), "f_max=9000"),
        (MelSettings(f_min=5000.0, f_max=4000.0), "f_min=5000"),
        (MelSettings("htk", n_mels=128), "n_mels=128"),
        (MelSettings(win_length=401), "win_length=401"),
        (MelSettings(hop_length=0), "hop_length=0"),
        (MelSettings("htk", centred=False, hop_length=500), "hop_length=500"),
        (MelSettings(centred=False), "whisper"),
        (MelSettings(sample_rate=0), "f_max=0"),
        (KaldiSettings(n_mels=128), "n_mels=128"),
        (KaldiSettings(frame_shift=0.0), "frame_shift"),
        (KaldiSettings(f_max=8001.0), "f_max=8001"),
    ],
)
def test_impossible_settings_are_named(settings: MelSettings | KaldiSettings, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        LogMel(settings) if isinstance(settings, MelSettings) else KaldiFbank(settings)


def batch_of_frames(width: int = 5, offset: float = -7.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(6, 40, width, generator=generator) * 2.0 + offset, torch.tensor([40, 1, 17, 33, 0, 8])


def test_cmvn_statistics_equal_the_naive_ones_and_forget_the_order() -> None:
    values, lengths = batch_of_frames(offset=1000.0)
    rows = np.concatenate([values[i, :n].double().numpy() for i, n in enumerate(lengths)])
    seen = []
    for order in ([0, 1, 2, 3, 4, 5], [5, 3, 1, 0, 2, 4]):
        statistics = CmvnStatistics(5)
        for i in order:
            statistics.update(values[i : i + 1], lengths[i : i + 1])
        seen.append(torch.stack(statistics.moments()))
    whole = CmvnStatistics(5)
    whole.update(values, lengths)
    assert whole.count == len(rows)
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], torch.stack(whole.moments()))
    np.testing.assert_allclose(seen[0].numpy(), [rows.mean(0), rows.std(0)], rtol=1e-10)


def test_cmvn_statistics_closed_form() -> None:
    statistics = CmvnStatistics(2)
    statistics.update(torch.tensor([[[1.0, 2.0**-20], [3.0, -(2.0**-20)], [99.0, 99.0]]]), torch.tensor([2]))
    mean, std = statistics.moments()
    assert mean.tolist() == [2.0, 0.0]
    assert std.tolist() == [1.0, 2.0**-20]


def test_cmvn_statistics_refuse_what_is_not_sound() -> None:
    with pytest.raises(DataError, match="no frame"):
        Cmvn.from_statistics(CmvnStatistics(2))
    for value in (float("nan"), float("inf")):
        with pytest.raises(DataError, match="NaN"):
            CmvnStatistics(2).update(torch.full((1, 1, 2), value), torch.tensor([1]))


@pytest.mark.parametrize("mode", ["global", "utterance"])
def test_cmvn_normalises_and_ignores_padding(mode: str) -> None:
    values, lengths = batch_of_frames()
    if mode == "global":
        statistics = CmvnStatistics(5)
        statistics.update(values, lengths)
        cmvn = Cmvn.from_statistics(statistics)
        assert set(cmvn.state_dict()) == {"mean", "std"}
    else:
        cmvn = Cmvn(5, "utterance")
        assert not cmvn.state_dict()
    out = cmvn(values, lengths)
    rows = [out[i, :n] for i, n in enumerate(lengths)]
    for group in [torch.cat(rows)] if mode == "global" else [row for row in rows if len(row) > 1]:
        close(group.mean(0), torch.zeros(5), 1e-5)
        close(group.std(0, correction=0), torch.ones(5), 1e-5)
    noisy = values.clone()
    noisy[torch.arange(40) >= lengths[:, None]] = float("nan")
    assert torch.equal(cmvn(noisy, lengths), out)
    for i, n in enumerate(lengths.tolist()):
        close(out[i, :n], cmvn(values[i : i + 1, :n], lengths[i : i + 1])[0], 1e-5)
        assert not out[i, n:].any()


def test_cmvn_of_a_constant_band_is_small_and_a_new_one_the_identity() -> None:
    constant = torch.full((1, 50, 3), -23.025851)
    assert Cmvn(3, "utterance")(constant, torch.tensor([50])).abs().max() < 1e-2
    statistics = CmvnStatistics(3)
    statistics.update(constant, torch.tensor([50]))
    assert statistics.moments()[1].max() < STD_FLOOR
    assert torch.equal(Cmvn.from_statistics(statistics)(constant, torch.tensor([50])), torch.zeros(1, 50, 3))
    assert torch.equal(Cmvn(3)(constant, torch.tensor([50])), constant)
    with pytest.raises(SettingsError, match="speaker"):
        Cmvn(3, "speaker")  # type: ignore[arg-type]


def frames_to_mask(count: int = 12, time: int = 300, width: int = 80) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([time - 20 * i for i in range(count - 1)] + [1])
    values = torch.randn(count, time, width, generator=generator) + 5.0
    return values * (torch.arange(time) < lengths[:, None])[..., None], lengths


def test_specaugment_is_a_function_of_the_seed_alone() -> None:
    (values, lengths), augment = frames_to_mask(), SpecAugment()
    seeds = [-3, 2**63, 2**64 - 1, *range(9)]
    state = torch.random.get_rng_state()
    whole = augment(values, lengths, seeds)
    assert torch.equal(state, torch.random.get_rng_state())
    order = torch.randperm(len(seeds), generator=torch.Generator().manual_seed(1)).tolist()
    assert torch.equal(augment(values[order], lengths[order], [seeds[i] for i in order]), whole[order])
    for i, n in enumerate(lengths.tolist()):
        single = augment(values[i : i + 1, :n], lengths[i : i + 1], seeds[i : i + 1])[0]
        assert torch.equal(single != values[i, :n], whole[i, :n] != values[i, :n])
        close(single, whole[i, :n], 1e-5)
    tensors = augment(values, lengths, torch.arange(12))
    assert torch.equal(tensors, augment.eval()(values, lengths, range(12)))
    assert not torch.equal(tensors, whole)


def test_specaugment_keeps_its_bounds_and_fills_with_the_mean() -> None:
    values, lengths = frames_to_mask()
    mean = torch.stack([values[i, :n].mean(0) for i, n in enumerate(lengths)])
    widest_band = widest_stretch = 0
    for seed in range(40):
        bands = SpecAugment(1, 10, 0)(values, lengths, [seed] * 12) != values
        stretches = SpecAugment(0, 0, 1, 12, 0.1)(values, lengths, [seed] * 12) != values
        for i, n in enumerate(lengths.tolist()):
            assert not bands[i, n:].any()
            assert not stretches[i, n:].any()
            if n == 1:  # its only frame is its mean
                continue
            band, stretch = bands[i, :n].all(0), stretches[i, :n].all(1)
            assert torch.equal(bands[i, :n], band.expand(n, -1))  # whole bands, whole frames
            assert torch.equal(stretches[i, :n], stretch[:, None].expand(-1, 80))
            assert band.sum() <= 10
            assert stretch.sum() <= min(12, n // 10)
            for mask in (band, stretch):  # in one piece
                assert mask.int().diff().abs().sum() <= 2
            widest_band, widest_stretch = (
                max(widest_band, int(band.sum())),
                max(widest_stretch, int(stretch.sum())),
            )
    assert (widest_band, widest_stretch) == (10, 12)
    out = SpecAugment()(values, lengths, list(range(12)))
    hidden = out != values
    close(out[hidden], mean[:, None].expand_as(values)[hidden], 1e-5)


def test_specaugment_widths_and_places_are_uniform() -> None:
    generator = torch.Generator().manual_seed(0)
    values, lengths = torch.randn(8000, 7, 1, generator=generator), torch.full((8000,), 7)
    masked = (SpecAugment(0, 0, 1, 3, 1.0)(values, lengths, range(8000)) != values)[..., 0]
    shares = torch.bincount(masked.sum(1), minlength=4) / 8000
    close(shares, torch.full((4,), 0.25), 0.015)
    first = masked.int().argmax(1)[masked.sum(1) == 1]
    close(torch.bincount(first, minlength=7) / len(first), torch.full((7,), 1 / 7), 0.03)


@pytest.mark.parametrize(
    "settings",
    [
        {"freq_masks": 0, "time_masks": 0},
        {"freq_width": 0, "time_width": 0},
        {"freq_width": 0, "time_ratio": 0.0},
    ],
)
def test_specaugment_of_nothing_is_the_identity(settings: dict[str, Any]) -> None:
    values, lengths = frames_to_mask()
    assert torch.equal(SpecAugment(**settings)(values, lengths, list(range(12))), values)


def test_specaugment_refuses_impossible_settings() -> None:
    for wrong in ({"freq_masks": -1}, {"time_width": -1}, {"time_ratio": 1.1}, {"time_ratio": -0.1}):
        with pytest.raises(SettingsError, match="SpecAugment"):
            SpecAugment(**wrong)
