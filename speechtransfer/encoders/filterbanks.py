"""Log-mel features: of w2v-BERT and Parakeet, normalised in each utterance, and such as no utterance decides on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from speechtransfer.encoders.contract import Augment, zero_beyond
from speechtransfer.features import FrontEnd, KaldiFbank, KaldiSettings, LogMel, MelSettings
from speechtransfer.frames import length_mask, masked_mean

_LEAST_POWER = 2.0**-24  # what NeMo adds before the logarithm
_PREEMPHASIS = 0.97
_SILENCE = -10.0  # natural logarithm of mel power: some 80 dB below a full tone, as far as Whisper's features reach
#: Mean and deviation of `FlooredMel` over spoken digits (-4.9 and 4.4) and synthetic sentences (-4.9 and 5.1).
MEL_MEAN, MEL_DEVIATION = -5.0, 4.5


class StackedFbank(nn.Module):
    """Kaldi's fbank, normalised in each utterance, neighbouring frames side by side.

    It is what transformers' SeamlessM4TFeatureExtractor gives w2v-BERT (Chung et al. 2021, arXiv:2108.06209):
    80 bands each 10 ms, two of them a frame. A last frame that lacks its neighbour counts in the mean and the
    variance, and is then left out.
    """

    def __init__(self, preprocessor: Mapping[str, Any]) -> None:
        super().__init__()
        self.stride = int(preprocessor.get("stride", 2))
        rate, bands = preprocessor.get("sampling_rate", 16000), preprocessor.get("num_mel_bins", 80)
        self.fbank = KaldiFbank(KaldiSettings(sample_rate=rate, n_mels=bands))
        self.width = self.stride * self.fbank.width
        self.period = self.stride * self.fbank.period

    def frame_count(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: whole stacks alone."""
        return self.fbank.frame_count(samples) // self.stride

    def forward(self, wave: Tensor, samples: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
        """Wave (B, S) with (B,) samples to (B, T, width), T at least 1, and (B,) frames.

        ``augment`` changes the normalised bands before they are stacked.
        """
        values, lengths = self.fbank(wave, samples)
        values = _at_least(values, self.stride)
        mean, variance = _moments(values, lengths)
        values = zero_beyond((values - mean) / (variance + 1e-7).sqrt(), lengths)
        values = augment(values, lengths)
        whole = values.shape[1] // self.stride
        stacked = values[:, : whole * self.stride].reshape(len(values), whole, self.width)
        return zero_beyond(stacked, lengths // self.stride), lengths // self.stride


class NemoMel(nn.Module):
    """NeMo's log-mel, pre-emphasised and normalised in each utterance, as transformers' ParakeetFeatureExtractor's.

    Slaney's mel scale over a symmetric Hann window, the natural logarithm of the power plus 2^-24; each band
    less its mean, over its standard deviation plus 1e-5 (Rekesh et al. 2023, arXiv:2305.05084, and NeMo's code).
    """

    def __init__(self, preprocessor: Mapping[str, Any], bands: int) -> None:
        super().__init__()
        self.preemphasis = float(preprocessor.get("preemphasis", _PREEMPHASIS) or 0.0)
        self.mel = _NemoPower(
            MelSettings(
                kind="slaney",
                sample_rate=preprocessor.get("sampling_rate", 16000),
                n_mels=bands,
                n_fft=preprocessor.get("n_fft", 512),
                win_length=preprocessor.get("win_length", 400),
                hop_length=preprocessor.get("hop_length", 160),
            )
        )
        self.period = self.mel.period

    def frame_count(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: one for each whole hop."""
        return self.mel.frame_count(samples)

    def forward(self, wave: Tensor, samples: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
        """Wave (B, S) with (B,) samples to (B, T, bands), T at least 1, and (B,) frames."""
        wave = wave.masked_fill(~length_mask(samples, wave.shape[1]), 0.0)
        delayed = nn.functional.pad(wave, (1, 0))[:, :-1]
        values, lengths = self.mel(wave - self.preemphasis * delayed, samples)
        values = _at_least(values, 1)
        mean, variance = _moments(values, lengths)
        values = zero_beyond((values - mean) / (variance.sqrt() + 1e-5), lengths)
        return zero_beyond(augment(values, lengths), lengths), lengths


class FlooredMel(nn.Module):
    """Log-mel on HTK's scale each 10 ms, no lower than a fixed silence: nothing of an utterance decides on it.

    With ``centred=False`` a frame ends where the next begins to be heard, fit for causal encoders: it depends on
    ``context`` frames' worth of samples before its own.
    """

    def __init__(self, bands: int, centred: bool) -> None:
        super().__init__()
        # 512 points: of 400 some band is left without one.
        settings = MelSettings("htk", n_mels=bands, n_fft=512, win_length=400, centred=centred)
        self.mel = LogMel(settings)
        self.width, self.period, self.sample_rate = bands, self.mel.period, settings.sample_rate
        self.hop = settings.hop_length
        self.context = -(-len(self.mel.window) // self.hop) - 1

    def frame_count(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples."""
        return self.mel.frame_count(samples)

    def forward(self, wave: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Wave (B, S) with (B,) samples to (B, T, bands), T at least 1, and (B,) frames."""
        values, lengths = self.mel(wave, samples)
        return zero_beyond(_at_least(values, 1).clamp(min=_SILENCE), lengths), lengths


class _NemoPower(FrontEnd):
    """The logarithm of mel power, centred frames, zeros on both sides."""

    def __init__(self, settings: MelSettings) -> None:
        win = settings.win_length or settings.n_fft
        self._left = settings.n_fft // 2 - (settings.n_fft - win) // 2  # the window in the middle of the transform
        window = torch.hann_window(win, periodic=False)
        super().__init__(settings, window, settings.n_fft, settings.hop_length, 0, 0)

    def _values(self, wave: Tensor) -> Tensor:
        padded = nn.functional.pad(wave, (self._left, len(self.window)))
        return (self._mel_power(padded, self.frame_count(wave.shape[1]), self.window.mul) + _LEAST_POWER).log()


def _moments(values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased variance (B, 1, F) of each band over an item's valid frames; of one frame, variance 0."""
    mean = masked_mean(values, lengths)[:, None]
    spread = zero_beyond((values - mean).square(), lengths).sum(1, keepdim=True)
    return mean, spread / (lengths - 1).clamp(min=1)[:, None, None]


def _at_least(values: Tensor, size: int) -> Tensor:
    """(B, T, F) with zeros behind, so that T is at least ``size`` where all sound is too short for a frame."""
    return nn.functional.pad(values, (0, 0, 0, max(0, size - values.shape[1])))
