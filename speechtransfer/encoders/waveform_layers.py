"""One layer of wav2vec2 or its kin, run alone: what it must know of places is computed anew from the shapes.

transformers computes positions once, before the first layer, and some of it keeps them in the module. Here
every layer can be the first to run, and nothing is left over from another batch, device or inference mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechtransfer.encoders.contract import attention_mask
from speechtransfer.frames import length_mask

#: Runs layer ``index`` of all on (B, T, D) with (B,) frames.
RunLayer = Callable[[Any, int, Tensor, Tensor], Tensor]


def run_plain(layers: Any, index: int, x: Tensor, lengths: Tensor) -> Tensor:
    """A Transformer layer that learns of order from its input alone."""
    done: Tensor = layers[index](x, attention_mask=attention_mask(lengths, x.shape[1]))
    return done


def run_wavlm(layers: Any, index: int, x: Tensor, lengths: Tensor) -> Tensor:
    """WavLM's layer: every layer gates the position bias of the first (Chen et al. 2021, arXiv:2110.13900)."""
    from transformers.models.wavlm.modeling_wavlm import WavLMEncoderLayerStableLayerNorm

    layer = layers[index]
    bias = layers[0].attention.compute_bias(x.shape[1], x.shape[1])
    if isinstance(layer, WavLMEncoderLayerStableLayerNorm):
        x = x + layer.dropout(_gated_attention(layer.attention, layer.layer_norm(x), lengths, bias))
        x = x + layer.feed_forward(layer.final_layer_norm(x))
    else:
        x = layer.layer_norm(x + layer.dropout(_gated_attention(layer.attention, x, lengths, bias)))
        x = layer.final_layer_norm(x + layer.feed_forward(x))
    return x


def _gated_attention(attention: Any, x: Tensor, lengths: Tensor, bias: Tensor) -> Tensor:
    """WavLM's attention on (B, T, D), fused, with the position bias (H, T, T) times a gate of each query."""
    batch, time, width = x.shape

    def heads(values: Tensor) -> Tensor:
        return values.view(batch, time, attention.num_heads, -1).transpose(1, 2)

    gates = attention.gru_rel_pos_linear(heads(x)).view(batch, attention.num_heads, time, 2, 4).sum(-1).sigmoid()
    reset, update = gates[..., :1], gates[..., 1:]
    bias = (reset * (update * attention.gru_rel_pos_const - 1.0) + 2.0) * bias
    padding = attention_mask(lengths, time)
    if padding is not None:
        bias = bias.masked_fill(~padding, float("-inf"))
    query, key, value = (heads(project(x)) for project in (attention.q_proj, attention.k_proj, attention.v_proj))
    rate = attention.dropout if attention.training else 0.0
    mixed = functional.scaled_dot_product_attention(query, key, value, bias.to(query.dtype), rate)
    projected: Tensor = attention.out_proj(mixed.transpose(1, 2).reshape(batch, time, width))
    return projected


def run_conformer(layers: Any, index: int, x: Tensor, lengths: Tensor) -> Tensor:
    """The layer of wav2vec2-conformer (Gulati et al. 2020, arXiv:2005.08100) and w2v-BERT 2.0 (arXiv:2312.05187).

    The former's convolution looks into the padding; the latter's looks back only, so that padding is harmless.
    """
    layer, time = layers[index], x.shape[1]
    places = _places(layer.self_attn, time, x)
    done: Tensor = layer(x, attention_mask=attention_mask(lengths, time), relative_position_embeddings=places)
    return done


def _places(attention: Any, time: int, x: Tensor) -> Tensor | None:
    """What a conformer's attention must know of places: rotations (2, T, 1, 1, D / H), distances (1, 2T - 1, D)."""
    config = attention.config
    if attention.position_embeddings_type == "rotary":
        rates = _rates(attention.head_size, config.rotary_embedding_base, x.device)
        angles = torch.arange(time, device=x.device, dtype=torch.float32)[:, None] * rates
        angles = torch.cat([angles, angles], dim=-1)[:, None, None]
        return torch.stack([angles.cos(), angles.sin()]).to(x.dtype)
    if attention.position_embeddings_type == "relative":
        distances = torch.arange(time - 1, -time, -1, device=x.device, dtype=torch.float32)
        angles = distances[:, None] * _rates(config.hidden_size, 10_000, x.device)
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[None].to(x.dtype)
    return None  # relative_key: its attention computes distances itself


def _rates(width: int, base: float, device: torch.device) -> Tensor:
    """(width / 2,) radians a frame, from fast to slow."""
    return torch.exp(torch.arange(0, width, 2, device=device, dtype=torch.float32) * (-math.log(base) / width))


class Distances(nn.Module):
    """SEW-D's embedding of distances, which all its layers share; it lives in the first."""

    def __init__(self, stack: Any) -> None:
        super().__init__()
        self.rel_embeddings = stack.rel_embeddings
        self.LayerNorm = getattr(stack, "LayerNorm", None)

    def forward(self) -> Tensor:
        """(2 x distances, D)."""
        values: Tensor = self.rel_embeddings.weight
        return values if self.LayerNorm is None else self.LayerNorm(values)


def run_sew_d(layers: Any, index: int, x: Tensor, lengths: Tensor) -> Tensor:
    """SEW-D's layer: disentangled attention over content and distance (He et al. 2020, arXiv:2006.03654)."""
    from transformers.models.sew_d.modeling_sew_d import build_relative_position

    attention, time = layers[index].attention.self, x.shape[1]
    mask = length_mask(lengths.clamp(min=1), time)[:, None, None]
    distances = relative = None
    if attention.relative_attention:
        buckets, most = attention.position_buckets, attention.max_relative_positions
        distances, relative = layers[0].distances(), build_relative_position(time, time, buckets, most, x.device)
    done: Tensor = layers[index](x, mask, relative_pos=relative, rel_embeddings=distances)
    return done


#: By model type; all others are plain.
RUN_LAYER: Mapping[str, RunLayer] = {
    "wavlm": run_wavlm,
    "wav2vec2-conformer": run_conformer,
    "wav2vec2-bert": run_conformer,
    "sew-d": run_sew_d,
}
