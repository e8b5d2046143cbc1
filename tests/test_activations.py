"""Activations on disk: those of the encoder, made once, and a training on them that is the training on sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from speechtransfer.activations import Heard, keep, of_frozen
from speechtransfer.audio import Recordings, write_wav
from speechtransfer.batches import BatchSettings, TrainingBatches, scoring_batches
from speechtransfer.encoders.conformer import Conformer, ConformerSettings
from speechtransfer.errors import DataError, PlanError, SettingsError
from speechtransfer.evaluate import predict
from speechtransfer.features import MelSettings
from speechtransfer.fit import fit
from speechtransfer.frames import OUTPUT, Frames
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Classify
from speechtransfer.schedule import FitSettings, MaskSettings
from speechtransfer.transfer import Plan, Rule, Transfer

torch.set_num_threads(1)
RATE = 16_000


@pytest.fixture
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Utterance, ...]:
    """Synthetic noise: two recordings, and a span of the second."""
    monkeypatch.setenv("SPEECHTRANSFER_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name, seconds in (("one.wav", 0.61), ("two.wav", 1.3)):
        write_wav(tmp_path / name, 0.1 * rng.standard_normal(int(seconds * RATE)), RATE)
    one, two = tmp_path / "one.wav", tmp_path / "two.wav"
    return Utterance(one), Utterance(two), Utterance(two, 0.2, 0.9)


def encoder() -> Conformer:
    torch.manual_seed(0)
    sizes = ConformerSettings(MelSettings(n_mels=24), width=8, layers=2, heads=2, kernel=3, expansion=1)
    return Conformer(sizes)


@pytest.mark.parametrize(("block", "start"), [(None, OUTPUT), ("layer0", "layer1"), ("frontend", "layer0")])
def test_what_is_kept_is_what_the_encoder_gives(rows: tuple[Utterance, ...], block: str | None, start: str) -> None:
    source, recordings = encoder(), Recordings(RATE)
    kept = keep(source, rows, recordings, block)
    assert (kept.width, kept.period, kept.start) == (8, 0.04, start)
    assert source.training  # left as it was
    source.eval()
    found = []
    for row in rows:
        wave = torch.from_numpy(recordings(row))[None]
        with torch.inference_mode():
            found.append(source.run(wave, torch.tensor([wave.shape[1]]), stop=block).values[0])
        assert torch.allclose(torch.from_numpy(kept(row)), found[-1], atol=1e-5)
        assert kept.seconds(row) == pytest.approx(recordings.seconds(row))
        assert row.id in kept
    together = torch.cat(found)
    assert torch.allclose(kept.mean, together.mean(0), atol=1e-5)
    assert torch.allclose(kept.deviation, together.std(0, correction=0), atol=1e-5)
    assert "another" not in kept


def test_a_teachers_frames_are_standardised(rows: tuple[Utterance, ...]) -> None:
    kept = keep(encoder(), rows, Recordings(RATE), dtype="float16")
    heard = Heard(kept, encoder().card)
    found = [heard.heard(row.id) for row in rows]
    values = torch.cat([one[0] for one in found if one is not None])
    assert values.mean(0).abs().max() < 1e-3
    assert (values.std(0, correction=0) - 1).abs().max() < 1e-3
    assert [one and one[1] for one in found] == [kept.seconds(row) for row in rows]
    assert heard.heard("another") is None


def test_recordings_are_heard_once(
    rows: tuple[Utterance, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = keep(encoder(), rows, Recordings(RATE))
    monkeypatch.setattr(Conformer, "forward", lambda *given: pytest.fail("it listens again"))
    again = keep(encoder(), rows[::-1], Recordings(RATE))
    moved = replace(rows[0], audio=tmp_path / "elsewhere.wav")
    moved.audio.write_bytes(rows[0].audio.read_bytes())
    elsewhere = keep(encoder(), (moved, *rows[1:]), Recordings(RATE))
    assert np.array_equal(first(rows[0]), again(rows[0]))
    assert np.array_equal(first(rows[0]), elsewhere(moved))


def test_another_encoder_block_type_or_sound_is_heard_anew(rows: tuple[Utterance, ...], tmp_path: Path) -> None:
    keep(encoder(), rows, Recordings(RATE))
    keep(encoder(), rows, Recordings(RATE), "layer0")
    keep(encoder(), rows[:2], Recordings(RATE))
    keep(encoder(), rows, Recordings(RATE), dtype="float16")
    other = encoder()
    with torch.no_grad():
        next(other.parameters()).add_(1e-3)
    keep(other, rows, Recordings(RATE))
    write_wav(rows[0].audio, np.full(RATE, 0.1), RATE)
    keep(encoder(), rows, Recordings(RATE))
    assert len(list((tmp_path / "cache" / "activations").iterdir())) == 6


@pytest.mark.parametrize("damage", ["cut", "no index", "other index"])
def test_what_is_damaged_is_made_again(rows: tuple[Utterance, ...], damage: str, tmp_path: Path) -> None:
    before = keep(encoder(), rows, Recordings(RATE))(rows[1]).copy()
    (folder,) = (tmp_path / "cache" / "activations").iterdir()
    frames, index = folder / "frames.raw", folder / "index.json"
    if damage == "cut":
        frames.write_bytes(frames.read_bytes()[:-8])
    elif damage == "no index":
        index.unlink()
    else:
        index.write_text("[]")
    assert np.array_equal(keep(encoder(), rows, Recordings(RATE))(rows[1]), before)


def test_two_processes_may_make_the_same_at_once(
    rows: tuple[Utterance, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = Conformer.run

    def slow(self: Conformer, *given: torch.Tensor, taps: tuple[str, ...]) -> Frames:
        monkeypatch.setattr(Conformer, "run", run)
        keep(encoder(), rows, Recordings(RATE))  # the other one
        return run(self, *given, taps=taps)

    monkeypatch.setattr(Conformer, "run", slow)
    assert len(keep(encoder(), rows, Recordings(RATE))(rows[0])) == 16
    assert len(list((tmp_path / "cache" / "activations").iterdir())) == 1


def test_an_interrupted_hearing_leaves_nothing(
    rows: tuple[Utterance, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*given: object, taps: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Conformer, "run", fail)
    with pytest.raises(DataError, match=r"activations.*No space left on device.*SPEECHTRANSFER_CACHE"):
        keep(encoder(), rows, Recordings(RATE))
    assert not list((tmp_path / "cache" / "activations").iterdir())
    with pytest.raises(DataError, match="the split is empty"):
        keep(encoder(), (), Recordings(RATE))
    with pytest.raises(PlanError, match="no block 'layer7'"):
        keep(encoder(), rows, Recordings(RATE), "layer7")


# Training on them.

FROZEN = (Rule(r"encoder\..*", scale=0.0), Rule(r"objective\..*"))
PARTLY = (Rule(r"encoder\.(subsampling|layers\.0)\..*", scale=0.0), Rule(r".*"))
PLAIN = FitSettings(
    steps=6,
    evaluations=2,
    lr=1e-2,
    batches=BatchSettings(seconds=2.0, speeds=(1.0,)),
    masks=MaskSettings(freq_masks=0, time_masks=0),
)


def words(rows: tuple[Utterance, ...]) -> Manifest:
    return Manifest(tuple(replace(row, label="ab"[place % 2]) for place, row in enumerate(rows)))


def joined(rules: tuple[Rule, ...]) -> tuple[Model, Plan]:
    torch.manual_seed(0)
    sizes = ConformerSettings(MelSettings(n_mels=24), width=8, layers=2, heads=2, kernel=3, expansion=1, dropout=0.0)
    return Transfer(rules).apply(Conformer(sizes), Classify(["a", "b"], dropout=0.0))


@pytest.mark.parametrize(("rules", "start"), [(FROZEN, OUTPUT), (PARTLY, "layer1")])
def test_training_on_them_is_training_on_sound(
    rows: tuple[Utterance, ...], rules: tuple[Rule, ...], start: str
) -> None:
    manifest = words(rows)
    (one, plan), (two, _) = joined(rules), joined(rules)
    kept = of_frozen(two, plan, manifest.rows, Recordings(RATE))
    assert kept.start == start
    plain = fit(one, plan, manifest, manifest, PLAIN)
    cached = fit(two, plan, manifest, manifest, replace(PLAIN, cache=True))
    for name, value in one.state_dict().items():
        assert torch.allclose(value, two.state_dict()[name], atol=1e-5), name
    assert [row["loss"] for row in cached.rows] == pytest.approx([row["loss"] for row in plain.rows], abs=1e-5)
    assert cached.audio_seconds == pytest.approx(plain.audio_seconds)
    by_sound, by_frames = (predict(two, manifest, reader) for reader in (Recordings(RATE), kept))
    assert [p.value for p in by_sound] == [p.value for p in by_frames]
    assert [p.confidence for p in by_sound] == pytest.approx([p.confidence for p in by_frames], abs=1e-5)


def test_an_encoder_that_does_not_pad_exactly_hears_each_alone(
    rows: tuple[Utterance, ...], normed: Callable[..., Conformer]
) -> None:
    torch.manual_seed(0)
    source, recordings = normed().eval(), Recordings(RATE)
    kept = keep(source, rows, recordings)
    for row in rows:
        wave = torch.from_numpy(recordings(row))[None]
        with torch.inference_mode():
            alone = source(wave, torch.tensor([wave.shape[1]])).values[0]
        assert torch.allclose(torch.from_numpy(kept(row)), alone, atol=1e-5)


def test_batches_of_frames_say_whose_input_they_are(rows: tuple[Utterance, ...]) -> None:
    manifest, recordings = Manifest(rows), Recordings(RATE)
    kept = keep(encoder(), rows, recordings, "layer0")
    batches = TrainingBatches(manifest, kept, PLAIN.batches, 1)
    for batch in (*batches.epoch(0), *scoring_batches(manifest, kept, 10.0, True)):
        assert batch.start == "layer1"
        assert batch.wave.shape[0] == len(batch.ids)
        assert batch.wave.shape[2] == 8
        for name, length in zip(batch.ids, batch.lengths.tolist(), strict=True):
            assert length == len(kept.frames(name))


def test_what_cannot_be_cached_is_refused(rows: tuple[Utterance, ...]) -> None:
    model, plan = joined((Rule(r".*"),))
    with pytest.raises(PlanError, match="nothing can be kept, since frontend learns"):
        of_frozen(model, plan, rows, Recordings(RATE))
    for change in (
        {"batches": BatchSettings(speeds=(0.9, 1.0))},
        {"batches": BatchSettings(speeds=(1.0,), join=5.0)},
        {"masks": MaskSettings(freq_masks=0)},
        {"masks": MaskSettings(time_masks=0)},
    ):
        with pytest.raises(SettingsError, match="cache: what is kept is past all that changes sound"):
            replace(PLAIN, cache=True, **change)


def test_a_tap_inside_what_is_cached_is_refused(rows: tuple[Utterance, ...]) -> None:
    model, _ = joined(FROZEN)
    kept = keep(model.encoder, rows, Recordings(RATE))
    model.objective.taps = ("layer0",)
    with pytest.raises(PlanError, match="layer0 is tapped, but the activations are cached after it"):
        predict(model, words(rows), kept)


def test_tapped_blocks_are_kept_side_by_side_and_train_as_sound_does(rows: tuple[Utterance, ...]) -> None:
    def mixing() -> tuple[Model, Plan]:
        torch.manual_seed(0)
        return Transfer(FROZEN).apply(encoder(), Classify(("a", "b"), dropout=0.0, layers=("frontend", "layer1")))

    manifest, (one, plan), (two, _) = words(rows), mixing(), mixing()
    kept = of_frozen(two, plan, manifest.rows, Recordings(RATE))
    assert (kept.width, kept.start) == (16, OUTPUT)
    fit(one, plan, manifest, manifest, PLAIN)
    fit(two, plan, manifest, manifest, replace(PLAIN, cache=True))
    assert one.state_dict()["objective.mix.weight"].abs().max() > 0  # it has learnt
    for name, value in one.state_dict().items():
        assert torch.allclose(value, two.state_dict()[name], atol=1e-4), name
    by_sound, by_frames = (predict(two, manifest, reader) for reader in (Recordings(RATE), kept))
    assert [p.value for p in by_sound] == [p.value for p in by_frames]
    assert [p.confidence for p in by_sound] == pytest.approx([p.confidence for p in by_frames], abs=1e-5)


def test_taps_of_other_sizes_cannot_be_kept(rows: tuple[Utterance, ...]) -> None:
    from speechtransfer.encoders.compact import Compact

    source = Compact(bands=8, channels=(4, 6, 6), kernel=3, strides=(2, 1))
    with pytest.raises(PlanError, match="frames of different sizes"):
        keep(source, rows, Recordings(RATE), taps=("frontend", "layer1"))
