"""Our own small conformer over log-mel: 40 ms frames, 1.5 to 4 million parameters, exact in padded batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.encoders.contract import Encoder, SourceCard, Support, attention_mask, zero_beyond
from speechtransfer.errors import SettingsError
from speechtransfer.features import LogMel, MelSettings


@dataclass(frozen=True)
class ConformerSettings:
    """Sizes of the conformer.

    Attributes:
        mel: the log-mel front end.
        width: channels of every block; even, and a multiple of ``heads``.
        layers: conformer blocks.
        heads: attention heads.
        kernel: frames that a block's depthwise convolution sees; odd.
        expansion: hidden width of a feed-forward module over ``width``.
        dropout: after every module, over whole channels.
    """

    mel: MelSettings = field(default_factory=MelSettings)
    width: int = 144
    layers: int = 5
    heads: int = 4
    kernel: int = 15
    expansion: int = 4
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse sizes that cannot be built.

        Raises:
            SettingsError: naming the size.
        """
        if min(self.width, self.heads, self.kernel, self.expansion) < 1 or self.layers < 0:
            raise SettingsError("conformer: every size must be at least 1 (layers, after a cut, at least 0).")
        if not 0 <= self.dropout < 1:
            raise SettingsError(f"conformer: dropout {self.dropout} must be in [0, 1).")
        if self.width % (2 * self.heads):
            raise SettingsError(f"conformer: width {self.width} is not a multiple of twice the {self.heads} heads.")
        if self.kernel % 2 == 0:
            raise SettingsError(f"conformer: kernel {self.kernel} must be odd.")


class Subsampling(nn.Module):
    """(B, T, mels) to (B, T / 4, width): two convolutions over time of stride 2, as in Whisper's front end."""

    def __init__(self, mels: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(mels, width, 3, stride=2, padding=1)
        self.second = nn.Conv1d(width, width, 3, stride=2, padding=1)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, mels) and (B,) lengths to (B, ceil(T / 4), width) and their lengths."""
        for convolution in (self.first, self.second):
            x = functional.silu(convolution(zero_beyond(x, lengths).transpose(1, 2))).transpose(1, 2)
            lengths = (lengths + 1) // 2
        return x, lengths


class FeedForward(nn.Module):
    """A pre-norm feed-forward module with SiLU; (B, T, D) to (B, T, D)."""

    def __init__(self, settings: ConformerSettings) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(settings.width)
        self.expand = nn.Linear(settings.width, settings.expansion * settings.width)
        self.contract = nn.Linear(settings.expansion * settings.width, settings.width)
        self.dropout = settings.dropout

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        hidden: Tensor = self.contract(functional.silu(self.expand(self.norm(x))))
        return _drop_channels(hidden, self.dropout if self.training else 0.0)


class Attention(nn.Module):
    """Pre-norm self-attention with rotary positions (Su et al. 2021, arXiv:2104.09864)."""

    def __init__(self, settings: ConformerSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        self.norm = nn.LayerNorm(settings.width)
        self.project_in = nn.Linear(settings.width, 3 * settings.width)
        self.project_out = nn.Linear(settings.width, settings.width)
        self.dropout = settings.dropout

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) with (B,) lengths to (B, T, D)."""
        batch, time, width = x.shape
        projected = self.project_in(self.norm(x)).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            _rotate(query), _rotate(key), value, attn_mask=attention_mask(lengths, time)
        )
        mixed: Tensor = self.project_out(attended.transpose(1, 2).reshape(batch, time, width))
        return _drop_channels(mixed, self.dropout if self.training else 0.0)


def _drop_channels(x: Tensor, rate: float) -> Tensor:
    """Dropout of (B, T, D) with one mask for all frames of an item (Gal and Ghahramani 2016, arXiv:1512.05287).

    On a CPU a mask for every value costs a tenth of the training time; this one costs nothing.
    """
    return x if rate == 0 else functional.dropout1d(x.transpose(1, 2), rate).transpose(1, 2)


def _rotate(x: Tensor) -> Tensor:
    """Turn each pair of channels of (B, H, T, D) by an angle that grows with its place in time."""
    half = x.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = torch.arange(x.shape[-2], device=x.device, dtype=torch.float32)[:, None] * rates
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, two = x[..., :half], x[..., half:]
    return torch.cat([one * cosine - two * sine, one * sine + two * cosine], dim=-1)


class Convolution(nn.Module):
    """Pre-norm gated depthwise convolution; LayerNorm in the place of BatchNorm, so batches stay exact."""

    def __init__(self, settings: ConformerSettings) -> None:
        super().__init__()
        width = settings.width
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, settings.kernel, padding=settings.kernel // 2, groups=width)
        self.inner_norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, width)
        self.dropout = settings.dropout

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) with (B,) lengths to (B, T, D)."""
        gated = zero_beyond(functional.glu(self.gate(self.norm(x))), lengths)
        mixed = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        projected: Tensor = self.project(functional.silu(self.inner_norm(mixed)))
        return _drop_channels(projected, self.dropout if self.training else 0.0)


class ConformerLayer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, norm (Gulati et al. 2020, arXiv:2005.08100)."""

    def __init__(self, settings: ConformerSettings) -> None:
        super().__init__()
        self.feed_in = FeedForward(settings)
        self.attention = Attention(settings)
        self.convolution = Convolution(settings)
        self.feed_out = FeedForward(settings)
        self.norm = nn.LayerNorm(settings.width)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) with (B,) lengths to (B, T, D)."""
        x = x + 0.5 * self.feed_in(x)
        x = x + self.attention(x, lengths)
        x = x + self.convolution(x, lengths)
        x = x + 0.5 * self.feed_out(x)
        normed: Tensor = self.norm(x)
        return normed


class Conformer(Encoder):
    """Log-mel, four-fold subsampling, conformer layers. Final: sizes come from ConformerSettings."""

    family = "conformer"
    support = Support(
        checkpoints="our run folders",
        frames="40 ms",
        donor="the run's own head",
        padding="exact",
        long_sound="whole",
    )
    causal = False
    pads_exactly = True
    homes: Mapping[str, str] = {"subsampling": "frontend"}

    def __init__(self, sizes: ConformerSettings | None = None, card: SourceCard | None = None) -> None:
        super().__init__(card or SourceCard("conformer with random weights"))
        self.sizes = sizes or ConformerSettings()
        self.mel = LogMel(self.sizes.mel)
        self.subsampling = Subsampling(self.sizes.mel.n_mels, self.sizes.width)
        self.layers = nn.ModuleList(ConformerLayer(self.sizes) for _ in range(self.sizes.layers))
        self.width = self.sizes.width
        self.sample_rate = self.sizes.mel.sample_rate
        self.period = 4 * self.mel.period
        self.blocks = ("frontend", *(f"layer{index}" for index in range(self.sizes.layers)))

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Conformer:
        """From what ``settings`` gave, with random weights; what is left out takes its default."""
        mel = MelSettings(**values.get("mel", {}))
        return cls(ConformerSettings(**{**values, "mel": mel}), card)

    def settings(self) -> dict[str, Any]:
        """Plain values of ConformerSettings; ``layers`` counts what is left after a cut."""
        return {**asdict(self.sizes), "layers": len(self.layers)}

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: log-mel frames halved twice, rounded up."""
        mel = self.mel.frame_count(samples)
        return ((mel + 1) // 2 + 1) // 2

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name != "frontend":
            return self.layers[int(name.removeprefix("layer"))](x, lengths), lengths
        features, lengths = self.mel(x, lengths)
        x, lengths = self.subsampling(self._augmented(features, lengths), lengths)
        return x, lengths

    def _drop_after(self, name: str) -> None:
        self.layers = self.layers[: self._index(name)]
