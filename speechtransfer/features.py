"""Front ends: from sound to log-mel or Kaldi fbank frames, their normalisation and their masking.

They live inside encoders, so that features and weights cannot disagree, and train nothing. In a batch each
item gets what it would get alone, and zeros beyond its length: what stands in the padding never matters.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from speechtransfer.errors import DataError, SettingsError
from speechtransfer.frames import length_mask, masked_mean

Count = TypeVar("Count", int, Tensor)
STD_FLOOR = 1e-3  # so that a band that hardly moves is not blown up into rounding noise
FRAMES_AT_ONCE = 512  # their spectra stay in the processor's cache: twice as fast, and memory is bounded


@dataclass(frozen=True)
class MelSettings:
    """What a `LogMel` computes; the defaults are Whisper's."""

    kind: Literal["whisper", "htk", "slaney"] = "whisper"  # see `LogMel`
    sample_rate: int = 16000  # Hz
    n_mels: int = 80  # bands, the width of a frame
    n_fft: int = 400  # points of the Fourier transform
    win_length: int | None = None  # samples of the periodic Hann window; None is n_fft
    hop_length: int = 160  # samples from one frame to the next
    f_min: float = 0.0  # Hz, lower edge of the first band
    f_max: float | None = None  # Hz, upper edge of the last band; None is half the sample rate
    centred: bool = True  # frame t is centred on sample t * hop; False: it ends before (t + 1) * hop


@dataclass(frozen=True)
class KaldiSettings:
    """What a `KaldiFbank` computes; the defaults are Kaldi's, but for 80 bands at 16 kHz."""

    sample_rate: int = 16000  # Hz
    n_mels: int = 80  # bands, the width of a frame (--num-mel-bins)
    frame_length: float = 25.0  # milliseconds of a window
    frame_shift: float = 10.0  # milliseconds from one frame to the next
    f_min: float = 20.0  # Hz, lower edge of the first band (--low-freq)
    f_max: float | None = None  # Hz, upper edge of the last band (--high-freq); None is half the sample rate


class FrontEnd(nn.Module, ABC):
    """Abstract: what turns sound into frames of ``width`` values, ``period`` seconds from one to the next."""

    window: Tensor
    bank: Tensor

    def __init__(self, settings: MelSettings | KaldiSettings, window: Tensor, *sizes: int) -> None:
        super().__init__()
        self._n_fft, self._hop, self._shift, self._least = sizes  # the last two as in `frame_count`
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("bank", _mel_bank(settings, self._n_fft).float(), persistent=False)
        self.width, self.period = settings.n_mels, self._hop / settings.sample_rate

    def frame_count(self, samples: Count) -> Count:
        """How many frames so many samples give: of an int, or of a tensor of them."""
        return (samples + self._shift) // self._hop * (samples >= self._least)

    def forward(self, wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Frames of a padded wave (B, S) in [-1, 1], lengths (B,) in samples, none over S.

        Gives values (B, T, width), T = `frame_count(S)`, and lengths (B,) in frames, never in half precision.
        """
        with torch.autocast(wave.device.type, enabled=False):  # where power would overflow
            padding = ~length_mask(lengths, wave.shape[1])
            values = self._values(wave.to(self.window.dtype).masked_fill(padding, 0.0))
        lengths = self.frame_count(lengths)
        return _zero_padding(values, lengths), lengths

    @abstractmethod
    def _values(self, wave: Tensor) -> Tensor:
        """(B, `frame_count(S)`, width) of a wave (B, S) that is zero beyond each length."""

    def _mel_power(self, padded: Tensor, count: int, weigh: Callable[[Tensor], Tensor]) -> Tensor:
        """(B, count, width) of (B, S); `weigh` applies the window to a few frames (B, T, W) at a time."""
        framed, step = padded.unfold(1, len(self.window), self._hop), max(1, FRAMES_AT_ONCE // len(padded))
        powers = [padded.new_zeros(len(padded), 0, self.width)]
        for start in range(0, count, step):
            spectrum = torch.fft.rfft(weigh(framed[:, start : min(start + step, count)]), n=self._n_fft)
            powers.append((spectrum.real.square() + spectrum.imag.square()) @ self.bank)
        return torch.cat(powers, dim=1)


class LogMel(FrontEnd):
    """Log-mel spectrogram as Whisper's feature extractor, or as librosa's `melspectrogram`, gives it.

    ``whisper`` (Radford et al. 2022, arXiv:2212.04356): log10, clipped 8 below the utterance's maximum,
    plus 4, over 4; ceil(S / hop) frames. The original first appends zeros up to 30 s; hence the left edge is
    reflected, zeros follow the end, and the maximum is over all frames that touch the utterance, even past
    its end. ``htk``, ``slaney``: natural logarithm, HTK's mel scale, or Slaney's with area normalisation;
    zeros on both sides (``pad_mode="constant"``), S // hop + 1 frames. With ``centred=False``, for causal
    encoders, win_length - hop zeros on the left only; of S // hop frames none sees a later sample.
    SettingsError where the settings cannot work.
    """

    def __init__(self, settings: MelSettings | None = None) -> None:
        self.settings = settings = settings or MelSettings()
        kind, n_fft, hop, centred = settings.kind, settings.n_fft, settings.hop_length, settings.centred
        win = n_fft if settings.win_length is None else settings.win_length
        _require(kind in ("whisper", "htk", "slaney"), f"kind={kind!r}: choose whisper, htk or slaney")
        _require(n_fft >= 2 and 1 <= win <= n_fft, f"win_length={win}, n_fft={n_fft}: choose 1 ... n_fft")
        _require(hop >= 1 and (centred or hop <= win), f"hop_length={hop}: at least 1; causal, at most {win}")
        _require(centred or kind != "whisper", "kind='whisper' is not causal (centred=False): choose another")
        self._left = n_fft // 2 - (n_fft - win) // 2 if centred else win - hop  # as librosa pads a window
        shift, least = (hop - 1, 0) if kind == "whisper" else (hop, 1) if centred else (0, 0)
        super().__init__(settings, torch.hann_window(win, dtype=torch.float64), n_fft, hop, shift, least)

    def _values(self, wave: Tensor) -> Tensor:
        size, left, count = wave.shape[1], self._left, self.frame_count(wave.shape[1])
        whisper = self.settings.kind == "whisper" and size > 0
        touching = -(-(size + left) // self._hop) if whisper else count
        wave = nn.functional.pad(wave, (0, touching * self._hop + len(self.window)))
        edge = wave[:, 1 : left + 1].flip(-1) if whisper else wave.new_zeros(len(wave), left)
        power = self._mel_power(torch.cat([edge, wave], 1), touching, self.window.mul).clamp(min=1e-10)
        if not whisper:
            return power.log()
        values = power.log10()
        return (torch.maximum(values, values.amax((1, 2), keepdim=True) - 8.0)[:, :count] + 4.0) / 4.0


class KaldiFbank(FrontEnd):
    """Log-mel filterbank as Kaldi's ``compute-fbank-feats --dither=0`` (``snip_edges``) gives it.

    Samples are scaled to 16 bits; each window loses its mean, is pre-emphasised by 0.97 and weighted by
    Povey's window; triangles are linear in mel; the natural logarithm is floored at float32's epsilon (see
    Kaldi's ``feature-window.cc``, ``mel-computations.cc``). Sound shorter than a window has no frame.
    SettingsError where the settings cannot work, as in Kaldi for a band without an FFT bin.
    """

    def __init__(self, settings: KaldiSettings | None = None) -> None:
        self.settings = settings = settings or KaldiSettings()
        win = int(settings.sample_rate * settings.frame_length * 0.001)
        hop = int(settings.sample_rate * settings.frame_shift * 0.001)
        _require(win > 1 and hop > 0, f"frame_length, frame_shift: {win} and {hop} samples are too few")
        window = torch.hann_window(win, periodic=False).pow(0.85)  # in float32, as torchaudio's to the bit
        super().__init__(settings, window, 1 << (win - 1).bit_length(), hop, hop - win, win)

    def _values(self, wave: Tensor) -> Tensor:
        padded = nn.functional.pad(wave * 32768.0, (0, max(0, len(self.window) - wave.shape[1])))
        power = self._mel_power(padded, self.frame_count(wave.shape[1]), self._weighed)
        return power.clamp(min=2**-23).log()

    def _weighed(self, frames: Tensor) -> Tensor:
        frames = frames - frames.mean(-1, keepdim=True)
        return (frames - 0.97 * torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)) * self.window


class CmvnStatistics:
    """Sums over a corpus for `Cmvn`, the same to the last bit in whatever order and batches it comes.

    Adding floats is not associative: each utterance is summed in float64, and these sums as exact fractions.
    """

    def __init__(self, width: int) -> None:
        self.width, self.count, self._sums = width, 0, np.full((2, width), Fraction(0))

    def update(self, values: Tensor, lengths: Tensor) -> None:
        """Add whole utterances (B, T, width); DataError where a valid frame holds NaN or infinity."""
        for item, length in zip(values.detach().double().cpu().numpy(), lengths.tolist(), strict=True):
            sums = np.stack([item[:length].sum(0), np.square(item[:length]).sum(0)])
            if not np.isfinite(sums).all():
                raise DataError("features hold NaN or infinity: check the recordings")
            self.count, self._sums = self.count + length, self._sums + np.frompyfunc(Fraction, 1, 1)(sums)

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the population, (width,) float64; DataError without a frame."""
        if not self.count:
            raise DataError("CMVN statistics saw no frame: give them an utterance longer than a window")
        mean, square = self._sums / self.count
        variance = np.maximum((square - mean * mean).astype(np.float64), 0.0)  # the difference is exact
        return torch.from_numpy(mean.astype(np.float64)), torch.from_numpy(np.sqrt(variance))


class Cmvn(nn.Module):
    """Cepstral mean and variance normalisation: (x - mean) / max(std, `STD_FLOOR`) in each band.

    ``global``: stored with the weights, one mean and std for all, so fit for causal encoders; a new one is
    the identity. ``utterance``: from each item's own valid frames. SettingsError on an unknown mode.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, mode: Literal["global", "utterance"] = "global") -> None:
        super().__init__()
        _require(mode in ("global", "utterance"), f"mode={mode!r}: choose global or utterance")
        self.mode = mode
        if mode == "global":
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("std", torch.ones(width))

    @classmethod
    def from_statistics(cls, statistics: CmvnStatistics) -> Cmvn:
        """Global normalisation by the statistics of a corpus; DataError where they saw no frame."""
        cmvn = cls(statistics.width)
        cmvn.mean, cmvn.std = (moment.float() for moment in statistics.moments())
        return cmvn

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Normalise values (B, T, width), lengths (B,) -> (B, T, width), zero beyond each length."""
        if self.mode == "global":
            mean, std = self.mean, self.std
        else:
            values = _zero_padding(values, lengths)
            mean = masked_mean(values, lengths)[:, None]
            std = masked_mean((values - mean).square(), lengths)[:, None].sqrt()
        return _zero_padding((values - mean) / std.clamp(min=STD_FLOOR), lengths)


class SpecAugment(nn.Module):
    """Masks bands and stretches of time (Park et al. 2019, arXiv:1904.08779), without time warping.

    A mask's width is uniform on 0 ... its bound, its place on where it fits. A mask in time takes at most
    ``time_width`` frames and ``time_ratio`` of the utterance (adaptive: Park et al. 2020, arXiv:1912.05533).
    What is masked becomes its band's mean over the utterance. It masks whenever called, in ``eval`` too, for
    a frozen encoder is in ``eval``. SettingsError on a negative setting.
    """

    def __init__(
        self,
        freq_masks: int = 2,
        freq_width: int = 27,
        time_masks: int = 10,
        time_width: int = 100,
        time_ratio: float = 0.05,
    ) -> None:
        super().__init__()
        least = min(freq_masks, freq_width, time_masks, time_width, time_ratio)
        _require(least >= 0 and time_ratio <= 1, f"SpecAugment: {least} is negative, or {time_ratio=} over 1")
        self.freq_masks, self.freq_width = freq_masks, freq_width
        self.time_masks, self.time_width, self.time_ratio = time_masks, time_width, time_ratio

    def forward(self, values: Tensor, lengths: Tensor, seeds: Sequence[int] | Tensor) -> Tensor:
        """Mask values (B, T, F), lengths (B,): an item by its length and its own of B 64-bit seeds alone."""
        shape, (_, frames, width) = (self.freq_masks + self.time_masks, 2), values.shape
        rolls = [np.random.default_rng(int(seed) % 2**64).integers(2**31, size=shape) for seed in seeds]
        draws = torch.tensor(np.stack(rolls), device=values.device)
        size, most = torch.full_like(lengths, width), (lengths * self.time_ratio).long()
        bands = _stretches(draws[:, : self.freq_masks], size.clamp(max=self.freq_width), size, width)
        times = _stretches(draws[:, self.freq_masks :], most.clamp(max=self.time_width), lengths, frames)
        hidden = (bands[:, None] | times[..., None]) & length_mask(lengths, frames)[..., None]
        return torch.where(hidden, masked_mean(values, lengths)[:, None], values)


def _stretches(draws: Tensor, most: Tensor, size: Tensor, places: int) -> Tensor:
    """(B, places) bool, the union of M stretches in the first ``size`` (B,) places, by draws (B, M, 2)."""
    width = draws[..., 0] * (most[:, None] + 1) >> 31  # uniform integers without floats (Lemire 2019)
    start = draws[..., 1] * (size[:, None] - width + 1) >> 31
    place = torch.arange(places, device=draws.device)
    return ((place >= start[..., None]) & (place < (start + width)[..., None])).any(1)


def _zero_padding(values: Tensor, lengths: Tensor) -> Tensor:
    return values.masked_fill(~length_mask(lengths, values.shape[1])[..., None], 0.0)


# To mel and back on HTK's scale and on Slaney's: 15 mel to 1 kHz, then 27 mel for each factor of 6.4.
_Curve = Callable[[np.ndarray], np.ndarray]
_HTK: tuple[_Curve, _Curve] = (lambda f: 1127 * np.log1p(f / 700), lambda mel: 700 * np.expm1(mel / 1127))
_SLANEY: tuple[_Curve, _Curve] = (
    lambda f: 0.015 * np.minimum(f, 1e3) + 27 / np.log(6.4) * np.log(np.maximum(f / 1e3, 1)),
    lambda mel: np.minimum(mel, 15) / 0.015 * 6.4 ** (np.maximum(mel - 15, 0) / 27),
)


def _mel_bank(settings: MelSettings | KaldiSettings, n_fft: int) -> Tensor:
    """Triangles (n_fft // 2 + 1, n_mels), linear in Hz as in librosa, or in mel as in Kaldi."""
    rate, n_mels, low, high = settings.sample_rate, settings.n_mels, settings.f_min, settings.f_max
    high = rate / 2 if high is None else high
    _require(n_mels >= 1, f"n_mels={n_mels}: choose at least one band")
    _require(0 <= low < high <= rate / 2, f"f_min={low}, f_max={high}: bands lie in 0 ... {rate / 2:g} Hz")
    slaney = isinstance(settings, MelSettings) and settings.kind != "htk"
    to_mel, to_hz = _SLANEY if slaney else _HTK
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    edges = np.linspace(to_mel(np.array(low)), to_mel(np.array(high)), n_mels + 2)
    bins, edges = (to_mel(bins), edges) if isinstance(settings, KaldiSettings) else (bins, to_hz(edges))
    lower, centre, upper, place = edges[:-2], edges[1:-1], edges[2:], bins[:, None]
    bank = np.maximum(0.0, np.minimum((place - lower) / (centre - lower), (upper - place) / (upper - centre)))
    empty = np.flatnonzero(bank.max(0) < 1e-9).tolist()  # not 0: a bin may lie on an edge but for rounding
    _require(not empty, f"n_mels={n_mels} is too many for n_fft={n_fft} at {rate} Hz: {empty} empty")
    return torch.from_numpy(bank * 2.0 / (upper - lower) if slaney else bank)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SettingsError(message)
