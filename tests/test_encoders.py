"""Tests of every encoder: blocks compose, batches are exact, lengths and settings hold; Whisper is transformers'."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor
from transformers.models.whisper.configuration_whisper import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from speechtransfer.audio import read
from speechtransfer.encoders import family
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.encoders.whisper import Whisper
from speechtransfer.errors import PlanError, SettingsError, SourceError
from speechtransfer.features import MelSettings
from speechtransfer.sources import load_encoder
from speechtransfer.weights import Head, match_strictly, read_tensors

torch.set_num_threads(1)
SHARED = Path(__file__).parents[2] / "shared"
CARD = SourceCard("tiny", "MIT", ("eng",), "ab" * 32, frozenset({"x", "y"}))


def whisper(positions: int = 1500, **config: object) -> Whisper:
    sizes = {"d_model": 16, "encoder_layers": 3, "encoder_attention_heads": 2, "encoder_ffn_dim": 24}
    return Whisper(WhisperConfig(**{**sizes, "max_source_positions": positions, **config}), CARD)


def conformer(**sizes: int) -> Conformer:
    mel = MelSettings(n_mels=24)
    return Conformer(ConformerSettings(mel, **{"width": 16, "layers": 3, "heads": 2, "kernel": 5, **sizes}), CARD)


# whisper20 has positions for 0.4 s, so that short sound already makes windows.
FAMILIES: dict[str, Callable[[], Encoder]] = {
    "conformer": conformer,
    "whisper": whisper,
    "whisper20": lambda: whisper(20),
}
each = pytest.mark.parametrize("name", sorted(FAMILIES))


def build(name: str) -> Encoder:
    torch.manual_seed(11)
    return FAMILIES[name]().eval()


def noise(*samples: int) -> tuple[Tensor, Tensor]:
    """A padded batch with what nobody may read behind each item."""
    generator = torch.Generator().manual_seed(sum(samples))
    wave = 0.1 * torch.randn(len(samples), max(samples), generator=generator)
    for item, count in enumerate(samples):
        wave[item, count:] = float("nan") if item % 2 else 1e3
    return wave, torch.tensor(samples)


@each
@torch.inference_mode()
def test_blocks_compose_tap_and_mask(name: str) -> None:
    encoder = build(name)
    wave, lengths = noise(16000, 9001)
    whole = encoder(wave, lengths)
    assert whole.values.shape == (2, int(whole.lengths.max()), encoder.width) and not whole.taps
    assert whole.period == encoder.period and whole.lengths.tolist() == encoder.frame_lengths(lengths).tolist()
    tapped = encoder.run(wave, lengths, taps=encoder.blocks)
    assert torch.equal(tapped.values, whole.values) and tuple(tapped.taps) == encoder.blocks
    for block, following in zip(encoder.blocks, encoder.blocks[1:], strict=False):
        part = encoder.run(wave, lengths, stop=block)
        assert torch.equal(part.values, tapped.taps[block])
        rest = encoder.run(part.values, part.lengths, start=following)
        assert torch.equal(rest.values, whole.values) and torch.equal(rest.lengths, whole.lengths)
        alone = encoder.run(part.values, part.lengths, start=following, stop=following)
        assert torch.equal(alone.values, tapped.taps[following])
    front = encoder.run(wave, lengths, stop="frontend")
    mask = torch.zeros(front.values.shape[:2], dtype=torch.bool)
    mask[:, 3:6] = True
    hidden = front.values.clone()
    hidden[:, 3:6] = 0.0
    expected = encoder.run(hidden, front.lengths, start=encoder.blocks[1]).values
    assert not torch.equal(expected, whole.values)
    assert torch.equal(encoder.run(wave, lengths, mask=mask).values, expected)
    cached = encoder.run(front.values, front.lengths, start=encoder.blocks[1], mask=mask)
    assert torch.equal(cached.values, expected)


@each
def test_blocks_that_do_not_run_are_refused(name: str) -> None:
    encoder = build(name)
    wave, lengths = noise(4000)
    for wrong in ({"start": "layer9"}, {"stop": "Layer0"}, {"taps": ["logits"]}):
        with pytest.raises(PlanError, match="the blocks are frontend, layer0"):
            encoder.run(wave, lengths, **wrong)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="no block 'layer9'"):
        encoder.cut("layer9")
    with pytest.raises(PlanError, match="'frontend' comes before 'layer1'"):
        encoder.run(torch.zeros(1, 3, 16), torch.tensor([3]), start="layer1", stop="frontend")
    with pytest.raises(PlanError, match="'layer2' is tapped but does not run"):
        encoder.run(wave, lengths, stop="layer1", taps=["layer2"])
    with encoder.augmented(lambda features, lengths: features), pytest.raises(PlanError, match="augmentation"):
        encoder.run(torch.zeros(1, 3, 16), torch.tensor([3]), start="layer1")


@each
@torch.inference_mode()
def test_frame_lengths_are_the_actual_ones(name: str) -> None:
    encoder = build(name)
    edges = {step * 160 + more for step in range(1, 13) for more in (-1, 0, 1)}
    counts = sorted({*range(1, 2001, 13), *edges, 1999, 2000})
    promised = encoder.frame_lengths(torch.tensor(counts))
    assert promised.dtype == torch.int64
    wave, lengths = noise(*counts)
    assert torch.equal(encoder.run(wave, lengths, stop="frontend").lengths, promised)
    for item, count in enumerate(counts):
        single = encoder.run(wave[item : item + 1, :count], lengths[item : item + 1], stop="frontend")
        assert single.values.shape[1] == single.lengths[0] == promised[item] >= 1, count
    seconds = float(promised[-1]) * encoder.period
    assert abs(seconds - counts[-1] / encoder.sample_rate) <= encoder.period


@each
@torch.inference_mode()
def test_a_padded_batch_gives_what_single_utterances_give(name: str) -> None:
    encoder = build(name)
    assert encoder.pads_exactly
    wave, lengths = noise(1, 159, 321, 4001, 6400, 6401, 8000, 16123, 12801, 700)
    spare = torch.full((len(lengths), 777), 1e3)
    for padded in (wave, torch.cat([wave, spare], dim=1)):
        batch = encoder.run(padded, lengths, taps=("frontend",))
        assert torch.isfinite(batch.values).all()
        for item, count in enumerate(lengths.tolist()):
            single = encoder.run(wave[item : item + 1, :count], lengths[item : item + 1], taps=("frontend",))
            valid = int(single.lengths[0])
            assert batch.lengths[item] == valid == single.values.shape[1]
            for found, expected in (
                (batch.taps["frontend"], single.taps["frontend"]),
                (batch.values, single.values),
            ):
                torch.testing.assert_close(found[item, :valid], expected[0], rtol=1e-5, atol=1e-5)


@each
@torch.inference_mode()
def test_cut_and_settings_rebuild_the_same_architecture(name: str) -> None:
    encoder = build(name)
    encoder.donor = Head(torch.zeros(2, 16), torch.zeros(2), None, None)
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    wave, lengths = noise(5000, 3111)
    for block in encoder.blocks:
        cut = encoder.cut(block)
        assert cut.blocks == encoder.blocks[: encoder.blocks.index(block) + 1]
        assert cut.donor is None and encoder.donor is not None and block in cut.card.id
        expected = encoder.run(wave, lengths, stop=block).values
        assert torch.equal(cut(wave, lengths).values, expected)
        again = cut.cut(cut.blocks[0])
        assert torch.equal(again(wave, lengths).values, encoder.run(wave, lengths, stop="frontend").values)
        for some in (cut, again):
            saved = json.loads(json.dumps(some.settings()))
            rebuilt = family(encoder.family).from_settings(saved, some.card).eval()
            assert rebuilt.blocks == some.blocks and rebuilt.settings() == some.settings()
            rebuilt.load_state_dict(some.state_dict(), strict=True)
            assert torch.equal(rebuilt(wave, lengths).values, some(wave, lengths).values)
            for attribute in ("width", "sample_rate", "period", "causal", "pads_exactly", "card"):
                assert getattr(rebuilt, attribute) == getattr(some, attribute)
    assert encoder.blocks[-1] in encoder.blocks and encoder.card == CARD
    assert encoder.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


@each
@torch.inference_mode()
def test_augmentation_reaches_the_features_and_ends_with_its_context(name: str) -> None:
    encoder = build(name)
    wave, lengths = noise(8000, 5000)
    plain = encoder(wave, lengths).values
    seen: list[tuple[tuple[int, ...], list[int]]] = []

    def scale(features: Tensor, frames: Tensor) -> Tensor:
        seen.append((tuple(features.shape), frames.tolist()))
        return features * 0.5

    with encoder.augmented(scale):
        augmented = encoder(wave, lengths).values
    bands = 24 if name == "conformer" else 80
    assert seen == [((2, 50, bands), [50, 32])] and not torch.allclose(augmented, plain)
    assert torch.equal(encoder(wave, lengths).values, plain)
    with pytest.raises(ZeroDivisionError), encoder.augmented(scale):
        _ = 1 / 0
    with encoder.augmented(None):
        assert torch.equal(encoder(wave, lengths).values, plain) and len(seen) == 1


def test_card_round_trip_and_unknown_family() -> None:
    saved = json.loads(json.dumps(CARD.as_dict()))
    assert saved["audio"] == ["x", "y"] and SourceCard.from_dict(saved) == CARD
    assert SourceCard.from_dict({"id": "a"}) == SourceCard("a")
    with pytest.raises(SourceError, match="conformer, whisper"):
        family("rnn")


@pytest.mark.parametrize(
    "wrong", [{"heads": 0}, {"width": 18}, {"width": 0}, {"kernel": 4}, {"kernel": -3}, {"layers": -1}, {"expansion": 0}]
)
def test_conformer_sizes_that_cannot_be_built_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="conformer"):
        conformer(**wrong)


def transformers_twin(ours: Whisper, config: WhisperConfig) -> WhisperEncoder:
    config._attn_implementation = "eager"  # written out, where ours is the fused one
    theirs = WhisperEncoder(config).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs


@torch.inference_mode()
def test_whisper_equals_transformers_on_thirty_seconds() -> None:
    ours = build("whisper")
    theirs = transformers_twin(ours, WhisperConfig(**{**ours.settings(), "vocab_size": 10}))
    wave, _ = noise(480000)
    features = WhisperFeatureExtractor()(wave[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    expected = theirs(features).last_hidden_state
    found = ours(wave, torch.tensor([480000]))
    assert found.values.shape == (1, 1500, 16) and found.lengths.tolist() == [1500]
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_whisper_attends_forty_seconds_in_two_windows_of_twenty() -> None:
    ours = build("whisper")
    theirs = transformers_twin(ours, WhisperConfig(**{**ours.settings(), "vocab_size": 10}))
    wave, _ = noise(640000)
    wave[:, 320000:] *= 3
    lengths = torch.tensor([640000])
    front = ours.run(wave, lengths, stop="frontend").values
    found = ours(wave, lengths)
    assert found.lengths.tolist() == [2000]
    positions = ours.embed_positions.weight[:1000]
    bare = front - torch.cat([positions, positions])  # both windows count their positions from their own start
    x = theirs.conv2(theirs.conv1(ours.mel(wave, lengths)[0].transpose(1, 2)).nan_to_num().pipe_gelu()) if False else None
    del x, bare
    for window in (slice(0, 1000), slice(1000, 2000)):
        hidden = front[:, window]
        for layer in theirs.layers:
            hidden = layer(hidden, None)
        torch.testing.assert_close(found.values[:, window], theirs.layer_norm(hidden), rtol=1e-4, atol=1e-4)
