"""What stands before the layers of wav2vec2 and its kin: convolutions over the wave, or stacked fbank."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from speechtransfer.encoders.contract import Augment, zero_beyond
from speechtransfer.encoders.filterbanks import StackedFbank
from speechtransfer.frames import length_mask

_VARIANCE_FLOOR = 1e-7  # of the wave, as transformers' Wav2Vec2FeatureExtractor has it


class WaveformFrontEnd(nn.Module, ABC):
    """Abstract: wave in, what the first layer takes out. ``period`` is seconds a frame of that."""

    period: float

    @abstractmethod
    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples, exactly: (B,) int64, 0 where the sound is shorter than one frame's window."""

    @abstractmethod
    def forward(self, wave: Tensor, samples: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
        """Wave (B, S) with (B,) samples to (B, T, D), T at least 1, and (B,) frames."""


class ConvolutionalFrontEnd(WaveformFrontEnd):
    """Convolutions over the wave, a projection, convolutional positions (Baevski et al. 2020, arXiv:2006.11477).

    The wave is first brought to zero mean and unit variance over its valid samples, where ``do_normalize`` of
    the checkpoint's ``preprocessor_config.json`` says so. Without that file it is, which is transformers' default
    for both norms of the convolutions. ``augment`` changes what the convolutions give, before the projection.

    Modules keep transformers' names, but ``output_norm``, which there is the encoder's ``layer_norm``.
    """

    def __init__(self, net: Any, preprocessor: Mapping[str, Any]) -> None:
        super().__init__()
        config, stack = net.config, net.encoder
        self.normalize = bool(preprocessor.get("do_normalize", True))
        self.steps = tuple(zip(config.conv_kernel, config.conv_stride, strict=True))
        self.feature_extractor = net.feature_extractor
        self.feature_extractor._requires_grad = False  # of the wave: it is for gradient checkpointing alone
        self.squeeze: int = getattr(config, "squeeze_factor", 1)
        self.pool: Any = getattr(stack, "pool", None)
        self.layer_norm = net.layer_norm if self.pool is not None else None
        self.feature_projection = getattr(net, "feature_projection", None)
        self.feature_dropout = getattr(net, "feature_dropout", None)
        # A wav2vec2-conformer has convolutional positions too, but never uses them: its attention knows order.
        self.pos_conv_embed: Any = None if hasattr(stack, "embed_positions") else stack.pos_conv_embed
        norm_first = getattr(config, "do_stable_layer_norm", False) or self.pos_conv_embed is None
        self.output_norm = None if norm_first else getattr(stack, "layer_norm", None)
        self.dropout = getattr(stack, "dropout", None)
        hop = int(torch.tensor(config.conv_stride).prod()) * self.squeeze
        self.period = hop / preprocessor.get("sampling_rate", 16000)

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: every convolution's own arithmetic, then whole groups of ``squeeze``."""
        return self._convolved(samples) // self.squeeze

    def _convolved(self, samples: Tensor) -> Tensor:
        for kernel, stride in self.steps:
            samples = ((samples - kernel) // stride + 1).clamp(min=0)
        return samples

    def _least(self) -> int:
        """Samples of the shortest sound that gives a frame."""
        size = self.squeeze
        for kernel, stride in reversed(self.steps):
            size = (size - 1) * stride + kernel
        return size

    def forward(self, wave: Tensor, samples: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
        """Wave (B, S) with (B,) samples to (B, T, D), T at least 1, and (B,) frames."""
        wave = self._prepared(wave, samples)
        lengths = self._convolved(samples)
        x = self.feature_extractor(wave).transpose(1, 2)
        x = zero_beyond(self._projected(augment(x, lengths)), lengths)
        if self.pool is not None:
            x, lengths = self._squeezed(x), lengths // self.squeeze
        elif self.pos_conv_embed is not None:
            x = x + self._positions(x, lengths)
        for module in (self.output_norm, self.dropout):
            x = x if module is None else module(x)
        return zero_beyond(x, lengths), lengths

    def _prepared(self, wave: Tensor, samples: Tensor) -> Tensor:
        """Normalised over the valid samples, zeros behind, long enough for one frame."""
        valid = length_mask(samples, wave.shape[1])
        wave = wave.masked_fill(~valid, 0.0)
        if self.normalize:
            count = samples.clamp(min=1)[:, None]
            centred = (wave - wave.sum(1, keepdim=True) / count).masked_fill(~valid, 0.0)
            wave = centred / (centred.square().sum(1, keepdim=True) / count + _VARIANCE_FLOOR).sqrt()
        return nn.functional.pad(wave, (0, max(0, self._least() - wave.shape[1])))

    def _projected(self, x: Tensor) -> Tensor:
        x = x if self.layer_norm is None else self.layer_norm(x)
        projected = x if self.feature_projection is None else self.feature_projection(x)
        x = projected[0] if isinstance(projected, tuple) else projected  # most give what is normalised as well
        return x if self.feature_dropout is None else self.feature_dropout(x)

    def _positions(self, x: Tensor, lengths: Tensor) -> Tensor:
        if not hasattr(self.pos_conv_embed, "layers"):
            alone: Tensor = self.pos_conv_embed(x)
            return alone
        for layer in self.pos_conv_embed.layers:  # data2vec: several, so what is behind an item is zeroed again
            x = layer(zero_beyond(x, lengths).transpose(1, 2)).transpose(1, 2)
        return x

    def _squeezed(self, x: Tensor) -> Tensor:
        """SEW's fewer frames (Wu et al. 2021, arXiv:2109.06870): means of neighbours plus strided positions."""
        x = x.transpose(1, 2)
        means, positions = self.pool(x), self.pos_conv_embed(x)
        size = min(means.shape[2], positions.shape[2])
        squeezed: Tensor = means[..., :size] + positions[..., :size]
        return squeezed.transpose(1, 2)


class FbankFrontEnd(WaveformFrontEnd):
    """Stacked fbank and a projection: w2v-BERT's. ``augment`` changes the normalised bands."""

    def __init__(self, net: Any, preprocessor: Mapping[str, Any]) -> None:
        super().__init__()
        self.fbank = StackedFbank(preprocessor)
        self.feature_projection = net.feature_projection
        self.dropout = net.encoder.dropout
        self.period = self.fbank.period

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: whole stacks of Kaldi's frames."""
        return self.fbank.frame_count(samples)

    def forward(self, wave: Tensor, samples: Tensor, augment: Augment) -> tuple[Tensor, Tensor]:
        """Wave (B, S) with (B,) samples to (B, T, D), T at least 1, and (B,) frames."""
        x, lengths = self.fbank(wave, samples, augment)
        x = zero_beyond(self.feature_projection(x)[0], lengths)
        return self.dropout(x), lengths
