"""The encoder of any Whisper checkpoint in Hugging Face's format, at each clip's own length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer, sinusoids

from speechtransfer.encoders.contract import Encoder, SourceCard, Support, attention_mask, zero_beyond
from speechtransfer.features import LogMel, MelSettings
from speechtransfer.frames import pad

#: What decides the encoder's architecture, of all that a Whisper configuration holds.
_FIELDS = (
    "d_model",
    "encoder_layers",
    "encoder_attention_heads",
    "encoder_ffn_dim",
    "num_mel_bins",
    "max_source_positions",
    "activation_function",
    "scale_embedding",
    "dropout",
    "attention_dropout",
    "activation_dropout",
)


class Whisper(Encoder):
    """Whisper's encoder (Radford et al. 2022, arXiv:2212.04356) without the padding to 30 s.

    Training padded every clip to 30 s with silence; on short clips most of the work then goes into it.
    Here a clip keeps its length: positions count from its start, and attention sees its frames alone.
    Sound over 30 s is attended in windows of equal size, none over 30 s, over one log-mel of the whole.

    Blocks: ``frontend`` (log-mel, two convolutions, positions), ``layer0`` to the last, ``norm``.
    """

    family = "whisper"
    support = Support(
        checkpoints="any Whisper checkpoint in Hugging Face's format; the decoder is left out",
        frames="20 ms",
        donor="none",
        padding="exact",
        long_sound="windows of at most 30 s",
    )
    causal = False
    pads_exactly = True
    homes: Mapping[str, str] = {
        **dict.fromkeys(("conv1", "conv2", "embed_positions"), "frontend"),
        "layer_norm": "norm",
    }
    prefixes = ("model.encoder.", "encoder.", "")
    discards = (r"(model\.)?decoder\..*", r"proj_out\.weight")
    constants = (r"embed_positions\.weight",)

    def __init__(self, config: WhisperConfig, card: SourceCard | None = None) -> None:
        super().__init__(card or SourceCard("whisper encoder with random weights"))
        config._attn_implementation = "sdpa"
        self.config = config
        self.mel = LogMel(MelSettings(kind="whisper", n_mels=config.num_mel_bins))
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, kernel_size=3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.max_source_positions, config.d_model)
        with torch.no_grad():
            self.embed_positions.weight.copy_(sinusoids(config.max_source_positions, config.d_model))
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm: nn.Module = nn.LayerNorm(config.d_model)
        self.width = config.d_model
        self.sample_rate = self.mel.settings.sample_rate
        self.period = 2 * self.mel.period
        self.blocks = ("frontend", *(f"layer{index}" for index in range(config.encoder_layers)), "norm")

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Whisper:
        """From what ``settings`` gave, or from the values of a checkpoint's ``config.json``."""
        encoder = cls(WhisperConfig(**{name: values[name] for name in _FIELDS if name in values}), card)
        if not values.get("norm", True):
            encoder._drop_after(encoder.blocks[-2])
            encoder.blocks = encoder.blocks[:-1]
        return encoder

    def settings(self) -> dict[str, Any]:
        """The configuration's fields that shape the encoder; ``encoder_layers`` counts those left."""
        values = {name: getattr(self.config, name) for name in _FIELDS}
        return {**values, "encoder_layers": len(self.layers), "norm": "norm" in self.blocks}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: log-mel frames halved, rounded up."""
        return (self.mel.frame_count(samples) + 1) // 2

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            return self._frontend(x, lengths)
        if name == "norm":
            return self.layer_norm(x), lengths
        layer = self.layers[int(name.removeprefix("layer"))]
        windows, window_lengths, counts = self._windowed(x, lengths)
        done = layer(windows, attention_mask(window_lengths, windows.shape[1]))
        return _joined(done, window_lengths, counts, x.shape[1]), lengths

    def _frontend(self, wave: Tensor, samples: Tensor) -> tuple[Tensor, Tensor]:
        features, lengths = self.mel(wave, samples)
        features = zero_beyond(self._augmented(features, lengths), lengths)
        x = functional.gelu(self.conv1(features.transpose(1, 2))).transpose(1, 2)
        x = functional.gelu(self.conv2(zero_beyond(x, lengths).transpose(1, 2))).transpose(1, 2)
        lengths = (lengths + 1) // 2
        sizes = self._window_sizes(lengths)
        places = torch.arange(x.shape[1], device=x.device) % sizes[:, None]
        return zero_beyond(x + self.embed_positions(places), lengths), lengths

    def _window_sizes(self, lengths: Tensor) -> Tensor:
        """(B,) frames of a window for each item: equal parts, none above the positions there are."""
        parts = (lengths + self.config.max_source_positions - 1) // self.config.max_source_positions
        parts = parts.clamp(min=1)
        return ((lengths + parts - 1) // parts).clamp(min=1)

    def _windowed(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, tuple[int, ...]]:
        """Cut (B, T, D) into windows as further items; gives them, their lengths, and how many an item has."""
        if x.shape[1] <= self.config.max_source_positions:
            return x, lengths, ()
        pieces, counts = [], []
        for item, length, size in zip(x, lengths.tolist(), self._window_sizes(lengths).tolist(), strict=True):
            cut = item[: max(length, 1)].split(size)
            pieces.extend(cut)
            counts.append(len(cut))
        windows, window_lengths = pad(pieces)
        return windows, window_lengths.to(lengths.device), tuple(counts)

    def _drop_after(self, name: str) -> None:
        if name != "norm":
            self.layers = self.layers[: self._index(name)]
            self.layer_norm = nn.Identity()


def _joined(windows: Tensor, lengths: Tensor, counts: tuple[int, ...], size: int) -> Tensor:
    """The inverse of ``_windowed``: (B, T, D) again, zeros behind each item."""
    if not counts:
        return windows
    pieces = [window[:length] for window, length in zip(windows, lengths.tolist(), strict=True)]
    items, first = [], 0
    for count in counts:
        items.append(torch.cat(pieces[first : first + count]))
        first += count
    joined, _ = pad(items)
    return functional.pad(joined, (0, 0, 0, size - joined.shape[1]))
