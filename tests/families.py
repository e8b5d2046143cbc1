"""Tiny encoders of every family, and sound for them, for the tests of encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.whisper.configuration_whisper import WhisperConfig

from speechtransfer.encoders import family
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.encoders.whisper import Whisper
from speechtransfer.features import MelSettings
from speechtransfer.objectives import Classify, Ctc, Objective
from speechtransfer.objectives.ctc_head import LONGEST_PERIOD
from speechtransfer.vocabulary import Vocabulary

torch.set_num_threads(1)
VOCABULARY = Vocabulary(tuple(" abc"))
CARD = SourceCard("tiny", "MIT", ("eng",), "ab" * 32, frozenset({"x", "y"}))
_SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
_WAVE = {
    **_SIZES,
    "conv_dim": [8, 8, 8],
    "conv_stride": [8, 4, 4],
    "conv_kernel": [10, 5, 3],
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
}
_NORMED = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
_BERT = {**_SIZES, "conv_depthwise_kernel_size": 5}
#: Values of a ``config.json`` by a name of ours: every architecture that the family ``waveform`` tells apart.
WAVEFORM: Mapping[str, Mapping[str, Any]] = {
    "wav2vec2": {"model_type": "wav2vec2", **_WAVE, **_NORMED},
    "wav2vec2_group": {"model_type": "wav2vec2", **_WAVE},
    "mms": {"model_type": "wav2vec2", **_WAVE, **_NORMED, "adapter_attn_dim": 4},
    "hubert": {"model_type": "hubert", **_WAVE, "feat_extract_norm": "layer", "feat_proj_layer_norm": False},
    "hubert_batch": {"model_type": "hubert", **_WAVE, **_NORMED, "conv_pos_batch_norm": True},
    "wavlm": {"model_type": "wavlm", **_WAVE, **_NORMED, "num_buckets": 32, "max_bucket_distance": 40},
    "wavlm_group": {"model_type": "wavlm", **_WAVE, "num_buckets": 32, "max_bucket_distance": 40},
    "data2vec": {"model_type": "data2vec-audio", **_WAVE, "conv_pos_kernel_size": 5, "num_conv_pos_embeddings": 3},
    "unispeech": {"model_type": "unispeech", **_WAVE, **_NORMED},
    "unispeech_sat": {"model_type": "unispeech-sat", **_WAVE, "feat_extract_norm": "layer"},
    "sew": {"model_type": "sew", **_WAVE, "feat_extract_norm": "layer", "squeeze_factor": 2},
    "sew_d": {
        "model_type": "sew-d",
        **_WAVE,
        "feat_extract_norm": "layer",
        "position_buckets": 16,
        "max_position_embeddings": 32,
    },
    "conformer_relative": {"model_type": "wav2vec2-conformer", **_WAVE, **_BERT, "feat_extract_norm": "layer"},
    "conformer_rotary": {
        "model_type": "wav2vec2-conformer",
        **_WAVE,
        **_BERT,
        "feat_extract_norm": "layer",
        "position_embeddings_type": "rotary",
    },
    "w2v_bert": {
        "model_type": "wav2vec2-bert",
        **_BERT,
        "left_max_position_embeddings": 5,
        "right_max_position_embeddings": 3,
    },
    "w2v_bert_relative": {"model_type": "wav2vec2-bert", **_BERT, "position_embeddings_type": "relative"},
    "w2v_bert_rotary": {"model_type": "wav2vec2-bert", **_BERT, "position_embeddings_type": "rotary"},
}
COMPACT: Mapping[str, Any] = {"bands": 24, "channels": [8, 12, 16, 20], "kernel": 5}
RESNET: Mapping[str, Any] = {"bands": 32, "scale": 1 / 16}
MOBILENET: Mapping[str, Any] = {"backbone": "mobilenet_v2", "bands": 40, "scale": 0.05}
PARAKEET: Mapping[str, Any] = {**_SIZES, "subsampling_conv_channels": 4, "conv_kernel_size": 5, "num_mel_bins": 24}


def whisper(positions: int = 1500, **config: object) -> Whisper:
    sizes = {"d_model": 16, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 24}
    return Whisper(WhisperConfig(**{**sizes, "max_source_positions": positions, **config}), CARD)


def conformer(**sizes: int) -> Conformer:
    mel = MelSettings(n_mels=24)
    return Conformer(ConformerSettings(mel, **{"width": 16, "layers": 3, "heads": 2, "kernel": 5, **sizes}), CARD)


def settled(module: nn.Module) -> nn.Module:
    """The module in eval, every value of it moved at random, so that none is a zero or a one that hides a fault."""
    with torch.no_grad():
        for value in module.parameters():
            value.add_(0.1 * torch.randn_like(value))
        for name, value in module.named_buffers():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0)
            elif name.endswith("running_mean"):
                value.normal_()
    return module.eval()


def waveform(name: str) -> Encoder:
    return settled(family("waveform").from_settings(WAVEFORM[name], CARD))  # type: ignore[return-value]


#: Encoders whose padded batches are exact, by a name of ours. whisper20 has positions for 0.4 s, so that short
#: sound already makes windows.
FAMILIES: Mapping[str, Callable[[], Encoder]] = {
    "conformer": conformer,
    "whisper": whisper,
    "whisper20": lambda: whisper(20),
    "dnn": lambda: family("dnn").from_settings({"hidden": [20, 16]}, CARD),
    "cnn": lambda: family("cnn").from_settings({"size": 16, "channels": [4, 6], "hidden": 20}, CARD),
    "compact": lambda: settled(family("compact").from_settings(COMPACT, CARD)),  # type: ignore[return-value]
    "resnet": lambda: settled(family("vision").from_settings(RESNET, CARD)),  # type: ignore[return-value]
    "mobilenet": lambda: settled(family("vision").from_settings(MOBILENET, CARD)),  # type: ignore[return-value]
    "parakeet": lambda: settled(family("parakeet").from_settings(PARAKEET, CARD)),  # type: ignore[return-value, dict-item]
    **{
        name: lambda name=name: waveform(name)  # type: ignore[misc]
        for name in ("wav2vec2", "wavlm", "data2vec", "sew", "sew_d", "w2v_bert")
    },
}


def build(name: str) -> Encoder:
    torch.manual_seed(11)
    return FAMILIES[name]().eval()


def objective(encoder: Encoder) -> Objective:
    """What an encoder can be trained for: characters, or where its frames are too coarse for them, labels."""
    return Classify(("no", "yes")) if encoder.period > LONGEST_PERIOD else Ctc(VOCABULARY)


def noise(*samples: int) -> tuple[Tensor, Tensor]:
    """A padded batch with what nobody may read behind each item."""
    generator = torch.Generator().manual_seed(sum(samples))
    wave = 0.1 * torch.randn(len(samples), max(samples), generator=generator)
    for item, count in enumerate(samples):
        wave[item, count:] = float("nan") if item % 2 else 1e3
    return wave, torch.tensor(samples)
