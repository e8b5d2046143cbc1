"""Our own smallest encoder: causal convolutions over log-mel, 144,000 parameters, which hears sound as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.encoders.causal import CausalEncoder, State
from speechtransfer.encoders.contract import SourceCard, Support, zero_beyond
from speechtransfer.encoders.filterbanks import MEL_DEVIATION, MEL_MEAN, FlooredMel
from speechtransfer.errors import SettingsError
from speechtransfer.features import Cmvn

_STEM_KERNEL = 3
#: Fewer are nothing after two convolutions of three, each halved.
_LEAST_BANDS = 10


class Residual(nn.Module):
    """Two convolutions over time beside a linear shortcut, all three normed over the channels of each frame.

    Frame t is of the inputs up to t times ``stride``: the first frame needs one input, what is before the start is
    zeros.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, kernel, stride)
        self.first_norm = nn.LayerNorm(outputs)
        self.second = nn.Conv1d(outputs, outputs, kernel)
        self.second_norm = nn.LayerNorm(outputs)
        self.shortcut = nn.Linear(inputs, outputs)
        self.shortcut_norm = nn.LayerNorm(outputs)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Frames (B, T, inputs) after those of ``state`` to (B, T / stride, outputs), and the state after them."""
        (kernel,), (stride,) = self.first.kernel_size, self.first.stride
        x, hidden, first = _convolved(self.first, x, state[:1])
        # A window's last frame: what the convolution's output stands at.
        aside = self.shortcut_norm(self.shortcut(x[:, kernel - 1 :: stride]))
        _, hidden, second = _convolved(self.second, functional.relu(self.first_norm(hidden)), state[1:])
        return functional.relu(self.second_norm(hidden) + aside), (first, second)


class Planes(nn.Module):
    """Two convolutions over time and bands, each normed over the channels of a place and halved over the bands.

    A voice that speaks a few bands higher moves what is seen, and little more: words of few speakers are enough for
    others. Frame t is of the log-mel frames up to t.
    """

    def __init__(self, bands: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3)
        self.first_norm = nn.LayerNorm(channels)
        self.second = nn.Conv2d(channels, 2 * channels, 3)
        self.second_norm = nn.LayerNorm(2 * channels)
        self.width = 2 * channels * (((bands - 2) // 2 - 2) // 2)

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Frames (B, T, bands) after those of ``state`` to (B, T, width), and the state after them."""
        _, hidden, first = _convolved(self.first, x.unsqueeze(-1), state[:1])
        _, hidden, second = _convolved(self.second, _halved(self.first_norm(hidden)), state[1:])
        return _halved(self.second_norm(hidden)).flatten(2), (first, second)


def _halved(x: Tensor) -> Tensor:
    """Of (B, T, bands, channels), rectified, the larger of each two bands; a last one without a second is left out."""
    pairs: Tensor = functional.relu(x[:, :, : x.shape[2] // 2 * 2]).unflatten(2, (-1, 2))
    return pairs.amax(3)


class Compact(CausalEncoder):
    """TC-ResNet8-1.5 (Choi et al. 2019, arXiv:1904.03814), causal: log-mel, a convolution, three residual blocks.

    Bands are the channels of convolutions over time. Unlike the paper's, windows are not centred, convolutions look
    to the left alone, LayerNorm over each frame's channels stands in the place of BatchNorm, so that batches and
    streams stay exact, and the last block keeps its frames, since a frame each 80 ms is too few for characters. A
    frame hears the 1.4 s before it.

    Log-mel is normalised by a mean and a deviation of each band, buffers of the state that ``fit`` leaves alone. New
    ones are those of ordinary speech; ``encoder.cmvn = Cmvn.from_statistics(...)`` sets those of a corpus.

    Blocks: ``frontend`` (log-mel, normalisation, planes, a convolution), ``layer0`` to the last.

    Args:
        bands: of the log-mel.
        channels: of the first convolution, then of each block.
        kernel: frames that a block's convolutions see.
        strides: of each block over time; at most ``kernel``.
        planes: channels of the first of two convolutions over time and bands before all others, the second has
            twice as many; 0 is none of them, as in the paper.
        card: where it comes from.

    Raises:
        SettingsError: sizes that cannot be built.
    """

    family = "compact"
    support = Support(
        checkpoints="our run folders",
        frames="40 ms",
        donor="the run's own head",
        padding="exact",
        long_sound="whole, or as it comes",
    )
    pads_exactly = True
    homes: Mapping[str, str] = {"planes": "frontend", "stem": "frontend", "stem_norm": "frontend"}

    def __init__(
        self,
        bands: int = 40,
        channels: tuple[int, ...] = (24, 36, 48, 72),
        kernel: int = 9,
        strides: tuple[int, ...] = (2, 2, 1),
        planes: int = 0,
        card: SourceCard | None = None,
    ) -> None:
        super().__init__(card or SourceCard("compact with random weights"))
        if len(channels) != len(strides) + 1 or min(*channels, *strides, 1) < 1 or kernel < max(strides, default=1):
            raise SettingsError(
                f"compact: {channels=}, {strides=}, {kernel=}: give channels for the first convolution and for each "
                "stride, all at least 1, and a kernel of at least the longest stride."
            )
        if planes < 0 or (planes and bands < _LEAST_BANDS):
            raise SettingsError(f"compact: {planes=}: zero or more, and over at least {_LEAST_BANDS} bands.")
        self.channels, self.kernel, self.strides = channels, kernel, strides
        self.mel = FlooredMel(bands, centred=False)
        self.cmvn = Cmvn(bands)
        self.cmvn.mean.fill_(MEL_MEAN)
        self.cmvn.std.fill_(MEL_DEVIATION)
        self.planes = Planes(bands, planes) if planes else None
        self.stem = nn.Conv1d(self.planes.width if self.planes else bands, channels[0], _STEM_KERNEL)
        self.stem_norm = nn.LayerNorm(channels[0])
        sizes = zip(channels, channels[1:], strides, strict=False)
        self.layers = nn.ModuleList(Residual(inputs, outputs, kernel, stride) for inputs, outputs, stride in sizes)
        self.width = channels[-1]
        self.sample_rate = self.mel.sample_rate
        self.blocks = ("frontend", *(f"layer{index}" for index in range(len(strides))))
        self.periods = {name: prod(strides[:index]) * self.mel.period for index, name in enumerate(self.blocks)}
        self.period = self.periods[self.blocks[-1]]

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Compact:
        """From what ``settings`` gave, with random weights; what is left out takes its default."""
        sizes = {name: tuple(values[name]) for name in ("channels", "strides") if name in values}
        return cls(**{**values, **sizes}, card=card)

    def settings(self) -> dict[str, Any]:
        """The sizes, of the blocks that are left after a cut."""
        left = len(self.layers)
        sizes = {"channels": list(self.channels[: left + 1]), "strides": list(self.strides[:left])}
        planes = self.planes.first.out_channels if self.planes else 0
        return {"bands": self.mel.width, "kernel": self.kernel, **sizes, "planes": planes}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: log-mel frames over each stride, rounded up."""
        frames = self.mel.frame_count(samples)
        for stride in self.strides[: len(self.layers)]:
            frames = (frames + stride - 1) // stride
        return frames

    def step(self, name: str, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Run one block on what follows: x (B, S) or (B, T, D) and what it kept to frames and what it keeps."""
        if name != "frontend":
            index = int(name.removeprefix("layer"))
            found: tuple[Tensor, State] = self.layers[index](x, state)
            return found
        # The frames of what is kept saw silence before it: only those after them are new.
        context = self.mel.context
        wave = torch.cat([state[0] if state else x.new_zeros(len(x), context * self.mel.hop), x], 1)
        features, frames = self.mel(wave, torch.full((len(x),), wave.shape[1], device=x.device))
        features = features[:, context:]
        hidden, past = self._stem(self.cmvn(features, frames - context), state[1:])
        return hidden, (wave[:, features.shape[1] * self.mel.hop :].clone(), *past)

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            features, lengths = self.mel(x, lengths)
            features = zero_beyond(self._augmented(self.cmvn(features, lengths), lengths), lengths)
            return self._stem(features, ())[0], lengths
        stride = self.strides[int(name.removeprefix("layer"))]
        return self.step(name, x, ())[0], (lengths + stride - 1) // stride  # the left alone: no padding is heard

    def _stem(self, features: Tensor, state: State) -> tuple[Tensor, State]:
        planes: State = ()
        if self.planes is not None:
            features, planes = self.planes(features, state[:-1])
        _, hidden, past = _convolved(self.stem, features, state[-1:])
        return functional.relu(self.stem_norm(hidden)), (*planes, past)

    def _drop_after(self, name: str) -> None:
        self.layers = self.layers[: self._index(name)]
        self.width = self.channels[len(self.layers)]


def _convolved(convolution: nn.Conv1d | nn.Conv2d, x: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
    """Convolve frames (B, T, ..., D) after those that ``state`` kept, at the start zeros.

    Gives both together, whole windows of them convolved, and of them what further windows will need.
    """
    (kernel, *across), stride = convolution.kernel_size, convolution.stride[0]
    x = torch.cat([state[0] if state else x.new_zeros(len(x), kernel - 1, *x.shape[2:]), x], 1)
    count = max(0, (x.shape[1] - kernel) // stride + 1)
    if count:
        hidden = convolution(x.movedim(-1, 1)).movedim(1, -1)
    else:
        left = [size - one + 1 for size, one in zip(x.shape[2:-1], across, strict=True)]
        hidden = x.new_zeros(len(x), 0, *left, convolution.out_channels)
    return x, hidden, x[:, count * stride :].clone()
