"""The founding document's network: two hidden layers over log-mel, below the output layer that transfer replaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from speechtransfer.encoders.contract import PlainEncoder, SourceCard, Support
from speechtransfer.errors import SettingsError
from speechtransfer.features import LogMel, MelSettings


class Dnn(PlainEncoder):
    """Linear 80-128, ReLU, Linear 128-64, ReLU, on each log-mel frame alone; its output layer was 64-10.

    The weights are a plain state dict of the whole ``nn.Sequential``, ``0.weight`` to ``4.bias``: its sizes are
    theirs, and ``4`` is the donor, without labels.

    Blocks: ``frontend`` (log-mel, one frame each 10 ms), ``layer0``, ``layer1``.
    """

    family = "dnn"
    support = Support(
        checkpoints="a state dict `0.weight` to `4.bias`, `pretrained_weights.pth` or any file",
        frames="10 ms",
        donor="yes, without labels",
        padding="exact",
        long_sound="whole",
    )
    causal = False
    pads_exactly = True
    head = "4"
    renames: Mapping[str, str] = {"layers.0.": "0.", "layers.1.": "2."}
    discards = (r"4\.(weight|bias)",)

    def __init__(self, mels: int = 80, hidden: tuple[int, ...] = (128, 64), card: SourceCard | None = None) -> None:
        super().__init__(card or SourceCard("dnn with random weights"))
        if min((mels, *hidden)) < 1 or len(hidden) > 2:
            raise SettingsError(f"dnn: mels={mels}, hidden={hidden}: at most two layers, every size at least 1.")
        self.mel = LogMel(MelSettings(n_mels=mels))
        widths = (mels, *hidden)
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in zip(widths, hidden, strict=False))
        self.width = widths[-1]
        self.sample_rate = self.mel.settings.sample_rate
        self.period = self.mel.period
        self.blocks = ("frontend", *(f"layer{index}" for index in range(len(hidden))))

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Dnn:
        """From what ``settings`` gave; what is left out is 80-128-64."""
        return cls(values.get("mels", 80), tuple(values.get("hidden", (128, 64))), card)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], card: SourceCard) -> Dnn:
        """An encoder with random weights, of the sizes of a checkpoint's tensors; 80-128-64 where it lacks them."""
        first, second = (
            tuple(tensors[key].shape) if key in tensors and tensors[key].ndim == 2 else default
            for key, default in (("0.weight", (128, 80)), ("2.weight", (64, 128)))
        )
        return cls(first[1], (first[0], second[0]), card)

    def settings(self) -> dict[str, Any]:
        """``mels``, and the width of each hidden layer that is left after a cut."""
        layers = [layer.out_features for layer in self.layers]
        return {"mels": self.mel.settings.n_mels, "hidden": layers}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: those of the log-mel."""
        return self.mel.frame_count(samples)

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            features, lengths = self.mel(x, lengths)
            return self._augmented(features, lengths), lengths
        return torch.relu(self.layers[int(name.removeprefix("layer"))](x)), lengths

    def _drop_after(self, name: str) -> None:
        self.layers = self.layers[: self._index(name)]
        self.width = (self.mel.settings.n_mels, *self.settings()["hidden"])[-1]
