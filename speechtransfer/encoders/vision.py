"""Networks of pictures over log-mel: torchvision's ResNet-18 and MobileNetV2, with time left standing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.encoders.contract import PlainEncoder, SourceCard, Support
from speechtransfer.encoders.filterbanks import MEL_DEVIATION, MEL_MEAN, FlooredMel
from speechtransfer.errors import SettingsError
from speechtransfer.frames import length_mask

Backbone = Literal["resnet18", "mobilenet_v2"]
#: Expansion, channels, repetitions and stride of MobileNetV2's stages (Sandler et al. 2018, table 2).
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@dataclass(frozen=True)
class _Stage:
    """A layer with what comes out of it: channels, and one frame and one band for each ``stride`` that go in."""

    layer: nn.Module
    channels: int
    stride: int


class ConvNorm(nn.ModuleList):
    """A convolution without bias, BatchNorm, ReLU6; keys ``0`` and ``1``."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        super().__init__([convolution, nn.BatchNorm2d(outputs)])
        self.stride = stride

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T) and (B,) frames to (B, C', F / stride, T / stride) and theirs."""
        convolution, norm = self
        return functional.relu6(norm(convolution(_cleared(x, lengths)))), _strided(lengths, self.stride)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow without ReLU; beside it a shortcut where sizes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        widened = [] if expansion == 1 else [ConvNorm(inputs, hidden)]
        deep = ConvNorm(hidden, hidden, 3, stride, groups=hidden)
        narrow = nn.Conv2d(hidden, outputs, 1, bias=False)
        self.conv = nn.ModuleList([*widened, deep, narrow, nn.BatchNorm2d(outputs)])
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T) and (B,) frames to (B, C', F / stride, T / stride) and theirs."""
        *convolved, narrow, norm = self.conv
        hidden = x
        for part in convolved:
            hidden, lengths = part(hidden, lengths)
        hidden = norm(narrow(hidden))
        return x + hidden if self.shortcut else hidden, lengths


class Stem(nn.Module):
    """ResNet's beginning: a 7 x 7 convolution, BatchNorm, ReLU, max pool."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, F, T) and (B,) frames to (B, C, F / 4, T / 4) and theirs."""
        x = functional.relu(self.bn1(self.conv1(_cleared(x, lengths))))
        lengths = _strided(lengths, 2)
        # After ReLU a zero never is a window's maximum alone, just as the pool's own padding.
        return functional.max_pool2d(_cleared(x, lengths), 3, 2, 1), _strided(lengths, 2)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2015, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T) and (B,) frames to (B, C', F / stride, T / stride) and theirs."""
        aside = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(_cleared(x, lengths))))
        lengths = _strided(lengths, self.stride)
        return functional.relu(self.bn2(self.conv2(_cleared(x, lengths))) + aside), lengths


class BasicBlocks(nn.ModuleList):
    """A stage of ResNet-18: two basic blocks, the first with the stride."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__([BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1)])

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, F, T) and (B,) frames to (B, C', F / stride, T / stride) and theirs."""
        for block in self:
            x, lengths = block(x, lengths)
        return x, lengths


class Vision(PlainEncoder):
    """ResNet-18 or MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) over log-mel, as torchvision has them.

    The picture is a log-mel of 64 bands, less a mean and over a deviation that are fixed for all sound, three times
    over for the three colours. Strides halve bands and frames five times; the last block averages the bands that are
    left and keeps time, so that a frame is 320 ms: too coarse for CTC, fit for classifying. In the blocks before it a
    frame is its channels by its bands.

    Padded batches are exact because what stands beyond an item's length is zeroed before every convolution, but only
    in eval: in training, BatchNorm mixes the items of a batch, and counts what its convolution makes of the padding.

    The weights are a plain state dict with torchvision's keys; ``fc`` or ``classifier.1`` is the donor, without
    labels. ImageNet's weights do not come with this package: those of ``random:vision`` are random, and no figure of
    it is evidence of what pictures give to speech.

    Blocks: ``frontend`` (log-mel), then for ResNet-18 ``layer0`` (to the max pool) and ``layer1`` to ``layer4``, for
    MobileNetV2 ``layer0`` to ``layer18``, torchvision's ``features``.

    Args:
        backbone: ``resnet18`` or ``mobilenet_v2``.
        bands: of the log-mel.
        scale: of the channels, 1 being the paper's; for MobileNetV2 rounded to eights as torchvision does.
        layers: how many are left after a cut; None is all.
        card: where it comes from.

    Raises:
        SettingsError: an unknown backbone, or sizes that cannot be built.
    """

    family = "vision"
    support = Support(
        checkpoints="a state dict with torchvision's keys of ResNet-18 or MobileNetV2, as for `dnn`",
        frames="320 ms",
        donor="yes, without labels",
        padding="exact, but for BatchNorm in training",
        long_sound="whole",
    )
    causal = False
    pads_exactly = True

    def __init__(
        self,
        backbone: Backbone = "resnet18",
        bands: int = 64,
        scale: float = 1.0,
        layers: int | None = None,
        card: SourceCard | None = None,
    ) -> None:
        super().__init__(card or SourceCard(f"{backbone} with random weights"))
        if backbone not in get_args(Backbone):
            raise SettingsError(f"vision: backbone={backbone!r} is none of {', '.join(get_args(Backbone))}.")
        if scale < 1 / 64:
            raise SettingsError(f"vision: {scale=} leaves no channel; give at least 1/64.")
        stages = _resnet(scale) if backbone == "resnet18" else _mobilenet(scale)
        if not 0 <= (len(stages) if layers is None else layers) <= len(stages):
            raise SettingsError(f"vision: {layers=}; {backbone} has {len(stages)}.")
        self.backbone, self.bands, self.scale, self.whole = backbone, bands, scale, len(stages)
        self.mel = FlooredMel(bands, centred=True)
        #: Channels and bands of what goes into each layer; the last is what comes out.
        self.shapes = [(1, bands)]
        for stage in stages:
            self.shapes.append((stage.channels, -(-self.shapes[-1][1] // stage.stride)))
        self.shapes[-1] = (stages[-1].channels, 1)
        self.strides = [stage.stride for stage in stages]
        self.layers = nn.ModuleList(stage.layer for stage in stages[:layers])
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        self.width = prod(self.shapes[len(self.layers)])
        self.sample_rate = self.mel.sample_rate
        self.blocks = ("frontend", *(f"layer{index}" for index in range(len(self.layers))))
        self.periods = {name: prod(self.strides[:index]) * self.mel.period for index, name in enumerate(self.blocks)}
        self.period = self.periods[self.blocks[-1]]
        self.head = "fc" if backbone == "resnet18" else "classifier.1"
        self.discards = (rf"{self.head}\.(weight|bias)",)
        stages_by_name = {f"layers.{index}.": f"layer{index}." for index in range(1, self.whole)}
        self.renames = {"layers.0.": "", **stages_by_name} if backbone == "resnet18" else {"layers.": "features."}

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Vision:
        """From what ``settings`` gave, with random weights; what is left out takes its default."""
        return cls(**values, card=card)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], card: SourceCard) -> Vision:
        """An encoder with random weights, of the backbone and the scale of a checkpoint's tensors.

        Where the first convolution is missing, the scale is 1.
        """
        mobile = any(key.startswith("features.") for key in tensors)
        key, channels = ("features.0.0.weight", 32) if mobile else ("conv1.weight", 64)
        scale = len(tensors[key]) / channels if key in tensors and tensors[key].ndim else 1.0
        return cls("mobilenet_v2" if mobile else "resnet18", scale=max(scale, 1 / 64), card=card)

    def settings(self) -> dict[str, Any]:
        """Backbone and sizes; ``layers`` counts those left after a cut."""
        return {"backbone": self.backbone, "bands": self.bands, "scale": self.scale, "layers": len(self.layers)}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: log-mel frames over each stride, rounded up."""
        frames = self.mel.frame_count(samples)
        for stride in self.strides[: len(self.layers)]:
            frames = _strided(frames, stride)
        return frames

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            features, lengths = self.mel(x, lengths)
            return self._augmented((features - MEL_MEAN) / MEL_DEVIATION, lengths), lengths
        index = int(name.removeprefix("layer"))
        x = x.unflatten(2, self.shapes[index]).permute(0, 2, 3, 1)
        if index == 0:
            x = x.expand(-1, 3, -1, -1)
        x, lengths = self.layers[index](x, lengths)
        if index == self.whole - 1:
            x = x.mean(2, keepdim=True)
        return x.permute(0, 3, 1, 2).flatten(2), lengths

    def _drop_after(self, name: str) -> None:
        self.layers = self.layers[: self._index(name)]
        self.width = prod(self.shapes[len(self.layers)])


def _resnet(scale: float) -> list[_Stage]:
    """ResNet-18's stem and four stages."""
    widths = [max(1, round(channels * scale)) for channels in (64, 64, 128, 256, 512)]
    stages = [_Stage(Stem(widths[0]), widths[0], 4)]
    for inputs, outputs, stride in zip(widths, widths[1:], (1, 2, 2, 2), strict=False):
        stages.append(_Stage(BasicBlocks(inputs, outputs, stride), outputs, stride))
    return stages


def _mobilenet(scale: float) -> list[_Stage]:
    """MobileNetV2's nineteen ``features``."""
    width = _eights(32 * scale)
    stages = [_Stage(ConvNorm(3, width, 3, 2), width, 2)]
    for expansion, channels, repetitions, stride in _STAGES:
        for number in range(repetitions):
            step, outputs = stride if number == 0 else 1, _eights(channels * scale)
            stages.append(_Stage(InvertedResidual(width, outputs, step, expansion), outputs, step))
            width = outputs
    last = _eights(1280 * max(1.0, scale))
    return [*stages, _Stage(ConvNorm(width, last), last, 1)]


def _eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and not under nine tenths of it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _strided(lengths: Tensor, stride: int) -> Tensor:
    """Frames that a convolution or a pool of this stride makes of (B,) frames, padded by half its kernel."""
    return (lengths + stride - 1) // stride


def _cleared(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, C, F, T) with zeros after each item's length, so that padding never leaks through a convolution."""
    return x * length_mask(lengths, x.shape[3])[:, None, None].to(x.dtype)
