"""Tests of every encoder: blocks compose, batches are exact, settings hold, and a step moves what the Plan says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from families import CARD, FAMILIES, build, conformer, noise, objective
from torch import Tensor

from speechtransfer.checkpoint import load, save
from speechtransfer.encoders import family, family_of, support_rows
from speechtransfer.encoders.contract import SourceCard
from speechtransfer.errors import PlanError, SettingsError, SourceError
from speechtransfer.frames import Batch
from speechtransfer.transfer import Rule, Transfer, set_live
from speechtransfer.weights import Head

each = pytest.mark.parametrize("name", sorted(FAMILIES))
#: Features of a frame that augmentation sees, where they are not 80 bands.
BANDS = {
    "conformer": 24,
    "parakeet": 24,
    "cnn": 16,
    "compact": 24,
    "resnet": 32,
    "mobilenet": 40,
    **dict.fromkeys(("wav2vec2", "wavlm", "data2vec", "sew", "sew_d"), 8),
}
#: Families that learn nothing in their front end.
NOTHING_BEFORE = ("dnn", "cnn", "resnet", "mobilenet")


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
    last, before = encoder.blocks[-1], encoder.blocks[-2]
    for wrong in ({"start": "layer99"}, {"stop": "Layer0"}, {"taps": ["logits"]}):
        with pytest.raises(PlanError, match="the blocks are frontend, layer0"):
            encoder.run(wave, lengths, **wrong)  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="no block 'layer99'"):
        encoder.cut("layer99")
    with pytest.raises(PlanError, match="'frontend' comes before 'layer1'"):
        encoder.run(torch.zeros(1, 3, 16), torch.tensor([3]), start="layer1", stop="frontend")
    with pytest.raises(PlanError, match=f"'{last}' is tapped but does not run"):
        encoder.run(wave, lengths, stop=before, taps=[last])
    with encoder.augmented(lambda features, lengths: features), pytest.raises(PlanError, match="augmentation"):
        encoder.run(torch.zeros(1, 3, 16), torch.tensor([3]), start="layer1")


@each
@torch.inference_mode()
def test_frame_lengths_are_the_actual_ones(name: str) -> None:
    encoder = build(name)
    edges = {step * 160 + more for step in (1, 2, 3, 5, 8) for more in (-1, 0, 1)}
    counts = sorted({*range(1, 2001, 37), *edges, 1999, 2000})
    promised = encoder.frame_lengths(torch.tensor(counts))
    assert promised.dtype == torch.int64
    wave, lengths = noise(*counts)
    assert torch.equal(encoder(wave, lengths).lengths, promised)
    for item in range(0, len(counts), 3):
        count = counts[item]
        single = encoder(wave[item : item + 1, :count], lengths[item : item + 1])
        assert single.lengths[0] == promised[item], count
        # Sound shorter than a window has no frame, where a window is not filled up with silence.
        least = 2 if name in ("sew", "sew_d") else 1
        assert single.values.shape[1] == max(least, int(promised[item])), count
    assert promised[0] == (1 if encoder.family in ("conformer", "dnn", "cnn", "vision", "whisper") else 0)
    window = 0.04  # beside its own frames; the longest of the tiny encoders
    assert abs(float(promised[-1]) * encoder.period - counts[-1] / encoder.sample_rate) <= encoder.period + window


@each
@torch.inference_mode()
def test_a_padded_batch_gives_what_single_utterances_give(name: str) -> None:
    # In double precision what is left is rounding alone, on any processor; in single it reaches 2e-5 on some.
    encoder = build(name).double()
    assert encoder.pads_exactly
    wave, lengths = noise(1, 159, 321, 4001, 6400, 6401, 8000, 16123, 12801, 700)
    wave = wave.double()
    spare = torch.full((len(lengths), 777), 1e3, dtype=wave.dtype)
    for padded in (wave, torch.cat([wave, spare], dim=1)):
        batch = encoder.run(padded, lengths, taps=("frontend",))
        assert torch.isfinite(batch.values).all()
        for item, count in enumerate(lengths.tolist()):
            single = encoder.run(wave[item : item + 1, :count], lengths[item : item + 1], taps=("frontend",))
            valid = int(single.lengths[0])
            assert batch.lengths[item] == valid
            assert single.values.shape[1] == valid or valid == 0
            pairs = ((batch.taps["frontend"], single.taps["frontend"]), (batch.values, single.values))
            for found, expected in pairs:
                size = min(valid, expected.shape[1])
                torch.testing.assert_close(found[item, :size], expected[0, :size], rtol=1e-9, atol=1e-9)


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
        rebuilt = family(encoder.family).from_settings(json.loads(json.dumps(cut.settings())), cut.card).eval()
        rebuilt.load_state_dict(cut.state_dict(), strict=True)
        assert torch.equal(rebuilt(wave, lengths).values, cut(wave, lengths).values)
        assert rebuilt.settings() == cut.settings()
        for attribute in ("blocks", "width", "sample_rate", "period", "causal", "pads_exactly", "card"):
            assert getattr(rebuilt, attribute) == getattr(cut, attribute)
    again = encoder.cut(encoder.blocks[-2]).cut("frontend")
    assert torch.equal(again(wave, lengths).values, encoder.run(wave, lengths, stop="frontend").values)
    assert again.settings() == encoder.cut("frontend").settings()
    assert (encoder.blocks, encoder.card, encoder.donor is None) == (build(name).blocks, CARD, False)
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
    ((shape, frames),) = seen
    assert shape == (2, max(frames), BANDS.get(name, 80))
    assert 1.5 < frames[0] / frames[1] < 1.7  # as 8000 is to 5000
    assert not torch.allclose(augmented, plain)
    with pytest.raises(ZeroDivisionError), encoder.augmented(scale):
        _ = 1 / 0
    assert torch.equal(encoder(wave, lengths).values, plain)
    assert len(seen) == 1


def batch_of(*samples: int) -> Batch:
    wave, lengths = noise(*samples)
    texts = tuple("ab c" for _ in samples)
    labels = tuple(("no", "yes")[item % 2] for item in range(len(samples)))
    return Batch(wave, lengths, texts, torch.ones(len(samples)), {"text": texts, "label": labels})


@each
def test_a_step_moves_exactly_what_the_plan_says(name: str) -> None:
    encoder = build(name)

    def block(key: str) -> str | None:
        return encoder.block_of(key.removeprefix("encoder.")) if key.startswith("encoder.") else None

    for frozen in (("frontend", "layer0"), encoder.blocks[1:]):
        rules = (Rule(encoder.pattern(*frozen), scale=0), Rule(r".*"))
        model, plan = Transfer(rules).apply(encoder, objective(encoder))
        set_live(model, plan, 0)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        sum(model(batch_of(9000, 7001)).values()).backward()  # type: ignore[union-attr]
        parameters, live = dict(model.named_parameters()), plan.live(0)
        assert live == {key for key in parameters if block(key) not in frozen} - {"encoder.embed_positions.weight"}
        assert live == {key for key, value in parameters.items() if value.grad is not None}
        torch.optim.Adam(parameters.values(), lr=1e-2).step()
        moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
        # A softmax forgets the bias of the keys, so it may stay where it is; BatchNorm counts what it sees.
        still = {key for key in live if re.search(r"(k_proj|linear_k|key_proj)\.bias", key)}
        counted = {key for key, _ in model.named_buffers() if block(key) not in frozen}
        assert live - still <= moved <= live | counted


@each
def test_training_from_scratch_renews_every_weight(name: str) -> None:
    encoder = build(name)
    model, plan = Transfer(fresh=(r"encoder\..*",)).apply(encoder, objective(encoder))
    assert all(item.origin in ("fresh", "constant") for item in plan.parameters)
    before = dict(encoder.named_parameters())
    for key, value in model.encoder.named_parameters():
        if key != "embed_positions.weight" and value.ndim > 1:
            assert not torch.equal(value, before[key]), key


@each
def test_every_parameter_has_one_block(name: str) -> None:
    encoder = build(name)
    owners = {key: encoder.block_of(key) for key, _ in encoder.named_parameters()}
    assert set(owners.values()) == set(encoder.blocks) - ({"frontend"} if name in NOTHING_BEFORE else set())
    for block in set(owners.values()):
        rule = Rule(encoder.pattern(block), scale=0)
        _, plan = Transfer((rule, Rule(r".*"))).apply(encoder, objective(encoder))
        matched = {item.name.removeprefix("encoder.") for item in plan.parameters if item.rule == 0}
        constant = {item.name.removeprefix("encoder.") for item in plan.parameters if item.rule is None}
        assert matched == {key for key, owner in owners.items() if owner == block} - constant
    with pytest.raises(PlanError, match="no block 'layer99'"):
        encoder.pattern("layer99")
    if name in NOTHING_BEFORE:
        with pytest.raises(PlanError, match="no parameter in frontend"):
            encoder.pattern("frontend")


@each
@torch.inference_mode()
def test_a_run_folder_gives_the_same_again(name: str, tmp_path: Path) -> None:
    encoder = build(name)
    wave, lengths = noise(5000, 3111)
    for source in (encoder, encoder.cut("layer0")):
        model, _ = Transfer().apply(source, objective(source))
        save(model, tmp_path)
        again = load(tmp_path)
        assert torch.equal(again.encoder(wave, lengths).values, model.eval().encoder(wave, lengths).values)
        assert again.encoder.settings() == model.encoder.settings()


def test_the_table_of_support_is_true() -> None:
    header, *rows = support_rows()
    assert header[0] == "family"
    assert {row[0].strip("`") for row in rows} == {build(name).family for name in FAMILIES}
    by_family = {row[0].strip("`"): dict(zip(header, row, strict=True)) for row in rows}
    for name in ("conformer", "whisper", "dnn", "cnn", "compact", "resnet", "parakeet", "w2v_bert"):
        encoder = build(name)
        row = by_family[encoder.family]
        assert row["frames"] == f"{1000 * encoder.period:g} ms"
        assert row["padded batches"].startswith("exact") == encoder.pads_exactly
        assert (row["old output layer"] == "none") == (
            encoder.head is None and encoder.family not in ("conformer", "compact")
        )
    assert "HuBERT" in by_family["waveform"]["checkpoints"]
    assert family_of("unispeech-sat") == "waveform"
    with pytest.raises(SourceError, match="model_type 'bert' is not among the known: whisper, wav2vec2"):
        family_of("bert")


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
