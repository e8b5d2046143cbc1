"""Distil: predict what a larger encoder made of the same recordings, frame by frame, through a linear layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from speechtransfer.errors import PlanError
from speechtransfer.frames import Batch, Frames
from speechtransfer.manifest import Utterance
from speechtransfer.objectives.contract import Objective, Prediction
from speechtransfer.score import Scores
from speechtransfer.weights import Head


class Teacher(Protocol):
    """What a larger encoder made of recordings, each heard once and clean."""

    width: int
    #: Seconds from one of its frames to the next.
    period: float

    def heard(self, name: str) -> tuple[Tensor, float] | None:
        """(T, width) float of an utterance by its id, and its seconds; None where it was not heard."""


class Distil(Objective):
    """Regression of a student's frames to its teacher's (Chang et al. 2022, arXiv:2110.01900, with squared error).

    The teacher heard every utterance clean and at its own speed; what the student hears may be faster, noisier,
    masked or joined to others. Each of the student's frames that lies within an utterance is compared with the
    teacher's values at the same place of it, interpolated between the two nearest frames.

    The teacher is no part of the model: it is neither trained nor saved.

    Args:
        width: channels of a teacher's frame.
        teacher: None in a model that was loaded, which cannot learn from it any more.
    """

    kind = "distil"
    field = ""
    select = ("distil", "min")

    def __init__(self, width: int, teacher: Teacher | None = None) -> None:
        super().__init__()
        self.width, self.teacher = width, teacher
        self.output: nn.Linear | None = None

    def attach(self, width: int, period: float) -> None:
        """Build the layer (teacher's width, width); after training it is of no use to anyone."""
        self.output = nn.Linear(width, self.width)

    def _layer(self) -> nn.Linear:
        if self.output is None:
            raise PlanError("distil: the head has no width yet. Transfer.apply gives it the encoder's.")
        return self.output

    @property
    def heads(self) -> dict[str, Head]:
        """None: the layer answers nothing."""
        return {}

    def settings(self) -> dict[str, Any]:
        """The teacher's width."""
        return {"width": self.width}

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Distil:
        """The inverse of ``settings``, without a teacher."""
        return cls(values["width"])

    def unfit(self, utterance: Utterance, frames: int) -> str | None:
        """Anything can be listened to."""
        return None

    def loss(self, frames: Frames, batch: Batch, progress: float) -> dict[str, Tensor]:
        """Weighted mean over the utterances that the teacher heard of their mean squared error a value.

        Raises:
            PlanError: there is no teacher.
        """
        if self.teacher is None:
            raise PlanError("distil: a model that was loaded has no teacher. Give one to train it on.")
        predicted = self._layer()(frames.values)
        errors, weights = [], []
        for item, pieces in enumerate(batch.pieces):
            length = int(frames.lengths[item])
            for piece in pieces:
                first, last = (min(length, math.ceil(edge / frames.period)) for edge in (piece.start, piece.stop))
                heard = self.teacher.heard(piece.id) if last > first else None
                if heard is not None:
                    seconds = torch.arange(first, last) * frames.period - piece.start
                    wanted = _between(heard, seconds / (piece.stop - piece.start), self.teacher.period)
                    errors.append((predicted[item, first:last] - wanted.to(predicted)).square().mean())
                    weights.append(batch.weight[item])
        if not errors:
            return {"distil": predicted.sum() * 0.0}
        weight = torch.stack(weights)
        return {"distil": (torch.stack(errors) * weight).sum() / weight.sum()}

    def settle(self, train: Iterable[tuple[Frames, Batch]]) -> None:
        """Nothing: gradients teach all of it."""

    def finish(self, dev: Iterable[tuple[Frames, Batch]]) -> dict[str, Any]:
        """Nothing is chosen."""
        return {}

    def predict(self, frames: Frames, batch: Batch | None = None) -> list[Prediction]:
        """Refused.

        Raises:
            PlanError: always: a teacher's frames are no answer.
        """
        raise PlanError("distil: predicts nothing by itself. Train it in a Sum, beside an objective that does.")

    def score(self, rows: Sequence[Utterance], predictions: Sequence[Prediction]) -> Scores:
        """Refused, as ``predict``.

        Raises:
            PlanError: always.
        """
        raise PlanError("distil: has no figure of its own. Score the objective beside it in the Sum.")


def _between(heard: tuple[Tensor, float], shares: Tensor, period: float) -> Tensor:
    """A teacher's values (N, width) at shares (N,) of an utterance, each between its two nearest frames.

    A frame is taken to be centred at its number times its period, the student's likewise.
    """
    values, seconds = heard
    places = (shares * seconds / period).clamp(0, len(values) - 1)
    before = places.long()
    after = (before + 1).clamp(max=len(values) - 1)
    return torch.lerp(values[before].float(), values[after].float(), (places - before)[:, None])
