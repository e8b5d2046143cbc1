"""wav2vec2 and its kin, through transformers' Auto classes: one class for eleven model types, one set of blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers.configuration_utils import PretrainedConfig

from speechtransfer.encoders.contract import Encoder, SourceCard, Support
from speechtransfer.encoders.waveform_frontend import ConvolutionalFrontEnd, FbankFrontEnd, WaveformFrontEnd
from speechtransfer.encoders.waveform_layers import RUN_LAYER, Distances, run_plain

#: What decides the architecture, of all that the configurations of these model types hold.
_FIELDS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout",
    "activation_dropout",
    "attention_dropout",
    "feat_proj_dropout",
    "feat_proj_layer_norm",
    "layer_norm_eps",
    "feature_layer_norm_eps",
    "feat_extract_norm",
    "feat_extract_activation",
    "conv_dim",
    "conv_stride",
    "conv_kernel",
    "conv_bias",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "conv_pos_kernel_size",
    "conv_pos_batch_norm",
    "do_stable_layer_norm",
    "adapter_attn_dim",
    "num_buckets",
    "max_bucket_distance",
    "squeeze_factor",
    "max_position_embeddings",
    "position_buckets",
    "share_att_key",
    "relative_attention",
    "pos_att_type",
    "norm_rel_ebd",
    "position_embeddings_type",
    "rotary_embedding_base",
    "left_max_position_embeddings",
    "right_max_position_embeddings",
    "conv_depthwise_kernel_size",
    "conformer_conv_dropout",
    "feature_projection_input_dim",
)
_PREPROCESSOR = ("do_normalize", "sampling_rate", "num_mel_bins", "stride")
#: What pre-training and fine-tuning put beside the encoder, in all model types together.
_BESIDE = (
    r"(\w+\.)?masked_spec_embed",
    r"(quantizer|project_q|project_hid|speaker_proj|ctc_proj|layer_norm_for_extract|lm_head)\..*",
    r"label_embeddings_concat",
    r"(\w+\.)?(adapter|intermediate_ffn)\..*",
)


class Waveform(Encoder):
    """wav2vec2, HuBERT, WavLM, data2vec, UniSpeech, SEW, wav2vec2-conformer, w2v-BERT and what is built like them.

    XLS-R, MMS (with one language's adapters in the layers) and mHuBERT are wav2vec2 and HuBERT. Nothing random
    is left but dropout: masking in transformers and the dropping of layers are off. The subsampling adapter that
    some checkpoints put above the layers is left out, and with it an output layer that stands on it.

    Blocks: ``frontend`` (all before the first layer), ``layer0`` to the last, then ``norm`` where the
    architecture has a norm after the layers, or SEW's ``upsample``, which doubles the frames again.

    ``pads_exactly`` where each frame is normalised by itself. Not with group norm, which counts the padding
    in, nor with batch norm in the positions or the convolutions of wav2vec2-conformer, which look into it.
    """

    family = "waveform"
    support = Support(
        checkpoints="the encoder of `...Model`, `...ForPreTraining` or `...ForCTC`; MMS with a language's adapter",
        frames="20 ms",
        donor="of `...ForCTC`, by `vocab.json`",
        padding="exact with layer norm; not with group norm, nor in wav2vec2-conformer",
        long_sound="whole",
    )
    causal = False

    def __init__(
        self,
        config: PretrainedConfig,
        preprocessor: Mapping[str, Any] | None = None,
        ending: bool = True,
        card: SourceCard | None = None,
    ) -> None:
        super().__init__(card or SourceCard(f"{config.model_type} encoder with random weights"))
        kind, subsampled = config.model_type, getattr(config, "add_adapter", False)
        for name in ("mask_time_prob", "mask_feature_prob", "layerdrop"):
            setattr(config, name, 0.0)
        config.add_adapter = False
        self.config, self.preprocessor = config, dict(preprocessor or {})
        # WavLM and SEW-D have attention of their own; all others must have the fused one, which takes our masks.
        attention = "eager" if kind in ("wavlm", "sew-d") else "sdpa"
        net = AutoModel.from_config(config, attn_implementation=attention, trust_remote_code=False)
        convolutional = hasattr(net, "feature_extractor")
        front_end = ConvolutionalFrontEnd if convolutional else FbankFrontEnd
        self.frontend: WaveformFrontEnd = front_end(net, self.preprocessor)
        self.layers: nn.ModuleList = net.encoder.encoder.layer if kind == "sew-d" else net.encoder.layers
        if kind == "sew-d" and len(self.layers) and config.relative_attention:
            self.layers[0].distances = Distances(net.encoder.encoder)
        self.width = config.hidden_size
        self.squeeze: int = getattr(config, "squeeze_factor", 1)
        self.sample_rate = self.preprocessor.get("sampling_rate", 16000)
        self.period = self.frontend.period
        self.blocks = ("frontend", *(f"layer{index}" for index in range(len(self.layers))))
        if ending and kind in ("sew", "sew-d"):
            self.periods = dict.fromkeys(self.blocks, self.period)
            self.period = self.period / self.squeeze
            self.upsample = net.encoder.upsample
            self.blocks = (*self.blocks, "upsample")
        elif ending and (getattr(config, "do_stable_layer_norm", False) or kind == "wav2vec2-conformer"):
            self.norm = net.encoder.layer_norm
            self.blocks = (*self.blocks, "norm")
        self.pads_exactly = (
            getattr(config, "feat_extract_norm", "layer") == "layer"
            and not getattr(config, "conv_pos_batch_norm", False)
            and kind != "wav2vec2-conformer"
        )
        self.head = None if subsampled else "lm_head"
        self.prefixes = (f"{kind.replace('-', '_')}.", "")
        self.renames = _renames(kind)
        self.discards = _BESIDE
        if kind == "wav2vec2-conformer":
            self.discards = (*_BESIDE, r"(\w+\.)?encoder\.(pos_conv_embed|embed_positions)\..*")

    @classmethod
    def from_settings(cls, values: Mapping[str, Any], card: SourceCard | None = None) -> Waveform:
        """From what ``settings`` gave, or from ``config.json`` with ``preprocessor_config.json`` as ``preprocessor``.

        Without a ``model_type`` it is wav2vec2.
        """
        fields = {name: values[name] for name in (*_FIELDS, "add_adapter") if name in values}
        config = AutoConfig.for_model(values.get("model_type", "wav2vec2"), **fields)
        given = values.get("preprocessor", {})
        preprocessor = {name: given[name] for name in _PREPROCESSOR if name in given}
        return cls(config, preprocessor, values.get("ending", True), card)

    def settings(self) -> dict[str, Any]:
        """What shapes the encoder: fields of the configuration and of ``preprocessor_config.json``.

        ``num_hidden_layers`` counts the layers left after a cut, ``ending`` says whether what follows them is.
        """
        values = {name: getattr(self.config, name) for name in _FIELDS if hasattr(self.config, name)}
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {
            "model_type": self.config.model_type,
            **values,
            "num_hidden_layers": len(self.layers),
            "ending": self.blocks[-1] in ("norm", "upsample"),
            "preprocessor": self.preprocessor,
        }

    def frame_lengths(self, samples: Tensor) -> Tensor:
        """Frames of (B,) samples: 0 where the sound is shorter than one frame's window."""
        frames = self.frontend.frame_lengths(samples)
        return frames * self.squeeze if self.blocks[-1] == "upsample" else frames

    def _block(self, name: str, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        if name == "frontend":
            front: tuple[Tensor, Tensor] = self.frontend(x, lengths, self._augmented)
            return front
        if name == "norm":
            return self.norm(x), lengths
        if name == "upsample":
            return self.upsample(x), lengths * self.squeeze
        run = RUN_LAYER.get(self.config.model_type, run_plain)
        return run(self.layers, int(name.removeprefix("layer")), x, lengths), lengths

    def _drop_after(self, name: str) -> None:
        if name in ("norm", "upsample"):
            return
        self.layers = self.layers[: self._index(name)]
        for ending in {"norm", "upsample"} & set(self.blocks):
            delattr(self, ending)


def _renames(kind: str) -> dict[str, str]:
    """How parameters are called here and in transformers."""
    renames = {
        "frontend.": "",
        "frontend.pos_conv_embed.": "encoder.pos_conv_embed.",
        "frontend.output_norm.": "encoder.layer_norm.",
        "layers.": "encoder.layers.",
        "norm.": "encoder.layer_norm.",
        "upsample.": "encoder.upsample.",
    }
    if kind == "sew-d":
        renames |= {"layers.": "encoder.encoder.layer.", "layers.0.distances.": "encoder.encoder."}
    return renames
