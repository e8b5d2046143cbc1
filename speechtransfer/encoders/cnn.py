"""The founding document's convolutional network: square patches of log-mel, looked at as pictures are."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt, prod
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.encoders.contract import PlainEncoder, SourceCard, Support, zero_beyond
from speechtransfer.errors import SettingsError, SourceError
from speechtransfer.features import LogMel, MelSettings

_DROPOUT = 0.25


class Cnn(PlainEncoder):
    """Conv 32 (3x3), ReLU, conv 64 (3x3), ReLU, max pool 2, dropout, dense 128, ReLU, on 28 x 28 patches of log-mel.

    A patch is 28 bands by 28 frames of 10 ms, its rows the bands, and gives one frame. Patches begin every 70 ms, so
    that four of them hear each sound: at half a patch (140 ms) frames would be too coarse for CTC. The last patch is
    filled up with zeros, and so is the only one of a clip that is shorter.

    The weights are a plain state dict with the keys of PyTorch's MNIST example, ``conv1.weight`` to ``fc2.bias``: its
    sizes are theirs, and ``fc2`` is the donor, without labels.

    Blocks: ``frontend`` (log-mel, cut into patches), ``layer0`` (conv1), ``layer1`` (conv2, pool), ``layer2`` (fc1).

    Args:
        size: bands and frames of a patch; even, and at least 6.
        hop: frames from one patch to the next, at most ``size``.
        channels: of the two convolutions.
        hidden: width of the dense layer.
        layers: how many of the three are left after a cut.
        card: where it comes from.

    Raises:
        SettingsError: sizes that cannot be built.
    """

    family = "cnn"
    support = Support(
        checkpoints="a state dict `conv1.weight` to `fc2.bias`, `pretrained_weights.pth` or any file",
        frames="70 ms",
        donor="yes, without labels",
        padding="exact",
        long_sound="whole",
    )
    causal = False
    pads_exactly = True
    head = "fc2"
    renames: Mapping[str, str] = {"layers.0.0.": "conv1.", "layers.1.0.": "conv2.", "layers.2.0.": "fc1."}
    discards = (r"fc2\.(weight|bias)",)

    def __init__(
        self,
        size: int = 28,
        hop: int = 7,
        channels: tuple[int, int] = (32, 64),
        hidden: int = 128,
        layers: int = 3,
        card: SourceCard | None = None,
    ) -> None:
        super().__init__(card or SourceCard("cnn with random weights"))
        if size < 6 or size % 2 or not 1 <= hop <= size:
            raise SettingsError(f"cnn: size={size}, hop={hop}: a patch is even and at least 6, a hop at most a patch.")
        if len(channels) != 2 or min(*channels, hidden) < 1 or not 0 <= layers <= 3:
            raise SettingsError(f"cnn: {channels=}, {hidden=}, {layers=}: sizes are at least 1, layers 0 to 3.")
        self.size, self.hop, self.channels, self.hidden = size, hop, channels, hidden
        self.mel = LogMel(MelSettings(n_mels=size))
        one, two = channels
        #: What goes into each layer, a frame's values; the last is what comes out of all three.
        self.shapes = ((1, size, size), (one, size - 2, size - 2), (two * (size // 2 - 2) ** 2,), (hidden,))
        whole = (
            nn.Sequential(nn.Conv2d(1, one, 3), nn.ReLU()),
            nn.Sequential(nn.Conv2d(one, two, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(_DROPOUT)),
            nn.Sequential(nn.Linear(*self.shapes[2], hidden), nn.ReLU()),
        )
        self.layers = nn.ModuleList(whole[:layers])
        self.width = prod(self.shapes[len(self.layers)])
        self.sample_rate = self.mel.settings.sample_rate
        self.period = hop * self.mel.period
        self.blocks = ("frontend", *(f"layer{index}" for index in range(layers)))

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Cnn:
        """From what ``settings`` gave, with random weights; what is left out takes its default."""
        sizes = {**values, "channels": tuple(values.get("channels", (32, 64)))}
        return cls(**sizes, card=card)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], card: SourceCard) -> Cnn:
        """An encoder with random weights, of the sizes of a checkpoint's tensors; the default where it lacks them.

        Raises:
            SourceError: the dense layer's inputs are not those of a square patch.
        """
        one, two, dense = (
            tuple(tensors[key].shape) if key in tensors and tensors[key].ndim == len(default) else default
            for key, default in (
                ("conv1.weight", (32, 1, 3, 3)),
                ("conv2.weight", (64, 32, 3, 3)),
                ("fc1.weight", (128, 9216)),
            )
        )
        # Two convolutions take two bands and two frames each, the pooling half of what is left.
        side = isqrt(dense[1] // two[0])
        if side < 1 or two[0] * side**2 != dense[1]:
            raise SourceError(
                f"{card.id}: fc1.weight has {dense[1]} inputs, which {two[0]} channels of a square patch cannot give. "
                "Of 28 x 28 patches they are 64 * 12 * 12."
            )
        return cls(2 * side + 4, min(7, 2 * side + 4), (one[0], two[0]), dense[0], card=card)

    def settings(self) -> dict[str, Any]:
        """The sizes; ``layers`` counts those left after a cut."""
        sizes = {"size": self.size, "hop": self.hop, "channels": list(self.channels), "hidden": self.hidden}
        return {**sizes, "layers": len(self.layers)}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Patches of (B,) samples: the first wherever there is sound, then as many as reach its end."""
        frames = self.mel.frame_count(samples)
        return ((frames - self.size).clamp(min=0) + self.hop - 1) // self.hop + (frames > 0)

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            return self._patches(x, lengths)
        index = int(name.removeprefix("layer"))
        done: Tensor = self.layers[index](x.reshape(-1, *self.shapes[index]))
        return done.reshape(*x.shape[:2], -1), lengths

    def _patches(self, wave: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Wave (B, S) and (B,) samples to patches (B, T, size * size), T at least 1, and (B,) patches."""
        features, frames = self.mel(wave, samples)
        features = zero_beyond(self._augmented(features, frames), frames)
        more = max(0, -((self.size - features.shape[1]) // self.hop))  # patches after the first
        spare = self.size + more * self.hop - features.shape[1]
        cut = functional.pad(features, (0, 0, 0, spare)).unfold(1, self.size, self.hop)
        lengths = self.frame_lengths(samples)
        return zero_beyond(cut.flatten(2), lengths), lengths

    def _drop_after(self, name: str) -> None:
        self.layers = self.layers[: self._index(name)]
        self.width = prod(self.shapes[len(self.layers)])
