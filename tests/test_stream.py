"""Spotting in a stream: the same scores however the sound comes, against each window scored by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from speechtransfer.acceptance import Acceptance
from speechtransfer.encoders.conformer import Conformer
from speechtransfer.errors import PlanError, SettingsError
from speechtransfer.model import Model
from speechtransfer.objectives import Classify, Ctc
from speechtransfer.stream import SpotSettings, Spotter, Windows
from speechtransfer.vocabulary import Vocabulary

RATE = 16_000
HOP, WINDOW = 0.2, 0.7


@pytest.fixture
def model(tiny: Callable[..., Conformer]) -> Model:
    torch.manual_seed(0)
    objective = Classify(("_unknown_", "no", "yes"), acceptance=Acceptance({"no": 0.2, "yes": 0.35}, 1.0, WINDOW))
    encoder = tiny()
    objective.attach(encoder.width, encoder.period)
    return Model(encoder, objective).eval()


def sound(seconds: float) -> np.ndarray:
    draw = np.random.default_rng(0)
    return (draw.standard_normal(round(seconds * RATE)) * np.exp(draw.normal(-2, 1))).astype(np.float32)


@torch.inference_mode()
def naive(model: Model, wave: np.ndarray) -> tuple[list[float], np.ndarray]:
    """Every window cut and scored alone."""
    hop, size = round(HOP * RATE), round(WINDOW * RATE)
    ends = list(range(size, len(wave) + 1, hop))
    ends += [len(wave)] if not ends or ends[-1] < len(wave) else []
    scores = []
    for end in ends:
        piece = torch.from_numpy(wave[max(0, end - size) : end])[None]
        frames = model.encoder(piece, torch.tensor([piece.shape[1]]))
        assert isinstance(model.objective, Classify)
        scores.append(model.objective.word_scores(frames)[0].numpy())
    return [end / RATE for end in ends], np.stack(scores)


@pytest.mark.parametrize("seconds", [0.11, 0.2, 0.69, 0.7, 2.0, 3.37])
@pytest.mark.parametrize("pieces", ["whole", "random", "samples"])
def test_however_sound_is_pushed_each_window_scores_as_if_alone(model: Model, seconds: float, pieces: str) -> None:
    wave = sound(seconds)
    draw = np.random.default_rng(1)
    count = {"whole": 0, "random": 6, "samples": 40}[pieces]
    cuts = np.sort(draw.integers(len(wave) + 1, size=count))
    windows = Windows(model, HOP)
    found = [one for part in np.split(wave, cuts) for one in windows.push(part)]
    found += windows.flush()
    times, scores = naive(model, wave)
    assert [time for time, _ in found] == pytest.approx(times)
    assert np.array([row for _, row in found]) == pytest.approx(scores, abs=1e-4)
    assert windows.seconds == pytest.approx(len(wave) / RATE)


def test_memory_does_not_grow_with_the_sound(model: Model) -> None:
    windows = Windows(model, HOP)
    for _ in range(20):
        windows.push(sound(1.0))
        assert len(windows._held) <= (WINDOW + HOP) * RATE


def test_no_sound_has_no_window(model: Model) -> None:
    windows = Windows(model, HOP)
    assert windows.push(np.zeros(0, np.float32)) + windows.flush() == []


def test_sound_shorter_than_a_frame_scores_nothing(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.encoder, "frame_lengths", lambda samples: samples // RATE)
    windows = Windows(model, HOP)
    assert windows.push(np.zeros(10, np.float32)) + windows.flush() == [(10 / RATE, [0.0, 0.0])]


def test_events_are_those_of_the_scores(model: Model) -> None:
    wave = sound(5.0)
    times, scores = naive(model, wave)
    middle = float(np.median(scores.max(1)))
    spotter = Spotter(model, SpotSettings(hop=HOP, smooth=1, refractory=0.0, threshold=middle - 1e-6))
    found = [event for part in np.array_split(wave, 9) for event in spotter.push(part)] + spotter.flush()
    expected = [
        (("no", "yes")[int(row.argmax())], time)
        for time, row in zip(times, scores, strict=True)
        if row.max() >= middle - 1e-6
    ]
    assert 0 < len(expected) < len(times)
    assert [(event.word, pytest.approx(event.time)) for event in found] == expected


def test_a_recogniser_spots_no_words(tiny: Callable[..., Conformer]) -> None:
    objective = Ctc(Vocabulary.from_texts(["ab"]))
    encoder = tiny()
    objective.attach(encoder.width, encoder.period)
    with pytest.raises(PlanError, match="spots no words"):
        Windows(Model(encoder, objective), HOP)


def test_a_spotter_that_was_never_finished_is_refused(model: Model) -> None:
    assert isinstance(model.objective, Classify)
    model.objective.acceptance = replace(model.objective.acceptance, thresholds={})
    with pytest.raises(PlanError, match="no thresholds"):
        Spotter(model)
    assert Spotter(model, SpotSettings(threshold=0.5)).flush() == []
    model.objective.acceptance = Acceptance({"no": 0.5, "yes": 0.5})
    with pytest.raises(PlanError, match="no window"):
        Spotter(model)


def test_settings_that_would_lose_words_are_refused(model: Model) -> None:
    with pytest.raises(SettingsError, match="longer than a window"):
        Windows(model, 0.71)
    for wrong in ({"hop": 0.0}, {"threshold": 0.0}, {"threshold": 1.1}):
        with pytest.raises(SettingsError, match="hop="):
            SpotSettings(**wrong)
