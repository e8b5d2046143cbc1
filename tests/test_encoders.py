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
from speechtransfer.weights import Head, read_tensors

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
    assert whole.values.shape == (2, int(whole.lengths.max()), encoder.width)
    assert (whole.period, whole.taps) == (encoder.period, {})
    assert whole.lengths.tolist() == encoder.frame_lengths(lengths).tolist()
    tapped = encoder.run(wave, lengths, taps=encoder.blocks)
    assert torch.equal(tapped.values, whole.values)
    assert tuple(tapped.taps) == encoder.blocks
    for block, following in zip(encoder.blocks, encoder.blocks[1:], strict=False):
        part = encoder.run(wave, lengths, stop=block)
        assert torch.equal(part.values, tapped.taps[block])
        assert torch.equal(encoder.run(part.values, part.lengths, start=following).values, whole.values)
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
    assert torch.equal(encoder.run(front.values, front.lengths, start=encoder.blocks[1], mask=mask).values, expected)


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
    assert abs(float(promised[-1]) * encoder.period - counts[-1] / encoder.sample_rate) <= encoder.period


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
            pairs = ((batch.taps["frontend"], single.taps["frontend"]), (batch.values, single.values))
            for found, expected in pairs:
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
        assert (cut.donor, block in cut.card.id) == (None, True)
        assert torch.equal(cut(wave, lengths).values, encoder.run(wave, lengths, stop=block).values)
        again = cut.cut(cut.blocks[0])
        assert torch.equal(again(wave, lengths).values, encoder.run(wave, lengths, stop="frontend").values)
        for some in (cut, again):
            rebuilt = family(encoder.family).from_settings(json.loads(json.dumps(some.settings())), some.card).eval()
            rebuilt.load_state_dict(some.state_dict(), strict=True)
            assert torch.equal(rebuilt(wave, lengths).values, some(wave, lengths).values)
            assert rebuilt.settings() == some.settings()
            for attribute in ("blocks", "width", "sample_rate", "period", "causal", "pads_exactly", "card"):
                assert getattr(rebuilt, attribute) == getattr(some, attribute)
    assert (encoder.blocks, encoder.card, encoder.donor is None) == (FAMILIES[name]().blocks, CARD, False)
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
    assert seen == [((2, 50, 24 if name == "conformer" else 80), [50, 32])]
    assert not torch.allclose(augmented, plain)
    with pytest.raises(ZeroDivisionError), encoder.augmented(scale):
        _ = 1 / 0
    assert torch.equal(encoder(wave, lengths).values, plain)
    assert len(seen) == 1


def test_card_round_trip_and_unknown_family() -> None:
    saved = json.loads(json.dumps(CARD.as_dict()))
    assert (saved["audio"], SourceCard.from_dict(saved)) == (["x", "y"], CARD)
    assert SourceCard.from_dict({"id": "a"}) == SourceCard("a")
    with pytest.raises(SourceError, match="conformer, whisper"):
        family("rnn")


def test_conformer_sizes_that_cannot_be_built_are_refused() -> None:
    sizes = {"heads": (0,), "width": (18, 0), "kernel": (4, -3), "layers": (-1,), "expansion": (0,)}
    for name, value in ((name, value) for name, values in sizes.items() for value in values):
        with pytest.raises(SettingsError, match="conformer"):
            conformer(**{name: value})


@torch.inference_mode()
def test_conformer_attention_knows_order() -> None:
    attention = conformer().eval().layers[0].attention
    x = torch.randn(1, 9, 16, generator=torch.Generator().manual_seed(4))
    plain = attention(x, torch.tensor([9]))
    swapped = attention(x[:, [1, 0, *range(2, 9)]], torch.tensor([9]))
    assert (swapped[:, 2:] - plain[:, 2:]).abs().max() > 1e-4


def transformers_twin(ours: Whisper, config: WhisperConfig) -> WhisperEncoder:
    config._attn_implementation = "eager"  # written out, where ours is the fused one
    theirs = WhisperEncoder(config).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs


@torch.inference_mode()
def test_whisper_equals_transformers_on_thirty_seconds() -> None:
    ours = build("whisper")
    theirs = transformers_twin(ours, WhisperConfig(**ours.settings()))
    wave, _ = noise(480000)
    wave[:, -400:] = 0.0  # past the end transformers mirrors the sound; Whisper, and we, hear silence
    features = WhisperFeatureExtractor()(wave[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    expected = theirs(features).last_hidden_state
    found = ours(wave, torch.tensor([480000]))
    assert found.lengths.tolist() == [1500]
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("positions", "samples", "windows"),
    [(1500, 640000, [1000, 1000]), (20, 13120, [14, 14, 13]), (20, 12800, [20, 20]), (20, 6400, [20])],
)
@torch.inference_mode()
def test_whisper_attends_long_sound_in_equal_windows(positions: int, samples: int, windows: list[int]) -> None:
    torch.manual_seed(2)
    ours = whisper(positions).eval()
    theirs = transformers_twin(ours, WhisperConfig(**ours.settings()))
    wave, lengths = noise(samples)
    wave = wave * torch.linspace(0.2, 3.0, samples)
    found = ours.run(wave, lengths, taps=("frontend",))
    assert found.lengths.tolist() == [sum(windows)] == [found.values.shape[1]]
    mel = ours.mel(wave, lengths)[0].transpose(1, 2)
    hidden = torch.nn.functional.gelu(theirs.conv2(torch.nn.functional.gelu(theirs.conv1(mel)))).transpose(1, 2)
    table = theirs.embed_positions.weight
    outputs = []
    for part in hidden.split(windows, dim=1):
        part = part + table[: part.shape[1]]  # positions count from the start of each window
        for layer in theirs.layers:
            part = layer(part, None)
        outputs.append(theirs.layer_norm(part))
    torch.testing.assert_close(found.values, torch.cat(outputs, dim=1), rtol=1e-4, atol=1e-4)


def correlation(ours: Tensor, theirs: Tensor) -> float:
    size = min(len(ours), len(theirs))
    return float(torch.corrcoef(torch.stack([ours[:size].flatten(), theirs[:size].flatten()]))[0, 1])


@pytest.mark.shared
@torch.inference_mode()
def test_real_whisper_without_padding_hears_what_transformers_hears_with_it() -> None:
    """The same network exactly; without 30 s of silence to attend to, the same content.

    Measured on six digits (0.2 to 0.6 s; four of them are asked here): 0.62 to 0.85 with transformers' frames
    of the same recording, at most 0.49 with those of another; on 5 s of digits 0.975, on 29 s 0.997.
    """
    folder = SHARED / "sources" / "whisper-tiny.en-encoder"
    ours = load_encoder(folder).eval()
    assert (type(ours), ours.blocks[-2], len(ours.card.sha256 or "")) == (Whisper, "layer3", 64)
    theirs = WhisperEncoder(WhisperConfig.from_pretrained(folder)).eval()
    tensors = read_tensors(folder / "model.safetensors")
    theirs.load_state_dict({key.removeprefix("model.encoder."): value for key, value in tensors.items()})
    extract = WhisperFeatureExtractor.from_pretrained(folder)
    names = ("0/jackson_00", "3/theo_10", "5/george_20", "1/lucas_07")
    waves = [read(SHARED / "corpora" / "digits_en" / f"{name}.wav", 16000) for name in names]

    def padded(wave: np.ndarray) -> Tensor:
        return theirs(extract(wave, sampling_rate=16000, return_tensors="pt").input_features).last_hidden_state[0]

    def unpadded(wave: np.ndarray) -> Tensor:
        return ours(torch.from_numpy(wave)[None], torch.tensor([len(wave)])).values[0]

    silent = np.pad(waves[0], (0, 480000 - len(waves[0])))
    torch.testing.assert_close(unpadded(silent), padded(waves[0]), rtol=1e-3, atol=1e-3)
    apart, together = [unpadded(wave) for wave in waves], [padded(wave) for wave in waves]
    table = [[correlation(one, other) for other in together] for one in apart]
    for item, row in enumerate(table):
        own = row.pop(item)
        assert own > max(0.55, max(row) + 0.1), (names[item], own, row)
    five = np.tile(np.concatenate(waves), 3)[:80000]
    assert correlation(unpadded(five), padded(five)) > 0.95
