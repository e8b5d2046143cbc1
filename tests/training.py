"""What tests of training share: settings, comparisons of weights and histories, and an interruption."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from speechtransfer.batches import BatchSettings
from speechtransfer.fit import History
from speechtransfer.model import Model
from speechtransfer.schedule import FitSettings, MaskSettings
from speechtransfer.transfer import Plan, Rule

ALL = (Rule(r".*"),)
OFF = MaskSettings(freq_masks=0, time_masks=0)
#: Random in every way that training can be: dropout (of the tiny encoder), speeds, masks.
LIVELY = FitSettings(
    steps=8,
    lr=3e-3,
    evaluations=2,
    batches=BatchSettings(seconds=2.0),
    masks=MaskSettings(freq_width=5, time_width=5, time_ratio=0.3),
)
#: The same on every machine and in every loop.
PLAIN = replace(LIVELY, steps=4, evaluations=1, batches=BatchSettings(seconds=2.0, speeds=(1.0,)), masks=OFF)
Joined = tuple[Model, Plan]


def weights(model: Model) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def without_seconds(history: History) -> tuple[Any, ...]:
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in history.rows]
    return rows, history.steps, history.best_step, history.best, history.audio_seconds, history.waste


class OutageError(Exception):
    """What takes a training down."""


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let the forward pass number ``at`` (from 1) fail."""
    calls, forward = itertools.count(1), Model.forward

    def failing(self: Model, *arguments: Any) -> dict[str, Tensor]:
        if next(calls) == at:
            raise OutageError
        return forward(self, *arguments)

    monkeypatch.setattr(Model, "forward", failing)
