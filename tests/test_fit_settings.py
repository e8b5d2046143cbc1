"""What settings of a training do: budgets, masks, precision and TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training import ALL, LIVELY, PLAIN, Joined, equal, weights

from speechtransfer.audio import Recordings
from speechtransfer.batches import BatchSettings, TrainingBatches
from speechtransfer.encoders.contract import Encoder
from speechtransfer.errors import SettingsError
from speechtransfer.fit import History, forecast
from speechtransfer.frames import Batch
from speechtransfer.manifest import Manifest
from speechtransfer.model import Model
from speechtransfer.transfer import Rule

fitting = import_module("speechtransfer.fit")  # the package's own name ``fit`` is the function


@pytest.mark.parametrize(("epochs", "accumulate"), [(1, 1), (2.5, 1), (2, 3), (0.01, 1)])
def test_epochs_become_steps(
    join: Callable[..., Joined],
    train: Callable[..., History],
    tones: Manifest,
    recordings: Recordings,
    epochs: float,
    accumulate: int,
) -> None:
    settings = replace(PLAIN, epochs=epochs, accumulate=accumulate)
    batches = TrainingBatches(tones.split("train"), recordings, settings.batches, settings.seed).steps()
    history = train(join(), settings)
    assert history.steps == max(1, round(epochs * batches / accumulate)) == history.rows[-1]["step"]


@pytest.mark.parametrize(
    ("step", "scoring", "minutes", "expected"), [(2.0, 50.0, 1.0, 5), (2.0, 500.0, 1.0, 2), (9.9, 1.0, 0.5, 2)]
)
def test_minutes_become_steps_before_the_first(
    join: Callable[..., Joined],
    train: Callable[..., History],
    normed: type[Encoder],
    monkeypatch: pytest.MonkeyPatch,
    step: float,
    scoring: float,
    minutes: float,
    expected: int,
) -> None:
    """Timing teaches the model nothing: it ends as with that number of steps given."""
    timed, taken = fitting._Run.timed, []

    def scripted(self: Any) -> tuple[float, float]:
        taken.extend(timed(self))
        return step, scoring

    monkeypatch.setattr(fitting._Run, "timed", scripted)
    rules = (Rule(r"encoder\.mix\..*", after=1), *ALL)
    timed_model, stepped = (join(rules, encoder=normed()) for _ in range(2))
    history = train(timed_model, replace(LIVELY, minutes=minutes))
    assert history.steps == expected
    assert all(seconds > 0 for seconds in taken)
    assert len(taken) == 2
    train(stepped, replace(LIVELY, steps=expected))
    assert equal(weights(timed_model[0]), weights(stepped[0]))


def test_a_forecast_leaves_the_model_as_it_was(
    join: Callable[..., Joined], tones: Manifest, normed: type[Encoder]
) -> None:
    model, plan = join((Rule(r"encoder\..*", after=9), *ALL), encoder=normed())
    before = weights(model)
    cost = forecast(model, plan, tones.split("train"), tones.split("dev"), LIVELY)
    assert equal(weights(model), before)
    assert cost.steps == LIVELY.steps
    assert cost.seconds > 0
    values = sum(parameter.numel() for parameter in model.parameters())
    assert cost.memory_mb == pytest.approx(4 * 5 * values / 1e6)  # weights, gradients, two moments, the best copy


def test_masks_begin_at_their_time_and_are_an_utterances_own(
    join: Callable[..., Joined], train: Callable[..., History], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, features = Model.forward, torch.arange(400.0).reshape(1, 20, 20)
    seen: list[tuple[float, bool]] = []
    drawn: dict[float, dict[str, Tensor]] = {}

    def spy(self: Model, batch: Batch, progress: float, augment: Any) -> dict[str, Tensor]:
        seen.append((progress, augment is not None))
        if augment is not None:
            count = len(batch.ids)
            masked = augment(features.expand(count, 20, 20), torch.full((count,), 20))
            drawn.setdefault(size, {}).update(zip(batch.ids, masked, strict=True))
        return forward(self, batch, progress, augment)

    monkeypatch.setattr(Model, "forward", spy)
    masks = replace(LIVELY.masks, after=0.5)
    for size in (2.0, 4.0):  # seconds of a batch: one epoch in batches of another make-up
        train(join(), replace(LIVELY, epochs=1, batches=BatchSettings(size), masks=replace(masks, after=0.0)))
    assert drawn[2.0].keys() == drawn[4.0].keys()
    assert equal(drawn[2.0], drawn[4.0])
    assert len({tuple(value.flatten().tolist()) for value in drawn[2.0].values()}) > 5
    seen.clear()
    train(join(), replace(LIVELY, masks=masks))
    assert seen == [(step / 8, step >= 4) for step in range(8)]


def test_a_precision_of_one_training_is_not_that_of_the_next(
    join: Callable[..., Joined], train: Callable[..., History]
) -> None:
    runs = [join() for _ in range(3)]
    for joined, precision in zip(runs, ("no", "bf16", "no"), strict=True):
        train(joined, replace(PLAIN, precision=precision))
    one, two, three = (weights(model) for model, _ in runs)
    assert equal(one, three)
    assert not equal(one, two)
    assert all(value.dtype in (torch.float32, torch.int64) for value in two.values())
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="precision=fp16"):
            train(join(), replace(PLAIN, precision="fp16"))


def test_tensorboard_gets_what_the_history_gets(
    join: Callable[..., Joined], train: Callable[..., History], tmp_path: Path
) -> None:
    train(join(), replace(PLAIN, tensorboard=True), tmp_path)
    events = list(tmp_path.rglob("events.out.tfevents.*"))
    assert events
    assert b"dev/cer" in b"".join(path.read_bytes() for path in events)
    train(join(), PLAIN, tmp_path / "without")
    assert not list((tmp_path / "without").rglob("events*"))
