"""The fast conformer of any Parakeet checkpoint in Hugging Face's format, CTC or transducer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from transformers.models.parakeet.configuration_parakeet import ParakeetEncoderConfig
from transformers.models.parakeet.modeling_parakeet import ParakeetEncoder

from speechtransfer.encoders.contract import Encoder, SourceCard, Support, attention_mask, zero_beyond
from speechtransfer.encoders.filterbanks import NemoMel
from speechtransfer.frames import length_mask

#: What decides the architecture, of all that a Parakeet encoder's configuration holds.
_FIELDS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "attention_bias",
    "convolution_bias",
    "conv_kernel_size",
    "subsampling_factor",
    "subsampling_conv_channels",
    "subsampling_conv_kernel_size",
    "subsampling_conv_stride",
    "num_mel_bins",
    "dropout",
    "dropout_positions",
    "activation_dropout",
    "attention_dropout",
    "scale_input",
)
_PREPROCESSOR = ("sampling_rate", "hop_length", "n_fft", "win_length", "preemphasis")


class Parakeet(Encoder):
    """Fast conformer (Rekesh et al. 2023, arXiv:2305.05084): log-mel, eightfold subsampling, conformer layers.

    The decoder of a transducer is left out. Positions are relative, and each layer's are computed from its input.

    Blocks: ``frontend`` (log-mel, subsampling), ``layer0`` to the last, each with a norm of its own at its end.
    """

    family = "parakeet"
    support = Support(
        checkpoints="the encoder of `ParakeetForCTC`, `...ForTDT` or `...ForRNNT`",
        frames="80 ms",
        donor="of `ParakeetForCTC`, by `tokenizer.json`: pieces of words",
        padding="exact",
        long_sound="whole",
    )
    causal = False
    pads_exactly = True
    head = "ctc_head"
    prefixes = ("encoder.", "model.encoder.", "")
    renames: Mapping[str, str] = {"frontend.": "subsampling."}
    discards = (r"ctc_head\..*", r"(decoder|joint|encoder_projector)\..*")

    def __init__(
        self,
        config: ParakeetEncoderConfig,
        preprocessor: Mapping[str, Any] | None = None,
        card: SourceCard | None = None,
    ) -> None:
        super().__init__(card or SourceCard("parakeet encoder with random weights"))
        config._attn_implementation = "sdpa"
        self.config, self.preprocessor = config, dict(preprocessor or {})
        net = ParakeetEncoder(config)
        self.mel = NemoMel(self.preprocessor, config.num_mel_bins)
        self.frontend = net.subsampling
        self.scale = net.input_scale
        self.positions = net.encode_positions
        self.layers = net.layers
        self.width = config.hidden_size
        self.sample_rate = self.preprocessor.get("sampling_rate", 16000)
        self.period = config.subsampling_factor * self.mel.period
        self.blocks = ("frontend", *(f"layer{index}" for index in range(config.num_hidden_layers)))

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Parakeet:
        """From what ``settings`` gave, or ``config.json`` with ``preprocessor_config.json`` as ``preprocessor``."""
        given, described = values.get("preprocessor", {}), values.get("encoder_config") or values
        config = ParakeetEncoderConfig(**{name: described[name] for name in _FIELDS if name in described})
        return cls(config, {name: given[name] for name in _PREPROCESSOR if name in given}, card)

    def settings(self) -> dict[str, Any]:
        """Fields that shape the encoder and its features; ``num_hidden_layers`` counts those left after a cut."""
        values = {name: getattr(self.config, name) for name in _FIELDS}
        return {**values, "num_hidden_layers": len(self.layers), "preprocessor": self.preprocessor}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: log-mel frames, then every strided convolution's own arithmetic."""
        return self._subsampled(self.mel.frame_count(samples))

    def _subsampled(self, frames: Tensor) -> Tensor:
        subsampling = self.frontend
        for _ in range(subsampling.num_layers):
            frames = (frames + 2 * subsampling.padding - subsampling.kernel_size) // subsampling.stride + 1
        return frames

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            features, frames = self.mel(x, lengths, self._augmented)
            x, lengths = self.frontend(features, length_mask(frames, features.shape[1])), self._subsampled(frames)
            x = functional.dropout(x * self.scale, self.config.dropout, self.training)
            return zero_beyond(x, lengths), lengths
        layer: nn.Module = self.layers[int(name.removeprefix("layer"))]
        places = functional.dropout(self.positions(x), self.config.dropout_positions, self.training)
        mask = attention_mask(lengths, x.shape[1])
        return layer(x, attention_mask=mask, position_embeddings=places), lengths

    def _drop_after(self, name: str) -> None:
        self.layers = self.layers[: self._index(name)]
