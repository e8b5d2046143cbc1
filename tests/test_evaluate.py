"""Scoring: in the rows' order, nothing dropped, the model untouched, and known recordings found by their sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import tone

from speechtransfer.audio import Recordings, content_hash
from speechtransfer.encoders.contract import Encoder, SourceCard
from speechtransfer.errors import AudioError, ContaminationError, DataError, TextError
from speechtransfer.evaluate import BATCH_SECONDS, contaminated, evaluate, predict, refuse_contamination
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest, Utterance
from speechtransfer.model import Model
from speechtransfer.objectives import Ctc, Prediction
from speechtransfer.transfer import Transfer
from speechtransfer.vocabulary import Vocabulary


@pytest.fixture
def model(tiny: Callable[..., Encoder]) -> Model:
    made, _ = Transfer().apply(tiny(), Ctc(Vocabulary(tuple(" abcdefghijklmnopqrstuvwxyz"))))
    torch.nn.init.normal_(made.objective.output.weight, std=3.0)
    return made.eval()


def alone(model: Model, row: Utterance, recordings: Recordings) -> Prediction:
    """The oracle: one utterance, no batch."""
    wave = torch.from_numpy(recordings(row))[None]
    with torch.no_grad():
        batch = Batch(wave, torch.tensor([wave.shape[1]]), (row.id,), torch.ones(1), {"text": (row.text,)})
        return model.predict(batch)[0]


def test_predictions_stand_in_the_order_of_the_rows(model: Model, synthetic: Manifest, recordings: Recordings) -> None:
    order = np.random.default_rng(0).permutation(len(synthetic))
    rows = Manifest(tuple(synthetic[int(index)] for index in order))
    found = predict(model, rows, recordings)
    assert [one.value for one in found] == [alone(model, row, recordings).value for row in rows]
    assert len({one.value for one in found}) > 15
    assert predict(model, rows) == found  # with a reader of its own


def test_an_encoder_that_does_not_pad_exactly_gets_no_padding(
    normed: type[Encoder], synthetic: Manifest, recordings: Recordings
) -> None:
    model, _ = Transfer().apply(normed(), Ctc(Vocabulary(tuple(" abcdefghijklmnopqrstuvwxyz"))))
    torch.nn.init.normal_(model.objective.output.weight, std=3.0)
    model.eval()
    for one, row in zip(predict(model, synthetic, recordings), synthetic, strict=True):
        assert one.value == alone(model, row, recordings).value
        assert one.confidence == pytest.approx(alone(model, row, recordings).confidence, rel=1e-4)


def test_every_module_keeps_its_mode(model: Model, synthetic: Manifest, recordings: Recordings) -> None:
    model.train()
    model.encoder.layers.eval()
    modes = [module.training for module in model.modules()]
    assert len(set(modes)) == 2
    one, two = predict(model, synthetic[:3], recordings), predict(model, synthetic[:3], recordings)
    assert one == two  # no dropout
    assert [module.training for module in model.modules()] == modes
    with pytest.raises(AudioError):
        predict(model, Manifest((Utterance(Path("/nowhere.wav")),)), recordings)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_nothing_is_dropped(model: Model, synthetic: Manifest, recordings: Recordings, tmp_path: Path) -> None:
    """Neither what is longer than a batch, nor what gives no frame, nor a span, nor a second mention."""
    soundfile.write(tmp_path / "long.wav", np.tile(tone("abcd"), 46), 16_000)
    soundfile.write(tmp_path / "short.wav", tone("a")[:40], 16_000)
    odd = (
        Utterance(tmp_path / "long.wav", text="long"),
        Utterance(tmp_path / "short.wav", text="short"),
        Utterance(tmp_path / "long.wav", 1.0, 2.0, text="span"),
        Utterance(tmp_path / "long.wav", text="again"),
    )
    assert recordings.seconds(odd[0]) > BATCH_SECONDS
    rows = Manifest((*synthetic.rows, *odd))
    scores = evaluate(model, rows, recordings)
    assert [row.id for row in scores.rows] == [row.id for row in rows]
    assert scores["cer"].count == sum(len(row.text or "") for row in rows)
    assert scores["wer"].count == sum(len((row.text or "").split()) for row in rows)


def test_given_predictions_are_scored_as_they_are(model: Model, synthetic: Manifest) -> None:
    perfect = [Prediction(row.text or "", 1.0) for row in synthetic]
    assert evaluate(model, synthetic, predictions=perfect)["wer"].value == 0
    perfect[0] = Prediction("rad", 1.0)
    assert evaluate(model, synthetic, predictions=perfect)["wer"].value == pytest.approx(1 / 60, abs=0.01)
    with pytest.raises(ValueError, match="zip"):
        evaluate(model, synthetic, predictions=perfect[1:])


def test_an_empty_test_is_refused(model: Model) -> None:
    with pytest.raises(DataError, match="the test split is empty"):
        evaluate(model, Manifest(()))


@pytest.mark.parametrize("text", [None, "room 7", "..."])
def test_an_unusable_reference_is_an_error_never_a_dropped_row(
    model: Model, synthetic: Manifest, recordings: Recordings, text: str | None
) -> None:
    rows = Manifest((synthetic[0], replace(synthetic[1], text=text)))
    with pytest.raises(TextError):
        evaluate(model, rows, recordings)


@pytest.fixture
def copies(tmp_path: Path) -> dict[str, Path]:
    """One sound in several files, and another."""
    wave = np.round(tone("abc") * 32767) / 32768
    for name, options in (("a.wav", {"subtype": "PCM_16"}), ("renamed.flac", {}), ("float.wav", {"subtype": "FLOAT"})):
        soundfile.write(tmp_path / name, wave, 16_000, **options)
    soundfile.write(tmp_path / "other.wav", wave[:-1], 16_000)
    soundfile.write(tmp_path / "slow.wav", wave, 8_000)
    return {path.stem: path for path in tmp_path.iterdir()}


def test_recordings_that_the_source_knows_are_found_by_their_sound(
    model: Model, copies: dict[str, Path], recordings: Recordings
) -> None:
    rows = Manifest(tuple(Utterance(path, text="abc") for path in copies.values()))
    card = SourceCard("source", audio=frozenset({content_hash(copies["a"])}))
    overlap = contaminated(card, rows)
    assert set(overlap) == {str(copies[name]) for name in ("a", "renamed", "float")}
    with pytest.raises(ContaminationError, match=r"3 of these recordings, .* were in the training data of source"):
        refuse_contamination(card, rows)
    model.encoder.card = card
    notes = evaluate(model, rows, recordings).notes
    assert "contaminated: the source was trained on 3 of these 5 recordings" in notes
    clean = Manifest(tuple(row for row in rows if row.id not in overlap))
    assert contaminated(card, clean) == ()
    assert not any("contaminated" in note for note in evaluate(model, clean, recordings).notes)
    refuse_contamination(card, clean)


def test_spans_of_a_known_recording_are_known_and_it_is_read_once(
    copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module

    read: list[Path] = []
    known = content_hash(copies["a"])
    module = import_module("speechtransfer.evaluate")
    monkeypatch.setattr(module, "content_hash", lambda path: read.append(path) or content_hash(path))
    rows = [Utterance(copies["a"], index / 10, (index + 1) / 10) for index in range(9)]
    assert len(contaminated(SourceCard("s", audio=frozenset({known})), iter(rows))) == 9
    assert read == [copies["a"]]
    # A card that knows no recording has none read.
    assert contaminated(SourceCard("s"), [Utterance(Path("/nowhere.wav"))]) == ()
